"""The same plug-in in IceTray: the calls that our code makes, against a stand-in for ``icecube``.

The stand-in has the few classes that are used, with IceTray's names and manners. A real IceTray can
not be installed as a package: what is tested here is our half of the conversation.
"""

# ruff: noqa: N802  # names of IceTray
# ruff: noqa: ARG002, ARG004  # plug-ins keep the interface's parameters, used or not

from __future__ import annotations

import logging
import pickle
import sys
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from skymap_scanner.exceptions import PluginError
from skymap_scanner.pixels import Fit, FitStatus, Guess, RecoPixelVariation, Seed
from skymap_scanner.recos import RecoInterface
from skymap_scanner.recos.dummy import Dummy
from skymap_scanner.recos.pixel_frames import IceTrayObjects, pixel_entries
from skymap_scanner.recos.runner import make_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event.event import Event

KEY = (8, 5, 3)
SEED = Seed(8, 1, 1.0, 2.0, (1.0, 2.0, 3.0), 1e4, 5e5, Guess((4.0, 5.0, 6.0), 2e4))


class FrameStream:
    """IceTray's ``I3Frame.Stream``."""

    def __init__(self, letter: str) -> None:
        self.id = letter


class I3Frame:
    """IceTray's frame: entries, a stop, and bytes when it is pickled."""

    Stream = FrameStream
    Physics = FrameStream("P")

    def __init__(self, stop: FrameStream | None = None) -> None:
        self.Stop = stop or FrameStream("N")
        self.entries: dict[str, Any] = {}
        self.above: list[I3Frame] = []

    def __contains__(self, key: str) -> bool:
        return any(key in frame.entries for frame in (self, *self.above))

    def __getitem__(self, key: str) -> Any:
        return next(f.entries[key] for f in (self, *self.above) if key in f.entries)

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:
            raise RuntimeError("frame already contains " + key)
        self.entries[key] = value

    def __getstate__(self) -> tuple[dict[str, Any], bytes]:
        return {}, self.Stop.id.encode() + pickle.dumps(self.entries)

    def __setstate__(self, state: tuple[dict[str, Any], bytes]) -> None:
        self.Stop = FrameStream(state[1][:1].decode())
        self.entries, self.above = pickle.loads(state[1][1:]), []  # noqa: S301  # made above


class I3Module:
    """IceTray's Python module: pushes frames until it asks to stop."""

    def __init__(self, context: Any) -> None:
        self.pushed: list[I3Frame] = []
        self.suspended = False

    def AddOutBox(self, name: str) -> None:
        assert name == "OutBox"

    def PushFrame(self, frame: I3Frame) -> None:
        self.pushed.append(frame)

    def RequestSuspension(self) -> None:
        self.suspended = True

    def Configure(self) -> None: ...

    def Process(self) -> None: ...


class I3Tray:
    """IceTray's tray: the first module is the source, functions follow."""

    n_made = 0

    def __init__(self) -> None:
        type(self).n_made += 1
        self.modules: list[tuple[Any, str, dict[str, Any]]] = []

    def AddModule(self, module: Any, name: str, **parameters: Any) -> None:
        assert name not in {other for _, other, _ in self.modules}
        self.modules.append((module, name, parameters))

    Add = AddModule

    def Execute(self) -> None:
        (source_class, _, _), *functions = self.modules
        source = source_class(None)
        source.Configure()
        latest: dict[str, I3Frame] = {}
        while not source.suspended:
            source.Process()
            for frame in source.pushed:
                self._run(frame, functions, latest)
            source.pushed.clear()

    def _run(self, frame: I3Frame, functions: list[Any], latest: dict[str, I3Frame]) -> None:
        order = "GCDQpP"
        frame.above = [
            latest[stop] for stop in order[: order.index(frame.Stop.id)] if stop in latest
        ]
        latest[frame.Stop.id] = frame
        for function, _, parameters in functions:
            given = dict(parameters)
            streams = [stream.id for stream in given.pop("Streams", [I3Frame.Physics])]
            if frame.Stop.id in streams and function(frame, **given) is False:
                return

    def Finish(self) -> None: ...


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


class I3Position:
    def __init__(self, x: float, y: float, z: float) -> None:
        self.x, self.y, self.z = x, y, z


class I3Direction:
    def __init__(self, zenith: float, azimuth: float) -> None:
        self.zenith, self.azimuth = zenith, azimuth


class I3Particle:
    InfiniteTrack, OK = "InfiniteTrack", "OK"


