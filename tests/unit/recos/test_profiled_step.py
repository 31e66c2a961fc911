"""Steps of a few parameters against Newton steps in all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.recos.minimise.profiled import Curvature, profiled_step

SEEDS = st.integers(0, 2**32 - 1)
FAR = 1e9


def _random(seed: int, n_few: int, n_many: int) -> tuple[np.ndarray, Curvature]:
    """A positive definite curvature of all parameters, and its blocks."""
    rng = np.random.default_rng(seed)
    n = n_few + n_many
    root = rng.normal(size=(n, n))
    full = root @ root.T + 0.1 * np.eye(n)
    blocks = Curvature(full[:n_few, :n_few], full[:n_few, n_few:], full[n_few:, n_few:])
    return full, blocks


@given(seed=SEEDS, n_few=st.integers(1, 4), n_many=st.integers(0, 8))
def test_without_damping_the_few_go_where_a_newton_step_of_all_takes_them(
    seed: int, n_few: int, n_many: int
) -> None:
    """The many are at their best: their gradient is zero."""
    full, blocks = _random(seed, n_few, n_many)
    gradient = np.random.default_rng(seed).normal(size=n_few)
    everything = -np.linalg.solve(full, np.concatenate([gradient, np.zeros(n_many)]))
    step = profiled_step(gradient, blocks, 1e-12, FAR)
    np.testing.assert_allclose(step, everything[:n_few], rtol=1e-2, atol=1e-4)


@given(seed=SEEDS, n_few=st.integers(1, 4), n_many=st.integers(0, 8))
def test_what_remains_is_the_inverse_of_a_block_of_the_inverse(
    seed: int, n_few: int, n_many: int
) -> None:
    full, blocks = _random(seed, n_few, n_many)
    expected = np.linalg.inv(np.linalg.inv(full)[:n_few, :n_few])
    np.testing.assert_allclose(blocks.remaining(), expected, rtol=1e-2, atol=1e-3)


@given(seed=SEEDS, damping=st.floats(1e-6, 1e6))
def test_damped_steps_go_downhill(seed: int, damping: float) -> None:
    _, blocks = _random(seed, 3, 5)
    gradient = np.random.default_rng(seed).normal(size=3)
    assert profiled_step(gradient, blocks, damping, FAR) @ gradient < 0.0


def test_damping_turns_the_step_towards_the_scaled_gradient_and_shortens_it() -> None:
    _, blocks = _random(3, 3, 5)
    gradient = np.array([1.0, -2.0, 0.5])
    lengths = [
        np.linalg.norm(profiled_step(gradient, blocks, damping, FAR))
        for damping in (1e-3, 1e-1, 1e1, 1e3)
    ]
    assert np.all(np.diff(lengths) < 0.0)
    strong = profiled_step(gradient, blocks, 1e6, FAR)
    expected = -gradient / (1e6 * np.diag(blocks.of_few))
    np.testing.assert_allclose(strong, expected, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30, 1e200])
def test_no_component_is_longer_than_allowed_and_the_direction_stays(scale: float) -> None:
    _, blocks = _random(5, 3, 4)
    gradient = np.array([3.0, -1.0, 2.0])
    free = profiled_step(gradient, blocks, 0.1, FAR)
    step = profiled_step(scale * gradient, blocks, 0.1, 15.0)
    assert np.abs(step).max() <= 15.0 * (1.0 + 1e-12)
    assert step @ free == pytest.approx(np.linalg.norm(step) * np.linalg.norm(free))
    if scale <= 1.0:
        np.testing.assert_allclose(step, scale * free)


def test_no_slope_is_no_step() -> None:
    _, blocks = _random(5, 3, 4)
    assert profiled_step(np.zeros(3), blocks, 0.1, 15.0).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("of_few", "crossed", "of_many"),
    [
        (np.zeros((3, 3)), np.zeros((3, 2)), np.zeros((2, 2))),
        (np.eye(3), np.ones((3, 2)), np.ones((2, 2))),  # two of the many are the same
        (np.ones((3, 3)), np.zeros((3, 0)), np.zeros((0, 0))),
        (np.diag([1.0, 0.0, 1.0]), np.zeros((3, 1)), np.zeros((1, 1))),
        (np.full((3, 3), 1e300), np.full((3, 1), 1e300), np.full((1, 1), 1e300)),
    ],
)
def test_singular_curvatures_give_finite_steps(
    of_few: np.ndarray, crossed: np.ndarray, of_many: np.ndarray
) -> None:
    curvature = Curvature(of_few, crossed, of_many)
    step = profiled_step(np.array([1.0, -2.0, 3.0]), curvature, 1e-2, 15.0)
    assert np.isfinite(step).all()
    assert np.abs(step).max() <= 15.0 * (1.0 + 1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_where_nothing_is_finite_there_is_no_step(bad: float) -> None:
    _, blocks = _random(5, 3, 4)
    assert profiled_step(np.array([bad, 1.0, 1.0]), blocks, 0.1, 15.0).tolist() == [0.0] * 3
    broken = Curvature(np.full((3, 3), bad), blocks.crossed, blocks.of_many)
    assert np.isfinite(profiled_step(np.ones(3), broken, 0.1, 15.0)).all()
