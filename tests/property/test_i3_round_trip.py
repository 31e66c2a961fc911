"""What is stored in IceCube's formats and read again is what it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.i3 import (
    Direction,
    I3Time,
    MCTree,
    Particle,
    Position,
    PulseMap,
    PulseMapMask,
    SuperDst,
    pack_pulses,
    unpack_pulses,
)
from skymap_scanner.i3.registry import decode_object, encode_object

PULSE_ROWS = st.lists(
    st.tuples(
        st.integers(1, 86),
        st.integers(1, 64),
        st.floats(-512, 1e6),
        st.floats(0, 1e4, width=32),
        st.floats(0, 1e3, width=32),
        st.integers(0, 7),
    ),
    max_size=40,
)


def pulse_map(rows: list[tuple[int, int, float, float, float, int]]) -> PulseMap:
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    keys = np.zeros((len(table), 3), dtype=np.int64)
    keys[:, :2] = table[:, :2]
    return PulseMap.from_columns(
        keys, table[:, 2], table[:, 3], table[:, 4], table[:, 5].astype(np.uint8)
    )


@given(PULSE_ROWS)
def test_pulses_survive_storage(rows: list[tuple[int, int, float, float, float, int]]) -> None:
    pulses = pulse_map(rows)
    again = decode_object(encode_object(pulses))
    assert isinstance(again, PulseMap)
    for name in ("om_key", "time", "charge", "width", "flags"):
        assert np.array_equal(getattr(again, name), getattr(pulses, name))


@settings(max_examples=100)
@given(PULSE_ROWS)
def test_packed_pulses_survive_storage_and_keep_their_quantities(
    rows: list[tuple[int, int, float, float, float, int]],
) -> None:
    pulses = pulse_map(rows)
    data = encode_object(pack_pulses(pulses))
    again = decode_object(data)
    assert isinstance(again, SuperDst)
    assert encode_object(again) == data
    series = unpack_pulses(again)
    assert len(series) == len(pulses)
    assert np.array_equal(np.unique(series.om_key, axis=0), np.unique(pulses.om_key, axis=0))
    in_ice = pulses.om_key[:, 1] <= 60
    kept = series.om_key[:, 1] <= 60
    assert series.charge[kept].sum() == pytest.approx(
        pulses.charge[in_ice].sum(), abs=0.03 * len(rows) + 0.01, rel=1e-6
    )
    cells = np.column_stack([pulses.om_key, np.floor(pulses.time + 512.5)])
    if len(np.unique(cells, axis=0)) == len(cells):
        same_module = np.all(np.diff(series.om_key, axis=0) == 0, axis=1)
        assert (np.diff(series.time)[same_module] > 0).all()
        assert (series.width > 0).all()


@given(PULSE_ROWS, st.integers(0, 2**40 - 1))
def test_masks_select_what_they_were_made_of(
    rows: list[tuple[int, int, float, float, float, int]], bits: int
) -> None:
    pulses = pulse_map(rows)
    keep = np.array([bits >> index & 1 for index in range(len(pulses))], dtype=bool)
    mask = decode_object(encode_object(PulseMapMask.from_selection("S", pulses, keep)))
    assert isinstance(mask, PulseMapMask)
    selected = mask.apply(pulses)
    assert np.array_equal(selected.time, pulses.time[keep])
    assert np.array_equal(selected.om_key, pulses.om_key[keep])


@given(st.lists(st.integers(0, 10**6), max_size=40))
def test_trees_survive_storage(numbers: list[int]) -> None:
    """Each number chooses the parent of the next particle among those that pre-order allows."""
    parents: list[int] = []
    allowed = [-1]
    for index, number in enumerate(numbers):
        parents.append(allowed[number % len(allowed)])
        allowed = [*allowed[: number % len(allowed) + 1], index]
    particles = tuple(
        Particle(i, 0, 13, 0, 0, Position(0, 0, 0), Direction(0, 0), 0.0, 0.0, 0.0, 0.0, 0)
        for i in range(len(parents))
    )
    tree = MCTree(particles, tuple(parents))
    assert decode_object(encode_object(tree)) == tree


@given(st.integers(2000, 2090), st.integers(0, 365 * 864000000000000 - 1), st.floats(-1e9, 1e9))
def test_delays_are_what_passes(year: int, daq_time: int, delay: float) -> None:
    time = I3Time(year, daq_time)
    assert time.plus_ns(delay).ns_since(time) == pytest.approx(delay, abs=0.051)
    if year not in (2005, 2008, 2012, 2015, 2016):
        # At a leap second the rounding of an MJD may cost a second.
        assert I3Time.from_mjd(time.mjd).ns_since(time) == pytest.approx(0, abs=1000)
