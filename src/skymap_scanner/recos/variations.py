"""Vertex variations: where, around its seed, the fit of a pixel starts.

All sets are constant arrays of offsets in the frame whose z axis is the track; the rotation into
the detector frame is that of :mod:`skymap_scanner.recos.seeding`. The three sets are those of the
classic scanner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.exceptions import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skymap_scanner.units import FloatArray

__all__ = ["as_offsets", "cylinder", "octahedron", "point"]


def point() -> FloatArray:
    """Return the origin alone.

    Returns
    -------
    ndarray, shape (1, 3)
        Offsets [m].
    """
    return np.zeros((1, 3))


def octahedron(radius: float = 20.0) -> FloatArray:
    """Return the origin and the six corners of an octahedron.

    Parameters
    ----------
    radius : float
        Distance of the corners from the origin [m].

    Returns
    -------
    ndarray, shape (7, 3)
        Offsets [m]: the origin, then on each axis the negative corner before the positive one.

    Examples
    --------
    >>> octahedron(20.0)[:3]
    array([[  0.,   0.,   0.],
           [-20.,   0.,   0.],
           [ 20.,   0.,   0.]])
    """
    offsets = np.zeros((7, 3))
    for axis in range(3):
        offsets[1 + 2 * axis, axis] = -radius
        offsets[2 + 2 * axis, axis] = radius
    return offsets


def cylinder(
    heights: Sequence[float] = (-40.0, 40.0), radius: float = 150.0, n_angles: int = 3
) -> FloatArray:
    """Return the origin and rings of points around the track, each ring turned against the last.

    Parameters
    ----------
    heights : sequence of float
        Where along the track the rings are [m].
    radius : float
        Radius of the rings [m].
    n_angles : int
        Points per ring.

    Returns
    -------
    ndarray, shape (1 + len(heights) * n_angles, 3)
        Offsets [m], ring by ring; ring i is turned by i pi / `n_angles`.

    Examples
    --------
    >>> cylinder()[[0, 1, 4]].round(3)
    array([[  0.   ,   0.   ,   0.   ],
           [150.   ,   0.   , -40.   ],
           [ 75.   , 129.904,  40.   ]])
    """
    rows = [(0.0, 0.0, 0.0)]
    for ring, height in enumerate(heights):
        for k in range(n_angles):
            angle = 2.0 * np.pi * k / n_angles + ring * np.pi / n_angles
            rows.append((radius * np.cos(angle), radius * np.sin(angle), height))
    return np.array(rows)


def as_offsets(positions: Iterable[Any], reco_name: str) -> FloatArray:
    """Turn what a plug-in's ``get_vertex_variations`` returned into an array.

    Parameters
    ----------
    positions : array_like, shape (n, 3), or iterable of objects with attributes x, y, z
        Offsets [m]; the second form is IceTray's ``list[dataclasses.I3Position]``.
    reco_name : str
        Whose they are, for the error.

    Returns
    -------
    ndarray, shape (n, 3)
        A new array of offsets [m].

    Raises
    ------
    PluginError
        No offset at all, a wrong shape or a number that is not finite.
    """
    rows = [
        (position.x, position.y, position.z) if hasattr(position, "x") else position
        for position in positions
    ]
    wanted = f"reco {reco_name}: get_vertex_variations() must return positions (x, y, z) in m"
    try:
        offsets = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{wanted}: {error}"
        raise PluginError(msg) from error
    if offsets.ndim != 2 or offsets.shape[0] < 1 or offsets.shape[1] != 3:
        msg = f"{wanted}, at least one, not an array of shape {offsets.shape}"
        raise PluginError(msg)
    if not np.isfinite(offsets).all():
        msg = f"{wanted}, all finite"
        raise PluginError(msg)
    return offsets
