"""Runs a classic plug-in in a real IceTray, where the package ``icecube`` can be imported."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from skymap_scanner.exceptions import PluginError
from skymap_scanner.recos.pixel_frames import SEED_KEY, IceTrayObjects, pixel_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skymap_scanner.pixels import Seed, TaskKey
    from skymap_scanner.recos.interface import RecoInterface

__all__ = ["IceTrayRunner"]

logger = logging.getLogger(__name__)


class IceTrayRunner:
    """Prepares the event's frames once and fits pixel variations one by one, in an ``I3Tray`` each.

    Parameters
    ----------
    reco : RecoInterface
        With ``traysegment`` and ``to_pixelreco``.
    frames : sequence of i3.Frame
        The event's G, C, D, Q, P frames; they become IceTray's by their bytes.
    """

    def __init__(self, reco: RecoInterface, frames: Sequence[Any]) -> None:
        self._reco = reco
        self._objects = IceTrayObjects()
        reco.setup_reco()
        given = [_icetray_frame(frame.to_bytes()) for frame in frames]
        # A startup file calls the event's physics frame "p"; modules that prepare it look for "P".
        _rename_stop(given, "p", "P")
        prepared = _run(
            given,
            lambda tray: reco.prepare_frames(tray, f"{reco.name}_prepare", logger),
        )
        if not any(_stop(frame) == "P" for frame in prepared):
            msg = f"reco {reco.name}: prepare_frames dropped the event's physics frame"
            raise PluginError(msg)
        # As bytes, so that every pixel starts from the same frames whatever modules do to them.
        self._frames = [_bytes_of(frame) for frame in prepared]

    def __call__(self, seed: Seed, key: TaskKey) -> object:
        """Return what the plug-in's ``to_pixelreco`` makes of one pixel variation."""
        from icecube import icetray

        frames = [_icetray_frame(data) for data in self._frames]
        _rename_stop(frames, "P", "p")  # modules for P frames shall see pixels only
        pixel = icetray.I3Frame(icetray.I3Frame.Physics)
        for name, value in pixel_entries(seed, key, self._objects):
            pixel[name] = value
        done = _run(
            [*frames, pixel],
            lambda tray: self._reco.traysegment(
                tray, f"{self._reco.name}_traysegment", logger, seed=pixel[SEED_KEY]
            ),
        )
        if not done or _stop(done[-1]) != "P":
            msg = f"reco {self._reco.name}: its tray dropped the frame of pixel variation {key}"
            raise PluginError(msg)
        result = done[-1]
        # I3Frame has no get() in every release.
        geometry = result["I3Geometry"] if "I3Geometry" in result else None  # noqa: SIM401  # see above
        return self._reco.to_pixelreco(result, geometry)


def _run(frames: Sequence[Any], add_modules: Callable[[Any], object]) -> list[Any]:
    """Take IceTray frames through the modules that `add_modules` adds; return those that arrive."""
    from icecube import icetray

    waiting = list(frames)
    done: list[Any] = []

    class FrameSource(icetray.I3Module):  # type: ignore[misc]  # icecube has no types
        """Hands out the frames one by one and then ends the run."""

        def __init__(self, context: Any) -> None:
            super().__init__(context)
            self.AddOutBox("OutBox")

        def Configure(self) -> None:  # noqa: N802  # IceTray's name
            """Nothing to read: the frames are there."""

        def Process(self) -> None:  # noqa: N802  # IceTray's name
            """Push the next frame."""
            if waiting:
                self.PushFrame(waiting.pop(0))
            else:
                self.RequestSuspension()

    def collect(frame: Any) -> bool:
        done.append(frame)
        return True

    tray = _make_tray()
    tray.AddModule(FrameSource, "frame_source")
    add_modules(tray)
    streams = [icetray.I3Frame.Stream(letter) for letter in "GCDQpP"]
    tray.AddModule(collect, "frame_sink", Streams=streams)
    tray.Execute()
    tray.Finish()
    return done


def _make_tray() -> Any:
    try:
        from icecube.icetray import I3Tray
    except ImportError:  # IceTray before 1.5 has it in a module of its own
        from I3Tray import I3Tray  # type: ignore[import-not-found]  # ditto
    return I3Tray()


def _icetray_frame(data: bytes) -> Any:
    """Make an ``I3Frame`` from its serialisation, the way it is unpickled."""
    from icecube import icetray

    frame = icetray.I3Frame()
    frame.__setstate__(({}, data))
    return frame


def _bytes_of(frame: Any) -> bytes:
    """Return the serialisation of an ``I3Frame``, the way it is pickled."""
    data: bytes = frame.__getstate__()[1]
    return data


def _rename_stop(frames: Sequence[Any], old: str, new: str) -> None:
    """Turn frames of one stream into frames of another."""
    from icecube import icetray

    for frame in frames:
        if _stop(frame) == old:
            frame.Stop = icetray.I3Frame.Stream(new)


def _stop(frame: Any) -> str:
    return str(frame.Stop.id)
