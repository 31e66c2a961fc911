"""A first guess of a track from first hits alone, as online reconstructions carry one.

References
----------
.. [1] V. J. Stenger, *Track fit for DUMAND II octagon array*, 1990: the line fit.
.. [2] M. G. Aartsen et al. (IceCube), NIM A 736 (2014) 143, :doi:`10.1016/j.nima.2013.10.074`:
   robust weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from skymap_scanner.event import Detector, PulseSeries
    from skymap_scanner.units import FloatArray

__all__ = ["LineFit", "fit_line"]

#: Residuals beyond this count linearly, not quadratically (Huber) [m] [2]_.
_HUBER: Final = 153.0
_N_ITERATIONS: Final = 12


@dataclass(frozen=True, slots=True)
class LineFit:
    """A plane wave of light at the speed of the fit: point [m], time [ns], velocity [m/ns]."""

    point: FloatArray
    time: float
    velocity: FloatArray

    @property
    def direction(self) -> FloatArray:
        """Unit vector of travel, shape (3,)."""
        return np.asarray(self.velocity / np.linalg.norm(self.velocity))


def fit_line(series: PulseSeries, detector: Detector) -> LineFit:
    """Fit positions of hit modules as a linear function of their first pulse times.

    Parameters
    ----------
    series : PulseSeries
        Cleaned pulses.
    detector : Detector
        Geometry.

    Returns
    -------
    LineFit

    Raises
    ------
    EventError
        With fewer than three hit modules, or all at the same time.
    """
    xyz = detector.om_xyz[series.hit_oms]
    time = series.first_times()
    if len(time) < 3 or np.ptp(time) == 0.0:
        raise EventError("too few hits for a line fit", found=len(time), wanted="3 or more")
    weight = np.ones(len(time))
    for _ in range(_N_ITERATIONS):
        mean_time = np.average(time, weights=weight)
        mean_xyz = np.average(xyz, axis=0, weights=weight)
        delay = time - mean_time
        velocity = (weight * delay) @ (xyz - mean_xyz) / ((weight * delay) @ delay)
        residual = np.linalg.norm(xyz - mean_xyz - delay[:, None] * velocity, axis=1)
        weight = _HUBER / np.maximum(residual, _HUBER)
    return LineFit(mean_xyz, float(mean_time), velocity)
