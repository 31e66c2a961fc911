"""Whatever bytes come, readers of IceCube's formats raise our own exceptions or return."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import pickle
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import (
    Direction,
    EventHeader,
    Frame,
    I3Bool,
    I3Double,
    I3Int,
    I3String,
    I3Time,
    KeyMap,
    LogLikelihoodFitParams,
    MCTree,
    NumberVector,
    OMKey,
    OMKeyVector,
    Particle,
    ParticleVector,
    Position,
    PulseMap,
    PulseMapMask,
    RawObject,
    StringMap,
    StringVector,
    TimeWindow,
    TimeWindowSeriesMap,
    is_pulse_series,
    mix_frames,
    pack_pulses,
    packet_to_json,
    read_i3,
    read_message,
    resolve_pulses,
)
from skymap_scanner.i3.frame_pickle import frame_from_text
from skymap_scanner.i3.registry import CODECS, decode_object, encode_object
from skymap_scanner.i3.unpickle import unpickle_frame, unpickle_plain

if TYPE_CHECKING:
    from pathlib import Path

TIME = I3Time(2022, 123828921853524946)


def some_pulses() -> PulseMap:
    random = np.random.default_rng(5)
    n = 60
    keys = np.stack([random.integers(1, 5, n), random.integers(58, 63, n), np.zeros(n)], axis=1)
    return PulseMap.from_columns(
        keys.astype(np.int64),
        random.integers(0, 20000, n).astype(float),
        random.exponential(3.0, n),
        random.choice([1.0, 8.0], n),
        random.choice([4, 7], n).astype(np.uint8),
    )


@functools.cache
def objects() -> dict[str, object]:
    """One object of every class that has a writer."""
    particle = Particle(
        1, 2, 13, 50, 0, Position(1, 2, 3), Direction(0.1, 0.2), 4.0, 5.0, 6.0, 0.3, 20
    )
    pulses = some_pulses()
    in_ice = pulses.om_key[:, 1] <= 60
    return {
        "I3EventHeader": EventHeader(1, 2, 3, 20, 0, "InIceSplit", TIME, TIME.plus_ns(5000)),
        "Track": particle,
        "Tracks": ParticleVector((particle, particle)),
        "Tree": MCTree((particle,) * 4, (-1, 0, 1, 0)),
        "Pulses": pulses,
        "Packed": pack_pulses(pulses),
        "Mask": PulseMapMask.from_selection("Pulses", pulses, in_ice),
        "MaskOfMask": PulseMapMask.from_selection(
            "Mask", pulses.select(in_ice), np.arange(in_ice.sum()) % 2 == 0
        ),
        "Windows": TimeWindowSeriesMap({OMKey(1, 2): (TimeWindow(1, 2),), OMKey(1, 3): ()}),
        "Window": TimeWindow(1, 2),
        "Keys": OMKeyVector((OMKey(1, 2), OMKey(3, 4))),
        "Chars": NumberVector("I3VectorChar", np.array([1, 2, 3])),
        "Doubles": NumberVector("I3VectorDouble", np.array([1.0, 2.0])),
        "Strings": StringVector(("a", "bc")),
        "StringMap": StringMap("I3MapStringDouble", {"a": 1.0, "b": 2.0}),
        "KeyMap": KeyMap("I3MapKeyVectorDouble", {OMKey(1, 2): (1.0, 2.0)}),
        "Fit": LogLikelihoodFitParams(1.0, 2.0, 3, 4),
        "Time": TIME,
        "Position": Position(1, 2, 3),
        "Direction": Direction(1, 2),
        "Double": I3Double(1.0),
        "Int": I3Int(1),
        "Bool": I3Bool(value=True),
        "String": I3String("text"),
    }


@functools.cache
def event() -> tuple[Frame, ...]:
    frames = tuple(Frame(stop) for stop in "GCDQP")
    for name, obj in objects().items():
        frames[3 if name in ("Pulses", "Packed") else 4].put(name, obj)
    return frames


@functools.cache
def message() -> bytes:
    content = {"value": {"version": "2021a", "streams": ["x"], "data": packet_to_json(event())}}
    return json.dumps(content).encode()


@functools.cache
def pickled_message() -> bytes:
    return pickle.dumps(json.loads(message()), protocol=3)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with some bytes changed, cut out, put in or cut off."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(result) - 1, 0)))
        match draw(st.sampled_from(["flip", "word", "cut", "insert", "truncate"])):
            case "flip":
                result[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                word = draw(st.sampled_from([0, 1, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]))
                result[at : at + 4] = struct.pack("<I", word)
            case "cut":
                del result[at : at + draw(st.integers(1, 8))]
            case "insert":
                result[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del result[at:]
    return bytes(result)


def use(frame: Frame) -> None:
    """Do with a frame what readers of events do; only FormatError may come."""
    for key in frame:
        obj = frame[key]
        if isinstance(obj, RawObject):
            assert obj.data == frame.raw(key)
            continue
        with contextlib.suppress(FormatError):
            encode_object(obj)
        with contextlib.suppress(FormatError):
            if is_pulse_series(frame, key):
                assert len(resolve_pulses(frame, key)) < 10_000_000
        if isinstance(obj, EventHeader):
            with contextlib.suppress(FormatError):
                assert obj.start.mjd < 4_000_000
            with contextlib.suppress(FormatError):
                assert obj.end.to_datetime_string()


@given(st.binary(max_size=200))
def test_any_bytes_as_an_object(data: bytes) -> None:
    obj = decode_object(data)
    assert isinstance(obj, RawObject)
    assert obj.data == data


@settings(max_examples=100)
@given(st.sampled_from(sorted(CODECS)), st.integers(0, 14), st.binary(max_size=300))
def test_any_content_of_any_class(name: str, version: int, content: bytes) -> None:
    head = b"\x00\x01\x02\x00" + struct.pack("<I", len(name)) + name.encode() + b"\x01"
    decode_object(head + bytes([version]) + bytes(4) + b"\x01\x00\x01\x00\x00\x00" + content)


@settings(max_examples=250)
@given(data=st.data())
def test_damaged_objects(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(objects())))
    raw = data.draw(damaged(encode_object(objects()[name])))
    frame = mix_frames(event())
    frame.put(name, RawObject("any", 0, raw))
    use(frame) if name in ("Pulses", "Packed", "Mask") else use_one(frame, name)


def use_one(frame: Frame, name: str) -> None:
    single = Frame("P")
    single.put(name, frame[name], type_name="x") if isinstance(
        frame[name], RawObject
    ) else single.put(name, RawObject("any", 0, frame.raw(name)))
    use(single)


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_frames(data: st.DataObject) -> None:
    good = event()[-1].to_bytes()
    raw = data.draw(damaged(good))
    if raw != good:
        with pytest.raises(FormatError):
            Frame.from_bytes(raw)
    with contextlib.suppress(FormatError):
        use(Frame.from_bytes(raw, check=False))


@given(st.binary(max_size=100))
def test_any_bytes_as_a_frame(data: bytes) -> None:
    for head in (b"", b"[i3]", b"[i3]\6\0\0\0\0\0", b"[i3]\4\0\0\0", b"\3\0\0\0", b"\0\0\0\0\0\0"):
        with contextlib.suppress(FormatError):
            use(Frame.from_bytes(head + data, check=False))


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_messages(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    good = data.draw(st.sampled_from([message(), pickled_message()]))
    path.write_bytes(data.draw(damaged(good)))
    with contextlib.suppress(FormatError):
        use(mix_frames(read_message(path).frames))


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_files(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.i3"
    raw = data.draw(damaged(b"".join(frame.to_bytes() for frame in event())))
    path.write_bytes(raw)
    with contextlib.suppress(FormatError):
        for frame in read_i3(path, check=False):
            assert len(frame) < 1000


@given(st.binary(max_size=100))
def test_any_bytes_as_a_message(data: bytes) -> None:
    for head in (b"", b"\x80\x03", b"\x80\x02", b"{", b'{"value":'):
        with contextlib.suppress(FormatError):
            unpickle_plain(head + data)
        with contextlib.suppress(FormatError):
            unpickle_frame(head + data)


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_pickles_of_frames(data: st.DataObject) -> None:
    text = packet_to_json(event())["frames"][4][1]
    raw = data.draw(damaged(zlib.decompress(base64.b64decode(text))))
    with contextlib.suppress(FormatError):
        frame_from_text(base64.b64encode(zlib.compress(raw, 1)).decode(), check=False)


# Values that JSON can hold, in the shape of a message and in any other.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["value", "data", "frames", "streams", "version", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(document=JSON)
def test_any_json_as_a_message(document: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    for content in (document, {"value": document}, {"value": {"data": {"frames": document}}}):
        path.write_text(json.dumps(content))
        with pytest.raises(FormatError):
            read_message(path)


@pytest.mark.shared
@settings(max_examples=100)
@given(data=st.data())
def test_damaged_real_messages(
    data: st.DataObject, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = sorted((shared / "events").iterdir())
    good = data.draw(st.sampled_from(files)).read_bytes()
    path = tmp_path_factory.getbasetemp() / "fuzzed_real"
    path.write_bytes(data.draw(damaged(good)))
    with contextlib.suppress(FormatError):
        use(mix_frames(read_message(path).frames))


@pytest.mark.shared
@settings(max_examples=100)
@given(data=st.data())
def test_damaged_real_objects(data: st.DataObject, shared: Path) -> None:
    """Checksums hide the decoders from damage, so damage what lies behind them."""
    path = data.draw(st.sampled_from(sorted((shared / "events").iterdir())))
    frame = mix_frames(real_event(path))
    key = data.draw(st.sampled_from(sorted(frame)))
    single = Frame("P")
    single.put(key, RawObject("any", 0, data.draw(damaged(frame.raw(key)))))
    use(single)


@functools.cache
def real_event(path: Path) -> tuple[Frame, ...]:
    return read_message(path).frames
