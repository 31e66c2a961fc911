"""What the simulation asks of light in ice, so that its sources are interchangeable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    import numpy as np

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.units import FloatArray

__all__ = ["DEFAULT_LIGHT", "LIGHTS", "ConeLight", "PointLight", "light_name", "load_light"]

#: Names of the kinds of light: the network that follows photons, and closed forms.
LIGHTS: Final = ("model", "analytic")
#: The kind used when nobody chooses.
DEFAULT_LIGHT: Final = "model"


class PointLight(Protocol):
    """Light of point-like electromagnetic cascades, seen by optical modules."""

    @property
    def ice(self) -> IceModel:
        """The ice through which the light goes."""

    def expected_charge(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        om_efficiency: FloatArray,
    ) -> FloatArray:
        """Mean number of photo-electrons per energy of a cascade.

        Parameters
        ----------
        source_xyz, source_direction : ndarray, shape (..., 3)
            Place [m] and unit vector of travel of the cascade.
        om_xyz : ndarray, shape (..., 3)
            Optical modules [m].
        om_efficiency : ndarray, shape (...)
            Their efficiency relative to a standard module.

        Returns
        -------
        ndarray, shape (...)
            Photo-electrons per GeV of electromagnetic energy [PE/GeV]; shapes broadcast.
        """

    def sample_delays(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw when single photo-electrons arrive.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : ndarray, shape (..., 3)
            As for `expected_charge`.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, shape (...)
            One delay per pair, never negative [ns], after light that goes straight at the group
            index `skymap_scanner.light.optics.N_REF`.
        """


@runtime_checkable
class ConeLight(PointLight, Protocol):
    """Light that also knows the Cherenkov cone of a muon, better than a row of cascades does."""

    def cone_charge(
        self, emission_xyz: FloatArray, om_xyz: FloatArray, om_efficiency: FloatArray
    ) -> FloatArray:
        """Mean number of photo-electrons of an infinite bare track.

        Parameters
        ----------
        emission_xyz : ndarray, shape (n, 3)
            Where on the track the light that goes straight to each module leaves it [m].
        om_xyz : ndarray, shape (n, 3)
            Optical modules [m].
        om_efficiency : ndarray, shape (n,)
            Their relative efficiency.

        Returns
        -------
        ndarray, shape (n,)
            Photo-electrons [PE], without the light of secondaries.
        """


def load_light(name: str = DEFAULT_LIGHT, ice: str = "spice_bfr-v2") -> PointLight:
    """Load a kind of light by name.

    Parameters
    ----------
    name : str
        One of `LIGHTS`.
    ice : str
        Ice model through which it goes.

    Returns
    -------
    PointLight

    Raises
    ------
    UsageError
        When there is no such light or ice, or the network was made for another ice.
    """
    from skymap_scanner.light.ice import IceModel

    through = IceModel.load(ice)
    if name == "analytic":
        from skymap_scanner.simulation.analytic import AnalyticLight

        return AnalyticLight(through)
    if name == "model":
        return _load_network(ice)
    raise UsageError("unknown kind of light", found=name, wanted=" or ".join(LIGHTS))


def _load_network(ice: str) -> PointLight:
    from skymap_scanner.light.model import LightModel

    light = LightModel.load()
    if light.ice.name != ice:
        raise UsageError(
            "the network of the light is of another ice model",
            place="--light model",
            found=ice,
            wanted=light.ice.name,
        )
    return light


def light_name(light: PointLight) -> str:
    """Describe light in words, for the truth of an event: equal words mean equal light."""
    if isinstance(light, ConeLight):
        return "closed form (Cherenkov cone, diffusion, gamma-distributed delays)"
    from skymap_scanner.light.model import LightModel  # its kernels are not loaded for nothing

    if isinstance(light, LightModel):
        return f"light model {light.label} (sources with the profile of cascades)"
    return f"{type(light).__name__} (sources with the profile of cascades)"
