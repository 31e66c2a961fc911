"""Cells around a source of light, in which the Monte Carlo propagation records what arrives.

A cell is a range of distance from the source, of angle to the axis of the source, and of azimuth
about that axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.inputs import MAX_DISTANCE
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "CELL_VOLUMES",
    "COS_EDGES",
    "N_AZIMUTH",
    "N_CELLS",
    "N_COS",
    "N_R",
    "R_EDGES",
    "axis_frame",
    "cell_points",
    "cell_shape",
    "find_cell",
    "unit_vectors",
]


def _distance_edges() -> FloatArray:
    """Return steps of a quarter of the distance, at least 0.5 m and at most 25 m."""
    edges = [1.0]
    while edges[-1] < MAX_DISTANCE:
        edges.append(edges[-1] + min(max(0.25 * edges[-1], 0.5), 25.0))
    return np.array(edges)


#: Edges of the distance from the source [m], up to the first one beyond the model's range.
R_EDGES: Final = _distance_edges()
#: Edges of the cosine to the axis, ascending; dense about the Cherenkov angle.
COS_EDGES: Final = np.cos(
    np.array([180, 140, 115, 95, 78, 64, 54, 47, 42.5, 39.5, 36, 31, 24, 14, 0]) * DEG
)
#: Equal ranges of azimuth about the axis: octants, found by comparisons.
N_AZIMUTH: Final = 8
N_R: Final = R_EDGES.size - 1
N_COS: Final = COS_EDGES.size - 1
N_CELLS: Final = N_R * N_COS * N_AZIMUTH
#: Volume of each cell [m^3], shape (n_cells,).
CELL_VOLUMES: Final = np.repeat(
    (np.diff(R_EDGES**3)[:, None] / 3.0 * np.diff(COS_EDGES)) * (2.0 * math.pi / N_AZIMUTH),
    N_AZIMUTH,
)

# Where the search of a cell starts: per half metre of distance, and per 1/256 of cosine.
_R_STEP: Final = 2.0
_R_START: Final = np.maximum(
    np.searchsorted(R_EDGES, np.arange(int(R_EDGES[-1] * _R_STEP) + 2) / _R_STEP, side="right") - 1,
    0,
)
_COS_STEP: Final = 256.0
_COS_START: Final = np.clip(
    np.searchsorted(COS_EDGES, np.arange(int(2 * _COS_STEP) + 2) / _COS_STEP - 1.0, side="right")
    - 1,
    0,
    N_COS - 1,  # a cosine of exactly 1 lies in the last range, too
)
_R_FIRST, _R_LAST = float(R_EDGES[0]), float(R_EDGES[-1])


def axis_frame(axis: FloatArray) -> FloatArray:
    """Return two unit vectors normal to an axis, and the axis, shape (3, 3).

    The choice follows Duff et al., JCGT 6 (2017) 1, which has no poles.
    """
    x, y, z = (float(value) for value in axis)
    sign = 1.0 if z >= 0.0 else -1.0
    p = -1.0 / (sign + z)
    q = x * y * p
    return np.array(
        [[1.0 + sign * x * x * p, sign * q, -sign * x], [q, sign + y * y * p, -y], [x, y, z]]
    )


@kernel
def find_cell(x: float, y: float, z: float, frame: FloatArray) -> int:
    """Return the index of the cell of a place relative to the source [m]; -1 outside."""
    r = math.sqrt(x * x + y * y + z * z)
    if not (_R_FIRST <= r < _R_LAST):
        return -1
    i = _R_START[int(r * _R_STEP)]
    while R_EDGES[i + 1] <= r:
        i += 1
    cos = (frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z) / r
    cos = min(max(cos, -1.0), 1.0)
    j = _COS_START[int((cos + 1.0) * _COS_STEP)]
    while j < COS_EDGES.size - 2 and COS_EDGES[j + 1] <= cos:
        j += 1
    a = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z
    b = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z
    octant = 0
    if b < 0.0:
        a, b = -a, -b
        octant = 4
    if a < 0.0:
        a, b = b, -a
        octant += 2
    if b > a:
        octant += 1
    return int((i * N_COS + j) * N_AZIMUTH + octant)


def unit_vectors(cosine: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Return unit vectors at a cosine to the z axis of a frame and an azimuth [rad], (..., 3)."""
    sine = np.sqrt(1.0 - cosine**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=-1)


def cell_points(cell: IntArray, uniform: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return points inside cells, uniform in volume.

    Parameters
    ----------
    cell : ndarray of int, shape (n,)
        Indices of cells.
    uniform : ndarray, shape (n, 3)
        Random numbers in [0, 1).

    Returns
    -------
    r, cosine, azimuth : ndarray, shape (n,)
        Distance [m], cosine to the axis, azimuth about it [rad].
    """
    octant = cell % N_AZIMUTH
    j = cell // N_AZIMUTH % N_COS
    i = cell // (N_AZIMUTH * N_COS)
    low, high = R_EDGES[i] ** 3, R_EDGES[i + 1] ** 3
    r = np.cbrt(low + uniform[:, 0] * (high - low))
    cosine = COS_EDGES[j] + uniform[:, 1] * (COS_EDGES[j + 1] - COS_EDGES[j])
    azimuth = (octant + uniform[:, 2]) * (2.0 * math.pi / N_AZIMUTH)
    return r, cosine, azimuth


def cell_shape() -> tuple[int, int, int]:
    """Return the numbers of cells in distance, cosine and azimuth."""
    return N_R, N_COS, N_AZIMUTH
