"""What the electronics make of charges: pulses, saturation, coincidence, trigger, readout window.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 12 (2017) P03012, :doi:`10.1088/1748-0221/12/03/P03012`
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.i3 import FLAG_ATWD, FLAG_FADC, FLAG_LC, PulseMap
from skymap_scanner.simulation.photomultiplier import Hits

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Pulses", "Readout", "extract_pulses", "read_out"]

#: Hits of one module closer than this become one pulse [ns] (our choice).
MERGE_TIME: Final = 3.0
#: A waveform with less charge than this shows no pulse [PE] (our choice, just below the smallest
#: single photo-electron): single prepulses are lost.
PULSE_THRESHOLD: Final = 0.12
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
#: Where the trigger comes on the event's clock [ns], as in real events.
TRIGGER_PLACE: Final = 10_000.0
#: A module without local coincidence keeps this many pulses per launch (its waveform is short).
SLC_PULSES: Final = 2

_HLC_FLAGS, _SLC_FLAGS = FLAG_LC | FLAG_ATWD | FLAG_FADC, FLAG_FADC
_ATWD_WIDTH, _FADC_WIDTH = 1.0, 8.0  # [ns], typical of real pulses


@dataclass(frozen=True, slots=True)
class Pulses:
    """What was extracted from the waveforms.

    Attributes
    ----------
    hits : Hits
        Pulses by module and time.
    saturated : dict
        Row of a module -> time windows in which its charge was limited [ns].
    """

    hits: Hits
    saturated: dict[int, list[tuple[float, float]]]


def extract_pulses(hits: Hits) -> Pulses:
    """Join hits of a module that are too close to be told apart, and limit the charge.

    Hits within `MERGE_TIME` of the first of a group become one pulse with the time of the first;
    the charge in any `SATURATION_TIME` is at most `SATURATION`.

    Parameters
    ----------
    hits : Hits
        Charges at the anode, in any order.

    Returns
    -------
    Pulses
    """
    hits = hits.sorted()
    starts = _group_starts(hits, MERGE_TIME)
    charge = np.add.reduceat(hits.charge, starts) if starts.size else hits.charge
    merged = Hits(hits.om_index[starts], hits.time[starts], charge)
    return _saturate(merged.select(merged.charge >= PULSE_THRESHOLD))


def _group_starts(hits: Hits, length: float) -> IntArray:
    """First hit of every group that begins with it and lasts `length` [ns], `length` included."""
    if hits.time.size == 0:
        return np.zeros(0, dtype=np.int64)
    # One axis for all modules: each has its own stretch, longer than an event and a group.
    first = hits.time.min()
    stretch = np.ptp(hits.time) + 2.0 * length + 1.0
    place = hits.om_index * stretch + (hits.time - first)
    beyond = np.searchsorted(place, place + length, side="right").tolist()
    starts = [0]
    while (following := beyond[starts[-1]]) < len(beyond):
        starts.append(following)
    return np.array(starts, dtype=np.int64)


def _saturate(hits: Hits) -> Pulses:
    """Limit the charge of modules that are too bright, pulse after pulse."""
    kept = np.ones(hits.time.size, dtype=bool)
    charge = hits.charge.copy()
    saturated: dict[int, list[tuple[float, float]]] = {}
    edges = np.flatnonzero(np.diff(hits.om_index, prepend=-1, append=-1))
    for start, stop in pairwise(edges.tolist()):
        if hits.charge[start:stop].sum() <= SATURATION:
            continue
        limited = _limited(hits.time[start:stop], hits.charge[start:stop])
        is_cut = limited < hits.charge[start:stop]
        if is_cut.any():
            charge[start:stop] = limited
            kept[start:stop] = limited >= PULSE_THRESHOLD
            saturated[int(hits.om_index[start])] = _windows(hits.time[start:stop][is_cut])
    return Pulses(Hits(hits.om_index[kept], hits.time[kept], charge[kept]), saturated)


def _limited(time: FloatArray, charge: FloatArray) -> FloatArray:
    """Charges of one module's pulses as far as the photomultiplier can give them."""
    given = charge.copy()
    first, recent = 0, 0.0
    for i in range(time.size):
        while time[i] - time[first] >= SATURATION_TIME:
            recent -= given[first]
            first += 1
        given[i] = min(charge[i], max(SATURATION - recent, 0.0))
        recent += given[i]
    return given


