"""The charge of an event in time bins, as the likelihood of segmented cascades uses it.

A module with pulses has one long empty bin until shortly before its first pulse ("no light yet"),
then bins that grow as the light thins out. Neighbouring bins without charge are joined: no photons
in two intervals say the same as none in both together. Time that does not count (late pulses,
unreliable waveforms) belongs to no bin.

Bins get rows in the matrix of the response. For a Poisson likelihood empty bins need none: the
expectation there is added up over all bins (:mod:`skymap_scanner.recos.likelihood.response`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from skymap_scanner.event.pulses import PulseSeries
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["DEAD", "NO_ROW", "Bins", "TimedModules", "bin_pulses", "geometric_edges"]

#: The first bin with light begins this long before the first pulse, and is this wide; the
#: following are wider by the factor [ns].
_LEAD: Final = 12.0
_FIRST_WIDTH: Final = 25.0
_GROWTH: Final = 1.5
#: Light before and after the readout counts as at its ends [ns].
_EVER: Final = 1e9
#: What a bin has instead of a row: it counts in the sums only; it does not count at all.
NO_ROW: Final = -1
DEAD: Final = -2


class TimedModules(NamedTuple):
    """Modules whose light is binned in time (a tuple, as kernels want it).

    Attributes
    ----------
    first_edge : ndarray of int, shape (n_timed + 1,)
        Where the edges of each module begin in `edges`.
    edges : ndarray, shape (n_edge,)
        Edges of the bins of all modules [ns].
    row : ndarray of int, shape (n_edge,)
        Row of the bin that begins at each edge, `NO_ROW` or `DEAD`; `DEAD` at a module's last.
    """

    first_edge: IntArray
    edges: FloatArray
    row: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Binned charge of an event.

    Attributes
    ----------
    om_index : ndarray of int, shape (n_timed,)
        Rows in the detector of the modules that are binned.
    modules : TimedModules
        Their bins.
    charge : ndarray, shape (n_row,)
        Charge in the bins that have rows [PE].
    duration : ndarray, shape (n_row,)
        Length of those bins [ns].
    loose_duration : float
        Length of all bins that count but have no row, added up [ns].
    """

    om_index: IntArray
    modules: TimedModules
    charge: FloatArray
    duration: FloatArray
    loose_duration: float


def geometric_edges(first: float, end: float) -> FloatArray:
    """Return edges that start shortly before a first pulse and get wider, up to `end`.

    Parameters
    ----------
    first : float
        Time of a module's first pulse [ns].
    end : float
        End of the readout [ns].

    Returns
    -------
    ndarray
        At least the first edge; all before `end`.

    Examples
    --------
    >>> geometric_edges(112.0, 250.0)
    array([100.  , 125.  , 162.5 , 218.75])
    """
    edges = []
    edge, width = first - _LEAD, _FIRST_WIDTH
    while edge < end:
        edges.append(edge)
        edge, width = edge + width, width * _GROWTH
    return np.array(edges)


def bin_pulses(
    series: PulseSeries,
    *,
    window: tuple[float, float],
    dead: Mapping[int, Sequence[tuple[float, float]]],
    with_empty_rows: bool,
) -> Bins:
    """Bin the charge of the modules of a series, and of those with dead time.

    Parameters
    ----------
    series : PulseSeries
        Pulses that count; those in dead time are ignored.
    window : tuple of float
        Begin and end of the readout [ns].
    dead : mapping of int to sequence of (float, float)
        Module -> intervals in which its data does not count [ns]. Modules without pulses may be in
        it too: they are binned for their live time.
    with_empty_rows : bool
        Whether empty bins get rows.

    Returns
    -------
    Bins
        Modules in ascending order.
    """
    pulses = {
        int(series.om_index[a]): slice(int(a), int(b))
        for a, b in pairwise([*series.dom_starts(), len(series)])
    }
    modules = sorted({*pulses, *(om for om, spans in dead.items() if spans)})
    first_edge, all_edges, all_rows = [0], [], []
    charges: list[float] = []
    durations: list[float] = []
    loose = 0.0
    for om in modules:
        rows = pulses.get(om, slice(0, 0))
        edges, charge, is_live = _module_bins(
            series.time[rows], series.charge[rows], window, dead.get(om, ())
        )
        row = np.full(len(edges), DEAD, dtype=np.int64)
        for k in range(len(charge)):
            duration = float(min(edges[k + 1], window[1]) - max(edges[k], window[0]))
            if is_live[k] and (charge[k] > 0.0 or with_empty_rows):
                row[k] = len(charges)
                charges.append(float(charge[k]))
                durations.append(duration)
            elif is_live[k]:
                row[k] = NO_ROW
                loose += duration
        all_edges.append(edges)
        all_rows.append(row)
        first_edge.append(first_edge[-1] + len(edges))
    return Bins(
        om_index=np.array(modules, dtype=np.int64),
        modules=TimedModules(
            np.array(first_edge, dtype=np.int64),
            np.concatenate([np.zeros(0), *all_edges]),
            np.concatenate([np.zeros(0, np.int64), *all_rows]),
        ),
        charge=np.array(charges),
        duration=np.array(durations),
        loose_duration=loose,
    )


def _module_bins(
    time: FloatArray,
    charge: FloatArray,
    window: tuple[float, float],
    dead: Sequence[tuple[float, float]],
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return edges (n + 1), charge (n) and whether each bin counts (n), of one module."""
    begin, end = window
    cuts = np.array([edge for span in dead for edge in span if begin < edge < end])
    grown = geometric_edges(float(time.min()), end) if len(time) else np.zeros(0)
    inner = np.concatenate([cuts, grown[(grown > begin) & (grown < end)]])
    edges = np.unique(np.concatenate([[begin], inner, [end]]))
    centre = 0.5 * (edges[1:] + edges[:-1])
    is_live = np.ones(len(centre), dtype=np.bool_)
    for first, last in dead:
        is_live &= ~((centre >= first) & (centre < last))
    place = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(centre) - 1)
    total = np.where(is_live, np.bincount(place, weights=charge, minlength=len(centre)), 0.0)
    # Join neighbours that say the same: both empty, or both dead.
    is_same = (is_live[1:] == is_live[:-1]) & (total[1:] == 0.0) & (total[:-1] == 0.0)
    is_first = np.concatenate([[True], ~is_same])
    edges = np.concatenate([edges[:-1][is_first], edges[-1:]])
    edges[0], edges[-1] = edges[0] - _EVER, edges[-1] + _EVER
    return edges, total[is_first], is_live[is_first]
