"""Light in shells around a source at the origin: what propagation gives, and what theory says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.light.cells import N_R, R_EDGES
from skymap_scanner.light.medium import MEAN_COSINE, Medium
from skymap_scanner.light.propagation import propagate

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: Standard errors that a mean may be off.
SIGMAS = 4.5
ORIGIN, UP = np.zeros(3), np.array([0.0, 0.0, 1.0])
SLANTED = np.array([0.48, -0.6, 0.64])


def rings(values: FloatArray) -> FloatArray:
    """Sum over angles, shape (n_r,)."""
    return np.asarray(values.reshape(N_R, -1).sum(axis=1))


def repeats(medium: Medium, n: int, n_photons: int, *, kill: float, first: int) -> FloatArray:
    """Path lengths per photon in the shells, repeated with other photons [m]."""
    runs = [
        propagate(ORIGIN, SLANTED, medium, n_photons=n_photons, seed=(first + k,), kill=kill)
        for k in range(n)
    ]
    return np.array([rings(run.total) / n_photons for run in runs])


def fall_off(b: float, a: float, f_liu: float) -> float:
    """Rate at which light falls far from a source, exact for any scattering function [1/m].

    Spherical harmonics of the transport equation: the largest eigenvalue is the length.
    """
    g, n = MEAN_COSINE, 40
    x, w = np.polynomial.legendre.leggauss(64)
    exponent = (1 + g) / (1 - g)
    liu = exponent / 2 * ((1 + x) / 2) ** (exponent - 1)
    moments = np.polynomial.legendre.legvander(x, n - 1).T @ (w * liu)
    moments = f_liu * moments + (1 - f_liu) * g ** np.arange(n)
    lost = a + b * (1 - moments)
    k = np.arange(n - 1)
    side = (k + 1) / np.sqrt((2 * k + 1) * (2 * k + 3) * lost[:-1] * lost[1:])
    return float(1 / np.linalg.eigvalsh(np.diag(side, 1) + np.diag(side, -1)).max())


def in_shells(rate: float) -> FloatArray:
    """Integral of r e^(-rate r) over the shells, up to a constant."""
    return np.asarray(-np.diff(np.exp(-rate * R_EDGES) * (rate * R_EDGES + 1.0)) / rate**2)
