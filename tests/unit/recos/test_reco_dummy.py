"""The two dummies: reproducible numbers, naps, and every way to die."""

from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner import config
from skymap_scanner.exceptions import UsageError
from skymap_scanner.pixels import Seed
from skymap_scanner.recos.crash_dummy import EXIT_STATUS, CrashDummy
from skymap_scanner.recos.dummy import Dummy

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event.event import Event

SEED = Seed(8, 0, 1.0, 2.0, (1.0, 2.0, 3.0), 1e4, float("nan"))
QUICK = {"sleep_max_s": "0"}


def nll_of(event: Event, seed: Seed = SEED) -> float:
    reco = Dummy(QUICK)
    return reco.fit(reco.prepare(event), seed).nll


def test_the_same_event_and_seed_give_the_same_fit(toy_event: Event) -> None:
    one, two = Dummy(QUICK), Dummy(QUICK)
    fit = one.fit(one.prepare(toy_event), SEED)
    assert fit == two.fit(two.prepare(toy_event), SEED)
    assert fit.is_ok
    assert fit.vertex == SEED.vertex
    assert fit.energy_in <= fit.energy_total


def test_another_pixel_variation_or_event_gives_another_llh(
    make_toy_event: Callable[..., Event],
) -> None:
    event = make_toy_event()
    values = {
        nll_of(event),
        nll_of(event, dataclasses.replace(SEED, azimuth=2.1)),
        nll_of(event, dataclasses.replace(SEED, nside=16)),
        nll_of(event, dataclasses.replace(SEED, vertex=(1.0, 2.0, 3.1))),
        nll_of(make_toy_event(event_id=43)),
        nll_of(make_toy_event(sub_event_id=1)),
    }
    assert len(values) == 6


def test_the_last_digit_of_a_direction_does_not_matter(toy_event: Event) -> None:
    moved = dataclasses.replace(SEED, zenith=float(np.nextafter(SEED.zenith, 2.0)))
    assert nll_of(toy_event, moved) == nll_of(toy_event)


def test_llh_is_spread_evenly_over_the_sky(toy_event: Event) -> None:
    values = [
        nll_of(toy_event, dataclasses.replace(SEED, azimuth=0.01 * number)) for number in range(500)
    ]
    assert 0.0 <= min(values) < 0.05
    assert 0.95 < max(values) < 1.0
    assert abs(np.mean(values) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, 1.0, 3.0),
        ({"sleep_min_s": "0.5", "sleep_max_s": "0.5"}, 0.5, 0.5),
        ({"sleep_max_s": "0.25"}, 0.25, 0.25),
    ],
)
def test_naps_are_as_long_as_they_should(
    toy_event: Event,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    low: float,
    high: float,
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    reco = Dummy(options)
    for number in range(20):
        reco.fit(reco.prepare(toy_event), dataclasses.replace(SEED, azimuth=float(number)))
    assert len(naps) == 20
    assert low <= min(naps) <= max(naps) <= high
    assert (len(set(naps)) == 1) is (low == high)


def test_no_nap_means_no_sleep_at_all(toy_event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept"))
    assert nll_of(toy_event) >= 0.0


def test_a_crash_dummy_that_lives_does_as_dummy(toy_event: Event) -> None:
    reco = CrashDummy({**QUICK, "probability": "0"})
    assert reco.fit(reco.prepare(toy_event), SEED).nll == nll_of(toy_event)


def test_the_probability_comes_from_the_environment(
    toy_event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.read_environment({"SKYSCAN_CRASH_DUMMY_PROBABILITY": "1"})
    monkeypatch.setattr(config, "ENV", settings)
    reco = CrashDummy({**QUICK, "kind": "exception"})
    with pytest.raises(RuntimeError, match="crash_dummy"):
        reco.fit(reco.prepare(toy_event), SEED)


def test_the_next_try_of_the_same_seed_may_live(toy_event: Event) -> None:
    reco = CrashDummy({**QUICK, "kind": "exception", "probability": "0.5"})
    reco.rng = random.Random(1)  # noqa: S311  # not for secrets
    prepared = reco.prepare(toy_event)
    outcomes: list[float | None] = []
    for _ in range(40):
        try:
            outcomes.append(reco.fit(prepared, SEED).nll)
        except RuntimeError:
            outcomes.append(None)
    assert 10 < outcomes.count(None) < 30
    assert set(outcomes) == {None, nll_of(toy_event)}


@pytest.mark.parametrize(
    "options", [{"kind": "explode"}, {"probability": "1.5"}, {"probability": "-0.1"}]
)
def test_illegal_settings_are_the_users_error(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="crash_dummy"):
        CrashDummy(options)


PROGRAM = """
import sys
from skymap_scanner.pixels import Seed
from skymap_scanner.recos.crash_dummy import CrashDummy
reco = CrashDummy({"kind": sys.argv[1], "probability": "1", "sleep_max_s": "0"})
print("alive", flush=True)
reco.fit(b"event", Seed(8, 0, 1.0, 2.0, (1.0, 2.0, 3.0), 1e4, 1.0))
print("survived", flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("abort", -signal.SIGABRT),
        ("segv", -signal.SIGSEGV),
        ("exit", EXIT_STATUS),
        ("exception", 1),
    ],
)
def test_each_way_to_die_ends_the_process_as_it_says(kind: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (status, "alive\n")


def test_hanging_does_not_end(monkeypatch: pytest.MonkeyPatch, toy_event: Event) -> None:
    class WokenUp(Exception):  # noqa: N818  # it is no error
        pass

    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 5:
            raise WokenUp

    monkeypatch.setattr(time, "sleep", sleep)
    reco = CrashDummy({**QUICK, "kind": "hang", "probability": "1"})
    with pytest.raises(WokenUp):
        reco.fit(b"event", SEED)
    assert len(naps) == 5
