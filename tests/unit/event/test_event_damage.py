"""Damaged objects in otherwise good frames give an event or one of our errors, never another."""

from __future__ import annotations

from handmade_events import (
    event_frames,
    geometry_bytes,
    geometry_diff_bytes,
    put_bytes,
    status_bytes,
    status_diff_bytes,
    string_of_modules,
    text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.event import clean_for_tracks, event_from_frames, seed_vertex
from skymap_scanner.event.info import describe
from skymap_scanner.exceptions import InputError
from skymap_scanner.i3 import Frame, I3Double, Position, RawObject

BASE = "baseline_gcd_135417.i3"


def _frames(*, has_geometry: bool) -> tuple[Frame, ...]:
    frames = event_frames(
        objects={
            "AlertShortFollowupMsg": text({"neutrino": {}}),
            "SkymapScannerTruth": text({"zenith": 1.0}),
            "HESE_VHESelfVetoVertexPos": Position(1.0, 2.0, 3.0),
            "HESE_VHESelfVetoVertexTime": I3Double(9999.0),
        }
    )
    put_bytes(frames[0], "I3GeometryDiff", geometry_diff_bytes(BASE))
    changed = {(10, 1): (1.3, 2)}
    put_bytes(frames[2], "I3DetectorStatusDiff", status_diff_bytes(BASE, ((30, 60),), changed))
    if has_geometry:
        modules = string_of_modules(20, 60)
        put_bytes(frames[0], "I3Geometry", geometry_bytes(modules))
        put_bytes(frames[2], "I3DetectorStatus", status_bytes(dict.fromkeys(modules, (1.3, 2))))
    return frames


def _damage(data: bytes, place: int, junk: bytes, n_lost: int) -> bytes:
    place %= len(data)
    return data[:place] + junk + data[place + n_lost :]


@settings(max_examples=50)
@given(
    has_geometry=st.booleans(),
    choice=st.integers(0, 1000),
    place=st.integers(0, 100_000),
    junk=st.one_of(
        st.binary(min_size=0, max_size=8),
        st.sampled_from([b"\xff" * 4, b"\0" * 8, b"\0\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf0\x7f"]),
    ),
    n_lost=st.integers(0, 8),
)
def test_damage_is_an_input_error_or_harmless(
    *, has_geometry: bool, choice: int, place: int, junk: bytes, n_lost: int
) -> None:
    frames = _frames(has_geometry=has_geometry)
    targets = [(frame, key) for frame in frames for key in frame.own_keys()]
    frame, key = targets[choice % len(targets)]
    label = frame.type_name(key)
    damaged = _damage(frame.raw(key), place, junk, n_lost)
    frame.put(key, RawObject(label, 0, damaged), type_name=label)
    try:
        event = event_from_frames(frames)
        describe(event)
        seed_vertex(event)
    except InputError:
        return
    assert clean_for_tracks(event).n_pulses <= event.pulses.n_pulses
