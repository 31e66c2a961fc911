"""Photospline tables against scipy's basis functions, the textbooks' recursion and the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError, InputError
from skymap_scanner.light import tensor_spline
from skymap_scanner.light.photospline import SplineTable
from spline_tables import by_recursion, by_scipy, points_inside, random_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.units import FloatArray


def _scale(table: SplineTable) -> float:
    return float(np.abs(table.coefficients).max())


ORDERS = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@given(orders=ORDERS, seed=st.integers(0, 2**32 - 1), repeat=st.booleans())
def test_values_are_those_of_scipy(orders: list[int], seed: int, repeat: bool) -> None:
    table = random_table(seed, orders, repeat=repeat, extra=3)
    x = points_inside(table, seed, n=12)
    error = np.abs(table.evaluate(x) - by_scipy(table, x))
    assert error.max() <= 1e-12 * _scale(table)


@given(orders=ORDERS, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_slopes_are_those_of_scipy(orders: list[int], seed: int, data: st.DataObject) -> None:
    table = random_table(seed, orders, extra=3)
    dim = data.draw(st.integers(0, len(orders) - 1))
    x = points_inside(table, seed, n=12)
    error = np.abs(table.derivative(x, dim) - by_scipy(table, x, dim))
    shortest = np.diff(table.knots[dim]).min()
    assert error.max() <= 1e-12 * _scale(table) * max(orders[dim], 1) / shortest


@pytest.mark.parametrize(
    "orders", [(2,), (3, 1), (2, 0, 3), (2, 2, 2, 3), (1, 2, 3, 2, 1), (2, 2, 2, 3, 2, 2)]
)
def test_one_to_six_dimensions(orders: tuple[int, ...]) -> None:
    table = random_table(5, orders)
    x = points_inside(table, 6, n=25)
    np.testing.assert_allclose(table.evaluate(x), by_scipy(table, x), atol=1e-12 * _scale(table))
    for dim in range(len(orders)):
        np.testing.assert_allclose(
            table.derivative(x, dim), by_scipy(table, x, dim), atol=1e-11 * _scale(table)
        )


@given(orders=ORDERS, seed=st.integers(0, 2**32 - 1))
def test_beyond_full_support_the_functions_that_are_there_count(
    orders: list[int], seed: int
) -> None:
    full = random_table(seed, orders, extra=2)
    ends = [(k[0], k[-1]) for k in full.knots]
    table = SplineTable(full.coefficients, full.knots, full.orders, ends)
    x = np.random.default_rng(seed).uniform(
        table.extents[:, 0], table.extents[:, 1], (10, table.n_dim)
    )
    error = np.abs(table.evaluate(x) - by_recursion(table, x))
    assert error.max() <= 1e-12 * _scale(table)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_slope_is_that_of_the_values(dim: int) -> None:
    table = random_table(1, (2, 3, 2))
    x = np.random.default_rng(2).uniform(table.extents[:, 0], table.extents[:, 1], (20, 3))
    step = np.zeros(3)
    step[dim] = 1e-6
    inside = (np.abs(x - table.extents[:, 0]) > 1e-5) & (np.abs(x - table.extents[:, 1]) > 1e-5)
    x = x[inside.all(axis=1)]
    slope = (table.evaluate(x + step) - table.evaluate(x - step)) / 2e-6
    np.testing.assert_allclose(table.derivative(x, dim), slope, atol=1e-5 * _scale(table))


def test_outside_the_extents_the_nearest_value_inside_stands() -> None:
    full = random_table(3, (2, 3), extra=6)
    low, high = full.extents[0] + (0.1, -0.1)
    table = SplineTable(full.coefficients, full.knots, full.orders, [(low, high), full.extents[1]])
    y = full.extents[1].mean()
    for outside, edge in ((low - 5.0, low), (high + 5.0, high), (np.inf, high), (-np.inf, low)):
        assert table.evaluate([outside, y]) == full.evaluate([edge, y])
        assert table.derivative([outside, y], 0) == 0.0
        assert table.derivative([outside, y], 1) == full.derivative([edge, y], 1) != 0.0


def test_extents_are_cut_to_the_knots() -> None:
    table = SplineTable([1.0, 2.0], [[0.0, 1.0, 2.0, 3.0]], [1], [(-5.0, 2.5)])
    assert table.extents.tolist() == [[0.0, 2.5]]


def test_values_along_one_dimension_are_the_values_one_by_one() -> None:
    table = random_table(4, (2, 3, 1))
    x = points_inside(table, 5, n=6).reshape(2, 3, 3)
    low, high = table.extents[1]
    at = np.random.default_rng(6).uniform(low - 1.0, high + 1.0, (3, 7))
    along = table.evaluate_along(x, 1, at)
    slopes = table.derivative_along(x, 1, at)
    assert along.shape == slopes.shape == (2, 3, 7)
    for i, j, k in np.ndindex(2, 3, 7):
        point = x[i, j].copy()
        point[1] = at[j, k]
        assert along[i, j, k] == pytest.approx(table.evaluate(point), abs=1e-11)
        assert slopes[i, j, k] == pytest.approx(table.derivative(point, 1), abs=1e-10)


def test_shapes_are_those_of_the_points() -> None:
    table = random_table(7, (1, 2))
    assert table.evaluate(np.zeros((4, 5, 2))).shape == (4, 5)
    assert table.evaluate(np.zeros((0, 2))).shape == (0,)
    assert table.evaluate([0.0, 0.0]).shape == ()


@pytest.mark.parametrize("slope_dim", [-1, 0, 1])
def test_compiled_kernel_and_python_function_are_the_same(slope_dim: int) -> None:
    table = random_table(8, (2, 3))
    x = points_inside(table, 9, n=5)
    compiled = tensor_spline.evaluate_along(table._spline, x, 1, x[:, 1:], slope_dim)
    plain = tensor_spline.evaluate_along.py_func(table._spline, x, 1, x[:, 1:], slope_dim)
    np.testing.assert_allclose(compiled, plain, atol=1e-13 * _scale(table))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_search_for_bad_coefficients_is_the_same_compiled_and_not(bad: float) -> None:
    numbers = np.array([0.0, -1.0, 3e38, 1e-45, bad, 2.0], dtype=">f4").view(np.uint32)
    for search in (tensor_spline.find_not_finite, tensor_spline.find_not_finite.py_func):
        assert search(numbers) == 4
        assert search(numbers[:4]) == -1


def test_coefficients_are_taken_with_the_precision_of_the_file() -> None:
    table = SplineTable([0.1, 0.1], [[0.0, 1.0, 2.0, 3.0]], [1])
    assert table.evaluate([1.5]) == float(np.float32(0.1))


KNOTS = np.arange(8.0)


@pytest.mark.parametrize(
    ("coefficients", "knots", "orders", "extents", "place"),
    [
        (np.float32(1.0), [], [], None, ""),
        (np.ones(5), [KNOTS, KNOTS], [2], None, ""),
        (np.ones(5), [KNOTS], [2, 2], None, ""),
        (np.ones((5, 5)), [KNOTS], [2], None, ""),
        (np.ones(5), [KNOTS], [3], None, "KNOTS0"),
        (np.ones((5, 6)), [KNOTS, KNOTS], [2, 2], None, "KNOTS1"),
        (np.ones(5), [KNOTS[:, None]], [2], None, "KNOTS0"),
        (np.ones(9), [KNOTS], [-2], None, "ORDER0"),
        (np.ones(2), [np.arange(6.0)], [3], None, "ORDER0"),
        (np.ones((0, 5)), [KNOTS, KNOTS], [2, 2], None, "ORDER0"),
        (np.ones(5), [KNOTS[::-1]], [2], None, "KNOTS0"),
        (np.ones(5), [np.r_[KNOTS[:5], 4, 4, 4]], [2], None, "KNOTS0"),
        (np.ones(5), [np.r_[KNOTS[:7], np.nan]], [2], None, "KNOTS0"),
        (np.ones(5), [np.r_[KNOTS[:7], np.inf]], [2], None, "KNOTS0"),
        ([1, 1, np.nan, 1, 1], [KNOTS], [2], None, "coefficient (2,)"),
        ([1, 1, 1, 1e39, 1], [KNOTS], [2], None, "coefficient (3,)"),
        ([1, -np.inf, 1, 1, 1], [KNOTS], [2], None, "coefficient (1,)"),
        (np.ones(5), [KNOTS], [2], [(1.0, 2.0, 3.0)], "EXTENTS"),
        (np.ones(5), [KNOTS], [2], [(3.0, 3.0)], "EXTENTS"),
        (np.ones(5), [KNOTS], [2], [(np.nan, 3.0)], "EXTENTS"),
        (np.ones(5), [KNOTS], [2], [(9.0, 10.0)], "EXTENTS"),
    ],
)
def test_numbers_that_do_not_make_a_spline_are_refused(
    coefficients: FloatArray,
    knots: Sequence[FloatArray],
    orders: list[int],
    extents: list[tuple[float, ...]] | None,
    place: str,
) -> None:
    with pytest.raises(FormatError) as caught:
        SplineTable(coefficients, knots, orders, extents)
    assert caught.value.found is not None or "finite" in str(caught.value)
    assert (caught.value.place or "").startswith(place)


@pytest.mark.parametrize("bad", [[0.0], [0.0, 1.0, 2.0], 3.0, [np.nan, 0.0]])
def test_points_that_cannot_be_evaluated_are_refused(bad: object) -> None:
    table = random_table(10, (1, 1))
    with pytest.raises(InputError):
        table.evaluate(np.asarray(bad))
    with pytest.raises(InputError):
        table.derivative(np.asarray(bad), 0)


@pytest.mark.parametrize("dim", [-1, 2])
def test_dimensions_that_do_not_exist_are_refused(dim: int) -> None:
    with pytest.raises(InputError, match="no such dimension"):
        random_table(11, (1, 1)).derivative([0.0, 0.0], dim)


@pytest.mark.parametrize("at", [1.0, [np.nan], [[1.0]] * 3])
def test_runs_that_do_not_fit_are_refused(at: object) -> None:
    with pytest.raises(InputError):
        random_table(12, (1, 1)).evaluate_along(np.zeros((2, 2)), 0, np.asarray(at))
