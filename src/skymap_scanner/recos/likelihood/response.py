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
from skymap_scanner.light.inputs import om_inputs
from skymap_scanner.light.mixture import N_COMPONENTS, mixture_weights
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
_STEEP: Final = 80.0


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
    """Some modules (a tuple, as kernels want it).

    Attributes
    ----------
    place : ndarray, shape (n, 4)
        Positions, and heights in untilted layers [m].
    efficiency : ndarray, shape (n,)
        Relative to a standard module.
    inputs : ndarray of float32, shape (n, 28)
        What the networks want to know of them alone.
    """

    place: FloatArray
    efficiency: FloatArray
    inputs: Float32Array

    @classmethod
    def of(cls, model: LightModel, om_xyz: FloatArray, efficiency: FloatArray) -> Modules:
        """Gather modules at some positions, shape (n, 3) [m]."""
        height = model.ice.effective_z(om_xyz)
        place = np.ascontiguousarray(np.column_stack([om_xyz, height]))
        return cls(place, np.ascontiguousarray(efficiency), om_inputs(height, model.tables))


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


# Neither a fast kernel nor with fast functions: the compiler makes two versions of its loops,
# between which the place of the arrays in memory decides; with liberties in the arithmetic they
# differ in the last digit.
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
    weight, inverse_width = np.empty(N_COMPONENTS, np.float32), np.empty(N_COMPONENTS, np.float32)
    fraction, log_time = np.empty(modules.edges.size), np.empty(modules.edges.size)
    for p in range(pairs.source_index.size):
        j, k = pairs.source_index[p], pairs.om_index[p]
        x = pairs.source[j, 0] - pairs.om[k, 0]
        y = pairs.source[j, 1] - pairs.om[k, 1]
        z = pairs.source[j, 2] - pairs.om[k, 2]
        direct = times[j] + np.sqrt(x * x + y * y + z * z) * (N_REF / LIGHT_SPEED)
        charge = CHARGE * efficiency[k] * np.exp(light.log_fluence[p])
        mixture_weights(light.mixture[p], weight, inverse_width)
        first = modules.first_edge[k]
        n_edge = modules.first_edge[k + 1] - first
        for e in range(n_edge):
            t = min(max(modules.edges[first + e] - direct, -_EVER), _EVER) + TIME_OFFSET
            root = np.sqrt(t * t + 4.0 * softening * softening)
            soft = 0.5 * (t + root) if t > 0.0 else 2.0 * softening * softening / (root - t)
            log_time[e] = np.log(max(soft, 1e-9))
            fraction[e] = 0.0
        for c in range(N_COMPONENTS):
            mean, scale, part = light.mixture[p, N_COMPONENTS + c], inverse_width[c], weight[c]
            for e in range(n_edge):
                steps = min(max((mean - log_time[e]) * scale, -_STEEP), _STEEP)
                fraction[e] += part / (1.0 + np.exp(steps))
        if modules.edges[first] < -_EVER:
            fraction[0] = 0.0
        if modules.edges[first + n_edge - 1] > _EVER:
            fraction[n_edge - 1] = 1.0
        for e in range(n_edge - 1):
            row = modules.row[first + e]
            if row == DEAD:
                continue
            seen = charge * max(fraction[e + 1] - fraction[e], 0.0)
            if row >= 0:
                response[j, row] = seen
            else:
                column[j] += seen
