from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_toys import failed, record, records_of, sample
from skymap_scanner.calibration.levels import (
    MIN_EVENTS,
    check_levels,
    measure_coverage,
    measure_levels,
)
from skymap_scanner.exceptions import UsageError
from skymap_scanner.result.calibrated_levels import read_levels, write_levels

DATE = "2030-01-31"


def inflated(kappa: float, n: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """TS of a likelihood that is too narrow by a known factor."""
    return kappa * np.random.default_rng(seed).chisquare(2, n)


def test_levels_of_a_likelihood_that_is_too_narrow_are_the_larger_ones() -> None:
    [entry] = measure_levels(records_of(inflated(4.0, 4000, 1)), sample(), date=DATE)
    for level, wilks in zip(entry.levels, (1.386, 4.605), strict=True):
        assert level.ts == pytest.approx(4.0 * wilks, rel=0.06)
        assert level.ts_low < level.ts < level.ts_high
        assert level.ts_high - level.ts_low < 0.15 * level.ts
    assert (entry.n_events, entry.n_failed, entry.date) == (4000, 0, DATE)
    assert (entry.event_class, entry.charge_pe, entry.kind) == ("track", None, "same-ice")
    assert entry.settings == sample().as_json()


def test_calibrated_regions_of_other_events_hold_the_truth_as_often_as_they_say() -> None:
    levels = measure_levels(records_of(inflated(4.0, 1000, 1)), sample(), date=DATE)
    others, other = records_of(inflated(4.0, 1000, 2)), sample(seed=2)
    raw = {(one.rule, one.probability): one.fraction.value for one in measure_coverage(others)}
    assert raw["wilks", 0.9] == pytest.approx(1.0 - 0.1**0.25, abs=0.04)  # 44 %
    assert raw["hpd", 0.9] == raw["wilks", 0.9]
    [(entry, coverage)] = check_levels(others, other, levels)
    assert entry is levels[0]
    for one, probability in zip(coverage, (0.5, 0.9, 0.5, 0.9), strict=True):
        assert one.probability == probability
        assert one.fraction.value == pytest.approx(probability, abs=0.06)
        assert one.fraction.n_events == 1000


def test_right_likelihoods_keep_the_levels_of_wilks_theorem() -> None:
    coverage = measure_coverage(records_of(inflated(1.0, 2000, 3)))
    for one in coverage[:2]:
        assert one.fraction.value == pytest.approx(one.probability, abs=0.03)


def test_failed_events_are_counted_and_not_used() -> None:
    records = [*records_of(inflated(1.0, 30, 4)), failed(31), failed(32)]
    [entry] = measure_levels(records, sample(), date=DATE)
    assert (entry.n_events, entry.n_failed) == (30, 2)
    assert all(one.fraction.n_events == 30 for one in measure_coverage(records))


def test_classes_and_ranges_of_charge_get_levels_of_their_own() -> None:
    records = [
        *records_of(inflated(1.0, 100, 5), charge_pe=100.0),
        *records_of(inflated(9.0, 100, 6), charge_pe=900.0, event_class="cascade"),
    ]
    both = sample(classes=("track", "cascade"))
    levels = measure_levels(records, both, date=DATE, charge_edges=[0, 500, 1000])
    found = {(one.event_class, one.charge_pe): one for one in levels}
    assert set(found) == {
        ("all", None), ("all", (0, 500)), ("all", (500, 1000)),
        ("track", None), ("track", (0, 500)), ("cascade", None), ("cascade", (500, 1000)),
    }  # fmt: skip
    assert found["cascade", None].levels == found["all", (500, 1000)].levels
    assert found["track", None].levels[1].ts < 10.0 < found["cascade", None].levels[1].ts


@given(st.lists(st.floats(0.0, 1e4), min_size=MIN_EVENTS, max_size=60))
def test_levels_ascend_whatever_the_events(tmp_path_factory: object, ts: list[float]) -> None:
    [entry] = measure_levels(records_of(np.array(ts)), sample(), date=DATE)
    assert entry.levels[0].ts <= entry.levels[1].ts
    path = tmp_path_factory.getbasetemp() / "levels.json"  # type: ignore[attr-defined]  # pytest's
    write_levels(path, [entry])
    assert read_levels(path) == (entry,)


def test_too_few_events_make_no_levels() -> None:
    with pytest.raises(UsageError, match=r"too few events for levels \(found 19 with a map"):
        measure_levels(records_of(np.ones(MIN_EVENTS - 1)), sample(), date=DATE)
    with pytest.raises(UsageError, match="found 0 with a map"):
        measure_levels([failed(1)], sample(), date=DATE)


@pytest.mark.parametrize("edges", [[1.0], [5.0, 1.0], [0.0, float("nan")], [-1.0, 5.0]])
def test_edges_that_are_none_are_refused(edges: list[float]) -> None:
    with pytest.raises(UsageError, match="--charge-edges-pe: illegal edges"):
        measure_levels(records_of(np.ones(30)), sample(), date=DATE, charge_edges=edges)


def test_levels_are_not_checked_with_the_events_that_made_them() -> None:
    records = records_of(np.ones(30))
    levels = measure_levels(records, sample(), date=DATE)
    with pytest.raises(UsageError, match="the levels were made of the same events"):
        check_levels(records, sample(), levels)
    with pytest.raises(UsageError, match="the levels were made of the same events"):
        check_levels(records, sample(kind="varied-ice"), levels)
    with pytest.raises(UsageError, match="no levels for this reconstruction"):
        check_levels(records, sample(seed=2, reco_options={"a": 2}), levels)
    with pytest.raises(UsageError, match="found no levels"):
        check_levels(records, sample(seed=2), [])


def test_a_check_is_made_at_the_finest_pixel_and_with_maps_as_they_are() -> None:
    levels = measure_levels(records_of(np.full(30, 2.0)), sample(), date=DATE)
    coarse = [record(1, ts=1.0, map_ts=9.0), record(2, ts=1.0, map_ts=1.0)]
    [(_, coverage)] = check_levels(coarse, sample(seed=2), levels)
    assert [one.fraction.n_inside for one in coverage] == [2, 2, 1, 1]
    assert ["map" in one.rule for one in coverage] == [False, False, True, True]
