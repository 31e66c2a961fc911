r"""When light of a track arrives after many scatters: a gamma density in layered ice.

The delay of a photon against unscattered light on the same path D follows

.. math::

   p(t) = \frac{r^s t^{s-1} e^{-rt}}{\Gamma(s)}, \qquad
   s = s_0\, (\bar b_e / b_0)^{p_b}\, (d / d_0)^{p_d}, \qquad
   d = D + a_0 - a_1 \cos\eta + a_2 \cos^2\eta, \\
   r = r_0\, (\bar b_e / b_0)^{q_b} + C_a\, \bar a\, c / n_g, \qquad
   \sigma^2 = \sigma_0^2 + (k D)^2

where :math:`\bar b_e, \bar a` are averages of effective scattering and absorption between source
and module, :math:`\eta` is the angle of the light against straight up, and :math:`\sigma` smears
the density; :math:`b_0` = 0.03 /m, :math:`d_0` = 100 m.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.optics import N_GROUP
from skymap_scanner.units import LIGHT_SPEED, FloatArray

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel

__all__ = ["PATH_UNIT", "SCATTERING_UNIT", "PandelConstants", "PandelIce"]

#: Units of scattering coefficient [1/m] and light path [m] in the power laws.
SCATTERING_UNIT: Final = 0.03
PATH_UNIT: Final = 100.0


@dataclass(frozen=True, slots=True)
class PandelConstants:
    r"""Constants that turn geometry and ice into the parameters of the convoluted Pandel function.

    See the top of this module for the formulae.

    The values are the maximum of the likelihood of first photons simulated by
    ``benchmarks/fit_light_model.py``: photons followed through uniform ice of five kinds (clear to
    dusty), emitted by muons of 5 TeV to 5 PeV with their stochastic losses, seen by modules up to
    180 m away. No measured event took part.

    Attributes
    ----------
    shape : float
        :math:`s_0`: shape of the gamma density at 100 m in ice with 0.03 /m.
    shape_scattering, shape_path : float
        :math:`p_b, p_d`: its powers of the scattering coefficient and of the effective path.
    path_offset, path_cosine, path_cosine2 : float
        :math:`a_0, a_1, a_2`: the effective path depends on the direction of the light, because
        modules look down [m].
    rate : float
        :math:`r_0`: rate of the exponential tail in ice with 0.03 /m [1/ns].
    rate_scattering, rate_absorption : float
        :math:`q_b, C_a`: its power of the scattering coefficient; weight of absorption.
    jitter : float
        :math:`\sigma_0`: spread of a photon's time next to the track (photomultiplier, rounding to
        1 ns, what a gamma density misses) [ns].
    jitter_growth : float
        k: further spread per metre of light path, mostly chromatic [ns/m].
    """

    shape: float = 1.41
    shape_scattering: float = 0.58
    shape_path: float = 0.885
    path_offset: float = 11.3
    path_cosine: float = 13.5
    path_cosine2: float = 9.95
    rate: float = 0.00305
    rate_scattering: float = 0.535
    rate_absorption: float = 0.12
    jitter: float = 3.0
    jitter_growth: float = 0.015

    def as_array(self) -> FloatArray:
        """Return the constants in the order in which the kernels want them, shape (11,)."""
        return np.array(astuple(self), dtype=np.float64)


class PandelIce:
    """Arrival-time and attenuation parameters between points in one model of the ice.

    Parameters
    ----------
    ice : IceModel
        Optical properties; taken at 400 nm, near the middle of the detected spectrum.
    model : PandelConstants, optional
        Constants of the arrival times.
    """

    def __init__(self, ice: IceModel, model: PandelConstants | None = None) -> None:
        self.ice = ice
        self.model = PandelConstants() if model is None else model
        self._profile = ice.profile(400.0)

    def propagation_length(self, source: FloatArray, om_xyz: FloatArray) -> FloatArray:
        r"""Length over which diffuse light falls by 1/e, :math:`1/\sqrt{3a(b_e+a)}` [m]."""
        scattering, absorption = self._mean_coefficients(source, om_xyz)
        return np.asarray(1.0 / np.sqrt(3.0 * absorption * (scattering + absorption)))

    def gamma_parameters(
        self, source: FloatArray, om_xyz: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Shape s [1] and rate r [1/ns] of the delay's gamma density.

        Parameters
        ----------
        source, om_xyz : ndarray, shape (..., 3)
            Where the light starts and where it is seen [m]; never the same point.

        Returns
        -------
        shape, rate : ndarray, shape (...)
        """
        m = self.model
        scattering, absorption = self._mean_coefficients(source, om_xyz)
        path = np.linalg.norm(om_xyz - source, axis=-1)
        cos_eta = (om_xyz[..., 2] - source[..., 2]) / path
        effective = path + m.path_offset - m.path_cosine * cos_eta + m.path_cosine2 * cos_eta**2
        relative = scattering / SCATTERING_UNIT
        shape = m.shape * relative**m.shape_scattering * (effective / PATH_UNIT) ** m.shape_path
        rate = m.rate * relative**m.rate_scattering
        return shape, rate + m.rate_absorption * absorption * LIGHT_SPEED / N_GROUP

    def _mean_coefficients(self, source: FloatArray, om_xyz: FloatArray) -> tuple[FloatArray, ...]:
        """Mean effective scattering and absorption between points [1/m], tilt included."""
        return self._profile.mean(self.ice.effective_z(source), self.ice.effective_z(om_xyz))
