r"""What the light model's networks are told about a source, a module, and the ice between them.

The numbers are those on which light depends through few scatters (distances, angles, emission of
the source towards the module), through many (averages of scattering and absorption between the
ends and around them), and the directions of source and line of sight relative to the ice flow.
Light in tilted layers is that in flat ones at heights shifted at each end.

The emission towards a module and the acceptance of light from the source are not all: light that
starts on one side of the line of sight comes in from the other. How much more or less light that
is depends on the side of the line on which the source's axis and the vertical lie; the component of
the one along the other, across the line, tells.

The inputs of a pair are split in those of the source alone, of the module alone, and of both, so
that the first two are worked out once per source and module.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import fast_kernel
from skymap_scanner.light.angles import blurred_acceptance
from skymap_scanner.light.fast_math import exp32, log32
from skymap_scanner.light.medium import FLOW_AZIMUTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = [
    "MAX_DISTANCE",
    "MIN_DISTANCE",
    "N_OM_INPUTS",
    "N_PAIR_INPUTS",
    "N_SOURCE_INPUTS",
    "PairTables",
    "Pairs",
    "fill_pair_inputs",
    "om_inputs",
    "pair_inputs",
    "pair_tables",
    "source_inputs",
]

#: Modules nearer to a source than this are treated as if they were this far away [m].
MIN_DISTANCE: Final = 1.0
#: Farther modules get the light at this distance, falling off as it does in diffusion [m].
MAX_DISTANCE: Final = 480.0
#: Heights of ends in untilted layers are kept in this range: above and below is no ice we know.
_Z_RANGE: Final = (-830.0, 830.0)
N_PAIR_INPUTS: Final = 21
N_SOURCE_INPUTS: Final = 30
N_OM_INPUTS: Final = 28

#: No acceptance at all counts as the root of this: logarithms stay smooth and finite.
_LEAST_SQUARED: Final = np.float32(1e-4)
#: Light whose directions spread by the width of the blurred acceptance has gone the inverse of
#: this, in effective scattering lengths: the mean square of the angle is about two per length.
_BLURRING: Final = np.float32(3.0)
#: Scattering and absorption around an end are averaged between these heights above it [m]: near it
#: as fine as the layers, for a few metres of other ice decide on light that is going there.
_EDGES: Final = np.array(
    [-180, -120, -80, -50, -30, -15, -5, 5, 15, 30, 50, 80, 120, 180], dtype=np.float64
)
_N_WINDOWS: Final = _EDGES.size - 1
#: Added to logarithms of scattering and absorption, to have them around zero.
_CENTRES: Final = (3.5, 4.7)
#: Nearer than this the line of sight has no direction; the source's axis is taken [m].
_CENTRE: Final = 1e-9
#: Margins of the averages between the two ends [m].
_NARROW, _WIDE = 2.0, 30.0


class PairTables(NamedTuple):
    """Tables for the inputs of pairs.

    Attributes
    ----------
    z_bottom, inverse_step : float
        Lowest edge of the layers [m], inverse of their thickness [1/m].
    cumulative : ndarray of float64, shape (n_layer + 1, 2)
        Integrals of effective scattering and absorption from the lowest edge upwards.
    emission : ndarray of float32, shape (n_cosine, 3)
        Natural logarithm of the light per sr at a cosine to the axis, blurred by three kernels.
    acceptance, blurred_acceptance : ndarray of float64, shape (n_coefficient,)
        Angular acceptance of modules, sharp and blurred: polynomials in the z component.
    flow : tuple of float
        Horizontal unit vector of the flow axis.
    """

    z_bottom: float
    inverse_step: float
    cumulative: FloatArray
    emission: Float32Array
    acceptance: FloatArray
    blurred_acceptance: FloatArray
    flow: tuple[float, float]


class Pairs(NamedTuple):
    """Sources, modules, and which of them are paired.

    Attributes
    ----------
    source, om : ndarray, shape (n_source, 4), (n_om, 4)
        Places, and heights in untilted layers [m].
    direction : ndarray, shape (n_source, 3)
        Axes of the sources.
    source_index, om_index : ndarray of int, shape (n_pair,)
        Rows of `source` and `om`.
    """

    source: FloatArray
    om: FloatArray
    direction: FloatArray
    source_index: IntArray
    om_index: IntArray


def pair_tables(ice: IceModel, emission: Float32Array) -> PairTables:
    """Return the tables for one model of the ice."""
    profile = ice.profile(400.0)
    acceptance = np.trim_zeros(ice.angular_acceptance, "b")
    return PairTables(
        z_bottom=profile.z_bottom,
        inverse_step=1.0 / profile.step,
        cumulative=np.stack([profile.scattering, profile.absorption], axis=1),
        emission=np.ascontiguousarray(emission),
        acceptance=acceptance,
        blurred_acceptance=blurred_acceptance(acceptance),
        flow=(math.cos(FLOW_AZIMUTH), math.sin(FLOW_AZIMUTH)),
    )


@fast_kernel
def _cumulative(z: float, tables: PairTables) -> tuple[float, float]:
    """Return the integrals of scattering and absorption up to a height."""
    place = (z - tables.z_bottom) * tables.inverse_step
    k = min(max(math.floor(place), 0), tables.cumulative.shape[0] - 2)
    f = place - k
    low, high = tables.cumulative[k], tables.cumulative[k + 1]
    return low[0] + f * (high[0] - low[0]), low[1] + f * (high[1] - low[1])


def source_inputs(z: FloatArray, direction: FloatArray, tables: PairTables) -> Float32Array:
    """Return the inputs of sources alone.

    Parameters
    ----------
    z : ndarray, shape (n,)
        Heights in untilted layers [m].
    direction : ndarray, shape (n, 3)
        Axes, unit vectors.
    tables : PairTables
        The ice.

    Returns
    -------
    ndarray of float32, shape (n, 30)
    """
    flow_x, flow_y = tables.flow
    along = direction[:, 0] * flow_x + direction[:, 1] * flow_y
    across = direction[:, 1] * flow_x - direction[:, 0] * flow_y
    inputs = np.empty((z.size, N_SOURCE_INPUTS), np.float32)
    _fill_windows(z, tables, inputs)
    inputs[:, 27] = direction[:, 2]
    inputs[:, 28] = along**2 - across**2
    inputs[:, 29] = direction[:, 2] ** 2
    return inputs


def om_inputs(z: FloatArray, tables: PairTables) -> Float32Array:
    """Return the inputs of modules alone, shape (n, 28); `z` [m] in untilted layers."""
    inputs = np.empty((z.size, N_OM_INPUTS), np.float32)
    _fill_windows(z, tables, inputs)
    inputs[:, 27] = inputs[:, 26] ** 2
    return inputs


@fast_kernel
def _fill_windows(z: FloatArray, tables: PairTables, inputs: Float32Array) -> None:
    """Fill the first 27 columns: logarithms of averages around some heights, and the heights."""
    for row in range(z.size):
        height = min(max(z[row], _Z_RANGE[0]), _Z_RANGE[1])
        below = _cumulative(height + _EDGES[0], tables)
        for k in range(_N_WINDOWS):
            above = _cumulative(height + _EDGES[k + 1], tables)
            width = _EDGES[k + 1] - _EDGES[k]
            inputs[row, k] = math.log((above[0] - below[0]) / width) + _CENTRES[0]
            inputs[row, _N_WINDOWS + k] = math.log((above[1] - below[1]) / width) + _CENTRES[1]
            below = above
        inputs[row, 2 * _N_WINDOWS] = height / 500.0


@fast_kernel
def _above_none(accepted: np.float32) -> np.float32:
    """Return an acceptance that goes smoothly to 0.01 where there is none."""
    half = np.float32(0.5) * accepted
    return np.float32(half + np.sqrt(half * half + _LEAST_SQUARED))


@fast_kernel
def fill_pair_inputs(
    first: int, pairs: Pairs, tables: PairTables, inputs: Float32Array, falling: Float32Array
) -> None:
    """Work out the inputs of a run of pairs.

    Parameters
    ----------
    first : int
        Number of the first pair.
    pairs : Pairs
        Sources and modules.
    tables : PairTables
        The ice and the source's emission.
    inputs : ndarray of float32, shape (21, n)
        Written, one column per pair.
    falling : ndarray of float32, shape (n,)
        Written: logarithm of the light that distance takes, :math:`-2 ln r`, less beyond
        `MAX_DISTANCE`.
    """
    _fill_geometry(first, pairs, tables, inputs)
    _fill_means(first, pairs, tables, inputs)
    one, hundredth = np.float32(1.0), np.float32(0.01)
    for row in range(falling.size):
        distance = inputs[1, row]
        r = min(distance, np.float32(MAX_DISTANCE))
        log_r = log32(r)
        scattering, absorption = inputs[2, row], inputs[3, row]
        fall = np.sqrt(np.float32(3.0) * absorption * (scattering + absorption))
        falling[row] = np.float32(-2.0) * log32(distance) + (r - distance) * fall
        inputs[0, row] = log_r - np.float32(4.0)
        inputs[1, row] = r * hundredth
        inputs[2, row] = log32(scattering) + np.float32(3.5)
        inputs[3, row] = log32(absorption) + np.float32(4.7)
        inputs[4, row] = np.float32(0.2) * r * fall
        inputs[5, row] = log32(scattering * r + np.float32(0.05))
        inputs[6, row] = scattering * r * np.float32(0.1)
        straight = exp32(-_BLURRING * scattering * r)
        accepted = straight * inputs[12, row] + (one - straight) * inputs[18, row]
        inputs[20, row] = log32(_above_none(accepted)) + one
        inputs[12, row] = log32(_above_none(inputs[12, row])) + one
        inputs[13, row] = log32(inputs[13, row]) + np.float32(3.5)
        inputs[14, row] = log32(inputs[14, row]) + np.float32(4.7)
        inputs[16, row] = inputs[15, row] * r * hundredth
        inputs[18, row] = log32(inputs[18, row]) + one


@fast_kernel
def _fill_geometry(first: int, pairs: Pairs, tables: PairTables, inputs: Float32Array) -> None:
    """Fill distance (1), angles, emission and acceptance."""
    source, om, direction = pairs.source, pairs.om, pairs.direction
    emission = tables.emission
    acceptance, blurred_acceptance = tables.acceptance, tables.blurred_acceptance
    flow_x, flow_y = tables.flow
    half = 0.5 * (emission.shape[0] - 1)
    for row in range(inputs.shape[1]):
        i, j = pairs.source_index[first + row], pairs.om_index[first + row]
        a, b, c = direction[i, 0], direction[i, 1], direction[i, 2]
        x, y, z = om[j, 0] - source[i, 0], om[j, 1] - source[i, 1], om[j, 2] - source[i, 2]
        r = math.sqrt(x * x + y * y + z * z)
        if r > _CENTRE:
            x, y, z = x / r, y / r, z / r
        else:
            x, y, z = a, b, c
        cosine = min(max(x * a + y * b + z * c, -1.0), 1.0)
        along, across = x * flow_x + y * flow_y, y * flow_x - x * flow_y
        accepted, blurred = 0.0, 0.0
        for k in range(acceptance.size - 1, -1, -1):
            accepted = accepted * z + acceptance[k]
            blurred = blurred * z + blurred_acceptance[k]
        place = (cosine + 1.0) * half
        node = min(int(place), emission.shape[0] - 2)
        f = np.float32(place - node)
        inputs[1, row] = max(r, MIN_DISTANCE)
        inputs[7, row] = cosine
        for k in range(3):
            low, high = emission[node, k], emission[node + 1, k]
            inputs[8 + k, row] = low + f * (high - low) + np.float32(3.0)
        inputs[11, row] = z
        inputs[12, row] = accepted
        inputs[15, row] = along * along - across * across
        inputs[17, row] = along * (a * flow_x + b * flow_y) - across * (b * flow_x - a * flow_y)
        inputs[18, row] = blurred
        inputs[19, row] = c - cosine * z


@fast_kernel
def _fill_means(first: int, pairs: Pairs, tables: PairTables, inputs: Float32Array) -> None:
    """Fill means of scattering (2, 13) and absorption (3, 14) between and around the ends."""
    source, om, cumulative = pairs.source, pairs.om, tables.cumulative
    last = cumulative.shape[0] - 2
    bottom, inverse_step = tables.z_bottom, tables.inverse_step
    for row in range(inputs.shape[1]):
        z_source, z_om = (
            source[pairs.source_index[first + row], 3],
            om[pairs.om_index[first + row], 3],
        )
        low, high = min(z_source, z_om), max(z_source, z_om)
        for margin, column in ((_NARROW, 2), (_WIDE, 13)):
            place = (high + margin - bottom) * inverse_step
            k = min(max(math.floor(place), 0), last)
            f = place - k
            scattering = cumulative[k, 0] + f * (cumulative[k + 1, 0] - cumulative[k, 0])
            absorption = cumulative[k, 1] + f * (cumulative[k + 1, 1] - cumulative[k, 1])
            place = (low - margin - bottom) * inverse_step
            k = min(max(math.floor(place), 0), last)
            f = place - k
            scattering -= cumulative[k, 0] + f * (cumulative[k + 1, 0] - cumulative[k, 0])
            absorption -= cumulative[k, 1] + f * (cumulative[k + 1, 1] - cumulative[k, 1])
            inverse = 1.0 / (high - low + 2.0 * margin)
            inputs[column, row] = scattering * inverse
            inputs[column + 1, row] = absorption * inverse


def pair_inputs(pairs: Pairs, tables: PairTables) -> tuple[Float32Array, Float32Array]:
    """Return the inputs of pairs and the logarithm of what distance takes, (n, 21) and (n,)."""
    n = pairs.source_index.size
    inputs, falling = np.empty((N_PAIR_INPUTS, n), np.float32), np.empty(n, np.float32)
    fill_pair_inputs(0, pairs, tables, inputs, falling)
    return inputs.T, falling
