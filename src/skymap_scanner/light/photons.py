r"""Single photons on their way through the ice: emission, straight segments, deflection, scatter.

The kernels here move one photon; `propagation` follows many and scores them. Random numbers come
from a generator whose state the caller holds (one stream per source).

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`:
   scattering function.
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`:
   birefringence.
.. [3] L. Rädel and C. Wiebusch, Astropart. Phys. 44 (2013) 102: angular profile of cascades.
.. [4] PPC, the public photon propagation code of the IceCube Collaboration.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from skymap_scanner.compiled import kernel
from skymap_scanner.light.chance import circle_point, normal_pair, uniform
from skymap_scanner.light.medium import MEAN_COSINE
from skymap_scanner.light.optics import CASCADE_A, CASCADE_B

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skymap_scanner.light.medium import Medium
    from skymap_scanner.units import FloatArray

__all__ = ["ABSORBED", "SCATTERED", "emit", "fly", "scatter", "turn"]

#: How a straight segment ended.
SCATTERED: Final = 0
ABSORBED: Final = 1

_ROOT_THIRD: Final = math.sqrt(1.0 / 3.0)
#: Integral of the angular profile of a cascade, relative to an unlimited one [4]_.
_CASCADE_FULL: Final = 1.0 - math.exp(-CASCADE_B * 2.0**CASCADE_A)


@kernel
def turn(n: FloatArray, one_minus_cos: float, cos_azimuth: float, sin_azimuth: float) -> None:
    """Turn a unit vector by an angle about itself and an azimuth, in place.

    Parameters
    ----------
    n : ndarray, shape (3,)
        Unit vector.
    one_minus_cos : float
        One minus the cosine of the angle (precise where the cosine is not).
    cos_azimuth, sin_azimuth : float
        Azimuth about the old direction.
    """
    sin = math.sqrt(max(one_minus_cos * (2.0 - one_minus_cos), 0.0))
    cos = 1.0 - one_minus_cos
    x, y, z = n[0], n[1], n[2]
    a, b = sin * cos_azimuth, sin * sin_azimuth
    # An orthonormal basis without square roots or poles (Duff et al., JCGT 6 (2017) 1).
    sign = 1.0 if z >= 0.0 else -1.0
    p = -1.0 / (sign + z)
    q = x * y * p
    nx = cos * x + a * (1.0 + sign * x * x * p) + b * q
    ny = cos * y + a * sign * q + b * (sign + y * y * p)
    nz = cos * z - a * sign * x - b * y
    norm = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
    n[0], n[1], n[2] = nx * norm, ny * norm, nz * norm


@kernel
def emit(
    n: FloatArray,
    axis: FloatArray,
    cherenkov: float,
    is_bare_track: bool,
    state: NDArray[np.uint64],
) -> None:
    """Fill the direction of a new photon of a cascade or a bare track.

    Parameters
    ----------
    n : ndarray, shape (3,)
        Direction of the photon, written.
    axis : ndarray, shape (3,)
        Direction of the cascade or track.
    cherenkov : float
        1 - cosine of the Cherenkov angle.
    is_bare_track : bool
        Emit on the exact Cherenkov cone, not with the angles of a cascade's particles.
    state : ndarray of uint64, shape (4,)
        Random numbers.
    """
    n[0], n[1], n[2] = axis[0], axis[1], axis[2]
    if not is_bare_track:
        u = uniform(state)
        spread = (-math.log(1.0 - u * _CASCADE_FULL) / CASCADE_B) ** (1.0 / CASCADE_A)
        cos, sin = circle_point(state)
        turn(n, min(spread, 2.0), cos, sin)
    cos, sin = circle_point(state)
    turn(n, cherenkov, cos, sin)


@kernel
def scatter(n: FloatArray, f_liu: float, state: NDArray[np.uint64]) -> None:
    """Deflect a photon by one scatter: simplified Liu or Henyey-Greenstein, in place."""
    u = uniform(state)
    if uniform(state) < f_liu:
        angle = 2.0 - 2.0 * u ** ((1.0 - MEAN_COSINE) / (1.0 + MEAN_COSINE))
    else:
        q = (1.0 - MEAN_COSINE**2) / (1.0 + MEAN_COSINE * (2.0 * u - 1.0))
        angle = 1.0 - (1.0 + MEAN_COSINE**2 - q * q) / (2.0 * MEAN_COSINE)
    cos, sin = circle_point(state)
    turn(n, min(max(angle, 0.0), 2.0), cos, sin)


@kernel
def tilt_at(tilt: FloatArray, grid: FloatArray, x: float, y: float, z: float) -> float:
    """Return the upward shift of the layers at a point [m] (see `Medium.tilt_grid`)."""
    i = (grid[0] * x + grid[1] * y - grid[2] - grid[3]) * grid[4]
    i = min(max(i, 0.0), tilt.shape[1] - 1.001)
    j = min(max((grid[5] - z) * grid[6], 0.0), tilt.shape[0] - 1.001)
    i0, j0 = int(i), int(j)
    f, g = i - i0, j - j0
    upper = tilt[j0, i0] * (1.0 - f) + tilt[j0, i0 + 1] * f
    lower = tilt[j0 + 1, i0] * (1.0 - f) + tilt[j0 + 1, i0 + 1] * f
    return float(upper * (1.0 - g) + lower * g)


@kernel
def fly(
    at: FloatArray,
    n: FloatArray,
    w: int,
    kill: float,
    left: FloatArray,
    medium: Medium,
    state: NDArray[np.uint64],
) -> tuple[int, float]:
    """Move a photon along one straight segment, to its next scatter or its absorption.

    Parameters
    ----------
    at : ndarray, shape (4,)
        Place [m] and time [ns], moved.
    n : ndarray, shape (3,)
        Direction, deflected by birefringence.
    w : int
        Wavelength slice.
    kill : float
        Fraction of absorption that is sampled; weights carry the rest.
    left : ndarray, shape (1,)
        Absorption depth that is left of `kill` times the full one, used up.
    medium : Medium
        The ice.
    state : ndarray of uint64, shape (4,)
        Random numbers.

    Returns
    -------
    end : int
        `SCATTERED` or `ABSORBED`.
    scattering : float
        Scattering coefficient at the end [1/m].
    """
    flow_x, flow_y = medium.flow
    along2, across2 = medium.anisotropy
    towards = n[0] * flow_x + n[1] * flow_y
    squared = towards * towards
    scale = kill / math.sqrt(along2 * squared + across2 * (1.0 - squared))
    coefficients = medium.coefficients
    z = at[2] - tilt_at(medium.tilt, medium.tilt_grid, at[0], at[1], at[2])
    last = coefficients.shape[1] - 1
    place = (z - medium.z_first) / medium.z_step
    k = min(max(math.floor(place + 0.5), 0), last)
    slope = abs(n[2])
    up = 1 if n[2] > 0.0 else -1
    # Distance to the next boundary between layers, and between two of them.
    between = medium.z_step / max(slope, 1e-12)
    to_boundary = max(0.5 + up * (k - place), 0.0) * between
    depth = -math.log(uniform(state))
    absorbing = left[0]
    length = 0.0
    deflecting = 0.0
    while True:
        b = coefficients[w, k, 0]
        a = coefficients[w, k, 1] * scale
        step = depth / b
        end = SCATTERED
        if absorbing < a * step:
            step = absorbing / a
            end = ABSORBED
        if to_boundary < step and 0 <= k + up <= last:
            length += to_boundary
            deflecting += to_boundary * medium.bfr_strength[k]
            depth = max(depth - b * to_boundary, 0.0)
            absorbing = max(absorbing - a * to_boundary, 0.0)
            k += up
            to_boundary = between
        else:
            length += step
            deflecting += step * medium.bfr_strength[k]
            left[0] = absorbing - a * step
            break
    for i in range(3):
        at[i] += length * n[i]
    at[3] += length * medium.slices[w, 0]
    if deflecting > 0.0:
        _deflect(at, n, length, deflecting, towards, flow_x, flow_y, medium.bfr_table, state)
    return end, b


@kernel
def _deflect(
    at: FloatArray,
    n: FloatArray,
    length: float,
    strength: float,
    towards: float,
    flow_x: float,
    flow_y: float,
    table: FloatArray,
    state: NDArray[np.uint64],
) -> None:
    """Bend a segment and turn its direction by birefringence."""
    c = min(abs(towards), 1.0)
    place = c * (table.shape[0] - 1)
    k = min(int(place), table.shape[0] - 2)
    f = place - k
    root = math.sqrt(strength)
    sigma_x = root * (table[k, 0] + f * (table[k + 1, 0] - table[k, 0]))
    sigma_y = root * (table[k, 1] + f * (table[k + 1, 1] - table[k, 1]))
    delta_x = strength * (table[k, 2] + f * (table[k + 1, 2] - table[k, 2]))
    normal_x, normal_y = normal_pair(state)
    delta_x += sigma_x * normal_x
    delta_y = sigma_y * normal_y
    # The path is bent on its way: the end point moves by half the length times this turn.
    normal_x, normal_y = normal_pair(state)
    path_x = delta_x + sigma_x * normal_x * _ROOT_THIRD
    path_y = delta_y + sigma_y * normal_y * _ROOT_THIRD
    # q points to the nearer end of the flow axis, p is normal to it and the photon.
    sign = 1.0 if towards >= 0.0 else -1.0
    across = 1.0 / math.sqrt(max(1.0 - c * c, 1e-24))
    qx = sign * across * (flow_x - towards * n[0])
    qy = sign * across * (flow_y - towards * n[1])
    qz = sign * across * (-towards * n[2])
    px = n[1] * qz - n[2] * qy
    py = n[2] * qx - n[0] * qz
    pz = n[0] * qy - n[1] * qx
    hx, hy = 0.5 * path_x, 0.5 * path_y
    squared = hx * hx + hy * hy
    weight = 2.0 / (1.0 + squared)
    half = 0.5 * length * weight
    at[0] += half * (hx * qx + hy * px - squared * n[0])
    at[1] += half * (hx * qy + hy * py - squared * n[1])
    at[2] += half * (hx * qz + hy * pz - squared * n[2])
    hx, hy = 0.5 * delta_x, 0.5 * delta_y
    squared = hx * hx + hy * hy
    weight = 2.0 / (1.0 + squared)
    nx = n[0] + weight * (hx * qx + hy * px - squared * n[0])
    ny = n[1] + weight * (hx * qy + hy * py - squared * n[1])
    nz = n[2] + weight * (hx * qz + hy * pz - squared * n[2])
    norm = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
    n[0], n[1], n[2] = nx * norm, ny * norm, nz * norm
