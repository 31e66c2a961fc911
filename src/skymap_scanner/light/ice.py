r"""Optical properties of the South Pole ice in layers: scattering, absorption, refraction, tilt.

The ice is described by 10 m thick layers of constant effective scattering coefficient and
absorption coefficient, which are tilted by up to some tens of metres across the detector.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`
.. [3] P. B. Price and K. Woschnagg, Astropart. Phys. 15 (2001) 97,
   :doi:`10.1016/S0927-6505(00)00142-0`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.tables import read_table
from skymap_scanner.light.tilt import TiltTable
from skymap_scanner.units import SURFACE_Z, FloatArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "ICE_MODELS",
    "IceModel",
    "LayerProfile",
    "group_index",
    "phase_index",
]

#: Ice models that come with the package.
ICE_MODELS: Final = ("spice_bfr-v2", "spice_ftp-v3m")
#: The lowest layers of the tables are rock with absurd absorption; averages clip it here [1/m].
MAX_ABSORPTION: Final = 0.08
#: Effective scattering that birefringence of unit strength adds, mean over directions [1/m] [2]_.
BIREFRINGENCE_SCATTERING: Final = 0.00246854


def phase_index(wavelength_nm: ArrayLike) -> FloatArray:
    """Refractive index of ice for the phase velocity.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength in vacuum [nm].

    Returns
    -------
    ndarray
        Index, same shape.

    References
    ----------
    Price and Woschnagg 2001, equation as in PPC.

    Examples
    --------
    >>> phase_index([337.0, 400.0]).round(6)
    array([1.327121, 1.319428])
    """
    w = np.asarray(wavelength_nm, dtype=np.float64) * 1e-3
    return np.asarray(1.55749 - w * (1.57988 - w * (3.99993 - w * (4.68271 - 2.09354 * w))))


def group_index(wavelength_nm: ArrayLike) -> FloatArray:
    """Refractive index of ice for the group velocity.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength in vacuum [nm].

    Returns
    -------
    ndarray
        Index, same shape.

    Examples
    --------
    >>> group_index([337.0, 400.0]).round(6)
    array([1.380284, 1.356106])
    """
    w = np.asarray(wavelength_nm, dtype=np.float64) * 1e-3
    ratio = 1.0 + 0.227106 - w * (0.954648 - w * (1.42568 - 0.711832 * w))
    return np.asarray(phase_index(wavelength_nm) * ratio)


@dataclass(frozen=True, slots=True, eq=False)
class LayerProfile:
    """Cumulative integrals of the optical coefficients over height, for kernels and averages.

    Edge k of the layers lies at ``z_bottom + k * step``; between edges the integrals are exactly
    linear, and outside the table the outermost layer continues.

    Attributes
    ----------
    z_bottom : float
        Height of the lowest edge [m].
    step : float
        Thickness of a layer [m].
    scattering, absorption : ndarray, shape (n_layer + 1,)
        Integrals of the effective scattering and the absorption coefficient from the lowest edge
        upwards [1].
    """

    z_bottom: float
    step: float
    scattering: FloatArray
    absorption: FloatArray

    def mean(
        self, z_a: ArrayLike, z_b: ArrayLike, *, margin: float = 2.0
    ) -> tuple[FloatArray, FloatArray]:
        """Average effective scattering and absorption between two heights.

        Parameters
        ----------
        z_a, z_b : array_like
            Heights [m], any order (already corrected for tilt).
        margin : float
            The average runs this far beyond both ends [m], which keeps it defined and continuous
            where the heights meet.

        Returns
        -------
        scattering, absorption : ndarray
            Mean coefficients [1/m].
        """
        low = np.minimum(z_a, z_b) - margin
        high = np.maximum(z_a, z_b) + margin
        length = high - low
        return (
            (_integral(self.scattering, self, high) - _integral(self.scattering, self, low))
            / length,
            (_integral(self.absorption, self, high) - _integral(self.absorption, self, low))
            / length,
        )


def _integral(cumulative: FloatArray, profile: LayerProfile, z: FloatArray) -> FloatArray:
    position = (z - profile.z_bottom) / profile.step
    k = np.clip(np.floor(position).astype(np.int64), 0, cumulative.size - 2)
    return np.asarray(cumulative[k] + (position - k) * (cumulative[k + 1] - cumulative[k]))


@dataclass(frozen=True, slots=True, eq=False)
class IceModel:
    """One published model of the optical properties of the ice, in flat layers plus tilt.

    Attributes
    ----------
    name, source : str
        Name as used by the collaboration, and where the table comes from.
    z : ndarray, shape (n_layer,)
        Height of the layer centres [m], ascending in steps of 10 m.
    b_e400, a_dust400, delta_tau, bfr_strength : ndarray, shape (n_layer,)
        Effective scattering and dust absorption at 400 nm [1/m], temperature difference [K],
        strength of birefringence [1].
    alpha, kappa, a_intrinsic, b_intrinsic : float
        Parameters of the dependence on wavelength.
    f_liu : float
        Fraction of the simplified-Liu branch in the scattering function.
    includes_birefringence : bool
        True when `b_e400` already holds the scattering that birefringence causes on average.
    angular_acceptance : ndarray, shape (n_coefficient,)
        Polynomial coefficients of the modules' acceptance in the cosine between a photon's
        direction of travel and straight up, hole ice included.
    tilt : TiltTable
        Tilt of the layers.
    """

    name: str
    source: str
    z: FloatArray
    b_e400: FloatArray
    a_dust400: FloatArray
    delta_tau: FloatArray
    bfr_strength: FloatArray
    alpha: float
    kappa: float
    a_intrinsic: float
    b_intrinsic: float
    f_liu: float
    includes_birefringence: bool
    angular_acceptance: FloatArray
    tilt: TiltTable

    @classmethod
    def load(cls, name: str = "spice_bfr-v2") -> IceModel:
        """Load a model by name.

        Parameters
        ----------
        name : str
            One of `ICE_MODELS`.

        Returns
        -------
        IceModel
            The model; the same object each time.

        Raises
        ------
        UsageError
            When there is no such model.
        """
        if name not in ICE_MODELS:
            raise UsageError("unknown ice model", found=name, wanted=" or ".join(ICE_MODELS))
        return _load(name)

    def layer(self, z: ArrayLike) -> FloatArray:
        """Index of the layer at some heights [m], clamped to the table."""
        k = np.rint((np.asarray(z, dtype=np.float64) - self.z[0]) / (self.z[1] - self.z[0]))
        return np.asarray(np.clip(k, 0, self.z.size - 1).astype(np.int64))

    def layer_scattering(self, wavelength_nm: float = 400.0) -> FloatArray:
        """Effective scattering coefficient of every layer, birefringence included [1/m]."""
        b_e = self.b_e400 * (wavelength_nm / 400.0) ** -self.alpha
        if not self.includes_birefringence:
            b_e = b_e + self.bfr_strength * BIREFRINGENCE_SCATTERING
        return np.asarray(b_e)

    def layer_absorption(self, wavelength_nm: float = 400.0) -> FloatArray:
        """Absorption coefficient of every layer, clipped where the table is rock [1/m]."""
        dust = self.a_dust400 * (wavelength_nm / 400.0) ** -self.kappa
        pure = self.a_intrinsic * np.exp(-self.b_intrinsic / wavelength_nm)
        total = dust + pure * (1.0 + 0.01 * self.delta_tau)
        return np.asarray(np.minimum(total, MAX_ABSORPTION))

    def scattering(self, z: ArrayLike, wavelength_nm: float = 400.0) -> FloatArray:
        """Effective scattering coefficient of the layer at height `z` [m], no tilt [1/m].

        Examples
        --------
        >>> IceModel.load("spice_bfr-v2").scattering([-400.4, 199.6]).round(6)
        array([0.030193, 0.049131])
        """
        return np.asarray(self.layer_scattering(wavelength_nm)[self.layer(z)])

    def absorption(self, z: ArrayLike, wavelength_nm: float = 400.0) -> FloatArray:
        """Absorption coefficient of the layer at height `z` [m], no tilt [1/m].

        Examples
        --------
        >>> IceModel.load("spice_bfr-v2").absorption([-400.4, 199.6]).round(6)
        array([0.012009, 0.011289])
        """
        return np.asarray(self.layer_absorption(wavelength_nm)[self.layer(z)])

    def effective_z(self, xyz: ArrayLike) -> FloatArray:
        """Height in the untilted table whose ice is found at some points.

        Parameters
        ----------
        xyz : array_like, shape (..., 3)
            Points in detector coordinates [m].

        Returns
        -------
        ndarray, shape (...)
            Heights [m].
        """
        return np.asarray(np.asarray(xyz, dtype=np.float64)[..., 2] - self.tilt.at(xyz))

    def profile(self, wavelength_nm: float = 400.0) -> LayerProfile:
        """Cumulative integrals of scattering and absorption at one wavelength.

        Parameters
        ----------
        wavelength_nm : float
            Wavelength [nm].

        Returns
        -------
        LayerProfile
            Integrals over height.
        """
        step = float(self.z[1] - self.z[0])

        def cumulate(values: FloatArray) -> FloatArray:
            return np.concatenate(([0.0], np.cumsum(values * step)))

        return LayerProfile(
            z_bottom=float(self.z[0] - 0.5 * step),
            step=step,
            scattering=cumulate(self.layer_scattering(wavelength_nm)),
            absorption=cumulate(self.layer_absorption(wavelength_nm)),
        )


@cache
def _load(name: str) -> IceModel:
    header, _, rows = read_table(f"{name}.csv")
    rows = rows[::-1]  # the file goes down in depth, we go up in height
    return IceModel(
        name=name,
        source=header["source"],
        z=SURFACE_Z - rows[:, 0],
        b_e400=rows[:, 1].copy(),
        a_dust400=rows[:, 2].copy(),
        delta_tau=rows[:, 3].copy(),
        bfr_strength=rows[:, 4].copy(),
        alpha=float(header["alpha"]),
        kappa=float(header["kappa"]),
        a_intrinsic=float(header["A"]),
        b_intrinsic=float(header["B"]),
        f_liu=float(header["f_liu"]),
        includes_birefringence=header["includes_birefringence"] == "yes",
        angular_acceptance=np.array([float(x) for x in header["angular_acceptance"].split()]),
        tilt=TiltTable.load(),
    )
