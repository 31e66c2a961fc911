"""Ice tables, averages and tilt against published or independently computed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.ice import (
    ICE_MODELS,
    IceModel,
    group_index,
    phase_index,
)
from skymap_scanner.light.tilt import TiltTable


@pytest.mark.parametrize(
    ("wavelength", "phase", "group"),
    [
        (337.0, 1.327121, 1.380284),
        (400.0, 1.319428, 1.356106),
        (500.0, 1.313040, 1.335654),
        (600.0, 1.309394, 1.327472),
    ],
)
def test_refractive_indices_are_those_of_price_and_woschnagg(
    wavelength: float, phase: float, group: float
) -> None:
    assert phase_index(wavelength) == pytest.approx(phase, abs=5e-7)
    assert group_index(wavelength) == pytest.approx(group, abs=5e-7)


@pytest.mark.parametrize(
    ("z", "scattering", "absorption"),
    [
        (-400.4, 0.030193, 0.012009),
        (-350.4, 0.013654, 0.003440),
        (-60.4, 0.087385, 0.019440),
        (-0.4, 0.031873, 0.008540),
        (199.6, 0.049131, 0.011289),
        (399.6, 0.077687, 0.024206),
    ],
)
def test_bfr_layers_have_the_published_coefficients(
    z: float, scattering: float, absorption: float
) -> None:
    ice = IceModel.load("spice_bfr-v2")
    assert ice.scattering(z) == pytest.approx(scattering, abs=5e-7)
    assert ice.absorption(z) == pytest.approx(absorption, abs=5e-7)


@pytest.mark.parametrize(
    ("z", "mie", "absorption"),
    [(-400.4, 0.032555, 0.009925), (-60.4, 0.068594, 0.018772), (399.6, 0.063223, 0.023334)],
)
def test_ftp_layers_add_birefringence_to_the_mie_part_of_the_table(
    z: float, mie: float, absorption: float
) -> None:
    ice = IceModel.load("spice_ftp-v3m")
    k = int(ice.layer(z))
    assert ice.b_e400[k] == pytest.approx(mie, abs=1.1e-6)
    assert ice.scattering(z) == pytest.approx(mie + ice.bfr_strength[k] * 0.00246854, abs=1.1e-6)
    assert ice.absorption(z) == pytest.approx(absorption, abs=5e-7)


def test_absorption_at_another_wavelength_includes_the_intrinsic_part() -> None:
    ice = IceModel.load("spice_bfr-v2")
    assert ice.absorption(-350.4, 420.559) == pytest.approx(0.00392582, abs=1e-7)
    assert ice.scattering(-350.4, 420.559) / 0.1 == pytest.approx(0.13052827, abs=1e-6)


def test_rock_below_the_ice_is_clipped() -> None:
    for name in ICE_MODELS:
        assert IceModel.load(name).layer_absorption().max() <= 0.08


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
def test_tilt_moves_layers_as_in_the_table(point: tuple[float, float, float], shift: float) -> None:
    assert TiltTable.load().at(point) == pytest.approx(shift, abs=5e-4)


def test_mean_between_heights_is_the_integral_over_the_layers() -> None:
    ice = IceModel.load()
    profile = ice.profile()
    low, high = -73.0, 41.5
    fine = np.linspace(low - 2.0, high + 2.0, 200_001)
    middle = 0.5 * (fine[1:] + fine[:-1])
    scattering, absorption = profile.mean(high, low)
    assert scattering == pytest.approx(ice.scattering(middle).mean(), rel=1e-4)
    assert absorption == pytest.approx(ice.absorption(middle).mean(), rel=1e-4)


def test_mean_is_defined_at_one_height_and_beyond_the_table() -> None:
    ice = IceModel.load()
    scattering, absorption = ice.profile().mean([100.0, 2000.0, -3000.0], [100.0, 2100.0, -3000.0])
    assert np.isfinite(scattering).all()
    assert scattering[1] == pytest.approx(ice.layer_scattering()[-1])
    assert absorption[2] == pytest.approx(0.08)


def test_effective_height_subtracts_the_shift() -> None:
    assert IceModel.load().effective_z([500.0, 100.0, -400.0]) == pytest.approx(-429.9358, abs=1e-3)


def test_unknown_model_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="spice_bfr-v2"):
        IceModel.load("clear")
