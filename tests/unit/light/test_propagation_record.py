"""What the propagation of photons records: places, times, the same for the same seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from light_in_shells import ORIGIN, SIGMAS, SLANTED, UP

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import N_CELLS, axis_frame, find_cell
from skymap_scanner.light.ice import IceModel, group_index
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.propagation import (
    MAX_TIME,
    SHELLS,
    TIME_EDGES,
    LightRecord,
    _follow,
    propagate,
)
from skymap_scanner.units import LIGHT_SPEED
from uniform_ice import uniform_medium

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray


def propagated(seed: tuple[int, ...], *, record_times: bool = False) -> LightRecord:
    return propagate(
        np.array([30.0, -40.0, -350.0]),
        SLANTED,
        make_medium(IceModel.load()),
        n_photons=2000,
        seed=seed,
        kill=0.4,
        record_times=record_times,
    )


@pytest.fixture(scope="module")
def record() -> LightRecord:
    return propagated((6,), record_times=True)


def test_histogram_of_delays_holds_all_scores(record: LightRecord) -> None:
    np.testing.assert_allclose(record.times.sum(axis=1), record.total, rtol=1e-12)
    assert np.all(record.squared <= record.total**2 * (1 + 1e-12))
    assert np.all((record.squared > 0) == (record.total > 0))


def test_kept_place_lies_in_its_cell_and_its_delay_in_a_filled_bin(record: LightRecord) -> None:
    frame = axis_frame(SLANTED)
    for cell in np.flatnonzero(record.total > 0):
        x, y, z = record.place[cell]
        assert find_cell(x, y, z, frame) == cell
        k = min(int(np.searchsorted(TIME_EDGES, record.delay[cell], side="right")) - 1, 39)
        assert record.times[cell, max(k, 0)] > 0
    assert record.delay.min() > -1e-4
    assert record.delay.max() < MAX_TIME


def test_kept_place_is_drawn_by_the_size_of_its_score() -> None:
    medium = uniform_medium(b=1.0, a=0.05)
    n = 300
    runs = [
        propagate(ORIGIN, UP, medium, n_photons=100, seed=(7, k), kill=0.2, record_times=True)
        for k in range(n)
    ]
    total, delay = np.array([run.total for run in runs]), np.array([run.delay for run in runs])
    cells = np.argsort(-total.sum(axis=0))[:60]
    weight, delay = total[:, cells], delay[:, cells]
    early = np.array([weight * (delay < edge) for edge in TIME_EDGES[1:-1]]).sum(axis=(1, 2))
    times = sum(run.times[cells].sum(axis=0) for run in runs)
    assert isinstance(times, np.ndarray)
    share = np.cumsum(times)[:-1] / times.sum()
    # as good as 60 independent places per run at the very least
    n_effective = weight.sum() ** 2 / np.sum(weight**2)
    assert n_effective > 3000
    assert np.abs(early / weight.sum() - share).max() < SIGMAS * 0.5 / n_effective**0.5


def test_times_are_recorded_on_demand_and_change_nothing(record: LightRecord) -> None:
    plain = propagated((6,))
    assert plain.times.shape == (0, TIME_EDGES.size - 1)
    for name in ("total", "squared", "place", "delay", "path", "n_scatters", "n_photons"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(record, name))


def test_same_seed_same_record_and_other_seed_another(record: LightRecord) -> None:
    np.testing.assert_array_equal(propagated((6,)).total, record.total)
    assert not np.array_equal(propagated((7,)).total, record.total)
    assert not np.array_equal(propagated((6, 1)).total, record.total)


def test_threads_do_not_get_into_each_others_way() -> None:
    medium = make_medium(IceModel.load())

    def run(k: int) -> FloatArray:
        return propagate(ORIGIN, UP, medium, n_photons=300, seed=(9, k)).total

    alone = [run(k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(8)))
    np.testing.assert_array_equal(alone, together)


def test_old_and_far_photons_are_given_up() -> None:
    everlasting = uniform_medium(b=5.0, a=1e-12)
    record = propagate(
        ORIGIN, UP, everlasting, n_photons=20, seed=(10,), kill=1e-3, record_times=True
    )
    longest = MAX_TIME * LIGHT_SPEED / group_index(420.0)
    assert record.path / 20 == pytest.approx(longest, rel=0.01)
    assert record.times[:, -1].sum() > 0  # later than the last edge
    far = uniform_medium(b=1e-9, a=1e-9)
    assert propagate(ORIGIN, UP, far, n_photons=20, seed=(11,)).n_scatters == 0


def test_compiled_propagation_is_the_function_as_written() -> None:
    medium = make_medium(IceModel.load())
    records = []
    for follow in (_follow, _follow.py_func):
        arrays = (np.zeros(N_CELLS), np.zeros(N_CELLS), np.zeros((N_CELLS, 4)), np.zeros((0, 40)))
        with np.errstate(over="ignore"):
            path, n_scatters = follow(
                np.array([0.0, 0.0, -350.0]), UP, axis_frame(UP), medium, 8, 0.4, False,
                np.array([1, 2, 3, 4], np.uint64), np.full(SHELLS.size, 2), np.empty((5, 9)),
                arrays, np.zeros(SHELLS.size, np.int64),
            )  # fmt: skip
        records.append((*arrays, path, n_scatters))
    for fast, slow in zip(*records, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"n_photons": 0},
        {"n_photons": -5},
        {"kill": 0.0},
        {"kill": 1.5},
        {"kill": np.nan},
        {"source_direction": np.array([0.0, 0.0, 2.0])},
        {"source_direction": np.zeros(3)},
        {"source_direction": np.array([0.0, np.nan, 1.0])},
        {"source_xyz": np.array([0.0, np.inf, 1.0])},
    ],
)
def test_what_cannot_be_followed_is_refused(change: dict[str, object]) -> None:
    arguments = {"source_xyz": ORIGIN, "source_direction": UP, "n_photons": 10, "kill": 0.5}
    with pytest.raises(UsageError):
        propagate(
            medium=uniform_medium(b=0.1, a=0.1),
            seed=(1,),
            **(arguments | change),  # type: ignore[arg-type]  # wrong on purpose
        )
