"""Objects as they were stored over the years: versions that our own writer never uses."""

from __future__ import annotations

import math
import struct

import pytest
from archive_bytes import Ids, top

from skymap_scanner.i3 import (
    Calibration,
    DetectorStatus,
    Direction,
    EventHeader,
    Geometry,
    I3Time,
    MCTree,
    OMKey,
    OMKeyVector,
    Particle,
    Position,
    PulseMap,
    PulseMapMask,
    TimeWindow,
)
from skymap_scanner.i3.registry import decode_object


def test_header_of_version_0() -> None:
    data = top(
        "I3EventHeader",
        0,
        struct.pack("<II", 7, 9)
        + b"\x01\x00"
        + struct.pack("<IIiq", 2, 3, 2010, 5)
        + struct.pack("<IIiq", 4, 5, 2010, 6),
    )
    assert decode_object(data) == EventHeader(7, 0, 9, 20, 0, "", I3Time(2010, 5), I3Time(2010, 6))


@pytest.mark.parametrize(
    ("version", "code", "pdg"),
    [
        (0, 33, -15),
        (1, 202, 14),
        (2, 1001, -2000001001),
        (2, -100, 0),
        (2, 3026, 1000260560),
        (2, 3027, 0),
        (3, 68, 14),
        (3, 5626, 1000260560),
        (4, -1111, -2000001111),
        (4, 99999, 0),
        (5, 13, 13),
    ],
)
def test_particles_of_all_versions(version: int, code: int, pdg: int) -> None:
    ids = Ids()
    content = struct.pack("<i", 5)
    content += struct.pack("<Q", 6) if version > 1 else b""
    content += struct.pack("<ii", -1, -1) if version == 0 else b""
    content += struct.pack("<iii", code, 40, 0)
    content += ids(b"\x01\x00") + ids() + struct.pack("<ddd", 1, 2, 3)
    content += ids(b"\x01\x00") + ids() + struct.pack("<dd", 0.1, 0.2)
    content += struct.pack("<dddd", 4, 5, 6, 0.3)
    content += b"\x00\x00\x00\x00\x00\x00" if version == 0 else struct.pack("<i", 20)
    content += bytes(16) if version == 4 else b""
    location = 0 if version == 0 else 20
    major = 6 if version > 1 else 0
    assert decode_object(top("I3Particle", version, content)) == Particle(
        5, major, pdg, 40, 0, Position(1, 2, 3), Direction(0.1, 0.2), 4, 5, 6, 0.3, location
    )


@pytest.mark.parametrize(("version", "base"), [(0, True), (1, True), (2, False)])
def test_om_keys_of_all_versions(version: int, base: bool) -> None:  # a table
    ids = Ids()
    content = b"\x00\x00\x01\x00\x00\x00" + ids(b"\x01" + bytes([version]))
    content += ids() if base else b""
    content += struct.pack("<iI", 3, 4) + (b"\x01" if version else b"")
    expected = OMKey(3, 4, 1 if version else 0)
    assert decode_object(top("I3VectorOMKey", 0, content)) == OMKeyVector((expected,))


@pytest.mark.parametrize(
    ("version", "pulse", "flags"),
    [
        (0, struct.pack("<didd", 1.5, 9, 2.5, 3.5), 0),
        (1, struct.pack("<diddi", 1.5, 9, 2.5, 3.5, 0), 3),
        (1, struct.pack("<diddi", 1.5, 9, 2.5, 3.5, 10), 5),
        (1, struct.pack("<diddi", 1.5, 9, 2.5, 3.5, 50), 4),
        (2, struct.pack("<fffB", 1.5, 2.5, 3.5, 7), 7),
        (3, struct.pack("<dffB", 1.5, 2.5, 3.5, 7), 7),
    ],
)
def test_pulses_of_all_versions(version: int, pulse: bytes, flags: int) -> None:
    ids = Ids()
    content = b"\x00\x00\x01\x00\x00\x00\x00\x00" + ids(b"\x01\x02") + struct.pack("<iIB", 1, 2, 0)
    content += b"\x00\x00\x01\x00\x00\x00" + ids(b"\x01" + bytes([version])) + pulse
    pulses = decode_object(top("I3RecoPulseSeriesMap", 0, content))
    assert isinstance(pulses, PulseMap)
    assert (pulses.time[0], pulses.charge[0], pulses.width[0], pulses.flags[0]) == (
        1.5,
        2.5,
        3.5,
        flags,
    )


