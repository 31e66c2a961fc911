"""Events and GCD frames made by hand, byte by byte where the package has no writer."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.i3 import (
    Direction,
    EventHeader,
    Frame,
    I3String,
    I3Time,
    Particle,
    Position,
    PulseMap,
    RawObject,
    TimeWindow,
    write_message,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Key = tuple[int, int]
Point = tuple[float, float, float]


class Bytes:
    """An archive as IceTray writes it: class info at first use, an id for every tracked object."""

    def __init__(self, name: str, version: int) -> None:
        self._seen: set[str] = {name}
        self._n_objects = 1
        self.data = b"\0\1\2\0" + struct.pack("<I", len(name)) + name.encode()
        self.data += bytes([1, version]) + struct.pack("<I", 0)
        self.tracked("I3FrameObject")

    def tracked(self, name: str, version: int = 0) -> None:
        self._info(name, 1, version)
        self.data += struct.pack("<I", self._n_objects)
        self._n_objects += 1

    def plain(self, name: str) -> None:
        self._info(name, 0, 0)

    def pack(self, layout: str, *values: object) -> None:
        self.data += struct.pack("<" + layout, *values)

    def text(self, value: str) -> None:
        self.pack(f"I{len(value)}s", len(value), value.encode())

    def key(self, key: Key) -> None:
        self.tracked("OMKey", 2)
        self.pack("iIB", *key, 0)

    def time(self) -> None:
        self.tracked("I3Time")
        self.tracked("I3FrameObject")
        self.pack("iq", 2022, 0)

    def map_head(self, name: str, size: int) -> None:
        self.plain(name)
        self.pack("I", size)

    def status(self, high_voltage: float, mode: int) -> None:
        self.tracked("I3DOMStatus", 6)
        numbers = [mode, 0, 0.0, 0.0, 0, 0, 0, 0, high_voltage, *[0.0] * 5, *[0] * 11]
        self.pack("iiddIiiiddddddIIIIIiIIIII", *numbers)
        self.data += bytes(8 + 4 + 1 + 8 + 4)

    def _info(self, name: str, tracked: int, version: int) -> None:
        if name not in self._seen:
            self._seen.add(name)
            self.data += bytes([tracked, version])


def geometry_bytes(positions: Mapping[Key, Point]) -> bytes:
    out = Bytes("I3Geometry", 3)
    out.tracked("I3OMGeoMap")
    out.tracked("I3FrameObject")
    out.map_head("map", len(positions))
    for key, position in sorted(positions.items()):
        out.plain("pair")
        out.key(key)
        out.tracked("I3OMGeo", 2)
        out.tracked("I3Position")
        out.tracked("I3FrameObject")
        out.pack("ddd", *position)
        out.tracked("I3Orientation")
        out.tracked("I3FrameObject")
        out.tracked("I3Quaternion")
        out.tracked("I3FrameObject")
        out.pack("dddd", 0.0, 0.0, 0.0, 1.0)
        out.pack("idi", 20, 0.0444, 1)
    return out.data


def status_bytes(doms: Mapping[Key, tuple[float, int]]) -> bytes:
    out = Bytes("I3DetectorStatus", 4)
    out.map_head("map", len(doms))
    for key, (high_voltage, mode) in sorted(doms.items()):
        out.plain("pair")
        out.key(key)
        out.status(high_voltage, mode)
    out.map_head("trigger map", 0)
    out.time()
    out.time()
    out.text("sps-test")
    return out.data


def status_diff_bytes(
    base: str, removed: Sequence[Key] = (), changed: Mapping[Key, tuple[float, int]] | None = None
) -> bytes:
    out = Bytes("I3DetectorStatusDiff", 0)
    out.text(base)
    out.time()
    out.time()
    out.tracked("diff map")
    out.map_head("map", len(changed or {}))
    for key, (high_voltage, mode) in sorted((changed or {}).items()):
        out.plain("pair")
        out.key(key)
        out.status(high_voltage, mode)
    out.map_head("vector<OMKey>", len(removed))
    for key in removed:
        out.key(key)
    out.tracked("trigger diff map")
    out.map_head("trigger map", 0)
    out.map_head("vector<TriggerKey>", 0)
    out.text("sps-test")
    return out.data


def geometry_diff_bytes(base: str) -> bytes:
    out = Bytes("I3GeometryDiff", 0)
    out.text(base)
    return out.data


def put_bytes(frame: Frame, name: str, data: bytes) -> None:
    frame.put(name, RawObject(name, 0, data))


def pulse_map(*rows: tuple[int, int, float, float], flags: int = 1) -> PulseMap:
    """Pulses of (string, om, time, charge)."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    keys = np.column_stack([columns[:, :2], np.zeros(len(columns))]).astype(np.int64)
    return PulseMap.from_columns(
        keys,
        columns[:, 2],
        columns[:, 3],
        np.ones(len(columns)),
        np.full(len(columns), flags, dtype=np.uint8),
    )


#: A few pulses around one place: enough for every step.
PULSES = ((20, 30, 10000.0, 2.0), (20, 31, 10050.0, 3.0), (20, 32, 10100.0, 4.0))


def fitted(zenith: float = 1.5, azimuth: float = 0.5, status: int = 0) -> Particle:
    return Particle(
        minor_id=1,
        major_id=2,
        pdg=0,
        shape=40,
        fit_status=status,
        position=Position(1.0, 2.0, 3.0),
        direction=Direction(zenith, azimuth),
        time=10000.0,
        energy=float("nan"),
        length=float("nan"),
        speed=0.299792458,
        location=0,
    )


def event_frames(
    pulses: PulseMap | None = None,
    *,
    name: str = "SplitInIcePulses",
    run: int = 136662,
    event: int = 7,
    sub_event: int = 0,
    objects: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
) -> tuple[Frame, ...]:
    """G C D Q P with what a scan needs, plus `objects`, minus `without`."""
    *parents, physics = (Frame(stop) for stop in "GCDQP")
    start, end = I3Time(2022, 123828921853524946), I3Time(2022, 123828921853719677)
    contents = {
        "I3EventHeader": EventHeader(run, 0, event, 20, sub_event, "InIceSplit", start, end),
        name: pulse_map(*PULSES) if pulses is None else pulses,
        f"{name}TimeRange": TimeWindow(5000.0, 20000.0),
        **(objects or {}),
    }
    for key, value in contents.items():
        if key not in without:
            physics.put(key, value)
    return (*parents, physics)


def text(content: object) -> I3String:
    return I3String(content if isinstance(content, str) else json.dumps(content))


def write_event_message(
    folder: Path, frames: Sequence[Frame] | None = None, *, suffix: str = ".json"
) -> Path:
    """Write a realtime message of hand-made frames and return its path."""
    path = folder / f"event{suffix}"
    write_message(
        path,
        event_frames() if frames is None else frames,
        version="2023a",
        streams=["neutrino"],
        summary={"nch": 3},
    )
    return path


def string_of_modules(string: int, n_om: int) -> dict[Key, Point]:
    """One string of the built-in detector, moved by one metre so that it can be told apart."""
    nominal = built_in_detector()
    moved = {}
    for om in range(1, n_om + 1):
        x, y, z = (nominal.om_xyz[nominal.index_of(string, om)] + 1.0).tolist()
        moved[string, om] = (x, y, z)
    return moved
