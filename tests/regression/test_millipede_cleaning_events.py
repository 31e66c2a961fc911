"""Cleaning and exclusions of the millipede reconstructions on the eight real events.

Origin of the expected numbers: the stored reference scans (710 and 360 pulses, lists of bright
modules), and an independent prototype for the rest. Counts must be exact; charges are sums of
stored single-precision values (1e-3 PE would notice one missing pulse of the smallest charge).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event import read_event
from skymap_scanner.event.exclusions import bright_modules, is_on_sparse_grid, saturated_modules
from skymap_scanner.event.late_pulses import clean_stray_pulses, cut_late_pulses

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.event import Event, PulseSeries

pytestmark = pytest.mark.shared

FILES = {
    "127907/16605651": "HESE_run127907_evt16605651.json",
    "127907/20178442": "HESE_run127907_evt20178442.json",
    "130322/1414689": "HESE_run130322_evt1414689.json",
    "135395/4698470": "low_energy_run135395_evt4698470.pkl",
    "135908/43512334": "IC211117A_run135908_evt43512334.pkl",
    "136249/27650203": "IC220205A_run136249_evt27650203.pkl",
    "136662/35405932": "IC220524A_run136662_evt35405932.pkl",
    "138632/31747601": "IC231202A_run138632_evt31747601.json",
}
A, B = "136662/35405932", "127907/20178442"

# Modules with more than ten times the mean charge of all hit ones.
BRIGHT_TEN = {
    A: [(61, 20), (78, 18), (78, 19)],
    B: [(23, 9), (23, 10)],
    "127907/16605651": [(26, 11), (26, 12)],
    "130322/1414689": [(37, om) for om in range(22, 27)],
    "135908/43512334": [(18, 4), (18, 5), (18, 6), (41, 6)],
    "136249/27650203": [(10, 13)],
    "138632/31747601": [],
    "135395/4698470": [],
}
# How many have more than twice the mean of strings below 79.
BRIGHT_TWO = {
    A: 12,
    B: 4,
    "130322/1414689": 8,
    "135908/43512334": 18,
    "136249/27650203": 28,
    "138632/31747601": 29,
    "135395/4698470": 5,
}


@pytest.fixture(scope="module")
def events(shared: Path) -> dict[str, Event]:
    return {key: read_event(shared / "events" / file) for key, file in FILES.items()}


def _in_ice(event: Event) -> PulseSeries:
    return event.pulses.select(~event.detector.is_deepcore[event.pulses.om_index])


@pytest.mark.parametrize(
    ("key", "residual", "pulses", "charge"),
    [
        (A, 1500.0, (763, 699), 1358.275),
        (A, 3000.0, (763, 710), 1373.85),
        (B, 1500.0, (410, 354), 1981.5),
        (B, 3000.0, (410, 360), 1994.2),
    ],
)
def test_late_pulses_are_as_many_as_in_the_reference(
    events: dict[str, Event], key: str, residual: float, pulses: tuple[int, int], charge: float
) -> None:
    event = events[key]
    cleaned = cut_late_pulses(event.pulses, event.readout_window, residual)
    assert (event.pulses.n_pulses, cleaned.series.n_pulses) == pulses
    assert cleaned.series.total_charge == pytest.approx(charge, abs=1e-3)
    assert cleaned.window == event.readout_window


@pytest.mark.parametrize(
    ("key", "window", "sizes", "charge"),
    [
        (A, (30_647.0, 37_215.0), (758, 663, 171, 146), 1314.625),
        (B, (8963.0, 12_383.0), (406, 311, 71, 40), 1941.425),
    ],
)
def test_stray_pulses_are_as_many_as_in_the_prototype(
    events: dict[str, Event],
    key: str,
    window: tuple[float, float],
    sizes: tuple[int, int, int, int],
    charge: float,
) -> None:
    series = _in_ice(events[key])
    cleaned = clean_stray_pulses(series)
    assert cleaned.window == window
    assert (series.n_pulses, cleaned.series.n_pulses) == sizes[:2]
    assert (series.n_doms, cleaned.series.n_doms) == sizes[2:]
    assert cleaned.series.total_charge == pytest.approx(charge, abs=1e-3)
    # Noise loses its pulses but has no end.
    lost = np.setdiff1d(series.hit_oms, cleaned.series.hit_oms)
    assert len([om for om in lost.tolist() if om not in cleaned.ends]) == 2


@pytest.mark.parametrize("key", BRIGHT_TEN)
def test_bright_modules_are_those_of_the_stored_lists(events: dict[str, Event], key: str) -> None:
    event = events[key]
    rows = bright_modules(event.pulses, 10.0)
    assert [tuple(pair) for pair in event.detector.om_key[rows].tolist()] == BRIGHT_TEN[key]


@pytest.mark.parametrize(("key", "mean"), [(A, 8.0592), (B, 27.3367)])
def test_mean_charge_is_that_of_all_hit_modules(
    events: dict[str, Event], key: str, mean: float
) -> None:
    assert events[key].pulses.dom_charges().mean() == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("key", BRIGHT_TWO)
def test_modules_twice_as_bright_as_the_mean(events: dict[str, Event], key: str) -> None:
    assert len(bright_modules(_in_ice(events[key]), 2.0)) == BRIGHT_TWO[key]


def test_mean_charge_of_strings_below_79(events: dict[str, Event]) -> None:
    assert _in_ice(events[A]).dom_charges().mean() == pytest.approx(8.2254, abs=1e-4)


@pytest.mark.parametrize(("key", "n_modules"), [(A, 3), (B, 2)])
def test_unreliable_waveforms_are_those_of_the_bright_modules(
    events: dict[str, Event], key: str, n_modules: int
) -> None:
    event = events[key]
    errata = event.excluded_windows["CalibrationErrata"]
    rows = sorted(om for om, spans in errata.items() if spans)
    assert len(rows) == n_modules
    assert rows == bright_modules(event.pulses, 10.0).tolist()
    dead = cut_late_pulses(event.pulses, event.readout_window).dead_time(event)
    assert set(rows) <= set(dead)


def test_only_the_brightest_event_reports_saturation(events: dict[str, Event]) -> None:
    saturated = {key: saturated_modules(event) for key, event in events.items()}
    assert [key for key, rows in saturated.items() if len(rows)] == ["130322/1414689"]
    event, rows = events["130322/1414689"], saturated["130322/1414689"]
    assert event.detector.om_key[rows].tolist() == [[37, 24]]
    assert set(rows) <= set(bright_modules(event.pulses, 10.0))


def test_unhit_modules_that_stay_on_the_sparse_grid(events: dict[str, Event]) -> None:
    event = events[A]
    is_chosen = is_on_sparse_grid(event.detector)
    assert is_chosen.sum() == 252
    is_chosen[clean_stray_pulses(_in_ice(event)).series.hit_oms] = False
    assert is_chosen.sum() == 245
