"""Rate, forecast and time left."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.scan.progress import RateMeter, expected_pixels, take_progress
from skymap_scanner.scan.state import FitReceived, ScanStarted, ScanState
from skymap_scanner.sky.progression import DEFAULT_PROGRESSION, NSideProgression
from skymap_scanner.sky.region import Cone

FIT = Fit(FitStatus.OK, "", 1.0, (0.0, 0.0, 0.0), 0.0, 0.0, 0.0, 0.0, 1)


def test_rate_is_that_of_the_window() -> None:
    meter = RateMeter(start_s=0.0, window_s=10.0)
    for second in range(1, 101):
        meter.add(float(second), n_done=second if second <= 50 else 50 + 3 * (second - 50))
    assert meter.rate == pytest.approx(3.0)
    assert meter.mean_rate == pytest.approx(2.0)
    assert meter.elapsed_s == 100.0


def test_meter_without_time_has_no_rate() -> None:
    meter = RateMeter(start_s=5.0)
    assert meter.rate == meter.mean_rate == 0.0
    meter.add(5.0, n_done=10)
    assert meter.rate == 0.0
    meter.add(4.0, n_done=10)
    assert meter.elapsed_s == 0.0


def test_meter_keeps_few_samples_and_still_knows_the_rate() -> None:
    meter = RateMeter(start_s=0.0, window_s=60.0)
    for n_done in range(100_000):
        meter.add(n_done / 1000, n_done)
    assert len(meter._samples) < 200
    assert meter.rate == pytest.approx(1000.0, rel=0.01)


def test_silence_lowers_the_rate() -> None:
    meter = RateMeter(start_s=0.0, window_s=10.0)
    meter.add(10.0, n_done=100)
    for second in range(11, 60):
        meter.add(float(second), n_done=100)
    assert meter.rate == 0.0
    assert meter.mean_rate > 0.0


def test_levels_not_begun_are_forecast_from_their_area() -> None:
    state = ScanState(DEFAULT_PROGRESSION, 7)
    state.handle(ScanStarted())
    assert expected_pixels(DEFAULT_PROGRESSION, state.counts()) == (768, 768, 1536)


def test_forecast_never_exceeds_the_sky_or_the_region() -> None:
    progression = NSideProgression.parse(["1:0", "2:1000", "4:1000"])
    state = ScanState(progression, 1)
    state.handle(ScanStarted())
    assert expected_pixels(progression, state.counts()) == (12, 48, 192)
    cone = Cone.from_degrees(0.0, 0.0, 5.0)
    state = ScanState(DEFAULT_PROGRESSION, 1, region=cone)
    state.handle(ScanStarted())
    coarse, middle, fine = expected_pixels(DEFAULT_PROGRESSION, state.counts(), cone)
    assert coarse == len(cone.overlapping(8))
    assert middle == pytest.approx(len(cone.pixels(64)), abs=10)
    assert fine <= 1536


def test_pointed_scan_is_forecast_from_its_pixels() -> None:
    state = ScanState(DEFAULT_PROGRESSION, 1, first_pixels=np.array([5]))
    state.handle(ScanStarted())
    assert expected_pixels(DEFAULT_PROGRESSION, state.counts()) == (1, 64, 1536)


def test_snapshot_tells_how_far_the_scan_is() -> None:
    progression = NSideProgression.parse(["1:0"])
    state = ScanState(progression, 2, max_failed_fraction=0.5)
    state.handle(ScanStarted())
    meter = RateMeter(start_s=0.0)
    before = take_progress(state, meter, 1.0)
    assert (before.n_done, before.n_sent, before.n_expected) == (0, 24, 24)
    assert before.time_left_s is None
    assert before.best is None
    for ipix in range(6):
        state.handle(FitReceived((1, ipix, 0), FIT))
        state.handle(FitReceived((1, ipix, 1), Fit.failed("no light")))
    half = take_progress(state, meter, 6.0)
    assert (half.n_done, half.n_failed, half.fraction) == (12, 6, 0.5)
    assert half.rate == pytest.approx(2.0)
    assert half.time_left_s == pytest.approx(6.0)
    assert half.best == (1, 0, 1.0)
    assert (half.levels[0].n_done, half.levels[0].n_sent, half.levels[0].n_failed) == (6, 12, 0)
    for ipix in range(6, 12):
        state.handle(FitReceived((1, ipix, 0), FIT))
        state.handle(FitReceived((1, ipix, 1), FIT))
    after = take_progress(state, meter, 7.0)
    assert after.fraction == 1.0
    assert after.time_left_s == 0.0


def test_finished_scan_expects_nothing_more() -> None:
    progression = NSideProgression.parse(["1:0", "2:1"])
    state = ScanState(progression, 1, first_pixels=np.array([0]), max_failed_fraction=0.0)
    state.handle(ScanStarted())
    state.handle(FitReceived((1, 0, 0), Fit.failed("no light")))
    progress = take_progress(state, RateMeter(start_s=0.0), 1.0)
    assert progress.n_expected == 1
    assert progress.time_left_s == 0.0
