"""Cleaning on pulses made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.cleaning import best_window, clean_series_for_tracks, seeded_rt
from skymap_scanner.event.detector import Detector, built_in_detector
from skymap_scanner.event.pulses import PulseSeries

HLC, SLC = 1, 0


def _line(n_om: int, spacing: float) -> Detector:
    """Modules on a vertical line."""
    z = spacing * np.arange(n_om)
    return Detector(
        om_key=np.column_stack([np.ones(n_om, np.int64), np.arange(1, n_om + 1)]),
        om_xyz=np.column_stack([np.zeros(n_om), np.zeros(n_om), z]),
        rel_efficiency=np.ones(n_om),
        is_alive=np.ones(n_om, dtype=np.bool_),
        source="line",
    )


def _pulses(*rows: tuple[int, float, int]) -> PulseSeries:
    om, time, flags = zip(*rows, strict=True)
    return PulseSeries.from_columns(om, time, np.ones(len(om)), np.zeros(len(om)), flags)


def test_a_core_pulse_needs_two_other_local_coincidence_pulses() -> None:
    detector = _line(3, 100.0)
    two = _pulses((0, 0.0, HLC), (1, 0.0, HLC), (1, 10.0, SLC))
    three = _pulses((0, 0.0, HLC), (1, 0.0, HLC), (1, 10.0, HLC))
    assert not seeded_rt(two, detector).any()
    assert seeded_rt(three, detector).all()


def test_pulses_of_one_module_are_neighbours() -> None:
    series = _pulses((0, 0.0, HLC), (0, 500.0, HLC), (0, 1000.0, HLC))
    # The first and the last are 1000 ns apart: just linked.
    assert seeded_rt(series, _line(1, 1.0)).all()


@pytest.mark.parametrize(("spacing", "kept"), [(150.0, True), (150.01, False)])
def test_the_radius_is_inclusive(spacing: float, *, kept: bool) -> None:
    core = [(0, 0.0, HLC), (0, 1.0, HLC), (0, 2.0, HLC)]
    series = _pulses(*core, (1, 0.0, SLC))
    assert seeded_rt(series, _line(2, spacing))[-1] == kept


@pytest.mark.parametrize(("time", "kept"), [(1000.0, True), (-1000.0, True), (1000.5, False)])
def test_the_time_is_inclusive(time: float, *, kept: bool) -> None:
    core = [(0, 0.0, HLC), (0, 0.0, HLC), (0, 0.0, HLC)]
    assert seeded_rt(_pulses(*core, (1, time, SLC)), _line(2, 10.0))[-1] == kept


def test_growth_ends_after_three_steps() -> None:
    core = [(0, 0.0, HLC), (0, 0.0, HLC), (0, 0.0, HLC)]
    chain = [(step, 0.0, SLC) for step in range(1, 6)]
    is_kept = seeded_rt(_pulses(*core, *chain), _line(6, 150.0))
    assert is_kept.tolist() == [True] * 3 + [True, True, True, False, False]


def test_no_pulses_give_no_pulses() -> None:
    empty = PulseSeries.from_columns([], [], [])
    assert seeded_rt(empty, _line(1, 1.0)).shape == (0,)
    assert best_window(empty).shape == (0,)
    assert clean_series_for_tracks(empty, _line(1, 1.0)).n_pulses == 0


def test_of_equal_windows_the_earliest_wins_and_ends_count() -> None:
    times = [0.0, 6000.0, 7000.0, 13000.0]
    series = _pulses(*((0, time, HLC) for time in times))
    assert best_window(series).tolist() == [True, True, False, False]


def test_the_fullest_window_wins() -> None:
    series = _pulses(*((0, time, HLC) for time in [0.0, 9000.0, 9001.0, 15001.0, 15001.0]))
    assert best_window(series).tolist() == [False, False, True, True, True]


def test_the_track_chain_drops_deepcore_but_lets_it_vote() -> None:
    detector = built_in_detector()
    inner = [detector.index_of(86, 40), detector.index_of(86, 41)]
    outer = detector.index_of(36, 54)  # on the string next to it, as deep
    series = PulseSeries.from_columns(
        [*inner, outer], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0], flags=[HLC, HLC, HLC]
    )
    assert clean_series_for_tracks(series, detector).om_index.tolist() == [outer]


def test_thirty_thousand_simultaneous_pulses_need_little_memory() -> None:
    import tracemalloc

    rng = np.random.default_rng(4)
    detector = built_in_detector()
    n_pulses = 30_000
    series = PulseSeries.from_columns(
        rng.integers(0, detector.n_om, n_pulses),
        rng.uniform(0.0, 3000.0, n_pulses),
        np.ones(n_pulses),
        flags=rng.integers(0, 2, n_pulses),
    )
    tracemalloc.start()
    try:
        is_kept = seeded_rt(series, detector)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert is_kept.all()
    assert peak < 200e6  # all pairs of pulses would take 900 MB as single bytes
