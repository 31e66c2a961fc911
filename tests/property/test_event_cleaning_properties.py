"""Cleaning against the definition, written as all pairs of pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from skymap_scanner.event.cleaning import best_window, seeded_rt
from skymap_scanner.event.detector import Detector
from skymap_scanner.event.pulses import BoolArray, PulseSeries

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

# Distances and times on grids on which the limits 150 m and 1000 ns are met exactly and often.
POSITIONS = st.tuples(*[st.integers(0, 4).map(lambda step: 50.0 * step)] * 3)
PULSES = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 24), st.booleans()), min_size=0, max_size=40
)


def _detector(positions: list[tuple[float, ...]]) -> Detector:
    n_om = len(positions)
    return Detector(
        om_key=np.column_stack([np.ones(n_om, np.int64), np.arange(1, n_om + 1)]),
        om_xyz=np.array(positions),
        rel_efficiency=np.ones(n_om),
        is_alive=np.ones(n_om, dtype=np.bool_),
        source="random",
    )


def _series(pulses: list[tuple[int, int, bool]]) -> PulseSeries:
    return PulseSeries.from_columns(
        [om for om, _, _ in pulses],
        [250.0 * step for _, step, _ in pulses],
        np.ones(len(pulses)),
        flags=[int(is_hlc) for _, _, is_hlc in pulses],
    )


def _all_pairs_rt(series: PulseSeries, om_xyz: FloatArray) -> BoolArray:
    position = om_xyz[series.om_index]
    apart = np.linalg.norm(position[:, None] - position[None], axis=-1)
    later = np.abs(series.time[:, None] - series.time[None])
    is_linked = (apart <= 150.0) & (later <= 1000.0)
    np.fill_diagonal(is_linked, val=False)
    is_hlc = series.is_hlc
    is_kept: BoolArray = is_hlc & ((is_linked & is_hlc).sum(axis=1) >= 2)
    is_new = is_kept
    for _ in range(3):
        is_new = ~is_kept & (is_linked & is_new).any(axis=1)
        is_kept = is_kept | is_new
    return is_kept


@given(positions=st.lists(POSITIONS, min_size=12, max_size=12), pulses=PULSES)
@example(positions=[(0.0, 0.0, 0.0)] * 12, pulses=[(0, 0, True)] * 3)
def test_seeded_rt_keeps_what_the_definition_keeps(
    positions: list[tuple[float, ...]], pulses: list[tuple[int, int, bool]]
) -> None:
    detector, series = _detector(positions), _series(pulses)
    expected = _all_pairs_rt(series, detector.om_xyz)
    assert seeded_rt(series, detector).tolist() == expected.tolist()


@given(
    positions=st.lists(POSITIONS, min_size=12, max_size=12),
    pulses=PULSES,
    seed=st.integers(0, 2**31),
)
def test_the_order_of_pulses_does_not_matter(
    positions: list[tuple[float, ...]], pulses: list[tuple[int, int, bool]], seed: int
) -> None:
    detector = _detector(positions)
    shuffled = [pulses[row] for row in np.random.default_rng(seed).permutation(len(pulses))]

    def kept(rows: list[tuple[int, int, bool]]) -> list[tuple[int, float, int]]:
        series = _series(rows)
        left = series.select(seeded_rt(series, detector))
        return sorted(zip(left.om_index, left.time, left.flags, strict=True))

    assert kept(shuffled) == kept(pulses)


@given(steps=st.lists(st.integers(0, 60), min_size=1, max_size=30))
def test_no_window_holds_more_pulses_and_no_earlier_one_as_many(steps: list[int]) -> None:
    series = PulseSeries.from_columns(
        np.zeros(len(steps)), [500.0 * step for step in steps], np.ones(len(steps))
    )
    is_kept = best_window(series)
    counts = {
        start: int(np.count_nonzero((series.time >= start) & (series.time <= start + 6000.0)))
        for start in series.time.tolist()
    }
    best = max(counts.values())
    assert np.count_nonzero(is_kept) == best
    assert series.time[is_kept].min() == min(s for s, count in counts.items() if count == best)
