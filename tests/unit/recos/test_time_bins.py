"""Binned charge: every moment of the readout is in one bin, and nothing is lost."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.recos.likelihood.time_bins import (
    DEAD,
    NO_ROW,
    Bins,
    bin_pulses,
    geometric_edges,
)

WINDOW = (0.0, 10_000.0)
EVER = 1e8
PULSES = st.lists(
    st.tuples(st.integers(0, 4), st.floats(-500.0, 11_000.0), st.floats(0.0, 5.0)), max_size=30
)
SPAN = st.tuples(st.floats(-500.0, 11_000.0), st.floats(0.0, 4000.0)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
DEAD_TIME = st.dictionaries(
    st.integers(0, 6), st.lists(st.one_of(SPAN, st.just((8000.0, math.inf))), max_size=3)
)
Rows = list[tuple[int, float, float]]
Spans = dict[int, list[tuple[float, float]]]


def _binned(rows: Rows, dead: Spans | None = None, *, with_empty_rows: bool = False) -> Bins:
    om, time, charge = zip(*rows, strict=True) if rows else ((), (), ())
    series = PulseSeries.from_columns(om, time, charge)
    return bin_pulses(series, window=WINDOW, dead=dead or {}, with_empty_rows=with_empty_rows)


def _of_module(bins: Bins, om: int) -> tuple[list[float], list[int]]:
    """Edges of a module, and the row of each bin."""
    k = bins.om_index.tolist().index(om)
    first, last = bins.modules.first_edge[k], bins.modules.first_edge[k + 1]
    return bins.modules.edges[first:last].tolist(), bins.modules.row[first : last - 1].tolist()


def _is_dead(time: float, spans: list[tuple[float, float]]) -> bool:
    return any(first <= time < last for first, last in spans)


# --- edges ----------------------------------------------------------------------------------------


@given(first=st.floats(-1e4, 1e4), length=st.floats(0.1, 3e4))
def test_edges_begin_before_the_first_pulse_and_grow_to_the_end(
    first: float, length: float
) -> None:
    edges = geometric_edges(first, first + length)
    assert edges[0] < first
    assert edges[-1] < first + length
    widths = np.diff(edges)
    assert np.all(widths > 0.0)
    np.testing.assert_allclose(widths[1:], 1.5 * widths[:-1], rtol=1e-6)


# --- modules --------------------------------------------------------------------------------------


def test_a_module_has_an_empty_bin_before_its_light() -> None:
    bins = _binned([(3, 112.0, 2.0), (3, 130.0, 1.0)])
    edges, rows = _of_module(bins, 3)
    assert edges[0] < -EVER
    assert edges[1] == 100.0
    assert edges[2] == 125.0
    assert edges[-1] > EVER
    assert rows[0] == NO_ROW
    assert rows[1:3] == [0, 1]
    assert bins.charge.tolist() == [2.0, 1.0]
    assert bins.duration.tolist() == [25.0, 37.5]


def test_empty_neighbours_are_joined() -> None:
    edges, rows = _of_module(_binned([(0, 112.0, 2.0), (0, 9000.0, 1.0)]), 0)
    assert len(rows) == 4 + (edges[-2] > 9000.0)
    assert all(not (a == b == NO_ROW) for a, b in pairwise(rows))


def test_empty_bins_have_rows_where_they_are_wanted() -> None:
    bins = _binned([(0, 112.0, 2.0)], with_empty_rows=True)
    assert _of_module(bins, 0)[1] == [0, 1, 2]
    assert bins.charge.tolist() == [0.0, 2.0, 0.0]
    assert bins.duration.tolist() == [100.0, 25.0, 9875.0]
    assert bins.loose_duration == 0.0


def test_pulses_in_dead_time_are_ignored_and_bins_end_there() -> None:
    bins = _binned([(0, 112.0, 2.0), (0, 5500.0, 4.0)], {0: [(5000.0, math.inf)]})
    edges, rows = _of_module(bins, 0)
    assert 5000.0 in edges
    assert rows[-1] == DEAD
    assert bins.charge.tolist() == [2.0]
    assert bins.loose_duration == pytest.approx(5000.0 - 25.0)


def test_unreliable_time_in_the_middle_splits_a_bin() -> None:
    edges, rows = _of_module(_binned([(0, 112.0, 2.0)], {0: [(3000.0, 4000.0)]}), 0)
    at = edges.index(3000.0)
    assert edges[at + 1] == 4000.0
    assert rows[at - 1 : at + 2] == [NO_ROW, DEAD, NO_ROW]


def test_modules_without_pulses_are_binned_for_their_live_time() -> None:
    bins = _binned([(4, 112.0, 2.0)], {2: [(6000.0, math.inf)], 9: []})
    assert bins.om_index.tolist() == [2, 4]
    edges, rows = _of_module(bins, 2)
    assert edges[1] == 6000.0
    assert rows == [NO_ROW, DEAD]
    assert bins.loose_duration == pytest.approx(6000.0 + 10_000.0 - 25.0)


def test_a_module_that_was_never_alive_has_no_live_bin() -> None:
    bins = _binned([(0, 500.0, 3.0)], {0: [(-math.inf, math.inf)]})
    assert _of_module(bins, 0)[1] == [DEAD]
    assert len(bins.charge) == 0
    assert bins.loose_duration == 0.0


def test_pulses_without_charge_are_no_light() -> None:
    bins = _binned([(0, 500.0, 0.0)])
    assert _of_module(bins, 0)[1] == [NO_ROW]
    assert bins.loose_duration == 10_000.0


def test_without_pulses_there_are_no_bins() -> None:
    bins = _binned([])
    assert len(bins.om_index) == len(bins.charge) == 0
    assert bins.modules.first_edge.tolist() == [0]
    assert bins.modules.row.dtype == np.int64


@given(rows=PULSES, dead=DEAD_TIME, with_empty_rows=st.booleans())
@example(rows=[(0, -200.0, 1.0)], dead={}, with_empty_rows=False)  # before the readout
@example(rows=[(0, 10_500.0, 1.0)], dead={}, with_empty_rows=False)  # after it
@example(rows=[(0, 0.0, 1.0)], dead={0: [(0.0, 0.0)]}, with_empty_rows=True)
def test_bins_cover_the_readout_once_and_keep_the_charge(
    rows: Rows, dead: Spans, with_empty_rows: bool
) -> None:
    bins = _binned(rows, dead, with_empty_rows=with_empty_rows)
    assert bins.om_index.tolist() == sorted(
        {om for om, _, _ in rows} | {om for om, spans in dead.items() if spans}
    )
    assert bins.modules.first_edge[-1] == len(bins.modules.edges) == len(bins.modules.row)
    numbers = bins.modules.row[bins.modules.row >= 0]
    assert numbers.tolist() == list(range(len(bins.charge)))
    live = 0.0
    for om in bins.om_index.tolist():
        edges, kinds = _of_module(bins, om)
        spans = dead.get(om, [])
        assert edges[0] < -EVER
        assert edges[-1] > EVER
        assert all(a < b for a, b in pairwise(edges))
        inner = [WINDOW[0], *edges[1:-1], WINDOW[1]]
        for (begin, end), kind in zip(pairwise(inner), kinds, strict=True):
            # a bin counts where its middle does, which is everywhere in it
            assert (kind == DEAD) == _is_dead(0.5 * (begin + end), spans)
            live += (kind != DEAD) * (end - begin)
            own = [
                q
                for row, t, q in rows
                if row == om and begin <= min(max(t, WINDOW[0]), np.nextafter(WINDOW[1], 0)) < end
            ]
            if kind >= 0:
                assert bins.charge[kind] == pytest.approx(sum(own))
                assert bins.duration[kind] == pytest.approx(end - begin)
            elif kind == NO_ROW:
                assert sum(own) == 0.0
    assert bins.duration.sum() + bins.loose_duration == pytest.approx(live)
    if with_empty_rows:
        assert bins.loose_duration == 0.0
    else:
        assert np.all(bins.charge > 0.0)
