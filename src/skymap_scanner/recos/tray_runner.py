"""Runs a classic plug-in in our own small tray, where there is no IceTray."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from skymap_scanner.exceptions import PluginError
from skymap_scanner.recos.pixel_frames import SEED_KEY, OwnObjects, pixel_entries
from skymap_scanner.recos.tray import Tray, TrayFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Seed, TaskKey
    from skymap_scanner.recos.interface import RecoInterface

__all__ = ["TrayRunner"]

logger = logging.getLogger(__name__)


class TrayRunner:
    """Prepares the event's frames once and fits pixel variations one by one.

    Parameters
    ----------
    reco : RecoInterface
        With ``traysegment`` and ``to_pixelreco``.
    event : Event
        Put into ``tray.context["event"]`` for modules that want more than frames.
    frames : sequence of i3.Frame
        The event's G, C, D, Q, P frames.
    """

    def __init__(self, reco: RecoInterface, event: Event, frames: Sequence[Any]) -> None:
        self._reco = reco
        self._event = event
        reco.setup_reco()
        # A startup file calls the event's physics frame "p"; modules that prepare it look for "P".
        tray = self._tray(
            [TrayFrame("P" if frame.stop == "p" else frame.stop, frame) for frame in frames]
        )
        reco.prepare_frames(tray, f"{reco.name}_prepare", logger)
        prepared = tray.Execute()
        tray.Finish()
        if not any(frame.stop == "P" for frame in prepared):
            msg = f"reco {reco.name}: prepare_frames dropped the event's physics frame"
            raise PluginError(msg)
        # Modules for P frames shall see pixels only: the event's own physics frame becomes a "p".
        self._frames = [frame.copy("p" if frame.stop == "P" else None) for frame in prepared]

    def __call__(self, seed: Seed, key: TaskKey) -> object:
        """Return what the plug-in's ``to_pixelreco`` makes of one pixel variation."""
        pixel = TrayFrame("P", dict(pixel_entries(seed, key, OwnObjects())))
        tray = self._tray([*(frame.copy() for frame in self._frames), pixel])
        self._reco.traysegment(tray, f"{self._reco.name}_traysegment", logger, seed=pixel[SEED_KEY])
        if pixel not in tray.Execute():
            msg = f"reco {self._reco.name}: its tray dropped the frame of pixel variation {key}"
            raise PluginError(msg)
        result = self._reco.to_pixelreco(pixel, pixel.get("I3Geometry"))
        tray.Finish()
        return result

    def _tray(self, frames: Iterable[TrayFrame]) -> Tray:
        tray = Tray(frames)
        tray.context["event"] = self._event
        return tray
