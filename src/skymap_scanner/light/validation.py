"""Compare the light model with an independent simulation (`reference`), source by source."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    COS_EDGES,
    N_AZIMUTH,
    N_COS,
    N_R,
    R_EDGES,
    axis_frame,
    cell_points,
    unit_vectors,
)
from skymap_scanner.light.medium import FLOW_AZIMUTH
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import TIME_EDGES
from skymap_scanner.light.trained_volume import OM_Z, ExtrapolationWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.reference import ReferenceLight
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Agreement", "compare", "flow_ratio"]

#: Distances between which agreement is stated [m].
RANGES: Final = (1.0, 10.0, 30.0, 60.0, 100.0, 150.0, 200.0, 300.0)
#: Light is in the dust layer when an end is between these heights or it crosses the lower [m].
DUST: Final = (-140.0, -20.0)
#: Cells whose light is expected to be known worse than this are left out.
_MAX_ERROR: Final = 0.1
#: Cells whose error, found from the repeats, is larger than this have no expected one below it.
_HOPELESS: Final = 3.0 * _MAX_ERROR
#: Scores that a cell's times must be worth: statistics alone then makes a distance of 0.015.
_MIN_TIMES: Final = 3_000.0
#: Points per cell over which the model is averaged: a grid in distance, cosine and azimuth. Light
#: in dust falls by an order of magnitude across the far cells: a coarser grid shows as scatter.
_CHARGE_GRID, _TIME_GRID = (8, 10, 4), (4, 6, 2)
#: Cells at a time, for the sake of memory.
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement in one range of distance, in clean ice or in the dust layer.

    Attributes
    ----------
    r_low, r_high : float
        Distances [m].
    is_dust : bool
        Whether an end lies in the dust layer, or the line crosses its lower edge.
    n_cells : int
        Cells that were compared.
    bias, scatter : float
        Mean of ln(model / simulation), and its spread from cell to cell without statistics: the
        covariance of the spreads against two independent halves of the simulation.
    n_times : int
        Cells whose times were compared.
    time_distance : float
        Median of the largest distance between the cumulative distributions of the delay.
    """

    r_low: float
    r_high: float
    is_dust: bool
    n_cells: int
    bias: float
    scatter: float
    n_times: int
    time_distance: float


def _points(light: ReferenceLight, cells: IntArray, grid: tuple[int, int, int]) -> FloatArray:
    """Return a grid of places in each cell, one cell after the other [m], shape (n, 3)."""
    steps = np.meshgrid(*((np.arange(n) + 0.5) / n for n in grid), indexing="ij")
    inside = np.stack(steps, axis=-1).reshape(-1, 3)
    uniform = np.tile(inside, (cells.size, 1))
    r, cosine, azimuth = cell_points(np.repeat(cells, len(inside)), uniform)
    local = unit_vectors(cosine, azimuth)
    return np.asarray(light.xyz + r[:, None] * (local @ axis_frame(light.direction)))


def _model_fluence(light: ReferenceLight, model: LightModel, cells: IntArray) -> FloatArray:
    """Return the model's mean fluence in cells [1/m^2]."""
    fluence = np.zeros(cells.size)
    for k in range(0, cells.size, _BATCH):
        places = _points(light, cells[k : k + _BATCH], _CHARGE_GRID)
        charge = model.expected_charge(light.xyz, light.direction, places, 1.0)
        fluence[k : k + _BATCH] = charge.reshape(-1, math.prod(_CHARGE_GRID)).mean(axis=1)
    return fluence / (PHOTONS_PER_GEV * MODULE_AREA)


