"""The light model on handmade weights at the edges of what it knows, and beyond."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sources_and_modules import EDGES, SOURCE, UP, nearby, random_axes

from handmade_light import handmade_weights
from skymap_scanner.light.inputs import MAX_DISTANCE, Pairs
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.trained_volume import ExtrapolationWarning, count_untrained, is_trained


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel(handmade_weights())


def test_modules_in_the_trained_volume_raise_no_warning(model: LightModel) -> None:
    model.expected_charge(SOURCE, UP, nearby((200,), 13))


@pytest.mark.parametrize("name", ["expected_charge", "time_cdf", "time_density", "sample_delays"])
def test_warning_counts_pairs_and_points_at_the_caller(model: LightModel, name: str) -> None:
    more: dict[str, Any] = {"expected_charge": 1.0, "sample_delays": np.random.default_rng(1)}
    far = SOURCE + np.array([[10.0, 0, 0], [500.0, 0, 0], [700.0, 0, 0]])
    cases: list[tuple[tuple[Any, Any, Any], int]] = [
        ((SOURCE, UP, far), 2),
        ((SOURCE, np.tile(UP, (4, 1, 1)), far), 8),  # four axes each
        ((np.tile([SOURCE], (2, 1, 1)), UP, far), 4),
        ((SOURCE, UP, SOURCE + 0.5 * UP), 1),
        ((SOURCE, UP, SOURCE), 1),
        (([0, 0, 801.0], UP, [0, 0, 500.0]), 1),
        (([601.0, 0, 0], UP, [500.0, 0, 0]), 1),
        (([0, 0, -500.0], UP, [0, 0, -571.0]), 1),
    ]
    for arguments, n in cases:
        with pytest.warns(ExtrapolationWarning, match=rf"^{n} pairs") as caught:
            getattr(model, name)(*arguments, more.get(name, [1.0, 2.0]))
        assert [entry.filename for entry in caught] == [__file__]


def test_trained_volume_is_what_it_says() -> None:
    om = np.array([0.0, 0.0, 0.0])
    sources = np.array([[0, 0, 1.0], [0, 0, 0.99], [0, 0, 480.0], [0, 0, 480.1], [480.0, 0, 0]])
    np.testing.assert_array_equal(is_trained(sources, om), [True, False, True, False, True])
    assert not is_trained(np.array([600.0, 10.0, 0.0]), np.array([500.0, 0.0, 0.0]))
    assert is_trained(np.array([0, 0, 800.0]), np.array([0.0, 0.0, 580.0]))
    assert not is_trained(np.array([0, 0, 800.0]), np.array([0.0, 0.0, 580.1]))


@pytest.mark.filterwarnings("ignore::skymap_scanner.light.trained_volume.ExtrapolationWarning")
@pytest.mark.parametrize(
    "scale", [0.0, 1e-12, 1e-3, 0.9, 600.0, 3e3, 1e5, 1e7, 1e10, 1e20, 1e100, 1e155, 1e300]
)
def test_answers_are_finite_and_bounded_wherever_one_asks(model: LightModel, scale: float) -> None:
    shifts = scale * np.concatenate(
        [random_axes((40,), 14), np.eye(3), -np.eye(3), np.ones((1, 3))]
    )
    # nearby the brightest answer is bounded; far away there is less
    nearby = SOURCE + 5.0 * random_axes((500,), 15)
    bound = 1e3 * model.expected_charge(SOURCE, UP, nearby).max()
    for sources, modules in (
        (SOURCE, SOURCE + shifts),
        (SOURCE + shifts, SOURCE),
        (SOURCE + shifts, SOURCE + shifts),
        (SOURCE + shifts, SOURCE - shifts),
    ):
        charge = model.expected_charge(sources, UP, modules)
        assert np.all(np.isfinite(charge))
        assert charge.min() >= 0.0
        assert charge.max() < bound
        cdf = model.time_cdf(sources, UP, modules, EDGES)
        assert np.all((cdf >= 0) & (cdf <= 1))
        assert np.all(np.isfinite(model.time_density(sources, UP, modules, EDGES)))
        delays = model.sample_delays(sources, UP, modules, np.random.default_rng(16))
        assert np.all(np.isfinite(delays))


@pytest.mark.filterwarnings("ignore::skymap_scanner.light.trained_volume.ExtrapolationWarning")
def test_light_falls_monotonically_beyond_its_range(model: LightModel) -> None:
    far = np.linspace(MAX_DISTANCE, 3000.0, 300)[:, None]
    level = model.expected_charge(SOURCE, UP, SOURCE + far * np.array([0.6, -0.8, 0.0]))
    assert np.all(np.diff(level) < 0.0)
    # and as diffuse light does: e^(-r/length) / r^2 with the ice's own length, ice being level
    length = -1.0 / np.gradient(np.log(level * far[:, 0] ** 2), far[:, 0])[5:50]
    z = model.ice.effective_z(SOURCE)
    scattering, absorption = model.ice.profile().mean(z, z)
    expected = 1.0 / np.sqrt(3 * absorption * (scattering + absorption))
    np.testing.assert_allclose(length, expected, rtol=0.5)


@pytest.mark.filterwarnings("ignore::skymap_scanner.light.trained_volume.ExtrapolationWarning")
def test_light_within_a_metre_is_that_at_a_metre(model: LightModel) -> None:
    line = np.array([0.6, 0.0, 0.8])
    at_one = model.expected_charge(SOURCE, UP, SOURCE + line)
    for r in (0.999, 0.5, 0.01):
        near = model.expected_charge(SOURCE, UP, SOURCE + r * line)
        assert near == pytest.approx(float(at_one), rel=0.01)
    # without a line of sight, the axis
    centre = model.expected_charge(SOURCE, UP, SOURCE)
    assert centre == pytest.approx(float(model.expected_charge(SOURCE, UP, SOURCE + UP)), rel=0.01)


def test_warnings_can_be_silenced_without_changing_answers(model: LightModel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        both = model.expected_charge(SOURCE, UP, [SOURCE + 600 * UP, SOURCE + 40 * UP])
    assert both[1] == pytest.approx(
        float(model.expected_charge(SOURCE, UP, SOURCE + 40 * UP)), rel=1e-5
    )


def test_pairs_outside_the_trained_volume_are_counted_as_the_plain_rule_says() -> None:
    rng = np.random.default_rng(3)
    source = rng.uniform(-900, 900, (300, 3))
    om = rng.uniform(-650, 650, (300, 3))
    om[:20] = source[:20] + 0.3
    rows = np.arange(300)
    pairs = Pairs(
        np.column_stack([source, source[:, 2]]), np.column_stack([om, om[:, 2]]), source, rows, rows
    )
    outside = int(np.count_nonzero(~is_trained(source, om)))
    assert 50 < outside < 290
    assert count_untrained(pairs) == count_untrained.py_func(pairs) == outside
