"""Choose the pulses that belong to the event: seeded radius-time cleaning, time window, strings.

The chain for tracks, in this order: `seeded_rt`, `best_window`, strings without DeepCore. Its
module count, pulse count and total charge are the three numbers that alert messages carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.event import Event
    from skymap_scanner.event.pulses import BoolArray, PulseSeries
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "RT_MIN_NEIGHBOURS",
    "RT_N_ITERATIONS",
    "RT_RADIUS",
    "RT_TIME",
    "TRACK_WINDOW",
    "best_window",
    "clean_for_tracks",
    "clean_series_for_tracks",
    "seeded_rt",
]

#: Settings of IceCube's online seeded RT cleaning ("ClassicRT", seeds "HLCCoreHits").
RT_RADIUS: Final = 150.0  # [m]
RT_TIME: Final = 1000.0  # [ns]
RT_MIN_NEIGHBOURS: Final = 2
RT_N_ITERATIONS: Final = 3
#: Length of the time window of the online muon filter [ns].
TRACK_WINDOW: Final = 6000.0


def seeded_rt(
    series: PulseSeries,
    detector: Detector,
    *,
    radius: float = RT_RADIUS,
    time: float = RT_TIME,
    min_neighbours: int = RT_MIN_NEIGHBOURS,
    n_iterations: int = RT_N_ITERATIONS,
) -> BoolArray:
    """Keep pulses connected in space and time to a core of local-coincidence pulses.

    Two pulses are linked when their modules are at most `radius` apart and their times at most
    `time`; pulses of one module have distance zero. The core are the HLC pulses linked to at
    least `min_neighbours` other HLC pulses; then, at most `n_iterations` times, every pulse is
    added that is linked to one of those added just before.

    Parameters
    ----------
    series : PulseSeries
        All pulses.
    detector : Detector
        The modules that `series` refers to.
    radius, time : float
        Largest distance of linked modules [m] and of their pulses in time [ns].
    min_neighbours : int
        HLC pulses that a core pulse is linked to, itself not counted.
    n_iterations : int
        Growth steps.

    Returns
    -------
    ndarray of bool, shape (n_pulses,)
        True for the pulses to keep.

    Notes
    -----
    Links are counted, never listed: per pair of close modules two binary searches in the sorted
    times. Memory grows with the number of pulses plus that of close module pairs.
    """
    links = _LinkCounter(series, detector, radius, time)
    is_hlc = series.is_hlc
    # A pulse is its own neighbour for the counter.
    core = np.flatnonzero(is_hlc)
    is_kept = np.zeros(len(series), dtype=np.bool_)
    is_kept[core[links.has_links(core, is_hlc, min_neighbours + 1)]] = True
    is_new = is_kept.copy()
    for _ in range(n_iterations):
        if not is_new.any():
            break
        candidates = np.flatnonzero(~is_kept)
        added = candidates[links.has_links(candidates, is_new, 1)]
        is_new = np.zeros_like(is_kept)
        is_new[added] = True
        is_kept |= is_new
    return is_kept


def best_window(series: PulseSeries, length: float = TRACK_WINDOW) -> BoolArray:
    """Keep the pulses inside the time window that holds the most of them.

    Candidates start at a pulse time and include both ends; of equal counts the earliest wins.

    Parameters
    ----------
    series : PulseSeries
        Pulses, any number.
    length : float
        Length of the window [ns].

    Returns
    -------
    ndarray of bool, shape (n_pulses,)
        True for the pulses to keep.
    """
    if len(series) == 0:
        return np.zeros(0, dtype=np.bool_)
    times = np.sort(series.time)
    counts = np.searchsorted(times, times + length, side="right") - np.searchsorted(times, times)
    start = times[np.argmax(counts)]
    is_inside: BoolArray = (series.time >= start) & (series.time <= start + length)
    return is_inside


def clean_series_for_tracks(series: PulseSeries, detector: Detector) -> PulseSeries:
    """Apply `seeded_rt`, `best_window` and the cut on DeepCore strings, in this order.

    Parameters
    ----------
    series : PulseSeries
        All pulses.
    detector : Detector
        The modules that `series` refers to.

    Returns
    -------
    PulseSeries
        What is left, possibly nothing.
    """
    connected = series.select(seeded_rt(series, detector))
    in_time = connected.select(best_window(connected))
    return in_time.select(~detector.is_deepcore[in_time.om_index])


def clean_for_tracks(event: Event) -> PulseSeries:
    """Return the pulses of `event` that track reconstructions use (`clean_series_for_tracks`)."""
    return clean_series_for_tracks(event.pulses, event.detector)


class _LinkCounter:
    """Tells which pulses have enough links to a chosen subset of the pulses.

    Times become ranks among all pulse times, so that (module, rank) is one integer and the
    subset's pulses in a time window at one module are the gap between two binary searches.
    """

    def __init__(
        self, series: PulseSeries, detector: Detector, radius: float, time_span: float
    ) -> None:
        self._n_pulses = len(series)
        self._hit_oms, self._dom = np.unique(series.om_index, return_inverse=True)
        times = np.sort(series.time)
        self._rank = np.searchsorted(times, series.time)
        self._rank_low = np.searchsorted(times, series.time - time_span, side="left")
        self._rank_high = np.searchsorted(times, series.time + time_span, side="right")
        self._xyz = detector.om_xyz[self._hit_oms]
        self._radius = radius

    def has_links(self, pulses: IntArray, is_target: BoolArray, n_links: int) -> BoolArray:
        """Tell per pulse of `pulses` whether it is linked to at least `n_links` of the targets."""
        codes = np.sort((self._dom * (self._n_pulses + 1) + self._rank)[is_target])
        target_doms = np.unique(self._dom[is_target])
        starts, neighbours = self._close_doms(np.unique(self._dom[pulses]), target_doms)
        n_found = np.zeros(len(pulses), dtype=np.int64)
        open_rows = np.arange(len(pulses))
        # Nearest modules first: most pulses have found enough links after the first few.
        for step in range(int(np.max(np.diff(starts), initial=0))):
            slots = starts[self._dom[pulses[open_rows]]] + step
            has_slot = slots < starts[self._dom[pulses[open_rows]] + 1]
            open_rows, slots = open_rows[has_slot], slots[has_slot]
            offset = neighbours[slots] * (self._n_pulses + 1)
            chosen = pulses[open_rows]
            n_found[open_rows] += np.searchsorted(codes, offset + self._rank_high[chosen])
            n_found[open_rows] -= np.searchsorted(codes, offset + self._rank_low[chosen])
            open_rows = open_rows[n_found[open_rows] < n_links]
            if len(open_rows) == 0:
                break
        is_linked: BoolArray = n_found >= n_links
        return is_linked

    def _close_doms(self, doms: IntArray, targets: IntArray) -> tuple[IntArray, IntArray]:
        """List the targets within the radius of each module, nearest first.

        Returns
        -------
        starts : ndarray of int, shape (n_hit_oms + 1,)
            Where the list of each module begins; modules not in `doms` have empty lists.
        neighbours : ndarray of int
            The lists, one after the other.
        """
        starts = np.zeros(len(self._hit_oms) + 1, dtype=np.int64)
        if len(doms) == 0 or len(targets) == 0:
            return starts, np.zeros(0, dtype=np.int64)
        of_dom, neighbours, distance = self._pairs(doms, targets)
        order = np.lexsort((distance, of_dom))
        np.add.at(starts, of_dom + 1, 1)
        return np.cumsum(starts), neighbours[order]

    def _pairs(self, doms: IntArray, targets: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """List the pairs (module, target) within the radius, with their distances."""
        from scipy.spatial import cKDTree

        # A little more than the radius; which pairs are close is decided by our own distance.
        trees = (cKDTree(self._xyz[doms]), cKDTree(self._xyz[targets]))
        close = trees[0].sparse_distance_matrix(
            trees[1], self._radius * (1.0 + 1e-9) + 1e-9, output_type="ndarray"
        )
        of_dom, neighbours = doms[close["i"]], targets[close["j"]]
        apart = self._xyz[of_dom] - self._xyz[neighbours]
        distance = np.sqrt(apart[:, 0] ** 2 + apart[:, 1] ** 2 + apart[:, 2] ** 2)
        is_close = distance <= self._radius
        return of_dom[is_close], neighbours[is_close], distance[is_close]
