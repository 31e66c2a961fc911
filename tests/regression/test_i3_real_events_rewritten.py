"""Eight real events, written again: the same bytes, and the same event in every other form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from real_event_table import EVENTS, each_event, frame_of, main_key, message_of, pulses_of, summary

from skymap_scanner.i3 import (
    Frame,
    RawObject,
    mix_frames,
    pack_pulses,
    packet_from_json,
    packet_to_json,
    read_i3,
    read_message,
    resolve_pulses,
    rewrite_message,
    unpack_pulses,
    write_i3,
    write_message,
)
from skymap_scanner.i3.registry import CODECS, encode_object

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared


#: Classes whose objects stay as bytes.
RAW = {"I3CscdLlhFitParams", "I3ParaboloidFitParams", "I3PortiaEvent", "I3SuperDSTTriggerSeries"}


@each_event
def test_objects_are_encoded_to_the_same_bytes(shared: Path, name: str) -> None:
    frame = frame_of(shared, name)
    n_encoded = 0
    for key in frame:
        class_name = frame.class_name(key)
        if isinstance(frame[key], RawObject):
            assert class_name in RAW, frame[key]
        elif CODECS[class_name].write is not None:
            assert encode_object(frame[key]) == frame.raw(key), key
            n_encoded += 1
    assert n_encoded > 10


@each_event
def test_frames_are_written_back_byte_for_byte(shared: Path, name: str) -> None:
    for frame in message_of(shared, name).frames:
        data = frame.to_bytes()
        again = Frame.from_bytes(data)
        assert again.to_bytes() == data
        copied = Frame(frame.stop)
        for key in frame:
            copied.put(key, RawObject("any", 0, frame.raw(key)), type_name=frame.type_name(key))
        is_sorted = frame.keys() == sorted(frame)
        assert (copied.to_bytes() == data) == is_sorted


@each_event
def test_messages_are_rewritten_entry_for_entry(shared: Path, name: str, tmp_path: Path) -> None:
    message = message_of(shared, name)
    for suffix in (".json", ".pkl"):
        path = tmp_path / f"again{suffix}"
        rewrite_message(path, message)
        again = read_message(path)
        assert again.document == message.document


@each_event
def test_every_other_form_holds_the_same_event(shared: Path, name: str, tmp_path: Path) -> None:
    message = message_of(shared, name)
    raw = [frame.to_bytes() for frame in message.frames]
    write_message(
        tmp_path / "new.json",
        message.frames,
        version=message.version,
        streams=message.streams,
        summary=message.summary,
    )
    written = read_message(tmp_path / "new.json")
    assert [frame.to_bytes() for frame in written.frames] == raw
    for suffix in ("", ".gz", ".bz2", ".zst"):
        write_i3(tmp_path / f"e.i3{suffix}", message.frames)
        assert [frame.to_bytes() for frame in read_i3(tmp_path / f"e.i3{suffix}")] == raw
    packet = mix_frames(packet_from_json(packet_to_json(message.frames)))
    assert summary(resolve_pulses(packet, main_key(name))) == EVENTS[name].main


@pytest.mark.parametrize("name", ["127907a", "127907b"])
def test_packing_of_unquantised_pulses_is_icetrays(shared: Path, name: str) -> None:
    """Events of 2016 carry pulses before and after packing, in the ice."""
    original = pulses_of(shared, name, "UncleanedInIcePulses")
    assert (original.time != np.floor(original.time)).any()
    packed = unpack_pulses(pack_pulses(original))
    stored = pulses_of(shared, name, "InIceDSTPulses")
    for column in ("om_key", "time", "charge", "width", "flags"):
        assert np.array_equal(getattr(packed, column), getattr(stored, column)), column
