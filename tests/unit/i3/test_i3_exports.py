"""What other packages may import from i3."""

from __future__ import annotations

from skymap_scanner import i3


def test_exported_members() -> None:
    assert sorted(i3.__all__) == sorted(set(i3.__all__))
    for name in i3.__all__:
        assert hasattr(i3, name)
    assert {
        "Direction",
        "EventHeader",
        "Frame",
        "I3Bool",
        "I3Double",
        "I3Int",
        "I3String",
        "I3Time",
        "Particle",
        "Position",
        "PulseMap",
        "PulseMapMask",
        "RawObject",
        "RealtimeMessage",
        "TimeWindow",
        "i3_events",
        "mix_frames",
        "packet_from_json",
        "packet_to_json",
        "read_i3",
        "read_message",
        "resolve_pulses",
        "write_i3",
        "write_message",
    } <= set(i3.__all__)
