from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event import read_event
from skymap_scanner.event.coordinates import equatorial_to_detector
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.scan.messages import Task, decode
from skymap_scanner.scan.state import Resend, SendPixels
from skymap_scanner.server.tasks import TaskMaker
from skymap_scanner.sky.healpix import pixel_centers

if TYPE_CHECKING:
    from pathlib import Path

N = 200


@pytest.fixture(scope="module")
def maker(root: Path) -> TaskMaker:
    event = read_event(root / "examples" / "simulated_track.json")
    return TaskMaker(
        scan_id="scan", reco=make_reco("splinempe", {"variations": "classic"}), event=event
    )


def tasks_of(bodies: list[bytes]) -> list[Task]:
    tasks = [decode(body, scan_id="scan") for body in bodies]
    assert all(isinstance(task, Task) for task in tasks)
    return tasks  # type: ignore[return-value]  # just checked


def send(parents: np.ndarray) -> SendPixels:
    return SendPixels(nside=8, level=1, ipix=np.arange(N), parents=parents)


@pytest.fixture(scope="module")
def parents() -> np.ndarray:
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(N, 5)) * [100.0, 100.0, 100.0, 1000.0, 1e4]
    rows[::7] = np.nan
    return rows


def test_every_variation_of_every_pixel_is_sent_once(maker: TaskMaker, parents: np.ndarray) -> None:
    before = maker.n_made
    batches = list(maker.batches(send(parents)))
    tasks = tasks_of([body for batch in batches for body in batch])
    assert len(batches) > 1
    assert [task.key for task in tasks] == [(8, i, v) for i in range(N) for v in range(7)]
    assert {task.attempt for task in tasks} == {1}
    assert maker.n_made - before == 7 * N
    assert max(len(body) for batch in batches for body in batch) <= 800


def test_directions_are_those_of_the_pixel_centres(maker: TaskMaker, parents: np.ndarray) -> None:
    first, *_ = tasks_of(next(maker.batches(send(parents))))
    ra, dec = pixel_centers(8, [0])
    zenith, azimuth = equatorial_to_detector(ra, dec, maker._event.mjd)
    assert (first.seed.zenith, first.seed.azimuth) == (zenith[0], azimuth[0])


def test_another_attempt_has_the_same_seed_to_the_bit(
    maker: TaskMaker, parents: np.ndarray
) -> None:
    """What a pixel starts from must not depend on the pixels that are made beside it."""
    tasks = tasks_of([body for batch in maker.batches(send(parents)) for body in batch])
    before = maker.n_made
    for task in tasks[::11]:
        resend = Resend(task.key, 2, 1, parents[task.key[1]])
        body = maker.again(resend)
        [again] = tasks_of([body])
        assert again.attempt == 2
        assert repr(again.seed) == repr(task.seed)
    assert maker.n_made == before
