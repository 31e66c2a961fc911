"""Put a simulated event into frames and a realtime message, exactly as real events come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event import clean_for_tracks, event_from_frames
from skymap_scanner.event.coordinates import detector_to_equatorial
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.i3 import (
    Direction,
    EventHeader,
    Frame,
    I3String,
    I3Time,
    Particle,
    ParticleShape,
    Position,
    PulseMapMask,
    TimeWindow,
    pack_pulses,
    unpack_pulses,
    write_message,
)
from skymap_scanner.simulation.line_fit import fit_line
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.event import Event
    from skymap_scanner.simulation.event import SimulatedEvent

__all__ = ["REALTIME_VERSION", "TRUTH_KEY", "write_simulated_message"]

#: Generation of the realtime format that is written.
REALTIME_VERSION: Final = "2023a"
#: Frame key of the truth, an I3String that holds JSON.
TRUTH_KEY: Final = "SkymapScannerTruth"
#: Real P headers start this much after the Q header, on whose clock the pulses are [ns].
_P_HEADER_DELAY: Final = 6000.0
_PULSES: Final = "SplitInIcePulses"
_BEST_FIT: Final = "l2_online_BestFit"


def write_simulated_message(
    path: Path,
    simulated: SimulatedEvent,
    *,
    run_id: int,
    event_id: int,
    mjd: float,
) -> dict[str, Any]:
    """Write the realtime message of a simulated event and its truth beside it.

    Parameters
    ----------
    path : Path
        The message, ``*.json``; the truth goes to ``*.truth.json``.
    simulated : SimulatedEvent
        Pulses and truth.
    run_id, event_id : int
        Numbers of the event; run numbers below 100000 say that it is simulated.
    mjd : float
        Time of the event (UTC) [d].

    Returns
    -------
    dict
        The truth with its equatorial direction, as written.
    """
    start = I3Time.from_mjd(mjd)
    header = {"run": run_id, "sub_run": 0, "event": event_id, "state": 20, "sub_event": 0}
    length = simulated.window[1]
    q_header = EventHeader(**header, stream="", start=start, end=start.plus_ns(length))
    p_header = EventHeader(
        **header,
        stream="InIceSplit",
        start=start.plus_ns(_P_HEADER_DELAY),
        end=start.plus_ns(length),
    )
    truth = _with_equatorial(simulated.truth, p_header.start.mjd)
    q_frame, p_frame = Frame("Q"), Frame("P")
    packed = pack_pulses(simulated.pulses)
    everything = np.ones(len(unpack_pulses(packed)), dtype=bool)
    q_frame.put("QI3EventHeader", q_header)
    q_frame.put("I3SuperDST", packed)
    for frame, key, source in (
        (q_frame, "InIceDSTPulses", "I3SuperDST"),
        (p_frame, _PULSES, "InIceDSTPulses"),
    ):
        frame.put(key, PulseMapMask.from_selection(source, unpack_pulses(packed), everything))
    p_frame.put("I3EventHeader", p_header)
    p_frame.put(f"{_PULSES}TimeRange", TimeWindow(*simulated.window))
    p_frame.put(TRUTH_KEY, I3String(json.dumps(truth)))
    frames = (Frame("G"), Frame("C"), Frame("D"), q_frame, p_frame)
    summary = _add_online_results(
        p_frame, event_from_frames(frames, version=REALTIME_VERSION), p_header
    )
    p_frame.put("AlertShortFollowupMsg", I3String(json.dumps(summary)))
    write_message(path, frames, version=REALTIME_VERSION, streams=("neutrino",), summary=summary)
    text = json.dumps(truth, indent=1) + "\n"
    write_bytes_atomically(path.with_suffix(".truth.json"), text.encode())
    return truth


def _with_equatorial(truth: dict[str, Any], mjd: float) -> dict[str, Any]:
    ra, dec = detector_to_equatorial(truth["zenith"], truth["azimuth"], mjd)
    return {**truth, "mjd": mjd, "ra_deg": float(ra) / DEG, "dec_deg": float(dec) / DEG}


def _add_online_results(p_frame: Frame, event: Event, header: EventHeader) -> dict[str, Any]:
    """Reconstruct as the online system does, and return the summary of the alert."""
    cleaned = clean_for_tracks(event)
    fit = fit_line(cleaned, event.detector)
    travel = fit.direction
    zenith = float(np.arccos(-travel[2]))
    azimuth = float(np.arctan2(-travel[1], -travel[0]) % (2 * np.pi))
    p_frame.put(
        _BEST_FIT,
        Particle(
            minor_id=1,
            major_id=event.event_id,
            pdg=0,
            shape=int(ParticleShape.INFINITE_TRACK),
            fit_status=0,
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
                "zen": round(zenith, 5),
                "azi": round(azimuth, 5),
                "name": "LineFit",
                "cr_zen": None,
                "cr_azi": None,
            }
        },
    }
