"""Bad events with the three reconstructions: a finite likelihood or a reason, and a map in the end.

Every event is a realtime message written here, so that it goes the way that users' events go. One
of which nothing is left is refused before a client is started.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from changed_messages import write_changed

from skymap_scanner import cli
from skymap_scanner.cli import local_scan
from skymap_scanner.config import read_environment
from skymap_scanner.event import PulseSeries, built_in_detector, read_event
from skymap_scanner.event.late_pulses import is_in_live_time
from skymap_scanner.i3 import (
    I3Double,
    OMKey,
    Position,
    PulseMap,
    TimeWindow,
    TimeWindowSeriesMap,
)
from skymap_scanner.pixels import FitStatus
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.likelihood.time_bins import bin_pulses
from skymap_scanner.recos.runner import make_runner
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.result import SkyScanResult
from skymap_scanner.result.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real_programs import Programs

    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Fit, Seed
    from skymap_scanner.units import FloatArray

    Objects = dict[str, Any]
    WriteEvent = Callable[[Objects], Path]
    Reasons = dict[str, str]

RECOS: Final = ("millipede_original", "millipede_wilks", "splinempe")
MILLIPEDES: Final = RECOS[:2]
DETECTOR: Final = built_in_detector()
NAME: Final = "run00000001.evt000000000001.neutrino"
PULSES: Final = "SplitInIcePulses"
WINDOW: Final = TimeWindow(6000.0, 26_000.0)
SATURATED: Final = "SaturationWindows"
ERRATA: Final = "CalibrationErrata"
#: Longest that a fit may take here: a tenth of what a task may take by default [s].
LIMIT_S: Final = 0.1 * read_environment({}).EWMS_PILOT_TASK_TIMEOUT
#: Down a string, up a string, and not along one [rad].
ZENITH: Final = np.array([0.0, math.pi, 1.1])
AZIMUTH: Final = np.array([0.0, 0.0, 2.0])


# --- events ---------------------------------------------------------------------------------------


def _pulses(
    keys: list[tuple[int, int]], times: FloatArray, charge: float, flags: int = 1
) -> PulseMap:
    n_pulses = len(keys)
    om_key = np.column_stack([np.array(keys), np.zeros(n_pulses)]).astype(np.int64)
    bits = np.full(n_pulses, flags, np.uint8)
    return PulseMap.from_columns(
        om_key, times, np.full(n_pulses, charge), np.full(n_pulses, 8.0), bits
    )


def _windows(keys: list[tuple[int, int]]) -> TimeWindowSeriesMap:
    """The whole readout, for some modules."""
    return TimeWindowSeriesMap({OMKey(string, om, 0): (WINDOW,) for string, om in keys})


def _string_keys() -> list[tuple[int, int]]:
    return [(36, om) for om in range(20, 40) for _ in range(2)]


def _string() -> PulseMap:
    """Light that goes down one string with a particle."""
    return _pulses(_string_keys(), 1e4 + np.repeat(57.0 * np.arange(20), 2) + [0.0, 80.0] * 20, 5.0)


def _deepcore() -> PulseMap:
    keys = [(string, om) for string in (79, 80, 81) for om in range(20, 40)]
    return _pulses(keys, 1e4 + np.arange(60.0), 2.0)


def _noise() -> PulseMap:
    """Three pulses of 30 modules, without local coincidence and far from each other in time."""
    keys = [(1 + 7 * k % 78, 1 + 11 * k % 60) for k in range(30) for _ in range(3)]
    times = np.tile(np.array([7000.0, 11_000.0, 15_500.0]), 30) + np.arange(90.0)
    return _pulses(keys, times, 1.0, flags=0)


def _one_module(charge: float) -> PulseMap:
    return _pulses([(36, 30)] * 20, 1e4 + 10.0 * np.arange(20.0), charge)


def _one_pulse() -> PulseMap:
    return _pulses([(36, 30)], np.array([1e4]), 2.0)


def _thirty_thousand() -> PulseMap:
    """Light of a cascade in 500 modules, a pulse every few ns."""
    rng = np.random.default_rng(8)
    distance = np.linalg.norm(DETECTOR.om_xyz - [0.0, 0.0, -200.0], axis=1)
    near = np.flatnonzero((distance < 300.0) & ~DETECTOR.is_deepcore)
    rows = near[np.arange(30_000) % len(near)]
    times = 1e4 + 5.0 * distance[rows] + rng.exponential(500.0, len(rows))
    return _pulses([(int(s), int(om)) for s, om in DETECTOR.om_key[rows]], times, 1.0)


def _vertex(x: float, y: float, z: float) -> Objects:
    """A vertex in the message, from which fits start."""
    return {
        "HESE_VHESelfVetoVertexPos": Position(x, y, z),
        "HESE_VHESelfVetoVertexTime": I3Double(1e4),
    }


@pytest.fixture
def write_event(event_file: Path, tmp_path: Path) -> WriteEvent:
    """Writes the bundled event with other objects in its physics frame; None: without."""

    def write(objects: Objects) -> Path:
        path = tmp_path / "bad.json"
        write_changed(event_file, path, objects)
        return path

    return write


# --- events of which nothing is left --------------------------------------------------------------


def _of_millipedes(reason: str) -> Reasons:
    return dict.fromkeys(MILLIPEDES, reason)


#: What is in the event, which settings the user has, and who cannot do it for which reason.
NOTHING_LEFT: Final[dict[str, tuple[Objects, list[str], Reasons]]] = {
    "no pulses after cleaning: DeepCore": (
        {PULSES: _deepcore()},
        [],
        {**_of_millipedes("no light left"), "splinempe": "found 0 of 60 hit modules"},
    ),
    "no pulses after cleaning: noise": (  # it counts for millipede_original
        {PULSES: _noise()},
        [],
        {"millipede_wilks": "no light left", "splinempe": "found 0 of 30 hit modules"},
    ),
    "saturated module only": (
        {PULSES: _one_module(900.0), SATURATED: _windows([(36, 30)])},
        [],
        {**_of_millipedes("saturated"), "splinempe": "found 1 of 1 hit modules"},
    ),
    "all saturated": (
        {PULSES: _string(), SATURATED: _windows(_string_keys())},
        [],
        _of_millipedes("saturated"),
    ),
    "all unreliable": (
        {PULSES: _string(), ERRATA: _windows(_string_keys())},
        [],
        _of_millipedes("unreliable time"),
    ),
    "all excluded by the user": (
        {PULSES: _string()},
        ["--reco-option", "bad_doms=" + ",".join(f"36-{om}" for om in range(20, 40))],
        _of_millipedes("bad"),
    ),
    "one pulse": (  # it is enough for millipede_original
        {PULSES: _one_pulse()},
        [],
        {"millipede_wilks": "no light left", "splinempe": "found 0 of 1 hit modules"},
    ),
    "one pulse, no readout window": (
        {PULSES: _one_pulse(), f"{PULSES}TimeRange": None},
        [],
        {
            "millipede_original": "no time in which data counts",
            "millipede_wilks": "no light left",
            "splinempe": "found 0 of 1 hit modules",
        },
    ),
}


@pytest.fixture
def no_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to scan in, where no client may be started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_scan, "LocalClient", lambda **_: pytest.fail("a client was started"))
    return tmp_path


@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case, (*_, why) in NOTHING_LEFT.items() for name in why]
)
def test_an_event_of_which_nothing_is_left_is_refused_before_clients_start(
    case: str,
    name: str,
    write_event: WriteEvent,
    no_clients: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    objects, options, reasons = NOTHING_LEFT[case]
    path = write_event(objects)
    assert cli.main(["scan", str(path), "--reco-algo", name, *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"skymap-scanner: error: {path}: {NAME}: ")
    assert said.err.count("\n") == 1
    assert reasons[name] in said.err
    assert "wanted" in said.err
    assert not (no_clients / "scan-output").exists()


def test_dead_time_is_that_of_the_bins() -> None:
    """The check before the scan and the bins of the fit agree on which light counts."""
    rng = np.random.default_rng(5)
    rows = np.repeat(DETECTOR.indices_of([36] * 3, [20, 21, 22]), 40)
    pulses = PulseSeries.from_columns(rows, rng.integers(0, 60, 120) * 100.0, np.ones(120))
    window = (500.0, 5000.0)
    dead = {
        int(rows[0]): [(1000.0, 2000.0), (4000.0, 9000.0)],
        int(rows[-1]): [(-math.inf, 700.0), (3000.0, math.inf)],
        7: [(0.0, 1e9)],
    }
    bins = bin_pulses(pulses, window=window, dead=dead, with_empty_rows=False)
    is_live = is_in_live_time(pulses, window, dead)
    assert pulses.charge[is_live].sum() == pytest.approx(bins.charge.sum(), rel=1e-12)
    assert 40 < is_live.sum() < 120


# --- events that can be fitted --------------------------------------------------------------------

FITTED: Final[dict[str, tuple[Objects, tuple[str, ...]]]] = {
    "one string": ({PULSES: _string()}, RECOS),
    "vertex outside the detector": (_vertex(1500.0, -900.0, 800.0), RECOS),
    "vertex far away": ({PULSES: _string(), **_vertex(5e4, -5e4, 5e4)}, RECOS),
    "vertex on a module of the string": (
        {PULSES: _string(), **_vertex(*DETECTOR.om_xyz[DETECTOR.index_of(36, 30)].tolist())},
        RECOS,
    ),
    "saturated module only, not said to be": ({PULSES: _one_module(5000.0)}, MILLIPEDES),
    "noise without local coincidence": ({PULSES: _noise()}, MILLIPEDES[:1]),
    "one pulse": (NOTHING_LEFT["one pulse"][0], MILLIPEDES[:1]),
    "all saturated": (NOTHING_LEFT["all saturated"][0], ("splinempe",)),
    "all unreliable": (NOTHING_LEFT["all unreliable"][0], ("splinempe",)),
}


def _is_sound(fit: Fit) -> bool:
    """Finite where it is said to be well, else a failure with its reason."""
    if fit.status is FitStatus.FAILED:
        return bool(fit.reason) and fit.nll == math.inf
    return not fit.reason and bool(np.isfinite([fit.nll, *fit.vertex, fit.vertex_time]).all())


def _fits(name: str, event: Event, seeds: list[Seed]) -> list[Fit]:
    """Fit as a worker does, each in time."""
    reco = make_reco(name, {}, realtime_format_version=event.version)
    reco.check_event(event)
    runner = make_runner(reco, event)
    fits = []
    for seed in seeds:
        began = time.monotonic()
        fits.append(runner(seed, (seed.nside, 0, 0)))
        assert time.monotonic() - began < LIMIT_S
    return fits


def _seeds(name: str, event: Event, *, nside: int) -> list[Seed]:
    """Seeds of some directions; of fine pixels with a vertex of a coarser one and a fallback."""
    parents = np.full((len(ZENITH), 5), np.nan)
    if nside > 8:
        parents[:] = (10.0, 20.0, -100.0, 1e4, 1e3)
    made = make_seeds(
        make_reco(name),
        event,
        nside=nside,
        level=int(nside > 8),
        zenith=ZENITH,
        azimuth=AZIMUTH,
        parents=parents,
    )
    return [seed for seeds in made for seed in seeds]


@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case, (_, names) in FITTED.items() for name in names]
)
def test_a_bad_event_has_finite_fits(case: str, name: str, write_event: WriteEvent) -> None:
    event = read_event(write_event(FITTED[case][0]))
    seeds = _seeds(name, event, nside=8)
    fits = _fits(name, event, seeds + _seeds(name, event, nside=512))
    assert all(map(_is_sound, fits)), fits
    assert all(fit.is_ok for fit in fits), [fit.reason for fit in fits]
    if case.startswith("vertex"):
        stored = FITTED[case][0]["HESE_VHESelfVetoVertexPos"]
        assert event.stored_vertex is not None
        assert event.stored_vertex.vertex == (stored.x, stored.y, stored.z)
        assert seeds[0].vertex == pytest.approx(event.stored_vertex.vertex)


@pytest.mark.parametrize("name", RECOS)
def test_thirty_thousand_pulses_are_fitted_in_time(name: str, write_event: WriteEvent) -> None:
    event = read_event(write_event({PULSES: _thirty_thousand()}))
    assert event.pulses.n_pulses == 30_000
    fits = _fits(name, event, _seeds(name, event, nside=8)[::2])
    assert all(fit.is_ok and _is_sound(fit) for fit in fits)


@pytest.mark.parametrize("name", RECOS)
def test_first_guesses_that_are_no_numbers_are_a_fit_or_a_reason(
    name: str, write_event: WriteEvent
) -> None:
    """Millipede has first guesses of its own, as long as a pulse says when."""
    event = read_event(write_event({PULSES: _string()}))
    seed = _seeds(name, event, nside=8)[2]
    nowhere = replace(seed, vertex=(math.nan, math.nan, math.nan), vertex_time=math.nan)
    (fit,) = _fits(name, event, [nowhere])
    assert _is_sound(fit)
    assert fit.is_ok == (name in MILLIPEDES)
    assert fit.is_ok or "first guess" in fit.reason


@pytest.mark.parametrize("name", RECOS)
def test_a_scan_of_a_bad_event_ends_with_a_map(
    name: str, programs: Programs, write_event: WriteEvent
) -> None:
    """One string, and fits begin outside of the detector; each pixel has a value or a reason."""
    write_event({PULSES: _string(), **_vertex(1500.0, -900.0, 800.0)})
    done = programs.scan(
        "bad.json", "--reco-algo", name, "--nsides", "1:0", "2:4", "--workers", 1,
        "--no-plots", "--quiet", "-o", "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = SkyScanResult.read_npz(programs.folder / "out" / f"{NAME}_1_2.npz")
    manifest = read_manifest(programs.folder / "out" / f"{NAME}_scan-manifest.json")
    assert manifest["is_complete"]
    assert manifest["n_failed"] == len(manifest["failed"])
    assert all(pixel["reasons"] and all(pixel["reasons"]) for pixel in manifest["failed"])
    for nside, at_least in ((1, 12), (2, 16)):
        n_failed = sum(pixel["nside"] == nside for pixel in manifest["failed"])
        pixels = result.get_results_per_nside(nside)
        assert len(pixels) + n_failed >= at_least
        assert np.isfinite(pixels["llh"]).all()
    assert manifest["n_failed"] <= 1


@pytest.mark.shared
@pytest.mark.parametrize("name", RECOS)
def test_the_real_event_with_empty_gcd_frames_has_finite_fits(name: str, shared: Path) -> None:
    event = read_event(shared / "events" / "low_energy_run135395_evt4698470.pkl")
    empty = [frame for frame in event.frames if frame.stop in "GCD"]
    assert [(frame.stop, len(list(frame.keys()))) for frame in empty] == [
        ("G", 0), ("C", 0), ("D", 0),
    ]  # fmt: skip
    assert event.detector.source == DETECTOR.source
    fits = _fits(name, event, _seeds(name, event, nside=8) + _seeds(name, event, nside=512))
    assert all(fit.is_ok and _is_sound(fit) for fit in fits)
    assert len({fit.nll for fit in fits}) > 5  # directions are not all alike
