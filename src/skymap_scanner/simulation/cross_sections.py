r"""Muon energy losses in ice: differential cross sections of the four processes.

All functions give :math:`d\sigma/dv` per unit of column density, with :math:`v = \epsilon/E` the
fraction of the muon's energy that goes into the loss. Multiply by the density of ice to get the
rate per length.

References
----------
.. [1] Geant4 physics reference manual: muon bremsstrahlung, pair production, photonuclear
   interaction, ionisation.
.. [2] D. Chirkin, W. Rhode, *Muon Monte Carlo*, hep-ph/0407075.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = [
    "ICE_DENSITY",
    "MUON_MASS",
    "PROCESSES",
    "bremsstrahlung",
    "knock_on",
    "pair_production",
    "photonuclear",
]

#: The four processes in the order of the sampling tables.
PROCESSES: Final = ("brems", "pair", "nuclear", "knock_on")
#: Density of South Pole ice [g/cm^3].
ICE_DENSITY: Final = 0.9216
#: Muon mass [GeV] (PDG).
MUON_MASS: Final = 0.1056583755
_ELECTRON_MASS = 0.51099895e-3  # [GeV] (PDG)
_PROTON_MASS = 0.93827209  # [GeV] (PDG)
_ELECTRON_RADIUS = 2.8179403e-13  # classical electron radius [cm]
_AVOGADRO = 6.02214076e23  # [1/mol]
_FINE_STRUCTURE = 1.0 / 137.036
_SQRT_E = np.sqrt(np.e)
_MICROBARN = 1e-30  # [cm^2]
_IONISATION = 0.307075e-3  # K of the Bethe formula [GeV cm^2/mol]
_Z_OVER_A_WATER = 10.0 / 18.0153


@dataclass(frozen=True, slots=True)
class _Element:
    charge: float
    mass_number: float
    mass_fraction: float
    brems_b: float
    brems_b_inelastic: float
    brems_d: float
    gamma_1: float
    gamma_2: float


_HYDROGEN = _Element(1.0, 1.00794, 0.1119, 202.4, 446.0, 1.49, 4.4e-5, 4.8e-5)
_OXYGEN = _Element(
    8.0, 15.9994, 0.8881, 183.0, 1429.0, (1.54 * 15.9994**0.27) ** (1 - 1 / 8.0), 1.95e-5, 5.3e-5
)
_WATER = (_HYDROGEN, _OXYGEN)


def bremsstrahlung(v: FloatArray, energy: FloatArray) -> FloatArray:
    """Bremsstrahlung of a muon in water (Geant4 manual; elastic and inelastic form factors).

    Parameters
    ----------
    v : ndarray
        Energy fraction of the photon, 0 < v < 1.
    energy : ndarray
        Muon energy [GeV]; shapes broadcast.

    Returns
    -------
    ndarray
        d sigma / d v [cm^2/g].
    """
    total: FloatArray = np.zeros(np.broadcast(v, energy).shape)
    mu, m = MUON_MASS, _ELECTRON_MASS
    delta = mu**2 * v / (2 * energy * (1 - v))
    for element in _WATER:
        z = element.charge
        nuclear = np.log(
            element.brems_b
            * z ** (-1 / 3)
            * (mu + delta * (element.brems_d * _SQRT_E - 2))
            / (element.brems_d * (m + delta * _SQRT_E * element.brems_b * z ** (-1 / 3)))
        )
        screened = element.brems_b_inelastic * z ** (-2 / 3)
        inelastic = np.log(
            screened * mu / ((1 + delta * mu / (m**2 * _SQRT_E)) * (m + delta * _SQRT_E * screened))
        )
        allowed = v * energy < energy / (1 + mu**2 / (2 * m * energy))
        inelastic = np.where(allowed, np.maximum(inelastic, 0.0), 0.0)
        total += (
            element.mass_fraction
            * (16 / 3)
            * _FINE_STRUCTURE
            * _AVOGADRO
            / element.mass_number
            * (_ELECTRON_RADIUS * m / mu) ** 2
            / v
            * z
            * (z * np.maximum(nuclear, 0.0) + inelastic)
            * (1 - v + 0.75 * v**2)
        )
    return total


def pair_production(v: FloatArray, energy: FloatArray, *, n_rho: int = 64) -> FloatArray:
    """Direct electron pair production of a muon in water (Kelner-Kotov-Petrukhin, Geant4 manual).

    Parameters and result as in `bremsstrahlung`; `n_rho` Gauss-Legendre nodes integrate over the
    asymmetry of the pair in ln(1 - rho).
    """
    v, energy = np.broadcast_arrays(np.asarray(v, float), np.asarray(energy, float))
    total: FloatArray = np.zeros(v.shape)
    m, mu = _ELECTRON_MASS, MUON_MASS
    nodes, weights = np.polynomial.legendre.leggauss(n_rho)
    for element in _WATER:
        z = element.charge
        z13 = z ** (1 / 3)
        top = 1 - 0.75 * _SQRT_E * (mu / energy) * z13
        allowed = (v > 4 * m / energy) & (v < top)
        vv, ee = v[allowed][:, None], energy[allowed][:, None]
        rho_max = (1 - 6 * mu**2 / (ee**2 * (1 - vv))) * np.sqrt(1 - 4 * m / (ee * vv))
        inside = rho_max[:, 0] > 0
        vv, ee, rho_max = vv[inside], ee[inside], rho_max[inside]
        span = np.log1p(-rho_max)  # u = ln(1 - rho) runs from 0 down to this
        u = 0.5 * span * (nodes + 1)
        integrand = _pair_integrand(-np.expm1(u), vv, ee, z13) * np.exp(u)
        integral = -0.5 * span[:, 0] * (integrand @ weights)
        zeta = _pair_zeta(ee[:, 0], element)
        value = np.zeros(int(allowed.sum()))
        value[inside] = (
            element.mass_fraction
            * 4
            / (3 * np.pi)
            * _AVOGADRO
            / element.mass_number
            * z
            * (z + zeta)
            * (_FINE_STRUCTURE * _ELECTRON_RADIUS) ** 2
            * (1 - vv[:, 0])
            / vv[:, 0]
            * integral
        )
        total[allowed] += value
    return total


def _pair_zeta(energy: FloatArray, element: _Element) -> FloatArray:
    z, gamma = element.charge, energy / MUON_MASS
    upper = 0.073 * np.log(gamma / (1 + element.gamma_1 * z ** (2 / 3) * gamma)) - 0.26
    lower = 0.058 * np.log(gamma / (1 + element.gamma_2 * z ** (1 / 3) * gamma)) - 0.14
    with np.errstate(divide="ignore", invalid="ignore"):
        zeta = np.where((gamma > 35) & (upper > 0) & (lower > 0), upper / lower, 0.0)
    return np.asarray(zeta)


def _pair_integrand(rho: FloatArray, v: FloatArray, energy: FloatArray, z13: float) -> FloatArray:
    """Phi_e + (m/mu)^2 Phi_mu; rho has shape (n, n_rho), v and energy (n, 1)."""
    m, mu, screening = _ELECTRON_MASS, MUON_MASS, 183.0
    beta = v**2 / (2 * (1 - v))
    r2 = rho**2
    xi = (mu * v / (2 * m)) ** 2 * (1 - r2) / (1 - v)
    b_e = ((2 + r2) * (1 + beta) + xi * (3 + r2)) * np.log1p(1 / xi)
    b_e += (1 - r2 - beta) / (1 + xi) - (3 + r2)
    b_e = np.where(xi > 1000, (3 - r2 + 2 * beta * (1 + r2)) / (2 * xi), b_e)
    b_mu = ((1 + r2) * (1 + 1.5 * beta) - (1 + 2 * beta) * (1 - r2) / xi) * np.log1p(xi)
    b_mu += xi * (1 - r2 - beta) / (1 + xi) + (1 + 2 * beta) * (1 - r2)
    y_e = (5 - r2 + 4 * beta * (1 + r2)) / (
        2 * (1 + 3 * beta) * np.log(3 + 1 / xi) - r2 - 2 * beta * (2 - r2)
    )
    y_mu = (4 + r2 + 3 * beta * (1 + r2)) / (
        (1 + r2) * (1.5 + 2 * beta) * np.log(3 + xi) + 1 - 1.5 * r2
    )
    recoil = 2 * m * _SQRT_E * screening / z13 * (1 + xi) / (energy * v * (1 - r2))
    l_e = np.log(screening / z13 * np.sqrt((1 + xi) * (1 + y_e)) / (1 + recoil * (1 + y_e)))
    l_e -= 0.5 * np.log1p((1.5 * m * z13 / mu) ** 2 * (1 + xi) * (1 + y_e))
    l_mu = np.log(
        (mu / m) * screening / z13 * np.sqrt((1 + 1 / xi) * (1 + y_mu)) / (1 + recoil * (1 + y_mu))
    )
    l_mu -= np.log(1.5 * z13 * np.sqrt((1 + 1 / xi) * (1 + y_mu)))
    phi_e = np.maximum(b_e * l_e, 0.0)
    phi_mu = np.maximum(b_mu * l_mu, 0.0)
    return np.asarray(phi_e + (m / mu) ** 2 * phi_mu)


def photonuclear(v: FloatArray, energy: FloatArray) -> FloatArray:
    """Photonuclear interaction (Borog-Petrukhin); parameters and result as in `bremsstrahlung`."""
    v, energy = np.broadcast_arrays(np.asarray(v, float), np.asarray(energy, float))
    transfer = energy * v  # [GeV]
    allowed = transfer > 0.2
    k = np.where(allowed, transfer, 1.0)
    photon = (49.2 + 11.1 * np.log(k) + 151.8 / np.sqrt(k)) * _MICROBARN
    lambda2 = 0.4  # [GeV^2]
    lam, mu2 = np.sqrt(lambda2), MUON_MASS**2
    logarithm = np.log(
        (energy**2 * (1 - v) / mu2)
        * (1 + mu2 * v**2 / (lambda2 * (1 - v)))
        / (1 + transfer / lam * (1 + lam / (2 * _PROTON_MASS) + transfer / lam))
    )
    phi = v - 1 + (1 - v + 0.5 * v**2 * (1 + 2 * mu2 / lambda2)) * logarithm
    total = np.zeros(v.shape)
    for element in _WATER:
        mass = element.mass_number
        effective = 1.0 if element.charge == 1.0 else 0.22 * mass + 0.78 * mass**0.89
        total += element.mass_fraction * effective * _AVOGADRO / mass
    total = _FINE_STRUCTURE / np.pi * total * photon * np.maximum(phi, 0.0) / v
    return np.where(allowed, total, 0.0)


def knock_on(v: FloatArray, energy: FloatArray) -> FloatArray:
    """Knock-on electrons (spin-1/2 Bhabha form); parameters and result as in `bremsstrahlung`."""
    v, energy = np.broadcast_arrays(np.asarray(v, float), np.asarray(energy, float))
    kinetic = v * energy
    t_max = energy**2 / (energy + MUON_MASS**2 / (2 * _ELECTRON_MASS))
    shape = 1 - kinetic / t_max + kinetic**2 / (2 * energy**2)
    per_energy = 0.5 * _IONISATION * _Z_OVER_A_WATER * shape / kinetic**2
    return np.where(kinetic < t_max, per_energy * energy, 0.0)
