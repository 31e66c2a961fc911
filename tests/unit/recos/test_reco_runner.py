"""The runner: native recos and classic plug-ins give the same kind of fit, bad ones a reason."""

# ruff: noqa: ARG002, ARG004  # plug-ins keep the interface's parameters, used or not

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from skymap_scanner.event.readers import read_event
from skymap_scanner.exceptions import EventError, PluginError
from skymap_scanner.pixels import Fit, FitStatus, Guess, RecoPixelVariation, Seed
from skymap_scanner.recos import RecoInterface, make_reco
from skymap_scanner.recos import runner as runner_module
from skymap_scanner.recos.dummy import Dummy
from skymap_scanner.recos.interface import is_native
from skymap_scanner.recos.pixel_frames import OwnObjects, pixel_entries, seed_of_frame
from skymap_scanner.recos.runner import make_runner
from skymap_scanner.recos.tray import Tray
from skymap_scanner.recos.tray_frame import TrayFrame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.event.event import Event

KEY = (8, 5, 3)
SEED = Seed(8, 1, 1.0, 2.0, (1.0, 2.0, 3.0), 1e4, 5e5, Guess((4.0, 5.0, 6.0), 2e4))
GOOD = Fit(FitStatus.OK, "", 12.5, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)


@pytest.fixture(autouse=True)
def no_icetray(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about our own tray, also where IceTray is installed."""
    monkeypatch.setitem(sys.modules, "icecube", None)


class Native(RecoInterface):
    """Returns what it is told to return."""

    answer: Any = GOOD
    calls: ClassVar[list[str]] = []

    def prepare(self, event: Event) -> str:
        self.calls.append(f"prepare {event.event_id}")
        return "prepared"

    def fit(self, prepared: str, seed: Seed) -> Fit:
        self.calls.append(f"fit {prepared}")
        answer: Fit = self.answer
        return answer

    def warm_up(self) -> None:
        self.calls.append("warm_up")


def run_native(answer: object, event: Event) -> Fit:
    reco = Native()
    reco.answer = answer
    return make_runner(reco, event)(SEED, KEY)


def test_a_native_reco_is_prepared_once(toy_event: Event) -> None:
    Native.calls.clear()
    runner = make_runner(Native(), toy_event)
    assert [runner(SEED, KEY), runner(SEED, KEY)] == [GOOD, GOOD]
    assert Native.calls == ["warm_up", "prepare 42", "fit prepared", "fit prepared"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "returned NoneType instead of Fit"),
        (12.5, "returned float instead of Fit"),
        (replace(GOOD, nll=math.nan), "returned nll nan"),
        (replace(GOOD, nll=-math.inf), "returned nll -inf"),
        (replace(GOOD, vertex=(0.0, math.nan, 0.0)), "returned vertex"),
        (replace(GOOD, vertex_time=math.inf), "at inf ns"),
        (replace(GOOD, vertex=(0.0, 0.0)), "not made of numbers"),  # type: ignore[arg-type]  # wrong on purpose
        (replace(GOOD, nll="low"), "not made of numbers"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_what_is_no_fit_is_a_failed_one_with_a_reason(
    toy_event: Event, answer: object, reason: str
) -> None:
    fit = run_native(answer, toy_event)
    assert fit.status is FitStatus.FAILED
    assert fit.nll == math.inf
    assert reason in fit.reason
    assert "reco native" in fit.reason


def test_a_failed_fit_always_has_infinite_nll_and_a_reason(toy_event: Event) -> None:
    assert run_native(Fit.failed("no light"), toy_event).reason == "no light"
    sloppy = run_native(replace(GOOD, status=FitStatus.FAILED), toy_event)
    assert (sloppy.nll, sloppy.reason) == (math.inf, "no reason given")


def test_numbers_of_numpy_become_plain(toy_event: Event) -> None:
    numpys: dict[str, Any] = {
        "nll": np.float32(12.5),
        "vertex": np.array([1.0, 2.0, 3.0]),
        "n_evaluations": np.int64(8),
    }
    sent = replace(GOOD, **numpys)
    fit = run_native(sent, toy_event)
    assert fit == GOOD
    assert [type(value) for value in (fit.nll, *fit.vertex)] == [float] * 4
    assert type(fit.n_evaluations) is int


def test_not_estimated_energies_are_allowed(toy_event: Event) -> None:
    nan = math.nan
    fit = run_native(replace(GOOD, energy=nan, energy_in=nan, energy_total=nan), toy_event)
    assert fit.is_ok


def test_exceptions_go_through(toy_event: Event) -> None:
    class Raising(Native):
        def prepare(self, event: Event) -> str:
            raise EventError("no pulses left")

        def fit(self, prepared: str, seed: Seed) -> Fit:
            raise ZeroDivisionError

    with pytest.raises(EventError, match="no pulses left"):
        make_runner(Raising(), toy_event)
    Raising.prepare = Native.prepare  # type: ignore[method-assign]  # now only the fit raises
    with pytest.raises(ZeroDivisionError):
        make_runner(Raising(), toy_event)(SEED, KEY)


@pytest.mark.parametrize("methods", [(), ("traysegment",), ("to_pixelreco",), ("prepare",)])
def test_a_reco_without_a_way_to_run_says_what_it_needs(
    toy_event: Event, methods: tuple[str, ...]
) -> None:
    cls = type("Half", (RecoInterface,), {name: lambda *_: None for name in methods})
    with pytest.raises(PluginError, match=r"reco half.*prepare and fit, or traysegment and"):
        make_runner(cls(), toy_event)


# --- classic plug-ins -----------------------------------------------------------------------------


def scaled(frame: Any, factor: float, event: Event) -> None:
    seed = frame["MillipedeSeedParticle"]
    frame["llh"] = factor * seed.pos.x + event.event_id


class StaticPlugin(RecoInterface):
    """As the classic scanner's recos: static methods, IceTray's words."""

    prepared: ClassVar[list[str]] = []

    @staticmethod
    def prepare_frames(tray: Any, name: str, logger: Any) -> None:
        tray.Add(lambda frame: frame.Put("cleaned", 1), f"{name}_clean")

    @staticmethod
    def setup_reco() -> None:
        StaticPlugin.prepared.append("setup")

    @staticmethod
    def traysegment(tray: Any, name: str, logger: Any, seed: Any = None) -> None:
        assert seed.dir.zenith == SEED.zenith
        tray.Add(scaled, f"{name}_scale", factor=2.0, event=tray.context["event"])

    @staticmethod
    def to_recopixelvariation(frame: Any, geometry: Any) -> RecoPixelVariation:
        assert frame["cleaned"] == 1
        seed = frame["MillipedeSeedParticle"]
        return RecoPixelVariation(
            nside=frame["SCAN_HealpixNSide"].value,
            pixel_id=frame["SCAN_HealpixPixel"].value,
            llh=frame["llh"],
            reco_losses_inside=1.0,
            reco_losses_total=2.0,
            posvar_id=frame["SCAN_PositionVariationIndex"].value,
            position=seed.pos,
            time=seed.time,
            energy=seed.energy,
        )


class ClassPlugin(StaticPlugin):
    """The same with class methods and the newer name."""

    @classmethod
    def traysegment(cls, tray: Any, name: str, logger: Any, seed: Any = None) -> None:
        StaticPlugin.traysegment(tray, name, logger, seed)

    @classmethod
    def to_pixelreco(cls, frame: Any, geometry: Any) -> RecoPixelVariation:
        return StaticPlugin.to_recopixelvariation(frame, geometry)


class InstancePlugin(StaticPlugin):
    """The same with instance methods."""

    def traysegment(self, tray: Any, name: str, logger: Any, seed: Any = None) -> None:  # type: ignore[override]  # not static
        StaticPlugin.traysegment(tray, name, logger, seed)

    def to_pixelreco(self, frame: Any, geometry: Any) -> RecoPixelVariation:
        return StaticPlugin.to_recopixelvariation(frame, geometry)


class StoredFrame(dict[str, object]):
    """As much of a frame of an event as our tray needs."""

    def __init__(self, stop: str, **entries: object) -> None:
        super().__init__(entries)
        self.stop = stop


def with_frames(make: Callable[..., Event]) -> Event:
    return make(
        frames=(StoredFrame("G", I3Geometry="geo"), StoredFrame("Q"), StoredFrame("P", a=1))
    )


def test_the_packet_of_a_startup_file_may_call_the_physics_frame_p(toy_event: Event) -> None:
    packet = (StoredFrame("G", I3Geometry="geo"), StoredFrame("Q"), StoredFrame("p", a=1))
    assert make_runner(StaticPlugin(), toy_event, packet)(SEED, KEY).nll == 44.0


@pytest.mark.parametrize("plugin", [StaticPlugin, ClassPlugin, InstancePlugin])
def test_a_classic_plug_in_runs_in_our_tray(
    make_toy_event: Callable[..., Event], plugin: type[RecoInterface]
) -> None:
    StaticPlugin.prepared.clear()
    runner = make_runner(plugin(), with_frames(make_toy_event))
    expected = Fit(FitStatus.OK, "", 44.0, (1.0, 2.0, 3.0), 1e4, 5e5, 1.0, 2.0, 0)
    assert runner(SEED, KEY) == expected
    assert runner(replace(SEED, vertex=(2.0, 2.0, 3.0)), KEY).nll == 46.0
    assert runner(SEED, KEY) == expected
    assert StaticPlugin.prepared == ["setup"]
    assert not is_native(plugin())


def test_both_names_of_the_reader_work_whichever_is_written() -> None:
    for plugin in (StaticPlugin(), ClassPlugin(), InstancePlugin()):
        cls = type(plugin)
        assert "to_pixelreco" in vars(cls)
        assert "to_recopixelvariation" in vars(cls)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"llh": math.nan}, "llh nan"),
        ({"llh": math.inf}, "llh inf"),
        ({"pixel_id": 6}, r"returned pixel variation (8, 6, 3), not (8, 5, 3)"),
        (None, "returned NoneType instead of RecoPixelVariation"),
    ],
)
def test_what_a_plug_in_reads_is_checked(
    make_toy_event: Callable[..., Event], change: dict[str, Any] | None, reason: str
) -> None:
    class Reader(StaticPlugin):
        def to_pixelreco(self, frame: Any, geometry: Any) -> Any:
            assert geometry == "geo"
            good = StaticPlugin.to_recopixelvariation(frame, geometry)
            return None if change is None else replace(good, **change)

    fit = make_runner(Reader(), with_frames(make_toy_event))(SEED, KEY)
    assert fit.nll == math.inf
    assert reason in fit.reason


def test_a_dropped_pixel_or_event_is_the_plug_ins_fault(
    make_toy_event: Callable[..., Event],
) -> None:
    class DropsPixel(StaticPlugin):
        @staticmethod
        def traysegment(tray: Any, name: str, logger: Any, seed: Any = None) -> None:
            tray.Add(lambda _: False, "drop")

    class DropsEvent(StaticPlugin):
        @staticmethod
        def prepare_frames(tray: Any, name: str, logger: Any) -> None:
            tray.Add(lambda _: False, "drop")

    event = with_frames(make_toy_event)
    with pytest.raises(PluginError, match=r"dropped the frame of pixel variation \(8, 5, 3\)"):
        make_runner(DropsPixel(), event)(SEED, KEY)
    with pytest.raises(PluginError, match="dropped the event's physics frame"):
        make_runner(DropsEvent(), event)


def test_icetray_modules_need_icetray(make_toy_event: Callable[..., Event]) -> None:
    class NeedsIceTray(StaticPlugin):
        @staticmethod
        def traysegment(tray: Any, name: str, logger: Any, seed: Any = None) -> None:
            tray.Add("I3SimpleFitter", f"{name}_fitter", SeedService="seed")

    with pytest.raises(PluginError, match=r"'I3SimpleFitter' is no Python callable.*need IceTray"):
        make_runner(NeedsIceTray(), with_frames(make_toy_event))(SEED, KEY)


# --- native recos inside a tray -------------------------------------------------------------------


def test_a_seed_survives_the_pixel_frame() -> None:
    for seed in (SEED, replace(SEED, fallback=None, level=0)):
        frame = TrayFrame("P", dict(pixel_entries(seed, KEY, OwnObjects())))
        assert seed_of_frame(frame) == seed


def test_a_particle_in_the_frame_travels_away_from_where_it_comes() -> None:
    particle = OwnObjects().particle(Guess((0.0, 0.0, 0.0), 0.0), 0.5, 1.0, 1.0)
    direction = np.array([particle.dir.x, particle.dir.y, particle.dir.z])
    expected = [-np.sin(0.5) * np.cos(1.0), -np.sin(0.5) * np.sin(1.0), -np.cos(0.5)]
    np.testing.assert_allclose(direction, expected)


def test_a_native_reco_runs_as_a_module_of_a_tray(toy_event: Event) -> None:
    reco = Dummy({"sleep_max_s": "0"})
    frame = TrayFrame("P", dict(pixel_entries(SEED, KEY, OwnObjects())))
    tray = Tray([TrayFrame("G"), TrayFrame("Q"), TrayFrame("p"), frame])
    tray.context["event"] = toy_event
    reco.traysegment(tray, "fit", logging.getLogger("test"))
    assert frame in tray.Execute()
    fit = reco.to_pixelreco(frame, None).to_fit()
    assert replace(fit, n_evaluations=1) == make_runner(reco, toy_event)(SEED, KEY)
    assert reco.to_recopixelvariation(frame, None).id_tuple == KEY


def test_a_failed_fit_in_a_tray_stays_one(toy_event: Event) -> None:
    reco = Native()
    reco.answer = Fit.failed("no light")
    frame = TrayFrame("P", dict(pixel_entries(SEED, KEY, OwnObjects())))
    tray = Tray([frame])
    tray.context["event"] = toy_event
    reco.traysegment(tray, "fit", logging.getLogger("test"))
    tray.Execute()
    assert frame["native_status"].value == "no light"
    assert not reco.to_pixelreco(frame, None).to_fit().is_ok


def test_a_tray_without_an_event_says_so() -> None:
    reco = Dummy({"sleep_max_s": "0"})
    tray = Tray([TrayFrame("P", dict(pixel_entries(SEED, KEY, OwnObjects())))])
    reco.traysegment(tray, "fit", logging.getLogger("test"))
    with pytest.raises(PluginError, match="no event before the first pixel frame"):
        tray.Execute()
    with pytest.raises(PluginError, match="its traysegment did not run"):
        reco.to_pixelreco(TrayFrame("P"), None)


def test_without_icecube_the_runner_takes_our_tray(
    make_toy_event: Callable[..., Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=runner_module.__name__):
        make_runner(StaticPlugin(), with_frames(make_toy_event))
    assert "runs in our own tray" in caplog.text


@pytest.mark.shared
def test_a_native_reco_in_a_tray_reads_the_event_from_its_frames(shared: Path) -> None:
    path = min((shared / "events").glob("*.json"))
    event = read_event(path)
    reco = make_reco("dummy", {"sleep_max_s": "0"}, realtime_format_version=event.version)
    pixel = TrayFrame("P", dict(pixel_entries(SEED, KEY, OwnObjects())))
    tray = Tray([*(TrayFrame(frame.stop, frame) for frame in event.frames), pixel])
    reco.traysegment(tray, "fit", logging.getLogger("test"))
    tray.Execute()
    fit = reco.to_pixelreco(pixel, None).to_fit()
    assert replace(fit, n_evaluations=1) == make_runner(reco, event)(SEED, KEY)
