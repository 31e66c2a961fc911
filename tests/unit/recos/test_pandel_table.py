"""The convoluted Pandel function: published numbers, an independent integral, table and kernel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from skymap_scanner.recos.likelihood.pandel import (
    PandelTable,
    convoluted_pandel,
    load_pandel_table,
    lookup,
    spline_coefficients,
)
from skymap_scanner.units import LIGHT_SPEED

#: Rate of the AMANDA parametrisation: tau 557 ns, absorption length 98 m, group index 1.35634.
RATE = 1 / 557 + LIGHT_SPEED / (1.35634 * 98)


@pytest.mark.parametrize(
    ("sigma", "d_eff", "density", "arrived"),
    [
        (
            4,
            20,
            [1.1655e-8, 0.0102786, 0.00694516, 0.00131772],
            [8.808e-9, 0.0377908, 0.238673, 0.748509],
        ),
        (
            10,
            20,
            [4.71736e-4, 0.00703514, 0.00743408, 0.00132031],
            [1.84215e-3, 0.0648829, 0.230274, 0.748173],
        ),
        (
            15,
            60,
            [2.04511e-5, 1.70542e-4, 5.05139e-4, 1.62945e-3],
            [1.28926e-4, 1.68716e-3, 8.27275e-3, 0.247045],
        ),
        (
            15,
            100,
            [2.39818e-7, 3.36181e-6, 1.76606e-5, 5.88316e-4],
            [1.33915e-6, 2.71144e-5, 2.10906e-4, 0.0490647],
        ),
    ],
)
def test_amanda_values(
    sigma: float, d_eff: float, density: list[float], arrived: list[float]
) -> None:
    times = np.array([-20.0, 0.0, 20.0, 200.0])
    p, survival = convoluted_pandel(times / sigma, d_eff / 33.3, RATE * sigma)
    np.testing.assert_allclose(p / sigma, density, rtol=2e-5)
    np.testing.assert_allclose(1 - survival, arrived, rtol=2e-4)


@pytest.mark.parametrize(
    ("d_eff", "density", "arrived"),
    [
        (20, [9.409e-3, 4.20733e-3, 1.31723e-3, 2.71094e-5], 0.398236),
        (60, [3.19234e-4, 9.8668e-4, 1.63315e-3, 2.32321e-4], 0.0294697),
        (100, [3.15208e-6, 6.73391e-5, 5.89268e-4, 5.794e-4], 0.00118030),
    ],
)
def test_a_narrow_gaussian_leaves_the_pandel_function(
    d_eff: float, density: list[float], arrived: float
) -> None:
    sigma = 0.1
    times = np.array([10.0, 50.0, 200.0, 1000.0])
    p, survival = convoluted_pandel(times / sigma, d_eff / 33.3, RATE * sigma)
    np.testing.assert_allclose(p / sigma, density, rtol=3e-4)
    assert 1 - survival[1] == pytest.approx(arrived, rel=1e-4)


@pytest.mark.parametrize(("shape", "rate"), [(0.3, 0.01), (1.0, 0.5), (4.5, 0.05), (20.0, 2.0)])
def test_quadrature_agrees_with_an_adaptive_integral(shape: float, rate: float) -> None:
    gamma = stats.gamma(shape, scale=1 / rate)
    for x in (-3.0, 0.5, 6.0, 14.0):
        # The convolution of the distribution function, which is never singular.
        expected, _ = integrate.quad(
            lambda y, x=x: gamma.cdf(x - y) * stats.norm.pdf(y), -10, 10, limit=200, points=[x]
        )
        _, survival = convoluted_pandel(np.array([x]), shape, rate)
        assert 1 - survival[0] == pytest.approx(expected, rel=2e-6, abs=1e-10)


def test_density_is_the_slope_of_the_survival_function() -> None:
    x = np.linspace(-5, 40, 901)
    density, survival = convoluted_pandel(x, 1.7, 0.2)
    steps = np.diff(survival)
    np.testing.assert_allclose(-steps, 0.025 * (density[1:] + density[:-1]), rtol=2e-3, atol=1e-9)


def test_spline_goes_through_its_nodes_and_follows_a_smooth_function() -> None:
    nodes = np.linspace(0, 3, 31)
    c = spline_coefficients(np.sin(nodes), 0)
    np.testing.assert_allclose((c[:-2] + 4 * c[1:-1] + c[2:]) / 6, np.sin(nodes), atol=1e-14)
    # half way between nodes
    middle = (c[:-3] + 23 * c[1:-2] + 23 * c[2:-1] + c[3:]) / 48
    np.testing.assert_allclose(middle, np.sin(nodes[:-1] + 0.05), atol=2e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_table_agrees_with_the_quadrature(compiled: bool) -> None:
    table = load_pandel_table()
    function = lookup if compiled else lookup.py_func
    rng = np.random.default_rng(7)
    work = np.empty((6, 4))
    for _ in range(200 if compiled else 40):
        shape = float(np.exp(rng.uniform(np.log(0.03), np.log(20))))
        rate = float(np.exp(rng.uniform(np.log(2e-3), np.log(2))))
        latest = min(6 + 2 * shape / rate, 2500)
        x = float(np.sinh(rng.uniform(np.arcsinh(-4), np.arcsinh(latest))))
        p, survival = convoluted_pandel(np.array([x]), shape, rate)
        function(table, np.log(shape), np.log(rate), x, work)
        if p[0] > 1e-7:
            assert work[4, 0] == pytest.approx(np.log(p[0]), abs=0.02)
        if survival[0] > 1e-4:
            assert work[5, 0] == pytest.approx(np.log(survival[0]), abs=0.02)


def test_compiled_kernel_and_python_function_are_the_same() -> None:
    table = load_pandel_table()
    rng = np.random.default_rng(8)
    found, expected = np.empty((6, 4)), np.empty((6, 4))
    for _ in range(50):
        where = (rng.uniform(-5, 5), rng.uniform(-8, 2), rng.uniform(-10, 500))
        lookup(table, *where, found)
        lookup.py_func(table, *where, expected)
        np.testing.assert_allclose(found[4:], expected[4:], rtol=1e-10, atol=1e-11)


def test_derivatives_are_those_of_the_interpolated_function() -> None:
    table = load_pandel_table()
    rng = np.random.default_rng(9)
    work, low, high = np.empty((6, 4)), np.empty((6, 4)), np.empty((6, 4))
    for _ in range(50):
        at = np.array([rng.uniform(-3, 2.5), rng.uniform(-5, 0.5), rng.uniform(-5, 60)])
        lookup(table, at[0], at[1], at[2], work)
        for k in range(3):
            step = 1e-5 * np.eye(3)[k]
            below, above = (at - step).tolist(), (at + step).tolist()
            lookup(table, below[0], below[1], below[2], low)
            lookup(table, above[0], above[1], above[2], high)
            slope = (high[4:, 0] - low[4:, 0]) / 2e-5
            np.testing.assert_allclose(work[4:, k + 1], slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "where",
    [
        (-50.0, 0.0, 1.0),
        (50.0, 0.0, 1.0),
        (0.0, -50.0, 1.0),
        (0.0, 50.0, 1.0),
        (0.0, 0.0, -99.0),
        (0.0, 0.0, 1e9),
    ],
)
def test_outside_the_table_the_edge_continues(where: tuple[float, float, float]) -> None:
    work = np.empty((6, 4))
    lookup(load_pandel_table(), where[0], where[1], where[2], work)
    assert np.isfinite(work[4:]).all()
    outside = int(np.argmax(np.abs(where)))
    assert (work[4:, outside + 1] == 0).all()


def test_a_coarser_table_can_be_built() -> None:
    table = PandelTable.build(n_nodes=(6, 6, 40))
    assert table.coefficients.shape == (8, 8, 42, 2)
    assert np.isfinite(table.coefficients).all()
