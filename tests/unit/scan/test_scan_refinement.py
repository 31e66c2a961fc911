"""Which pixels a scan sends, when, and where their fits start."""

from __future__ import annotations

import numpy as np
from scan_steps import MakeState, answer, fit_of, keys_of, lowest_at, sends, with_moved_best

from skymap_scanner.pixels import Fit
from skymap_scanner.scan.state import FitReceived, LevelDone, ScanFinished, ScanStarted, SendPixels
from skymap_scanner.sky.healpix import children, parents
from skymap_scanner.sky.refinement import pixels_to_refine
from skymap_scanner.sky.region import Cone


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
