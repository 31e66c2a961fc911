"""Tables of the ice for photons against the published formulae and check values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.light.ice import ICE_MODELS, IceModel, group_index, phase_index
from skymap_scanner.light.medium import FLOW_AZIMUTH, Medium, birefringence, make_medium
from skymap_scanner.light.optics import N_REF, angular_acceptance, wavelength_slices
from skymap_scanner.light.photons import tilt_at
from skymap_scanner.units import DEG, LIGHT_SPEED, SURFACE_Z

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

ICE = IceModel.load()
WAVELENGTHS = wavelength_slices(128)
#: The slice nearest to 420.559 nm.
VIOLET = 64


@pytest.fixture(scope="module")
def full() -> Medium:
    return make_medium(ICE)


@pytest.fixture(scope="module")
def flat() -> Medium:
    return make_medium(ICE, is_flat=True)


def test_coefficients_are_those_of_the_photon_propagation_code(flat: Medium) -> None:
    assert WAVELENGTHS[VIOLET] == pytest.approx(420.559, abs=1e-3)
    scattering, absorption = flat.coefficients[VIOLET, ICE.layer(-350.4)]
    assert scattering == pytest.approx(0.13052827, abs=2e-8)
    assert absorption == pytest.approx(0.00392582, abs=2e-8)


def test_birefringence_is_taken_out_of_the_scattering_that_it_makes_itself(
    full: Medium, flat: Medium
) -> None:
    taken = 0.1 * (flat.coefficients - full.coefficients)[VIOLET]
    expected = 0.00246854 * ICE.bfr_strength
    np.testing.assert_allclose(taken[:, 0], expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(taken[:, 1], 0.0)
    assert not flat.bfr_strength.any()
    np.testing.assert_array_equal(full.bfr_strength, ICE.bfr_strength)


def test_ftp_table_holds_the_mie_part_alone() -> None:
    ice = IceModel.load("spice_ftp-v3m")
    k = ice.layer(-350.4)
    scale = (WAVELENGTHS / 400.0) ** -ice.alpha
    mie = 0.1 * make_medium(ice).coefficients[:, k, 0]
    np.testing.assert_allclose(mie, ice.b_e400[k] * scale, rtol=1e-12)
    with_birefringence = 0.1 * make_medium(ice, is_flat=True).coefficients[:, k, 0]
    np.testing.assert_allclose(with_birefringence - mie, 0.00246854 * ice.bfr_strength[k])


@pytest.mark.parametrize("name", ICE_MODELS)
def test_bubbles_scatter_above_1350_m_only(name: str) -> None:
    ice = IceModel.load(name)
    flat = make_medium(ice, is_flat=True)
    added = 0.1 * flat.coefficients[VIOLET, :, 0] - ice.layer_scattering(WAVELENGTHS[VIOLET])
    depth = SURFACE_Z - ice.z
    expected = 11.7 * (1 - depth / 1350) * (1 - depth / 1400)
    np.testing.assert_allclose(added, np.where(depth < 1350, expected, 0.0), atol=1e-12)
    assert added[-1] == pytest.approx(0.46951, abs=1e-5)  # 1098.47 m


@pytest.mark.parametrize("name", ICE_MODELS)
def test_every_coefficient_is_positive(name: str) -> None:
    for is_flat in (False, True):
        medium = make_medium(IceModel.load(name), is_flat=is_flat)
        assert np.all(medium.coefficients > 0.0)
        assert np.all(np.isfinite(medium.coefficients))


def test_slices_carry_group_velocity_and_cherenkov_angle(full: Medium) -> None:
    np.testing.assert_allclose(full.slices[:, 0], group_index(WAVELENGTHS) / LIGHT_SPEED)
    np.testing.assert_allclose(1 - full.slices[:, 1], 1 / phase_index(WAVELENGTHS))
    angles_deg = np.arccos(1 - full.slices[[0, -1], 1]) / DEG
    np.testing.assert_allclose(angles_deg, [41.25, 40.17], atol=5e-3)
    assert full.slices[:, 0].min() * LIGHT_SPEED == pytest.approx(N_REF, abs=5e-8)


@pytest.mark.parametrize(
    ("angle_deg", "sigma_x", "sigma_y", "mean_x"),
    [
        (0.0, 0.076795, 0.077381, 0.0),
        (30.0, 0.0626044, 0.0686074, 0.00424791),
        (45.0, 0.0493386, 0.0584095, 0.00308326),
        (60.0, 0.0383166, 0.0487443, 0.00163849),
        (90.0, 0.0294596, 0.0400998, 0.0),
    ],
)
def test_birefringence_has_the_published_diffusion(
    angle_deg: float, sigma_x: float, sigma_y: float, mean_x: float
) -> None:
    found = birefringence(np.array([np.cos(angle_deg * DEG)]))[0]
    np.testing.assert_allclose(found, [sigma_x, sigma_y, mean_x], atol=6e-8)


def test_birefringence_scatters_as_much_as_the_tables_say() -> None:
    cosine = (np.arange(100) + 0.5) / 100
    added = 0.5 * np.mean(np.sum(birefringence(cosine) ** 2, axis=1))
    assert added == pytest.approx(0.00246854, abs=6e-9)


def test_table_of_birefringence_is_as_good_as_its_formula(full: Medium) -> None:
    cosine = np.linspace(0.0, 1.0, 5003)
    nodes = np.linspace(0.0, 1.0, full.bfr_table.shape[0])
    exact = birefringence(cosine)
    for k in range(3):
        table = np.interp(cosine, nodes, full.bfr_table[:, k])
        off = np.abs(table - exact[:, k]) / exact[:, k].max()
        # the mean goes with a square root at the flow axis: the last of the 2048 steps is worse
        assert off[cosine < nodes[-2]].max() < 3e-3
        assert off.max() < 0.03


def test_absorption_is_anisotropic_as_published_and_normalised(full: Medium) -> None:
    along2, across2 = full.anisotropy
    assert along2**0.5 == pytest.approx(1.695450, abs=6e-7)
    assert across2**0.5 == pytest.approx(0.689319, abs=6e-7)
    cos = np.cos(np.array([0.0, 30.0, 45.0, 60.0, 90.0]) * DEG)
    found = (along2 * cos**2 + across2 * (1 - cos**2)) ** -0.5
    np.testing.assert_allclose(found, [0.58981, 0.66304, 0.77270, 0.96448, 1.45071], atol=6e-6)
    even = (np.arange(100_000) + 0.5) / 100_000
    mean = np.mean((along2 * even**2 + across2 * (1 - even**2)) ** -0.5)
    assert mean == pytest.approx(1.0, abs=1e-6)


def test_flat_medium_has_no_direction(flat: Medium) -> None:
    assert flat.anisotropy == (1.0, 1.0)
    assert not flat.tilt.any()


def test_ice_flows_towards_130_degrees(full: Medium) -> None:
    assert np.arctan2(full.flow[1], full.flow[0]) / DEG == pytest.approx(130.0)
    assert pytest.approx(130.0) == FLOW_AZIMUTH / DEG


def test_acceptance_is_the_polynomial_of_the_model(full: Medium) -> None:
    x = np.linspace(-1, 1, 41)
    expected = angular_acceptance(x, ICE.angular_acceptance)
    np.testing.assert_allclose(angular_acceptance(x, full.acceptance), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("point", "shift"),
    [
        ((0.0, 0.0, -350.0), 0.1674),
        ((-400.0, -300.0, -60.0), 14.6053),
        ((300.0, 300.0, -60.0), -1.4265),
        ((300.0, 300.0, 300.0), -2.4023),
        ((-256.14, -521.08, -100.0), 16.72),
        ((500.0, 100.0, -400.0), 29.9358),
    ],
)
def test_photons_see_the_published_tilt(
    full: Medium, point: tuple[float, float, float], shift: float
) -> None:
    assert tilt_at(full.tilt, full.tilt_grid, *point) == pytest.approx(shift, abs=0.05)


def _disc(n: int) -> FloatArray:
    rng = np.random.default_rng(2)
    radius, azimuth = 690.0 * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    z = rng.uniform(-900.0, 900.0, n)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)


def test_grid_of_the_tilt_is_exact_to_centimetres(full: Medium) -> None:
    points = _disc(20_000)
    found = np.array([tilt_at(full.tilt, full.tilt_grid, x, y, z) for x, y, z in points])
    assert np.abs(found - ICE.tilt.at(points)).max() < 0.1
    assert np.std(found - ICE.tilt.at(points)) < 0.01


@pytest.mark.parametrize("far", [1e3, 1e5, 1e8])
def test_tilt_far_outside_is_that_at_the_edge(full: Medium, far: float) -> None:
    gradient, origin = full.tilt_grid[:2], full.tilt_grid[2]
    for sign in (1.0, -1.0):
        x, y = (sign * 699.9 + origin) * gradient
        at_edge = tilt_at(full.tilt, full.tilt_grid, x, y, -100.0)
        x, y = sign * far * gradient
        beyond = tilt_at(full.tilt, full.tilt_grid, x, y, -100.0)
        assert beyond == pytest.approx(at_edge, abs=0.05)
    for z in (far, -far):
        assert np.isfinite(tilt_at(full.tilt, full.tilt_grid, 0.0, 0.0, z))


@pytest.mark.parametrize("point", [(0.0, 0.0, -350.0), (500.0, 100.0, -400.0), (1e4, 0.0, 1e4)])
def test_compiled_tilt_is_the_function_as_written(
    full: Medium, point: tuple[float, float, float]
) -> None:
    slow = tilt_at.py_func(full.tilt, full.tilt_grid, *point)
    assert tilt_at(full.tilt, full.tilt_grid, *point) == pytest.approx(slow, rel=1e-12)
