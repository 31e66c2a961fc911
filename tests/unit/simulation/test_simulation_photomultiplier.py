"""Each effect of the photomultiplier against the distribution that it is drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.simulation.photomultiplier import (
    BURST_INTERVAL,
    BURST_NOISE,
    CHARGE_CUT,
    EXPONENTIAL_MEAN,
    EXPONENTIAL_SHARE,
    GAUSSIAN,
    MEAN_CHARGE,
    POISSON_NOISE,
    PREPULSE_ADVANCE,
    _bursts,
    noise_hits,
    photomultiplier_hits,
    single_charges,
)
from skymap_scanner.simulation.photons import PhotoElectrons

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

DETECTOR = built_in_detector()


def _flash(n: int, time: float, weight: float = 1.0) -> PhotoElectrons:
    return PhotoElectrons(np.zeros(n, dtype=np.int64), np.full(n, time), np.full(n, weight))


def test_charges_follow_exponential_and_gaussian_above_the_cut() -> None:
    charge = single_charges(50_000, np.random.default_rng(1)) * MEAN_CHARGE

    def mixture(x: FloatArray) -> FloatArray:
        exponential = stats.expon.cdf(x, scale=EXPONENTIAL_MEAN)
        gaussian = stats.norm.cdf(x, *GAUSSIAN)
        return np.asarray(EXPONENTIAL_SHARE * exponential + (1 - EXPONENTIAL_SHARE) * gaussian)

    below = mixture(np.array(CHARGE_CUT))
    quantile = (mixture(charge) - below) / (1.0 - below)
    assert stats.kstest(quantile, "uniform").pvalue > 0.01


def test_mean_charge_is_one_photo_electron() -> None:
    charge = single_charges(200_000, np.random.default_rng(1))
    assert charge.mean() == pytest.approx(1.0, abs=0.005)
    assert charge.min() > CHARGE_CUT


def test_transit_times_jitter_by_two_nanoseconds() -> None:
    hits = photomultiplier_hits(_flash(100_000, 100.0), np.random.default_rng(2))
    prompt = hits.time[np.abs(hits.time - 100.0) < 12.0]
    assert prompt.mean() == pytest.approx(100.0, abs=0.03)
    assert prompt.std() == pytest.approx(2.0, abs=0.03)


def test_late_pulses_are_3_to_4_percent_evenly_between_30_and_150_ns() -> None:
    n = 200_000
    hits = photomultiplier_hits(_flash(n, 100.0), np.random.default_rng(3))
    late = hits.time[(hits.time > 120.0) & (hits.time < 260.0)]
    assert late.size / n == pytest.approx(0.035, abs=0.0015)
    assert late.mean() - 100.0 == pytest.approx(90.0, abs=1.0)
    assert late.std() == pytest.approx(120.0 / np.sqrt(12.0), abs=1.0)


def test_prepulses_are_rare_early_and_small() -> None:
    n = 400_000
    hits = photomultiplier_hits(_flash(n, 100.0), np.random.default_rng(4))
    early = hits.time < 85.0
    assert early.sum() / n == pytest.approx(0.003, abs=0.0003)
    assert hits.time[early].mean() == pytest.approx(100.0 - PREPULSE_ADVANCE, abs=0.3)
    assert hits.charge[early].mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("weight", [1.0, 50.0])
def test_afterpulses_are_5_to_6_percent_of_the_charge_around_6_microseconds(weight: float) -> None:
    n = 100_000
    hits = photomultiplier_hits(_flash(n, 100.0, weight), np.random.default_rng(5))
    after = hits.time > 1000.0
    charge = hits.charge[after]
    assert charge.sum() / (n * weight) == pytest.approx(0.055, abs=0.002)
    mean = np.average(hits.time[after] - 100.0, weights=charge)
    spread = np.sqrt(np.average((hits.time[after] - 100.0 - mean) ** 2, weights=charge))
    assert mean == pytest.approx(6000.0, abs=60.0)
    assert spread == pytest.approx(2000.0, abs=60.0)


def test_charge_of_bunches_is_conserved() -> None:
    hits = photomultiplier_hits(_flash(20_000, 0.0, 30.0), np.random.default_rng(6))
    assert hits.charge.sum() == pytest.approx(20_000 * 30.0 * 1.052, rel=0.02)


@pytest.mark.parametrize("window", [1e6, 3.6e4])
def test_noise_has_the_measured_rate_in_long_and_short_windows(window: float) -> None:
    rng = np.random.default_rng(7)
    n_windows = max(1, round(1e6 / window))
    counts = [noise_hits(DETECTOR, (-5e3, window - 5e3), rng) for _ in range(n_windows)]
    wanted = 560e-9 * window * n_windows * DETECTOR.rel_efficiency.sum()
    assert sum(hits.time.size for hits in counts) == pytest.approx(wanted, rel=0.08)
    assert min(hits.time.min() for hits in counts) >= -5e3
    assert max(hits.time.max() for hits in counts) < window - 5e3


def test_efficient_modules_are_noisier() -> None:
    hits = noise_hits(DETECTOR, (0.0, 2e7), np.random.default_rng(8))
    count = np.bincount(hits.om_index, minlength=DETECTOR.n_om)
    is_high = DETECTOR.rel_efficiency > 1.2
    assert count[is_high].mean() / count[~is_high].mean() == pytest.approx(780 / 560, rel=0.06)
    assert count[~is_high].mean() / 2e7 == pytest.approx(POISSON_NOISE + BURST_NOISE, rel=0.03)


def test_intervals_in_bursts_are_log_normal() -> None:
    n = 4000
    start = 1e9 * np.arange(n, dtype=np.float64)
    module, time = _bursts(np.arange(n), start, np.random.default_rng(9))
    same = np.diff(module) == 0
    interval = np.diff(time)[same]
    # nanoseconds beside 1e12 ns: the shortest intervals are lost in rounding
    logarithm = np.log10(interval[interval > 0.01] * 1e-9)
    assert np.bincount(module).mean() == pytest.approx(4.0, abs=0.15)
    assert stats.kstest(logarithm, stats.norm(*BURST_INTERVAL).cdf).pvalue > 0.01


def test_dead_modules_make_no_noise() -> None:
    dead = DETECTOR.with_dead([(int(s), int(o)) for s, o in DETECTOR.om_key[:5000]])
    hits = noise_hits(dead, (0.0, 1e6), np.random.default_rng(3))
    assert hits.om_index.min() >= 5000
