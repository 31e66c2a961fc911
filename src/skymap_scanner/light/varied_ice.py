r"""Light in ice that is a little different from the ice that a light model was made for.

The optical properties of the ice are known to several per cent. A simulation in ice that differs by
so much from that of the reconstruction shows what this means for directions and regions.

A network that has seen one ice cannot be asked what scattering alone does, or absorption alone: in
all layers that it knows both go with the dust, and it puts down to one what the other does. What is
known exactly is used instead:

- Ice with scattering and absorption s times stronger is the same ice on a scale s times smaller:
  :math:`\Phi(r, t;\ s b, s a) = s^2\,\Phi(s r, s t;\ b, a)`. The model is asked at stretched
  distances, with the layers where they are.
- Photons that take a path :math:`L = r + c\,t/n` are absorbed by a further factor
  :math:`e^{-\Delta a L}`; t is their delay, of which the model knows the distribution.
- The inputs of the flow of the ice are made larger or smaller.

``benchmarks/varied_ice.py`` compares this with photons that are followed through the varied ice.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`:
   uncertainties of scattering, absorption and efficiency.
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.mixture import quantile
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import N_REF
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.inputs import Pairs
    from skymap_scanner.light.medium import Medium
    from skymap_scanner.light.weights import Weights
    from skymap_scanner.units import FloatArray

__all__ = ["SPREAD", "IceVariation", "VariedLight", "vary_ice", "vary_medium"]

#: Relative uncertainty (one standard deviation) of scattering, absorption, efficiency, anisotropy.
SPREAD: Final = 0.1
#: Variations are not drawn beyond this many standard deviations.
_MAX_SIGMA: Final = 3.0
#: Factors beyond these are other ice, not the same one within its uncertainty.
_LIMITS: Final = (0.5, 2.0)
#: Edges of delays between which photons are absorbed alike [ns].
_DELAYS: Final = np.concatenate([[0.0], np.geomspace(5.0, 3000.0, 14)])
#: Speed of light in ice, as delays mean it [m/ns].
_SPEED: Final = LIGHT_SPEED / N_REF
#: Absorption is averaged so far beyond the ends, for photons do not go straight [m].
_MARGIN: Final = 30.0
#: Delays from which one is chosen.
_N_CANDIDATES: Final = 6


@dataclass(frozen=True, slots=True)
class IceVariation:
    """Factors by which ice and modules differ from what is believed; 1 is no difference.

    Attributes
    ----------
    scattering, absorption : float
        Of the effective scattering and the absorption coefficient of all layers.
    efficiency : float
        Of the efficiency of all modules.
    anisotropy : float
        Of the strength of birefringence and of the anisotropy of absorption.

    Raises
    ------
    UsageError
        When a factor is not between 0.5 and 2.
    """

    scattering: float = 1.0
    absorption: float = 1.0
    efficiency: float = 1.0
    anisotropy: float = 1.0

    def __post_init__(self) -> None:
        low, high = _LIMITS
        for name, factor in asdict(self).items():
            if not low <= factor <= high:
                raise UsageError(
                    "illegal variation of the ice",
                    place=name,
                    found=factor,
                    wanted=f"{low:g} to {high:g}",
                )

    @classmethod
    def draw(cls, rng: np.random.Generator) -> IceVariation:
        """Draw all four independently, normally distributed with width `SPREAD`."""
        sigma = np.clip(rng.standard_normal(4), -_MAX_SIGMA, _MAX_SIGMA)
        return cls(*(round(float(1.0 + SPREAD * one), 4) for one in sigma))

    def as_json(self) -> dict[str, Any]:
        """Return the factors as plain JSON values."""
        return asdict(self)


def vary_ice(ice: IceModel, variation: IceVariation) -> IceModel:
    """Return other ice: layers with other scattering, absorption and birefringence.

    The effective scattering of a layer is what is varied, birefringence included: stronger
    birefringence alone leaves its average as it is.
    """
    return replace(
        ice,
        b_e400=variation.scattering * ice.b_e400,
        a_dust400=variation.absorption * ice.a_dust400,
        a_intrinsic=variation.absorption * ice.a_intrinsic,
        bfr_strength=variation.anisotropy * ice.bfr_strength,
    )


def vary_medium(medium: Medium, variation: IceVariation) -> Medium:
    """Make the absorption of a medium, made of varied ice, as anisotropic as `variation` says.

    The logarithm of the ratio along and across the flow is multiplied; the mean effect stays one
    (as in `skymap_scanner.light.medium`).
    """
    along2, across2 = medium.anisotropy
    ratio = (along2 / across2) ** (0.5 * variation.anisotropy)
    s = math.sqrt(ratio**2 - 1.0)
    across = math.log(ratio + s) / s
    return medium._replace(anisotropy=((ratio * across) ** 2, across**2))


class _StretchedLight(LightModel):
    """A light model in which lengths and delays are `scale` times those of the caller."""

    def __init__(self, weights: Weights, scale: float, anisotropy: float) -> None:
        super().__init__(weights)
        self._scale = scale
        flow_x, flow_y = self.tables.flow
        # All inputs of the flow are products of two components along it or across it.
        root = math.sqrt(anisotropy)
        self.tables = self.tables._replace(flow=(root * flow_x, root * flow_y))

    def pairs(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        *,
        stacklevel: int = 3,
    ) -> tuple[Pairs, tuple[int, ...]]:
        """Pair sources and modules; only differences of places are asked for, heights stay."""
        pairs, shape = super().pairs(
            source_xyz, source_direction, om_xyz, stacklevel=stacklevel + 1
        )
        source, om = pairs.source.copy(), pairs.om.copy()
        source[:, :3] *= self._scale
        om[:, :3] *= self._scale
        return pairs._replace(source=source, om=om), shape

    def candidates(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw several delays per pair, shape (n_candidates, ...) [ns]."""
        pairs, shape = self.pairs(source_xyz, source_direction, om_xyz)
        raw = self._raw(pairs)
        return np.stack([quantile(raw, rng).reshape(shape) for _ in range(_N_CANDIDATES)])


