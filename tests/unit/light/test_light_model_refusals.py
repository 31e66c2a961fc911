"""Questions that have no answer are refused by the light model, whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from handmade_light import handmade_weights
from skymap_scanner.exceptions import InputError, UsageError
from skymap_scanner.light.model import LightModel

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE, UP = np.array([0.0, 0.0, -300.0]), np.array([0.0, 0.0, 1.0])
OM = SOURCE + np.array([10.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel(handmade_weights())


def _questions(model: LightModel) -> list[Callable[..., Any]]:
    return [
        model.expected_charge,
        lambda source, axis, om: model.time_cdf(source, axis, om, [1.0, 2.0]),
        lambda source, axis, om: model.time_density(source, axis, om, [1.0, 2.0]),
        lambda source, axis, om: model.sample_delays(source, axis, om, np.random.default_rng(1)),
    ]


@pytest.mark.parametrize(
    ("source", "axis", "om"),
    [
        ([np.nan, 0.0, 0.0], UP, OM),
        ([np.inf, 0.0, 0.0], UP, OM),
        (SOURCE, [0.0, np.nan, 1.0], OM),
        (SOURCE, [np.inf, 0.0, 0.0], OM),
        (SOURCE, UP, [0.0, 0.0, np.nan]),
        (SOURCE, UP, [0.0, -np.inf, 0.0]),
        (SOURCE, [0.0, 0.0, 1.0001], OM),
        (SOURCE, [0.0, 0.0, 0.0], OM),
        (SOURCE, [1e300, 1e300, 0.0], OM),
        (SOURCE, [UP, 0.5 * UP], OM),
        ([0.0, 0.0], UP, OM),
        (SOURCE, UP, [0.0, 0.0, 0.0, 0.0]),
        (0.0, UP, OM),
        (SOURCE, UP, []),
        ([SOURCE] * 2, UP, [OM] * 3),
        ([SOURCE] * 2, [UP] * 3, OM),
        ([SOURCE] * 2, [UP] * 3, [OM] * 6),
        (SOURCE, UP, ["here", 0.0, 0.0]),
        (SOURCE, UP, [[0.0], [0.0, 1.0]]),
        (SOURCE, UP, None),
        (SOURCE, UP, [1j, 0.0, 0.0]),
    ],
)
def test_illegal_geometry_is_refused(model: LightModel, source: Any, axis: Any, om: Any) -> None:
    for ask in _questions(model):
        with pytest.raises(UsageError):
            ask(source, axis, om)


@pytest.mark.parametrize(
    "efficiency", [-0.1, np.nan, np.inf, -np.inf, [1.0, -1.0], "good", [1.0, 1.0, 1.0], None]
)
def test_illegal_efficiencies_are_refused(model: LightModel, efficiency: Any) -> None:
    with pytest.raises(UsageError):
        model.expected_charge(SOURCE, UP, [OM, OM + UP], efficiency)


@pytest.mark.parametrize(
    "times", [np.nan, [1.0, np.nan], "late", [["late"]], np.zeros((3, 4)), None, [1j]]
)
def test_illegal_times_are_refused(model: LightModel, times: Any) -> None:
    for ask in (model.time_cdf, model.time_density):
        with pytest.raises(UsageError):
            ask(SOURCE, UP, [OM, OM + UP], times)


@pytest.mark.parametrize("softening", [-1.0, np.nan, np.inf])
def test_illegal_softening_is_refused(model: LightModel, softening: float) -> None:
    for ask in (model.time_cdf, model.time_density):
        with pytest.raises(UsageError):
            ask(SOURCE, UP, OM, [1.0], softening=softening)


def test_message_says_what_was_found_and_where(model: LightModel) -> None:
    with pytest.raises(InputError, match=r"source_direction.*length 2"):
        model.expected_charge(SOURCE, 2 * UP, OM)
    with pytest.raises(InputError, match=r"om_xyz.*nan"):
        model.expected_charge(SOURCE, UP, [OM, [0.0, np.nan, 0.0]])
    with pytest.raises(InputError, match=r"shapes.*\(2, 3\).*\(3, 3\)"):
        model.expected_charge([SOURCE] * 2, UP, [OM] * 3)
    with pytest.raises(InputError, match=r"efficienc.*-3"):
        model.expected_charge(SOURCE, UP, OM, [1.0, -3.0])
