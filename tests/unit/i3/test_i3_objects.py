"""Objects against bytes of real frames, and every class there and back."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import (
    Direction,
    EventHeader,
    I3Bool,
    I3Double,
    I3Int,
    I3String,
    I3Time,
    KeyMap,
    LogLikelihoodFitParams,
    NumberVector,
    OMKey,
    OMKeyVector,
    Particle,
    ParticleShape,
    ParticleVector,
    Position,
    PulseMap,
    PulseMapMask,
    RawObject,
    StringMap,
    StringVector,
    TimeWindow,
    TimeWindowSeriesMap,
)
from skymap_scanner.i3.registry import CODECS, class_of, decode_object, encode_object

HEADER = bytes.fromhex(
    "00 01 02 00 0d 00 00 00 49 33 45 76 65 6e 74 48 65 61 64 65 72 01 03 00 00 00 00"
    "01 00 01 00 00 00 d6 15 02 00 00 00 00 00 6c 40 1c 02 14 00 00 00 01 00 00 00"
    "0a 00 00 00 49 6e 49 63 65 53 70 6c 69 74 01 00 02 00 00 00 03 00 00 00"
    "e6 07 00 00 d2 bb ff 93 bf ed b7 01 04 00 00 00 05 00 00 00"
    "e6 07 00 00 7d b4 02 94 bf ed b7 01"
)
VERTEX_TIME = bytes.fromhex(
    "00 01 02 00 08 00 00 00 49 33 44 6f 75 62 6c 65 01 00 00 00 00 00"
    "01 00 01 00 00 00 00 00 00 00 80 59 c5 40"
)
VERTEX = bytes.fromhex(
    "00 01 02 00 0a 00 00 00 49 33 50 6f 73 69 74 69 6f 6e 01 00 00 00 00 00 01 00 01 00 00 00"
    "7c b9 59 32 aa d9 6d c0 a1 ae 90 b5 ad 88 7b c0 99 d7 33 6d 04 08 67 c0"
)
TRACK = bytes.fromhex(
    "00 01 02 00 0a 00 00 00 49 33 50 61 72 74 69 63 6c 65 01 05 00 00 00 00 01 00 01 00 00 00"
    "63 6e 50 10 96 ed 4f d1 dc c8 e2 d4 00 00 00 00 28 00 00 00 00 00 00 00"
    "01 00 02 00 00 00 03 00 00 00"
    "f8 c2 a7 75 2a 56 66 c0 c0 41 0c 6e 42 aa 75 40 00 0c 9e 33 7a 51 67 40"
    "01 00 04 00 00 00 05 00 00 00 ba 33 d4 b8 22 2c f8 3f a0 ce 43 65 d1 4e e5 3f"
    "85 d4 33 24 69 bb df 40 00 00 00 00 00 00 f8 7f 00 00 00 00 00 00 f8 7f"
    "14 a3 ac b4 cc 2f d3 3f 00 00 00 00"
)
ERRATA_START = bytes.fromhex(
    "00 01 02 00 15 00 00 00 49 33 54 69 6d 65 57 69 6e 64 6f 77 53 65 72 69 65 73 4d 61 70"
    "01 00 00 00 00 00 01 00 01 00 00 00 00 00 03 00 00 00 00 00"
    "01 02 02 00 00 00 3d 00 00 00 14 00 00 00 00 01 01 03 00 00 00 04 00 00 00"
    "00 00 01 00 00 00 01 01 05 00 00 00 06 00 00 00"
    "a0 05 99 81 e5 57 e0 40 5a 3d 2f b6 f0 c7 e6 40 07 00 00 00 4e 00 00 00 12 00 00 00 00"
)
PULSES_START = bytes.fromhex(
    "00 01 02 00 14 00 00 00 49 33 52 65 63 6f 50 75 6c 73 65 53 65 72 69 65 73 4d 61 70"
    "01 00 00 00 00 00 01 00 01 00 00 00 00 00 72 00 00 00 00 00"
    "01 02 02 00 00 00 02 00 00 00 22 00 00 00 00 00 00 01 00 00 00 01 03 03 00 00 00"
    "e3 f6 36 81 e3 99 d1 40 71 aa 0c 3f 00 00 c8 40 04"
    "04 00 00 00 06 00 00 00 2f 00 00 00 00 01 00 00 00"
    "05 00 00 00 62 3e f3 70 40 ef c7 40 c4 7e 7f 3f 00 00 c8 40 04"
    "06 00 00 00 07 00 00 00 06 00 00 00 00"
)
MASK_START = bytes.fromhex(
    "00 01 02 00 18 00 00 00"
    "49 33 52 65 63 6f 50 75 6c 73 65 53 65 72 69 65 73 4d 61 70 4d 61 73 6b"
    "01 02 00 00 00 00 01 00 01 00 00 00 0e 00 00 00 49 6e 49 63 65 44 53 54 50 75 6c 73 65 73"
    "00 00 1f 00 00 c4 6d bf fe f7 ff ff 25 00 00 e0 ff 7f 0d 00 c0 ff ff ff 3f 58 ff ff ff ff"
    "bf f0 ff ff ff ce 00 00 b0 00 00 00 01 00 07 01 01 00 07 01 01 00 07 01 01 00 05 07"
)
FIT_PARAMS = bytes.fromhex(
    "8a bd 3d 06 e4 b7 89 40 8a bd 3d 06 e4 b7 19 40 80 00 00 00 04 01 00 00"
)

A_PARTICLE = Particle(
    1, 2, 13, 50, 0, Position(1, 2, 3), Direction(0.1, 0.2), 4.0, 5.0, 6.0, 0.3, 20
)


def test_header_of_a_real_event() -> None:
    header = decode_object(HEADER)
    assert header == EventHeader(
        136662,
        0,
        35405932,
        20,
        1,
        "InIceSplit",
        I3Time(2022, 123828921853524946),
        I3Time(2022, 123828921853719677),
    )
    assert encode_object(header) == HEADER


def test_double_of_a_real_event() -> None:
    assert decode_object(VERTEX_TIME) == I3Double(10931.0)
    assert encode_object(I3Double(10931.0)) == VERTEX_TIME


def test_position_of_a_real_event() -> None:
    position = decode_object(VERTEX)
    assert isinstance(position, Position)
    assert (position.x, position.y, position.z) == pytest.approx(
        (-238.8020, -440.5424, -184.2505), abs=1e-4
    )
    assert encode_object(position) == VERTEX


def test_particle_of_a_real_event() -> None:
    track = decode_object(TRACK)
    assert isinstance(track, Particle)
    assert (track.minor_id, track.major_id) == (273706595, 15340044131507367318)
    assert (track.pdg, track.shape, track.fit_status) == (0, ParticleShape.INFINITE_TRACK, 0)
    assert (track.position.x, track.position.y, track.position.z) == pytest.approx(
        (-178.69268, 346.64122, 186.54617), abs=1e-5
    )
    assert track.direction.zenith == pytest.approx(1.510775301, abs=1e-9)
    assert track.direction.azimuth == pytest.approx(0.665871332, abs=1e-9)
    assert track.time == pytest.approx(32493.642834623, abs=1e-9)
    assert np.isnan([track.energy, track.length]).all()
    assert track.speed == 0.299792458
    assert encode_object(track) == TRACK


def test_time_windows_start_like_those_of_a_real_event() -> None:
    first = TimeWindow(*struct.unpack("<dd", ERRATA_START[-29:-13]))
    assert (first.start, first.stop) == pytest.approx((33471.172, 46655.522), abs=1e-3)
    windows = TimeWindowSeriesMap(
        {
            OMKey(78, 18): (TimeWindow(1.0, 2.0), TimeWindow(3.0, 4.0)),
            OMKey(61, 20): (first,),
            OMKey(78, 19): (),
        }
    )
    data = encode_object(windows)
    assert data.startswith(ERRATA_START)
    decoded = decode_object(data)
    assert isinstance(decoded, TimeWindowSeriesMap)
    assert decoded.windows == windows.windows


def test_pulses_start_like_those_of_a_real_event() -> None:
    n = 114
    strings = np.concatenate([[2, 6, 7], np.arange(8, 119)])
    keys = np.stack([strings, np.full(n, 6), np.zeros(n)], axis=1).astype(int)
    keys[:2, 1] = 34, 47
    times = [*struct.unpack("<d", bytes.fromhex("e3 f6 36 81 e3 99 d1 40")), *[0.0] * 113]
    times[1] = struct.unpack("<d", bytes.fromhex("62 3e f3 70 40 ef c7 40"))[0]
    charges = [*struct.unpack("<f", bytes.fromhex("71 aa 0c 3f")), *[1.0] * 113]
    charges[1] = struct.unpack("<f", bytes.fromhex("c4 7e 7f 3f"))[0]
    assert times[:2] == pytest.approx([18023.5548, 12254.5034], abs=1e-4)
    assert charges[:2] == pytest.approx([0.54948, 0.99803], abs=1e-5)
    pulses = PulseMap.from_columns(
        keys, np.array(times), np.array(charges), np.full(n, 6.25), np.full(n, 4)
    )
    data = encode_object(pulses)
    assert data.startswith(PULSES_START)
    decoded = decode_object(data)
    assert isinstance(decoded, PulseMap)
    for name in ("om_key", "time", "charge", "width", "flags"):
        assert np.array_equal(getattr(decoded, name), getattr(pulses, name))


def test_mask_starts_like_that_of_a_real_event() -> None:
    stored = np.frombuffer(MASK_START, np.uint8, 31, MASK_START.index(b"\xc4\x6d"))
    bits = np.unpackbits(stored, bitorder="little").astype(bool)
    assert bits[:8].tolist() == [False, False, True, False, False, False, True, True]
    n_pulses = np.ones(176, dtype=np.int64)
    n_pulses[3] = 3
    mask = PulseMapMask("InIceDSTPulses", bits, n_pulses, np.ones(178, dtype=bool))
    assert bits.sum() == 176
    data = encode_object(mask)
    assert data.startswith(MASK_START)
    decoded = decode_object(data)
    assert isinstance(decoded, PulseMapMask)
    assert decoded.source == mask.source
    assert np.array_equal(decoded.om_mask, bits)
    assert np.array_equal(decoded.n_pulses, n_pulses)
    assert decoded.pulse_mask.all()


def test_fit_params_of_a_real_event() -> None:
    params = LogLikelihoodFitParams(*struct.unpack("<ddii", FIT_PARAMS))
    assert params.nll == pytest.approx(822.98634, abs=1e-5)
    assert params.reduced_nll == pytest.approx(6.42958, abs=1e-5)
    assert (params.n_dof, params.n_minimizer_calls) == (128, 260)
    data = encode_object(params)
    assert data[44:68] == FIT_PARAMS
    assert decode_object(data) == params


@pytest.mark.parametrize(
    "obj",
    [
        I3Int(-7),
        I3Bool(value=True),
        I3String("spam µ"),
        Direction(0.5, 1.5),
        A_PARTICLE,
        ParticleVector((A_PARTICLE, A_PARTICLE)),
        ParticleVector(()),
        I3Time(2017, 5),
        TimeWindow(1.0, 2.0),
        OMKeyVector((OMKey(21, 30), OMKey(1, 61, 1))),
        StringVector(("a", "", "bc")),
        StringMap("I3MapStringDouble", {"a": 1.5, "b": -2.0}),
        StringMap("I3MapStringInt", {"z": 3, "a": -4}),
        StringMap("I3MapStringBool", {"yes": True}),
        KeyMap("I3MapKeyDouble", {OMKey(1, 2): 3.5}),
        KeyMap("I3MapKeyVectorDouble", {OMKey(1, 2): (1.0, 2.0), OMKey(1, 3): ()}),
    ],
    ids=lambda obj: getattr(obj, "class_name", type(obj).__name__),
)
def test_object_survives_writing_and_reading(obj: object) -> None:
    assert decode_object(encode_object(obj)) == obj


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("I3VectorBool", [1, 0]),
        ("I3VectorChar", [-1, 2]),
        ("I3VectorInt", [-(2**31), 5]),
        ("I3VectorUInt64", [2**64 - 1]),
        ("I3VectorDouble", [0.5, np.nan]),
        ("I3VectorFloat", []),
    ],
)
def test_vectors_of_numbers_survive(name: str, values: list[float]) -> None:
    decoded = decode_object(encode_object(NumberVector(name, np.array(values))))
    assert isinstance(decoded, NumberVector)
    assert decoded.class_name == name
    assert np.array_equal(decoded.values, np.array(values), equal_nan="U" not in name)


def test_vector_refuses_numbers_that_do_not_fit() -> None:
    with pytest.raises(FormatError, match="do not fit"):
        encode_object(NumberVector("I3VectorChar", np.array([300])))


def test_vector_of_chars_has_no_class_info_of_its_own() -> None:
    data = encode_object(NumberVector("I3VectorChar", np.array([1, 2])))
    assert data.endswith(bytes.fromhex("01 00 01 00 00 00 02 00 00 00 01 02"))


def test_unknown_class_stays_as_bytes() -> None:
    data = HEADER.replace(b"I3EventHeader", b"I3OtherHeader")
    obj = decode_object(data)
    assert obj == RawObject("I3OtherHeader", 3, data, "unknown class 'I3OtherHeader'")
    assert encode_object(obj) == data


def test_newer_version_stays_as_bytes() -> None:
    data = bytearray(HEADER)
    data[22] = 4
    obj = decode_object(bytes(data))
    assert isinstance(obj, RawObject)
    assert (obj.name, obj.version) == ("I3EventHeader", 4)
    assert "newer" in obj.reason


def test_newer_version_of_an_inner_class_stays_as_bytes() -> None:
    data = bytearray(HEADER)
    data[data.index(b"InIceSplit") + 11] = 1
    obj = decode_object(bytes(data))
    assert isinstance(obj, RawObject)
    assert "I3Time" in obj.reason


@pytest.mark.parametrize("data", [HEADER + b"\0", HEADER[:-1], b"", b"\0\1", HEADER[:30]])
def test_left_over_or_missing_bytes_leave_the_object_raw(data: bytes) -> None:
    obj = decode_object(data)
    assert isinstance(obj, RawObject)
    assert obj.data == data
    assert obj.reason


def test_class_of_reads_the_head_only() -> None:
    assert class_of(HEADER[:27]) == ("I3EventHeader", 3)
    assert class_of(b"rubbish") == ("", -1)


def test_objects_that_do_not_fit_are_refused() -> None:
    for obj in (I3Int(2**31), A_PARTICLE.__class__, object(), I3String("\ud800")):
        with pytest.raises(FormatError):
            encode_object(obj)


def test_all_classes_with_a_writer_have_distinct_names() -> None:
    assert {
        "I3EventHeader",
        "I3Particle",
        "I3RecoPulseSeriesMap",
        "I3RecoPulseSeriesMapMask",
        "I3SuperDST",
        "I3TimeWindowSeriesMap",
        "I3VectorOMKey",
        "I3ParticleVect",
        "I3LogLikelihoodFitParams",
        "I3MCTree",
        "I3Double",
        "I3Int",
        "I3Bool",
        "I3String",
        "I3Position",
        "I3Direction",
        "I3TimeWindow",
    } <= {name for name, codec in CODECS.items() if codec.write is not None}
