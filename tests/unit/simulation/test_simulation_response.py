"""What the simulated electronics make of photo-electrons."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.simulation.response import (
    COINCIDENCE_TIME,
    MERGE_TIME,
    SATURATION,
    SLC_PULSES,
    Hits,
    merge_hits,
    noise_hits,
    photomultiplier_hits,
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


def test_mean_charge_is_one_photo_electron() -> None:
    rng = np.random.default_rng(1)
    n = 200_000
    hits = photomultiplier_hits(np.zeros(n, dtype=np.int64), np.zeros(n), rng)
    assert hits.charge.mean() == pytest.approx(1.0, abs=0.005)
    assert hits.charge.min() > 0.05


def test_jitter_and_afterpulses() -> None:
    rng = np.random.default_rng(2)
    n = 100_000
    hits = photomultiplier_hits(np.zeros(n, dtype=np.int64), np.full(n, 100.0), rng)
    assert np.mean(hits.time > 1000.0) * hits.time.size / n == pytest.approx(0.055, abs=0.005)
    prompt = hits.time[np.abs(hits.time - 100.0) < 10.0]
    assert prompt.std() == pytest.approx(2.0, abs=0.05)
    late = np.mean((hits.time > 125.0) & (hits.time < 260.0)) * hits.time.size / n
    assert late == pytest.approx(0.035, abs=0.003)


def test_noise_has_the_measured_rate() -> None:
    window = 1e6
    hits = noise_hits(DETECTOR, (0.0, window), np.random.default_rng(3))
    wanted = 560e-9 * window * DETECTOR.rel_efficiency.sum()
    assert hits.time.size == pytest.approx(wanted, rel=0.1)
    assert hits.time.min() >= 0.0
    assert hits.time.max() < window


def test_dead_modules_make_no_noise() -> None:
    dead = DETECTOR.with_dead([(int(s), int(o)) for s, o in DETECTOR.om_key[:5000]])
    hits = noise_hits(dead, (0.0, 1e6), np.random.default_rng(3))
    assert hits.om_index.min() >= 5000


def test_hits_closer_than_the_resolution_become_one_pulse() -> None:
    merged = merge_hits(
        _hits([(5, 0.0, 1.0), (5, 2.0, 0.5), (5, MERGE_TIME + 0.5, 1.0), (6, 1.0, 2.0)])
    )
    assert merged.om_index.tolist() == [5, 5, 6]
    assert merged.time.tolist() == [0.0, MERGE_TIME + 0.5, 1.0]
    assert merged.charge.tolist() == [1.5, 1.0, 2.0]


def test_a_bright_module_saturates() -> None:
    merged = merge_hits(_hits([(5, 0.0, 900.0), (5, 10.0, 300.0), (5, 100.0, 300.0)]))
    assert merged.charge[0] == SATURATION
    assert merged.charge[1] < 1.0
    assert merged.charge[2] == 300.0


def test_eight_neighbours_trigger_at_ten_microseconds() -> None:
    taken = read_out(_hits(_column_of_light(21, 9)), DETECTOR)
    assert taken is not None
    readout, offset = taken
    assert readout.pulses.time.min() == pytest.approx(10_000.0)
    assert offset == pytest.approx(10_000.0)
    assert readout.pulses.is_hlc.all()
    assert readout.window[0] == pytest.approx(6_000.0)


def test_seven_launches_do_not_trigger() -> None:
    assert read_out(_hits(_column_of_light(21, 7)), DETECTOR) is None


def test_lonely_hits_have_no_local_coincidence_and_keep_few_pulses() -> None:
    lonely = DETECTOR.index_of(50, 30)
    rows = _column_of_light(21, 10) + [(lonely, 100.0 + 20 * i, 1.0) for i in range(5)]
    taken = read_out(merge_hits(_hits(rows)), DETECTOR)
    assert taken is not None
    pulses = taken[0].pulses
    on_lonely = pulses.om_key[:, 0] == 50
    assert on_lonely.sum() == SLC_PULSES
    assert not pulses.is_hlc[on_lonely].any()


def test_coincidence_ends_after_a_microsecond() -> None:
    first = DETECTOR.index_of(40, 10)
    late = COINCIDENCE_TIME + 1
    rows = [*_column_of_light(21, 10), (first, 0.0, 1.0), (first + 1, late, 1.0)]
    taken = read_out(merge_hits(_hits(rows)), DETECTOR)
    assert taken is not None
    pulses = taken[0].pulses
    assert not pulses.is_hlc[pulses.om_key[:, 0] == 40].any()
