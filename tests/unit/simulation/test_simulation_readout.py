"""What the simulated electronics make of charges."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.simulation.photomultiplier import Hits
from skymap_scanner.simulation.readout import (
    COINCIDENCE_TIME,
    LAUNCH_LENGTH,
    MERGE_TIME,
    SATURATION,
    SATURATION_TIME,
    SLC_PULSES,
    TRIGGER_TIME,
    Readout,
    extract_pulses,
    read_out,
)

DETECTOR = built_in_detector()


def _hits(rows: list[tuple[int, float, float]]) -> Hits:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Hits(columns[:, 0].astype(np.int64), columns[:, 1], columns[:, 2])


def _column_of_light(
    string: int, n_modules: int, start: float = 0.0
) -> list[tuple[int, float, float]]:
    first = DETECTOR.index_of(string, 20)
    return [(first + i, start + 50.0 * i, 1.0) for i in range(n_modules)]


def test_hits_closer_than_the_resolution_become_one_pulse() -> None:
    found = extract_pulses(
        _hits([(5, 0.0, 1.0), (5, 2.0, 0.5), (5, MERGE_TIME + 0.5, 1.0), (6, 1.0, 2.0)])
    )
    assert found.hits.om_index.tolist() == [5, 5, 6]
    assert found.hits.time.tolist() == [0.0, MERGE_TIME + 0.5, 1.0]
    assert found.hits.charge.tolist() == [1.5, 1.0, 2.0]
    assert found.saturated == {}


def test_a_pulse_begins_with_its_first_hit_whatever_follows() -> None:
    found = extract_pulses(_hits([(5, 2.0 * i, 1.0) for i in range(6)]))
    assert found.hits.time.tolist() == [0.0, 4.0, 8.0]
    assert found.hits.charge.tolist() == [2.0, 2.0, 2.0]


def test_less_charge_than_the_threshold_is_no_pulse() -> None:
    found = extract_pulses(_hits([(5, 0.0, 0.1), (5, 50.0, 0.1), (5, 51.0, 0.1)]))
    assert found.hits.time.tolist() == [50.0]


def test_nothing_comes_of_nothing() -> None:
    found = extract_pulses(_hits([]))
    assert found.hits.time.size == 0
    assert read_out(found, DETECTOR) is None


def test_a_bright_module_saturates_for_a_while_and_says_when() -> None:
    rows = [(5, 0.0, 900.0), (5, 10.0, 300.0), (5, 100.0, 300.0), (9, 0.0, 499.0)]
    found = extract_pulses(_hits(rows))
    assert found.hits.time.tolist() == [0.0, 100.0, 0.0]
    assert found.hits.charge.tolist() == [SATURATION, 300.0, 499.0]
    assert list(found.saturated) == [5]
    ((begin, end),) = found.saturated[5]
    assert begin < 0.0
    assert 10.0 + SATURATION_TIME == end < 100.0


def test_charge_in_any_25_ns_has_a_limit_and_a_long_flash_reaches_it_all_along() -> None:
    rng = np.random.default_rng(1)
    rows = [(5, float(t), 20.0) for t in np.sort(rng.uniform(0.0, 1000.0, 5000))]
    hits = extract_pulses(_hits(rows)).hits
    place = np.searchsorted(hits.time, hits.time + SATURATION_TIME)
    summed = np.concatenate([[0.0], np.cumsum(hits.charge)])
    assert np.max(summed[place] - summed[:-1]) <= SATURATION * (1 + 1e-9)
    assert hits.charge.sum() == pytest.approx(SATURATION * 1000.0 / SATURATION_TIME, rel=0.2)


def _read(rows: list[tuple[int, float, float]]) -> Readout | None:
    return read_out(extract_pulses(_hits(rows)), DETECTOR)


def test_eight_neighbours_trigger_at_ten_microseconds() -> None:
    readout = _read(_column_of_light(21, 9))
    assert readout is not None
    assert readout.pulses.time.min() == pytest.approx(10_000.0)
    assert readout.offset == pytest.approx(10_000.0)
    assert readout.pulses.is_hlc.all()
    assert readout.window == pytest.approx((6_000.0, 16_400.0))


def test_seven_launches_do_not_trigger() -> None:
    assert _read(_column_of_light(21, 7)) is None


def test_launches_that_are_too_far_apart_do_not_trigger() -> None:
    spread = TRIGGER_TIME / 7.0 + 1.0
    first = DETECTOR.index_of(21, 20)
    assert _read([(first + i, spread * i, 1.0) for i in range(8)]) is None


def test_lonely_hits_have_no_local_coincidence_and_keep_few_pulses() -> None:
    lonely = DETECTOR.index_of(50, 30)
    rows = _column_of_light(21, 10) + [(lonely, 100.0 + 20 * i, 1.0) for i in range(5)]
    readout = _read(rows)
    assert readout is not None
    on_lonely = readout.pulses.om_key[:, 0] == 50
    assert on_lonely.sum() == SLC_PULSES
    assert not readout.pulses.is_hlc[on_lonely].any()


def test_a_hit_after_the_digitisation_is_a_launch_of_its_own() -> None:
    module = DETECTOR.index_of(21, 22)
    rows = [*_column_of_light(21, 12), (module, 100.0 + LAUNCH_LENGTH + 1.0, 1.0)]
    readout = _read(rows)
    assert readout is not None
    own = readout.pulses.om_key[:, 1] == 22
    assert readout.pulses.is_hlc[own].tolist() == [True, False]


def test_coincidence_ends_after_a_microsecond() -> None:
    first = DETECTOR.index_of(40, 10)
    late = COINCIDENCE_TIME + 1
    readout = _read([*_column_of_light(21, 10), (first, 0.0, 1.0), (first + 1, late, 1.0)])
    assert readout is not None
    on_string = readout.pulses.om_key[:, 0] == 40
    assert on_string.sum() == 2
    assert not readout.pulses.is_hlc[on_string].any()


def test_saturation_is_told_on_the_clock_of_the_event() -> None:
    module = DETECTOR.index_of(21, 22)
    readout = _read([*_column_of_light(21, 10), (module, 100.0, 900.0)])
    assert readout is not None
    ((begin, end),) = readout.saturated[module]
    assert begin < readout.offset + 100.0 < end
