"""Remove late and stray pulses, and say from when on the modules that had them must not be used.

What is removed from the pulses must also be removed from the expectation: with the pulses that stay
come time windows per module in which its data does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event.pulses import weighted_quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from skymap_scanner.event.event import Event
    from skymap_scanner.event.pulses import BoolArray, PulseSeries

__all__ = [
    "LATE_RESIDUAL",
    "CleanedPulses",
    "clean_stray_pulses",
    "cut_late_pulses",
    "is_in_live_time",
]

#: Frame key of the windows in which waveforms are unreliable.
_ERRATA: Final = "CalibrationErrata"
#: Pulses this much later than the median of their module are afterpulses and the like [ns].
LATE_RESIDUAL: Final = 1500.0
#: The event lasts from the first to the second quantile of its charge, and this much on both sides.
_EVENT_QUANTILES: Final = (0.10, 0.95)
_EVENT_MARGIN: Final = 1000.0  # [ns]
#: A module whose consecutive pulses are typically farther apart than this saw only noise [ns].
_NOISE_GAP: Final = 1200.0


@dataclass(frozen=True, slots=True, eq=False)
class CleanedPulses:
    """Pulses that stay, and where data counts.

    Attributes
    ----------
    series : PulseSeries
        The pulses.
    window : tuple of float
        Begin and end of the time in which data counts [ns].
    ends : dict of int to float
        Row of a module -> time from which on its data does not count [ns].
    """

    series: PulseSeries
    window: tuple[float, float]
    ends: dict[int, float]

    def dead_time(self, event: Event) -> dict[int, list[tuple[float, float]]]:
        """Return per module when its data does not count: from its end on, and while unreliable."""
        errata = event.excluded_windows.get(_ERRATA, {})
        dead = {om: list(spans) for om, spans in errata.items()}
        for om, end in self.ends.items():
            dead.setdefault(om, []).append((end, math.inf))
        return dead


def cut_late_pulses(
    series: PulseSeries, window: tuple[float, float], residual: float = LATE_RESIDUAL
) -> CleanedPulses:
    """Cut each module's pulses that come long after its median time (`millipede_original`).

    Parameters
    ----------
    series : PulseSeries
        Pulses.
    window : tuple of float
        Readout window [ns]; handed through.
    residual : float
        Pulses from this long after the charge-weighted median on are late [ns]. A module with one
        pulse keeps it.

    Returns
    -------
    CleanedPulses
        `ends` has the modules that lost pulses.
    """
    keep = np.ones(len(series), dtype=np.bool_)
    ends = {}
    for om, rows in _modules(series):
        if rows.stop - rows.start < 2:
            continue
        end = _median(series, rows) + residual
        keep[rows] = series.time[rows] < end
        if not keep[rows].all():
            ends[om] = end
    return CleanedPulses(series.select(keep), window, ends)


def clean_stray_pulses(series: PulseSeries, residual: float = LATE_RESIDUAL) -> CleanedPulses:
    """Cut pulses outside the event, late pulses, and modules of noise alone (`millipede_wilks`).

    The event's window goes from 1000 ns before the 10 % quantile of the charge to 1000 ns after the
    95 % quantile, within the pulses there are. A module with at least two differences of
    consecutive times whose median exceeds 1200 ns saw correlated noise: it loses all its pulses.

    Parameters
    ----------
    series : PulseSeries
        Pulses.
    residual : float
        As for `cut_late_pulses` [ns].

    Returns
    -------
    CleanedPulses
        `ends` has the modules that lost any pulse but not all as noise.
    """
    if len(series) == 0 or not series.total_charge > 0.0:
        return CleanedPulses(series.select(np.zeros(len(series), np.bool_)), (0.0, 0.0), {})
    low, high = (weighted_quantile(series.time, series.charge, q) for q in _EVENT_QUANTILES)
    begin = max(low - _EVENT_MARGIN, float(series.time.min()))
    end = min(high + _EVENT_MARGIN, float(series.time.max()))
    keep = np.ones(len(series), dtype=np.bool_)
    ends = {}
    for om, rows in _modules(series):
        gaps = np.diff(np.sort(series.time[rows]))
        if gaps.size >= 2 and np.median(gaps) > _NOISE_GAP:
            keep[rows] = False
            continue
        last = min(_median(series, rows) + residual, end)
        keep[rows] = (series.time[rows] >= begin) & (series.time[rows] < last)
        if not keep[rows].all():
            ends[om] = last
    return CleanedPulses(series.select(keep), (begin, end), ends)


def is_in_live_time(
    series: PulseSeries,
    window: tuple[float, float],
    dead: Mapping[int, Sequence[tuple[float, float]]],
) -> BoolArray:
    """Tell which pulses come while the data of their module counts.

    Parameters
    ----------
    series : PulseSeries
        Pulses; those outside `window` count as at its ends.
    window : tuple of float
        Begin and end of the time in which data counts [ns].
    dead : mapping of int to sequence of (float, float)
        Row of a module -> intervals in which its data does not count [ns].

    Returns
    -------
    ndarray of bool, shape (n_pulses,)
    """
    begin, end = window
    time = np.clip(series.time, begin, np.nextafter(end, begin))
    is_live = np.ones(len(series), dtype=np.bool_)
    for om, rows in _modules(series):
        for first, last in dead.get(om, ()):
            is_live[rows] &= ~((time[rows] >= first) & (time[rows] < last))
    return is_live


def _modules(series: PulseSeries) -> Iterator[tuple[int, slice]]:
    """Yield the row of each hit module in the detector, and where its pulses are."""
    for start, stop in pairwise([*series.dom_starts(), len(series)]):
        yield int(series.om_index[start]), slice(int(start), int(stop))


def _median(series: PulseSeries, rows: slice) -> float:
    """Return the charge-weighted median time of one module [ns]; the plain one without charge."""
    charge = series.charge[rows]
    weights = charge if charge.sum() > 0.0 else np.ones_like(charge)
    return weighted_quantile(series.time[rows], weights, 0.5)
