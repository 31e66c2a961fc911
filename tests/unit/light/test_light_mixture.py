"""Mixtures of logistic distributions against scipy and their published check values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from skymap_scanner.light import mixture as module
from skymap_scanner.light.mixture import (
    LOG_WIDTHS,
    N_COMPONENTS,
    cumulative,
    density,
    quantile,
    soften,
)
from skymap_scanner.light.propagation import TIME_OFFSET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

#: Logits, means, log-widths of the published check.
CHECK = np.array([[0, 1, 0, -1, 2, 3, 4, 5, -0.7, -0.7, -0.7, -0.7]], np.float32)


def _random(n: int, seed: int = 1) -> NDArray[np.float32]:
    """Return mixtures, a tenth of them with widths beyond the limits."""
    rng = np.random.default_rng(seed)
    logits, means = rng.normal(0, 2, (n, 4)), rng.normal(4, 2, (n, 4))
    widths = np.where(
        rng.random((n, 4)) < 0.1, rng.choice([-9, 7], (n, 4)), rng.normal(-1, 1, (n, 4))
    )
    return np.concatenate([logits, means, widths], axis=1).astype(np.float32)


def _obvious(raw: NDArray[np.float32], u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the cumulative distribution and the density in u, shape (n, n_u)."""
    logit, mean, log_width = (part[:, None] for part in np.split(raw.astype(np.float64), 3, axis=1))
    width = np.exp(np.clip(log_width, *LOG_WIDTHS))
    parts = stats.logistic(mean, width)
    weight = softmax(logit, axis=2)
    u = u[..., None]
    return (weight * parts.cdf(u)).sum(axis=2), (weight * parts.pdf(u)).sum(axis=2)


def _both(raw: NDArray[np.float32], u: FloatArray) -> tuple[NDArray[np.float32], ...]:
    edges = np.atleast_2d(u).astype(np.float32)
    found = tuple(np.full((len(raw), edges.shape[1]), np.nan, np.float32) for _ in range(2))
    cumulative(raw, edges, found[0])
    density(raw, edges, found[1])
    return found


def test_published_check_values() -> None:
    u = np.log(np.array([0.0, 5.0, 20.0, 100.0, 1000.0]) + TIME_OFFSET)
    found, _ = _both(CHECK, u)
    np.testing.assert_allclose(
        found[0], [0.018547, 0.153343, 0.497285, 0.886782, 0.997714], atol=2e-6
    )


@pytest.mark.parametrize("many", [False, True])
def test_distribution_and_density_are_those_of_scipy(*, many: bool) -> None:
    raw = _random(200)
    u = np.linspace(-20.0, 21.0, 37)
    edges = u + (np.random.default_rng(2).normal(size=(200, 1)) if many else np.zeros((1, 1)))
    edges = edges.astype(np.float32).astype(np.float64)
    cdf, per_u = _both(raw, edges)
    expected = _obvious(raw, np.broadcast_to(edges, (200, 37)))
    np.testing.assert_allclose(cdf, expected[0], atol=3e-6)
    np.testing.assert_allclose(per_u, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_edges", [1, 2, 7, 8, 9, 33])
def test_distribution_lies_between_zero_and_one_and_never_falls(n_edges: int) -> None:
    raw = _random(2000, seed=3)
    u = np.sort(np.random.default_rng(4).uniform(-3, 14, n_edges))
    cdf, per_u = _both(raw, u)
    assert cdf.min() >= 0.0
    assert cdf.max() <= 1.0
    assert np.all(np.diff(cdf, axis=1) >= 0.0)
    assert np.all(per_u >= 0.0)


def test_edges_in_any_order_have_their_own_values() -> None:
    raw, u = _random(50, seed=9), np.random.default_rng(10).uniform(-1, 10, 40)
    cdf, _ = _both(raw, u)
    np.testing.assert_allclose(cdf, _obvious(raw, np.tile(u, (50, 1)))[0], atol=3e-6)


def test_huge_outputs_of_the_network_are_survived() -> None:
    raw = np.array([[300, -300, 0, 0, *[1e4, -1e4, 3, 4], *[500, -500, 0, 0]]], np.float32)
    cdf, per_u = _both(raw, np.array([-30.0, 0.0, 20.0]))
    assert np.all(np.isfinite(cdf))
    assert np.all(np.isfinite(per_u))


def test_compiled_mixtures_are_those_of_the_functions_as_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw, u = _random(20, seed=5), np.linspace(-1, 9, 11)
    fast = _both(raw, u)
    monkeypatch.setattr(module, "mixture_weights", module.mixture_weights.py_func)
    slow = tuple(np.empty((20, 11), np.float32) for _ in range(2))
    cumulative.py_func(raw, np.atleast_2d(u).astype(np.float32), slow[0])
    density.py_func(raw, np.atleast_2d(u).astype(np.float32), slow[1])
    np.testing.assert_allclose(fast[0], slow[0], atol=2e-6)
    np.testing.assert_allclose(fast[1], slow[1], atol=1e-5, rtol=1e-4)


def test_drawn_delays_follow_the_distribution() -> None:
    for k, row in enumerate(_random(6, seed=6)):
        raw = np.tile(row, (20_000, 1))
        delay = quantile(raw, np.random.default_rng(100 + k))
        assert delay.min() >= 0.0
        u = np.linspace(np.log(2.0), 11.9, 400)
        expected = _obvious(row[None], u[None])[0][0]
        found = np.searchsorted(np.sort(delay), np.exp(u) - 2.0, side="right") / len(delay)
        # Kolmogorov's bound for a probability of 1e-5
        assert np.abs(found - expected).max() < 2.47 / len(delay) ** 0.5


def test_each_row_draws_from_its_own_mixture() -> None:
    raw = np.tile(CHECK, (3, 1))
    raw[:, N_COMPONENTS : 2 * N_COMPONENTS] = np.array([[2.0], [5.0], [8.0]])
    raw[:, 2 * N_COMPONENTS :] = -4.5
    delay = quantile(raw, np.random.default_rng(7))
    np.testing.assert_allclose(np.log(delay + 2.0), [2.0, 5.0, 8.0], atol=0.3)


def test_drawn_delays_are_finite_even_where_the_distribution_has_no_end() -> None:
    raw = np.array([[0, 0, 0, 0, 50, 50, 50, 50, 9, 9, 9, 9]], np.float32)
    delay = quantile(np.repeat(raw, 100, axis=0), np.random.default_rng(8))
    assert np.all(np.isfinite(delay))


def test_softened_delays_have_the_published_values() -> None:
    found = soften(np.array([-50.0, -10.0, 0.0, 10.0, 50.0]), 5.0)
    np.testing.assert_allclose(found, [0.495098, 2.071068, 5.0, 12.071068, 50.495098], atol=5e-7)


def test_softened_delays_never_fall_and_are_never_negative() -> None:
    t = np.array([-1e9, -1e6, -1e3, -1.0, 0.0, 1.0, 1e3, 1e9])
    for width in (0.0, 0.1, 5.0):
        soft = soften(t, width)
        assert np.all(soft >= 0.0)
        assert np.all(np.diff(soft) >= 0.0)
    np.testing.assert_array_equal(soften(t, 0.0), np.maximum(t, 0.0))
