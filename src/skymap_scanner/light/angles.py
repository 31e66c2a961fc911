"""Where a cascade's light goes and where modules see light from, sharp and after some scatters.

Light that was scattered a few times comes from about the direction of the source; what leaves the
source, and what a module accepts, is then blurred.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ive

from skymap_scanner.light.ice import phase_index
from skymap_scanner.light.optics import cascade_angles, wavelength_slices
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

    Float32Array = NDArray[np.float32]

__all__ = ["blurred_acceptance", "emission_table"]

#: Nodes of the table of emission in the cosine to the source's axis.
_N_EMISSION: Final = 2049
#: Width of the kernels that blur the emission [deg]: light after a few scatters.
_BLUR_DEG: Final = (0.0, 8.0, 25.0)
#: Width of the kernel that blurs the acceptance of modules [deg]: they look down, and of light from
#: above see what is scattered.
_ACCEPTANCE_BLUR_DEG: Final = 40.0
#: Light is summed in rings around the axis of this width [deg].
_EMISSION_STEP_DEG: Final = 0.5


@cache
def emission_table() -> Float32Array:
    """Return the logarithm of a cascade's light per sr, blurred, on equal steps in the cosine.

    Returns
    -------
    ndarray of float32, shape (2049, 3)
        Natural logarithm of the fraction of light per sr after blurring by a von Mises-Fisher
        kernel of 0, 8 and 25 degrees.
    """
    edges = np.linspace(0.0, np.pi, round(180.0 / _EMISSION_STEP_DEG) + 1)
    rest = ((np.arange(2000) + 0.5) / 2000)[:, None]
    # Closer together where few particles go, far from the axis.
    particle, weight = cascade_angles(1.0 - rest**3), 3.0 * rest**2 / 2000
    cherenkov = 1.0 / phase_index(wavelength_slices(16))
    across = np.sqrt((1.0 - particle**2) * (1.0 - cherenkov**2))
    within = np.empty(edges.size)
    for k in range(edges.size):
        turn = np.arccos(np.clip((np.cos(edges[k]) - particle * cherenkov) / across, -1.0, 1.0))
        within[k] = np.sum(weight * turn) / (16 * np.pi)
    light = np.diff(within)
    middle = 0.5 * (edges[1:] + edges[:-1])
    solid = 2.0 * np.pi * -np.diff(np.cos(edges))
    nodes = np.linspace(-1.0, 1.0, _N_EMISSION)
    columns = []
    for width_deg in _BLUR_DEG:
        per_sr = light / solid if width_deg == 0.0 else _blur(light, middle, width_deg * DEG)
        columns.append(np.interp(-nodes, -np.cos(middle), np.log(per_sr)))
    return np.stack(columns, axis=1).astype(np.float32)


def _blur(light: FloatArray, angle: FloatArray, width: float) -> FloatArray:
    """Return light per sr at some angles after a von Mises-Fisher kernel of some width [rad]."""
    kappa = 1.0 / width**2
    # Average over the azimuth: exp(kappa cos cos') I0(kappa sin sin'), scaled against overflow.
    sines = kappa * np.sin(angle)[:, None] * np.sin(angle)
    exponent = kappa * (np.cos(angle[:, None] - angle) - 1.0)
    norm = kappa / (2.0 * np.pi * (1.0 - math.exp(-2.0 * kappa)))
    return np.asarray((norm * ive(0, sines) * np.exp(exponent)) @ light)


def blurred_acceptance(acceptance: FloatArray) -> FloatArray:
    """Return a polynomial in the z component after a von Mises-Fisher kernel."""
    kappa = 1.0 / (_ACCEPTANCE_BLUR_DEG * DEG) ** 2
    legendre = np.polynomial.legendre
    x, weight = legendre.leggauss(200)
    kernel = weight * np.exp(kappa * (x - 1.0))
    # On the sphere a kernel multiplies each Legendre polynomial by its mean over the kernel.
    means = legendre.legvander(x, acceptance.size - 1).T @ kernel / kernel.sum()
    return np.asarray(legendre.leg2poly(legendre.poly2leg(acceptance) * means))
