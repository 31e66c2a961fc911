"""Put a simulated event into frames and files, exactly as real events come."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event import clean_for_tracks, event_from_frames
from skymap_scanner.event.builder import TRUTH_KEY
from skymap_scanner.event.coordinates import detector_to_equatorial
from skymap_scanner.exceptions import EventError, OutputError, UsageError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.i3 import (
    Direction,
    EventHeader,
    Frame,
    I3String,
    I3Time,
    OMKey,
    Particle,
    ParticleFitStatus,
    ParticleShape,
    Position,
    PulseMapMask,
    TimeWindow,
    TimeWindowSeriesMap,
    pack_pulses,
    unpack_pulses,
    write_i3,
    write_message,
)
from skymap_scanner.simulation.line_fit import LineFit, fit_line
from skymap_scanner.simulation.truth import particle_tree
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.event import Event
    from skymap_scanner.simulation.event import SimulatedEvent

__all__ = [
    "REALTIME_VERSION",
    "SUFFIXES",
    "TRUTH_KEY",
    "EventNames",
    "split_name",
    "truth_path",
    "write_simulated_event",
]

#: Generation of the realtime format that is written.
REALTIME_VERSION: Final = "2023a"
#: Real P headers start this much after the Q header, on whose clock the pulses are [ns].
_P_HEADER_DELAY: Final = 6000.0
#: How the names of event files end.
SUFFIXES: Final = (".json", ".pkl", ".i3", ".i3.gz", ".i3.bz2", ".i3.zst")
#: Run and event numbers are stored in 32 bits.
_MAX_NUMBER: Final = 1 << 32
#: Dates that can be stored and converted (years 1900 to 2099) [d].
_FIRST_MJD, _LAST_MJD = 15_021, 88_069
_PULSES: Final = "SplitInIcePulses"
_BEST_FIT: Final = "l2_online_BestFit"


@dataclass(frozen=True, slots=True)
class EventNames:
    """Numbers of an event: run and event, time (UTC) [d].

    Run numbers below 100000 say that it is simulated.
    """

    run_id: int
    event_id: int
    mjd: float

    def __post_init__(self) -> None:
        for name, value in (("run number", self.run_id), ("event number", self.event_id)):
            if not 0 <= value < _MAX_NUMBER:
                raise UsageError(
                    "illegal value", place=name, found=value, wanted=f"0 to {_MAX_NUMBER - 1}"
                )
        if not _FIRST_MJD <= self.mjd < _LAST_MJD:
            raise UsageError(
                "illegal value", place="MJD", found=self.mjd, wanted=f"{_FIRST_MJD} to {_LAST_MJD}"
            )


def split_name(path: Path) -> tuple[str, str]:
    """Split the name of an event file into stem and suffix (``.json``, ``.i3.zst``).

    Raises
    ------
    UsageError
        When the suffix is not one of `SUFFIXES`.
    """
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and len(path.name) > len(suffix):
            return path.name.removesuffix(suffix), suffix
    raise UsageError(
        "the name does not say which format is wanted",
        place="--output",
        found=path.name,
        wanted=f"a name that ends in {', '.join(SUFFIXES)}",
    )


def truth_path(path: Path) -> Path:
    """Return where the truth of an event file lies: ``*.truth.json``."""
    return path.with_name(f"{split_name(path)[0]}.truth.json")


def write_simulated_event(
    path: Path,
    simulated: SimulatedEvent,
    names: EventNames,
    *,
    remarks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a simulated event as real ones come, and its truth beside it.

    Parameters
    ----------
    path : Path
        The event: ``*.json`` or ``*.pkl`` is a realtime message, ``*.i3`` (``.gz``, ``.bz2``,
        ``.zst``) a file of frames Q and P; the truth goes to ``*.truth.json``.
    simulated : SimulatedEvent
        Pulses and truth.
    names : EventNames
        Numbers of the event.
    remarks : dict, optional
        What else the truth shall say.

    Returns
    -------
    dict
        The truth with its equatorial direction, as written. It is written last: where it is, the
        event is whole.

    Raises
    ------
    UsageError
        When the name says no format.
    OutputError
        When a file cannot be written.
    """
    _, suffix = split_name(path)
    beside = truth_path(path)
    try:
        beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{beside}: cannot be replaced: {error.strerror}") from error
    truth, q_frame, p_frame = _event_frames(simulated, names, remarks or {})
    packet = (Frame("G"), Frame("C"), Frame("D"), q_frame, p_frame)
    header = p_frame.get("I3EventHeader", EventHeader)
    summary = _add_online_results(
        p_frame, event_from_frames(packet, version=REALTIME_VERSION), header
    )
    p_frame.put("AlertShortFollowupMsg", I3String(json.dumps(summary)))
    if suffix.startswith(".i3"):
        tree = particle_tree(truth, simulated.happening, offset=simulated.offset)
        q_frame.put("I3MCTree", tree)
        write_i3(path, (q_frame, p_frame))
    else:
        streams = ("neutrino",)
        write_message(path, packet, version=REALTIME_VERSION, streams=streams, summary=summary)
    write_bytes_atomically(beside, (json.dumps(truth, indent=1) + "\n").encode())
    return truth


