from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.varied_ice import IceVariation, VariedLight, vary_ice, vary_medium
from skymap_scanner.simulation.light import light_name

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

ABOVE = np.array([0.0, 0.0, -230.0])
SOURCE, AXIS = np.array([0.0, 0.0, -350.0]), np.array([0.0, 0.6, 0.8])


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel.load()


@pytest.fixture(scope="module")
def modules() -> FloatArray:
    rng = np.random.default_rng(1)
    lines = rng.standard_normal((200, 3))
    lines /= np.linalg.norm(lines, axis=1)[:, None]
    return np.asarray(SOURCE + rng.uniform(20.0, 200.0, (200, 1)) * lines)


def charge(model: LightModel, modules: FloatArray, **factors: float) -> FloatArray:
    light = VariedLight(model.weights, IceVariation(**factors))
    return light.expected_charge(SOURCE, AXIS, modules, np.ones(len(modules)))


def test_ice_that_does_not_differ_gives_the_same_light(
    model: LightModel, modules: FloatArray
) -> None:
    plain = model.expected_charge(SOURCE, AXIS, modules)
    np.testing.assert_array_equal(charge(model, modules), plain)
    light = VariedLight(model.weights, IceVariation())
    np.testing.assert_array_equal(
        light.sample_delays(SOURCE, AXIS, modules, np.random.default_rng(2)),
        model.sample_delays(SOURCE, AXIS, modules, np.random.default_rng(2)),
    )


def test_efficiency_is_a_factor(model: LightModel, modules: FloatArray) -> None:
    ratio = charge(model, modules, efficiency=1.07) / charge(model, modules)
    np.testing.assert_allclose(ratio, 1.07)


def test_absorption_takes_more_the_farther_light_goes(
    model: LightModel, modules: FloatArray
) -> None:
    distance = np.linalg.norm(modules - SOURCE, axis=1)
    ratio = charge(model, modules, absorption=1.1) / charge(model, modules)
    assert np.all(ratio < 1.0)
    # straight paths lose a tenth of the absorption once more, longer paths more than that
    straight = np.exp(-0.1 * 0.010 * distance)
    assert np.median(ratio / straight) < 1.0
    assert ratio[distance > 150.0].mean() < 0.90 < ratio[distance < 50.0].mean()
    back = charge(model, modules, absorption=0.9) / charge(model, modules)
    np.testing.assert_allclose(ratio * back, 1.0, atol=0.05)


def test_ice_that_scatters_and_absorbs_more_is_smaller_ice(model: LightModel) -> None:
    om_xyz = SOURCE + np.array([[0.0, 100.0, 0.0], [50.0, 0.0, 0.0]])
    nearer = SOURCE + (om_xyz - SOURCE) / 1.1
    both = VariedLight(model.weights, IceVariation(scattering=1.1, absorption=1.1))
    seen = both.expected_charge(SOURCE, AXIS, nearer, np.ones(2))
    plain = model.expected_charge(SOURCE, AXIS, om_xyz)
    # the tilt of the layers is not the same 10 m away
    np.testing.assert_allclose(seen, 1.1**2 * plain, rtol=0.02)


def test_more_absorption_leaves_the_early_light(model: LightModel) -> None:
    om_xyz = np.broadcast_to(ABOVE, (20_000, 3))
    means = [
        VariedLight(model.weights, IceVariation(absorption=factor))
        .sample_delays(SOURCE, AXIS, om_xyz, np.random.default_rng(3))
        .mean()
        for factor in (0.8, 1.0, 1.2)
    ]
    assert means[0] > 1.02 * means[1] > 1.04 * means[2]


def test_delays_are_those_that_the_absorption_leaves(model: LightModel) -> None:
    """Of few candidates one is chosen: nearly as if each were weighted."""
    om_xyz = np.broadcast_to(ABOVE, (20_000, 3))
    plain = model.sample_delays(SOURCE, AXIS, om_xyz, np.random.default_rng(4))
    absorption = IceModel.load().profile(400.0).mean(-350.0, -230.0, margin=30.0)[1]
    weight = np.exp(-0.2 * absorption * plain * 0.2998 / 1.35634)
    expected = np.average(plain, weights=weight)
    light = VariedLight(model.weights, IceVariation(absorption=1.2))
    found = light.sample_delays(SOURCE, AXIS, om_xyz, np.random.default_rng(5)).mean()
    assert found == pytest.approx(expected, rel=0.03)


def test_stronger_flow_brightens_along_it(model: LightModel) -> None:
    along = np.array([np.cos(np.deg2rad(130.0)), np.sin(np.deg2rad(130.0)), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    source, up = SOURCE, np.array([0.0, 0.0, 1.0])
    om_xyz = source + 120.0 * np.stack([along, -along, across, -across])
    plain = model.expected_charge(source, up, om_xyz)
    light = VariedLight(model.weights, IceVariation(anisotropy=1.3))
    more = light.expected_charge(source, up, om_xyz, np.ones(4))
    assert np.all(more[:2] > plain[:2])
    assert np.all(more[2:] < plain[2:])


def test_ice_for_photons_is_varied_likewise() -> None:
    ice = IceModel.load()
    variation = IceVariation(scattering=1.1, absorption=0.9, anisotropy=1.2)
    other = vary_ice(ice, variation)
    np.testing.assert_allclose(other.layer_scattering(), 1.1 * ice.layer_scattering())
    deep = slice(20, 60)
    np.testing.assert_allclose(
        other.layer_absorption(337.0)[deep], 0.9 * ice.layer_absorption(337.0)[deep]
    )
    medium = vary_medium(make_medium(other), variation)
    plain = make_medium(ice)
    ratio, was = (np.log(one.anisotropy[0] / one.anisotropy[1]) for one in (medium, plain))
    assert ratio == pytest.approx(1.2 * was)
    same = vary_medium(plain, IceVariation())
    assert same.anisotropy == pytest.approx(plain.anisotropy)
    assert make_medium(vary_ice(ice, IceVariation())).coefficients == pytest.approx(
        plain.coefficients
    )


def test_variations_have_the_width_that_they_should() -> None:
    rng = np.random.default_rng(6)
    drawn = np.array([list(IceVariation.draw(rng).as_json().values()) for _ in range(2000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 1.0, atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), 0.1, rtol=0.06)
    assert np.abs(drawn - 1.0).max() <= 0.3 + 1e-9
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.08


@pytest.mark.parametrize("factor", [0.0, -1.0, 3.0, float("nan")])
def test_what_is_no_variation_is_refused(factor: float) -> None:
    with pytest.raises(UsageError, match="illegal variation of the ice"):
        IceVariation(absorption=factor)


def test_its_name_is_not_that_of_the_model(model: LightModel) -> None:
    light = VariedLight(model.weights, IceVariation(scattering=1.1))
    assert light_name(light) != light_name(model)
