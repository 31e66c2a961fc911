"""Make an `Event` of the frames that carry it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.config import frame_keys
from skymap_scanner.event.event import Event, is_real_run
from skymap_scanner.event.frame_objects import (
    ALERT_KEY,
    find_event_type,
    find_fits,
    find_stored_vertex,
    get_json,
    get_object,
    is_physics,
)
from skymap_scanner.event.gcd import find_detector
from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.exceptions import EventError, InputError
from skymap_scanner.i3 import (
    EventHeader,
    TimeWindow,
    TimeWindowSeriesMap,
    mix_frames,
    resolve_pulses,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.event import ExcludedWindows
    from skymap_scanner.i3 import Frame, PulseMap

__all__ = ["PULSE_NAMES", "TRUTH_KEY", "event_from_frames", "find_pulses_name", "read_pulses"]

logger = logging.getLogger(__name__)

#: Names of the main pulse series, before and since 2023.
PULSE_NAMES: Final = ("SplitUncleanedInIcePulses", "SplitInIcePulses")
#: Text object with the truth of our own simulated events, as JSON.
TRUTH_KEY: Final = "SkymapScannerTruth"
#: Objects with time windows of bad data per module.
_EXCLUSIONS: Final = ("CalibrationErrata", "SaturationWindows")
#: What a pulse may have at most, far beyond anything real: |time| [ns], charge [PE], width [ns].
_LIMITS: Final = {"time": 1e9, "charge": 1e8, "width": 1e9}
#: Modules 61..64 of a string are tanks on the surface, not in the ice.
_SURFACE_OMS: Final = (61, 62, 63, 64)


def event_from_frames(
    frames: Sequence[Frame],
    *,
    version: str = "",
    summary: Mapping[str, Any] | None = None,
    gcd_dir: str | Path | None = None,
    baseline_gcd: str | Path | None = None,
    cache_dir: Path | None = None,
    searches_baseline: bool = True,
) -> Event:
    """Make an event of the frames that its physics frame sees.

    Parameters
    ----------
    frames : sequence of Frame
        Parents first (G, C, D, Q, as far as there are), the physics frame last.
    version : str
        Realtime version of the message, empty when unknown.
    summary : mapping, optional
        Fields of the message; where not given they are taken from the alert text in the frame.
    gcd_dir : str or Path, optional
        Folder or http(s) address with baseline GCD files; without it the standard places.
    baseline_gcd : str or Path, optional
        The very GCD file to use; it must exist. No folder is searched then.
    cache_dir : Path, optional
        Where a baseline GCD file from the network is kept.
    searches_baseline : bool
        Whether a baseline GCD file is looked for when `baseline_gcd` does not name it.

    Returns
    -------
    Event
        With finite pulses of known modules only.

    Raises
    ------
    EventError
        When something that a scan needs is missing or not usable.
    FormatError
        When bytes cannot be decoded.
    """
    if not frames or not is_physics(frames[-1]):
        stops = " ".join(frame.stop for frame in frames)
        raise EventError("no physics frame", found=stops or "no frames", wanted="G C D Q P")
    frame = mix_frames(frames)
    header = get_object(frame, "I3EventHeader", EventHeader)
    try:
        mjd = header.start.mjd
    except InputError as error:
        raise error.at(f"{frame.place('I3EventHeader')}, start time") from error
    message = get_json(frame, ALERT_KEY)
    found = find_detector(
        frame,
        gcd_dir=gcd_dir,
        baseline_gcd=baseline_gcd,
        cache_dir=cache_dir,
        searches_baseline=searches_baseline,
    )
    pulses_name = find_pulses_name(frame, version)
    pulses = read_pulses(frame, pulses_name, found.detector)
    detector = found.detector.with_alive(pulses.hit_oms)
    return Event(
        run_id=header.run,
        sub_run_id=header.sub_run,
        event_id=header.event,
        sub_event_id=header.sub_event,
        stream=header.stream,
        mjd=mjd,
        event_type=find_event_type(frame, message),
        version=version,
        is_real=is_real_run(header.run),
        pulses_name=pulses_name,
        pulses=pulses,
        detector=detector,
        fits=find_fits(frame),
        stored_vertex=find_stored_vertex(frame),
        readout_window=_readout_window(frame, pulses_name, pulses),
        excluded_windows=_excluded_windows(frame, detector),
        summary=dict(summary) if summary is not None else message or {},
        truth=get_json(frame, TRUTH_KEY),
        frames=tuple(frames),
        baseline_gcd=found.path,
    )


def find_pulses_name(frame: Frame, version: str = "") -> str:
    """Return the key of the main pulse series: the one that is there.

    Parameters
    ----------
    frame : Frame
        The physics frame mixed with its parents.
    version : str
        Realtime version, which decides where both names are there.

    Returns
    -------
    str
        One of `PULSE_NAMES`.

    Raises
    ------
    EventError
        When there is neither.
    """
    for name in (frame_keys(version).pulses, *PULSE_NAMES):
        if name in frame:
            return name
    raise EventError(
        "no pulses",
        place=frame.place(),
        found=", ".join(key for key in sorted(frame.keys()) if "Pulses" in key) or "no such keys",
        wanted=" or ".join(PULSE_NAMES),
    )


def read_pulses(frame: Frame, name: str, detector: Detector) -> PulseSeries:
    """Return the pulse series `name` with the modules of `detector`.

    Parameters
    ----------
    frame : Frame
        The physics frame mixed with its parents.
    name : str
        Key of the series, which may be a mask.
    detector : Detector
        Where its modules are looked up.

    Returns
    -------
    PulseSeries
        At least one pulse and some charge; surface tanks are left out.

    Raises
    ------
    EventError
        When there are no pulses or no charge, a time, charge or width is not finite or beyond all
        reason, a charge is negative or a module is unknown.
    """
    place = frame.place(name)
    stored = resolve_pulses(frame, name)
    is_in_ice = ~np.isin(stored.om_key[:, 1], _SURFACE_OMS)
    stored = stored.select(is_in_ice)
    if len(stored) == 0:
        raise EventError("no pulses", place=place, found="an empty series", wanted="pulses")
    _check_values(stored, place)
    om_index = detector.indices_of(stored.om_key[:, 0], stored.om_key[:, 1])
    is_unknown = (om_index < 0) | (stored.om_key[:, 2] != 0)
    if is_unknown.any():
        raise EventError(
            "pulses of an unknown optical module",
            place=place,
            found=_om_name(stored, is_unknown),
            wanted=f"one of the {detector.n_om} in-ice modules of {detector.source}",
        )
    if not stored.charge.sum() > 0.0:
        raise EventError("the pulses carry no charge", place=place, found="0 PE", wanted="> 0 PE")
    return PulseSeries.from_columns(
        om_index, stored.time, stored.charge, stored.width, stored.flags
    )


def _check_values(stored: PulseMap, place: str) -> None:
    """Refuse pulses whose numbers no likelihood can use."""
    columns = {"time": stored.time, "charge": stored.charge, "width": stored.width}
    for what, values in columns.items():
        is_bad = ~np.isfinite(values)
        if is_bad.any():
            raise EventError(
                f"a pulse's {what} is not finite",
                place=f"{place}, module {_om_name(stored, is_bad)}",
                found=float(values[is_bad][0]),
                wanted="a finite number",
            )
        is_bad = np.abs(values) > _LIMITS[what]
        if is_bad.any():
            raise EventError(
                f"a pulse's {what} is beyond all reason",
                place=f"{place}, module {_om_name(stored, is_bad)}",
                found=f"{values[is_bad][0]:g}",
                wanted=f"at most {_LIMITS[what]:g}",
            )
    is_bad = stored.charge < 0.0
    if is_bad.any():
        raise EventError(
            "a pulse's charge is negative",
            place=f"{place}, module {_om_name(stored, is_bad)}",
            found=f"{stored.charge[is_bad][0]:g} PE",
            wanted="0 PE or more",
        )


def _om_name(stored: PulseMap, is_chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    """Name the first of the chosen pulses' modules."""
    return str(tuple(stored.om_key[is_chosen][0].tolist()))