class VariedLight:
    """Light of point-like cascades (`skymap_scanner.simulation.light.PointLight`) in varied ice.

    Parameters
    ----------
    weights : Weights
        Networks trained in the ice as it is believed to be.
    variation : IceVariation
        The difference.
    """

    def __init__(self, weights: Weights, variation: IceVariation) -> None:
        self.variation = variation
        scale = variation.scattering
        self._model = _StretchedLight(weights, scale, variation.anisotropy)
        self._profile = self._model.ice.profile(400.0)
        #: The ice, varied.
        self.ice = vary_ice(self._model.ice, variation)

    def expected_charge(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        om_efficiency: FloatArray | float = 1.0,
    ) -> FloatArray:
        """Mean charge per energy [PE/GeV]; parameters and errors are those of `LightModel`."""
        scale = self.variation.scattering
        charge = self._model.expected_charge(source_xyz, source_direction, om_xyz, om_efficiency)
        charge = self.variation.efficiency * scale**2 * charge
        if self.variation.absorption == scale:
            return charge
        extra = self._extra_absorption(source_xyz, om_xyz)
        distance = np.linalg.norm(np.subtract(om_xyz, source_xyz), axis=-1)
        cdf = self._model.time_cdf(source_xyz, source_direction, om_xyz, scale * _DELAYS[1:-1])
        late = np.ones((*cdf.shape[:-1], 1))
        shares = np.diff(np.concatenate([np.zeros_like(late), cdf, late], axis=-1))
        middles = 0.5 * (_DELAYS[1:] + _DELAYS[:-1])
        survival = np.sum(shares * np.exp(-extra[..., None] * middles * _SPEED), axis=-1)
        return np.asarray(charge * np.exp(-extra * distance) * survival)

    def sample_delays(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw one delay per pair [ns]; parameters and errors are those of `LightModel`.

        Of a few candidates one is taken, with probability proportional to how many of such photons
        are left by the absorption.
        """
        scale = self.variation.scattering
        if self.variation.absorption == scale:
            return self._model.sample_delays(source_xyz, source_direction, om_xyz, rng) / scale
        delays = self._model.candidates(source_xyz, source_direction, om_xyz, rng) / scale
        extra = self._extra_absorption(source_xyz, om_xyz)
        earliest = delays.min(axis=0)
        summed = np.cumsum(np.exp(-extra * (delays - earliest) * _SPEED), axis=0)
        chosen = (summed < rng.random(earliest.shape) * summed[-1]).sum(axis=0)
        return np.asarray(np.take_along_axis(delays, chosen[None], axis=0)[0])

    def _extra_absorption(self, source_xyz: FloatArray, om_xyz: FloatArray) -> FloatArray:
        """Return what absorption changes beyond that of stretched ice, between the ends [1/m]."""
        ice = self._model.ice
        z_source, z_om = ice.effective_z(source_xyz), ice.effective_z(om_xyz)
        _, absorption = self._profile.mean(z_source, z_om, margin=_MARGIN)
        return (self.variation.absorption - self.variation.scattering) * absorption