def _event_frames(
    simulated: SimulatedEvent, names: EventNames, remarks: dict[str, Any]
) -> tuple[dict[str, Any], Frame, Frame]:
    """Return truth, Q and P frame."""
    start = I3Time.from_mjd(names.mjd)
    numbers = {"run": names.run_id, "sub_run": 0, "event": names.event_id}
    numbers |= {"state": 20, "sub_event": 0}
    end = start.plus_ns(simulated.window[1])
    q_header = EventHeader(**numbers, stream="", start=start, end=end)
    p_header = EventHeader(
        **numbers, stream="InIceSplit", start=start.plus_ns(_P_HEADER_DELAY), end=end
    )
    truth = _with_equatorial(simulated.truth, p_header.start.mjd) | remarks
    q_frame, p_frame = Frame("Q"), Frame("P")
    packed = pack_pulses(simulated.pulses)
    everything = np.ones(len(unpack_pulses(packed)), dtype=bool)
    q_frame.put("QI3EventHeader", q_header)
    q_frame.put("I3SuperDST", packed)
    if simulated.saturated:
        q_frame.put("SaturationWindows", _saturation_windows(simulated))
    for frame, key, source in (
        (q_frame, "InIceDSTPulses", "I3SuperDST"),
        (p_frame, _PULSES, "InIceDSTPulses"),
    ):
        frame.put(key, PulseMapMask.from_selection(source, unpack_pulses(packed), everything))
    p_frame.put("I3EventHeader", p_header)
    p_frame.put(f"{_PULSES}TimeRange", TimeWindow(*simulated.window))
    p_frame.put(TRUTH_KEY, I3String(json.dumps(truth)))
    return truth, q_frame, p_frame


def _saturation_windows(simulated: SimulatedEvent) -> TimeWindowSeriesMap:
    return TimeWindowSeriesMap(
        {
            OMKey(*key): tuple(TimeWindow(*window) for window in windows)
            for key, windows in simulated.saturated.items()
        }
    )


def _with_equatorial(truth: dict[str, Any], mjd: float) -> dict[str, Any]:
    ra, dec = detector_to_equatorial(truth["zenith"], truth["azimuth"], mjd)
    return {**truth, "mjd": mjd, "ra_deg": float(ra) / DEG, "dec_deg": float(dec) / DEG}


def _add_online_results(p_frame: Frame, event: Event, header: EventHeader) -> dict[str, Any]:
    """Reconstruct as the online system does, and return the summary of the alert."""
    cleaned = clean_for_tracks(event)
    try:
        fit = fit_line(cleaned, event.detector)
    except EventError:  # little is left, for instance of a cascade inside DeepCore
        fit = LineFit(np.full(3, np.nan), np.nan, np.full(3, np.nan))
    x, y, z = fit.direction
    zenith = float(np.arccos(-z))
    azimuth = float(np.arctan2(-y, -x) % (2 * np.pi))
    is_ok = math.isfinite(zenith)
    status = ParticleFitStatus.OK if is_ok else ParticleFitStatus.INSUFFICIENT_HITS
    p_frame.put(
        _BEST_FIT,
        Particle(
            minor_id=1,
            major_id=event.event_id,
            pdg=0,
            shape=int(ParticleShape.INFINITE_TRACK),
            fit_status=int(status),
            position=Position(*(float(x) for x in fit.point)),
            direction=Direction(zenith, azimuth),
            time=fit.time,
            energy=float("nan"),
            length=float("nan"),
            speed=float(np.linalg.norm(fit.velocity)),
            location=0,
        ),
    )
    return {
        "run_id": event.run_id,
        "event_id": event.event_id,
        "unique_id": f"run{event.run_id:08d}.evt{event.event_id:012d}",
        "eventtime": header.start.to_datetime_string(),
        "nch": cleaned.n_doms,
        "npulses": cleaned.n_pulses,
        "qtot": round(cleaned.total_charge, 5),
        "it_trig": False,
        "neutrino": {"bdt_up": None, "bdt_down": None},
        "reco": {
            "l2_online_bestfit": {
                "zen": round(zenith, 5) if is_ok else None,
                "azi": round(azimuth, 5) if is_ok else None,
                "name": "LineFit",
                "cr_zen": None,
                "cr_azi": None,
            }
        },
    }
