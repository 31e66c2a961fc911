"""From photo-electrons to pulses: what a photomultiplier and its electronics make of light.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 12 (2017) P03012, :doi:`10.1088/1748-0221/12/03/P03012`
.. [2] R. Abbasi et al. (IceCube), NIM A 618 (2010) 139, :doi:`10.1016/j.nima.2010.03.102`
.. [3] M. G. Aartsen et al. (IceCube), JINST 15 (2020) P06032
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.i3 import PulseMap

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Hits", "Readout", "merge_hits", "noise_hits", "photomultiplier_hits", "read_out"]

#: Spread of the transit time (about 3 ns full width) with rounding of the electronics [ns] [2]_.
TIME_JITTER: Final = 2.0
#: Fraction of late pulses and the range of their delay [ns] [2]_.
LATE_FRACTION: Final = 0.035
LATE_DELAY: Final = (30.0, 150.0)
#: Afterpulses: fraction of the charge, mean and width of their Gaussian delay [ns] [1]_.
AFTERPULSE_FRACTION: Final = 0.055
AFTERPULSE_DELAY: Final = (6000.0, 2000.0)
#: Dark noise: uncorrelated rate and rate in bursts [1/ns], sum 560 Hz per standard module [1]_.
POISSON_NOISE: Final = 250e-9
BURST_NOISE: Final = 310e-9
#: Bursts: mean number of hits (our guess), log10 of the interval in seconds (mean, width) [1]_.
BURST_SIZE: Final = 4.0
BURST_INTERVAL: Final = (-6.0, 0.85)
#: Hits of one module closer than this become one pulse [ns].
MERGE_TIME: Final = 3.0
#: A photomultiplier gives at most this charge in any 25 ns [PE] (our guess of its saturation).
SATURATION: Final = 500.0
SATURATION_TIME: Final = 25.0
#: Digitisation after a launch [ns]; a hit later than this launches the module again [1]_.
LAUNCH_LENGTH: Final = 6400.0
#: Two launches on neighbouring modules within this time are hard local coincidence [ns] [1]_.
COINCIDENCE_TIME: Final = 1000.0
#: Trigger: hard-coincident launches within a time [ns]; readout around it [ns] [1]_.
TRIGGER_LAUNCHES: Final = 8
TRIGGER_TIME: Final = 5000.0
READOUT: Final = (4000.0, 6000.0)
#: A module without local coincidence keeps this many pulses per launch (its waveform is short).
SLC_PULSES: Final = 2

_HLC_FLAGS, _SLC_FLAGS = 7, 4  # LC | ATWD | FADC, FADC alone
_ATWD_WIDTH, _FADC_WIDTH = 1.0, 8.0  # [ns], typical of real pulses


@dataclass(frozen=True, slots=True)
class Hits:
    """Photo-electrons in columns: row of the module in the detector, time [ns], charge [PE]."""

    om_index: IntArray
    time: FloatArray
    charge: FloatArray

    def sorted(self) -> Hits:
        """Return the hits by module and time."""
        order = np.lexsort((self.time, self.om_index))
        return Hits(self.om_index[order], self.time[order], self.charge[order])

    def joined(self, other: Hits) -> Hits:
        """Return these hits and the others, by module and time."""
        return Hits(
            np.concatenate([self.om_index, other.om_index]),
            np.concatenate([self.time, other.time]),
            np.concatenate([self.charge, other.charge]),
        ).sorted()


def _charges(n: int, rng: np.random.Generator) -> FloatArray:
    """Charge of single photo-electrons: an exponential and a Gaussian, mean 1 PE [3]_."""
    drawn = np.where(rng.random(n) < 0.3, rng.exponential(0.3, n), rng.normal(1.0, 0.3, n))
    while np.any(low := drawn <= 0.1):
        again = int(low.sum())
        drawn[low] = np.where(
            rng.random(again) < 0.3, rng.exponential(0.3, again), rng.normal(1.0, 0.3, again)
        )
    return np.asarray(drawn / _MEAN_CHARGE, dtype=np.float64)


def _mean_charge() -> float:
    """Mean of the mixture after the cut at 0.1 PE (closed form of its exponential part)."""
    kept = np.exp(-0.1 / 0.3)
    gauss = 1.0 - 0.5 * math.erfc(0.9 / (0.3 * math.sqrt(2.0)))
    tail = 0.3 * np.exp(-4.5) / np.sqrt(2 * np.pi)  # Gaussian mean above the cut minus its norm
    weight = 0.3 * kept + 0.7 * gauss
    return float((0.3 * kept * 0.4 + 0.7 * (gauss + tail)) / weight)


_MEAN_CHARGE: Final = _mean_charge()


def photomultiplier_hits(om_index: IntArray, arrival: FloatArray, rng: np.random.Generator) -> Hits:
    """Turn photo-electrons into hits: charge, jitter, late pulses and afterpulses.

    Parameters
    ----------
    om_index : ndarray of int, shape (n,)
        Row of the module of each photo-electron.
    arrival : ndarray, shape (n,)
        Time at the photocathode [ns].
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Hits
        By module and time; afterpulses included.
    """
    n = arrival.size
    late = rng.random(n) < LATE_FRACTION
    time = arrival + rng.normal(0.0, TIME_JITTER, n) + late * rng.uniform(*LATE_DELAY, n)
    after = np.flatnonzero(rng.random(n) < AFTERPULSE_FRACTION)
    delay = np.abs(rng.normal(*AFTERPULSE_DELAY, after.size))
    return Hits(
        np.concatenate([om_index, om_index[after]]),
        np.concatenate([time, time[after] + delay]),
        _charges(n + after.size, rng),
    ).sorted()


def noise_hits(detector: Detector, window: tuple[float, float], rng: np.random.Generator) -> Hits:
    """Dark noise of every live module in a time window [ns]: Poisson and correlated bursts."""
    start, stop = window
    rate = np.where(detector.is_alive, detector.rel_efficiency, 0.0) * (stop - start)
    single = np.repeat(np.arange(rate.size), rng.poisson(rate * POISSON_NOISE))
    bursts = np.repeat(np.arange(rate.size), rng.poisson(rate * BURST_NOISE / BURST_SIZE))
    rows, times = [single], [rng.uniform(start, stop, single.size)]
    for row in bursts:
        size = int(rng.geometric(1.0 / BURST_SIZE))
        gaps = 1e9 * 10.0 ** rng.normal(*BURST_INTERVAL, size)
        train = rng.uniform(start, stop) + np.cumsum(gaps) - gaps[0]
        rows.append(np.full(size, row))
        times.append(train)
    om_index, time = np.concatenate(rows), np.concatenate(times)
    inside = time < stop
    om_index, time = om_index[inside], time[inside]
    return Hits(om_index.astype(np.int64), time, _charges(time.size, rng)).sorted()


def merge_hits(hits: Hits) -> Hits:
    """Join hits of a module that are too close to be told apart, and limit the charge.

    Hits within `MERGE_TIME` of the first of a group become one pulse with the time of the first;
    the charge in any `SATURATION_TIME` after it is limited to `SATURATION`.
    """
    hits = hits.sorted()
    rows: list[tuple[int, float, float]] = []
    for module, time, charge in zip(
        hits.om_index.tolist(), hits.time.tolist(), hits.charge.tolist(), strict=True
    ):
        if rows and rows[-1][0] == module and time - rows[-1][1] <= MERGE_TIME:
            rows[-1] = (module, rows[-1][1], rows[-1][2] + charge)
        else:
            rows.append((module, time, charge))
    om_index = np.array([row[0] for row in rows], dtype=np.int64)
    time = np.array([row[1] for row in rows], dtype=np.float64)
    charge = np.array([row[2] for row in rows], dtype=np.float64)
    left = _left_before_saturation(om_index, time, charge)
    return Hits(om_index, time, np.minimum(charge, left))


def _left_before_saturation(om_index: IntArray, time: FloatArray, charge: FloatArray) -> FloatArray:
    """Charge each pulse may still have after those of the same module just before it [PE]."""
    left = np.full(charge.size, SATURATION)
    for i in np.flatnonzero(charge > 0.02 * SATURATION):
        j = i - 1
        while j >= 0 and om_index[j] == om_index[i] and time[i] - time[j] < SATURATION_TIME:
            left[i] -= charge[j]
            j -= 1
    limited: FloatArray = np.maximum(left, 0.05)
    return limited


@dataclass(frozen=True, slots=True)
class Readout:
    """Pulses on the event's clock, and the readout window on it [ns]."""

    pulses: PulseMap
    window: tuple[float, float]


