"""Lets a native reconstruction run as a module of a tray, IceTray's or our own.

The frames of the event (G, C, D, Q, P) come first and are kept; each pixel frame after them (one
with ``SCAN_HealpixNSide``) is fitted and gets the outcome: ``<reco>_llh``, ``<reco>_particle`` ...
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skymap_scanner.exceptions import PluginError
from skymap_scanner.pixels import Guess, Position, RecoPixelVariation
from skymap_scanner.recos.pixel_frames import (
    NSIDE_KEY,
    PIXEL_KEY,
    VARIATION_KEY,
    FrameObjects,
    IceTrayObjects,
    OwnObjects,
    seed_of_frame,
)
from skymap_scanner.recos.runner import check_fit
from skymap_scanner.recos.tray import STREAM_ORDER, Tray, TrayFrame

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Fit, Seed
    from skymap_scanner.recos.interface import RecoInterface

__all__ = ["add_native_fit", "read_native_fit"]


def add_native_fit(reco: RecoInterface, tray: Any, name: str, logger: Any, seed: Any) -> None:
    """Add the module that fits pixel frames with ``reco.prepare`` and ``reco.fit``.

    Parameters
    ----------
    reco : RecoInterface
        A native one.
    tray : I3Tray or Tray
        Where to add it.
    name : str
        Prefix of the module's name.
    logger : logging.Logger
        Told about each pixel frame at level DEBUG.
    seed : I3Particle-like or None
        Taken instead of each frame's seed particle.
    """
    frames: dict[str, bytes | None] = {}  # the latest event frame of each stream
    prepared: list[Any] = []  # at most one: what reco.prepare made of `frames`

    def fit_pixel_frames(frame: Any) -> bool:
        if NSIDE_KEY not in frame:
            _keep(frames, frame)
            prepared.clear()
            return True
        if not prepared:
            prepared.append(reco.prepare(_event_of(reco, tray, frames)))
        start = seed_of_frame(frame, seed)
        fit = check_fit(reco.fit(prepared[0], start), reco.name)
        logger.debug("reco %s: nll %g %s", reco.name, fit.nll, fit.reason)
        _write_fit(reco.name, frame, start, fit)
        return True

    tray.AddModule(fit_pixel_frames, f"{name}_fit", Streams=_streams(tray))


def read_native_fit(reco: RecoInterface, frame: Any) -> RecoPixelVariation:
    """Read what the module of `add_native_fit` left in a pixel frame."""
    if f"{reco.name}_llh" not in frame:
        msg = f"reco {reco.name}: frame has no {reco.name}_llh: its traysegment did not run"
        raise PluginError(msg)
    particle = frame[f"{reco.name}_particle"]
    return RecoPixelVariation(
        nside=int(frame[NSIDE_KEY].value),
        pixel_id=int(frame[PIXEL_KEY].value),
        llh=float(frame[f"{reco.name}_llh"].value),
        reco_losses_inside=float(frame[f"{reco.name}_losses_inside"].value),
        reco_losses_total=float(frame[f"{reco.name}_losses_total"].value),
        posvar_id=int(frame[VARIATION_KEY].value),
        position=Position.of(particle.pos),
        time=float(particle.time),
        energy=float(particle.energy),
    )


def _write_fit(name: str, frame: Any, seed: Seed, fit: Fit) -> None:
    """Put the outcome of a fit into the frame."""
    objects: FrameObjects = OwnObjects() if isinstance(frame, TrayFrame) else IceTrayObjects()
    guess = Guess(fit.vertex, fit.vertex_time)
    entries = {
        "llh": objects.number(fit.nll if fit.is_ok else math.nan),
        "particle": objects.particle(guess, seed.zenith, seed.azimuth, fit.energy),
        "losses_inside": objects.number(fit.energy_in),
        "losses_total": objects.number(fit.energy_total),
        "status": objects.text(fit.reason or str(fit.status)),
    }
    for key, value in entries.items():
        frame[f"{name}_{key}"] = value


def _keep(frames: dict[str, bytes | None], frame: Any) -> None:
    """Keep an event frame as bytes; those of shorter-lived streams belonged to what was before."""
    stop = str(getattr(frame.Stop, "id", frame.Stop))
    for shorter in STREAM_ORDER[STREAM_ORDER.find(stop) + 1 :]:
        frames.pop(shorter, None)
    if not isinstance(frame, TrayFrame):
        frames[stop] = frame.__getstate__()[1]  # what IceTray pickles a frame to
    else:
        source: Any = frame.source
        frames[stop] = source.to_bytes() if hasattr(source, "to_bytes") else None


def _event_of(reco: RecoInterface, tray: Any, frames: dict[str, bytes | None]) -> Event:
    """Return the event that our runner put in the tray, or read it from the frames."""
    if isinstance(tray, Tray) and "event" in tray.context:
        event: Event = tray.context["event"]
        return event
    blobs = [frames.get(stop) for stop in STREAM_ORDER]
    if not any(blobs):
        msg = f"reco {reco.name}: no event before the first pixel frame, neither frames nor context"
        raise PluginError(msg)
    from skymap_scanner.event.serialized import event_from_bytes

    return event_from_bytes([blob for blob in blobs if blob], version=reco.realtime_format_version)


def _streams(tray: Any) -> list[Any]:
    """Return all streams in the way the tray wants them."""
    if isinstance(tray, Tray):
        return list(STREAM_ORDER)
    from icecube import icetray

    return [icetray.I3Frame.Stream(letter) for letter in STREAM_ORDER]
