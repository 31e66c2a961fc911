r"""Light yields of tracks and cascades, and what an optical module sees of the light.

References
----------
.. [1] L. Rädel and C. Wiebusch, Astropart. Phys. 38 (2012) 53 (muons) and 44 (2013) 102 (cascades)
.. [2] PPC, the public photon propagation code of the IceCube Collaboration
.. [3] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.tables import read_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = [
    "CASCADE_A",
    "CASCADE_B",
    "CHERENKOV_ANGLE",
    "MODULE_AREA",
    "MODULE_RADIUS",
    "N_GROUP",
    "N_PHASE",
    "N_REF",
    "PHOTONS_PER_GEV",
    "PHOTONS_PER_METRE",
    "SIN_CHERENKOV",
    "TAN_CHERENKOV",
    "angular_acceptance",
    "cascade_angles",
    "cascade_length",
    "hadronic_light_factor",
    "muon_light_factor",
    "wavelength_slices",
]

#: Refractive indices of ice for phase and group velocity near 400 nm, as AMANDA and IceCube
#: reconstructions use them [3]_.
N_PHASE: Final = 1.3195
N_GROUP: Final = 1.35634
#: Smallest group index of the 128 wavelength slices (`wavelength_slices`): no light is faster, so
#: that delays against it are never negative.
N_REF: Final = 1.3264979
#: Angle between a fast track and its Cherenkov light [rad] (40.724 deg), and functions of it.
CHERENKOV_ANGLE: Final = math.acos(1.0 / N_PHASE)
TAN_CHERENKOV: Final = math.tan(CHERENKOV_ANGLE)
SIN_CHERENKOV: Final = math.sin(CHERENKOV_ANGLE)
#: Radius of an optical module [m] and the area of its disc [m^2].
MODULE_RADIUS: Final = 0.1651
MODULE_AREA: Final = math.pi * MODULE_RADIUS**2
#: Photons per metre of a track of unit charge and speed c, weighted with the wavelength acceptance;
#: 1.015 is the global efficiency of the ice models [2]_.
PHOTONS_PER_METRE: Final = 2450.08 * 1.015
#: Track length per energy of an electromagnetic cascade, scaled to the density of ice [m/GeV] [1]_.
CASCADE_TRACK_PER_GEV: Final = 5.321 * 0.910 / 0.9216
#: Photons per GeV of an electromagnetic cascade, weighted with the wavelength acceptance.
PHOTONS_PER_GEV: Final = PHOTONS_PER_METRE * CASCADE_TRACK_PER_GEV

#: Angular profile of charged particles in a cascade: exp(-b (1 - cos)^a) [2]_.
CASCADE_A: Final = 0.39
CASCADE_B: Final = 2.61


def angular_acceptance(cos_eta: ArrayLike, coefficients: FloatArray) -> FloatArray:
    """Relative acceptance of a module for photons that travel in some direction.

    Parameters
    ----------
    cos_eta : array_like
        z component of the photon's direction of travel: +1 is up-going and hits the photocathode.
    coefficients : ndarray
        Polynomial coefficients (`IceModel.angular_acceptance`); no further factor applies.

    Returns
    -------
    ndarray
        Acceptance relative to the area of the disc, never negative.

    Examples
    --------
    >>> from skymap_scanner.light.ice import IceModel
    >>> angular_acceptance([-0.5, 0.0, 1.0], IceModel.load().angular_acceptance).round(6)
    array([0.169531, 0.34    , 0.68    ])
    """
    x = np.asarray(cos_eta, dtype=np.float64)
    return np.maximum(np.polynomial.polynomial.polyval(x, coefficients), 0.0)


def muon_light_factor(energy: ArrayLike) -> FloatArray:
    """Light of a muon with its secondaries below 0.5 GeV, relative to the bare track.

    Parameters
    ----------
    energy : array_like
        Energy of the muon [GeV], at least 1.

    Returns
    -------
    ndarray
        Factor, at least 1.

    Examples
    --------
    >>> muon_light_factor([1e3, 1e5]).round(4)
    array([1.3261, 1.4198])
    """
    log_energy = np.log(np.maximum(np.asarray(energy, dtype=np.float64), 1.0))
    return 1.0 + np.maximum(0.0, 0.1880 + 0.0206 * log_energy) * 0.910 / 0.9216


def hadronic_light_factor(energy: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Light of a hadronic cascade relative to an electromagnetic one of the same energy.

    Parameters
    ----------
    energy : array_like
        Energy [GeV]; below e GeV the value at e GeV is used.

    Returns
    -------
    mean, spread : ndarray
        Factor and its standard deviation from cascade to cascade.

    Examples
    --------
    >>> mean, spread = hadronic_light_factor([1e3, 1e5])
    >>> mean.round(4), spread.round(4)
    (array([0.829 , 0.9192]), array([0.0579, 0.0321]))
    """
    e = np.maximum(np.asarray(energy, dtype=np.float64), math.e)
    mean = 1.0 - (e / 0.18791678) ** -0.16267529 * (1.0 - 0.30974123)
    return mean, mean * 0.95899551 * np.log(e) ** -1.35589541


def cascade_length(energy: ArrayLike, *, hadronic: bool = False) -> tuple[FloatArray, float]:
    """Longitudinal profile of a cascade: a gamma distribution of the distance from its vertex.

    Parameters
    ----------
    energy : array_like
        Energy [GeV], at least 1.
    hadronic : bool
        Whether the cascade is hadronic (pions) or electromagnetic.

    Returns
    -------
    shape : ndarray
        Shape parameter of the gamma distribution; the mean is ``shape * scale``.
    scale : float
        Scale [m].
    """
    log_energy = np.log(np.maximum(np.asarray(energy, dtype=np.float64), 1.0))
    if hadronic:
        return 1.58357 + 0.41887 * log_energy, 1.15724
    return 2.01849 + 0.63176 * log_energy, 0.39652 * (0.910 / 0.9216) / 0.63207


def cascade_angles(uniform: ArrayLike) -> FloatArray:
    """Cosines between a cascade's charged particles and its axis, from uniform random numbers.

    Parameters
    ----------
    uniform : array_like
        Random numbers in [0, 1).

    Returns
    -------
    ndarray
        Cosines; a Cherenkov cone around each particle gives the light.

    Examples
    --------
    >>> (1.0 - cascade_angles([0.5])).round(7)
    array([0.0295533])
    """
    full = 1.0 - math.exp(-CASCADE_B * 2.0**CASCADE_A)
    u = np.asarray(uniform, dtype=np.float64)
    one_minus = (-np.log1p(-u * full) / CASCADE_B) ** (1.0 / CASCADE_A)
    return 1.0 - np.minimum(one_minus, 2.0)


def wavelength_slices(n_slices: int = 128) -> FloatArray:
    """Wavelengths that split the detected Cherenkov light into equally probable slices.

    Parameters
    ----------
    n_slices : int
        Number of slices.

    Returns
    -------
    ndarray, shape (n_slices,)
        Wavelength at the middle of each slice's probability [nm].

    Examples
    --------
    >>> wavelength_slices(128)[[0, -1]].round(2)
    array([319.49, 625.27])
    """
    _, _, rows = read_table("dom_wavelengths.csv")
    middle = (np.arange(n_slices) + 0.5) / n_slices
    return np.asarray(np.interp(middle, rows[:, 0], rows[:, 1]))
