"""What a scan makes of answers: fits, failures, repeats and answers to nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scan_steps import MakeState, answer, fit_of, keys_of, lowest_at, sends

from skymap_scanner.pixels import Fit, TaskKey
from skymap_scanner.scan.state import FitReceived, Ignored, Resend, ScanStarted, TaskFailedReceived


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
