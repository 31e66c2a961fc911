"""Newton steps: exact on quadratics, always downhill, never NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skymap_scanner.recos.minimise.newton import cholesky_solve, damped_step, update_hessian


def _variants(function: Any) -> list[Any]:
    return [function, function.py_func]


def _random_positive(rng: np.random.Generator, n: int) -> np.ndarray:
    root = rng.normal(size=(n, n))
    return np.asarray(root @ root.T + 0.1 * np.eye(n))


@pytest.mark.parametrize("solve", _variants(cholesky_solve))
@pytest.mark.parametrize("n", [1, 3, 5])
def test_solves_as_numpy_does(solve: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    matrix, right = _random_positive(rng, n), rng.normal(size=n)
    out = np.empty(n)
    assert solve(matrix, right, np.zeros((n, n)), out)
    np.testing.assert_allclose(out, np.linalg.solve(matrix, right), rtol=1e-9)


@pytest.mark.parametrize("solve", _variants(cholesky_solve))
@pytest.mark.parametrize(
    "matrix", [np.diag([1.0, -1.0]), np.zeros((2, 2)), np.full((2, 2), np.nan), np.ones((2, 2))]
)
def test_refuses_what_is_not_positive_definite(solve: Any, matrix: np.ndarray) -> None:
    assert not solve(matrix, np.ones(2), np.zeros((2, 2)), np.empty(2))


@pytest.mark.parametrize("take", _variants(damped_step))
def test_undamped_step_ends_at_the_minimum_of_a_quadratic(take: Any) -> None:
    rng = np.random.default_rng(3)
    hessian, at = _random_positive(rng, 3), rng.normal(size=3)
    step = np.empty(3)
    predicted = take(hessian @ at, hessian, 0.0, 1e3, step)
    np.testing.assert_allclose(at + step, 0.0, atol=1e-9)
    assert predicted == pytest.approx(0.5 * at @ hessian @ at, rel=1e-9)


@pytest.mark.parametrize("take", _variants(damped_step))
@pytest.mark.parametrize("damping", [0.0, 0.1, 10.0])
def test_step_goes_down_even_where_the_hessian_is_indefinite(take: Any, damping: float) -> None:
    rng = np.random.default_rng(4)
    step = np.empty(3)
    for _ in range(30):
        root = rng.normal(size=(3, 3))
        gradient = rng.normal(size=3)
        predicted = take(gradient, root + root.T, damping, 5.0, step)
        assert gradient @ step < 0
        assert np.linalg.norm(step) <= 5.0 * (1 + 1e-12)
        assert predicted >= 0


@pytest.mark.parametrize("take", _variants(damped_step))
def test_flat_function_makes_the_longest_step_and_no_gradient_makes_none(take: Any) -> None:
    step = np.empty(2)
    take(np.array([1e-3, 0.0]), np.zeros((2, 2)), 0.0, 7.0, step)
    np.testing.assert_allclose(step, [-7.0, 0.0])
    assert take(np.zeros(2), np.eye(2), 0.0, 7.0, step) == 0.0
    np.testing.assert_array_equal(step, 0.0)


@pytest.mark.parametrize("take", _variants(damped_step))
def test_nan_makes_no_step(take: Any) -> None:
    step = np.ones(2)
    assert take(np.array([np.nan, 1.0]), np.eye(2), 0.0, 7.0, step) == 0.0
    np.testing.assert_array_equal(step, 0.0)


@pytest.mark.parametrize("update", _variants(update_hessian))
def test_update_learns_a_quadratic_in_as_many_steps_as_dimensions(update: Any) -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(3, 3))
    true = root + root.T
    guess = np.eye(3)
    for _ in range(3):
        step = rng.normal(size=3)
        update(guess, step, true @ step)
        np.testing.assert_allclose(guess @ step, true @ step, rtol=1e-7)
    np.testing.assert_allclose(guess, true, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("update", _variants(update_hessian))
@pytest.mark.parametrize("change", [[1.0, 0.0], [np.nan, 0.0], [1.0, 1e-300]])
def test_unsafe_update_is_skipped(update: Any, change: list[float]) -> None:
    hessian = np.eye(2)
    # The rest is normal to the step (or not finite, or no rest at all): nothing can be learned.
    update(hessian, np.array([1.0, 0.0]), np.array(change))
    assert np.isfinite(hessian).all()
    np.testing.assert_allclose(hessian, np.eye(2))
