"""The calibrated levels of the package: made of the records of the calibration, and right."""

from __future__ import annotations

import runpy
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from skymap_scanner.recos import make_reco
from skymap_scanner.result.calibrated_levels import choose_levels, shipped_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.calibration.record import EventRecord

MODULE: Final[dict[str, Any]] = runpy.run_path(
    str(Path(__file__).parents[2] / "benchmarks" / "shipped_levels.py")
)
LEVELS, CHECKS, CASCADES = (MODULE["archives"](role) for role in MODULE["ROLES"])
TRACKS: Final = [path for path in (*LEVELS, *CHECKS) if "_same-ice_" in path.name]
SEGMENTED: Final = [path for path in TRACKS if path.name.startswith("millipede")]
#: Events that a check has at least, and how far coverage may be off.
N_EVENTS: Final = {"splinempe": 200, "millipede_original": 100, "millipede_wilks": 100}
OFF: Final = {0.5: 0.08, 0.9: 0.05}


@cache
def read(path: Path) -> Any:
    return MODULE["read_archive"](path)


def by_name(path: Path) -> str:
    return path.name


def values(records: Sequence[EventRecord], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([getattr(record, name) for record in records if record.is_ok], dtype=np.float64)


def energy_ratios(records: Sequence[EventRecord]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Energy inside the volume over that whose light was made there, where there was any."""
    true, found = values(records, "light_energy_inside"), values(records, "energy_in")
    return found[true > 0.0] / true[true > 0.0]


def test_the_package_has_what_the_records_say() -> None:
    assert MODULE["levels_of"]([read(path) for path in LEVELS]) == list(shipped_levels())


@pytest.mark.parametrize("name", N_EVENTS)
def test_scans_with_the_defaults_have_levels_for_varied_ice(name: str) -> None:
    reco = make_reco(name, {})
    entry, reason = choose_levels(shipped_levels(), name, asdict(reco.options), charge=1000.0)
    assert entry is not None, reason
    assert (entry.kind, entry.event_class) == ("varied-ice", "track")


@pytest.mark.parametrize("path", CHECKS, ids=by_name)
def test_regions_of_other_events_cover_what_they_say(path: Path) -> None:
    made = read(path)
    assert len(made.records) >= N_EVENTS[made.sample.reco_algo]
    report = MODULE["checked"](made, shipped_levels())
    assert report.checks
    for entry, coverage in report.checks:
        for one in coverage[: len(entry.levels)]:
            assert abs(one.fraction.value - one.probability) <= OFF[one.probability], one


@pytest.mark.parametrize("path", TRACKS, ids=by_name)
def test_directions_of_tracks_are_right(path: Path) -> None:
    made = read(path)
    assert (made.sample.kind, made.sample.classes) == ("same-ice", ("track",))
    assert made.sample.energy_range == (1e4, 5e5)
    assert len(made.records) >= 50
    assert np.median(values(made.records, "separation_deg")) <= 0.4


@pytest.mark.parametrize("path", SEGMENTED, ids=by_name)
def test_energies_in_the_detector_are_right(path: Path) -> None:
    made = read(path)
    assert np.median(energy_ratios(made.records)) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("path", CASCADES, ids=by_name)
def test_cascades_are_found_with_their_energy_and_vertex(path: Path) -> None:
    made = read(path)
    assert (made.sample.kind, made.sample.classes) == ("same-ice", ("cascade",))
    assert made.sample.energy_range == (5e4, 5e5)
    assert len(made.records) >= 50
    assert np.median(values(made.records, "separation_deg")) <= 15.0
    assert np.median(energy_ratios(made.records)) == pytest.approx(1.0, abs=0.1)
    assert np.median(values(made.records, "vertex_off")) <= 5.0
