from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from calibration_toys import failed, record, records_of, sample
from skymap_scanner.calibration.levels import check_levels, measure_levels
from skymap_scanner.cli.calibration_report import Report, as_json, as_text
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from pathlib import Path


def report() -> Report:
    ts = np.random.default_rng(1).chisquare(2, 100)
    records = [
        *records_of(ts),
        failed(101),
        failed(102),
        record(103, ts=0.0, map_ts=9.0, true_llh=99.0),
    ]
    levels = measure_levels(records, sample(), date="2030-01-31")
    return Report(sample(seed=2), records, levels, check_levels(records, sample(seed=2), levels))


def test_text_says_what_was_found() -> None:
    text = as_text(report())
    for words in (
        "toy, same-ice, track: 103 events, 2 without a map or a fit at the truth",
        "2 x      too few hit modules",
        "separation 0.14 deg, 90 % area 1 deg^2 (Wilks 0.8), 300 PE, 1.5 CPU s",
        "widened for 0, best pixel at its edge for 0",
        "not reached by the finest pixels for 1, better than the best pixel for 1",
        "90 % regions, wilks: ",
        "of 101)",
        "levels       50 %: TS 1.",
        "check        levels of 101 events of class track, same-ice, 2030-01-31",
        "90 % regions, TS ",
    ):
        assert words in text


def test_text_says_how_well_energies_and_vertices_are_known() -> None:
    assert "energy  " not in as_text(report())
    energies = [18e3, 21e3, 24e3]
    tracks = [record(n, energy_in=energy) for n, energy in enumerate(energies, 1)]
    text = as_text(Report(sample(), tracks))
    assert "energy       inside the volume over that of the true light: 1.05\n" in text
    cascades = [record(n, energy_in=2e4, vertex_off=1.0 + n) for n in (1, 2, 3)]
    cascades.append(record(4, light_energy_inside=0.0))
    document = json.loads(as_json(Report(sample(classes=("cascade",)), cascades)))
    assert explain_mismatch("calibrate", document) is None
    assert (document["median"]["energy_ratio"], document["median"]["vertex_off"]) == (1.0, 3.0)
    assert "1; vertex 3 m from the centre of the true light" in as_text(Report(sample(), cascades))


def test_json_follows_its_schema() -> None:
    document = json.loads(as_json(report()))
    assert explain_mismatch("calibrate", document) is None
    assert (document["n_coarse"], document["reasons"]) == (1, {"too few hit modules": 2})


def test_a_sample_without_any_map_is_said_and_drawn(tmp_path: Path) -> None:
    nothing = Report(sample(), [failed(1)])
    assert (
        as_text(nothing).splitlines()[0].endswith("1 events, 1 without a map or a fit at the truth")
    )
    assert explain_mismatch("calibrate", json.loads(as_json(nothing))) is None
    assert nothing.draw(tmp_path / "pp.png").exists()