@pytest.fixture(autouse=True)
def icecube(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``icecube`` be importable."""
    package, icetray, data = (
        types.ModuleType(name) for name in ("icecube", "icecube.icetray", "icecube.dataclasses")
    )
    package.__spec__ = types.SimpleNamespace(name="icecube")  # type: ignore[assignment]  # only asked whether it is there
    vars(package).update(icetray=icetray, dataclasses=data)
    vars(icetray).update(I3Frame=I3Frame, I3Module=I3Module, I3Tray=I3Tray, I3Int=Holder)
    vars(data).update(
        I3Double=Holder,
        I3String=Holder,
        I3Position=I3Position,
        I3Direction=I3Direction,
        I3Particle=I3Particle,
    )
    for module in (package, icetray, data):
        monkeypatch.setitem(sys.modules, module.__name__, module)


class StoredFrame:
    """An event's frame, whose bytes are those of the stand-in."""

    def __init__(self, stop: str, **entries: object) -> None:
        self.stop = stop
        self.entries = entries

    def to_bytes(self) -> bytes:
        return self.stop.encode() + pickle.dumps(self.entries)


class Plugin(RecoInterface):
    @staticmethod
    def prepare_frames(tray: Any, name: str, logger: Any) -> None:
        def clean(frame: I3Frame) -> None:
            frame["cleaned"] = frame["pulses"] + 1

        tray.AddModule(clean, f"{name}_clean")

    @staticmethod
    def traysegment(tray: Any, name: str, logger: Any, seed: Any = None) -> None:
        def fit(frame: I3Frame) -> None:
            assert frame["cleaned"] == 11
            frame["llh"] = Holder(frame["MillipedeSeedParticle"].pos.x * seed.pos.y)

        tray.AddModule(fit, f"{name}_fit")

    @staticmethod
    def to_pixelreco(frame: Any, geometry: Any) -> RecoPixelVariation:
        assert geometry == "geo"
        seed = frame["MillipedeSeedParticle"]
        return RecoPixelVariation(
            nside=frame["SCAN_HealpixNSide"].value,
            pixel_id=frame["SCAN_HealpixPixel"].value,
            llh=frame["llh"].value,
            reco_losses_inside=1.0,
            reco_losses_total=2.0,
            posvar_id=frame["SCAN_PositionVariationIndex"].value,
            position=seed.pos,
            time=seed.time,
            energy=seed.energy,
        )


def icetray_event(make: Callable[..., Event]) -> Event:
    return make(
        frames=(StoredFrame("G", I3Geometry="geo"), StoredFrame("Q"), StoredFrame("P", pulses=10))
    )


def test_a_classic_plug_in_runs_in_icetray(make_toy_event: Callable[..., Event]) -> None:
    made = I3Tray.n_made
    runner = make_runner(Plugin(), icetray_event(make_toy_event))
    expected = Fit(FitStatus.OK, "", 2.0, (1.0, 2.0, 3.0), 1e4, 5e5, 1.0, 2.0, 0)
    assert runner(SEED, KEY) == expected
    assert runner(replace(SEED, vertex=(4.0, 2.0, 3.0)), KEY).nll == 8.0
    assert I3Tray.n_made - made == 3


def test_the_packet_of_a_startup_file_may_call_the_physics_frame_p(toy_event: Event) -> None:
    packet = (StoredFrame("G", I3Geometry="geo"), StoredFrame("p", pulses=10))
    assert make_runner(Plugin(), toy_event, packet)(SEED, KEY).nll == 2.0


def test_a_dropped_frame_in_icetray_is_the_plug_ins_fault(
    make_toy_event: Callable[..., Event],
) -> None:
    class DropsPixel(Plugin):
        @staticmethod
        def traysegment(tray: Any, name: str, logger: Any, seed: Any = None) -> None:
            tray.AddModule(lambda _: False, name)

    class DropsEvent(Plugin):
        @staticmethod
        def prepare_frames(tray: Any, name: str, logger: Any) -> None:
            tray.AddModule(lambda _: False, name)

    event = icetray_event(make_toy_event)
    with pytest.raises(PluginError, match="dropped the frame of pixel variation"):
        make_runner(DropsPixel(), event)(SEED, KEY)
    with pytest.raises(PluginError, match="dropped the event's physics frame"):
        make_runner(DropsEvent(), event)


def test_a_particle_of_icetray_is_an_infinite_track() -> None:
    particle = dict(pixel_entries(SEED, KEY, IceTrayObjects()))["MillipedeSeedParticle"]
    assert isinstance(particle, I3Particle)
    assert vars(particle)["shape"] == "InfiniteTrack"
    assert vars(particle)["dir"].zenith == SEED.zenith
    assert vars(particle)["time"] == SEED.vertex_time


def test_a_native_reco_runs_in_a_tray_of_icetray(
    toy_event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[list[bytes]] = []

    def event_from_bytes(frames: list[bytes], *, version: str) -> Event:
        handed.append(frames)
        return toy_event

    monkeypatch.setattr("skymap_scanner.event.serialized.event_from_bytes", event_from_bytes)
    reco = Dummy({"sleep_max_s": "0"})
    frames = [I3Frame(FrameStream(stop)) for stop in "GQPP"]
    frames[0].entries["I3Geometry"] = "geo"
    pixels = [I3Frame(I3Frame.Physics), I3Frame(I3Frame.Physics)]
    for pixel in pixels:
        for key, value in pixel_entries(SEED, KEY, IceTrayObjects()):
            pixel[key] = value
    waiting = [*frames, *pixels]

    class Source(I3Module):
        def Process(self) -> None:
            if not waiting:
                self.RequestSuspension()
                return
            self.PushFrame(waiting.pop(0))

    tray = I3Tray()
    tray.AddModule(Source, "source")
    reco.traysegment(tray, "fit", logging.getLogger("test"))
    tray.Execute()
    tray.Finish()
    assert [[blob[:1] for blob in blobs] for blobs in handed] == [[b"G", b"Q", b"P"]]
    expected = make_runner(reco, toy_event)(SEED, KEY)
    for pixel in pixels:
        fit = reco.to_pixelreco(pixel, None).to_fit()
        assert replace(fit, n_evaluations=1) == expected
