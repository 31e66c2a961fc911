"""Light yields and module acceptance against the numbers of the photon propagation code."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.light import optics
from skymap_scanner.light.ice import IceModel, group_index, phase_index


def test_cherenkov_angle_and_module_area() -> None:
    assert np.degrees(optics.CHERENKOV_ANGLE) == pytest.approx(40.723850, abs=1e-6)
    assert pytest.approx(0.8608601803, abs=1e-10) == optics.TAN_CHERENKOV
    assert pytest.approx(0.6524139297, abs=1e-10) == optics.SIN_CHERENKOV
    assert pytest.approx(0.0856336, abs=1e-7) == optics.MODULE_AREA


def test_light_yields() -> None:
    assert pytest.approx(2486.831, abs=1e-3) == optics.PHOTONS_PER_METRE
    assert pytest.approx(13065.87, abs=0.1) == optics.PHOTONS_PER_GEV
    charge_per_gev = optics.PHOTONS_PER_GEV * optics.MODULE_AREA
    assert charge_per_gev == pytest.approx(1118.877, abs=1e-3)
    expected = [1.3261, 1.3730, 1.4198, 1.4667]
    np.testing.assert_allclose(optics.muon_light_factor([1e3, 1e4, 1e5, 1e6]), expected, atol=5e-5)


def test_hadronic_cascades_are_darker_and_vary() -> None:
    mean, spread = optics.hadronic_light_factor([1e3, 1e4, 1e5])
    np.testing.assert_allclose(mean, [0.8290, 0.8825, 0.9192], atol=5e-5)
    np.testing.assert_allclose(spread, [0.0579, 0.0417, 0.0321], atol=5e-5)


def test_longitudinal_profiles() -> None:
    shape, scale = optics.cascade_length([1e3, 1e4, 1e5])
    np.testing.assert_allclose(shape * scale, [3.954, 4.855, 5.756], atol=5e-4)
    np.testing.assert_allclose((shape - 1) * scale, [3.334, 4.235, 5.136], atol=6e-4)
    shape, scale = optics.cascade_length([1e3, 1e4, 1e5], hadronic=True)
    np.testing.assert_allclose(shape * scale, [5.181, 6.297, 7.413], atol=6e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spice_bfr-v2", [0.0, 0.169531, 0.34, 0.510469, 0.68]),
        ("spice_ftp-v3m", [0.0, 0.180078, 0.34, 0.499922, 0.68]),
    ],
)
def test_angular_acceptance(name: str, expected: list[float]) -> None:
    coefficients = IceModel.load(name).angular_acceptance
    found = optics.angular_acceptance([-1.0, -0.5, 0.0, 0.5, 1.0], coefficients)
    np.testing.assert_allclose(found, expected, atol=5e-7)
    x = (np.arange(4000) + 0.5) / 2000 - 1
    assert optics.angular_acceptance(x, coefficients).mean() == pytest.approx(0.34, abs=1e-6)


def test_cascade_angles() -> None:
    u = (np.arange(200_000) + 0.5) / 200_000
    cosine = optics.cascade_angles(u)
    assert 1 - np.median(cosine) == pytest.approx(0.0295533, abs=1e-6)
    assert cosine.mean() == pytest.approx(0.829689, abs=1e-5)


def test_wavelength_slices() -> None:
    wavelengths = optics.wavelength_slices(128)
    assert np.median(wavelengths) == pytest.approx(419.9, abs=0.05)
    assert wavelengths.mean() == pytest.approx(430.0, abs=0.05)
    assert group_index(wavelengths).min() == pytest.approx(1.3264979, abs=1e-7)
    angles = np.degrees(np.arccos(1 / phase_index(wavelengths[[0, -1]])))
    np.testing.assert_allclose(angles, [41.25, 40.17], atol=5e-3)
