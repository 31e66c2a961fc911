"""Take objects out of frames and say clearly what is missing or of another kind."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, TypeVar

from skymap_scanner.event.event import TrackFit
from skymap_scanner.exceptions import EventError, FormatError
from skymap_scanner.i3 import I3Double, I3String, Particle, Position, RawObject
from skymap_scanner.pixels import Guess

if TYPE_CHECKING:
    from skymap_scanner.i3 import Frame

__all__ = [
    "ALERT_KEY",
    "find_event_type",
    "find_fits",
    "find_stored_vertex",
    "get_json",
    "get_object",
    "is_physics",
]

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: A vertex further out [m] or later [ns] than this is none.
_MAX_DISTANCE = 1e5
_MAX_TIME = 1e9

#: The alert message as text, in the physics frame.
ALERT_KEY = "AlertShortFollowupMsg"

#: Keys of the alert message that name the event's type, the first that is there counts.
_TYPES_BY_MESSAGE = {"hese": "HESE", "ehe": "EHE", "neutrino": "neutrino", "estres": "ESTRES"}
#: Frame keys that tell it where there is no such message. The second name of the EHE filter's fit
#: is the one that events really carry.
_TYPES_BY_KEY = {
    "HESE_llhratio": "HESE",
    "Estres_p_miss": "ESTRES",
    "PoleEHEOphelia_ImpLF": "EHE",
    "PoleEHEOpheliaParticle_ImpLF": "EHE",
}


def is_physics(frame: Frame) -> bool:
    """Tell whether `frame` is a physics frame; scanners write its stop in lower case."""
    return frame.stop in ("P", "p")


def get_object(frame: Frame, key: str, kind: type[T]) -> T:
    """Return the object `key` of `frame`, which must be of class `kind`.

    Parameters
    ----------
    frame : Frame
        A frame, mixed with its parents where they count.
    key : str
        Name of the object.
    kind : type
        What it must be.

    Returns
    -------
    object
        The decoded object.

    Raises
    ------
    EventError
        When the key is missing, or what is there is of another class or cannot be decoded.
    """
    if key not in frame:
        raise EventError(
            "a key is missing",
            place=frame.place(),
            found=", ".join(sorted(frame.keys())[:12]) or "an empty frame",
            wanted=key,
        )
    try:
        return frame.get(key, kind)
    except FormatError as error:
        raise EventError(
            error.message, place=error.place, found=error.found, wanted=error.wanted
        ) from error


def get_json(frame: Frame, key: str) -> dict[str, Any] | None:
    """Return the JSON object in the text `key` of `frame`, None when there is no such key.

    Raises
    ------
    EventError
        When the text is not a JSON object.
    """
    if key not in frame:
        return None
    text = get_object(frame, key, I3String).value
    place = frame.place(key)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EventError(
            "a text is not JSON", place=place, found=str(error), wanted="a JSON object"
        ) from error
    if not isinstance(content, dict):
        raise EventError(
            "a text is not a JSON object", place=place, found=type(content).__name__, wanted="dict"
        )
    return content


def find_event_type(frame: Frame, message: dict[str, Any] | None) -> str:
    """Tell which alert stream made the event.

    Parameters
    ----------
    frame : Frame
        The physics frame mixed with its parents.
    message : dict or None
        The alert message, None for events without.

    Returns
    -------
    str
        "HESE", "EHE", "neutrino", "ESTRES" or "None".
    """
    table, present = (_TYPES_BY_MESSAGE, message) if message is not None else (_TYPES_BY_KEY, frame)
    return next((name for key, name in table.items() if key in present), "None")


def find_fits(frame: Frame) -> dict[str, TrackFit]:
    """Return every particle of the physics frame itself as a fit, in the order of their names.

    Parameters
    ----------
    frame : Frame
        The physics frame; what it sees of its parents does not count.

    Returns
    -------
    dict of str to TrackFit
        Failed fits too.
    """
    fits = {}
    for key in sorted(frame.own_keys()):
        # Particles of a version newer than ours stay as bytes, and nobody needs them.
        particle = frame[key] if frame.class_name(key) == "I3Particle" else None
        if isinstance(particle, RawObject):
            logger.warning("%s: a fit left out: %s", frame.place(key), particle.reason)
        if not isinstance(particle, Particle):
            continue
        direction, position = particle.direction, particle.position
        is_finite = math.isfinite(direction.zenith) and math.isfinite(direction.azimuth)
        fits[key] = TrackFit(
            name=key,
            zenith=direction.zenith,
            azimuth=direction.azimuth,
            vertex=(position.x, position.y, position.z),
            time=particle.time,
            energy=particle.energy,
            status=int(particle.fit_status),
            ok=int(particle.fit_status) == 0 and is_finite,
        )
    return fits


def find_stored_vertex(frame: Frame) -> Guess | None:
    """Return the vertex of the self-veto for starting events, None when there is no sensible one.

    Messages carry it since 2016 for HESE events, since 2023 also for others.
    """
    keys = ("HESE_VHESelfVetoVertexPos", "HESE_VHESelfVetoVertexTime")
    if any(key not in frame for key in keys):
        return None
    position = get_object(frame, keys[0], Position)
    time = get_object(frame, keys[1], I3Double).value
    vertex = (position.x, position.y, position.z)
    # False for NaN as well.
    if not (math.hypot(*vertex) < _MAX_DISTANCE and abs(time) < _MAX_TIME):
        logger.warning(
            "%s: no vertex: (%g, %g, %g) m at %g ns; it is left out",
            frame.place(keys[0]),
            *vertex,
            time,
        )
        return None
    return Guess(vertex=vertex, vertex_time=time)
