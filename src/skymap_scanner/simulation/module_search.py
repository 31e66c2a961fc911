r"""Which optical modules a piece of a photon's path hits.

A module is a sphere, seen by a photon as a disc across its direction. To save photons the disc may
be enlarged by a factor `oversize` while the thickness along the photon is kept: a pancake that is
always flat towards the photon. A photon hits where it enters, so that one straight leg hits a
module at most once, and the mean number of hits is exactly fluence times the area of the disc
wherever the fluence does not vary over the disc.

Most legs are nowhere near a string. A map of the distance to the nearest one says so with one look;
for the rest the modules of a string are sorted by height.

References
----------
.. [1] PPC, the public photon propagation code of the IceCube Collaboration: the pancake
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.optics import MODULE_RADIUS

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["ModuleMap", "is_far", "leg_hits", "make_module_map"]

#: Cells of the map of distances [m], and how far it reaches beyond the outermost strings [m].
_CELL: Final = 5.0
_MARGIN: Final = 400.0


class ModuleMap(NamedTuple):
    """Living modules, arranged for the search (a tuple of arrays, as kernels want it).

    Attributes
    ----------
    om_index : ndarray of int, shape (n,)
        Row in the detector; strings one after the other, from the bottom up.
    om_xyz : ndarray, shape (n, 3)
        Places [m].
    first : ndarray of int, shape (n_string + 1,)
        First row of each string.
    string_xy : ndarray, shape (n_string, 2)
        Their axes [m].
    spread : float
        No module is farther from its string's axis [m].
    z_range : tuple of float
        Lowest and highest module [m].
    near : ndarray, shape (n_x, n_y)
        No axis is nearer to any point of the cell [m].
    corner : tuple of float
        Lowest x and y of the map [m].
    radius, oversize : float
        Radius of the enlarged discs [m], and by which factor it is larger than that of a module.
    """

    om_index: IntArray
    om_xyz: FloatArray
    first: IntArray
    string_xy: FloatArray
    spread: float
    z_range: tuple[float, float]
    near: FloatArray
    corner: tuple[float, float]
    radius: float
    oversize: float


def make_module_map(detector: Detector, oversize: float = 1.0) -> ModuleMap:
    """Arrange the living modules of a detector for the search.

    Parameters
    ----------
    detector : Detector
        At least one module is alive.
    oversize : float
        Factor by which discs are enlarged.

    Returns
    -------
    ModuleMap
    """
    rows = np.flatnonzero(detector.is_alive)
    string = detector.om_key[rows, 0]
    order = np.lexsort((detector.om_xyz[rows, 2], string))
    rows, string = rows[order], string[order]
    xyz = np.ascontiguousarray(detector.om_xyz[rows])
    _, first, n_oms = np.unique(string, return_index=True, return_counts=True)
    axes = np.add.reduceat(xyz[:, :2], first) / n_oms[:, None]
    spread = np.linalg.norm(xyz[:, :2] - np.repeat(axes, n_oms, axis=0), axis=1).max()
    low = axes.min(axis=0) - _MARGIN
    n_x, n_y = np.ceil((axes.max(axis=0) + _MARGIN - low) / _CELL).astype(int)
    x = low[0] + _CELL * (np.arange(n_x) + 0.5)
    y = low[1] + _CELL * (np.arange(n_y) + 0.5)
    near = np.full((n_x, n_y), np.inf)
    for axis in axes:
        np.minimum(near, np.hypot(x[:, None] - axis[0], y - axis[1]), out=near)
    return ModuleMap(
        om_index=rows,
        om_xyz=xyz,
        first=np.append(first, len(rows)),
        string_xy=axes,
        spread=float(spread),
        z_range=(float(xyz[:, 2].min()), float(xyz[:, 2].max())),
        near=near - _CELL * math.sqrt(0.5),
        corner=(float(low[0]), float(low[1])),
        radius=MODULE_RADIUS * oversize,
        oversize=oversize,
    )


@kernel
def is_far(x: float, y: float, z: float, reach: float, modules: ModuleMap) -> bool:
    """Tell whether a ball can be seen at a glance to hold no part of any module.

    Parameters
    ----------
    x, y, z, reach : float
        Centre and radius of the ball [m].
    modules : ModuleMap
        The modules.

    Returns
    -------
    bool
        False also where a longer look is needed.
    """
    far = reach + modules.radius
    if z + far < modules.z_range[0] or z - far > modules.z_range[1]:
        return True
    i = math.floor((x - modules.corner[0]) * (1.0 / _CELL))
    j = math.floor((y - modules.corner[1]) * (1.0 / _CELL))
    if 0 <= i < modules.near.shape[0] and 0 <= j < modules.near.shape[1]:
        return bool(modules.near[i, j] > far + modules.spread)
    return far + modules.spread < _MARGIN


@kernel
def leg_hits(
    start: FloatArray, direction: FloatArray, length: float, modules: ModuleMap, found: FloatArray
) -> int:
    """Find the modules that a straight leg enters.

    Parameters
    ----------
    start, direction : ndarray, shape (3,)
        Where it begins [m], and unit vector.
    length : float
        Its length [m].
    modules : ModuleMap
        The modules.
    found : ndarray, shape (n, 2)
        Written: row of the module in the map, and distance from the start [m]. As many rows as
        there are modules are always enough.

    Returns
    -------
    int
        Number of modules entered.
    """
    dx, dy, dz = direction[0], direction[1], direction[2]
    wide = modules.radius + modules.spread
    last = length + modules.radius
    n = 0
    for k in range(modules.string_xy.shape[0]):
        x, y = modules.string_xy[k, 0] - start[0], modules.string_xy[k, 1] - start[1]
        # Part of the line that is near to the string's axis.
        low, high = _range_near(x, y, dx, dy, wide, last)
        if low > high:
            continue
        z_a, z_b = start[2] + low * dz, start[2] + high * dz
        top = max(z_a, z_b) + modules.radius
        end = modules.first[k + 1]
        row = _first_above(min(z_a, z_b) - modules.radius, modules.first[k], end, modules.om_xyz)
        while row < end and modules.om_xyz[row, 2] <= top:
            x, y = modules.om_xyz[row, 0] - start[0], modules.om_xyz[row, 1] - start[1]
            z = modules.om_xyz[row, 2] - start[2]
            nearest = x * dx + y * dy + z * dz
            inside = modules.radius**2 - (x * x + y * y + z * z - nearest * nearest)
            if inside >= 0.0:
                entry = nearest - math.sqrt(inside) / modules.oversize
                if 0.0 < entry <= length:
                    found[n, 0], found[n, 1] = row, entry
                    n += 1
            row += 1
    return n


@kernel
def _range_near(
    x: float, y: float, dx: float, dy: float, wide: float, last: float
) -> tuple[float, float]:
    """Return from where to where a leg is within `wide` of a vertical axis at (x, y) [m].

    The first number is larger than the second where it never is.
    """
    across2 = dx * dx + dy * dy
    outside = x * x + y * y - wide * wide
    if across2 < 1e-12:  # vertical
        return (0.0, last) if outside <= 0.0 else (1.0, 0.0)
    along = x * dx + y * dy
    room = along * along - across2 * outside
    if room < 0.0:
        return 1.0, 0.0
    root = math.sqrt(room)
    return max((along - root) / across2, 0.0), min((along + root) / across2, last)


@kernel
def _first_above(z: float, low: int, high: int, om_xyz: FloatArray) -> int:
    """Return the first row from `low` to `high` whose height is at least `z`, else `high`."""
    while low < high:
        middle = (low + high) // 2
        if om_xyz[middle, 2] < z:
            low = middle + 1
        else:
            high = middle
    return low
