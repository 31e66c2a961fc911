"""Chains of masks and unions, and what can be wrong with them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import (
    Frame,
    I3Int,
    PulseMap,
    PulseMapMask,
    RawObject,
    is_pulse_series,
    mix_frames,
    pack_pulses,
    resolve_pulses,
)

N = 6


def series() -> PulseMap:
    keys = np.array([[1, 5, 0], [1, 5, 0], [2, 61, 0], [3, 1, 0], [3, 1, 0], [3, 1, 1]])
    times = np.array([10.0, 20.0, 5.0, 7.0, 30.0, 1.0])
    ones = np.ones(N)
    return PulseMap.from_columns(keys, times, ones, 8 * ones, np.array([7, 7, 4, 4, 7, 7]))


def strings(name: str, version: int, *texts: str) -> RawObject:
    """An object whose content are texts: unions (with a vector's head) and others."""
    head = b"\x00\x01\x02\x00" + struct.pack("<I", len(name)) + name.encode() + b"\x01"
    head += bytes([version]) + bytes(4) + b"\x01\x00" + struct.pack("<I", 1)
    if name.endswith("Union"):
        head += b"\x00\x00" + struct.pack("<I", len(texts))
    body = b"".join(struct.pack("<I", len(text)) + text.encode() for text in texts)
    return RawObject(name, version, head + body)


def union(*keys: str) -> RawObject:
    return strings("I3RecoPulseSeriesMapUnion", 0, *keys)


def frame() -> Frame:
    q = Frame("Q")
    q.put("Pulses", series())
    in_ice = series().om_key[:, 1] <= 60
    q.put("InIce", PulseMapMask.from_selection("Pulses", series(), in_ice))
    selected = series().select(in_ice)
    p = Frame("P")
    p.put("Split", PulseMapMask.from_selection("InIce", selected, selected.time < 15))
    return mix_frames([q, p])


def test_masks_of_masks_select_from_what_is_left() -> None:
    pulses = resolve_pulses(frame(), "Split")
    assert pulses.om_key.tolist() == [[1, 5, 0], [3, 1, 0], [3, 1, 1]]
    assert pulses.time.tolist() == [10.0, 7.0, 1.0]
    assert (len(pulses), pulses.n_doms) == (3, 3)
    assert is_pulse_series(frame(), "Split")


def test_mask_of_packed_series() -> None:
    event = frame()
    simple = series().select(series().om_key[:, 2] == 0)
    event.put("DST", pack_pulses(simple))
    event.put("HLC", PulseMapMask.from_selection("DST", simple, simple.is_hlc))
    assert resolve_pulses(event, "HLC").time.tolist() == [10.0, 20.0, 30.0]


def test_modules_named_without_pulses_count_in_masks() -> None:
    event = Frame("P")
    with_silent = PulseMap(
        series().om_key,
        series().time,
        series().charge,
        series().width,
        series().flags,
        np.array([[2, 1, 0]]),
    )
    event.put("Pulses", with_silent)
    stored = event.get("Pulses", PulseMap)
    keys, counts = stored.doms()
    assert keys[:, 0].tolist() == [1, 2, 2, 3, 3]
    assert counts.tolist() == [2, 0, 1, 2, 1]
    mask = PulseMapMask.from_selection("Pulses", stored, np.ones(N, dtype=bool))
    assert mask.om_mask.tolist() == [True, False, True, True, True]
    event.put("All", mask)
    fresh = Frame.from_bytes(event.to_bytes())
    assert fresh.get("Pulses", PulseMap).silent.tolist() == [[2, 1, 0]]
    assert len(resolve_pulses(fresh, "All")) == N


def test_empty_series_and_masks() -> None:
    event = Frame("P")
    nothing = series().select(np.zeros(N, dtype=bool))
    event.put("Pulses", nothing)
    event.put("Mask", PulseMapMask.from_selection("Pulses", nothing, np.zeros(0, dtype=bool)))
    fresh = Frame.from_bytes(event.to_bytes())
    assert fresh.raw("Mask").endswith(b"\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00")
    assert len(resolve_pulses(fresh, "Mask")) == 0


def test_union_sorts_by_time_in_each_module() -> None:
    event = frame()
    event.put("Both", union("Split", "Pulses"))
    pulses = resolve_pulses(event, "Both")
    assert len(pulses) == 3 + N
    assert pulses.time[pulses.om_key[:, 0] == 1].tolist() == [10.0, 10.0, 20.0]
    event.put("None", union())
    assert len(resolve_pulses(event, "None")) == 0


def test_pulses_of_all_photomultipliers_of_a_module() -> None:
    event = frame()
    event.put("Joined", strings("I3RecoPulseSeriesMapCombineByModule", 0, "Pulses"))
    pulses = resolve_pulses(event, "Joined")
    assert pulses.om_key[-3:].tolist() == [[3, 1, 0]] * 3
    assert pulses.time[-3:].tolist() == [1.0, 7.0, 30.0]


def test_loops_are_errors() -> None:
    event = frame()
    event.put("A", union("B"))
    event.put("B", union("Pulses", "A"))
    with pytest.raises(FormatError, match=r"loop.*A -> B -> A"):
        resolve_pulses(event, "A")


def test_shared_sources_are_followed_once() -> None:
    event = frame()
    event.put("U00", union("Pulses"))
    for level in range(1, 12):
        event.put(f"U{level:02d}", union(f"U{level - 1:02d}"))
    assert len(resolve_pulses(event, "U11")) == N
    for level in range(12, 20):
        event.put(f"U{level:02d}", union(f"U{level - 1:02d}"))
    with pytest.raises(FormatError, match="loop"):
        resolve_pulses(event, "U19")


def test_unions_cannot_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymap_scanner.i3.resolve._MAX_PULSES", 20_000)
    event = frame()
    event.put("Many", union(*["Pulses"] * 65))
    with pytest.raises(FormatError, match="too many series"):
        resolve_pulses(event, "Many")
    event.put("V0", union(*["Pulses"] * 64))
    for level in range(1, 5):
        event.put(f"V{level}", union(*[f"V{level - 1}"] * 64))
    with pytest.raises(FormatError, match="too many pulses"):
        resolve_pulses(event, "V4")


def test_missing_or_wrong_sources_are_named() -> None:
    event = frame()
    event.put("NoSource", PulseMapMask("Gone", *masks()))
    with pytest.raises(FormatError, match="Gone"):
        resolve_pulses(event, "NoSource")
    event.put("Number", I3Int(1))
    with pytest.raises(FormatError, match=r"key Number.*I3Int"):
        resolve_pulses(event, "Number")
    event.put("Damaged", RawObject("I3SuperDST", 1, event.raw("Pulses")[:30]))
    with pytest.raises(FormatError, match=r"key Damaged.*byte"):
        resolve_pulses(event, "Damaged")
    event.put("Spe", strings("I3RecoPulseSeriesMapApplySPECorrection", 0, "Pulses", "Cal"))
    with pytest.raises(FormatError, match="calibration"):
        resolve_pulses(event, "Spe")


def masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mask = PulseMapMask.from_selection("Pulses", series(), np.ones(N, dtype=bool))
    return mask.om_mask, mask.n_pulses, mask.pulse_mask


def test_masks_of_another_series_are_errors() -> None:
    event = frame()
    om_mask, n_pulses, pulse_mask = masks()
    for bad in (
        PulseMapMask("Pulses", om_mask[:-1], n_pulses[:-1], pulse_mask[:-1]),
        PulseMapMask(
            "Pulses", om_mask, np.add(n_pulses, [1, 0, 0, 0]), np.append(pulse_mask, True)
        ),
        PulseMapMask("Pulses", om_mask, n_pulses, pulse_mask[:-1]),
    ):
        with pytest.raises(FormatError, match="does not fit its source 'Pulses'"):
            bad.apply(series())
    with pytest.raises(FormatError, match="length"):
        PulseMapMask.from_selection("Pulses", series(), pulse_mask[1:])
    assert event


def test_bits_beyond_the_end_must_be_0() -> None:
    event = frame()
    data = bytearray(event.raw("Split"))
    data[-1] |= 0x80
    event.put("Bad", RawObject("I3RecoPulseSeriesMapMask", 2, bytes(data)))
    with pytest.raises(FormatError, match="unused bits"):
        resolve_pulses(event, "Bad")
