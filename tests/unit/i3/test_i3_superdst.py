"""I3SuperDST: words of a real event, rules of packing, rules of unpacking."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import PulseMap, RawObject, SuperDst, pack_pulses, unpack_pulses
from skymap_scanner.i3.registry import decode_object, encode_object

HEAD = bytes.fromhex(
    "00 01 02 00 0a 00 00 00 49 33 53 75 70 65 72 44 53 54 01 01 00 00 00 00 01 00 01 00 00 00"
)
WORDS = bytes.fromhex("ff 98 35 12 27 96 19 8d e8 2a 19 0b ff 92 bc 15")
HEADERS = bytes.fromhex("ad eb 6d 12 19 52 39 06")


def archive(words: bytes, headers: bytes, widths: list[bytes], extra: bytes = b"") -> bytes:
    data = HEAD + b"\0\0\0\0" + bytes([len(words) // 2]) + words
    data += b"\0\0" + bytes([len(headers) // 2]) + headers + b"\0\0"
    return data + b"".join(bytes([len(part)]) + part for part in [*widths, extra])


REAL = archive(WORDS, HEADERS, [b"\x63", b"", b"", b""])


def pulses(*rows: tuple[int, int, float, float, float, int]) -> PulseMap:
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    keys = np.zeros((len(table), 3), dtype=np.int64)
    keys[:, :2] = table[:, :2]
    return PulseMap.from_columns(
        keys, table[:, 2], table[:, 3], table[:, 4], table[:, 5].astype(np.uint8)
    )


def decoded(data: bytes) -> SuperDst:
    obj = decode_object(data)
    assert isinstance(obj, SuperDst), obj
    return obj


def test_first_readouts_of_a_real_event() -> None:
    packed = decoded(REAL)
    assert packed.n_stamps.tolist() == [1, 1, 1, 3]
    series = unpack_pulses(packed)
    assert series.om_key[:, :2].tolist() == [
        [24, 58],
        [24, 58],
        [24, 58],
        [46, 46],
        [72, 26],
        [73, 46],
    ]
    assert series.time.tolist() == [7004, 7029, 12848, 6196, 6772, 6235]
    assert series.charge == pytest.approx([2.125, 0.575, 0.925, 1.225, 0.675, 1.125])
    assert series.charge[3] == np.float32(1.225)
    assert set(series.width) == {8.0}
    assert set(series.flags) == {4}


def test_real_words_are_written_again() -> None:
    assert encode_object(decoded(REAL)) == REAL


def test_runs_of_widths() -> None:
    """0xD3 0x73 is a run of 0x7D codes 3; different codes end a run."""
    words = struct.pack("<126H", *[0xC000] * 126)
    headers = struct.pack("<126H", *range(64, 64 + 60), *range(128, 128 + 60), *range(192, 198))
    data = HEAD + b"\0\0\0\0" + b"\x7e" + words + b"\0\0" + b"\x7e" + headers + b"\0\0"
    data += b"\0" + b"\x03\xd3\x73\x12" + b"\0\0\0"
    packed = decoded(data)
    assert packed.width_code.tolist() == [3] * 125 + [2]
    assert encode_object(packed) == data


def test_long_vectors_have_their_count_in_more_bytes() -> None:
    n = 0x041A
    series = pulses(*((1 + i % 80, 1 + i // 80, float(i), 1.0, 8.0, 4) for i in range(n)))
    data = encode_object(pack_pulses(series))
    assert data[len(HEAD) : len(HEAD) + 7] == b"\0\0\0\0\xfd\x1a\x04"
    assert np.array_equal(unpack_pulses(decoded(data)).time, series.time)


def test_quantisation() -> None:
    series = unpack_pulses(
        pack_pulses(pulses((1, 1, 100.5, 1.0, 6.25, 1), (2, 1, 99.49, 0.0499, 1.0, 0)))
    )
    assert series.time.tolist() == [101.0, 99.0]
    # 1.0 as f32 divided by 0.05 is 20 in f64; charges come back as the middle of their step.
    assert series.charge.tolist() == [np.float32(1.025), np.float32(0.025)]
    assert series.width.tolist() == [8.0, 1.0]
    assert series.flags.tolist() == [7, 4]


@pytest.mark.parametrize("extra", [0, 1, 65534, 65535, 65536, 131070])
def test_overflow_of_times_and_charges(extra: int) -> None:
    late = 2047 - 512 + extra
    charge = 0.05 * (63 + extra) + 0.02
    series = pulses((1, 1, -512.0, charge, 8.0, 1), (1, 1, 300.0, 1.0, 8.0, 1))
    far = pulses((1, 1, float(late), 1.0, 8.0, 1), (1, 1, late + 255.0, charge, 8.0, 1))
    for original in (series, far):
        packed = pack_pulses(original)
        again = decoded(encode_object(packed))
        for name in ("dom_id", "is_hlc", "n_stamps", "time_code", "charge_code", "width_code"):
            assert np.array_equal(getattr(again, name), getattr(packed, name))
        assert unpack_pulses(again).time.tolist() == original.time.tolist()
        assert unpack_pulses(again).charge == pytest.approx(original.charge, abs=0.026, rel=1e-6)


def test_value_exactly_at_saturation_gives_a_word_0() -> None:
    data = encode_object(pack_pulses(pulses((1, 1, 2047 - 512, 63.4 * 0.05, 8.0, 0))))
    assert data[len(HEAD) + 4] == 3
    assert data[len(HEAD) + 5 :][:6] == struct.pack("<HHH", 0x80FF | 63 << 8, 0, 0)


def test_readouts_split_at_local_coincidence_and_after_6450_ns() -> None:
    packed = pack_pulses(
        pulses(
            (1, 1, 0.0, 1.0, 8.0, 1),
            (1, 1, 6450.0, 1.0, 8.0, 1),
            (1, 1, 6451.0, 1.0, 8.0, 1),
            (1, 1, 6460.0, 1.0, 8.0, 4),
        )
    )
    assert packed.n_stamps.tolist() == [2, 1, 1]
    assert packed.is_hlc.tolist() == [True, True, False]


def test_icetop_pulses_are_readouts_of_their_own_with_logarithmic_charge() -> None:
    original = pulses((1, 61, 0.0, 120.0, 8.0, 1), (1, 61, 10.0, 0.001, 8.0, 1))
    packed = decoded(encode_object(pack_pulses(original)))
    assert packed.n_stamps.tolist() == [1, 1]
    assert packed.width_stream.tolist() == [3, 3]
    assert unpack_pulses(packed).charge == pytest.approx([120.0, 0.01], rel=1e-3)


def test_non_finite_pulses_are_dropped() -> None:
    original = pulses((1, 1, np.nan, 1.0, 8.0, 1), (1, 1, 1.0, np.inf, 8.0, 1))
    packed = decoded(encode_object(pack_pulses(original)))
    assert len(packed.dom_id) == 0
    assert len(unpack_pulses(packed)) == 0


@pytest.mark.parametrize(
    "row",
    [
        (128, 1, 0.0, 1.0, 8.0, 1),
        (1, 65, 0.0, 1.0, 8.0, 1),
        (1, 0, 0.0, 1.0, 8.0, 1),
        (1, 1, -513.0, 1.0, 8.0, 1),
        (1, 1, 1e12, 1.0, 8.0, 1),
        (1, 1, 0.0, 1e12, 8.0, 1),
    ],
)
def test_what_cannot_be_stored_is_refused(row: tuple[int, int, float, float, float, int]) -> None:
    with pytest.raises(FormatError):
        pack_pulses(pulses(row))


def test_widths_end_at_the_next_pulse() -> None:
    series = unpack_pulses(
        pack_pulses(pulses((1, 1, 0.0, 1.0, 16.0, 1), (1, 1, 5.0, 1.0, 16.0, 1)))
    )
    assert series.width.tolist() == [5.0, 16.0]


@pytest.mark.parametrize(
    ("times", "new_times", "widths"),
    [
        # Two at the same time come first: the second waits and shares its own width.
        ([10, 10, 14], [10, 12, 14], [2, 2, 8]),
        # Two at the same time later: they share the width of the one before.
        ([0, 10, 10, 20], [0, 4, 10, 20], [4, 4, 8, 8]),
        # Nothing behind them: the last pulse keeps its width before it is shared.
        ([10, 10], [10, 14], [4, 4]),
    ],
)
def test_pulses_at_the_same_time_share_a_width(
    times: list[float], new_times: list[float], widths: list[float]
) -> None:
    series = unpack_pulses(pack_pulses(pulses(*((1, 1, t, 1.0, 8.0, 1) for t in times))))
    assert series.time.tolist() == new_times
    assert series.width.tolist() == widths


def test_version_0() -> None:
    stamps = [0x40FF | 10 << 8, 0x8000 | 3, 0x8000 | 63 << 8 | 4, 0x8000 | 5]
    # First stamp saturated in time: one word of 15 bits; third saturated in charge, the same.
    data = bytearray(HEAD)
    data[19] = 0
    data += struct.pack("<H", 4) + struct.pack("<4H", *stamps)
    data += struct.pack("<2H", 0xE000 | 1 << 6 | 4, 2 << 6)
    packed = decoded(bytes(data))
    assert packed.version == 0
    assert packed.is_hlc.tolist() == [True, False]
    assert packed.time_code.tolist() == [2050, 4]
    series = unpack_pulses(packed)
    assert series.om_key[:, :2].tolist() == [[1, 5], [2, 1]]
    assert series.time.tolist() == [4 * 2050 - 512, 4 * 2054 - 512]
    assert series.charge == pytest.approx([1.5, 0.15 * 68])
    assert series.width.tolist() == [4.0, 4.0]
    with pytest.raises(FormatError, match="version 1 only"):
        encode_object(packed)


@pytest.mark.parametrize(
    "data",
    [
        archive(WORDS[:-2], HEADERS, [b"\x63", b"", b"", b""]),
        archive(WORDS, HEADERS[:-2], [b"\x63", b"", b"", b""]),
        archive(WORDS, HEADERS, [b"\x53", b"", b"", b""]),
        archive(WORDS, HEADERS, [b"\x73", b"", b"", b""]),
        archive(WORDS, HEADERS, [b"", b"\x63", b"", b""]),
        archive(WORDS, HEADERS, [b"\x03" * 200, b"", b"", b""]),
        archive(WORDS, HEADERS, [b"\xf3\xf3\xf3\xf3", b"", b"", b""]),
        archive(WORDS, HEADERS, [b"\x63", b"", b"", b""], b"\1"),
        archive(b"\0\x40\0\x80", HEADERS[:2], [b"\x13", b"\x13", b"", b""]),
        archive(b"\0\0\0\x80", b"\x7d\0", [b"", b"", b"\x23", b""], b"\1\1"),
        HEAD + b"\0\0\0\0\xf8" + b"\xff" * 7,
    ],
)
def test_damaged_streams_are_refused(data: bytes) -> None:
    obj = decode_object(data)
    assert isinstance(obj, RawObject)
    assert "byte" in obj.reason


def test_more_stamps_than_any_event_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymap_scanner.i3.superdst._MAX_STAMPS", 3)
    many = pack_pulses(pulses(*((1, 1, 100.0 * n, 1.0, 1.0, 1) for n in range(4))))
    damaged = decode_object(encode_object(many))
    assert isinstance(damaged, RawObject)
    assert "more pulses than any event (found 4, wanted at most 3)" in damaged.reason
