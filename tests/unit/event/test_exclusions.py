"""Which modules are left out, on series and windows made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from handmade_events import event_frames

from skymap_scanner.event import event_from_frames
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.exclusions import (
    bright_modules,
    is_on_sparse_grid,
    saturated_modules,
    usable_modules,
)
from skymap_scanner.event.pulses import PulseSeries

if TYPE_CHECKING:
    from skymap_scanner.event.event import Event, ExcludedWindows

NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def event() -> Event:
    return event_from_frames(event_frames(), version="2023a")


def _with_windows(event: Event, **windows: ExcludedWindows) -> Event:
    return replace(event, excluded_windows=windows)


def test_bright_is_more_than_the_factor_times_the_mean_of_hit_modules() -> None:
    # mean of the three: 4 PE
    series = PulseSeries.from_columns([9, 2, 2, 5], np.zeros(4), [8.0, 1.0, 1.0, 2.0])
    assert bright_modules(series, 1.9).tolist() == [9]
    assert bright_modules(series, 2.0).tolist() == []
    assert bright_modules(series, 0.0).tolist() == [2, 5, 9]


def test_charge_of_all_pulses_of_a_module_counts() -> None:
    series = PulseSeries.from_columns([1, 1, 1, 1, 2, 3], np.arange(6.0), np.ones(6))
    assert bright_modules(series, 1.9).tolist() == [1]


@pytest.mark.parametrize("charge", [0.0, 1.0])
def test_equal_modules_are_not_bright(charge: float) -> None:
    series = PulseSeries.from_columns([1, 2, 3], np.zeros(3), np.full(3, charge))
    assert len(bright_modules(series, 1.0)) == 0


def test_no_pulses_have_no_bright_modules() -> None:
    found = bright_modules(PulseSeries.from_columns([], [], []), 10.0)
    assert found.shape == (0,)
    assert found.dtype == np.int64


def test_saturated_modules_are_those_with_windows(event: Event) -> None:
    assert saturated_modules(event).tolist() == []
    windows: ExcludedWindows = {7: [(0.0, 1.0)], 3: [(2.0, 3.0), (4.0, 5.0)], 5: []}
    marked = _with_windows(event, SaturationWindows=windows, CalibrationErrata={9: [(0.0, 1.0)]})
    assert saturated_modules(marked).tolist() == [3, 7]


def test_modules_count_that_are_alive_not_deepcore_not_saturated_and_not_excluded(
    event: Event,
) -> None:
    detector = built_in_detector().with_dead([(1, 1), (2, 3)])
    marked = replace(_with_windows(event, SaturationWindows={10: [(0.0, 1.0)]}), detector=detector)
    is_usable = usable_modules(marked, np.array([20, 21]))
    out = {detector.index_of(1, 1), detector.index_of(2, 3), 10, 20, 21}
    out |= set(np.flatnonzero(detector.om_key[:, 0] >= 79).tolist())
    assert set(np.flatnonzero(~is_usable).tolist()) == out


def test_what_counts_is_worked_out_without_changing_the_detector(event: Event) -> None:
    before = event.detector.is_alive.copy()
    first = usable_modules(event, np.array([5]))
    assert not first[5]
    assert usable_modules(event, NONE)[5]
    assert np.array_equal(event.detector.is_alive, before)


def test_deepcore_is_480_of_the_modules(event: Event) -> None:
    assert np.count_nonzero(~usable_modules(event, NONE)) == 8 * 60


def test_the_sparse_grid_is_every_other_string_and_every_fifth_module() -> None:
    detector = built_in_detector()
    is_chosen = is_on_sparse_grid(detector)
    assert is_chosen.sum() == 252
    string, om = detector.om_key[is_chosen].T
    assert sorted(set(om.tolist())) == list(range(1, 57, 5))
    assert len(set(string.tolist())) == 21
    assert string.max() < 79
    # evenly: no place between the strings is farther from a chosen one than from its neighbour
    xy = np.unique(detector.om_xyz[is_chosen][:, :2], axis=0)
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=-1) + np.where(np.eye(21), np.inf, 0.0)
    assert apart.min() > 180.0
    assert apart.min(axis=1).max() < 290.0
