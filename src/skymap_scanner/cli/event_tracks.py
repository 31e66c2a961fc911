"""Which tracks an event display shows: the online fit or another one, and the truth if known."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.event import equatorial_to_detector, online_fit
from skymap_scanner.event.vertex import barycentre
from skymap_scanner.exceptions import EventError, ResultError, UsageError
from skymap_scanner.plot.detector_views import DrawnTrack
from skymap_scanner.plot.style import TRUTH
from skymap_scanner.result import SkyScanResult
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT
from skymap_scanner.simulation.frames import truth_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from skymap_scanner.event import Event, PulseSeries

__all__ = ["chosen_track", "online_track", "true_track"]

logger = logging.getLogger(__name__)


def online_track(event: Event) -> DrawnTrack | None:
    """Return the online fit of an event; None, which is logged, where it has none to draw."""
    try:
        fit = online_fit(event)
        return DrawnTrack(fit.zenith, fit.azimuth, fit.vertex, f"online fit {fit.name}")
    except EventError as error:
        logger.warning("no online fit is drawn: %s", error)
        return None


def true_track(event: Event, file: Path) -> DrawnTrack | None:
    """Return what was simulated.

    Parameters
    ----------
    event : Event
        What was read; our own simulated events carry their truth.
    file : Path
        Where from; ``FILE.truth.json`` beside ``FILE.json`` goes first.

    Returns
    -------
    DrawnTrack or None
        None where no truth is known, or it has no direction and vertex, which is logged.
    """
    beside = _truth_beside(file)
    try:
        truth = json.loads(beside.read_bytes()) if beside.is_file() else event.truth
        if truth is None:
            return None
        x, y, z = (float(number) for number in truth["vertex"])
        zenith, azimuth = float(truth["zenith"]), float(truth["azimuth"])
        is_cascade = truth.get("kind") == "cascade"
        return DrawnTrack(zenith, azimuth, (x, y, z), "simulated truth", TRUTH, is_cascade)
    except (OSError, ValueError, TypeError, KeyError, EventError) as error:
        logger.warning("no truth is drawn: %s: %s: %s", beside, type(error).__name__, error)
        return None


def _truth_beside(file: Path) -> Path:
    """Return where the truth of an event lies, whatever wrote it."""
    try:
        return truth_path(file)
    except UsageError:
        return file.with_suffix(".truth.json")


def chosen_track(
    event: Event,
    pulses: PulseSeries,
    *,
    result: Path | None,
    direction: Sequence[float] | None,
    vertex: Sequence[float] | None,
) -> DrawnTrack | None:
    """Return the track that the user asks for, None where there is no such wish.

    Parameters
    ----------
    event : Event
        What was read.
    pulses : PulseSeries
        Those that are drawn; a track without a vertex goes through their charge-weighted mean.
    result : Path or None
        A scan of the event, whose best fit is drawn.
    direction : sequence of float or None
        Zenith and azimuth where the particle comes from [rad].
    vertex : sequence of float or None
        A point on the track [m].

    Raises
    ------
    ResultError
        When the result cannot be read, has no pixels or is one of another event.
    UsageError
        When there is no vertex and the pulses, without charge, do not tell one.
    """
    if direction is not None:
        zenith, azimuth = direction
        label = "given direction"
    elif result is not None:
        scan = _scan_of(event, result)
        zenith, azimuth = map(float, equatorial_to_detector(*scan.best_dir, event.mjd))
        fitted = [float(scan.best_fit[name]) for name in "XYZ"]
        vertex = fitted if vertex is None and np.all(np.isfinite(fitted)) else vertex
        label = f"best fit of {scan.header.reco_algo or 'the scan'}"
    else:
        return None
    if vertex is None and pulses.total_charge == 0.0:
        raise UsageError(
            "pulses without charge have no mean position", place="--vertex", wanted="X Y Z"
        )
    x, y, z = barycentre(pulses, event.detector).vertex if vertex is None else vertex
    return DrawnTrack(zenith, azimuth, (x, y, z), label)


def _scan_of(event: Event, path: Path) -> SkyScanResult:
    """Read a result, which must not be one of another event."""
    result = SkyScanResult.read_npz(path)
    scanned = result.get_event_metadata()
    is_same = (scanned.run_id, scanned.event_id) == (event.run_id, event.event_id)
    if not is_same and str(scanned) != str(UNKNOWN_EVENT):
        raise ResultError(
            "a scan of another event", place=str(path), found=str(scanned), wanted=event.name
        )
    return result
