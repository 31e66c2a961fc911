"""Photospline tables of chance and of known values, and their slow evaluation, for tests."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import BSpline

from skymap_scanner.light.photospline import SplineTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skymap_scanner.units import FloatArray


def random_table(
    seed: int, orders: Sequence[int], *, repeat: bool = False, extra: int = 4
) -> SplineTable:
    """Return a table with irregular knots and up to `extra` more coefficients than need be.

    With `repeat`, its outermost knots are there as often as possible, and the inner ones twice.
    """
    rng = np.random.default_rng(seed)
    knots = []
    for order in orders:
        k = rng.uniform(-9, 9) + np.cumsum(rng.uniform(0.3, 3.0, 2 * order + 2 + extra))
        k = k[: 2 * order + 2 + rng.integers(0, extra + 1)]
        if repeat and order > 0:
            inner = np.repeat(k[order + 1 : -order - 1], 2)
            k = np.r_[[k[0]] * (order + 1), inner, [k[-1]] * (order + 1)]
        knots.append(k)
    sizes = [k.size - p - 1 for k, p in zip(knots, orders, strict=True)]
    return SplineTable(rng.normal(0.0, 10.0, sizes), knots, orders)


def by_scipy(table: SplineTable, x: FloatArray, slope_dim: int = -1) -> FloatArray:
    """Evaluate the sum over all coefficients, with scipy's basis functions."""
    out = np.empty(len(x))
    for p, point in enumerate(x):
        total = table.coefficients.astype(np.float64)
        for d in range(table.n_dim):
            size, order = total.shape[0], table.orders[d]
            functions = BSpline(table.knots[d], np.eye(size), order)
            if d != slope_dim:
                basis = functions(point[d])
            elif order > 0:
                basis = functions.derivative()(point[d])
            else:
                basis = np.zeros(size)
            total = np.tensordot(basis, total, axes=(0, 0))
        out[p] = total
    return out


def basis_function(knots: FloatArray, i: int, order: int, x: float) -> float:
    """One B-spline by the recursion of the textbooks, limit from above at knots."""
    if order == 0:
        return float(knots[i] <= x < knots[i + 1])
    total = 0.0
    for j, toward in ((i, 1.0), (i + 1, -1.0)):
        width = knots[j + order] - knots[j]
        if width > 0.0:
            start = knots[i] if toward > 0.0 else knots[i + order + 1]
            total += toward * (x - start) / width * basis_function(knots, j, order - 1, x)
    return total


def by_recursion(table: SplineTable, x: FloatArray) -> FloatArray:
    """Evaluate the sum over all coefficients, with the recursion; no point at an upper end."""
    out = np.empty(len(x))
    for p, point in enumerate(x):
        total = table.coefficients.astype(np.float64)
        for knots, order, at in zip(table.knots, table.orders, point, strict=True):
            basis = [basis_function(knots, i, order, at) for i in range(total.shape[0])]
            total = np.tensordot(basis, total, axes=(0, 0))
        out[p] = total
    return out


def points_inside(table: SplineTable, seed: int, n: int = 40) -> FloatArray:
    """Points within the extents, both ends and knots among them in every dimension."""
    rng = np.random.default_rng(seed)
    low, high = table.extents.T
    x = rng.uniform(low, high, (n, table.n_dim))
    for d, knots in enumerate(table.knots):
        special = knots[(knots >= low[d]) & (knots <= high[d])]
        chosen = rng.random(n) < 0.3
        x[chosen, d] = rng.choice(special, chosen.sum())
    x[0], x[1] = low, high
    return x


#: Ranges of the axes of the synthetic tables: r, azimuth, cosine, z, zenith; then the delay.
RANGES = [(1.0, 400.0), (0.0, 180.0), (-1.0, 1.0), (-500.0, 500.0), (0.0, 180.0)]
DELAYS = (0.0, 2000.0)
HEADER = {"GEOMETRY": 1, "GEOTYPE": 0, "PARITY": 0, "EFFICIENCY": 0x25, "N_GROUP": 1.34}
#: ln charge = these weights times the coordinates: splines of any order above 0 are exact for it.
WEIGHTS = np.array([-0.02, 0.003, 0.7, 0.001, -0.004])


def axis_of_lines(low: float, high: float, order: int, n: int = 9) -> tuple[FloatArray, FloatArray]:
    """Knots of an axis, and the places (Greville) at which coefficients of straight lines sit."""
    inner = low + (high - low) * np.linspace(0.0, 1.0, n - order + 1) ** 1.3
    knots = np.r_[[low] * order, inner, [high] * order]
    return knots, np.array([knots[i + 1 : i + order + 1].mean() for i in range(n)])


def synthetic_table(
    value: Callable[..., FloatArray],
    ranges: list[tuple[float, float]],
    orders: list[int],
    header: dict[str, Any],
) -> SplineTable:
    axes = [axis_of_lines(*pair, order) for pair, order in zip(ranges, orders, strict=True)]
    grid = np.meshgrid(*[places for _, places in axes], indexing="ij")
    return SplineTable(value(*grid), [knots for knots, _ in axes], orders, ranges, header)


def log_charge(*x: FloatArray) -> FloatArray:
    return np.asarray(sum(w * c for w, c in zip(WEIGHTS, x, strict=True)))


def rising(*x: FloatArray) -> FloatArray:
    """Rising with time from 0 to a level that is not quite 1; later with distance."""
    r, _, cos, delay, _, zenith = x
    power = 0.3 + r / 800.0 + 0.05 * (1.0 - cos) + zenith / 2000.0
    return np.asarray(0.98 * (delay / DELAYS[1]) ** power)


TIME_RANGES = [*RANGES[:3], DELAYS, *RANGES[3:]]


@cache
def amplitude_table() -> SplineTable:
    return synthetic_table(log_charge, RANGES, [2, 2, 2, 2, 2], HEADER)


@cache
def time_table() -> SplineTable:
    return synthetic_table(rising, TIME_RANGES, [2, 2, 2, 3, 2, 2], HEADER)
