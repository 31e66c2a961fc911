r"""What each source on a track adds to each time bin: the matrix that energies are unfolded with.

For bin i = [t1, t2] of a module and source j, with T the time of direct light (group index
`N_REF`),

.. math:: A_{ij} = q_j \left[F_j(t_2 - T_j) - F_j(t_1 - T_j)\right],

q the expected charge per energy and F the distribution of delays, both from the light model. Bins
without rows and modules without any pulse add to the column sums only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.fast_math import exp32, log32
from skymap_scanner.light.inputs import om_inputs
from skymap_scanner.light.mixture import N_COMPONENTS, mixture_weights
from skymap_scanner.light.network import EndPart, om_part
from skymap_scanner.light.optics import MODULE_AREA, N_REF, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.recos.likelihood.time_bins import DEAD
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.inputs import Pairs
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.recos.likelihood.time_bins import TimedModules
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = ["CHARGE", "SOFTENING", "Modules", "SeenLight", "fill_response", "reach_pairs"]

#: Delays go smoothly to zero within this width [ns]: an early pulse must not be impossible. On
#: simulated muons widths of 1 to 3 ns are better by 0.6 in the likelihood of an event, whose pulses
#: are as well timed as we simulate them; real ones are read out in steps of up to 25 ns.
SOFTENING: Final = 5.0
#: Charge per energy of a cascade and fluence per photon [PE m^2/GeV].
CHARGE: Final = PHOTONS_PER_GEV * MODULE_AREA
#: Edges beyond this are those of all time [ns].
_EVER: Final = 1e8
#: Exponents beyond this are as good as infinite.
_STEEP: Final = np.float32(80.0)
#: Shortest delay [ns].
_LEAST: Final = 1e-9
#: Pairs that are worked on at a time.
_BLOCK: Final = 64
_ONE: Final = np.float32(1.0)


class SeenLight(NamedTuple):
    """Light of sources at modules, whatever the time (a tuple, as kernels want it).

    Attributes
    ----------
    log_fluence : ndarray, shape (n_pair,)
        Logarithm of the accepted fluence per photon [1/m^2].
    mixture : ndarray of float32, shape (n_pair, 12)
        Raw mixtures of delays.
    """

    log_fluence: FloatArray
    mixture: Float32Array


class Modules(NamedTuple):
    """Some modules.

    Attributes
    ----------
    place : ndarray, shape (n, 4)
        Positions, and heights in untilted layers [m].
    efficiency : ndarray, shape (n,)
        Relative to a standard module.
    charge, time : EndPart
        What they alone add in the networks of the charge and of the time.
    """

    place: FloatArray
    efficiency: FloatArray
    charge: EndPart
    time: EndPart

    @classmethod
    def of(cls, model: LightModel, om_xyz: FloatArray, efficiency: FloatArray) -> Modules:
        """Gather modules at some positions, shape (n, 3) [m]."""
        height = model.ice.effective_z(om_xyz)
        place = np.ascontiguousarray(np.column_stack([om_xyz, height]))
        inputs, weights = om_inputs(height, model.tables), model.weights
        parts = om_part(weights.charge, inputs), om_part(weights.time, inputs)
        return cls(place, np.ascontiguousarray(efficiency), *parts)


@kernel
def reach_pairs(
    along: FloatArray, om_along: FloatArray, distance: FloatArray, reach: float
) -> tuple[IntArray, IntArray]:
    """List pairs of sources and modules that are near enough, sorted by module, then source.

    Parameters
    ----------
    along : ndarray, shape (n_source,)
        Sources along the track, ascending [m].
    om_along, distance : ndarray, shape (n_om,)
        Modules along the track, and their distances from it [m].
    reach : float
        Largest distance of source and module [m].

    Returns
    -------
    source_index, om_index : ndarray of int, shape (n_pair,)
    """
    n_om = om_along.size
    first, last = np.zeros(n_om, np.int64), np.zeros(n_om, np.int64)
    n_pair = 0
    for k in range(n_om):
        if distance[k] < reach:
            half = np.sqrt(reach * reach - distance[k] * distance[k])
            first[k] = np.searchsorted(along, om_along[k] - half)
            last[k] = np.searchsorted(along, om_along[k] + half)
            n_pair += last[k] - first[k]
    source_index, om_index = np.empty(n_pair, np.int64), np.empty(n_pair, np.int64)
    p = 0
    for k in range(n_om):
        for j in range(first[k], last[k]):
            source_index[p] = j
            om_index[p] = k
            p += 1
    return source_index, om_index


@kernel
def _log_delays(delay: FloatArray, softening: float, result: Float32Array) -> None:
    """Fill the logarithm of delays that go smoothly to zero (`light.mixture.soften`)."""
    twice = 2.0 * softening
    for i in range(delay.size):
        size = abs(delay[i])
        root = np.sqrt(size * size + twice * twice)
        late = 0.5 * (size + root)
        early = 0.5 * twice * twice / (size + root)  # the same without cancellation
        result[i] = log32(np.float32(max(late if delay[i] > 0.0 else early, _LEAST)))


@kernel
def _logistic(steps: Float32Array) -> None:
    """Replace x by 1 / (1 + e^x)."""
    for i in range(steps.size):
        steps[i] = _ONE / (_ONE + exp32(min(max(steps[i], -_STEEP), _STEEP)))


@kernel
def _fill_steps(
    block: tuple[int, int],
    light: SeenLight,
    pairs: Pairs,
    times: FloatArray,
    modules: TimedModules,
    softening: float,
    work: tuple[FloatArray, Float32Array, Float32Array, Float32Array],
) -> int:
    """Fill the distances of all edges from all components, in widths; return how many there are.

    `work`: delays, their logarithms, the distances, and the components' weights, (n_pair, 4).
    """
    delay, log_delay, steps, weight = work
    inverse_width = np.empty(N_COMPONENTS, np.float32)
    n = 0
    for p in range(block[0], block[1]):
        j, k = pairs.source_index[p], pairs.om_index[p]
        x = pairs.source[j, 0] - pairs.om[k, 0]
        y = pairs.source[j, 1] - pairs.om[k, 1]
        z = pairs.source[j, 2] - pairs.om[k, 2]
        direct = times[j] + np.sqrt(x * x + y * y + z * z) * (N_REF / LIGHT_SPEED)
        for e in range(modules.first_edge[k], modules.first_edge[k + 1]):
            delay[n] = min(max(modules.edges[e] - direct, -_EVER), _EVER) + TIME_OFFSET
            n += 1
    _log_delays(delay[:n], softening, log_delay)
    n, m = 0, 0
    for p in range(block[0], block[1]):
        k = pairs.om_index[p]
        n_edge = modules.first_edge[k + 1] - modules.first_edge[k]
        mixture_weights(light.mixture[p], weight[p - block[0]], inverse_width)
        for c in range(N_COMPONENTS):
            mean, scale = light.mixture[p, N_COMPONENTS + c], inverse_width[c]
            for e in range(n, n + n_edge):
                steps[m] = (mean - log_delay[e]) * scale
                m += 1
        n += n_edge
    return m


@kernel
def _add_charge(
    charge: float,
    fraction: FloatArray,
    edges: tuple[int, int],
    modules: TimedModules,
    response: FloatArray,
) -> float:
    """Write what comes between some edges to bins with rows; return what comes in the others."""
    first, n_edge = edges
    if modules.edges[first] < -_EVER:
        fraction[0] = 0.0
    if modules.edges[first + n_edge - 1] > _EVER:
        fraction[n_edge - 1] = 1.0
    elsewhere = 0.0
    for e in range(n_edge - 1):
        row = modules.row[first + e]
        if row == DEAD:
            continue
        seen = charge * max(fraction[e + 1] - fraction[e], 0.0)
        if row >= 0:
            response[row] = seen
        else:
            elsewhere += seen
    return elsewhere


# Not a fast kernel: the compiler makes two versions of its loops, between which the place of the
# arrays in memory decides; with liberties in the arithmetic they differ in the last digit. What
# takes the time are two long loops over a block of pairs, which it turns into vector instructions.
@kernel
def fill_response(
    light: SeenLight,
    pairs: Pairs,
    times: FloatArray,
    efficiency: FloatArray,
    modules: TimedModules,
    softening: float,
    response: FloatArray,
    column: FloatArray,
) -> None:
    """Write what sources add to the bins of timed modules.

    Parameters
    ----------
    light : SeenLight
        Charges and mixtures of the pairs.
    pairs : Pairs
        Which source and module each is.
    times : ndarray, shape (n_source,)
        When the sources shine [ns].
    efficiency : ndarray, shape (n_timed,)
        Of the modules.
    modules : TimedModules
        Their bins.
    softening : float
        Width within which delays go to zero [ns].
    response : ndarray, shape (n_source, n_row)
        Written where pairs are [PE/GeV].
    column : ndarray, shape (n_source,)
        What falls in bins without rows is added [PE/GeV].
    """
    most = 1
    for k in range(efficiency.size):
        most = max(most, modules.first_edge[k + 1] - modules.first_edge[k])
    weight = np.empty((_BLOCK, N_COMPONENTS), np.float32)
    steps = np.empty(_BLOCK * most * N_COMPONENTS, np.float32)
    work = (np.empty(_BLOCK * most), np.empty(_BLOCK * most, np.float32), steps, weight)
    fraction = np.empty(most)
    for begin in range(0, pairs.source_index.size, _BLOCK):
        block = (begin, min(begin + _BLOCK, pairs.source_index.size))
        m = _fill_steps(block, light, pairs, times, modules, softening, work)
        _logistic(steps[:m])
        m = 0
        for p in range(block[0], block[1]):
            j, k = pairs.source_index[p], pairs.om_index[p]
            n_edge = modules.first_edge[k + 1] - modules.first_edge[k]
            fraction[:n_edge] = 0.0
            for c in range(N_COMPONENTS):
                for e in range(n_edge):
                    fraction[e] += weight[p - begin, c] * steps[m]
                    m += 1
            charge = CHARGE * efficiency[k] * np.exp(light.log_fluence[p])
            edges = (modules.first_edge[k], n_edge)
            column[j] += _add_charge(charge, fraction, edges, modules, response[j])
