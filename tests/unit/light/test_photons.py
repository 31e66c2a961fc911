"""Turning, emission and scattering of single photons.

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
from skymap_scanner.light.medium import Medium, make_medium
from skymap_scanner.light.photons import emit, scatter, turn
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

N = 200_000
SIGMAS = 4.5


@kernel
def _emit_many(
    out: FloatArray,
    axis: FloatArray,
    medium: Medium,
    is_bare_track: bool,
    state: NDArray[np.uint64],
) -> None:
    for i in range(out.shape[0]):
        w = i % medium.slices.shape[0]
        emit(out[i], axis, medium.slices[w, 1], is_bare_track, state)


@kernel
def _scatter_many(
    out: FloatArray, start: FloatArray, n_scatters: int, f_liu: float, state: NDArray[np.uint64]
) -> None:
    for i in range(out.shape[0]):
        out[i] = start
        for _ in range(n_scatters):
            scatter(out[i], f_liu, state)


# --- turning ---


@pytest.mark.parametrize(
    "start",
    [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.6, -0.8, 0), (0.48, 0.6, -0.64), (1e-9, 0, -1)],
)
@pytest.mark.parametrize("one_minus_cos", [0.0, 1e-12, 1e-3, 0.7, 1.0, 1.9, 2.0])
def test_turned_direction_has_the_angle_and_stays_a_unit_vector(
    start: tuple[float, float, float], one_minus_cos: float
) -> None:
    for azimuth in (0.0, 1.0, 2.5, 4.0):
        n = np.array(start) / np.linalg.norm(start)
        old = n.copy()
        turn(n, one_minus_cos, math.cos(azimuth), math.sin(azimuth))
        assert np.linalg.norm(n) == pytest.approx(1.0, abs=1e-15)
        # half the squared distance is precise for small angles, where the cosine is not
        assert 0.5 * np.sum((n - old) ** 2) == pytest.approx(one_minus_cos, rel=1e-3, abs=1e-15)


def test_azimuth_of_a_turn_goes_right_handed_about_the_old_direction() -> None:
    for start in ([0.48, 0.6, 0.64], [0.48, 0.6, -0.64]):
        ends = []
        for azimuth in (0.0, math.pi / 2):
            n = np.array(start)
            turn(n, 0.3, math.cos(azimuth), math.sin(azimuth))
            ends.append(n - 0.7 * np.array(start))
        assert ends[0] @ ends[1] == pytest.approx(0.0, abs=1e-12)
        assert np.cross(ends[0], ends[1]) @ np.array(start) > 0


@pytest.mark.parametrize("z_sign", [1.0, -1.0])
def test_compiled_turn_is_the_function_as_written(z_sign: float) -> None:
    fast, slow = np.array([0.48, 0.6, 0.64 * z_sign]), np.array([0.48, 0.6, 0.64 * z_sign])
    turn(fast, 0.4, 0.6, 0.8)
    turn.py_func(slow, 0.4, 0.6, 0.8)
    np.testing.assert_allclose(fast, slow, rtol=1e-14)


# --- emission ---

AXES = [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, -0.8), (0.48, -0.6, 0.64)]


@pytest.fixture(scope="module")
def cascade_light() -> FloatArray:
    """Cosines to the axis of the light of a cascade."""
    axis = np.array([0.48, -0.6, 0.64])
    out = np.empty((N, 3))
    _emit_many(out, axis, make_medium(IceModel.load()), False, make_state(2))
    return np.asarray(out @ axis)


@pytest.mark.parametrize(
    ("angle_deg", "fraction"),
    [
        (20, 0.0396),
        (30, 0.1116),
        (41, 0.4452),
        (50, 0.7036),
        (60, 0.8108),
        (90, 0.9382),
        (120, 0.9801),
        (150, 0.9958),
    ],
)
def test_cascade_light_has_the_published_angles(
    cascade_light: FloatArray, angle_deg: float, fraction: float
) -> None:
    error = math.sqrt(fraction * (1 - fraction) / N)
    found = np.mean(cascade_light > np.cos(angle_deg * DEG))
    assert found == pytest.approx(fraction, abs=SIGMAS * error + 6e-5)


@pytest.mark.parametrize(
    ("low_deg", "high_deg", "per_sr"),
    [
        (0, 10, 0.0922),
        (30, 38, 0.2955),
        (40, 41, 1.4285),
        (41, 42, 0.8608),
        (50, 60, 0.1194),
        (90, 120, 0.0133),
        (150, 180, 0.0050),
    ],
)
def test_cascade_light_has_the_published_density(
    cascade_light: FloatArray, low_deg: float, high_deg: float, per_sr: float
) -> None:
    low, high = np.cos(high_deg * DEG), np.cos(low_deg * DEG)
    count = np.count_nonzero((cascade_light > low) & (cascade_light < high))
    solid = 2 * np.pi * (high - low)
    assert count / N / solid == pytest.approx(per_sr, abs=SIGMAS * count**0.5 / N / solid + 6e-5)


def test_cascade_light_has_the_published_mean(cascade_light: FloatArray) -> None:
    error = SIGMAS * cascade_light.std() / N**0.5
    assert cascade_light.mean() == pytest.approx(0.62949, abs=error)


@pytest.mark.parametrize("axis", AXES)
def test_light_is_even_around_the_axis(axis: tuple[float, float, float]) -> None:
    out = np.empty((N, 3))
    for is_bare in (False, True):
        _emit_many(out, np.array(axis), make_medium(IceModel.load()), is_bare, make_state(3))
        np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1.0, atol=1e-14)
        along = (out @ np.array(axis)).mean()
        spread = out.std(axis=0)
        error = SIGMAS * spread / N**0.5
        np.testing.assert_array_less(np.abs(out.mean(axis=0) - along * np.array(axis)), error)


@pytest.mark.parametrize("axis", AXES)
def test_light_of_a_bare_track_lies_exactly_on_the_cone(axis: tuple[float, float, float]) -> None:
    medium = make_medium(IceModel.load())
    out = np.empty((1280, 3))
    _emit_many(out, np.array(axis), medium, True, make_state(4))
    expected = np.tile(1.0 - medium.slices[:, 1], 10)
    np.testing.assert_allclose(out @ np.array(axis), expected, atol=1e-14)


# --- scattering ---


@pytest.mark.parametrize("f_liu", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("n_scatters", [1, 2, 5, 20])
def test_mean_cosine_after_k_scatters_is_g_to_the_k(f_liu: float, n_scatters: int) -> None:
    start = np.array([0.48, 0.6, -0.64])
    out = np.empty((N, 3))
    _scatter_many(out, start, n_scatters, f_liu, make_state(5, n_scatters))
    cosine = out @ start
    error = SIGMAS * cosine.std() / N**0.5
    assert cosine.mean() == pytest.approx(0.9**n_scatters, abs=error)
    sideways = out - cosine[:, None] * start
    assert np.abs(sideways.mean(axis=0)).max() < SIGMAS * sideways.std() / N**0.5


@pytest.mark.parametrize(("f_liu", "median"), [(1.0, 0.92835), (0.0, 0.98550)])
def test_scattering_functions_have_the_published_medians(f_liu: float, median: float) -> None:
    start = np.array([0.0, 0.0, 1.0])
    out = np.empty((N, 3))
    _scatter_many(out, start, 1, f_liu, make_state(6))
    below = np.mean(out @ start < median)
    assert below == pytest.approx(0.5, abs=SIGMAS * 0.5 / N**0.5 + 1e-3)


@pytest.mark.parametrize("cosine", [-0.9, -0.2, 0.5, 0.95])
def test_scattering_functions_are_those_of_the_formulae(cosine: float) -> None:
    start = np.array([0.0, 1.0, 0.0])
    out = np.empty((N, 3))
    g = 0.9
    liu = (0.5 * (1 + cosine)) ** ((1 + g) / (1 - g))
    greenstein = (1 - g**2) / (2 * g) * ((1 + g**2 - 2 * g * cosine) ** -0.5 - 1 / (1 + g))
    for f_liu, expected in ((1.0, liu), (0.0, greenstein), (0.35, 0.35 * liu + 0.65 * greenstein)):
        _scatter_many(out, start, 1, f_liu, make_state(7))
        below = np.mean(out @ start < cosine)
        assert below == pytest.approx(expected, abs=SIGMAS * (expected / N) ** 0.5 + 1e-9)
