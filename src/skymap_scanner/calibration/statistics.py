r"""Quantiles and coverage of a finite number of events, with their errors.

References
----------
.. [1] H. A. David, H. N. Nagaraja, *Order Statistics*, Wiley 2003, section 7.1: confidence
   intervals of quantiles by order statistics.
.. [2] E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209, :doi:`10.1080/01621459.1927.10502953`
.. [3] R. J. Hyndman, Y. Fan, Am. Stat. 50 (1996) 361, :doi:`10.1080/00031305.1996.10473566`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = ["Fraction", "Quantile", "binomial_band", "quantile_of", "wilson"]

#: One standard deviation of a normal distribution, as a probability.
ONE_SIGMA: Final = 0.6826894921370859


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a sample and its 68 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fraction:
    """A number of events out of many, their fraction and its 68 % confidence interval."""

    n_inside: int
    n_events: int
    value: float
    low: float
    high: float


def quantile_of(sample: ArrayLike, probability: float) -> Quantile:
    """Estimate a quantile.

    Parameters
    ----------
    sample : array_like, shape (n,)
        Finite numbers, at least one.
    probability : float
        Between 0 and 1, both excluded.

    Returns
    -------
    Quantile
        The estimate is linear between order statistics and median-unbiased [3]_. The interval
        reaches from order statistic to order statistic: the number of events below the true
        quantile is binomial, whatever the distribution [1]_.

    Raises
    ------
    UsageError
        When there is no event, a number is not finite, or the probability is none.

    Examples
    --------
    >>> quantile_of(range(1, 100), 0.5)
    Quantile(value=50.0, low=45.0, high=55.0)
    """
    from scipy.stats import binom

    values = np.sort(np.asarray(sample, dtype=np.float64))
    if not values.size or not np.isfinite(values).all() or not 0.0 < probability < 1.0:
        raise UsageError(
            "no quantile",
            found=f"{values.size} numbers, probability {probability}",
            wanted="finite numbers, at least one, and 0 < p < 1",
        )
    n = values.size
    tail = 0.5 * (1.0 - ONE_SIGMA)
    # x_(k) with k from 1 lies below the quantile when at least k events do.
    lower = int(binom.ppf(tail, n, probability))
    upper = int(binom.ppf(1.0 - tail, n, probability)) + 1
    value = float(np.quantile(values, probability, method="median_unbiased"))
    low, high = values[max(lower, 1) - 1], values[min(upper, n) - 1]
    return Quantile(value, float(min(low, value)), float(max(high, value)))


def wilson(n_inside: int, n_events: int, *, n_sigma: float = 1.0) -> Fraction:
    """Return a fraction with Wilson's interval.

    Parameters
    ----------
    n_inside, n_events : int
        Events that count, of how many.
    n_sigma : float
        Half the width of the interval, in standard deviations of a normal distribution.

    Raises
    ------
    UsageError
        When there is no event, or more count than there are.

    Examples
    --------
    >>> fraction = wilson(90, 100)
    >>> round(fraction.low, 3), round(fraction.high, 3)
    (0.866, 0.926)
    """
    if n_events < 1 or not 0 <= n_inside <= n_events:
        raise UsageError("no fraction", found=f"{n_inside} of {n_events}", wanted="some events")
    p, z2 = n_inside / n_events, n_sigma**2
    middle = (p + 0.5 * z2 / n_events) / (1.0 + z2 / n_events)
    half = n_sigma * math.sqrt(p * (1.0 - p) / n_events + 0.25 * (z2 / n_events**2))
    half /= 1.0 + z2 / n_events
    # Rounding must not put the fraction outside of its interval.
    low, high = min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p)
    return Fraction(n_inside, n_events, p, low, high)


def binomial_band(
    expected: FloatArray, n_events: int, *, n_sigma: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return between what an empirical distribution of right coverage lies.

    Parameters
    ----------
    expected : ndarray, shape (n,)
        Probabilities.
    n_events : int
        Events of the empirical distribution.
    n_sigma : float
        Central probability of the band, as that of a normal distribution within so many standard
        deviations.

    Returns
    -------
    low, high : ndarray, shape (n,)
        Fractions.
    """
    from scipy.stats import binom, norm

    tail = float(norm.sf(n_sigma))
    low = binom.ppf(tail, n_events, expected) / n_events
    high = binom.ppf(1.0 - tail, n_events, expected) / n_events
    return np.asarray(low), np.asarray(high)
