"""Sources and angles at which a light model is looked at, and what it gives there.

A *spot* is a source; a *view* is a range of angles under which it is seen, at any distance. The
model is averaged over whole cells, as the Monte Carlo propagation records light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.cells import COS_EDGES, N_AZIMUTH, R_EDGES, axis_frame, unit_vectors
from skymap_scanner.light.propagation import TIME_EDGES
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.units import FloatArray

__all__ = ["Spot", "View", "average_cdf", "average_charge", "charge_around", "charge_at"]

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
    return np.asarray(unit_vectors(cos, turn) @ axis_frame(axis))


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
    azimuth = 2.0 * np.pi * np.arange(_N_AROUND, dtype=np.float64) / _N_AROUND
    lines = _directions(spot.direction, cosine, azimuth)
    om_xyz = spot.xyz + _distances([cell])[0][:, None, None, None] * lines
    narrow = model.expected_charge(spot.xyz, spot.direction, om_xyz).mean(axis=(0, 2))
    half = _N_AROUND // N_AZIMUTH // 2
    weight = np.ones(2 * half + 1)
    weight[[0, -1]] = 0.5
    around = np.concatenate([narrow[-half:], narrow, narrow[:half]])
    return azimuth, np.asarray(np.convolve(around, weight / weight.sum(), mode="valid"))


def average_cdf(model: LightModel, spot: Spot, view: View, cells: Sequence[int]) -> FloatArray:
    """Cumulative distribution of the delay that the model gives in cells of distance.

    Parameters
    ----------
    model, spot, view, cells
        As for `average_charge`.

    Returns
    -------
    ndarray, shape (n_cells, n_bins + 1)
        Fraction of the charge before each of `propagation.TIME_EDGES`: 0 at the first edge, since
        what comes at once is in the first bin, and 1 at the last: what comes later is in the last.
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
