from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from skymap_scanner.calibration.statistics import binomial_band, quantile_of, wilson
from skymap_scanner.exceptions import UsageError

NUMBERS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60)
PROBABILITIES = st.floats(0.01, 0.99)


@given(NUMBERS, PROBABILITIES, PROBABILITIES)
def test_quantiles_ascend_and_lie_in_their_intervals(
    sample: list[float], one: float, other: float
) -> None:
    low, high = (quantile_of(sample, p) for p in sorted((one, other)))
    assert low.value <= high.value
    assert low.low <= high.low
    assert low.high <= high.high
    assert low.low <= low.value <= low.high
    assert min(sample) <= low.low
    assert high.high <= max(sample)


@given(NUMBERS, PROBABILITIES, st.randoms())
def test_the_order_of_events_does_not_matter(sample: list[float], p: float, random: object) -> None:
    shuffled = list(sample)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert quantile_of(shuffled, p) == quantile_of(sample, p)


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_the_interval_holds_the_true_quantile_as_often_as_it_says(p: float) -> None:
    rng = np.random.default_rng(1)
    true = float(chi2.ppf(p, 2))
    held = 0
    for _ in range(500):
        found = quantile_of(rng.chisquare(2, 100), p)
        held += found.low <= true <= found.high
    # 68 % and a little more, because order statistics are steps; a wrong index would lose 8 %
    assert 0.66 <= held / 500 <= 0.80


def test_quantiles_of_many_events_are_the_true_ones() -> None:
    ts = 3.0 * np.random.default_rng(2).chisquare(2, 20_000)
    for p in (0.5, 0.9):
        found = quantile_of(ts, p)
        assert found.value == pytest.approx(3.0 * chi2.ppf(p, 2), rel=0.03)
        assert (found.high - found.low) / found.value < 0.05


@pytest.mark.parametrize("sample", [[], [1.0, float("nan")], [float("inf")]])
def test_no_quantile_of_what_is_no_sample(sample: list[float]) -> None:
    with pytest.raises(UsageError, match="no quantile"):
        quantile_of(sample, 0.5)


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0, float("nan")])
def test_no_quantile_at_what_is_no_probability(p: float) -> None:
    with pytest.raises(UsageError, match="no quantile"):
        quantile_of([1.0], p)


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_the_fraction_and_stays_within_0_and_1(n: int, data: object) -> None:
    inside = data.draw(st.integers(0, n))  # type: ignore[attr-defined]  # hypothesis' data
    found = wilson(inside, n)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert found.low < found.high


def test_wilson_interval_is_the_published_one() -> None:
    # 95 % interval of 15 of 20: R. G. Newcombe, Stat. Med. 17 (1998) 857 formula, method 3
    found = wilson(15, 20, n_sigma=1.959964)
    assert (found.low, found.high) == pytest.approx((0.5313, 0.8881), abs=1e-3)


@pytest.mark.parametrize(("inside", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_no_fraction_of_nothing(inside: int, n: int) -> None:
    with pytest.raises(UsageError, match="no fraction"):
        wilson(inside, n)


def test_band_holds_two_thirds_of_right_distributions() -> None:
    rng, n = np.random.default_rng(3), 100
    expected = np.array([0.5])
    low, high = binomial_band(expected, n)
    fractions = rng.binomial(n, 0.5, 2000) / n
    assert np.mean((fractions >= low) & (fractions <= high)) == pytest.approx(0.70, abs=0.05)
