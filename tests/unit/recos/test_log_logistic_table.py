"""Smeared log-logistic distributions against direct integration, and their table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from skymap_scanner.recos.likelihood.log_logistic import (
    LOG_WIDTH_RANGE,
    load_log_logistic_table,
    smeared_log_logistic,
)
from skymap_scanner.recos.likelihood.pandel import lookup


def _integrated(x: float, mean: float, width: float) -> tuple[float, float]:
    """Density and survival by integrating over quantiles, where nothing is singular."""
    q = (np.arange(2_000_000) + 0.5) / 2_000_000
    place = np.exp(mean + width * special.logit(q))
    density = np.exp(-0.5 * (x - place) ** 2).mean() / np.sqrt(2.0 * np.pi)
    return float(density), float(special.ndtr(place - x).mean())


@pytest.mark.parametrize("mean", [-1.0, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("width", [0.15, 0.4, 1.2])
def test_quadrature_agrees_with_direct_integration(mean: float, width: float) -> None:
    x = np.exp(mean) * np.array([0.3, 1.0, 3.0]) + np.array([-1.0, 0.0, 1.0])
    density, survival = smeared_log_logistic(x, mean, width)
    for k in range(x.size):
        wanted = _integrated(float(x[k]), mean, width)
        np.testing.assert_allclose([density[k], survival[k]], wanted, rtol=1e-3, atol=2e-6)


def test_density_is_the_slope_of_the_survival_function() -> None:
    x = np.linspace(-4.0, 60.0, 3001)
    density, survival = smeared_log_logistic(x, 2.0, 0.5)
    np.testing.assert_allclose(np.gradient(survival, x)[1:-1], -density[1:-1], atol=3e-4)
    assert survival[0] == pytest.approx(1.0, abs=1e-4)


def test_table_agrees_with_the_quadrature_and_knows_its_slopes() -> None:
    rng = np.random.default_rng(3)
    table, work, near = load_log_logistic_table(), np.empty((6, 4)), np.empty((6, 4))
    for _ in range(300):
        mean, log_width = rng.uniform(-3.0, 7.0), rng.uniform(*LOG_WIDTH_RANGE)
        width = float(np.exp(log_width))
        x = float(min(np.exp(mean + width * rng.logistic()) + rng.normal(), 2000.0))
        lookup(table, mean, log_width, x, work)
        density, survival = smeared_log_logistic(np.array([x]), mean, width)
        found = np.exp(work[4:6, 0])
        np.testing.assert_allclose(found, [density[0], survival[0]], rtol=0.02, atol=1e-12)
        for k, step in enumerate(np.diag([1e-4, 1e-4, 1e-4 * (1.0 + abs(x))])):
            lookup(table, mean + step[0], log_width + step[1], x + step[2], near)
            slope = (near[4:6, 0] - work[4:6, 0]) / step[k]
            np.testing.assert_allclose(work[4:6, 1 + k], slope, rtol=0.02, atol=0.02)
