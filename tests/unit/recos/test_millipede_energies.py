"""Energies and the vertex that the two millipede reconstructions tell of a fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from skymap_scanner.event import built_in_detector
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.recos.likelihood.segment_fit import Outcome
from skymap_scanner.recos.likelihood.segments import SegmentedLine, place_segments
from skymap_scanner.recos.segmented import _as_fit
from skymap_scanner.units import LIGHT_SPEED

DETECTOR = built_in_detector()


def _outcome(line: SegmentedLine, energy: np.ndarray, light: np.ndarray | None = None) -> Outcome:
    fields: dict[str, Any] = {
        "line": line,
        "at": np.array([0.0, 0.0, 300.0]),
        "energy": energy,
        "light": energy if light is None else light,
        "mu": np.zeros(1),
        "nll": 1.0,
        "n_evaluations": 3,
        "n_iterations": 2,
        "stopped": "converged",
    }
    return Outcome(**fields)


def test_energy_inside_is_that_within_sixty_metres_of_the_volume() -> None:
    volume = instrumented_volume(DETECTOR)
    down = np.array([0.0, 0.0, -1.0])
    line = place_segments(DETECTOR.om_xyz, np.zeros(3), down, spacing=10.0, boundary=650.0)
    energy = np.arange(1.0, len(line.along) + 1.0)
    fit = _as_fit(_outcome(line, energy), volume)
    z = -line.along
    is_inside = (z > volume.bottom - 60.0) & (z < volume.top + 60.0)
    assert 0 < is_inside.sum() < len(z)
    assert fit.energy_total == fit.energy == pytest.approx(energy.sum())
    assert fit.energy_in == pytest.approx(energy[is_inside].sum())


def test_a_track_that_misses_the_volume_has_no_energy_at_all() -> None:
    volume = instrumented_volume(DETECTOR)
    line = SegmentedLine(
        np.array([900.0, 900.0, 0.0]),
        np.array([0.0, 0.0, 1.0]),
        np.eye(3)[:2],
        np.arange(-50.0, 60),
    )
    fit = _as_fit(_outcome(line, np.ones(len(line.along))), volume)
    assert (fit.energy_in, fit.energy_total, fit.energy) == (0.0, 0.0, 0.0)
    assert fit.is_ok


def test_the_vertex_is_on_the_track_where_the_light_comes_from() -> None:
    volume = instrumented_volume(DETECTOR)
    line = place_segments(
        DETECTOR.om_xyz, np.zeros(3), direction_vector(1.0, 1.0), spacing=10.0, boundary=650.0
    )
    light = np.where(np.abs(line.along - 100.0) < 25.0, 1.0, 0.0)
    centre = float(light @ line.along / light.sum())
    fit = _as_fit(_outcome(line, np.ones(len(light)), light), volume)
    expected, moment = line.point(np.array([0.0, 0.0, 300.0]), centre)
    assert fit.vertex == pytest.approx(tuple(expected))
    assert fit.vertex_time == pytest.approx(moment) == pytest.approx((300.0 + centre) / LIGHT_SPEED)
    dark = _as_fit(_outcome(line, np.zeros(len(light))), volume)
    assert math.isfinite(dark.vertex_time)