def _windows(time: FloatArray) -> list[tuple[float, float]]:
    """Windows around times of limited charge, joined where they touch."""
    windows: list[tuple[float, float]] = []
    for when in time.tolist():
        # Times are rounded later; the current stays at its limit for a while.
        begin, end = when - MERGE_TIME, when + SATURATION_TIME
        if windows and begin <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((begin, end))
    return windows


@dataclass(frozen=True, slots=True)
class Readout:
    """What the detector hands out, on the event's clock.

    Attributes
    ----------
    pulses : PulseMap
        Pulses with their local-coincidence bits.
    window : tuple of float
        What was read out [ns].
    saturated : dict
        Row of a module -> time windows in which its charge was limited [ns].
    offset : float
        The event's clock is ahead of that of the light by this [ns].
    """

    pulses: PulseMap
    window: tuple[float, float]
    saturated: dict[int, list[tuple[float, float]]]
    offset: float


def read_out(found: Pulses, detector: Detector) -> Readout | None:
    """Apply local coincidence, trigger and readout window.

    Parameters
    ----------
    found : Pulses
        Pulses of all modules (`extract_pulses`).
    detector : Detector
        Geometry.

    Returns
    -------
    Readout or None
        The trigger comes at `TRIGGER_PLACE` of the event's clock; None when the detector does not
        trigger.
    """
    hits = found.hits
    starts = _group_starts(hits, LAUNCH_LENGTH)
    launch = np.repeat(np.arange(starts.size), np.diff(starts, append=hits.time.size))
    is_hlc = _hard_coincident(hits.select(starts), detector)
    trigger = _trigger_time(np.sort(hits.time[starts][is_hlc]))
    if trigger is None:
        return None
    first, last = trigger
    rank = np.arange(hits.time.size) - starts[launch]
    window = (first - READOUT[0], last + READOUT[1])
    keep = (is_hlc[launch] | (rank < SLC_PULSES)) & (hits.time >= window[0])
    keep &= hits.time <= window[1]
    offset = TRIGGER_PLACE - first
    hlc = is_hlc[launch][keep]
    key = detector.om_key[hits.om_index[keep]]
    pulses = PulseMap(
        om_key=np.column_stack([key, np.zeros(len(key), dtype=key.dtype)]),
        time=hits.time[keep] + offset,
        charge=hits.charge[keep],
        width=np.where(hlc, _ATWD_WIDTH, _FADC_WIDTH),
        flags=np.where(hlc, _HLC_FLAGS, _SLC_FLAGS).astype(np.uint8),
    )
    saturated = {
        row: shifted
        for row, windows in found.saturated.items()
        if (shifted := [(a + offset, b + offset) for a, b in windows if b > window[0]])
    }
    return Readout(pulses, (window[0] + offset, window[1] + offset), saturated, offset)


def _hard_coincident(launches: Hits, detector: Detector) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which launches have a launch on one of the two modules above or below in time."""
    key = detector.om_key[launches.om_index]
    by_module: dict[tuple[int, int], list[float]] = {}
    for (string, om), when in zip(key.tolist(), launches.time.tolist(), strict=True):
        by_module.setdefault((string, om), []).append(when)
    return np.array(
        [
            any(
                abs(when - other) <= COINCIDENCE_TIME
                for step in (-2, -1, 1, 2)
                for other in by_module.get((string, om + step), ())
            )
            for (string, om), when in zip(key.tolist(), launches.time.tolist(), strict=True)
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
