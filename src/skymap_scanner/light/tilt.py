"""Tilt of the ice: the layers lie up to some tens of metres higher on one side of the detector.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.light.tables import read_table
from skymap_scanner.units import DEG, SURFACE_Z

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = ["TiltTable"]


@dataclass(frozen=True, slots=True, eq=False)
class TiltTable:
    """Shift of the ice layers along the direction in which they are tilted.

    Attributes
    ----------
    gradient : ndarray, shape (2,)
        Horizontal unit vector of the tilt direction.
    origin : float
        Value of ``gradient @ (x, y)`` at distance 0 (string 86) [m].
    distance : ndarray, shape (n_distance,)
        Distances along the gradient [m], ascending.
    depth : ndarray, shape (n_depth,)
        Depths [m], ascending in equal steps.
    shift : ndarray, shape (n_depth, n_distance)
        Upward shift of the layers [m].
    """

    gradient: FloatArray
    origin: float
    distance: FloatArray
    depth: FloatArray
    shift: FloatArray

    @classmethod
    def load(cls) -> TiltTable:
        """Read the one-dimensional tilt table of spice_bfr-v2, which serves both ice models."""
        header, columns, rows = read_table("tilt_spice_bfr-v2.csv")
        angle = float(header["gradient_azimuth_deg"]) * DEG
        return cls(
            gradient=np.array([np.cos(angle), np.sin(angle)]),
            origin=float(header["origin_m"]),
            distance=np.array([float(x) for x in columns[1:]]),
            depth=rows[:, 0].copy(),
            shift=np.ascontiguousarray(rows[:, 1:]),
        )

    def at(self, xyz: ArrayLike) -> FloatArray:
        """Shift of the layers at some points.

        Linear between the neighbouring distances (extrapolated outside) and in depth (clamped
        outside): the ice at z is the ice of the table at ``z - shift``.

        Parameters
        ----------
        xyz : array_like, shape (..., 3)
            Points in detector coordinates [m].

        Returns
        -------
        ndarray, shape (...)
            Shifts [m].

        Examples
        --------
        >>> TiltTable.load().at([[0.0, 0.0, -350.0], [300.0, 300.0, 300.0]]).round(4)
        array([ 0.1674, -2.4023])
        """
        points = np.asarray(xyz, dtype=np.float64)
        along = points[..., 0] * self.gradient[0] + points[..., 1] * self.gradient[1] - self.origin
        i = np.clip(np.searchsorted(self.distance, along) - 1, 0, self.distance.size - 2)
        f = (along - self.distance[i]) / (self.distance[i + 1] - self.distance[i])
        row = (SURFACE_Z - points[..., 2] - self.depth[0]) / (self.depth[1] - self.depth[0])
        row = np.clip(row, 0.0, self.depth.size - 1.0)
        j = np.minimum(row.astype(np.int64), self.depth.size - 2)
        g = row - j
        upper = self.shift[j, i] * (1.0 - f) + self.shift[j, i + 1] * f
        lower = self.shift[j + 1, i] * (1.0 - f) + self.shift[j + 1, i + 1] * f
        return np.asarray(upper * (1.0 - g) + lower * g)
