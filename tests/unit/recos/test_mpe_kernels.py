"""The track likelihood's kernels against a slow reference written with scipy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.optics import N_GROUP, SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.recos.likelihood.mpe import (
    N_COLUMNS,
    Hits,
    Light,
    evaluate,
    light_parameters,
    project,
    track_basis,
)
from skymap_scanner.recos.likelihood.pandel import convoluted_pandel, load_pandel_table
from skymap_scanner.recos.likelihood.rough import evaluate_rough
from skymap_scanner.recos.likelihood.track_model import (
    Noise,
    PandelConstants,
    effective_photons,
    hit_modules,
    ice_layers,
)
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray


def _direction(zenith: float, azimuth: float) -> FloatArray:
    return -np.array(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)]
    )


@pytest.fixture(scope="module")
def light() -> Light:
    ice = IceModel.load()
    return Light(*ice_layers(ice), PandelConstants().as_array(), load_pandel_table())


@pytest.fixture(scope="module")
def hits() -> Hits:
    """Thirty modules around a slanted track through the centre, time 0 there."""
    rng = np.random.default_rng(11)
    direction = _direction(1.2, 0.6)
    along = rng.uniform(-350, 350, 30)
    om_xyz = along[:, None] * direction + rng.normal(0, 50, (30, 3))
    relative = om_xyz @ direction
    rho = np.linalg.norm(om_xyz - relative[:, None] * direction, axis=1)
    early = (relative - rho / TAN_CHERENKOV + N_GROUP * rho / SIN_CHERENKOV) / LIGHT_SPEED
    doms = hit_modules(
        om_xyz,
        early + rng.exponential(5 * rho),
        rng.exponential(10, 30),
        tilt_shift=IceModel.load().tilt.at(om_xyz),
        charge_softening=0.08,
        noise=Noise(),
    )
    return project(doms, np.array([3.0, -5.0, 8.0]), direction)


def _slow_nll(at: FloatArray, hits: Hits, light: Light) -> float:
    """Equations as on paper; averages of the ice by brute force."""
    model = PandelConstants()
    ice = IceModel.load()
    fine = np.arange(-1100.0, 1100.0, 0.05) + 0.025
    b_fine = np.interp(fine, ice.z, ice.layer_scattering())
    a_fine = np.interp(fine, ice.z, ice.layer_absorption())
    point = hits.reference + at[0] * hits.basis[0] + at[1] * hits.basis[1]
    total = 0.0
    for x, y, z, shift, time, n, fraction, density in hits.doms:
        relative = np.array([x, y, z]) - point
        along = relative @ hits.direction
        rho = np.sqrt(relative @ relative - along**2 + 1.0)  # softened by 1 m
        path = rho / SIN_CHERENKOV
        emitted = along - rho / TAN_CHERENKOV
        z_emit = point[2] + emitted * hits.direction[2]
        late = time - at[2] / LIGHT_SPEED - emitted / LIGHT_SPEED - path * N_GROUP / LIGHT_SPEED
        low, high = sorted((z_emit - shift, z - shift))
        between = (fine > low - 2) & (fine < high + 2)
        b, a = b_fine[between].mean(), a_fine[between].mean()
        cosine = (z - z_emit) / path
        d_eff = (
            path + model.path_offset - model.path_cosine * cosine + model.path_cosine2 * cosine**2
        )
        shape = (
            model.shape * (b / 0.03) ** model.shape_scattering * (d_eff / 100) ** model.shape_path
        )
        rate = (
            model.rate * (b / 0.03) ** model.rate_scattering
            + model.rate_absorption * a * LIGHT_SPEED / N_GROUP
        )
        sigma = np.hypot(model.jitter, model.jitter_growth * path)
        p, s = convoluted_pandel(np.array([late / sigma]), shape, rate * sigma)
        p_all = (1 - fraction) * p[0] / sigma + density
        s_all = (1 - fraction) * s[0] + 0.5 * fraction
        total -= np.log(n) + np.log(p_all) + (n - 1) * np.log(s_all)
    return float(total)


@pytest.mark.parametrize("zenith", [0.0, 0.3, 1.2, np.pi / 2, 3.0, np.pi])
@pytest.mark.parametrize("function", [track_basis, track_basis.py_func])
def test_basis_is_right_handed_and_normal_to_the_track(function: Any, zenith: float) -> None:
    direction = _direction(zenith, 2.0)
    frame = np.vstack([function(direction), direction])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(frame) == pytest.approx(1.0)


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (12.0, -20.0, 5.0), (-90.0, 60.0, 70.0)])
def test_likelihood_agrees_with_the_slow_reference(
    hits: Hits, light: Light, shift: tuple[float, float, float]
) -> None:
    at = np.array(shift)
    expected = _slow_nll(at, hits, light)
    assert evaluate(at, hits, light, np.empty(3)) == pytest.approx(expected, abs=0.15)
    assert evaluate(at, hits, light, np.empty(3)) == pytest.approx(expected, rel=3e-4)


def test_compiled_kernels_and_python_functions_are_the_same(hits: Hits, light: Light) -> None:
    rng = np.random.default_rng(2)
    found, expected = np.empty(3), np.empty(3)
    for _ in range(5):
        at = rng.normal(0, 50, 3)
        value = evaluate(at, hits, light, found)
        assert value == pytest.approx(evaluate.py_func(at, hits, light, expected), rel=1e-11)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
        value = evaluate_rough(at, hits, found)
        assert value == pytest.approx(evaluate_rough.py_func(at, hits, expected), rel=1e-12)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    again = project.py_func(hits.doms, hits.reference, hits.direction)
    for compiled, plain in zip(hits, again, strict=True):
        np.testing.assert_allclose(compiled, plain, atol=1e-10)
    first, second = np.empty((3, 3)), np.empty((3, 3))
    light_parameters(40.0, -300.0, -260.0, light, first)
    light_parameters.py_func(40.0, -300.0, -260.0, light, second)
    np.testing.assert_allclose(first, second, rtol=1e-12)


def test_gradients_are_the_slopes(hits: Hits, light: Light) -> None:
    rng = np.random.default_rng(3)
    gradient, ignored = np.empty(3), np.empty(3)
    for _ in range(8):
        at = rng.normal(0, 40, 3)
        evaluate(at, hits, light, gradient)
        slopes = [
            (evaluate(at + step, hits, light, ignored) - evaluate(at - step, hits, light, ignored))
            / 2e-4
            for step in 1e-4 * np.eye(3)
        ]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)
        evaluate_rough(at, hits, gradient)
        slopes = [
            (evaluate_rough(at + step, hits, ignored) - evaluate_rough(at - step, hits, ignored))
            / 2e-4
            for step in 1e-4 * np.eye(3)
        ]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n", "expected"), [(1.0, -7.590677), (5.0, -6.014468), (50.0, -4.085705)])
def test_one_module_without_noise_has_the_published_value(n: float, expected: float) -> None:
    """Pandel of AMANDA: 60 m away, 20 ns late, sigma 15 ns."""
    absorption, scattering = 1 / 98, 0.03
    z = np.array([-1000.0, 1000.0])
    columns = [np.full(2, scattering), (z + 1000) * scattering]
    columns += [np.full(2, absorption), (z + 1000) * absorption]
    layers = np.stack(columns, axis=1)
    model = np.array([100 / 33.3, 0.0, 1.0, 0.0, 0.0, 0.0, 1 / 557, 0.0, 1.0, 15.0, 0.0])
    light = Light(layers, np.array([-1000.0, 2000.0]), model, load_pandel_table())
    rho = 60 * SIN_CHERENKOV
    direction = np.array([0.0, 0.0, 1.0])
    x = np.sqrt(rho**2 - 1)  # the closest approach is softened by 1 m
    time = (-rho / TAN_CHERENKOV + 60 * N_GROUP) / LIGHT_SPEED + 20
    doms = np.array([[x, 0.0, 0.0, 0.0, time, n, 0.0, 0.0]])
    hits = project(doms, np.zeros(3), direction)
    for function in (evaluate, evaluate.py_func):
        nll = function(np.zeros(3), hits, light, np.empty(3))
        assert -nll == pytest.approx(expected, abs=2e-4)


def test_geometric_time_has_the_published_value() -> None:
    """Light that arrives 486.557837 ns after the track passed the origin is not late."""
    om = np.array([30.0, 40.0, 100.0])
    rho = 50.0
    along = om[2] - rho / TAN_CHERENKOV
    assert along == pytest.approx(41.918559, abs=1e-6)
    time = along / LIGHT_SPEED + rho / SIN_CHERENKOV * N_GROUP / LIGHT_SPEED
    assert time == pytest.approx(486.557837, abs=1e-6)
    # The rough likelihood is steepest where light is not late: at the earliest edge of the pulse.
    softened = np.sqrt(rho**2 - 9.0) / rho
    doms = np.zeros((1, N_COLUMNS))
    doms[0, :5] = (om[0] * softened, om[1] * softened, om[2], 0.0, time)
    hits = project(doms, np.zeros(3), np.array([0.0, 0.0, 1.0]))
    norm = 1 / (25.0 + 50.0 + 4.0 * rho)
    value = evaluate_rough(np.zeros(3), hits, np.empty(3))
    assert value == pytest.approx(-np.log(norm / 2 + 1e-5), rel=1e-12)


def test_no_place_of_the_track_gives_nan(hits: Hits, light: Light) -> None:
    rng = np.random.default_rng(4)
    gradient = np.empty(3)
    places = [np.zeros(3), *rng.normal(0, 1000, (30, 3)), np.full(3, 1e5), np.full(3, -1e5)]
    places += [np.array([*row[:2], 0.0]) for row in hits.plane]  # through the modules
    for at in places:
        for value in (evaluate(at, hits, light, gradient), evaluate_rough(at, hits, gradient)):
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


def test_bright_modules_are_discounted_and_faint_ones_are_not() -> None:
    n = effective_photons(np.array([0.025, 1.0, 2.0, 10.0, 1000.0]), 0.08)
    np.testing.assert_allclose(n[:2], 1.0)
    assert n[2] == pytest.approx(2.0, rel=0.05)
    assert 80 < n[4] < 90
    assert (np.diff(n[1:]) > 0).all()
    np.testing.assert_allclose(effective_photons(np.array([7.0]), 0.0), 7.0)


def test_noise_fraction_falls_with_charge_and_is_bounded() -> None:
    doms = hit_modules(
        np.zeros((3, 3)),
        np.array([0.0, 100.0, 200.0]),
        np.array([0.1, 10.0, 1e4]),
        tilt_shift=np.zeros(3),
        charge_softening=0.0,
        noise=Noise(rate=1.0, window=10.0),
    )
    assert doms.shape == (3, N_COLUMNS)
    np.testing.assert_allclose(doms[:, 6], [0.5, 0.5, 1e-3])
    np.testing.assert_allclose(doms[:, 7], doms[:, 6] / 10.0)
