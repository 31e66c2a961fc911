"""Light of a few sources, by the light model and by Monte Carlo, averaged over the same cells.

A *spot* is a source; a *view* is a range of angles under which it is seen, at any distance. Photons
are followed in many equal parts with other random numbers: the differences between the parts are
the statistical errors, which scores of one photon in several cells make larger than a count of
scores suggests.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
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
)
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import TIME_EDGES, propagate
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.medium import Medium
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.units import FloatArray

__all__ = [
    "MIN_PHOTONS",
    "SimulatedLight",
    "Spot",
    "View",
    "average_charge",
    "average_cdf",
    "charge_around",
    "charge_at",
    "simulate_spots",
]

#: Parts into which the photons of a source are divided, at least and at most.
_MIN_PARTS, _MAX_PARTS = 10, 200
#: Photons of a part, unless there would be too many parts.
_PART: Final = 20_000
#: Fewer photons per source give no errors worth drawing.
MIN_PHOTONS: Final = 10 * _MIN_PARTS
#: Fraction of absorption that is sampled; the rest is a weight.
_KILL: Final = 0.4
#: Sets these random numbers apart from those of a production, whose seeds have two numbers.
_STREAM: Final = 20_541
#: Points at which the model is averaged: in the angle, per octant, in the distance.
_N_ANGLE, _N_TURN, _N_DISTANCE = 8, 4, 8
#: Azimuths of `charge_around`.
_N_AROUND: Final = 96


@dataclass(frozen=True, slots=True)
class View:
    """Angles under which a source is seen: a range to its axis, and octants about it.

    Attributes
    ----------
    name : str
        What the range is called.
    cosine : int
        Index of the range in `cells.COS_EDGES`.
    octants : tuple of int
        Ranges of azimuth about the axis, 0 to 7.
    """

    name: str
    cosine: int
    octants: tuple[int, ...]

    @property
    def angles_deg(self) -> tuple[float, float]:
        """Smallest and largest angle to the axis [deg]."""
        high, low = np.arccos(np.clip(COS_EDGES[self.cosine : self.cosine + 2], -1.0, 1.0)) / DEG
        return float(low), float(high)

    def directions(self, axis: FloatArray) -> FloatArray:
        """Return unit vectors from a source that fill the view evenly.

        Parameters
        ----------
        axis : ndarray, shape (3,)
            Unit vector along which the source travels.

        Returns
        -------
        ndarray, shape (n, 3)
        """
        step = (np.arange(_N_TURN) + 0.5) / _N_TURN
        turn = (np.array(self.octants)[:, None] + step) * (2.0 * np.pi / N_AZIMUTH)
        return _directions(axis, self.cosine, turn.ravel()).reshape(-1, 3)


def _directions(axis: FloatArray, cosine: int, turn: FloatArray) -> FloatArray:
    """Return unit vectors at azimuths about an axis that fill a range of cosine, (n, 8, 3)."""
    step = (np.arange(_N_ANGLE) + 0.5) / _N_ANGLE
    low, high = COS_EDGES[cosine : cosine + 2]
    cos, turn = np.broadcast_arrays(low + step * (high - low), turn[:, None])
    sin = np.sqrt(1.0 - cos**2)
    return np.asarray(
        np.stack([sin * np.cos(turn), sin * np.sin(turn), cos], axis=-1) @ axis_frame(axis)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A source and how it is looked at.

    Attributes
    ----------
    name : str
        What the place is called.
    xyz, direction : ndarray, shape (3,)
        Place [m] and axis (unit vector) of a point-like cascade.
    views : tuple of View
        What is recorded.
    """

    name: str
    xyz: FloatArray
    direction: FloatArray
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedLight:
    """What a spot's photons left in its views, in the cells of distance `cells.R_EDGES`.

    Attributes
    ----------
    n_photons : int
        Photons that were followed.
    charge, charge_error : ndarray, shape (n_view, n_r)
        Mean charge of a standard module per energy, and its statistical error [PE/GeV].
    times, times_error : ndarray, shape (n_view, n_r, n_bins)
        Fractions of the charge per bin of delay (`propagation.TIME_EDGES`); 0 without any.
    """

    n_photons: int
    charge: FloatArray
    charge_error: FloatArray
    times: FloatArray
    times_error: FloatArray


