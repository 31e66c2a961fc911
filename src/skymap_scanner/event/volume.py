"""The instrumented volume of the detector: what lies in it, and where tracks cross it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.pulses import BoolArray
    from skymap_scanner.units import FloatArray

__all__ = ["Prism", "instrumented_volume"]

#: Strings at the corners of IceCube's outline, in order around it.
_CORNER_STRINGS: Final = (1, 6, 50, 74, 72, 78, 75, 31)
#: Slopes below this are none.
_FLAT: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Prism:
    """An upright prism.

    Attributes
    ----------
    corners : ndarray, shape (n_corner, 2)
        Its outline, in order around it [m].
    bottom, top : float
        Lowest and highest z [m].
    """

    corners: FloatArray
    bottom: float
    top: float

    def crossing(self, point: FloatArray, direction: FloatArray) -> tuple[float, float] | None:
        """Find where a straight line is first and last inside.

        Parameters
        ----------
        point, direction : ndarray, shape (3,)
            A point of the line [m], and the unit vector along it.

        Returns
        -------
        tuple of float or None
            Distances from the point along the direction [m]; None where the line misses the prism.

        Examples
        --------
        >>> square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        >>> Prism(square, -2.0, 2.0).crossing(np.zeros(3), np.array([1.0, 0.0, 0.0]))
        (-1.0, 1.0)
        """
        low, high = self._between(float(point[2]), float(direction[2]))
        edges = np.concatenate([[low], np.sort(self._side_crossings(point, direction)), [high]])
        edges = np.clip(edges, low, high)
        if not np.isfinite(edges).all():  # a vertical line in a flat prism, or a level one outside
            return None
        middle = 0.5 * (edges[1:] + edges[:-1])
        inside = np.flatnonzero(
            (edges[1:] > edges[:-1]) & self._holds(point[:2] + middle[:, None] * direction[:2])
        )
        if len(inside) == 0:
            return None
        return float(edges[inside[0]]), float(edges[inside[-1] + 1])

    def contains(self, xyz: FloatArray) -> BoolArray:
        """Tell which points lie inside.

        Parameters
        ----------
        xyz : ndarray, shape (n, 3)
            Points [m].

        Returns
        -------
        ndarray of bool, shape (n,)

        Examples
        --------
        >>> square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        >>> Prism(square, -2.0, 2.0).contains(np.array([[0.5, 0.0, 1.9], [0.5, 0.0, 2.1]]))
        array([ True, False])
        """
        is_between = (xyz[:, 2] >= self.bottom) & (xyz[:, 2] <= self.top)
        return np.asarray(is_between & self._holds(xyz[:, :2]))

    def _between(self, z: float, slope: float) -> tuple[float, float]:
        """Return between which distances a line lies between bottom and top."""
        if abs(slope) < _FLAT:
            reach = 1e9 if self.bottom <= z <= self.top else np.inf
            return -reach, reach
        one, other = (self.bottom - z) / slope, (self.top - z) / slope
        return min(one, other), max(one, other)

    def _side_crossings(self, point: FloatArray, direction: FloatArray) -> FloatArray:
        """Return where a line crosses the sides, as distances [m]."""
        start = self.corners - point[:2]
        side = np.roll(self.corners, -1, axis=0) - self.corners
        slope = direction[0] * side[:, 1] - direction[1] * side[:, 0]
        is_crossed = np.abs(slope) > _FLAT
        start, side, slope = start[is_crossed], side[is_crossed], slope[is_crossed]
        along = (start[:, 0] * side[:, 1] - start[:, 1] * side[:, 0]) / slope
        place = (start[:, 0] * direction[1] - start[:, 1] * direction[0]) / slope
        return np.asarray(along[(place >= 0.0) & (place < 1.0)])

    def _holds(self, xy: FloatArray) -> BoolArray:
        """Tell which points, shape (n, 2), lie inside the outline: a ray crosses it oddly often."""
        first = self.corners[np.newaxis]
        second = np.roll(self.corners, -1, axis=0)[np.newaxis]
        x, y = xy[:, :1], xy[:, 1:]
        spans = (first[..., 1] > y) != (second[..., 1] > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = first[..., 0] + (y - first[..., 1]) * (second[..., 0] - first[..., 0]) / (
                second[..., 1] - first[..., 1]
            )
        return np.asarray(np.count_nonzero(spans & (x < at), axis=1) % 2 == 1)


@lru_cache(maxsize=4)
def instrumented_volume(detector: Detector) -> Prism:
    """Return the volume between the strings of a detector and between its top and bottom modules.

    Parameters
    ----------
    detector : Detector
        Geometry.

    Returns
    -------
    Prism
        Around IceCube's corner strings; around the convex hull of a detector that lacks one.
    """
    from scipy.spatial import ConvexHull

    string = detector.om_key[:, 0]
    z = detector.om_xyz[:, 2]
    first = [np.flatnonzero(string == corner)[:1] for corner in _CORNER_STRINGS]
    if all(len(rows) for rows in first):
        corners = detector.om_xyz[np.concatenate(first), :2]
    else:
        outer = np.unique(detector.om_xyz[:, :2], axis=0)
        corners = outer[ConvexHull(outer).vertices]
    return Prism(corners, float(z.min()), float(z.max()))