def read_out(hits: Hits, detector: Detector) -> tuple[Readout, float] | None:
    """Apply local coincidence, trigger and readout window.

    Parameters
    ----------
    hits : Hits
        Pulses of all modules (`merge_hits`), by module and time.
    detector : Detector
        Geometry.

    Returns
    -------
    (Readout, float) or None
        The trigger comes at 10 us of the event's clock, which is this offset [ns] ahead of that
        of `hits`; None when the detector does not trigger.
    """
    launch, starts = _launches(hits)
    is_hlc = _hard_coincident(hits, starts, detector)
    trigger = _trigger_time(np.sort(hits.time[starts][is_hlc]))
    if trigger is None:
        return None
    first, last = trigger
    rank = np.arange(hits.time.size) - starts[launch]
    window = (first - READOUT[0], last + READOUT[1])
    keep = (is_hlc[launch] | (rank < SLC_PULSES)) & (hits.time >= window[0])
    keep &= hits.time <= window[1]
    offset = 10_000.0 - first
    hlc = is_hlc[launch][keep]
    key = detector.om_key[hits.om_index[keep]]
    pulses = PulseMap(
        om_key=np.column_stack([key, np.zeros(len(key), dtype=key.dtype)]),
        time=hits.time[keep] + offset,
        charge=hits.charge[keep],
        width=np.where(hlc, _ATWD_WIDTH, _FADC_WIDTH),
        flags=np.where(hlc, _HLC_FLAGS, _SLC_FLAGS).astype(np.uint8),
    )
    return Readout(pulses, (window[0] + offset, window[1] + offset)), offset


