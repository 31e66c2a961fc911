r"""Light in ice from closed forms: how many photo-electrons, and when.

Charge follows geometry and diffusion: the Cherenkov cone of a track thins out as :math:`1/\rho`,
a cascade as :math:`1/D^2` in all directions alike, both damped by :math:`e^{-\rho/\lambda_p}` with
the propagation length :math:`\lambda_p = 1/\sqrt{3 a (b_e + a)}` of diffuse light. Arrival times
follow the gamma distribution of scattered photons (Pandel). Good to a factor of two in charge; no
photon is followed here.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.arrival import PandelIce
from skymap_scanner.light.optics import (
    MODULE_AREA,
    N_GROUP,
    N_REF,
    PHOTONS_PER_GEV,
    PHOTONS_PER_METRE,
    SIN_CHERENKOV,
    angular_acceptance,
)
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.units import FloatArray

__all__ = ["MIN_DISTANCE", "AnalyticLight"]

#: A module nearer than this is treated as if it were this far [m].
MIN_DISTANCE: Final = 1.0
_NO_DISTANCE = 1e-3  # [m]: too near to have a direction


class AnalyticLight:
    """Closed forms for the light of cascades and of a muon's Cherenkov cone.

    Parameters
    ----------
    ice : IceModel
        Optical properties; taken at 400 nm.
    """

    def __init__(self, ice: IceModel) -> None:
        self._ice = ice
        self._arrival = PandelIce(ice)

    @property
    def ice(self) -> IceModel:
        """The ice through which the light goes."""
        return self._ice

    def expected_charge(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,  # noqa: ARG002  # this light goes in all directions alike
        om_xyz: FloatArray,
        om_efficiency: FloatArray,
    ) -> FloatArray:
        """Mean number of photo-electrons of a cascade per energy [PE/GeV]; see `PointLight`.

        Examples
        --------
        >>> from skymap_scanner.light.ice import IceModel
        >>> light = AnalyticLight(IceModel.load())
        >>> source, up = np.array([0.0, 0.0, -400.0]), np.array([0.0, 0.0, 1.0])
        >>> charge = light.expected_charge(source, up, source + [30.0, 0.0, 0.0], np.ones(()))
        >>> print(charge.round(6))
        0.010442
        """
        distance, cos_eta = self._geometry(source_xyz, om_xyz)
        damping = np.exp(-distance / self._arrival.propagation_length(source_xyz, om_xyz))
        seen = PHOTONS_PER_GEV * MODULE_AREA * om_efficiency * self._acceptance(cos_eta)
        return np.asarray(seen * damping / (4 * np.pi * distance**2))

    def cone_charge(
        self, emission_xyz: FloatArray, om_xyz: FloatArray, om_efficiency: FloatArray
    ) -> FloatArray:
        """Mean number of photo-electrons of an infinite bare track [PE]; see `ConeLight`."""
        path, cos_eta = self._geometry(emission_xyz, om_xyz)
        rho = np.maximum(path * SIN_CHERENKOV, MIN_DISTANCE)
        damping = np.exp(-rho / self._arrival.propagation_length(emission_xyz, om_xyz))
        seen = PHOTONS_PER_METRE * MODULE_AREA * om_efficiency * self._acceptance(cos_eta)
        return np.asarray(seen * damping / (2 * np.pi * rho * SIN_CHERENKOV))

    def sample_delays(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,  # noqa: ARG002  # as above
        om_xyz: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw delays after light at the index `N_REF` [ns]; see `PointLight`."""
        distance, _ = self._geometry(source_xyz, om_xyz)
        is_inside = np.linalg.norm(om_xyz - source_xyz, axis=-1, keepdims=True) < _NO_DISTANCE
        seen_from = np.where(is_inside, om_xyz - (0.0, 0.0, MIN_DISTANCE), source_xyz)
        shape, rate = self._arrival.gamma_parameters(seen_from, om_xyz)
        scattered = rng.gamma(shape) / rate
        # colours travel at different speeds, which blurs the direct time as the path grows
        blur = rng.normal(0.0, self._arrival.model.jitter_growth * distance)
        slower = distance * (N_GROUP - N_REF) / LIGHT_SPEED
        return np.asarray(np.maximum(slower + blur + scattered, 0.0))

    @staticmethod
    def _geometry(source_xyz: FloatArray, om_xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distance [m], and cosine of the light's direction against straight up."""
        relative = om_xyz - source_xyz
        distance = np.maximum(np.linalg.norm(relative, axis=-1), MIN_DISTANCE)
        return distance, np.clip(relative[..., 2] / distance, -1.0, 1.0)

    def _acceptance(self, cos_eta: FloatArray) -> FloatArray:
        return angular_acceptance(cos_eta, self._ice.angular_acceptance)
