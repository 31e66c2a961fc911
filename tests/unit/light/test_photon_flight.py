"""Flight of single photons between two scatters: straight, and bent by birefringence.

Statistical bounds are 4.5 standard errors (a right kernel fails one such comparison in 150 000);
seeds are fixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.compiled import kernel
from skymap_scanner.light.chance import make_state
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import Medium, birefringence, make_medium
from skymap_scanner.light.photons import ABSORBED, SCATTERED, fly
from skymap_scanner.units import DEG
from uniform_ice import uniform_medium

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

N = 200_000
SIGMAS = 4.5


@kernel
def _fly_many(
    photons: tuple[FloatArray, FloatArray, FloatArray],
    end: NDArray[np.int64],
    medium: Medium,
    kill: float,
    state: NDArray[np.uint64],
) -> None:
    at, n, left = photons
    for i in range(at.shape[0]):
        end[i], _ = fly(at[i], n[i], 0, kill, left[i], medium, state)


def _flown(
    medium: Medium,
    start: FloatArray,
    direction: FloatArray,
    *,
    budget: float = np.inf,
    kill: float = 1.0,
    n: int = N,
    seed: int = 1,
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64]]:
    """Let photons fly once; return places and times, directions, budgets left, ends."""
    at = np.tile(np.append(start, 0.0), (n, 1))
    directions = np.tile(direction, (n, 1))
    left, end = np.full((n, 1), budget), np.empty(n, np.int64)
    _fly_many((at, directions, left), end, medium, kill, make_state(seed))
    return at, directions, left[:, 0], end


# --- flight ---

UP = np.array([0.0, 0.0, 1.0])
SLANTED = np.array([0.48, 0.6, -0.64])


@pytest.mark.parametrize("direction", [UP, SLANTED, np.array([1.0, 0.0, 0.0])])
def test_path_between_scatters_is_exponential(direction: FloatArray) -> None:
    medium = uniform_medium(b=0.1, a=0.02)
    at, _, _, end = _flown(medium, np.array([1.0, 2.0, 3.0]), direction)
    length = np.linalg.norm(at[:, :3] - [1.0, 2.0, 3.0], axis=1)
    assert np.all(end == SCATTERED)
    for power, mean, variance in ((1, 10.0, 100.0), (2, 200.0, 24 * 1e4 - 200.0**2)):
        assert np.mean(length**power) == pytest.approx(mean, abs=SIGMAS * (variance / N) ** 0.5)
    np.testing.assert_allclose(at[:, 3], length * medium.slices[0, 0], rtol=1e-9)


def test_absorption_ends_a_path_where_its_budget_is_used_up() -> None:
    medium = uniform_medium(b=0.1, a=0.02)
    at, _, left, end = _flown(medium, np.zeros(3), SLANTED, budget=0.1, kill=0.5)
    length = np.linalg.norm(at[:, :3], axis=1)
    absorbed = end == ABSORBED
    np.testing.assert_allclose(length[absorbed], 0.1 / (0.5 * 0.02), rtol=1e-12)
    np.testing.assert_allclose(left[~absorbed], 0.1 - 0.01 * length[~absorbed], rtol=1e-9)
    np.testing.assert_allclose(left[absorbed], 0.0, atol=1e-15)
    assert np.mean(absorbed) == pytest.approx(math.exp(-1.0), abs=SIGMAS * 0.5 / N**0.5)


@pytest.mark.parametrize(
    ("start", "direction"),
    [
        (-3.0, (0.0, 0.0, 1.0)),
        (-3.0, (0.48, 0.6, 0.64)),
        (12.0, (0.48, 0.6, -0.64)),
        (3.0, (0.8, 0.6, 0.0)),
        (-38.0, (0.8, 0.0, 0.6)),  # below the lowest layer
        (47.0, (0.8, 0.0, -0.6)),  # above the highest
        (47.0, (0.8, 0.0, 0.6)),
        (-38.0, (0.8, 0.0, -0.6)),
    ],
)
def test_optical_depth_through_layers_is_the_integral(
    start: float, direction: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(8)
    layers = rng.uniform(0.02, 0.1, (7, 2))  # centres at -30, -20 ... 30 m
    medium = uniform_medium(b=1.0, a=1.0)._replace(
        coefficients=layers[None], z_first=-30.0, bfr_strength=np.zeros(7)
    )
    n = 300
    at, _, left, end = _flown(
        medium, np.array([0.0, 0.0, start]), np.array(direction), budget=50.0, n=n
    )
    assert np.all(end == SCATTERED)
    length = np.linalg.norm(at[:, :3] - [0.0, 0.0, start], axis=1)
    u = (np.arange(20_000) + 0.5) / 20_000
    z = start + length[:, None] * u * direction[2]
    k = np.clip(np.rint((z + 30.0) / 10.0).astype(int), 0, 6)
    absorbed = layers[k, 1].mean(axis=1) * length
    np.testing.assert_allclose(50.0 - left, absorbed, rtol=1e-4, atol=1e-4)
    # the depths in scatters are exponential deviates, whatever the layers
    depth = layers[k, 0].mean(axis=1) * length
    assert np.mean(depth) == pytest.approx(1.0, abs=SIGMAS / n**0.5)
    assert np.mean(depth < math.log(2)) == pytest.approx(0.5, abs=SIGMAS * 0.5 / n**0.5)


def test_flight_starts_in_the_ice_of_the_tilted_layer() -> None:
    layers = np.array([[0.1, 0.01], [0.4, 0.08], [0.1, 0.01]])
    medium = uniform_medium(b=1.0, a=1.0)._replace(
        coefficients=layers[None], z_first=-10.0, bfr_strength=np.zeros(3)
    )
    medium = medium._replace(tilt=np.full_like(medium.tilt, 10.0))  # all layers 10 m higher
    flat = np.array([1.0, 0.0, 0.0])
    for z, b in ((10.0, 0.4), (0.0, 0.1), (20.0, 0.1)):
        at, _, _, _ = _flown(medium, np.array([0.0, 0.0, z]), flat, n=20_000)
        assert at[:, 0].mean() == pytest.approx(1 / b, abs=SIGMAS / b / 20_000**0.5)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 60.0, 90.0])
def test_absorption_depends_on_the_angle_to_the_flow(angle_deg: float) -> None:
    full = make_medium(IceModel.load())
    medium = uniform_medium(b=1e-3, a=0.02)._replace(anisotropy=full.anisotropy, flow=full.flow)
    along = np.array([full.flow[0], full.flow[1], 0.0])
    across = np.array([-full.flow[1] * 0.6, full.flow[0] * 0.6, 0.8])
    direction = np.cos(angle_deg * DEG) * along + np.sin(angle_deg * DEG) * across
    at, _, left, _ = _flown(medium, np.zeros(3), direction, budget=1e3, n=10)
    nu = {0.0: 0.58981, 30.0: 0.66304, 60.0: 0.96448, 90.0: 1.45071}[angle_deg]
    length = np.linalg.norm(at[:, :3], axis=1)
    np.testing.assert_allclose((1e3 - left) / length, 0.02 * nu, rtol=1e-4)


# --- birefringence ---


def _bent(
    angle_deg: float, length: float, strength: float, *, sign: float = 1.0
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
    """Bend photons on segments of one length; return directions and end points in (q, p, n)."""
    full = make_medium(IceModel.load())
    medium = uniform_medium(b=1e-9, a=1.0)._replace(
        flow=full.flow, bfr_table=full.bfr_table, bfr_strength=np.array([strength])
    )
    along = np.array([full.flow[0], full.flow[1], 0.0])
    across = np.array([-full.flow[1] * 0.6, full.flow[0] * 0.6, 0.8])
    n = sign * np.cos(angle_deg * DEG) * along + np.sin(angle_deg * DEG) * across
    # absorption ends each segment after exactly this length
    at, new, _, _ = _flown(medium, np.zeros(3), n, budget=length, n=N)
    c = n @ along
    q = np.sign(c) * (along - c * n)
    q /= np.linalg.norm(q)
    frame = (q, np.cross(n, q), n)
    return new @ np.array(frame).T, at @ np.array([*np.c_[frame, np.zeros(3)]]).T, frame


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("angle_deg", [20.0, 45.0, 70.0])
def test_birefringence_turns_as_much_as_published(angle_deg: float, sign: float) -> None:
    strength, length = 0.8, 2.5
    new, _, _ = _bent(angle_deg, length, strength, sign=sign)
    sigma_x, sigma_y, mean_x = birefringence(np.array([np.cos(angle_deg * DEG)]))[0]
    depth = strength * length
    # stereographic: the direction's transverse part d / (1 + d^2 / 4) back to d
    delta = 2.0 * new[:, :2] / (1.0 + new[:, 2:])
    expected = depth**0.5 * sigma_x, depth**0.5 * sigma_y
    np.testing.assert_allclose(delta.std(axis=0), expected, rtol=SIGMAS / (2 * N) ** 0.5 + 1e-3)
    error = SIGMAS * delta.std(axis=0) / N**0.5
    np.testing.assert_array_less(np.abs(delta.mean(axis=0) - [depth * mean_x, 0.0]), error + 1e-5)
    assert abs(np.atleast_2d(np.corrcoef(delta.T))[0, 1]) < SIGMAS / N**0.5


def test_bent_path_ends_where_multiple_scattering_puts_it() -> None:
    strength, length = 0.8, 2.5
    new, at, _ = _bent(50.0, length, strength)
    sigma = (strength * length) ** 0.5 * birefringence(np.array([np.cos(50.0 * DEG)]))[0, :2]
    offset, turned = at[:, :2] / length, 2.0 * new[:, :2] / (1.0 + new[:, 2:])
    # variances s^2/3 and correlation sqrt(3)/2 with the final angle, for small angles
    np.testing.assert_allclose(offset.std(axis=0), sigma / 3**0.5, rtol=0.015)
    for k in range(2):
        correlation = np.atleast_2d(np.corrcoef(offset[:, k], turned[:, k]))[0, 1]
        assert correlation == pytest.approx(0.75**0.5, abs=0.01)
    assert np.all(np.linalg.norm(at[:, :3], axis=1) <= length * (1 + 1e-12))


@pytest.mark.parametrize("angle_deg", [0.0, 90.0])
def test_birefringence_is_defined_along_and_across_the_flow(angle_deg: float) -> None:
    full = make_medium(IceModel.load())
    medium = uniform_medium(b=0.1, a=0.01)._replace(
        flow=full.flow, bfr_table=full.bfr_table, bfr_strength=np.array([1.0])
    )
    along = np.array([full.flow[0], full.flow[1], 0.0])
    n = along if angle_deg == 0.0 else UP
    at, new, _, _ = _flown(medium, np.zeros(3), n, n=2000)
    assert np.all(np.isfinite(at))
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1.0, atol=1e-14)


def _one_flight(fly_once: Callable[..., tuple[int, float]], medium: Medium) -> FloatArray:
    at, n, left = np.array([10.0, 20.0, -350.0, 5.0]), SLANTED.copy(), np.array([3.0])
    state = make_state(9)
    ends = []
    with np.errstate(over="ignore"):
        for _ in range(20):
            ends += list(fly_once(at, n, 17, 0.4, left, medium, state))
    return np.concatenate([at, n, left, ends, state.astype(np.float64)])


@pytest.mark.parametrize("is_flat", [True, False])
def test_compiled_flight_is_the_function_as_written(*, is_flat: bool) -> None:
    medium = make_medium(IceModel.load(), is_flat=is_flat)
    np.testing.assert_allclose(
        _one_flight(fly, medium), _one_flight(fly.py_func, medium), rtol=1e-10
    )
