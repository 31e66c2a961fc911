"""Frames of the embedded broker: what goes in comes out, and garbage raises one error only."""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from skymap_scanner.broker.embedded import frames
from skymap_scanner.broker.embedded.frames import Frame, FrameError, FrameReader, Op
from skymap_scanner.broker.embedded.queues import Held

BODIES = st.lists(st.binary(max_size=300), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(Op), st.binary(max_size=100)), max_size=5), st.data())
def test_frames_survive_any_cutting_of_the_stream(
    sent: list[tuple[Op, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frames.pack_frame(op, i, payload) for i, (op, payload) in enumerate(sent))
    reader = FrameReader(1000)
    came: list[Frame] = []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        came += reader.feed(stream[:n])
        stream = stream[n:]
    assert came == [Frame(op, i, payload) for i, (op, payload) in enumerate(sent)]


@pytest.mark.parametrize("size", [0, 4, 1001, 2**32 - 1])
def test_an_impossible_length_raises_before_anything_is_stored(size: int) -> None:
    reader = FrameReader(1000)
    with pytest.raises(FrameError):
        list(reader.feed(size.to_bytes(4, "big") + b"xxxxx"))


@given(BODIES)
def test_bodies_and_deliveries_come_out_as_they_went_in(bodies: list[bytes]) -> None:
    assert frames.unpack_bodies(frames.pack_bodies(bodies)) == bodies
    deliveries = [(2**40 + i, Held(body, i + 1)) for i, body in enumerate(bodies)]
    assert frames.unpack_deliveries(frames.pack_deliveries(deliveries)) == [
        (2**40 + i, i + 1, body) for i, body in enumerate(bodies)
    ]
    tags = [tag for tag, _ in deliveries]
    assert list(frames.unpack_tags(frames.pack_tags(tags))) == tags


@given(BODIES.map(lambda bodies: bodies * 100))
def test_batches_keep_all_bodies_in_order(bodies: list[bytes]) -> None:
    batches = list(frames.batches(bodies))
    assert [body for batch in batches for body in batch] == bodies
    assert all(batches)


@given(st.text(min_size=1, max_size=60), st.binary(max_size=10))
def test_names_come_out_as_they_went_in(name: str, rest: bytes) -> None:
    packed = frames.pack_name(name)
    assert frames.unpack_name(packed + rest) == (name, len(packed))


@pytest.mark.parametrize("name", ["", "x" * 256, "ä" * 128])
def test_names_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(FrameError):
        frames.pack_name(name)


@given(st.binary(max_size=200))
def test_garbage_raises_one_error_only(garbage: bytes) -> None:
    for unpack in (
        frames.unpack_bodies,
        frames.unpack_deliveries,
        frames.unpack_tags,
        frames.unpack_name,
        frames.unpack_number,
    ):
        with contextlib.suppress(FrameError):
            unpack(garbage)


def test_a_count_that_promises_gigabytes_costs_nothing() -> None:
    for unpack in (frames.unpack_bodies, frames.unpack_deliveries, frames.unpack_tags):
        with pytest.raises(FrameError):
            unpack(b"\xff\xff\xff\xff" + bytes(100))