def test_masks_of_version_0_and_1() -> None:
    head = struct.pack("<I", 1) + b"S"
    one_dom = b"\x00\x00" + struct.pack("<HB", 1, 7) + b"\x01"
    elements = b"\x00\x00\x01\x00\x00\x00" + struct.pack("<HB", 1, 6) + b"\x02"
    mask = decode_object(top("I3RecoPulseSeriesMapMask", 1, head + bytes(4) + one_dom + elements))
    assert isinstance(mask, PulseMapMask)
    assert mask.pulse_mask.tolist() == [False, True]
    full = b"\x00\x00" + struct.pack("<HB", 8, 0) + b"\xff" * 8
    nothing = b"\x00\x00\x00\x00\x00\x00"
    empty = decode_object(top("I3RecoPulseSeriesMapMask", 0, head + full + nothing))
    assert isinstance(empty, PulseMapMask)
    assert len(empty.om_mask) == len(empty.pulse_mask) == 0


def test_time_window_of_version_0_has_no_base() -> None:
    name = "I3TimeWindow"
    head = b"\x00\x01\x02\x00" + struct.pack("<I", len(name)) + name.encode()
    data = head + b"\x01\x00\x00\x00\x00\x00" + struct.pack("<dd", 1, 2)
    assert decode_object(data) == TimeWindow(1.0, 2.0)


def particle_bytes(ids: Ids, number: int, *, first: bool) -> bytes:
    """A particle of version 5 as a member, with all but its minor id zero."""
    content = ids(b"\x01\x05" if first else b"") + ids()
    content += struct.pack("<iQiii", number, 0, 13, 0, 0)
    content += ids(b"\x01\x00" if first else b"") + ids() + bytes(24)
    content += ids(b"\x01\x00" if first else b"") + ids() + bytes(16)
    return content + bytes(32) + bytes(4)


def test_mctree_of_version_0() -> None:
    ids = Ids()
    content = struct.pack("<I", 1)
    for number, n_children in ((1, 2), (2, 0), (3, 0)):
        content += particle_bytes(ids, number, first=number == 1) + struct.pack("<I", n_children)
    tree = decode_object(top("I3MCTree", 0, content))
    assert isinstance(tree, MCTree), tree
    assert tree.parents == (-1, 0, 0)
    assert [p.minor_id for p in tree.particles] == [1, 2, 3]


def test_geometry_stops_behind_the_modules() -> None:
    ids = Ids()
    content = ids(b"\x01\x00") + ids() + b"\x00\x00\x02\x00\x00\x00\x00\x00"
    for number in (0, 1):
        first = number == 0
        content += ids(b"\x01\x02" if first else b"") + struct.pack("<iIB", 1, 5 + number, 0)
        content += ids(b"\x01\x02" if first else b"")
        content += ids(b"\x01\x00" if first else b"") + ids() + struct.pack("<ddd", 1, 2, number)
        content += ids(b"\x01\x00" if first else b"") + ids()
        content += ids(b"\x01\x00" if first else b"") + ids() + struct.pack("<dddd", 0, 0, 0, 1)
        content += struct.pack("<idi", 20, 0.04, 1 + number)
    geometry = decode_object(top("I3Geometry", 3, content + b"stations and more"))
    assert isinstance(geometry, Geometry)
    assert geometry.modules[OMKey(1, 6)].position == Position(1, 2, 1)
    assert geometry.modules[OMKey(1, 6)].pmt_type == 2


def test_geometry_of_version_0() -> None:
    ids = Ids()
    content = b"\x00\x00\x01\x00\x00\x00\x00\x00" + ids(b"\x01\x02") + struct.pack("<iIB", 1, 5, 0)
    content += ids(b"\x01\x00") + ids(b"\x01\x00") + ids() + struct.pack("<ddd", 1, 2, 3)
    content += struct.pack("<iidd", 0, 20, 0.04, 0)
    geometry = decode_object(top("I3Geometry", 0, content))
    assert isinstance(geometry, Geometry)
    assert geometry.modules[OMKey(1, 5)].position == Position(1, 2, 3)


def array(*shape: int) -> bytes:
    head = struct.pack("<I", shape[0])
    return head + (bytes(8 * shape[0]) if len(shape) == 1 else shape[0] * array(*shape[1:]))


