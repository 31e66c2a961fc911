"""How a scan begins and ends, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scan_steps import MakeState, answer, fit_of, keys_of, lowest_at, sends

from skymap_scanner.exceptions import InvalidTransitionError, UsageError
from skymap_scanner.pixels import Fit
from skymap_scanner.scan.state import (
    FitReceived,
    LevelDone,
    Phase,
    ScanAborted,
    ScanFinished,
    ScanStarted,
    TaskFailedReceived,
)
from skymap_scanner.sky.healpix import parents
from skymap_scanner.sky.refinement import refinement_radius
from skymap_scanner.sky.region import Cone


def test_scan_begins_with_the_whole_sky(make_state: MakeState) -> None:
    state = make_state("2:0", "4:4", n_variations=7)
    [send] = sends(state.handle(ScanStarted()))
    assert (send.nside, send.level) == (2, 0)
    assert send.ipix.tolist() == list(range(48))
    assert send.parents.shape == (48, 5)
    assert np.isnan(send.parents).all()
    assert state.n_sent == 48 * 7
    assert state.n_outstanding == 48 * 7


def test_pointed_scan_begins_with_the_given_pixels(make_state: MakeState) -> None:
    state = make_state("2:0", "4:4", first_pixels=np.array([7, 3, 7]))
    [send] = sends(state.handle(ScanStarted()))
    assert send.ipix.tolist() == [3, 7]
    [finer] = sends(answer(state, keys_of(send), lowest_at(3)))
    assert set(parents(4, finer.ipix, 2)) <= {3, 7}


def test_pointed_scan_in_a_cone_begins_with_what_both_have(make_state: MakeState) -> None:
    cone = Cone.from_degrees(40.0, 10.0, 25.0)
    inside = cone.pixels(2)
    state = make_state("2:0", region=cone, first_pixels=np.append(inside[:2], [0, 47]))
    [send] = sends(state.handle(ScanStarted()))
    assert send.ipix.tolist() == inside[:2].tolist()
    with pytest.raises(UsageError, match="region"):
        make_state("2:0", region=cone, first_pixels=np.array([47]))


def test_scan_ends_when_nothing_is_left_to_refine(make_state: MakeState) -> None:
    state = make_state("1:0", "2:1")
    [first] = sends(state.handle(ScanStarted()))
    [second] = sends(answer(state, keys_of(first), lowest_at(4)))
    assert refinement_radius(1, 1) < 0.6
    out = answer(state, keys_of(second), lambda key: fit_of(0.5 + key[1]))
    assert out[-1] == ScanFinished()
    assert state.is_finished
    assert state.is_complete


def test_too_many_failed_pixels_end_the_scan_with_the_story(make_state: MakeState) -> None:
    state = make_state("8:0", max_failed_fraction=0.05)
    [send] = sends(state.handle(ScanStarted()))
    out = answer(state, keys_of(send)[:39], lambda _: Fit.failed("no light"))
    [aborted] = out
    assert isinstance(aborted, ScanAborted)
    assert "39 of 768 pixels have no finite fit, at most 38 tolerated" in aborted.reason
    assert "no light (39 times)" in aborted.reason
    assert (state.phase, state.is_finished, state.is_complete) == (Phase.ABORTED, True, False)
    assert len(state.failed_pixels()) == 39


def test_tolerated_failures_do_not_end_the_scan(make_state: MakeState) -> None:
    state = make_state("8:0", max_failed_fraction=0.05)
    [send] = sends(state.handle(ScanStarted()))
    out = answer(
        state, keys_of(send), lambda key: Fit.failed("no light") if key[1] < 38 else fit_of(1.0)
    )
    assert out == [LevelDone(8), ScanFinished()]
    assert len(state.nsides_dict()[8]) == 768 - 38


@pytest.mark.parametrize(("n_failed", "ends"), [(1, False), (2, True)])
def test_small_level_does_not_end_with_its_first_failure(
    make_state: MakeState, n_failed: int, ends: bool
) -> None:
    state = make_state("1:0", max_failed_fraction=0.05)
    [send] = sends(state.handle(ScanStarted()))
    answer(state, keys_of(send)[:n_failed], lambda _: Fit.failed("no light"))
    assert (state.phase is Phase.ABORTED) is ends


def test_level_in_which_everything_failed_ends_the_scan(make_state: MakeState) -> None:
    state = make_state("1:0", first_pixels=np.array([5]))
    state.handle(ScanStarted())
    [aborted] = state.handle(FitReceived((1, 5, 0), Fit.failed("no light")))
    assert isinstance(aborted, ScanAborted)


def test_no_tolerance_means_none(make_state: MakeState) -> None:
    state = make_state("8:0", max_failed_fraction=0.0)
    state.handle(ScanStarted())
    [aborted] = state.handle(FitReceived((8, 5, 0), Fit.failed("no light")))
    assert isinstance(aborted, ScanAborted)


def test_map_without_any_fit_is_no_map(make_state: MakeState) -> None:
    state = make_state("1:0", "2:1", max_failed_fraction=1.0)
    [send] = sends(state.handle(ScanStarted()))
    out = answer(state, keys_of(send), lambda _: Fit.failed("no light"))
    assert isinstance(out[-1], ScanAborted)
    assert "no pixel" in out[-1].reason


def test_after_the_end_answers_are_only_counted(make_state: MakeState) -> None:
    state = make_state("1:0", first_pixels=np.array([5]))
    state.handle(ScanStarted())
    assert state.handle(FitReceived((1, 5, 0), fit_of(1.0)))[-1] == ScanFinished()
    assert state.handle(FitReceived((1, 5, 0), fit_of(0.0))) == []
    assert state.handle(TaskFailedReceived((1, 5, 0), 1, "lost", "")) == []
    assert state.n_late == 2
    assert state.best == (1, 5, 1.0)


def test_events_out_of_turn_are_bugs(make_state: MakeState) -> None:
    state = make_state("1:0")
    with pytest.raises(InvalidTransitionError, match="new cannot have FitReceived"):
        state.handle(FitReceived((1, 0, 0), fit_of(1.0)))
    state.handle(ScanStarted())
    with pytest.raises(InvalidTransitionError, match="running cannot have ScanStarted"):
        state.handle(ScanStarted())
    with pytest.raises(InvalidTransitionError, match="str"):
        state.handle("anything")  # type: ignore[arg-type]  # the bug that is tested


@pytest.mark.parametrize(
    "settings",
    [
        {"n_variations": 0},
        {"n_variations": 65},
        {"threshold": 0.09},
        {"threshold": 1.01},
        {"threshold": math.nan},
        {"max_attempts": 0},
        {"max_failed_fraction": -0.1},
        {"max_failed_fraction": math.nan},
        {"first_pixels": np.array([], int)},
        {"first_pixels": np.array([12])},
        {"first_pixels": np.array([-1])},
    ],
)
def test_settings_out_of_range_are_refused(make_state: MakeState, settings: Any) -> None:
    with pytest.raises(UsageError):
        make_state("1:0", **settings)


def test_64_variations_fit(make_state: MakeState) -> None:
    state = make_state("1:0", n_variations=64, first_pixels=np.array([5]))
    [send] = sends(state.handle(ScanStarted()))
    out = answer(state, keys_of(send, 64), lambda key: fit_of(64.0 - key[2], x=key[2]))
    assert out[-1] == ScanFinished()
    assert state.nsides_dict()[1][5].position.x == 63.0


def test_state_does_not_keep_arrays_that_others_may_change(make_state: MakeState) -> None:
    given = np.array([3, 5])
    state = make_state("1:0", first_pixels=given)
    [send] = sends(state.handle(ScanStarted()))
    given[:] = 0
    send.ipix[:] = 1
    state.handle(FitReceived((1, 5, 0), fit_of(1.0)))
    assert list(state.nsides_dict()[1]) == [5]
