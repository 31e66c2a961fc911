"""The generator inside kernels against its published algorithm and the moments of its numbers.

Statistical bounds are 4.5 standard errors: a right generator fails one such comparison in 150 000,
and seeds are fixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from skymap_scanner.compiled import kernel
from skymap_scanner.light.chance import circle_point, make_state, normal_pair, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

N = 400_000
SIGMAS = 4.5
MASK = (1 << 64) - 1


@kernel
def _uniforms(state: NDArray[np.uint64], out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = uniform(state)


@kernel
def _normals(state: NDArray[np.uint64], out: FloatArray) -> None:
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1] = normal_pair(state)


@kernel
def _points(state: NDArray[np.uint64], out: FloatArray) -> None:
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1] = circle_point(state)


@pytest.fixture(scope="module")
def numbers() -> FloatArray:
    out = np.empty(N)
    _uniforms(make_state(1, 2), out)
    return out


@pytest.fixture(scope="module")
def normals() -> FloatArray:
    out = np.empty((N, 2))
    _normals(make_state(3), out)
    return out


@pytest.fixture(scope="module")
def points() -> FloatArray:
    out = np.empty((N, 2))
    _points(make_state(4), out)
    return out


def _xoshiro(state: list[int]) -> int:
    """One step of xoshiro256+ with Python's unlimited integers."""
    result = (state[0] + state[3]) & MASK
    shifted = (state[1] << 17) & MASK
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = ((state[3] << 45) | (state[3] >> 19)) & MASK
    return result


@pytest.mark.parametrize("is_compiled", [True, False])
def test_numbers_are_those_of_the_published_generator(is_compiled: bool) -> None:
    state = make_state(7, 8, 9)
    slow = [int(word) for word in state]
    step = uniform if is_compiled else uniform.py_func
    with np.errstate(over="ignore"):
        found = [step(state) for _ in range(200)]
    expected = [((_xoshiro(slow) >> 11) + 0.5) / 2.0**53 for _ in range(200)]
    assert found == expected
    assert [int(word) for word in state] == slow


@pytest.mark.parametrize("word", [0, 1 << 11, MASK - (1 << 11), MASK])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_smallest_and_largest_numbers_lie_between_zero_and_one(
    word: int, is_compiled: bool
) -> None:
    state = np.array([word, 1, 2, 0], dtype=np.uint64)  # the number is made of word 0 plus word 3
    value = (uniform if is_compiled else uniform.py_func)(state)
    assert 0.0 < value < 1.0
    assert -math.log(value) > 0.0
    assert int(value * 128) <= 127  # the last wavelength slice, not one beyond


def test_uniform_numbers_fill_the_interval_evenly(numbers: FloatArray) -> None:
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    for power in (1, 2, 3, 8):
        mean, spread = 1 / (power + 1), np.std(numbers**power)
        assert abs(np.mean(numbers**power) - mean) < SIGMAS * spread / N**0.5


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 17])
def test_successive_numbers_are_not_correlated(numbers: FloatArray, lag: int) -> None:
    x = numbers - 0.5
    for a, b in ((x, x), (x**2 - 1 / 12, x**2 - 1 / 12)):
        product = a[:-lag] * b[lag:]
        assert abs(product.mean()) < SIGMAS * product.std() / N**0.5


def test_successive_numbers_fill_the_cube(numbers: FloatArray) -> None:
    triples = numbers[: N // 3 * 3].reshape(-1, 3)
    counts, _ = np.histogramdd(triples, bins=8, range=[(0, 1)] * 3)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-4


def test_every_bit_that_is_used_is_fair() -> None:
    out = np.empty(20_000)
    _uniforms(make_state(11), out)
    bits = (out * 2.0**53).astype(np.uint64)
    for k in range(4, 53):  # the lowest ones are weak by design and rounded here
        share = np.mean((bits >> np.uint64(k)) & np.uint64(1))
        assert abs(share - 0.5) < SIGMAS * 0.5 / out.size**0.5


def test_same_seed_same_numbers_and_other_seed_others() -> None:
    first, again, other = np.empty(100), np.empty(100), np.empty(100)
    _uniforms(make_state(5, 6), first)
    _uniforms(make_state(5, 6), again)
    _uniforms(make_state(5, 7), other)
    np.testing.assert_array_equal(first, again)
    assert not np.intersect1d(first, other).size


def test_streams_of_neighbouring_seeds_are_independent() -> None:
    streams = np.empty((64, 4000))
    for k, row in enumerate(streams):
        _uniforms(make_state(1, k), row)
    correlation = np.atleast_2d(np.corrcoef(streams))[np.triu_indices(64, 1)]
    # 2016 pairs: the largest of them exceeds 5 standard errors in one of 900 cases
    assert np.abs(correlation).max() < 5.0 / 4000**0.5
    assert np.std(correlation) == pytest.approx(1 / 4000**0.5, rel=0.1)
    firsts = streams[:, 0]
    assert stats.kstest(firsts, "uniform").pvalue > 1e-3


def test_order_of_seeds_matters() -> None:
    assert not np.array_equal(make_state(1, 2), make_state(2, 1))


def test_normal_deviates_are_standard_and_independent(normals: FloatArray) -> None:
    flat = normals.ravel()
    assert stats.kstest(flat, "norm").pvalue > 1e-4
    n = flat.size
    # variances of the first four powers of a standard normal deviate
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(flat**power) - mean) < SIGMAS * (variance / n) ** 0.5
    for a, b in ((1, 1), (2, 2), (1, 2)):
        product = (normals[:, 0] ** a - (a == 2)) * (normals[:, 1] ** b - (b == 2))
        assert abs(product.mean()) < SIGMAS * product.std() / N**0.5
    assert np.abs(flat).max() > 4.0  # 25 of 800 000 are expected beyond


def test_points_lie_evenly_on_the_circle(points: FloatArray) -> None:
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), 1.0, atol=1e-12)
    angle = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    assert stats.kstest(angle / (2 * np.pi), "uniform").pvalue > 1e-4
    for k in (1, 2, 3, 4):
        for wave in (np.cos(k * angle), np.sin(k * angle)):
            assert abs(wave.mean()) < SIGMAS * 0.5**0.5 / N**0.5


@pytest.mark.parametrize("draw", [normal_pair, circle_point])
def test_compiled_pairs_are_those_of_the_function_as_written(draw: object) -> None:
    compiled_state, slow_state = make_state(20), make_state(20)
    with np.errstate(over="ignore"):
        for _ in range(50):
            found = draw(compiled_state)  # type: ignore[operator]  # a kernel
            expected = draw.py_func(slow_state)  # type: ignore[attr-defined]  # a kernel
            assert found == pytest.approx(expected, rel=1e-14)
    np.testing.assert_array_equal(compiled_state, slow_state)


def test_states_are_those_of_earlier_versions() -> None:
    # a production that was begun with one version of numpy goes on with another
    first, second, third, fourth = (int(word) for word in make_state(1, 5))
    assert (first, second) == (15152708626915684481, 11173316050631965015)
    assert (third, fourth) == (3030186094412209067, 8529248960435279420)


def test_zeros_at_the_end_of_a_seed_do_not_count() -> None:
    np.testing.assert_array_equal(make_state(1, 5), make_state(1, 5, 0))  # as its docstring warns