def _time_distances(light: ReferenceLight, model: LightModel, cells: IntArray) -> FloatArray:
    """Return largest distances between cumulative distributions, NaN without statistics."""
    distance = np.full(cells.size, np.nan)
    known = np.flatnonzero(light.n_times[cells] >= _MIN_TIMES)
    n_points = math.prod(_TIME_GRID)
    for k in range(0, known.size, _BATCH):
        rows = known[k : k + _BATCH]
        places = _points(light, cells[rows], _TIME_GRID)
        charge = model.expected_charge(light.xyz, light.direction, places, 1.0)
        cdf = model.time_cdf(light.xyz, light.direction, places, TIME_EDGES[1:-1])
        weight = charge.reshape(-1, n_points)
        weighted = np.einsum("np,npe->ne", weight, cdf.reshape(len(weight), n_points, -1))
        seen = np.cumsum(light.times[cells[rows]], axis=1)[:, :-1]
        distance[rows] = np.abs(seen - weighted / weight.sum(axis=1)[:, None]).max(axis=1)
    return distance


def compare(
    references: list[ReferenceLight], model: LightModel
) -> tuple[list[Agreement], dict[str, FloatArray]]:
    """Compare a light model with simulated sources.

    Parameters
    ----------
    references : list of ReferenceLight
        Simulated light.
    model : LightModel
        What to judge.

    Returns
    -------
    agreements : list of Agreement
        One per range of distance and kind of ice.
    cells : dict of ndarray
        One entry per compared cell: ``r``, ``cosine``, ``flow`` (cosine squared between the
        horizontal line of sight and the flow axis; NaN near the vertical), ``ratio``
        (ln(model/simulation)), ``first`` and ``second`` (the same with a half of the simulation
        each), ``error`` (expected from statistics), ``is_dust``, ``time_distance`` (NaN where
        statistics do not suffice), ``source``.

    Raises
    ------
    UsageError
        When there is nothing to compare with.
    """
    if not references:
        raise UsageError("no simulated light to compare with", wanted="at least one source")
    columns: dict[str, list[FloatArray]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # cells at the edge reach beyond it
        for number, light in enumerate(references):
            rows = _compare_source(light, model)
            rows["source"] = np.full(rows["r"].size, float(number))
            for name, value in rows.items():
                columns.setdefault(name, []).append(value)
    cells = {name: np.concatenate(parts) for name, parts in columns.items()}
    agreements = []
    for is_dust in (False, True):
        for low, high in pairwise(RANGES):
            inside = (cells["r"] >= low) & (cells["r"] < high) & (cells["is_dust"] == is_dust)
            if inside.sum() >= 10:
                agreements.append(_agreement(cells, inside, low, high, is_dust=is_dust))
    return agreements, cells


def flow_ratio(
    cells: dict[str, FloatArray], *, r_low: float = 150.0, r_high: float = 250.0
) -> tuple[float, float]:
    """Charge along the flow of the ice over charge across it, model over simulation.

    Parameters
    ----------
    cells : dict of ndarray
        As `compare` returns them.
    r_low, r_high : float
        Distances [m].

    Returns
    -------
    ratio, error : float
        1 when the model is as anisotropic as the simulation; NaN without cells.
    """
    inside = (cells["r"] >= r_low) & (cells["r"] < r_high) & (cells["is_dust"] == 0)
    means, errors = [], []
    for low, high in ((0.75, 1.0), (0.0, 0.25)):
        chosen = inside & (cells["flow"] >= low) & (cells["flow"] <= high)
        if not chosen.any():
            return float("nan"), float("nan")
        weight = 1.0 / (cells["error"][chosen] ** 2 + 0.05**2)
        mean = np.average(cells["ratio"][chosen], weights=weight)
        # Cells of one source are off together: sources are the independent sample.
        per_source = [
            np.average(cells["ratio"][rows], weights=1.0 / (cells["error"][rows] ** 2 + 0.05**2))
            for number in np.unique(cells["source"][chosen])
            if (rows := chosen & (cells["source"] == number)).any()
        ]
        means.append(mean)
        errors.append(np.std(per_source) / max(len(per_source), 1) ** 0.5)
    return float(np.exp(means[0] - means[1])), float(np.hypot(*errors))


def _agreement(
    cells: dict[str, FloatArray],
    inside: NDArray[np.bool_],
    low: float,
    high: float,
    *,
    is_dust: bool,
) -> Agreement:
    distance = cells["time_distance"][inside]
    distance = distance[np.isfinite(distance)]
    weight = 1.0 / (cells["error"][inside] ** 2 + 0.05**2)
    off = np.stack([cells[name][inside] for name in ("ratio", "first", "second")])
    bias = np.average(off, axis=1, weights=weight)
    covariance = np.average((off[1] - bias[1]) * (off[2] - bias[2]), weights=weight)
    return Agreement(
        low,
        high,
        is_dust,
        int(inside.sum()),
        float(bias[0]),
        float(np.sqrt(max(covariance, 0.0))),
        distance.size,
        float(np.median(distance)) if distance.size else float("nan"),
    )


def _expected_error(light: ReferenceLight, fluence: FloatArray, cells: IntArray) -> FloatArray:
    """Return relative statistical errors of cells with some true fluence [1/m^2].

    A cell's own repeats tell its error so badly that those chosen by it would be cells whose
    repeats happen to agree, wherever their mean is: both halves would be off together. What a
    typical score in the cells at one distance is worth is known well.
    """
    rings = (N_R, N_COS * N_AZIMUTH)
    variance = ((light.error * CELL_VOLUMES) ** 2).reshape(rings).sum(axis=1)
    total = (light.fluence * CELL_VOLUMES).reshape(rings).sum(axis=1)
    score = variance / np.where(total > 0, total, 1.0)
    return np.asarray(np.sqrt(score[cells // rings[1]] / (CELL_VOLUMES[cells] * fluence)))


def _compare_source(light: ReferenceLight, model: LightModel) -> dict[str, FloatArray]:
    known = (light.halves > 0).all(axis=0) & (light.error < _HOPELESS * light.fluence)
    middle_r = np.repeat(0.5 * (R_EDGES[1:] + R_EDGES[:-1]), N_COS * N_AZIMUTH)
    cells = np.flatnonzero(known & (middle_r < RANGES[-1]))
    om_xyz = _points(light, cells, (1, 1, 1))
    inside = (om_xyz[:, 2] > OM_Z[0]) & (om_xyz[:, 2] < OM_Z[1])
    cells, om_xyz = cells[inside], om_xyz[inside]
    fluence = _model_fluence(light, model, cells)
    error = _expected_error(light, fluence, cells)
    chosen = error < _MAX_ERROR
    cells, om_xyz = cells[chosen], om_xyz[chosen]
    fluence, error = fluence[chosen], error[chosen]
    z_source, z_om = model.ice.effective_z(light.xyz), model.ice.effective_z(om_xyz)
    low, high = np.minimum(z_source, z_om), np.maximum(z_source, z_om)
    is_dust = (low < DUST[0]) & (high > DUST[0])
    for z in (np.full_like(z_om, z_source), z_om):
        is_dust |= (z > DUST[0]) & (z < DUST[1])
    line = om_xyz - light.xyz
    along = line[:, 0] * np.cos(FLOW_AZIMUTH) + line[:, 1] * np.sin(FLOW_AZIMUTH)
    horizontal = np.hypot(line[:, 0], line[:, 1])
    steep = horizontal < 0.5 * np.linalg.norm(line, axis=1)
    cosines = 0.5 * (COS_EDGES[1:] + COS_EDGES[:-1])
    return {
        "r": middle_r[cells],
        "cosine": cosines[cells // N_AZIMUTH % N_COS],
        "flow": np.where(steep, np.nan, (along / np.maximum(horizontal, 1e-9)) ** 2),
        "ratio": np.log(fluence / light.fluence[cells]),
        "first": np.log(fluence / light.halves[0, cells]),
        "second": np.log(fluence / light.halves[1, cells]),
        "error": error,
        "is_dust": is_dust.astype(np.float64),
        "time_distance": _time_distances(light, model, cells),
    }
