"""A track cut into segments: where the point-like cascades are whose energies are fitted.

The track has a fixed direction and goes through a plane normal to it, through a reference point of
the event. Where it goes through, and when, is what fits vary: (u, v, w), two offsets in the plane
and the time there times c, all in m. The sources keep their distances to the plane, so that nothing
jumps when the track moves; what lies along the track is the energies' matter.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 9 (2014) P03009, :doi:`10.1088/1748-0221/9/03/P03009`
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.recos.minimise.products import matrix_vector, vector_matrix
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["SegmentedLine", "place_segments"]

#: Sources are placed from this long before the first to this long after the last hit module [m]:
#: light goes forward.
_BEFORE: Final = 150.0
_AFTER: Final = 100.0
#: A line that is upright to this angle does not meet the side of a cylinder [rad].
_UPRIGHT: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedLine:
    """Sources on a track of fixed direction.

    Attributes
    ----------
    reference : ndarray, shape (3,)
        Point through which the plane of `u` and `v` goes [m].
    direction : ndarray, shape (3,)
        Unit vector of travel.
    basis : ndarray, shape (2, 3)
        Unit vectors of the plane.
    along : ndarray, shape (n_source,)
        Distances of the sources from the plane, ascending [m].
    """

    reference: FloatArray
    direction: FloatArray
    basis: FloatArray
    along: FloatArray

    def xyz(self, at: FloatArray) -> FloatArray:
        """Return the sources of the track `at` (u, v, w), shape (n_source, 3) [m]."""
        foot = self.reference + vector_matrix(at[:2], self.basis)
        return np.asarray(foot + self.along[:, np.newaxis] * self.direction)

    def times(self, at: FloatArray) -> FloatArray:
        """Return when the particle is at the sources, shape (n_source,) [ns]."""
        return np.asarray((at[2] + self.along) / LIGHT_SPEED)

    def through(self, vertex: FloatArray, vertex_time: float) -> FloatArray:
        """Return (u, v, w) of the track through a point [m] at a time [ns]."""
        delta = vertex - self.reference
        u, v = matrix_vector(self.basis, delta)
        along = matrix_vector(delta, self.direction)
        return np.array([u, v, vertex_time * LIGHT_SPEED - along])

    def only(self, chosen: IntArray) -> SegmentedLine:
        """Return the same track with some of its sources."""
        return replace(self, along=self.along[chosen])

    def coarser(self, spacing: float) -> SegmentedLine:
        """Return the same track with fewer sources, at least this far apart [m]."""
        span = self.along[-1] - self.along[0]
        n_source = int(span / spacing) + 1
        if n_source >= len(self.along):
            return self
        return replace(self, along=np.linspace(self.along[0], self.along[-1], n_source))

    def refined(self, chosen: IntArray, n_parts: int) -> SegmentedLine:
        """Return the same track with more sources around some of the present ones.

        Parameters
        ----------
        chosen : ndarray of int
            At least one source; the neighbourhood of each, up to the next sources on both sides, is
            refined.
        n_parts : int
            Parts that the distance between two neighbours is cut into.

        Returns
        -------
        SegmentedLine
            All present sources, and new ones around the chosen.
        """
        gaps = np.zeros(len(self.along) - 1, dtype=np.bool_)
        gaps[chosen[chosen < len(gaps)]] = True
        gaps[chosen[chosen > 0] - 1] = True
        steps = np.arange(1, n_parts) / n_parts
        first, last = self.along[:-1][gaps], self.along[1:][gaps]
        inner = first[:, np.newaxis] + (last - first)[:, np.newaxis] * steps
        return replace(self, along=np.sort(np.concatenate([self.along, inner.ravel()])))

    def point(self, at: FloatArray, distance: float) -> tuple[FloatArray, float]:
        """Return point [m] and time [ns] of a track at a distance from the plane [m]."""
        foot = self.reference + vector_matrix(at[:2], self.basis)
        return foot + distance * self.direction, float((at[2] + distance) / LIGHT_SPEED)


def place_segments(
    om_xyz: FloatArray,
    reference: FloatArray,
    direction: FloatArray,
    *,
    spacing: float,
    boundary: float,
    shift: float = 0.0,
) -> SegmentedLine:
    """Place sources along a track wherever their light may have been seen.

    Parameters
    ----------
    om_xyz : ndarray, shape (n_om, 3)
        Modules with light [m].
    reference : ndarray, shape (3,)
        Point of the event through which the plane goes [m].
    direction : ndarray, shape (3,)
        Unit vector of travel.
    spacing : float
        Distance of the sources [m].
    boundary : float
        Radius and half the height of an upright cylinder around the origin: sources outside, on the
        track through `reference`, are left out [m].
    shift : float
        Moves all sources along the track, in units of the spacing.

    Returns
    -------
    SegmentedLine
        At least one source.
    """
    from skymap_scanner.recos.likelihood.mpe import track_basis

    seen = matrix_vector(om_xyz - reference, direction)
    enters, leaves = _in_cylinder(reference, direction, boundary)
    first = max(seen.min() - _BEFORE, enters)
    last = min(seen.max() + _AFTER, leaves)
    begin = np.ceil(first / spacing - shift)
    n_source = max(1, int(np.floor(last / spacing - shift) - begin) + 1)
    along = (begin + np.arange(n_source) + shift) * spacing
    return SegmentedLine(reference, direction, track_basis(direction), along)


def _in_cylinder(point: FloatArray, direction: FloatArray, size: float) -> tuple[float, float]:
    """Return where a line enters and leaves a cylinder of this radius and half height [m].

    The same twice where it passes outside.
    """
    x, y, z = point.tolist()
    along_x, along_y, along_z = direction.tolist()
    enters, leaves = -math.inf, math.inf
    if along_z != 0.0:
        enters, leaves = sorted(((-size - z) / along_z, (size - z) / along_z))
    across = along_x**2 + along_y**2
    if across > _UPRIGHT**2:
        middle = -(x * along_x + y * along_y) / across
        half = math.sqrt(max(middle**2 - (x**2 + y**2 - size**2) / across, 0.0))
        enters, leaves = max(enters, middle - half), min(leaves, middle + half)
    return enters, max(enters, leaves)