def _launches(hits: Hits) -> tuple[IntArray, IntArray]:
    """Return the number of the launch of every hit, and the first hit of every launch."""
    number = np.empty(hits.time.size, dtype=np.int64)
    starts: list[int] = []
    for i in range(hits.time.size):
        begin = starts[-1] if starts else -1
        same = begin >= 0 and hits.om_index[begin] == hits.om_index[i]
        if not same or hits.time[i] - hits.time[begin] > LAUNCH_LENGTH:
            starts.append(i)
        number[i] = len(starts) - 1
    return number, np.array(starts, dtype=np.int64)


def _hard_coincident(hits: Hits, starts: IntArray, detector: Detector) -> np.ndarray:
    """Tell which launches have a launch on one of the two modules above or below in time."""
    key = detector.om_key[hits.om_index[starts]]
    time = hits.time[starts]
    by_module: dict[tuple[int, int], list[float]] = {}
    for (string, om), when in zip(key.tolist(), time.tolist(), strict=True):
        by_module.setdefault((string, om), []).append(when)
    return np.array(
        [
            any(
                abs(when - other) <= COINCIDENCE_TIME
                for step in (-2, -1, 1, 2)
                for other in by_module.get((string, om + step), ())
            )
            for (string, om), when in zip(key.tolist(), time.tolist(), strict=True)
        ],
        dtype=bool,
    )


def _trigger_time(time: FloatArray) -> tuple[float, float] | None:
    """First and last launch of all windows that hold enough launches; None without any."""
    if time.size < TRIGGER_LAUNCHES:
        return None
    back = TRIGGER_LAUNCHES - 1
    fires = np.flatnonzero(time[back:] - time[:-back] <= TRIGGER_TIME)
    if fires.size == 0:
        return None
    return float(time[fires[0]]), float(time[fires[-1] + back])
