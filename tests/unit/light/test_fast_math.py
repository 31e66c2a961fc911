"""Fast exponential and logarithm against numpy in double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.compiled import kernel
from skymap_scanner.light.fast_math import exp32, log32

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def _exp(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(x.size):
        out[i] = exp32(x[i])


@kernel
def _log(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(x.size):
        out[i] = log32(x[i])


def test_exponential_has_the_stated_precision() -> None:
    x = np.linspace(-87.0, 87.0, 400_001).astype(np.float32)
    found = np.empty_like(x)
    _exp(x, found)
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=4.5e-6)
    near = np.abs(x) < 20
    np.testing.assert_allclose(found[near], np.exp(x[near].astype(np.float64)), rtol=2e-6)


def test_exponential_beyond_its_range_is_the_value_there() -> None:
    x = np.array([-1e30, -1000.0, -87.4, 87.4, 1000.0, 1e30], np.float32)
    found = np.empty_like(x)
    _exp(x, found)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[:3], 2.0**-126, rtol=2e-6)
    np.testing.assert_allclose(found[3:], 2.0**126, rtol=2e-6)


def test_exponential_never_falls() -> None:
    x = np.sort(np.random.default_rng(1).uniform(-20, 20, 200_000)).astype(np.float32)
    found = np.empty_like(x)
    _exp(x, found)
    assert np.all(np.diff(found) >= -2e-7 * found[1:])


@pytest.mark.parametrize(("low", "high"), [(-30.0, 30.0), (-0.01, 0.01), (-87.0, 88.0)])
def test_logarithm_has_the_stated_precision(low: float, high: float) -> None:
    x = np.exp(np.linspace(low, high, 400_001)).astype(np.float32)
    found = np.empty_like(x)
    _log(x, found)
    expected = np.log(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=1e-7)


@pytest.mark.parametrize("x", [-100.0, -3.3, 0.0, 0.5, 100.0])
def test_compiled_exponential_is_the_function_as_written(x: float) -> None:
    value = np.float32(x)
    assert exp32(value) == pytest.approx(float(exp32.py_func(value)), rel=5e-7)


@pytest.mark.parametrize("x", [1e-30, 0.3, 1.0, 1.4142135, 1.4142137, 7e20])
def test_compiled_logarithm_is_the_function_as_written(x: float) -> None:
    value = np.float32(x)
    assert log32(value) == pytest.approx(float(log32.py_func(value)), rel=5e-7, abs=1e-7)
