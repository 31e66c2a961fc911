"""Photons that are split on their way out: no mean changes, and light far away is known better.

Statistical bounds are 4.5 standard errors, from the spread of independent repeats where photons
score more than once (a right propagation fails one such comparison in 150 000 for many repeats, in
500 for ten); seeds are fixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from light_in_shells import ORIGIN, SIGMAS, SLANTED, UP, fall_off, in_shells, rings

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import N_CELLS, R_EDGES, axis_frame, find_cell
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.propagation import SHELLS, _follow, choose_splits, propagate
from uniform_ice import uniform_medium

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray


@pytest.mark.parametrize("kill", [1.0, 0.7])
def test_splitting_photons_changes_no_mean(kill: float) -> None:
    medium = uniform_medium(b=0.5, a=0.02)
    splits = np.ones(SHELLS.size, np.int64)
    splits[:5] = 2, 3, 1, 2, 2
    runs = [
        [
            propagate(ORIGIN, UP, medium, n_photons=500, seed=(20 + n, k), kill=kill, splits=chosen)
            for k in range(12)
        ]
        for n, chosen in enumerate((None, splits))
    ]
    shells = np.array([[rings(run.total) / 500 for run in some] for some in runs])
    mean, error = shells.mean(axis=1), shells.std(axis=1, ddof=1) / 12**0.5
    reached = np.all(mean > 1e-3, axis=0)
    off = (mean[0] - mean[1])[reached] / np.hypot(*error)[reached]
    assert reached.sum() > 12
    assert np.abs(off).max() < SIGMAS
    path = np.array([[run.path / 500 for run in some] for some in runs])
    error = SIGMAS * path.std(axis=1, ddof=1) / 12**0.5
    np.testing.assert_array_less(np.abs(path.mean(axis=1) - 50.0), error)


def test_split_light_far_away_is_that_of_diffusion_with_few_photons() -> None:
    b, a = 1.0, 0.02
    medium = uniform_medium(b=b, a=a)
    splits = choose_splits(ORIGIN, SLANTED, medium, seed=(30,), kill=0.5)
    runs = np.array(
        [
            rings(
                propagate(
                    ORIGIN, SLANTED, medium, n_photons=60, seed=(31, k), kill=0.5, splits=splits
                ).total
            )
            for k in range(10)
        ]
    )
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    far = np.flatnonzero((middle > 40) & (middle < 280))
    assert np.all(runs[:, far].mean(axis=0) > 0)  # light falls to e^-20 there
    rate = fall_off(b, a, 0.35)
    level = runs.mean(axis=0)[far] / in_shells(rate)[far]
    slope = np.polyfit(middle[far], np.log(level), 1)[0]
    assert abs(slope) < 0.03 * rate


def test_splits_make_up_for_the_photons_that_are_lost() -> None:
    dark = choose_splits(ORIGIN, UP, uniform_medium(b=1.0, a=0.05), seed=(1,))
    bright = choose_splits(ORIGIN, UP, uniform_medium(b=0.05, a=0.002), seed=(1,))
    assert dark.shape == SHELLS.shape
    assert dark.min() >= 1
    assert dark[:6].mean() > 2.0
    assert np.all(bright[:6] <= 2)
    again = choose_splits(ORIGIN, UP, uniform_medium(b=1.0, a=0.05), seed=(1,))
    np.testing.assert_array_equal(dark, again)


def test_photons_without_room_for_copies_are_not_split() -> None:
    medium = uniform_medium(b=0.5, a=0.005)
    for size in (0, 3):
        totals = (np.zeros(N_CELLS), np.zeros(N_CELLS), np.zeros((N_CELLS, 4)), np.zeros((0, 40)))
        path, _ = _follow(
            ORIGIN, UP, axis_frame(UP), medium, 1500, 1.0, False,
            np.array([1, 2, 3, 4], np.uint64), np.full(SHELLS.size, 6), np.empty((size, 9)), totals,
            np.zeros(SHELLS.size, np.int64),
        )  # fmt: skip
        assert path / 1500 == pytest.approx(200.0, rel=0.2)


def test_split_places_and_times_lie_where_they_should() -> None:
    medium = make_medium(IceModel.load())
    record = propagate(
        np.array([0.0, 0.0, -60.0]),
        UP,
        medium,
        n_photons=50,
        seed=(32,),
        kill=0.5,
        record_times=True,
        splits=np.full(SHELLS.size, 2),
    )
    np.testing.assert_allclose(record.times.sum(axis=1), record.total, rtol=1e-9)
    frame = axis_frame(UP)
    for cell in np.flatnonzero(record.total > 0):
        x, y, z = record.place[cell]
        assert find_cell(x, y, z, frame) == cell
    assert record.delay.min() > -1e-4


@pytest.mark.parametrize("splits", [np.ones(3), np.zeros(16), np.full(16, -1), np.full(16, 1.5)])
def test_illegal_splits_are_refused(splits: FloatArray) -> None:
    with pytest.raises(UsageError, match="splits"):
        propagate(
            ORIGIN,
            UP,
            uniform_medium(b=0.1, a=0.1),
            n_photons=5,
            seed=(1,),
            splits=splits,  # type: ignore[arg-type]  # wrong on purpose
        )
