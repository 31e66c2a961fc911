r"""A rough track likelihood with little structure: it only leads the fit into the right valley.

The delay t of a module's first pulse against unscattered light gets a density with two exponential
sides, steep for early and gentle for late pulses, over a uniform floor:

.. math:: p(t) = \frac{1}{a + b} \frac{1}{e^{-t/a} + e^{t/b}} + f, \qquad b = b_0 + b_1 \rho

It knows neither ice nor charge and takes a tenth of the time of the real likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.optics import N_GROUP, SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.recos.likelihood.mpe import Hits
    from skymap_scanner.units import FloatArray

__all__ = ["evaluate_rough"]

#: Scale of early pulses [ns]; of late ones next to the track [ns] and its growth [ns/m]: a first
#: photon is typically late by some hundred ns at 50 to 100 m.
_EARLY: Final = 25.0
_LATE: Final = 50.0
_LATE_GROWTH: Final = 4.0
#: Density of pulses that do not belong to the track [1/ns].
_FLOOR: Final = 1e-5
#: Closest approach is softened here [m].
_SOFT: Final = 3.0


@kernel
def evaluate_rough(at: FloatArray, hits: Hits, gradient: FloatArray) -> float:
    """Rough negative log-likelihood of a track at fixed direction, with its gradient.

    Parameters
    ----------
    at : ndarray, shape (3,)
        Track: offsets u, v of the track from the reference point, and c times the time there [m].
    hits : Hits
        The hit modules in the frame of the track.
    gradient : ndarray, shape (3,)
        Filled with the gradient [1/m].

    Returns
    -------
    float
        Negative log-likelihood.
    """
    slow_rho = (N_GROUP / SIN_CHERENKOV - 1.0 / TAN_CHERENKOV) / LIGHT_SPEED
    nll = 0.0
    gradient[:] = 0.0
    doms, plane = hits.doms, hits.plane
    for i in range(doms.shape[0]):
        du, dv = plane[i, 0] - at[0], plane[i, 1] - at[1]
        rho = np.sqrt(du * du + dv * dv + _SOFT * _SOFT)
        late = doms[i, 4] - (at[2] + plane[i, 2]) / LIGHT_SPEED - rho * slow_rho
        scale = _LATE + _LATE_GROWTH * rho
        norm = 1.0 / (_EARLY + scale)
        # Of the two exponentials only the larger one can overflow: divide by it.
        if late > 0.0:
            shape = np.exp(-late / scale)
            ratio = np.exp(-late * (1.0 / _EARLY + 1.0 / scale))
        else:
            shape = np.exp(late / _EARLY)
            ratio = np.exp(late * (1.0 / _EARLY + 1.0 / scale))
        density = norm * shape / (1.0 + ratio)
        on_late = 1.0 / (1.0 + ratio) if late > 0.0 else ratio / (1.0 + ratio)
        total = density + _FLOOR
        nll -= np.log(total)
        weight = density / total
        # d ln(density) by the delay and by the scale of late pulses
        g_late = weight * ((1.0 - on_late) / _EARLY - on_late / scale)
        g_scale = weight * (on_late * late / (scale * scale) - norm)
        g_rho = g_scale * _LATE_GROWTH - g_late * slow_rho
        gradient[0] += g_rho * du / rho
        gradient[1] += g_rho * dv / rho
        gradient[2] += g_late / LIGHT_SPEED
    return nll
