"""What the scan decides, event by event."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from skymap_scanner.exceptions import InvalidTransitionError, UsageError
from skymap_scanner.pixels import Fit, FitStatus, TaskKey
from skymap_scanner.scan.state import (
    FitReceived,
    Ignored,
    Instruction,
    LevelDone,
    Phase,
    Resend,
    ScanAborted,
    ScanFinished,
    ScanStarted,
    ScanState,
    SendPixels,
    TaskFailedReceived,
)
from skymap_scanner.sky.healpix import angular_distance, children, parents, pixel_centers
from skymap_scanner.sky.progression import NSideProgression
from skymap_scanner.sky.refinement import pixels_to_refine, refinement_radius
from skymap_scanner.sky.region import Cone

MakeState = Callable[..., ScanState]


@pytest.fixture
def make_state() -> Iterator[MakeState]:
    """Make states whose invariants are checked after the test."""
    states: list[ScanState] = []

    def make(*steps: str, n_variations: int = 1, **settings: Any) -> ScanState:
        state = ScanState(NSideProgression.parse(steps), n_variations, **settings)
        states.append(state)
        return state

    yield make
    for state in states:
        state.check_invariants()


def fit_of(nll: float, x: float = 1.0) -> Fit:
    return Fit(FitStatus.OK, "", nll, (x, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)


def sends(instructions: list[Instruction]) -> list[SendPixels]:
    return [instruction for instruction in instructions if isinstance(instruction, SendPixels)]


def keys_of(send: SendPixels, n_variations: int = 1) -> list[TaskKey]:
    return [(send.nside, ipix, v) for ipix in send.ipix.tolist() for v in range(n_variations)]


def answer(state: ScanState, keys: list[TaskKey], fit: Callable[[TaskKey], Fit]) -> Any:
    """Answer tasks and return all instructions that come back."""
    return [out for key in keys for out in state.handle(FitReceived(key, fit(key)))]


def lowest_at(ipix: int) -> Callable[[TaskKey], Fit]:
    return lambda key: fit_of(1.0 if key[1] == ipix else 10.0 + key[1])


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


def test_cone_scan_covers_its_cone_and_refines_inside_of_it(make_state: MakeState) -> None:
    cone = Cone.from_degrees(40.0, 10.0, 25.0)
    state = make_state("2:0", "8:10", "32:20", region=cone)
    todo = sends(state.handle(ScanStarted()))
    assert todo[0].ipix.tolist() == cone.overlapping(2).tolist() != cone.pixels(2).tolist()
    while todo:
        send = todo.pop()
        assert send.nside == 2 or np.isin(send.ipix, cone.pixels(send.nside)).all()
        todo += sends(answer(state, keys_of(send), lowest_at(int(send.ipix[0]))))
    assert state.is_complete
    assert state.nsides_dict()[32]


def test_pointed_scan_in_a_cone_begins_with_what_both_have(make_state: MakeState) -> None:
    cone = Cone.from_degrees(40.0, 10.0, 25.0)
    inside = cone.pixels(2)
    state = make_state("2:0", region=cone, first_pixels=np.append(inside[:2], [0, 47]))
    [send] = sends(state.handle(ScanStarted()))
    assert send.ipix.tolist() == inside[:2].tolist()
    with pytest.raises(UsageError, match="region"):
        make_state("2:0", region=cone, first_pixels=np.array([47]))


def test_around_the_best_pixel_all_are_refined(make_state: MakeState) -> None:
    state = make_state("2:0", "16:4")
    [first] = sends(state.handle(ScanStarted()))
    out = answer(state, keys_of(first), lowest_at(20))
    assert [type(instruction) for instruction in out] == [LevelDone, SendPixels]
    refined = pixels_to_refine(2, 4, (2, 20))
    expected = np.sort(children(2, refined, 16).ravel())
    np.testing.assert_array_equal(out[1].ipix, expected)
    assert (out[1].nside, out[1].level) == (16, 1)


def test_finer_pixels_start_from_the_fit_of_the_pixel_around_them(make_state: MakeState) -> None:
    state = make_state("2:0", "4:4")
    [first] = sends(state.handle(ScanStarted()))
    [finer] = sends(answer(state, keys_of(first), lambda key: fit_of(key[1], x=100.0 + key[1])))
    coarse = parents(4, finer.ipix, 2)
    np.testing.assert_array_equal(finer.parents[:, 0], 100.0 + coarse)
    np.testing.assert_array_equal(
        finer.parents[:, 1:], np.tile([2.0, 3.0, 4.0, 5.0], (len(coarse), 1))
    )


def test_where_the_coarser_fit_failed_the_next_coarser_is_taken(make_state: MakeState) -> None:
    state = make_state("1:0", "2:1", "4:4", max_failed_fraction=1.0)
    [first] = sends(state.handle(ScanStarted()))
    fits = {key: fit_of(1.0 if key[1] == 4 else 5.0, x=100.0 + key[1]) for key in keys_of(first)}
    [middle] = sends(answer(state, keys_of(first), fits.__getitem__))
    bad = int(middle.ipix[0])
    fine = sends(
        answer(
            state,
            keys_of(middle),
            lambda key: Fit.failed("no light") if key[1] == bad else fit_of(0.5, x=200.0 + key[1]),
        )
    )[-1]
    assert fine.nside == 4
    inside = parents(4, fine.ipix, 2) == bad
    assert inside.sum() == 4, "a failed pixel near the best one is refined as well"
    np.testing.assert_array_equal(fine.parents[inside, 0], 100.0 + parents(2, [bad], 1)[0])
    np.testing.assert_array_equal(
        fine.parents[~inside, 0], 200.0 + parents(4, fine.ipix[~inside], 2)
    )


def test_where_no_coarser_fit_is_there_the_row_is_nan(make_state: MakeState) -> None:
    state = make_state("1:0", "2:4", max_failed_fraction=0.5)
    [first] = sends(state.handle(ScanStarted()))
    near = int(pixels_to_refine(1, 4, (1, 4))[0])
    assert near != 4
    [finer] = sends(
        answer(
            state,
            keys_of(first),
            lambda key: Fit.failed("no light") if key[1] == near else lowest_at(4)(key),
        )
    )
    inside = parents(2, finer.ipix, 1) == near
    assert inside.any()
    assert np.isnan(finer.parents[inside]).all()
    assert np.isfinite(finer.parents[~inside]).all()


def test_scan_ends_when_nothing_is_left_to_refine(make_state: MakeState) -> None:
    state = make_state("1:0", "2:1")
    [first] = sends(state.handle(ScanStarted()))
    [second] = sends(answer(state, keys_of(first), lowest_at(4)))
    assert refinement_radius(1, 1) < 0.6
    out = answer(state, keys_of(second), lambda key: fit_of(0.5 + key[1]))
    assert out[-1] == ScanFinished()
    assert state.is_finished
    assert state.is_complete


def with_moved_best(state: ScanState) -> list[SendPixels]:
    """Let the finer pixel farthest from the first best be the best; return what is sent then."""
    [first] = sends(state.handle(ScanStarted()))
    [second] = sends(answer(state, keys_of(first), lowest_at(0)))
    centers = pixel_centers(second.nside, second.ipix)
    best = pixel_centers(first.nside, [0])
    farthest = int(second.ipix[np.argmax(angular_distance(*centers, *best))])
    third = sends(
        answer(state, keys_of(second), lambda key: fit_of(0.0 if key[1] == farthest else 50.0))
    )
    assert not set(third[0].ipix) & set(second.ipix), "what was sent is not sent again"
    return third


def test_when_the_best_pixel_moves_its_surroundings_are_refined_too(make_state: MakeState) -> None:
    state = make_state("4:0", "8:4")
    [third] = with_moved_best(state)
    assert third.nside == 8
    best = state.best
    assert best is not None
    expected = children(4, pixels_to_refine(4, 4, best[:2]), 8)
    table = state.nsides_dict()[8]
    new = [ipix for ipix in np.sort(expected.ravel()).tolist() if ipix not in table]
    assert third.ipix.tolist() == new
    assert answer(state, keys_of(third), lambda key: fit_of(50.0 + key[1]))[-1] == ScanFinished()


def test_best_of_the_variations_is_kept(make_state: MakeState) -> None:
    state = make_state("1:0", n_variations=3)
    state.handle(ScanStarted())
    for variation, nll in ((2, 5.0), (0, 7.0)):
        state.handle(FitReceived((1, 3, variation), fit_of(nll, x=variation)))
        assert 3 not in state.nsides_dict()[1], "not all variations are there"
        assert state.best is None
    state.handle(FitReceived((1, 3, 1), Fit.failed("no light")))
    assert state.nsides_dict()[1][3].llh == 5.0
    assert state.nsides_dict()[1][3].position.x == 2.0
    assert state.nsides_dict()[1][3].energy == 5.0
    assert state.best == (1, 3, 5.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_equal_fits_the_lower_variation_wins(
    make_state: MakeState, order: tuple[int, ...]
) -> None:
    state = make_state("1:0", n_variations=3)
    state.handle(ScanStarted())
    for variation in order:
        state.handle(FitReceived((1, 3, variation), fit_of(5.0, x=variation)))
    assert state.nsides_dict()[1][3].position.x == 0.0


@pytest.mark.parametrize("order", [(4, 7), (7, 4)])
def test_of_equal_pixels_the_lower_index_is_the_best(
    make_state: MakeState, order: tuple[int, int]
) -> None:
    state = make_state("1:0")
    state.handle(ScanStarted())
    for ipix in order:
        state.handle(FitReceived((1, ipix, 0), fit_of(5.0)))
    assert state.best == (1, 4, 5.0)


@pytest.mark.parametrize("nll", [math.nan, math.inf, -math.inf])
def test_fit_without_finite_nll_is_a_failed_one(make_state: MakeState, nll: float) -> None:
    state = make_state("1:0")
    state.handle(ScanStarted())
    state.handle(FitReceived((1, 3, 0), fit_of(nll)))
    state.handle(FitReceived((1, 4, 0), fit_of(3.0)))
    assert state.best == (1, 4, 3.0)
    [failed] = state.failed_pixels()
    assert (failed.nside, failed.ipix) == (1, 3)
    assert str(nll) in failed.reasons[0]


def test_repeated_delivery_changes_nothing(make_state: MakeState) -> None:
    state = make_state("1:0", n_variations=2)
    state.handle(ScanStarted())
    first = FitReceived((1, 3, 0), fit_of(5.0))
    state.handle(first)
    counts = state.counts()
    assert state.handle(first) == []
    assert state.handle(FitReceived((1, 3, 0), fit_of(1.0))) == []
    assert state.handle(TaskFailedReceived((1, 3, 0), 1, "crash", "signal 11")) == []
    assert state.counts() == counts
    assert state.n_done == 1
    assert state.n_duplicates == 3


@pytest.mark.parametrize(
    "key", [(1, 12, 0), (1, -1, 0), (2, 0, 0), (1, 0, 2), (1, 0, -1), (4, 1, 0)]
)
def test_answer_to_nothing_is_counted_and_never_accepted(
    make_state: MakeState, key: TaskKey
) -> None:
    state = make_state("1:0", "4:1", n_variations=2)
    state.handle(ScanStarted())
    [ignored] = state.handle(FitReceived(key, fit_of(0.0)))
    assert isinstance(ignored, Ignored)
    assert ignored.key == key
    [ignored] = state.handle(TaskFailedReceived(key, 1, "crash", ""))
    assert isinstance(ignored, Ignored)
    assert state.n_unknown == 2
    assert state.n_done == 0
    assert not state.has_outcome(key)


def test_failed_task_is_sent_again_with_its_parent(make_state: MakeState) -> None:
    state = make_state("1:0", "2:1")
    [first] = sends(state.handle(ScanStarted()))
    [resend] = state.handle(TaskFailedReceived((1, 0, 0), 1, "crash", "signal 11"))
    assert isinstance(resend, Resend)
    assert (resend.key, resend.attempt, resend.level) == ((1, 0, 0), 2, 0)
    assert np.isnan(resend.parent).all()
    [second] = sends(answer(state, keys_of(first), lowest_at(4)))
    for row, key in enumerate(keys_of(second)):
        [resend] = state.handle(TaskFailedReceived(key, 1, "timeout", "too long"))
        assert isinstance(resend, Resend)
        np.testing.assert_array_equal(resend.parent, second.parents[row])


def test_last_attempt_makes_a_recorded_failure(make_state: MakeState) -> None:
    state = make_state("1:0", n_variations=2)
    state.handle(ScanStarted())
    for attempt in (1, 2):
        [resend] = state.handle(TaskFailedReceived((1, 3, 1), attempt, "crash", "signal 11"))
        assert isinstance(resend, Resend)
        assert resend.attempt == attempt + 1
    assert state.handle(TaskFailedReceived((1, 3, 1), 3, "timeout", "1800 s")) == []
    assert (state.n_done, state.n_failed) == (1, 1)
    [failed] = state.failed_variations()
    assert failed.key == (1, 3, 1)
    assert failed.reasons == (
        "attempt 1: crash: signal 11",
        "attempt 2: crash: signal 11",
        "attempt 3: timeout: 1800 s",
    )
    assert state.failed_pixels() == [], "the other variation may still be good"
    state.handle(FitReceived((1, 3, 0), fit_of(5.0)))
    assert state.failed_pixels() == []
    assert state.nsides_dict()[1][3].llh == 5.0


def test_stale_failure_triggers_no_second_resend(make_state: MakeState) -> None:
    state = make_state("1:0")
    state.handle(ScanStarted())
    assert state.handle(TaskFailedReceived((1, 3, 0), 1, "crash", ""))
    assert state.handle(TaskFailedReceived((1, 3, 0), 1, "lost", "")) == []
    assert state.n_stale == 1
    [resend] = state.handle(TaskFailedReceived((1, 3, 0), 2, "crash", ""))
    assert isinstance(resend, Resend)
    assert resend.attempt == 3


def test_result_of_an_earlier_attempt_is_as_good_as_any(make_state: MakeState) -> None:
    state = make_state("1:0")
    state.handle(ScanStarted())
    state.handle(TaskFailedReceived((1, 3, 0), 1, "timeout", "1800 s"))
    state.handle(FitReceived((1, 3, 0), fit_of(5.0)))
    assert state.n_failed == 0
    assert state.handle(TaskFailedReceived((1, 3, 0), 2, "crash", "")) == []
    assert state.failed_variations() == []


def test_what_may_take_its_clients_along_is_sent_once_more_and_alone(
    make_state: MakeState,
) -> None:
    state = make_state("1:0", max_attempts=3)
    state.handle(ScanStarted())
    lost = TaskFailedReceived((1, 3, 0), 1, "lost", "3 clients vanished")
    [resend] = state.handle(lost)
    assert isinstance(resend, Resend)
    assert (resend.attempt, resend.alone) == (3, True)
    assert state.handle(lost) == []  # said again: stale
    assert state.handle(TaskFailedReceived((1, 3, 0), 3, "lost", "3 clients vanished")) == []
    [failed] = state.failed_variations()
    assert failed.reasons == (
        "attempt 1: lost: 3 clients vanished",
        "attempt 3: lost: 3 clients vanished",
    )


def test_one_attempt_means_one(make_state: MakeState) -> None:
    state = make_state("1:0", max_attempts=1)
    state.handle(ScanStarted())
    assert state.handle(TaskFailedReceived((1, 3, 0), 1, "crash", "")) == []
    assert state.n_failed == 1


def test_failed_fit_is_not_tried_again(make_state: MakeState) -> None:
    state = make_state("1:0")
    state.handle(ScanStarted())
    assert state.handle(FitReceived((1, 3, 0), Fit.failed("no light"))) == []
    assert state.failed_pixels()[0].reasons == ("variation 0, attempt 1: no light",)


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


def test_predictive_scanning_sends_finer_pixels_early(make_state: MakeState) -> None:
    state = make_state("2:0", "4:2", "8:2", threshold=0.5)
    [first] = sends(state.handle(ScanStarted()))
    keys = keys_of(first)
    assert answer(state, keys[:23], lowest_at(0)) == []
    [early] = answer(state, keys[23:24], lowest_at(0))
    assert early.nside == 4
    sent = set(early.ipix.tolist())
    for end in (28, 29, 33, 34):  # 0.6 of 48 pixels are 28.8, 0.7 are 33.6
        out = sends(answer(state, keys[end - 4 : end], lowest_at(0)))
        assert not any(sent & set(send.ipix.tolist()) for send in out)
    assert state.n_outstanding > 0


def test_predictive_scanning_still_ends_with_everything_collected(make_state: MakeState) -> None:
    state = make_state("2:0", "4:2", "8:2", threshold=0.1)
    todo = [key for send in sends(state.handle(ScanStarted())) for key in keys_of(send)]
    rng = np.random.default_rng(3)
    while todo:
        key = todo.pop(int(rng.integers(len(todo))))
        out = state.handle(FitReceived(key, fit_of(float(key[1] % 17) - key[0])))
        todo += [new for send in sends(out) for new in keys_of(send)]
    assert state.is_complete
    assert state.n_done == state.n_sent


def test_without_prediction_a_done_level_waits_for_the_others(make_state: MakeState) -> None:
    state = make_state("4:0", "8:4", "16:4")
    middle, fine = with_moved_best(state)
    assert (middle.nside, fine.nside) == (8, 16)
    # a better pixel starts no round yet: which one is best may still change
    out = answer(state, keys_of(fine), lambda key: fit_of(-1.0 - key[1]))
    assert out == [LevelDone(16)]
    assert sends(answer(state, keys_of(middle), lambda key: fit_of(50.0 + key[1])))


def test_state_does_not_keep_arrays_that_others_may_change(make_state: MakeState) -> None:
    given = np.array([3, 5])
    state = make_state("1:0", first_pixels=given)
    [send] = sends(state.handle(ScanStarted()))
    given[:] = 0
    send.ipix[:] = 1
    state.handle(FitReceived((1, 5, 0), fit_of(1.0)))
    assert list(state.nsides_dict()[1]) == [5]
