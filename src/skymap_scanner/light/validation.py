"""Compare the light model with an independent Monte Carlo simulation, source by source.

Sources never trained on are simulated several times over with other random numbers: the differences
between the repeats are the true statistical errors, which scores of one photon in several cells
make larger than a count of scores suggests.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.cells import (
    COS_EDGES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    R_EDGES,
    axis_frame,
    cell_points,
)
from skymap_scanner.light.medium import FLOW_AZIMUTH, make_medium
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import TIME_EDGES, propagate
from skymap_scanner.light.trained_volume import OM_Z, ExtrapolationWarning
from skymap_scanner.light.work_folder import claim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.production import Sources
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Agreement", "ReferenceLight", "compare", "flow_ratio", "simulate_reference"]

#: Distances between which agreement is stated [m].
RANGES: Final = (1.0, 10.0, 30.0, 60.0, 100.0, 150.0, 200.0, 300.0)
#: Light is in the dust layer when an end is between these heights or it crosses the lower [m].
DUST: Final = (-140.0, -20.0)
#: Cells whose light is known worse than this are left out.
_MAX_ERROR: Final = 0.1
#: Scores that a cell's times must be worth: statistics alone then makes a distance of 0.015.
_MIN_TIMES: Final = 3_000.0
#: Points per cell over which the model is averaged: a grid in distance, cosine and azimuth. Light
#: in dust falls by an order of magnitude across the far cells: a coarser grid shows as scatter.
_CHARGE_GRID, _TIME_GRID = (8, 10, 4), (4, 6, 2)
#: Fraction of absorption that is sampled.
_KILL: Final = 0.4
#: Cells at a time, for the sake of memory.
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceLight:
    """Simulated light of one source.

    Attributes
    ----------
    xyz, direction : ndarray, shape (3,)
        The source.
    halves : ndarray, shape (2, n_cells)
        Accepted light per photon and area [1/m^2], of each half of the repeats.
    error : ndarray, shape (n_cells,)
        Statistical error of their mean [1/m^2].
    times : ndarray, shape (n_cells, n_bins)
        Fractions of light per bin of delay.
    n_times : ndarray, shape (n_cells,)
        Scores that the times are worth.
    """

    xyz: FloatArray
    direction: FloatArray
    halves: FloatArray
    error: FloatArray
    times: FloatArray
    n_times: FloatArray

    @property
    def fluence(self) -> FloatArray:
        """Accepted light per photon and area [1/m^2], shape (n_cells,)."""
        return np.asarray(self.halves.mean(axis=0))

    @classmethod
    def read(cls, path: Path) -> ReferenceLight:
        """Read a file of `simulate_reference`."""
        with np.load(path) as file:
            return cls(*(file[name].astype(np.float64) for name in cls.__slots__))


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
        covariance of the spreads against two independent halves of the simulation. (Subtracting
        squared errors would not do: cells are chosen by errors that are estimates themselves.)
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


def simulate_reference(
    folder: Path,
    sources: Sources,
    ice: IceModel,
    *,
    n_photons: int,
    n_repeats: int = 10,
    seed: int,
    n_threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> list[ReferenceLight]:
    """Simulate sources, one file each; files that exist are kept.

    Parameters
    ----------
    folder : Path
        Where the files are.
    sources : Sources
        What to simulate.
    ice : IceModel
        The ice.
    n_photons, n_repeats : int
        Photons per repeat, and repeats, an even number: their differences are the errors.
    seed : int
        Seed, another one than that of the training.
    n_threads : int, optional
        Threads; all cores by default.
    report : callable, optional
        Called with the numbers of sources done and wanted.

    Returns
    -------
    list of ReferenceLight

    Raises
    ------
    UsageError
        When the repeats are not an even number, or the folder has files of other sources or
        settings.
    """
    if n_repeats < 2 or n_repeats % 2:
        raise UsageError("illegal number of repeats", found=n_repeats, wanted="2, 4, 6 ...")
    settings = {"ice": ice.name, "n_photons": n_photons, "n_repeats": n_repeats}
    claim(folder, "reference", settings | {"kill": _KILL, "seed": seed})
    medium = make_medium(ice)
    n_sources = len(sources.xyz)

    def simulate(k: int) -> Path:
        path = folder / f"source-{k:04d}.npz"
        if path.exists():
            return path
        total, squared = np.zeros((n_repeats, N_CELLS)), np.zeros(N_CELLS)
        times = np.zeros((N_CELLS, TIME_EDGES.size - 1))
        for repeat in range(n_repeats):
            record = propagate(
                sources.xyz[k],
                sources.direction[k],
                medium,
                n_photons=n_photons,
                seed=(seed, k, repeat),
                kill=_KILL,
                record_times=True,
            )
            total[repeat] = record.fluence
            squared += record.squared
            times += record.times
        light = times.sum(axis=1)
        known = np.where(light > 0, light, 1.0)
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            xyz=sources.xyz[k],
            direction=sources.direction[k],
            halves=total.reshape(2, n_repeats // 2, N_CELLS).mean(axis=1),
            error=total.std(axis=0, ddof=1) / n_repeats**0.5,
            times=(times / known[:, None]).astype(np.float32),
            n_times=light**2 / np.where(squared > 0, squared, 1.0),
        )
        write_bytes_atomically(path, buffer.getvalue())
        return path

    made: list[ReferenceLight] = []
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        for k, path in enumerate(pool.map(simulate, range(n_sources))):
            made.append(_read_own(path, sources, k))
            if report is not None:
                report(len(made), n_sources)
    return made


def _read_own(path: Path, sources: Sources, k: int) -> ReferenceLight:
    """Read a file and make sure that it is of source number `k`."""
    light = ReferenceLight.read(path)
    found, wanted = (light.xyz, light.direction), (sources.xyz[k], sources.direction[k])
    if not np.array_equal(found, wanted):
        raise UsageError(
            "reference of another source", place=str(path), found=f"{found}", wanted=f"{wanted}"
        )
    return light


def _points(light: ReferenceLight, cells: IntArray, grid: tuple[int, int, int]) -> FloatArray:
    """Return a grid of places in each cell, one cell after the other [m], shape (n, 3)."""
    steps = np.meshgrid(*((np.arange(n) + 0.5) / n for n in grid), indexing="ij")
    inside = np.stack(steps, axis=-1).reshape(-1, 3)
    uniform = np.tile(inside, (cells.size, 1))
    r, cosine, azimuth = cell_points(np.repeat(cells, len(inside)), uniform)
    sine = np.sqrt(1.0 - cosine**2)
    local = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
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
        each), ``error``, ``is_dust``, ``time_distance`` (NaN where statistics do not suffice),
        ``source``.

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


def _compare_source(light: ReferenceLight, model: LightModel) -> dict[str, FloatArray]:
    known = (light.halves > 0).all(axis=0) & (light.error < _MAX_ERROR * light.fluence)
    middle_r = np.repeat(0.5 * (R_EDGES[1:] + R_EDGES[:-1]), N_COS * N_AZIMUTH)
    cells = np.flatnonzero(known & (middle_r < RANGES[-1]))
    om_xyz = _points(light, cells, (1, 1, 1))
    inside = (om_xyz[:, 2] > OM_Z[0]) & (om_xyz[:, 2] < OM_Z[1])
    cells, om_xyz = cells[inside], om_xyz[inside]
    z_source, z_om = model.ice.effective_z(light.xyz), model.ice.effective_z(om_xyz)
    low, high = np.minimum(z_source, z_om), np.maximum(z_source, z_om)
    is_dust = (low < DUST[0]) & (high > DUST[0])
    for z in (np.full_like(z_om, z_source), z_om):
        is_dust |= (z > DUST[0]) & (z < DUST[1])
    line = om_xyz - light.xyz
    along = line[:, 0] * np.cos(FLOW_AZIMUTH) + line[:, 1] * np.sin(FLOW_AZIMUTH)
    horizontal = np.hypot(line[:, 0], line[:, 1])
    steep = horizontal < 0.5 * np.linalg.norm(line, axis=1)
    with warnings.catch_warnings():  # corners of the uppermost and lowest cells stick out
        warnings.simplefilter("ignore", ExtrapolationWarning)
        fluence = _model_fluence(light, model, cells)
        time_distance = _time_distances(light, model, cells)
    cosines = 0.5 * (COS_EDGES[1:] + COS_EDGES[:-1])
    return {
        "r": middle_r[cells],
        "cosine": cosines[cells // N_AZIMUTH % N_COS],
        "flow": np.where(steep, np.nan, (along / np.maximum(horizontal, 1e-9)) ** 2),
        "ratio": np.log(fluence / light.fluence[cells]),
        "first": np.log(fluence / light.halves[0, cells]),
        "second": np.log(fluence / light.halves[1, cells]),
        "error": light.error[cells] / light.fluence[cells],
        "is_dust": is_dust.astype(np.float64),
        "time_distance": time_distance,
    }
