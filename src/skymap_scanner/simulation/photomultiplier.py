"""What photomultipliers make of light: charges, jitter, late and early pulses, noise, saturation.

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

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.simulation.photons import PhotoElectrons
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Hits", "noise_hits", "photomultiplier_hits", "single_charges"]

#: Charge of a photo-electron: an exponential with this share and mean [PE], and a Gaussian with
#: mean and width, both cut here, then scaled to a mean of 1 PE (shape [3]_, numbers our choice).
EXPONENTIAL_SHARE: Final = 0.3
EXPONENTIAL_MEAN: Final = 0.3
GAUSSIAN: Final = (1.0, 0.3)
CHARGE_CUT: Final = 0.1
#: Spread of the transit time (about 3 ns full width) with rounding of the electronics [ns] [2]_.
TIME_JITTER: Final = 2.0
#: Fraction of late pulses and the range of their delay [ns] [2]_.
LATE_FRACTION: Final = 0.035
LATE_DELAY: Final = (30.0, 150.0)
#: Prepulses: light that frees its electron at the first dynode, therefore early by the flight of
#: an electron to it [ns] and without that dynode's gain. Below 1 % [2]_; numbers our choice.
PREPULSE_FRACTION: Final = 0.003
PREPULSE_ADVANCE: Final = 30.0
PREPULSE_CHARGE: Final = 0.1
#: Afterpulses: fraction of the charge, mean and width of their Gaussian delay [ns] [1]_.
AFTERPULSE_FRACTION: Final = 0.055
AFTERPULSE_DELAY: Final = (6000.0, 2000.0)
#: Dark noise: uncorrelated rate and rate in bursts [1/ns], sum 560 Hz per standard module [1]_.
POISSON_NOISE: Final = 250e-9
BURST_NOISE: Final = 310e-9
#: Bursts: mean number of hits (our guess), log10 of the interval in seconds (mean, width) [1]_.
BURST_SIZE: Final = 4.0
BURST_INTERVAL: Final = (-6.0, 0.85)
#: Bursts may begin this much before the time for which noise is wanted [ns].
_BURST_LEAD: Final = 300_000.0


@dataclass(frozen=True, slots=True)
class Hits:
    """Charges at the anode in columns: row of the module, time [ns], charge [PE]."""

    om_index: IntArray
    time: FloatArray
    charge: FloatArray

    def sorted(self) -> Hits:
        """Return the hits by module and time."""
        order = np.lexsort((self.time, self.om_index))
        return self.select(order)

    def select(self, chosen: np.ndarray) -> Hits:
        """Return some of the hits."""
        return Hits(self.om_index[chosen], self.time[chosen], self.charge[chosen])

    def joined(self, other: Hits) -> Hits:
        """Return these hits and the others, by module and time."""
        return Hits(
            np.concatenate([self.om_index, other.om_index]),
            np.concatenate([self.time, other.time]),
            np.concatenate([self.charge, other.charge]),
        ).sorted()


def _mixture(n: int, rng: np.random.Generator) -> FloatArray:
    is_exponential = rng.random(n) < EXPONENTIAL_SHARE
    return np.where(is_exponential, rng.exponential(EXPONENTIAL_MEAN, n), rng.normal(*GAUSSIAN, n))


def single_charges(n: int, rng: np.random.Generator) -> FloatArray:
    """Draw charges of single photo-electrons, mean 1 PE [3]_, shape (n,)."""
    drawn = _mixture(n, rng)
    while np.any(low := drawn <= CHARGE_CUT):
        drawn[low] = _mixture(int(low.sum()), rng)
    return np.asarray(drawn / MEAN_CHARGE, dtype=np.float64)


def _mean_charge() -> float:
    """Mean of the mixture above its cut, from both parts' closed forms."""
    mean, width = GAUSSIAN
    below = (CHARGE_CUT - mean) / width
    kept = math.exp(-CHARGE_CUT / EXPONENTIAL_MEAN)
    gauss = 0.5 * math.erfc(below / math.sqrt(2.0))
    excess = width * math.exp(-0.5 * below**2) / math.sqrt(2.0 * math.pi)
    share = EXPONENTIAL_SHARE
    total = share * kept * (CHARGE_CUT + EXPONENTIAL_MEAN) + (1 - share) * (mean * gauss + excess)
    return total / (share * kept + (1 - share) * gauss)


#: Mean of the mixture before scaling.
MEAN_CHARGE: Final = _mean_charge()


def photomultiplier_hits(light: PhotoElectrons, rng: np.random.Generator) -> Hits:
    """Turn photo-electrons into charges at the anode.

    Parameters
    ----------
    light : PhotoElectrons
        Module, time at the photocathode [ns] and how many photo-electrons come together.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Hits
        By module and time, with jitter, late pulses, prepulses and afterpulses.
    """
    n = light.time.size
    kind = rng.random(n)
    is_late = kind < LATE_FRACTION
    is_early = kind > 1.0 - PREPULSE_FRACTION
    time = light.time + rng.normal(0.0, TIME_JITTER, n)
    time += np.where(is_late, rng.uniform(*LATE_DELAY, n), 0.0) - is_early * PREPULSE_ADVANCE
    charge = light.weight * single_charges(n, rng) * np.where(is_early, PREPULSE_CHARGE, 1.0)

    n_after = np.where(light.weight > 1.0, 1, rng.random(n) < AFTERPULSE_FRACTION)
    after = np.flatnonzero(n_after)
    weight = np.where(light.weight > 1.0, light.weight * AFTERPULSE_FRACTION, 1.0)[after]
    delay = np.abs(rng.normal(*AFTERPULSE_DELAY, after.size))
    return Hits(
        np.concatenate([light.om_index, light.om_index[after]]),
        np.concatenate([time, time[after] + delay]),
        np.concatenate([charge, weight * single_charges(after.size, rng)]),
    ).sorted()


def noise_hits(detector: Detector, window: tuple[float, float], rng: np.random.Generator) -> Hits:
    """Draw the dark noise of every live module: Poisson and correlated bursts.

    Parameters
    ----------
    detector : Detector
        Rates are in proportion to the modules' efficiencies; dead ones have none.
    window : tuple of float
        Begin and end of the time for which noise is wanted [ns].
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Hits
        By module and time.
    """
    start, stop = window
    efficiency = np.where(detector.is_alive, detector.rel_efficiency, 0.0)
    modules = np.arange(efficiency.size)
    single = np.repeat(modules, rng.poisson(efficiency * POISSON_NOISE * (stop - start)))
    # A burst lasts longer than an event; some began before it.
    early = start - _BURST_LEAD
    n_bursts = rng.poisson(efficiency * BURST_NOISE / BURST_SIZE * (stop - early))
    first = np.repeat(modules, n_bursts)
    burst_om, burst_time = _bursts(first, rng.uniform(early, stop, first.size), rng)
    inside = (burst_time >= start) & (burst_time < stop)
    om_index = np.concatenate([single, burst_om[inside]]).astype(np.int64)
    time = np.concatenate([rng.uniform(start, stop, single.size), burst_time[inside]])
    return Hits(om_index, time, single_charges(time.size, rng)).sorted()


def _bursts(
    module: IntArray, start: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Modules and times of all hits of bursts that start at given times."""
    size = rng.geometric(1.0 / BURST_SIZE, module.size)
    gap = 1e9 * 10.0 ** rng.normal(*BURST_INTERVAL, int(size.sum()))
    begins = np.cumsum(size) - size
    gap[begins] = 0.0
    elapsed = np.cumsum(gap)
    return np.repeat(module, size), elapsed - np.repeat(elapsed[begins] - start, size)
