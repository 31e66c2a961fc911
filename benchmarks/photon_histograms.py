r"""Follow photons through uniform ice; histogram where and when modules near a track see them.

First of the two scripts that made the constants of the track likelihood (`fit_light_model.py` is
the second). Photons start at a point of a track, either on the Cherenkov cone of the bare track or
with the wider angles of a cascade, and are followed through ice of one kind. Per straight segment
one random point on it scores the segment's length, weighted with the acceptance of modules in
eleven orientations relative to the track: sum / (photons x volume) is the fluence that a module
there sees.

Literature: Aartsen et al., NIM A 711 (2013) 73 (scattering function, optical properties); Raedel
and Wiebusch, Astropart. Phys. 44 (2013) 102 (angles of cascades).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numba as nb
import numpy as np

from skymap_scanner.light.ice import IceModel, group_index, phase_index
from skymap_scanner.light.optics import (
    CHERENKOV_ANGLE,
    N_GROUP,
    SIN_CHERENKOV,
    TAN_CHERENKOV,
    wavelength_slices,
)
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: Heights of the layers whose ice is used, clear to dusty [m].
LAYERS: Final = (-350.4, -0.4, 199.6, 399.6, -60.4)
#: Edges of the distance to the track [m].
RHO_EDGES: Final = np.array(
    [1, 3, 5, 8, 11, 15, 20, 26, 33, 41, 50, 60, 72, 85, 100, 116, 134, 155, 180], dtype=np.float64
)
#: Position along the track relative to the point of emission: first edge, step [m], number.
ALONG_FIRST, ALONG_STEP, N_ALONG = -300.0, 12.0, 60
#: Delay against light of the bare track, equal steps in asinh(t / 4 ns).
_DELAY_FIRST, _DELAY_STEP = float(np.arcsinh(-60 / 4)), 0.1
N_DELAY: Final = int((np.arcsinh(6000 / 4) - _DELAY_FIRST) / _DELAY_STEP) + 1
DELAY_EDGES: Final = 4 * np.sinh(_DELAY_FIRST + _DELAY_STEP * np.arange(N_DELAY + 1))
#: Absorption is sampled with this fraction of its strength; weights carry the rest.
_KILL: Final = 0.4
_G: Final = 0.9


def _orientations() -> FloatArray:
    """Return "up" in the frame (away from the track, around it, along it), shape (11, 3)."""
    rows = []
    for along in (1.0, 0.5, 0.0, -0.5, -1.0):
        across = np.sqrt(1 - along**2)
        for azimuth in (0.0, 90.0, 180.0) if across else (0.0,):
            angle = np.radians(azimuth)
            rows.append((across * np.cos(angle), across * np.sin(angle), along))
    return np.array(rows)


ORIENTATIONS: Final = _orientations()
#: Cosine between the unscattered light and "up", per orientation.
COS_ETA: Final = ORIENTATIONS @ np.array([np.sin(CHERENKOV_ANGLE), 0.0, np.cos(CHERENKOV_ANGLE)])


@dataclass(frozen=True, slots=True, eq=False)
class Ice:
    """Uniform ice: coefficients at 400 nm [1/m], and histograms of light in it.

    `track` is light per metre of bare track, shape (n_rho, n_orientation, n_delay); `cascade` light
    of a cascade, shape (n_rho, n_along, n_orientation, n_delay); both per emitted photon [1/m^2].
    """

    scattering: float
    absorption: float
    track: FloatArray
    cascade: FloatArray


class _Medium(NamedTuple):
    """Uniform ice per wavelength slice, and what modules accept (a tuple, as kernels want it)."""

    scattering: FloatArray
    absorption: FloatArray
    n_group: FloatArray
    cos_cherenkov: FloatArray
    f_liu: float
    acceptance: FloatArray


@nb.njit(error_model="numpy", cache=True)
def _turn(n: FloatArray, one_minus_cos: float, azimuth: float) -> None:
    """Turn a unit vector by an angle, in place."""
    sin = np.sqrt(max(one_minus_cos * (2 - one_minus_cos), 0.0))
    x, y, z = n
    across = np.sqrt(x * x + y * y)
    px, py = (1.0, 0.0) if across < 1e-6 else (-y / across, x / across)
    qx, qy, qz = -z * py, z * px, x * py - y * px
    a, b = sin * np.cos(azimuth), sin * np.sin(azimuth)
    cos = 1 - one_minus_cos
    n[0], n[1], n[2] = cos * x + a * px + b * qx, cos * y + a * py + b * qy, cos * z + b * qz
    n /= np.sqrt(np.sum(n * n))


@nb.njit(error_model="numpy", cache=True)
def _start(n: FloatArray, cos_cherenkov: float, is_cascade: bool) -> None:
    """Fill the direction of a new photon of a particle that travels along z."""
    n[:] = (0.0, 0.0, 1.0)
    if is_cascade:
        u = np.random.random()  # noqa: NPY002 -- numba's generator, seeded in `_walk`
        one_minus_cos = (-np.log(1 - u * 0.96729171) / 2.61) ** (1 / 0.39)
        _turn(n, min(one_minus_cos, 2.0), 2 * np.pi * np.random.random())  # noqa: NPY002
    _turn(n, 1 - cos_cherenkov, 2 * np.pi * np.random.random())  # noqa: NPY002


@nb.njit(error_model="numpy", cache=True)
def _scatter(n: FloatArray, f_liu: float) -> None:
    u = np.random.random()  # noqa: NPY002
    if np.random.random() < f_liu:  # noqa: NPY002
        one_minus_cos = 2 - 2 * u ** ((1 - _G) / (1 + _G))
    else:
        q = (1 - _G * _G) / (1 + _G * (2 * u - 1))
        one_minus_cos = 1 - (1 + _G * _G - q * q) / (2 * _G)
    _turn(n, min(max(one_minus_cos, 0.0), 2.0), 2 * np.pi * np.random.random())  # noqa: NPY002


@nb.njit(error_model="numpy", cache=True)
def _score(
    place: FloatArray, n: FloatArray, weight: float, acceptance: FloatArray, histogram: FloatArray
) -> None:
    """Add a photon at a place (x, y, z, time) with direction n."""
    rho = np.sqrt(place[0] ** 2 + place[1] ** 2)
    along = int(np.floor((place[2] - ALONG_FIRST) / ALONG_STEP))
    if not (RHO_EDGES[0] <= rho < RHO_EDGES[-1] and 0 <= along < N_ALONG):
        return
    ring = np.searchsorted(RHO_EDGES, rho, side="right") - 1
    unscattered = (place[2] - rho / TAN_CHERENKOV + rho * N_GROUP / SIN_CHERENKOV) / LIGHT_SPEED
    delay = int((np.arcsinh((place[3] - unscattered) / 4.0) - _DELAY_FIRST) / _DELAY_STEP)
    if delay >= N_DELAY:
        return
    radial = (n[0] * place[0] + n[1] * place[1]) / rho
    around = (n[1] * place[0] - n[0] * place[1]) / rho
    for o in range(ORIENTATIONS.shape[0]):
        up = ORIENTATIONS[o]
        cos_eta = radial * up[0] + around * up[1] + n[2] * up[2]
        seen = 0.0
        for k in range(acceptance.size - 1, -1, -1):
            seen = seen * cos_eta + acceptance[k]
        histogram[ring, along, o, max(delay, 0)] += weight * max(seen, 0.0)


@nb.njit(error_model="numpy", cache=True)
def _walk(
    n_photons: int, seed: int, is_cascade: bool, medium: _Medium, histogram: FloatArray
) -> None:
    """Follow photons of random wavelength slices until absorbed, far away or 6.5 us old."""
    np.random.seed(seed)  # noqa: NPY002
    n, at, scored = np.empty(3), np.empty(4), np.empty(4)
    for _ in range(n_photons):
        w = np.random.randint(medium.scattering.size)  # noqa: NPY002
        b, a, slowness = (
            medium.scattering[w],
            medium.absorption[w],
            medium.n_group[w] / LIGHT_SPEED,
        )
        _start(n, medium.cos_cherenkov[w], is_cascade)
        at[:] = 0.0
        weight = 1.0
        left = -np.log(1 - np.random.random())  # noqa: NPY002
        while at[3] < 6500 and at[0] ** 2 + at[1] ** 2 < 350**2 and abs(at[2]) < 500:
            length = -np.log(1 - np.random.random()) / b  # noqa: NPY002
            to_end = left / (_KILL * a)
            is_last = to_end < length
            length = min(length, to_end)
            part = np.random.random() * length  # noqa: NPY002
            scored[:3] = at[:3] + part * n
            scored[3] = at[3] + part * slowness
            here = weight * np.exp(-(1 - _KILL) * a * part) * length
            _score(scored, n, here, medium.acceptance, histogram)
            if is_last:
                break
            at[:3] += length * n
            at[3] += length * slowness
            weight *= np.exp(-(1 - _KILL) * a * length)
            left -= _KILL * a * length
            _scatter(n, medium.f_liu)


def make_histograms(n_photons: int, *, ice_model: str = "spice_bfr-v2", seed: int = 1) -> list[Ice]:
    """Simulate all kinds of ice.

    Parameters
    ----------
    n_photons : int
        Photons per kind of ice and of source; about 25 thousand per second.
    ice_model : str
        Where the coefficients are taken from.
    seed : int
        Seed of all chance.

    Returns
    -------
    list of Ice
        One per entry of `LAYERS`.
    """
    model = IceModel.load(ice_model)
    wavelengths = wavelength_slices(128)
    volume = np.pi * np.diff(RHO_EDGES**2) * ALONG_STEP
    made = []
    for k, z in enumerate(LAYERS):
        medium = _Medium(
            np.array([float(model.scattering(z, w)) for w in wavelengths]) / (1 - _G),
            np.array([float(model.absorption(z, w)) for w in wavelengths]),
            group_index(wavelengths),
            1 / phase_index(wavelengths),
            model.f_liu,
            model.angular_acceptance,
        )
        found = []
        for is_cascade in (False, True):
            shape = (RHO_EDGES.size - 1, N_ALONG, len(ORIENTATIONS), N_DELAY)
            histogram = np.zeros(shape)
            own_seed = 1000 * seed + 10 * k + is_cascade
            _walk(n_photons, own_seed, is_cascade, medium, histogram)
            found.append(histogram / (n_photons * volume[:, None, None, None]))
        # A track emits everywhere along it: the sum over positions is light per metre.
        track = found[0].sum(axis=1) * ALONG_STEP
        made.append(Ice(float(model.scattering(z)), float(model.absorption(z)), track, found[1]))
    return made