def _readout_window(frame: Frame, name: str, pulses: PulseSeries) -> tuple[float, float]:
    """Return what the main series covers: its own object, else from first to last pulse."""
    key = f"{name}TimeRange"
    if key in frame:
        window = get_object(frame, key, TimeWindow)
        if not (np.isfinite([window.start, window.stop]).all() and window.start < window.stop):
            raise EventError(
                "a readout window is none",
                place=frame.place(key),
                found=f"{window.start:g} to {window.stop:g} ns",
                wanted="finite times, the first before the last",
            )
        return (window.start, window.stop)
    logger.info("no %s: the readout window is that of the pulses", key)
    return (float(pulses.time.min()), float(pulses.time.max()))


def _excluded_windows(frame: Frame, detector: Detector) -> dict[str, ExcludedWindows]:
    """Return the windows of bad data of modules that the detector has."""
    excluded: dict[str, ExcludedWindows] = {}
    for key in _EXCLUSIONS:
        if key not in frame:
            continue
        windows: ExcludedWindows = {}
        for om_key, series in get_object(frame, key, TimeWindowSeriesMap).windows.items():
            row = int(detector.indices_of([om_key.string], [om_key.om])[0])
            if row >= 0:
                windows[row] = [(window.start, window.stop) for window in series]
        excluded[key] = windows
    return excluded