def dom_calibration(version: int, ids: Ids, efficiency: float, *, first: bool) -> bytes:
    """One I3DOMCalibration, zeros but for the efficiency."""
    info = b"\x01\x00" if first else b""
    known: set[str] = set()

    def fit(name: str, n: int) -> bytes:
        head = info if name not in known else b""
        known.add(name)
        return ids(head) + bytes(8 * n)

    content = bytes(16) + fit("L", 2) + bytes(8) + array(3)
    content += struct.pack("<I", 2) + fit("Q", 3) + fit("Q", 3)
    if version < 11:
        row = struct.pack("<I", 128)
        for _ in range(2):
            content += struct.pack("<I", 3)
            for _ in range(3):
                content += row + b"".join(fit("L", 2) for _ in range(128))
    else:
        content += array(2, 3, 128)
    content += fit("L", 2) + fit("L", 2) + bytes(8) + struct.pack("<I", 3) + b"7.6" + fit("T", 7)
    content += array(2, 3, 128) + bytes(16) if version < 11 else b""
    content += array(2) + fit("L", 2) + fit("L", 2) + fit("L", 2)
    content += struct.pack("<dd", efficiency, 5e-7)
    content += array(2, 3) + bytes(8) + bytes(40)
    if version > 10:
        content += ids(b"\x01\x02" if first else b"") + bytes(72) + bytes(16)
    content += bytes(2) if version == 11 else b""
    if version > 12:
        content += ids(b"\x01\x00" if first else b"") + ids() + struct.pack("<iq", 2020, 0)
    return content


@pytest.mark.parametrize("version", [10, 11, 12, 13])
def test_calibration_gives_efficiencies(version: int) -> None:
    ids = Ids()
    content = b"\x00\x00\x03\x00\x00\x00\x00\x00"
    for number, efficiency in enumerate([1.35, math.nan, 0.0]):
        first = number == 0
        content += ids(b"\x01\x02" if first else b"") + struct.pack("<iIB", 1, 5 + number, 0)
        content += ids(b"\x01" + bytes([version]) if first else b"")
        content += dom_calibration(version, ids, efficiency, first=first)
    calibration = decode_object(top("I3Calibration", 3, content + b"VEM"))
    assert isinstance(calibration, Calibration), calibration
    assert list(calibration.relative_efficiency.values()) == [1.35, 1.0, 1.0]


def test_detector_status_tells_dead_modules() -> None:
    ids = Ids()
    content = b"\x00\x00\x02\x00\x00\x00\x00\x00"
    for number, (mode, voltage) in enumerate([(2, 1300.0), (2, 0.0)]):
        first = number == 0
        content += ids(b"\x01\x02" if first else b"") + struct.pack("<iIB", 1, 5 + number, 0)
        content += ids(b"\x01\x06" if first else b"")
        content += struct.pack("<iiddIiii", mode, 1, 0, 0, 1, 0, 0, 0)
        content += struct.pack("<dddddd", voltage, 0.25, 0, 0, 0, 0) + bytes(20 + 24)
        content += struct.pack("<iiiBdi", 0, 0, 0, 1, 0.5, 0)
    content += b"\x00\x00\x01\x00\x00\x00\x00\x00" + ids(b"\x01\x01")
    content += struct.pack("<iiiBi", 0, 10, 20, 1, 1006) + ids(b"\x01\x03")
    content += struct.pack("<I", 3) + b"SMT" + b"\x00\x00\x01\x00\x00\x00\x00\x00"
    content += struct.pack("<I", 1) + b"k" + struct.pack("<I", 1) + b"v"
    content += b"\x00\x00\x01\x00\x00\x00\x00\x00" + struct.pack("<i", 1) + ids(b"\x01\x00")
    content += bytes(24)
    content += ids(b"\x01\x00") + ids() + struct.pack("<iq", 2022, 1)
    content += ids() + ids() + struct.pack("<iq", 9999, 0) + struct.pack("<I", 2) + b"cf"
    status = decode_object(top("I3DetectorStatus", 4, content))
    assert isinstance(status, DetectorStatus), status
    assert [dom.is_alive for dom in status.doms.values()] == [True, False]
    assert status.doms[OMKey(1, 5)].spe_threshold == 0.25
    assert list(status.triggers.values()) == ["SMT"]
    assert status.configuration == "cf"
