"""The light model on handmade weights: broadcasting, times, chance, smoothness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from sources_and_modules import EDGES, SOURCE, UP, nearby, random_axes

from handmade_light import handmade_weights
from skymap_scanner.light import mixture
from skymap_scanner.light.interface import Light
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel(handmade_weights())


def test_model_is_a_light(model: LightModel) -> None:
    assert isinstance(model, Light)
    assert model.card["made_by"] == "hand"


# --- broadcasting ---

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((), (), ()),
    ((), (), (5,)),  # one source, many modules
    ((5,), (5,), ()),  # many sources, one module
    ((5,), (), ()),  # one axis for all
    ((), (5,), ()),  # many axes at one place
    ((), (5,), (5,)),
    ((5,), (5,), (5,)),  # pairs
    ((4, 1), (4, 1), (5,)),  # a grid of both
    ((4, 1), (), (5,)),
    ((), (4, 1), (5,)),
    ((4, 1), (1, 5), (4, 5)),
    ((2, 1, 1), (3, 1), (4,)),
    ((1,), (1,), (1,)),
    ((300,), (300,), ()),  # more than a block
    ((20, 1), (20, 1), (30,)),
    ((0,), (0,), (0,)),
    ((), (), (0,)),
    ((0, 1), (0, 1), (5,)),
]


@pytest.mark.parametrize(("source", "axis", "om"), SHAPES)
def test_broadcast_answers_are_those_of_single_pairs(
    model: LightModel, source: tuple[int, ...], axis: tuple[int, ...], om: tuple[int, ...]
) -> None:
    sources, axes, modules = nearby(source, 1), random_axes(axis, 2), nearby(om, 3)
    shape = np.broadcast_shapes(source, axis, om)
    efficiency = np.random.default_rng(4).uniform(0.5, 1.5, om)
    edges_per_pair = np.sort(np.random.default_rng(5).uniform(-20, 500, (*shape, 4)), axis=-1)
    charge = model.expected_charge(sources, axes, modules, efficiency)
    cdf = model.time_cdf(sources, axes, modules, EDGES)
    own = model.time_cdf(sources, axes, modules, edges_per_pair)
    density = model.time_density(sources, axes, modules, EDGES)
    drawn = model.sample_delays(sources, axes, modules, np.random.default_rng(6))
    assert charge.shape == drawn.shape == shape
    assert cdf.shape == density.shape == (*shape, EDGES.size)
    assert own.shape == (*shape, 4)
    whole = [np.broadcast_to(x, (*shape, 3)) for x in (sources, axes, modules)]
    efficiency = np.broadcast_to(efficiency, shape)
    for k, index in enumerate(np.ndindex(shape)):
        if k % max(1, charge.size // 25):
            continue
        one, axis_of_one, om_of_one = (x[index] for x in whole)
        single = model.expected_charge(one, axis_of_one, om_of_one, efficiency[index])
        assert single.shape == ()
        assert charge[index] == pytest.approx(float(single), rel=2e-5)
        single = model.time_cdf(one, axis_of_one, om_of_one, EDGES)
        np.testing.assert_allclose(cdf[index], single, atol=2e-5)
        single = model.time_cdf(one, axis_of_one, om_of_one, edges_per_pair[index])
        np.testing.assert_allclose(own[index], single, atol=2e-5)
        single = model.time_density(one, axis_of_one, om_of_one, EDGES)
        np.testing.assert_allclose(density[index], single, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("source", "axis", "om"), SHAPES)
def test_all_shapes_are_one_type_to_the_kernels(
    model: LightModel, source: tuple[int, ...], axis: tuple[int, ...], om: tuple[int, ...]
) -> None:
    # each further type of array is seconds of compilation at its first use
    pairs, _ = model.pairs(nearby(source, 1), random_axes(axis, 2), nearby(om, 3))
    for array in pairs:
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert [array.dtype for array in pairs] == [np.float64] * 3 + [np.int64] * 2
    assert [array.ndim for array in pairs] == [2, 2, 2, 1, 1]


def test_efficiency_scales_the_charge(model: LightModel) -> None:
    modules = nearby((5,), 3)
    plain = model.expected_charge(SOURCE, UP, modules)
    np.testing.assert_allclose(model.expected_charge(SOURCE, UP, modules, 1.35), 1.35 * plain)
    assert not model.expected_charge(SOURCE, UP, modules, 0.0).any()
    grid = model.expected_charge(SOURCE, UP, modules, np.array([[1.0], [0.5]]))
    np.testing.assert_allclose(grid, [plain, 0.5 * plain])


def test_lists_and_single_precision_are_taken(model: LightModel) -> None:
    modules = nearby((3,), 3)
    expected = model.expected_charge(SOURCE, UP, modules)
    as_lists = model.expected_charge(SOURCE.tolist(), [0, 0, 1], modules.tolist(), [1, 1, 1])
    np.testing.assert_array_equal(as_lists, expected)
    axis = random_axes((), 3)
    rounded = model.expected_charge(SOURCE.astype(np.float32), axis.astype(np.float32), modules)
    np.testing.assert_allclose(rounded, model.expected_charge(SOURCE, axis, modules), rtol=1e-4)


def test_arguments_are_left_alone(model: LightModel) -> None:
    modules = np.asfortranarray(nearby((6,), 3))
    before = modules.copy()
    model.expected_charge(SOURCE, UP, modules)
    model.time_cdf(SOURCE, UP, modules[::2], EDGES)
    np.testing.assert_array_equal(modules, before)


def test_charge_is_fluence_times_photons_and_area(model: LightModel) -> None:
    weights = handmade_weights()
    for name in weights.charge._fields:
        getattr(weights.charge, name)[...] = 0.0
    blank = LightModel(weights)  # fluence 1 / r^2 per photon
    charge = blank.expected_charge(SOURCE, UP, SOURCE + np.array([[10.0, 0, 0], [0, 0, -200.0]]))
    expected = PHOTONS_PER_GEV * MODULE_AREA / np.array([100.0, 4e4])
    np.testing.assert_allclose(charge, expected, rtol=1e-5)


# --- times ---


@pytest.mark.parametrize("softening", [0.0, 5.0])
def test_distribution_lies_between_zero_and_one_and_never_falls(
    model: LightModel, softening: float
) -> None:
    modules = nearby((400,), 7)
    for n in (3, 8, 50, 1001):
        edges = np.sort(np.random.default_rng(n).uniform(-100, 3000, n))
        edges = np.concatenate([[-np.inf, -1e300], edges, [1e5, 1e300, np.inf]])
        cdf = model.time_cdf(SOURCE, UP, modules, edges, softening=softening)
        assert np.all(np.isfinite(cdf))
        assert cdf.min() >= 0.0
        assert cdf.max() <= 1.0
        assert np.all(np.diff(cdf, axis=-1) >= 0.0)
        assert np.all(cdf[:, -1] > 0.9999)


def test_nothing_comes_before_direct_light(model: LightModel) -> None:
    cdf = model.time_cdf(SOURCE, UP, nearby((50,), 7), [-1e3, -1.0, -1e-9, 0.0])
    assert not cdf[:, :3].any()
    assert np.all(cdf[:, 3] > 0.0)
    density = model.time_density(SOURCE, UP, nearby((50,), 7), [-1e3, -1.0, -1e-9, 0.0])
    assert not density[:, :3].any()
    assert np.all(density[:, 3] > 0.0)


@pytest.mark.parametrize("softening", [0.0, 0.3, 5.0])
def test_density_is_the_slope_of_the_distribution(model: LightModel, softening: float) -> None:
    modules = nearby((20,), 8)
    times = np.array([-30.0, -4.0, 1.0, 5.0, 30.0, 200.0, 1500.0])
    if softening == 0.0:
        times = times[2:]
    step = 0.02 * (np.abs(times) + 2.0)
    density = model.time_density(SOURCE, UP, modules, times, softening=softening)
    high = model.time_cdf(SOURCE, UP, modules, times + step, softening=softening)
    low = model.time_cdf(SOURCE, UP, modules, times - step, softening=softening)
    np.testing.assert_allclose(density, (high - low) / (2 * step), rtol=0.02, atol=2e-6)


def test_density_integrates_to_what_does_not_come_at_once(model: LightModel) -> None:
    om = SOURCE + np.array([40.0, 10.0, 5.0])
    area, _ = quad(
        lambda u: float(model.time_density(SOURCE, UP, om, [np.exp(u) - 2.0])[0] * np.exp(u)),
        np.log(2.0),
        12.0,
        limit=200,
        epsabs=1e-5,
    )
    start, end = model.time_cdf(SOURCE, UP, om, [0.0, np.exp(12.0)])
    assert area == pytest.approx(end - start, abs=1e-4)


@pytest.mark.parametrize("softening", [1e-320, 1e-300, 1e-160, 1e-9, 1e9, 1e160, 1e300])
def test_any_softening_gives_numbers(model: LightModel, softening: float) -> None:
    om, times = SOURCE + np.array([40.0, 0.0, 0.0]), np.array([-50.0, 0.0, 1.0, 50.0])
    density = model.time_density(SOURCE, UP, om, times, softening=softening)
    cdf = model.time_cdf(SOURCE, UP, om, times, softening=softening)
    assert np.isfinite(density).all()
    assert density.min() >= 0.0
    assert np.all((cdf >= 0.0) & (cdf <= 1.0))


def test_softening_moves_edges_as_documented(model: LightModel) -> None:
    om = nearby((30,), 9)
    times = np.array([-50.0, -10.0, 0.0, 10.0, 50.0])
    soft = model.time_cdf(SOURCE, UP, om, times, softening=5.0)
    hard = model.time_cdf(SOURCE, UP, om, [0.495098, 2.071068, 5.0, 12.071068, 50.495098])
    np.testing.assert_allclose(soft, hard, atol=1e-5)
    late = np.array([500.0, 5000.0])
    np.testing.assert_allclose(
        model.time_cdf(SOURCE, UP, om, late, softening=5.0),
        model.time_cdf(SOURCE, UP, om, late),
        atol=1e-3,
    )


def test_infinite_times_have_an_answer(model: LightModel) -> None:
    om = nearby((4,), 9)
    for softening in (0.0, 5.0):
        density = model.time_density(SOURCE, UP, om, [-np.inf, np.inf], softening=softening)
        np.testing.assert_allclose(density, 0.0, atol=1e-9)
    cdf = model.time_cdf(SOURCE, UP, om, [-np.inf, np.inf])
    np.testing.assert_allclose(cdf, [[0.0, 1.0]] * 4, atol=1e-4)


def test_drawn_delays_follow_the_distribution(model: LightModel) -> None:
    om = SOURCE + np.array([60.0, 0.0, 10.0])
    n = 20_000
    delays = model.sample_delays(SOURCE, UP, np.tile(om, (n, 1)), np.random.default_rng(10))
    times = np.concatenate([[0.0], np.geomspace(0.1, 1e4, 200)])
    expected = model.time_cdf(SOURCE, UP, om, times)
    found = np.searchsorted(np.sort(delays), times, side="right") / n
    assert np.abs(found - expected).max() < 2.47 / n**0.5  # Kolmogorov, probability 1e-5
    again = model.sample_delays(SOURCE, UP, np.tile(om, (n, 1)), np.random.default_rng(10))
    np.testing.assert_array_equal(delays, again)


# --- smoothness ---


def test_finite_differences_with_the_documented_steps_are_smooth(model: LightModel) -> None:
    rng = np.random.default_rng(11)
    modules = SOURCE + random_axes((60,), 12) * rng.uniform(15, 200, (60, 1))
    slopes = []
    for step in (0.3, 0.6):
        shift = np.array([step, 0.0, 0.0])
        high = np.log(model.expected_charge(SOURCE + shift, UP, modules))
        low = np.log(model.expected_charge(SOURCE - shift, UP, modules))
        slopes.append((high - low) / (2 * step))
    np.testing.assert_allclose(slopes[0], slopes[1], atol=2e-3, rtol=0.05)
    slopes = []
    for step in (0.01, 0.02):
        pair = []
        for sign in (1, -1):
            axis = np.array([sign * step, 0.0, 1.0])
            pair.append(model.expected_charge(SOURCE, axis / np.linalg.norm(axis), modules))
        slopes.append(np.log(pair[0] / pair[1]) / (2 * step))
    off = np.abs(slopes[0] - slopes[1])
    assert np.median(off) < 0.01
    assert off.max() < 0.3


def test_rounding_is_far_below_the_documented_steps(model: LightModel) -> None:
    # neighbouring sources 1 mm apart: what does not go smoothly is rounding
    sources = SOURCE + np.linspace(0.0, 0.05, 51)[:, None] * np.array([1.0, 0.0, 0.0])
    logs = np.log(model.expected_charge(sources, UP, SOURCE + np.array([33.0, 40.0, 20.0])))
    smooth = np.polynomial.Polynomial.fit(np.arange(51), logs, 2)(np.arange(51))
    assert np.abs(logs - smooth).max() < 5e-5  # makes 2e-4 in a slope over 0.6 m


def test_charge_and_time_use_the_same_ice_and_emission(model: LightModel) -> None:
    assert model.ice.name == "spice_bfr-v2"
    np.testing.assert_array_equal(model.tables.emission, model.weights.emission)
    assert model.weights.time.last_bias.size == 3 * mixture.N_COMPONENTS
