"""Frames: bytes of all versions, order, checksum, mixing."""

from __future__ import annotations

import binascii
import struct

import google_crc32c
import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import (
    Frame,
    I3Double,
    I3Int,
    MissingKeyError,
    Particle,
    RawObject,
    mix_frames,
)
from skymap_scanner.i3.registry import encode_object

EMPTY_G = bytes.fromhex("5b 69 33 5d 06 00 00 00 00 00 47 00 00 00 00 ea 64 27 9f")
ENTRIES = {"b": I3Double(1.5), "a": I3Int(2), "Key_c": I3Double(-3.0)}


def packed(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text


def entry(key: str, obj: object, label: str = "L") -> bytes:
    return packed(key.encode()) + packed(label.encode()) + packed(encode_object(obj))


def body(stop: str = "P") -> bytes:
    entries = b"".join(entry(key, obj) for key, obj in ENTRIES.items())
    return stop.encode() + struct.pack("<I", len(ENTRIES)) + entries


def version_6(content: bytes) -> bytes:
    crc = google_crc32c.extend(0xFFFFFFFF, content) ^ 0xFFFFFFFF
    return b"[i3]\x06\0\0\0\0\0" + content + struct.pack("<I", crc)


def slow_crc(data: bytes) -> int:
    """Castagnoli, reflected, from 0, without inversion: bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


HISTORY = (
    b"\0\0"
    + struct.pack("<I", 2)
    + b"\0\0"
    + packed(b"module")
    + b"\x01"
    + packed(b"key")
    + packed(b"type")
    + packed(b"")
    + packed(b"m2")
    + b"\x02"
    + packed(b"k2")
    + packed(b"t2")
    + packed(b"x")
)
OLD_FRAMES = {
    0: struct.pack("<I", 0) + b"\0\0" + body(),
    1: struct.pack("<I", 1) + b"\0\0" + body(),
    2: struct.pack("<I", 2) + HISTORY + b"\0\0" + body(),
    3: struct.pack("<I", 3) + HISTORY + b"\0\0" + body() + b"?" * 12,
    4: b"[i3]" + struct.pack("<IQI", 4, 1, 2) + b"\0\0P" + HISTORY + body()[1:],
    5: b"[i3]\x05\0\0\0\0\0" + body() + struct.pack("<I", binascii.crc_hqx(body(), 0xFFFF)),
}


@pytest.mark.parametrize(
    ("stop", "crc"), [("G", "ea 64 27 9f"), ("C", "5a da 62 7f"), ("D", "1e d4 14 d7")]
)
def test_empty_frames_of_a_real_event(stop: str, crc: str) -> None:
    data = EMPTY_G[:10] + stop.encode() + bytes(4) + bytes.fromhex(crc)
    frame = Frame.from_bytes(data)
    assert (frame.stop, frame.keys()) == (stop, [])
    assert Frame(stop).to_bytes() == frame.to_bytes() == data


def test_checksum_is_the_plain_castagnoli_polynomial() -> None:
    data = version_6(body())
    assert struct.unpack("<I", data[-4:])[0] == slow_crc(body())
    assert Frame.from_bytes(data).to_bytes() == data


def test_start_of_a_frame_with_one_entry() -> None:
    frame = Frame("G")
    data = bytes.fromhex("00") * 0x2E81
    frame.put("I3GeometryDiff", RawObject("I3GeometryDiff", 0, data))
    assert frame.to_bytes().startswith(
        bytes.fromhex(
            "5b 69 33 5d 06 00 00 00 00 00 47 01 00 00 00"
            "0e 00 00 00 49 33 47 65 6f 6d 65 74 72 79 44 69 66 66"
            "0e 00 00 00 49 33 47 65 6f 6d 65 74 72 79 44 69 66 66 81 2e 00 00"
        )
    )


@pytest.mark.parametrize("version", OLD_FRAMES)
def test_old_versions_are_read_and_written_as_version_6(version: int) -> None:
    frame = Frame.from_bytes(OLD_FRAMES[version])
    assert frame.stop == "P"
    assert {key: frame[key] for key in frame.keys()} == ENTRIES  # noqa: SIM118  # not a dict
    again = Frame.from_bytes(frame.to_bytes())
    assert frame.to_bytes().startswith(b"[i3]\x06")
    assert {key: again[key] for key in again.keys()} == ENTRIES  # noqa: SIM118  # not a dict


def test_wrong_checksums_are_errors_unless_switched_off() -> None:
    for good in (version_6(body()), OLD_FRAMES[5]):
        data = bytearray(good)
        data[-1] ^= 1
        with pytest.raises(FormatError, match="checksum"):
            Frame.from_bytes(bytes(data))
        assert len(Frame.from_bytes(bytes(data), check=False)) == 3


def test_order_read_is_kept_and_new_frames_are_sorted() -> None:
    unsorted = Frame.from_bytes(version_6(body()))
    assert unsorted.keys() == ["b", "a", "Key_c"]
    unsorted.put("A", I3Int(1))
    again = Frame.from_bytes(unsorted.to_bytes())
    assert again.keys() == ["b", "a", "Key_c", "A"]
    new = Frame("P")
    for key, obj in ENTRIES.items():
        new.put(key, obj)
    assert Frame.from_bytes(new.to_bytes()).keys() == ["Key_c", "a", "b"]


def test_unknown_objects_and_labels_survive() -> None:
    odd = packed(b"X") + packed(b"some<label >") + packed(b"\x00\x01\x02\x00\x01\x00\x00\x00Z??")
    data = version_6(b"Q" + struct.pack("<I", 1) + odd)
    frame = Frame.from_bytes(data)
    assert isinstance(frame["X"], RawObject)
    assert frame.type_name("X") == "some<label >"
    assert frame.class_name("X") == "Z"
    assert frame.to_bytes() == data
    other = Frame("P")
    other.put("Y", frame["X"])
    assert other.raw("Y") == frame.raw("X")


@pytest.mark.parametrize(
    "content",
    [
        b"P" + struct.pack("<I", 2) + entry("k", I3Int(1)) + entry("k", I3Int(2)),
        b"P" + struct.pack("<I", 1) + b"\xff\xff\xff\xff" + struct.pack("<Q", 1) + b"k"
        + packed(b"L") + packed(encode_object(I3Int(2))),
        b"P" + struct.pack("<I", 1) + packed("kä".encode("latin-1")) + packed(b"L")
        + packed(encode_object(I3Int(2))),
    ],
    ids=["repeated key", "long size", "odd key"],
)  # fmt: skip  # bytes in stream order
def test_unusual_frames_are_written_back_as_they_were(content: bytes) -> None:
    frame = Frame.from_bytes(version_6(content))
    assert frame[frame.keys()[0]] == I3Int(2)
    assert frame.to_bytes() == version_6(content)
    assert frame.copy().to_bytes() == version_6(content)
    frame.put("new", I3Int(3))
    assert len(Frame.from_bytes(frame.to_bytes())) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[i3]",
        b"[i4]" + EMPTY_G[4:],
        b"[i3]\x07" + EMPTY_G[5:],
        EMPTY_G[:8] + b"\x01" + EMPTY_G[9:],
        EMPTY_G[:-1],
        EMPTY_G + b"\0",
        version_6(b"P" + struct.pack("<I", 2**32 - 1)),
        version_6(b"P" + struct.pack("<I", 1) + packed(b"k") + packed(b"L") + packed(b"")),
        version_6(b"P" + struct.pack("<I", 1) + b"\xff\xff\xff\xff" + b"\xff" * 8),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        Frame.from_bytes(data, origin="here")
    assert "here" in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "a\nb", "ä"])
def test_illegal_keys_are_refused(key: str) -> None:
    with pytest.raises(FormatError, match="key"):
        Frame("P").put(key, I3Int(1))


def test_objects_are_asked_for_by_type() -> None:
    frame = Frame.from_bytes(version_6(body()), origin="f.i3: frame 3 (P)")
    assert frame.get("b", I3Double) == I3Double(1.5)
    assert frame.find("zzz", I3Double) is None
    with pytest.raises(FormatError, match=r"key b.*found I3Double, wanted Particle"):
        frame.get("b", Particle)
    with pytest.raises(MissingKeyError, match="zzz"):
        frame.get("zzz", Particle)
    with pytest.raises(KeyError):
        frame["zzz"]
    with pytest.raises(KeyError):
        frame.raw("zzz")


def test_damaged_object_names_file_frame_key_and_byte() -> None:
    frame = Frame.from_bytes(
        version_6(
            b"P" + struct.pack("<I", 1) + packed(b"k") + packed(b"L")
            + packed(encode_object(I3Double(1.0))[:-1])
        ),
        origin="f.i3: frame 3 (P)",
    )  # fmt: skip  # bytes in stream order
    with pytest.raises(FormatError, match=r"^f.i3: frame 3 \(P\), key k: .*byte 28"):
        frame.get("k", I3Double)


def frame_of(stop: str, **values: int) -> Frame:
    frame = Frame(stop)
    for key, value in values.items():
        frame.put(key, I3Int(value))
    return frame


def test_mixing_own_keys_win_then_the_first_stop() -> None:
    mixed = mix_frames(
        [
            frame_of("G", a=1, g=1),
            frame_of("C", a=2, c=2),
            frame_of("G", a=3),
            frame_of("Q", q=4, p=4),
            frame_of("P", p=5),
            frame_of("P", p=6),
        ]
    )
    assert {key: mixed[key] for key in mixed} == {
        "p": I3Int(6),
        "a": I3Int(3),
        "c": I3Int(2),
        "q": I3Int(4),
    }
    assert mixed.own_keys() == ["p"]
    assert mixed.stop_of("a") == "G"
    assert mixed.to_bytes() == frame_of("P", p=6).to_bytes()


def test_i_and_p_frames_are_never_parents() -> None:
    mixed = mix_frames([frame_of("I", i=1), frame_of("p", x=1), frame_of("p", y=2)])
    assert list(mixed) == ["y"]


def test_mixed_frames_can_be_mixed_again() -> None:
    frames = [frame_of("Q", a=1), frame_of("P", b=2)]
    again = mix_frames([frame_of("Q", a=7), mix_frames(frames)])
    assert again["a"] == I3Int(7)


def test_mixing_needs_a_physics_frame() -> None:
    with pytest.raises(FormatError, match="no physics frame"):
        mix_frames([frame_of("Q", a=1)])


def test_copy_under_another_stop() -> None:
    frame = mix_frames([frame_of("Q", a=1), frame_of("p", b=2)])
    assert frame.copy(stop="P").to_bytes() == frame_of("P", b=2).to_bytes()
    assert frame.own().keys() == ["b"]


def test_stop_is_one_letter() -> None:
    for stop in ("", "GC", "\u20ac"):
        with pytest.raises(FormatError):
            Frame(stop)


def test_an_inherited_object_is_placed_in_the_frame_that_holds_it() -> None:
    parents = [frame_of("Q", a=1), frame_of("P", b=2)]
    for frame, origin in zip(parents, ("file: frame 4 (Q)", "file: frame 5 (P)"), strict=True):
        frame.origin = origin
    mixed = mix_frames(parents)
    assert mixed.place("a") == mixed.copy().place("a") == "file: frame 4 (Q), key a"
    assert mixed.place("b") == "file: frame 5 (P), key b"
    assert mixed.place() == "file: frame 5 (P)"
