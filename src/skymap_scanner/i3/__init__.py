"""IceCube's formats without IceTray: realtime messages, frames, `.i3` files, frame objects."""

from __future__ import annotations

from skymap_scanner.i3.calibration import Calibration
from skymap_scanner.i3.codec import RawObject
from skymap_scanner.i3.detector_status import DetectorStatus, DomStatus, TriggerKey
from skymap_scanner.i3.diffs import (
    CalibrationDiff,
    DetectorStatusDiff,
    GeometryDiff,
    baseline_file,
)
from skymap_scanner.i3.files import i3_events, read_i3, write_i3
from skymap_scanner.i3.fit_params import (
    LineFitParams,
    LogLikelihoodFitParams,
    TrackCharacteristics,
)
from skymap_scanner.i3.frame import Frame, MissingKeyError, mix_frames
from skymap_scanner.i3.frame_pickle import PickleForm, frame_from_text, frame_to_text
from skymap_scanner.i3.geometry import Geometry, OMGeometry
from skymap_scanner.i3.header_time import EventHeader, I3Time
from skymap_scanner.i3.masks import (
    PulseMapByModule,
    PulseMapMask,
    PulseMapSpeCorrection,
    PulseMapUnion,
)
from skymap_scanner.i3.mctree import MCTree
from skymap_scanner.i3.message import (
    RealtimeMessage,
    packet_from_json,
    packet_to_json,
    read_message,
    rewrite_message,
    write_message,
)
from skymap_scanner.i3.om_key import OMKey
from skymap_scanner.i3.particle import (
    Particle,
    ParticleFitStatus,
    ParticleLocation,
    ParticleShape,
    ParticleVector,
)
from skymap_scanner.i3.pulse_map import FLAG_ATWD, FLAG_FADC, FLAG_LC, PulseMap
from skymap_scanner.i3.resolve import is_pulse_series, resolve_pulses
from skymap_scanner.i3.scalars import I3Bool, I3Double, I3Int, I3String
from skymap_scanner.i3.superdst import SuperDst
from skymap_scanner.i3.superdst_pulses import pack_pulses, unpack_pulses
from skymap_scanner.i3.time_windows import TimeWindow, TimeWindowSeriesMap
from skymap_scanner.i3.vectors3d import Direction, Position
from skymap_scanner.i3.vectors_maps import (
    KeyMap,
    NumberVector,
    OMKeyVector,
    StringMap,
    StringVector,
)

__all__ = [
    "FLAG_ATWD",
    "FLAG_FADC",
    "FLAG_LC",
    "Calibration",
    "CalibrationDiff",
    "DetectorStatus",
    "DetectorStatusDiff",
    "Direction",
    "DomStatus",
    "EventHeader",
    "Frame",
    "Geometry",
    "GeometryDiff",
    "I3Bool",
    "I3Double",
    "I3Int",
    "I3String",
    "I3Time",
    "KeyMap",
    "LineFitParams",
    "LogLikelihoodFitParams",
    "MCTree",
    "MissingKeyError",
    "NumberVector",
    "OMGeometry",
    "OMKey",
    "OMKeyVector",
    "Particle",
    "ParticleFitStatus",
    "ParticleLocation",
    "ParticleShape",
    "ParticleVector",
    "PickleForm",
    "Position",
    "PulseMap",
    "PulseMapByModule",
    "PulseMapMask",
    "PulseMapSpeCorrection",
    "PulseMapUnion",
    "RawObject",
    "RealtimeMessage",
    "StringMap",
    "StringVector",
    "SuperDst",
    "TimeWindow",
    "TimeWindowSeriesMap",
    "TrackCharacteristics",
    "TriggerKey",
    "baseline_file",
    "frame_from_text",
    "frame_to_text",
    "i3_events",
    "is_pulse_series",
    "mix_frames",
    "pack_pulses",
    "packet_from_json",
    "packet_to_json",
    "read_i3",
    "read_message",
    "resolve_pulses",
    "rewrite_message",
    "unpack_pulses",
    "write_i3",
    "write_message",
]
