r"""When light arrives after many scatters: the gamma distribution of AMANDA in layered ice.

.. math::

   p(t) = \frac{r^s t^{s-1} e^{-rt}}{\Gamma(s)}, \qquad
   s = \frac{d\,\bar b_e}{C_\lambda}, \qquad
   r = \frac{\bar b_e}{C_\tau} + \frac{c}{n_g}\,\bar a

where :math:`\bar b_e, \bar a` are averages of effective scattering and absorption between source
and module.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.optics import N_GROUP
from skymap_scanner.units import LIGHT_SPEED, FloatArray

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel

__all__ = ["SCATTERING_SCALE", "TIME_SCALE", "PandelIce"]

#: C_lambda: AMANDA's 33.3 m in ice whose effective scattering was about 0.04 /m [1]_.
SCATTERING_SCALE: Final = 33.3 * 0.04
#: C_tau: AMANDA's 557 ns in the same ice [ns/m] [1]_.
TIME_SCALE: Final = 557.0 * 0.04


class PandelIce:
    """Arrival-time and attenuation parameters between points in one model of the ice.

    Parameters
    ----------
    ice : IceModel
        Optical properties; taken at 400 nm, near the middle of the detected spectrum.
    """

    def __init__(self, ice: IceModel) -> None:
        self.ice = ice
        self._profile = ice.profile(400.0)

    def mean_coefficients(self, source: FloatArray, om_xyz: FloatArray) -> tuple[FloatArray, ...]:
        """Mean effective scattering and absorption between points [1/m], tilt included."""
        return self._profile.mean(self.ice.effective_z(source), self.ice.effective_z(om_xyz))

    def propagation_length(self, source: FloatArray, om_xyz: FloatArray) -> FloatArray:
        r"""Length over which diffuse light falls by 1/e, :math:`1/\sqrt{3a(b_e+a)}` [m]."""
        scattering, absorption = self.mean_coefficients(source, om_xyz)
        return np.asarray(1.0 / np.sqrt(3.0 * absorption * (scattering + absorption)))

    def gamma_parameters(
        self, source: FloatArray, om_xyz: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Shape s [1] and rate r [1/ns] of the delay's gamma distribution.

        Parameters
        ----------
        source, om_xyz : ndarray, shape (n, 3)
            Where the light starts and where it is seen [m].

        Returns
        -------
        shape, rate : ndarray, shape (n,)
        """
        scattering, absorption = self.mean_coefficients(source, om_xyz)
        distance = np.linalg.norm(om_xyz - source, axis=1)
        rate = scattering / TIME_SCALE + LIGHT_SPEED / N_GROUP * absorption
        return np.maximum(distance * scattering / SCATTERING_SCALE, 1e-3), rate