def simulate_spots(
    spots: Sequence[Spot],
    ice: IceModel,
    *,
    n_photons: int,
    seed: int,
    n_threads: int,
    report: Callable[[int, int], None] | None = None,
) -> list[SimulatedLight]:
    """Follow photons of some sources; the number of threads changes nothing but the time.

    Parameters
    ----------
    spots : sequence of Spot
        Sources.
    ice : IceModel
        The ice.
    n_photons : int
        Photons per source, at least `MIN_PHOTONS`; rounded up to whole parts.
    seed : int
        Seed of all chance, not negative; never the random numbers of a production.
    n_threads : int
        Threads.
    report : callable, optional
        Called with the numbers of parts that are done and wanted.

    Returns
    -------
    list of SimulatedLight
        One per spot.

    Raises
    ------
    UsageError
        When there are too few photons, or the seed is negative.
    """
    if n_photons < MIN_PHOTONS:
        raise UsageError(
            "too few photons per source", found=n_photons, wanted=f"at least {MIN_PHOTONS}"
        )
    if seed < 0:
        raise UsageError("negative seed", found=seed, wanted="0 or more")
    medium = make_medium(ice)
    n_parts = min(max(_MIN_PARTS, -(-n_photons // _PART)), _MAX_PARTS)
    n_each = -(-n_photons // n_parts)
    parts: list[list[_Part]] = [[] for _ in spots]
    n_wanted = len(spots) * n_parts
    if report is not None:
        report(0, n_wanted)
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [
            [
                pool.submit(_follow, spot, medium, n_each, (seed, _STREAM, number, part))
                for part in range(n_parts)
            ]
            for number, spot in enumerate(spots)
        ]
        running = {future for row in futures for future in row}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if report is not None:
                    report(n_wanted - len(running), n_wanted)
        finally:
            _cancel(running)
    parts = [[future.result() for future in row] for row in futures]
    return [_join(row, n_each) for row in parts]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Scores in the views: totals, shape (n_view, n_r), and per delay, (n_view, n_r, n_bins)."""

    total: FloatArray
    times: FloatArray


def _cancel(running: set[Future[_Part]]) -> None:
    for future in running:
        future.cancel()


def _follow(spot: Spot, medium: Medium, n_photons: int, seed: tuple[int, ...]) -> _Part:
    record = propagate(
        spot.xyz,
        spot.direction,
        medium,
        n_photons=n_photons,
        seed=seed,
        kill=_KILL,
        record_times=True,
    )
    total = record.total.reshape(N_R, N_COS, N_AZIMUTH)
    times = record.times.reshape(N_R, N_COS, N_AZIMUTH, -1)
    return _Part(
        np.stack([total[:, v.cosine, list(v.octants)].sum(axis=1) for v in spot.views])
        / (n_photons * _volumes(spot)),
        np.stack([times[:, v.cosine, list(v.octants)].sum(axis=1) for v in spot.views])
        / (n_photons * _volumes(spot))[..., None],
    )


def _volumes(spot: Spot) -> FloatArray:
    """Return the volume of each view between two distances [m^3], shape (n_view, n_r)."""
    volumes = CELL_VOLUMES.reshape(N_R, N_COS, N_AZIMUTH)
    return np.stack([volumes[:, v.cosine, list(v.octants)].sum(axis=1) for v in spot.views])


def _join(parts: list[_Part], n_each: int) -> SimulatedLight:
    """Average over parts; errors are those of means, of fractions to first order."""
    n = len(parts)
    total = np.stack([part.total for part in parts])
    times = np.stack([part.times for part in parts])
    light = total.mean(axis=0)
    known = np.where(light > 0.0, light, 1.0)[..., None]
    fractions = times.mean(axis=0) / known
    deviations = (times - fractions * total[..., None]) / known
    per_gev = PHOTONS_PER_GEV * MODULE_AREA
    return SimulatedLight(
        n_photons=n * n_each,
        charge=per_gev * light,
        charge_error=per_gev * total.std(axis=0, ddof=1) / n**0.5,
        times=fractions,
        times_error=np.sqrt((deviations**2).sum(axis=0) / (n * (n - 1))),
    )


def charge_at(model: LightModel, spot: Spot, view: View, distance: FloatArray) -> FloatArray:
    """Mean charge per energy that the model gives in a view at some distances.

    Parameters
    ----------
    model : LightModel
        The model.
    spot : Spot
        The source.
    view : View
        Angles over which the mean is taken.
    distance : ndarray, shape (n,)
        Distances [m].

    Returns
    -------
    ndarray, shape (n,)
        Charge [PE/GeV].
    """
    om_xyz = spot.xyz + distance[:, None, None] * view.directions(spot.direction)
    return np.asarray(model.expected_charge(spot.xyz, spot.direction, om_xyz).mean(axis=1))


def average_charge(model: LightModel, spot: Spot, view: View, cells: Sequence[int]) -> FloatArray:
    """Mean charge per energy that the model gives in cells of distance.

    Parameters
    ----------
    model : LightModel
        The model.
    spot : Spot
        The source.
    view : View
        Angles over which the mean is taken.
    cells : sequence of int
        Indices of cells of distance in `cells.R_EDGES`.

    Returns
    -------
    ndarray, shape (n_cells,)
        Charge [PE/GeV].
    """
    distance = _distances(cells)
    charge = charge_at(model, spot, view, distance.ravel())
    return np.asarray(charge.reshape(distance.shape).mean(axis=1))


def charge_around(
    model: LightModel, spot: Spot, cosine: int, cell: int
) -> tuple[FloatArray, FloatArray]:
    """Mean charge per energy that the model gives in an octant that goes round a source.

    Parameters
    ----------
    model : LightModel
        The model.
    spot : Spot
        The source.
    cosine, cell : int
        Range of angles to the axis, as in `View`, and cell of distance.

    Returns
    -------
    azimuth : ndarray, shape (n,)
        Azimuth of the middle of the octant about the axis, ascending from 0 [rad].
    charge : ndarray, shape (n,)
        Charge [PE/GeV].
    """
    azimuth = np.arange(_N_AROUND) * (2.0 * np.pi / _N_AROUND)
    lines = _directions(spot.direction, cosine, azimuth)
    om_xyz = spot.xyz + _distances([cell])[0][:, None, None, None] * lines
    narrow = model.expected_charge(spot.xyz, spot.direction, om_xyz).mean(axis=(0, 2))
    half = _N_AROUND // N_AZIMUTH // 2
    weight = np.ones(2 * half + 1)
    weight[[0, -1]] = 0.5
    around = np.concatenate([narrow[-half:], narrow, narrow[:half]])
    return azimuth, np.convolve(around, weight / weight.sum(), mode="valid")


def average_cdf(model: LightModel, spot: Spot, view: View, cells: Sequence[int]) -> FloatArray:
    """Cumulative distribution of the delay that the model gives in cells of distance.

    Parameters
    ----------
    model, spot, view, cells
        As for `average_charge`.

    Returns
    -------
    ndarray, shape (n_cells, n_bins + 1)
        Fraction of the charge before each of `propagation.TIME_EDGES`: 0 at the first, as what comes
        at once is in the first bin, and 1 at the last, as what comes later is in the last bin.
    """
    distance = _distances(cells)[..., None, None]
    om_xyz = spot.xyz + distance * view.directions(spot.direction)
    om_xyz = om_xyz.reshape(len(cells), -1, 3)
    weight = model.expected_charge(spot.xyz, spot.direction, om_xyz)
    cdf = model.time_cdf(spot.xyz, spot.direction, om_xyz, TIME_EDGES[1:-1])
    weight = weight / weight.sum(axis=1, keepdims=True)
    result = np.zeros((len(cells), TIME_EDGES.size))
    result[:, 1:-1] = np.einsum("np,npe->ne", weight, cdf)
    result[:, -1] = 1.0
    return result


def _distances(cells: Sequence[int]) -> FloatArray:
    """Return distances that fill cells evenly in volume [m], shape (n_cells, n_points)."""
    step = (np.arange(_N_DISTANCE) + 0.5) / _N_DISTANCE
    index = np.asarray(cells, dtype=np.int64)[:, None]
    low, high = R_EDGES[index] ** 3, R_EDGES[index + 1] ** 3
    return np.cbrt(low + step * (high - low))
