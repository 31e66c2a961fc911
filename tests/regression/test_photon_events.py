"""The light model agrees with events that were simulated photon by photon."""

from __future__ import annotations

import runpy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.light.model import LightModel

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = ("clear", "average", "dust", "muon")
#: Of the whole charge, and of that in a range of distances.
TOTAL_TOLERANCE, BIN_TOLERANCE = 0.05, 0.08
#: Statistical error up to which a range of distances is compared.
ENOUGH = 0.025


@pytest.fixture(scope="module")
def benchmark(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "benchmarks" / "photon_events.py"))


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel.load()


@pytest.mark.parametrize("event", EVENTS)
def test_charges_of_the_light_model_are_those_of_photons(
    benchmark: dict[str, Any], model: LightModel, root: Path, event: str
) -> None:
    path = root / "tests" / "regression" / "photon_events" / f"{event}.npz"
    total, *bins = benchmark["compare"](path, model)
    assert total.error < 0.015 * total.charge
    assert abs(total.ratio - 1.0) < TOTAL_TOLERANCE, total
    compared = [row for row in bins if row.error < ENOUGH * row.charge]
    assert len(compared) >= 3
    wrong = [row for row in compared if abs(row.ratio - 1.0) > BIN_TOLERANCE]
    assert not wrong


def test_stored_sources_are_those_of_the_events(benchmark: dict[str, Any], root: Path) -> None:
    for event in benchmark["true_events"]():
        path = root / "tests" / "regression" / "photon_events" / f"{event.name}.npz"
        with np.load(path, allow_pickle=False) as stored:
            np.testing.assert_allclose(stored["direction"], event.track.direction)
            if event.name != "muon":  # its losses depend on numpy's random numbers
                np.testing.assert_allclose(stored["source_xyz"], event.sources.xyz)
                np.testing.assert_allclose(stored["source_energy"], event.sources.energy)


def test_the_benchmark_goes_on_where_it_was(
    benchmark: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = benchmark["main"].__globals__
    small = [replace(run, oversize=20.0, exposure=1e-2) for run in benchmark["RUNS"]]
    monkeypatch.setitem(functions, "RUNS", small)
    for slices in ("1", "2", "2"):
        benchmark["main"]([str(tmp_path), "--event", "clear", "--slices", slices])
    with np.load(tmp_path / "clear.npz", allow_pickle=False) as stored:
        resumed = {name: stored[name] for name in stored.files}
    assert int(resumed["far_slices"]) == 2
    assert int(resumed["near_slices"]) == 0  # no module is that near
    (tmp_path / "clear.npz").unlink()
    benchmark["main"]([str(tmp_path), "--event", "clear", "--slices", "2"])
    with np.load(tmp_path / "clear.npz", allow_pickle=False) as stored:
        for name in stored.files:
            np.testing.assert_array_equal(stored[name], resumed[name])
