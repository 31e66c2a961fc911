"""Pulses in columns."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.pulses import PulseSeries, weighted_quantile


def _series() -> PulseSeries:
    return PulseSeries.from_columns(
        om_index=[7, 3, 7, 3],
        time=[40.0, 30.0, 10.0, 20.0],
        charge=[1.0, 2.0, 4.0, 8.0],
        width=[1.0, 1.0, 8.0, 8.0],
        flags=[5, 4, 7, 0],
    )


def test_columns_are_sorted_by_module_and_keep_the_order_within() -> None:
    series = _series()
    assert series.om_index.tolist() == [3, 3, 7, 7]
    assert series.time.tolist() == [30.0, 20.0, 40.0, 10.0]
    assert series.width.tolist() == [1.0, 8.0, 1.0, 8.0]


def test_sums_and_counts() -> None:
    series = _series()
    assert (series.n_pulses, series.n_doms, series.total_charge) == (4, 2, 15.0)
    assert series.hit_oms.tolist() == [3, 7]
    assert series.first_times().tolist() == [20.0, 10.0]
    assert series.dom_charges().tolist() == [10.0, 5.0]


def test_local_coincidence_is_the_lowest_flag_bit() -> None:
    assert _series().is_hlc.tolist() == [False, False, True, True]
    assert _series().hlc.charge.tolist() == [1.0, 4.0]


def test_an_empty_series_has_nothing() -> None:
    empty = _series().select(np.zeros(4, dtype=bool))
    assert (empty.n_pulses, empty.n_doms, empty.total_charge) == (0, 0, 0.0)
    assert len(empty.first_times()) == len(empty.dom_charges()) == len(empty.hit_oms) == 0


def test_width_and_flags_default_to_zero() -> None:
    series = PulseSeries.from_columns([1], [2.0], [3.0])
    assert series.width.tolist() == [0.0]
    assert series.flags.tolist() == [0]


def test_columns_of_unequal_length_or_unsorted_are_refused() -> None:
    good = _series()
    with pytest.raises(ValueError, match="shape"):
        PulseSeries(good.om_index, good.time[:2], good.charge, good.width, good.flags)
    with pytest.raises(ValueError, match="sorted"):
        PulseSeries(good.om_index[::-1], good.time, good.charge, good.width, good.flags)


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.0, 1.0), (0.1, 1.0), (0.11, 2.0), (1.0, 3.0)]
)
def test_weighted_quantile_is_the_first_value_that_reaches_the_fraction(
    quantile: float, expected: float
) -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 8.0])
    assert weighted_quantile(values, weights, quantile) == expected
