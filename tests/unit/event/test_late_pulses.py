"""Late and stray pulses on series made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.event.late_pulses import (
    CleanedPulses,
    clean_stray_pulses,
    cut_late_pulses,
)
from skymap_scanner.event.pulses import PulseSeries

WINDOW = (-1000.0, 30_000.0)
#: Pulses as (module, time, charge), on a grid on which limits are met exactly and often.
PULSES = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 40).map(lambda step: 250.0 * step),
        st.integers(0, 4).map(float),
    ),
    max_size=40,
)


def _pulses(*rows: tuple[int, float, float]) -> PulseSeries:
    om, time, charge = zip(*rows, strict=True) if rows else ((), (), ())
    return PulseSeries.from_columns(om, time, charge)


def _rows(series: PulseSeries) -> list[tuple[int, float, float]]:
    columns = (series.om_index.tolist(), series.time.tolist(), series.charge.tolist())
    return list(zip(*columns, strict=True))


def _obvious_median(times: list[float], charges: list[float]) -> float:
    """First time at which half of the charge has come."""
    total, so_far = sum(charges), 0.0
    for time, charge in sorted(zip(times, charges, strict=True)):
        so_far += charge
        if so_far >= 0.5 * total:
            return time
    raise AssertionError


# --- millipede_original ---------------------------------------------------------------------------


def test_a_pulse_exactly_at_the_limit_is_late() -> None:
    series = _pulses((3, 0.0, 5.0), (3, 1499.9, 1.0), (3, 1500.0, 1.0), (3, 9000.0, 1.0))
    cleaned = cut_late_pulses(series, WINDOW)
    assert _rows(cleaned.series) == [(3, 0.0, 5.0), (3, 1499.9, 1.0)]
    assert cleaned.ends == {3: 1500.0}


def test_the_median_counts_charge_and_not_pulses() -> None:
    heavy = _pulses((0, 0.0, 1.0), (0, 100.0, 1.0), (0, 5000.0, 10.0))
    assert len(cut_late_pulses(heavy, WINDOW).series) == 3
    light = _pulses((0, 0.0, 1.0), (0, 100.0, 1.0), (0, 5000.0, 1.0))
    assert cut_late_pulses(light, WINDOW).ends == {0: 1600.0}


def test_half_of_the_charge_is_enough_for_the_median() -> None:
    series = _pulses((0, 0.0, 2.0), (0, 1600.0, 2.0))
    assert cut_late_pulses(series, WINDOW).ends == {0: 1500.0}


def test_the_order_of_the_pulses_of_a_module_does_not_matter() -> None:
    series = _pulses((1, 9000.0, 1.0), (1, 0.0, 5.0), (1, 200.0, 1.0))
    cleaned = cut_late_pulses(series, WINDOW)
    assert _rows(cleaned.series) == [(1, 0.0, 5.0), (1, 200.0, 1.0)]


def test_modules_with_one_pulse_keep_it_and_modules_that_lose_nothing_have_no_end() -> None:
    series = _pulses((0, 0.0, 1.0), (1, 50_000.0, 1.0), (2, 0.0, 1.0), (2, 10.0, 1.0))
    cleaned = cut_late_pulses(series, WINDOW)
    assert len(cleaned.series) == 4
    assert cleaned.ends == {}


def test_the_residual_is_obeyed_and_the_window_handed_through() -> None:
    series = _pulses((0, 0.0, 3.0), (0, 2000.0, 1.0))
    assert cut_late_pulses(series, WINDOW, 3000.0).ends == {}
    assert cut_late_pulses(series, WINDOW, 500.0).ends == {0: 500.0}
    assert cut_late_pulses(series, WINDOW).window == WINDOW


def test_without_any_residual_all_pulses_of_a_module_may_go() -> None:
    cleaned = cut_late_pulses(_pulses((0, 7.0, 1.0), (0, 8.0, 0.0)), WINDOW, 0.0)
    assert len(cleaned.series) == 0
    assert cleaned.ends == {0: 7.0}


def test_modules_without_charge_have_the_median_of_their_pulses() -> None:
    series = _pulses((0, 0.0, 0.0), (0, 10.0, 0.0), (0, 9000.0, 0.0))
    cleaned = cut_late_pulses(series, WINDOW)
    assert cleaned.ends == {0: 1510.0}
    assert cleaned.series.time.tolist() == [0.0, 10.0]


def test_no_pulses_stay_no_pulses() -> None:
    cleaned = cut_late_pulses(_pulses(), WINDOW)
    assert (len(cleaned.series), cleaned.ends, cleaned.window) == (0, {}, WINDOW)


@given(pulses=PULSES, residual=st.sampled_from([250.0, 1500.0, 3000.0]))
def test_late_pulses_are_those_of_the_definition(
    pulses: list[tuple[int, float, float]], residual: float
) -> None:
    cleaned = cut_late_pulses(_pulses(*pulses), WINDOW, residual)
    kept = []
    for om in range(6):
        own = [row for row in pulses if row[0] == om]
        weights = [row[2] for row in own]
        if len(own) > 1:
            weights = weights if sum(weights) > 0.0 else [1.0] * len(own)
            end = _obvious_median([row[1] for row in own], weights) + residual
            stay = [row for row in own if row[1] < end]
            assert cleaned.ends.get(om) == (end if len(stay) < len(own) else None)
            own = stay
        kept += own
    assert _rows(cleaned.series) == kept


# --- millipede_wilks ------------------------------------------------------------------------------


def _event() -> list[tuple[int, float, float]]:
    """Most of the charge between 10000 and 11000 ns, in modules 0 to 9."""
    return [(om, 10_000.0 + 100.0 * om, 10.0) for om in range(10)]


def test_the_event_lasts_from_its_first_to_its_last_charge_and_a_margin() -> None:
    far = [(20, 2000.0, 0.1), (21, 25_000.0, 0.1)]
    cleaned = clean_stray_pulses(_pulses(*_event(), *far))
    # 10 % of 100.2 PE have come with the first of them, 95 % with the last
    assert cleaned.window == (10_000.0 - 1000.0, 10_900.0 + 1000.0)
    assert _rows(cleaned.series) == _event()
    assert cleaned.ends == {20: 3500.0, 21: 11_900.0}


def test_the_window_does_not_exceed_the_pulses_and_its_end_is_outside() -> None:
    cleaned = clean_stray_pulses(_pulses(*_event()))
    assert cleaned.window == (10_000.0, 10_900.0)
    assert _rows(cleaned.series) == _event()[:-1]
    assert cleaned.ends == {9: 10_900.0}


def test_a_module_that_lost_an_early_pulse_ends_all_the_same() -> None:
    cleaned = clean_stray_pulses(_pulses(*_event(), (5, 1000.0, 0.1), (30, 20_000.0, 0.1)))
    assert cleaned.ends[5] == min(10_500.0 + 1500.0, cleaned.window[1])
    assert (5, 10_500.0, 10.0) in _rows(cleaned.series)


def test_late_pulses_within_the_event_are_cut() -> None:
    long = [(40, 10_000.0 + 100.0 * step, 100.0) for step in range(60)]
    cleaned = clean_stray_pulses(
        _pulses(*long, (1, 10_000.0, 3.0), (1, 10_001.0, 1.0), (1, 11_500.0, 1.0))
    )
    assert cleaned.ends[1] == 11_500.0
    assert cleaned.series.time[cleaned.series.om_index == 1].tolist() == [10_000.0, 10_001.0]


@pytest.mark.parametrize(
    ("gap", "n_pulses", "is_noise"),
    [(1200.0, 3, False), (1200.5, 3, True), (5000.0, 2, False), (1300.0, 4, True)],
)
def test_noise_is_at_least_two_gaps_whose_median_is_long(
    gap: float, n_pulses: int, is_noise: bool
) -> None:
    strange = [(50, 9500.0 + gap * k, 0.01) for k in range(n_pulses)]
    cleaned = clean_stray_pulses(_pulses(*_event(), *strange, (60, 40_000.0, 0.01)))
    assert (50 not in cleaned.series.om_index) == is_noise
    assert (50 in cleaned.ends) == (not is_noise)


@pytest.mark.parametrize("rows", [[], [(0, 5.0, 0.0), (1, 6.0, 0.0)]])
def test_without_charge_nothing_remains(rows: list[tuple[int, float, float]]) -> None:
    cleaned = clean_stray_pulses(_pulses(*rows))
    assert (len(cleaned.series), cleaned.ends) == (0, {})


def test_of_one_moment_nothing_remains() -> None:
    assert len(clean_stray_pulses(_pulses((0, 5.0, 1.0), (1, 5.0, 3.0))).series) == 0


@given(pulses=PULSES)
def test_stray_pulses_are_those_of_the_definition(pulses: list[tuple[int, float, float]]) -> None:
    cleaned = clean_stray_pulses(_pulses(*pulses))
    if not sum(row[2] for row in pulses) > 0.0:
        assert len(cleaned.series) == 0
        return
    begin, end = cleaned.window
    assert min(row[1] for row in pulses) <= begin
    assert end <= max(row[1] for row in pulses)
    kept = []
    for om in range(6):
        own = [row for row in pulses if row[0] == om]
        if not own:
            continue
        gaps = np.diff(sorted(row[1] for row in own))
        if len(gaps) >= 2 and np.median(gaps) > 1200.0:
            assert om not in cleaned.ends
            continue
        weights = [row[2] for row in own]
        weights = weights if sum(weights) > 0.0 else [1.0] * len(own)
        last = min(_obvious_median([row[1] for row in own], weights) + 1500.0, end)
        stay = [row for row in own if begin <= row[1] < last]
        assert cleaned.ends.get(om) == (last if len(stay) < len(own) else None)
        kept += stay
    assert _rows(cleaned.series) == kept


# --- dead time ------------------------------------------------------------------------------------


class _Message:
    """As much of an event as dead time needs."""

    def __init__(self, **windows: dict[int, list[tuple[float, float]]]) -> None:
        self.excluded_windows = windows


def test_dead_time_is_that_of_late_pulses_and_of_unreliable_waveforms() -> None:
    errata = {1: [(5.0, 6.0)], 2: [(7.0, 8.0), (9.0, 10.0)]}
    message = _Message(CalibrationErrata=errata, SaturationWindows={3: [(0.0, 1.0)]})
    cleaned = CleanedPulses(_pulses(), WINDOW, {2: 100.0, 4: 200.0})
    for _ in range(2):  # what it is made of stays as it is
        assert cleaned.dead_time(message) == {  # type: ignore[arg-type]  # as much as it needs
            1: [(5.0, 6.0)],
            2: [(7.0, 8.0), (9.0, 10.0), (100.0, math.inf)],
            4: [(200.0, math.inf)],
        }
    assert errata[2] == [(7.0, 8.0), (9.0, 10.0)]


def test_an_event_without_windows_has_no_dead_time() -> None:
    assert CleanedPulses(_pulses(), WINDOW, {}).dead_time(_Message()) == {}  # type: ignore[arg-type]  # same
