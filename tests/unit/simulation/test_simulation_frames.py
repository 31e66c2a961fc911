"""A simulated event goes through the same reader as a real one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.cli.simulate import main
from skymap_scanner.event import clean_for_tracks, read_event
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.readers import read_frames
from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.exceptions import UsageError
from skymap_scanner.i3 import MCTree, read_message
from skymap_scanner.light.ice import IceModel
from skymap_scanner.simulation.analytic import AnalyticLight
from skymap_scanner.simulation.event import (
    CascadeSettings,
    TrackSettings,
    simulate_cascade,
    simulate_track,
)
from skymap_scanner.simulation.frames import TRUTH_KEY, EventNames, write_simulated_event
from skymap_scanner.simulation.truth import particle_tree
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.units import FloatArray

OPTIONS = ["--energy-gev", "2e4", "--zenith-deg", "70", "--azimuth-deg", "200", "--seed", "3"]


@pytest.fixture(scope="module")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "track.json"
    assert main(["track", "-o", str(path), *OPTIONS]) == 0
    return path


def test_event_is_read_like_a_real_one(message: Path) -> None:
    event = read_event(message)
    assert (event.run_id, event.event_id, event.event_type) == (1, 1, "neutrino")
    assert event.is_real is False
    assert event.pulses.n_doms >= 8
    assert 9_000 < np.median(event.pulses.time) < 14_000


def test_summary_carries_the_numbers_of_the_cleaning(message: Path) -> None:
    cleaned = clean_for_tracks(read_event(message))
    summary = read_message(message).summary
    assert (summary["nch"], summary["npulses"]) == (cleaned.n_doms, cleaned.n_pulses)
    assert summary["qtot"] == pytest.approx(cleaned.total_charge, abs=1e-4)


def test_truth_is_in_the_frame_and_beside_it(message: Path) -> None:
    beside = json.loads(message.with_suffix(".truth.json").read_text())
    assert read_event(message).truth == beside
    assert TRUTH_KEY in read_message(message).frames[-1]
    assert beside["energy"] == 2e4
    assert beside["zenith_deg"] == pytest.approx(70.0)


def test_online_fit_is_near_the_truth(message: Path) -> None:
    event = read_event(message)
    fit = event.fits["l2_online_BestFit"]
    zenith, azimuth = event.truth["zenith"], event.truth["azimuth"]  # type: ignore[index]  # a simulated event has truth
    cos = np.cos(zenith) * np.cos(fit.zenith)
    cos += np.sin(zenith) * np.sin(fit.zenith) * np.cos(azimuth - fit.azimuth)
    assert np.degrees(np.arccos(cos)) < 15.0


def test_same_seed_same_pulses() -> None:
    settings = TrackSettings(1e4, 1.2, 0.4, seed=11)
    first, again = (simulate_track(settings, built_in_detector()) for _ in range(2))
    assert np.array_equal(first.pulses.time, again.pulses.time)
    assert first.truth == again.truth


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy": -1.0},
        {"energy": float("nan")},
        {"zenith": 4.0},
        {"azimuth": float("inf")},
        {"impact": (0.0, 1e5)},
        {"ice": "unknown"},
        {"seed": -1},
        {"energy": 0.0},
        {"light": "lamp"},
        {"vertex": (0.0, 0.0, 3000.0)},
        {"vertex": (0.0, float("nan"), 0.0)},
        {"vertex": (0.0, 0.0, 0.0), "impact": (1.0, 0.0)},
        {"is_starting": True},
        {"vertex": (0.0, 0.0, 0.0), "inelasticity": 0.5},
        {"vertex": (0.0, 0.0, 0.0), "is_starting": True, "inelasticity": 1.5},
    ],
)
def test_illegal_settings_are_refused(wrong: dict[str, object]) -> None:
    legal: dict[str, object] = {"energy": 1e4, "zenith": 1.0, "azimuth": 0.0}
    with pytest.raises(UsageError):
        simulate_track(TrackSettings(**{**legal, **wrong}), built_in_detector())  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy": float("nan")},
        {"zenith": -0.1},
        {"vertex": (1500.0, 0.0, 0.0)},
        {"vertex": (float("inf"), 0.0, 0.0)},
        {"hadronic_fraction": -0.1},
        {"hadronic_fraction": float("nan")},
    ],
)
def test_illegal_cascades_are_refused(wrong: dict[str, object]) -> None:
    legal: dict[str, object] = {"energy": 1e4, "zenith": 1.0, "azimuth": 0.0}
    with pytest.raises(UsageError, match="illegal value"):
        CascadeSettings(**{**legal, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_a_track_that_cannot_trigger_ends_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymap_scanner.simulation.event.MAX_TRIES", 2)
    path = tmp_path / "faint.json"
    options = ["--energy-gev", "5", "--impact-m", "1100", "0"]
    assert main(["track", "-o", str(path), *options]) == 2
    assert "no trigger" in capsys.readouterr().err
    assert not path.exists()


def test_through_going_tracks_pass_their_vertex() -> None:
    vertex = (100.0, -50.0, 20.0)
    settings = TrackSettings(1e5, 1.1, 0.3, vertex=vertex)
    event = simulate_track(settings, built_in_detector())
    on_track = np.array(event.truth["vertex"])
    away = np.array(vertex) - on_track
    assert np.linalg.norm(np.cross(away, settings.direction)) < 1e-5
    assert on_track @ settings.direction == pytest.approx(0.0, abs=1e-5)


def test_a_starting_track_shares_its_energy_and_shines_from_its_vertex_on() -> None:
    settings = TrackSettings(
        2e5, 1.5, 0.3, vertex=(0.0, 0.0, -200.0), is_starting=True, inelasticity=0.25
    )
    event = simulate_track(settings, built_in_detector())
    assert event.truth["muon_energy"] == pytest.approx(1.5e5)
    assert event.truth["hadronic_energy"] == pytest.approx(5e4)
    assert event.truth["vertex"] == [0.0, 0.0, -200.0]
    ahead = (event.happening.sources.xyz - [0.0, 0.0, -200.0]) @ settings.direction
    assert ahead.min() > 0.0
    assert ahead.max() > 500.0


def test_light_of_a_cascade_comes_from_its_vertex() -> None:
    detector = built_in_detector()
    vertex = np.array([-200.0, 100.0, -350.0])
    settings = CascadeSettings(5e4, 1.0, 2.0, vertex=(-200.0, 100.0, -350.0))
    event = simulate_cascade(settings, detector)
    rows = detector.indices_of(event.pulses.om_key[:, 0], event.pulses.om_key[:, 1])
    centre = np.average(detector.om_xyz[rows], axis=0, weights=event.pulses.charge)
    assert np.linalg.norm(centre - vertex) < 100.0  # most of the light goes forward
    assert event.truth["kind"] == "cascade"
    assert event.truth["vertex"] == vertex.tolist()
    # all of the electron's light, most of the hadrons'
    assert 0.9 * 5e4 < event.truth["light_energy"] < 5e4
    assert event.truth["light_energy_inside"] == event.truth["light_energy"]


def test_a_light_of_one_s_own_can_be_handed_in() -> None:
    class Twice(AnalyticLight):
        def expected_charge(self, *arguments: Any) -> FloatArray:
            return 2.0 * super().expected_charge(*arguments)

    settings = CascadeSettings(1e4, 1.0, 2.0, vertex=(0.0, 0.0, -300.0))
    detector = built_in_detector()
    charge = [
        simulate_cascade(settings, detector, light).truth["photo_electrons"]
        for light in (AnalyticLight(IceModel.load()), Twice(IceModel.load()))
    ]
    assert charge[1] / charge[0] == pytest.approx(2.0, rel=0.2)


def test_light_in_the_notch_of_the_detector_is_not_inside() -> None:
    """The outline is that of the reconstructions' E_in: concave at string 72."""
    place = 0.5 * np.sum(instrumented_volume(built_in_detector()).corners[[3, 5]], axis=0)
    x, y = place - [0.0, 10.0]
    inside = [
        simulate_cascade(
            CascadeSettings(1e5, 1.0, 2.0, vertex=(x + east, y - south, -300.0)),
            built_in_detector(),
            AnalyticLight(IceModel.load()),
        ).truth["light_energy_inside"]
        for east, south in ((0.0, 0.0), (0.0, 100.0))
    ]
    assert inside[0] == 0.0
    assert inside[1] > 9e4


def test_an_event_too_small_for_a_line_has_a_failed_online_fit(tmp_path: Path) -> None:
    # 300 GeV among the modules of DeepCore, which the cleaning for tracks leaves out
    settings = CascadeSettings(300.0, 1.0, 2.0, vertex=(46.0, -35.0, -350.0))
    event = simulate_cascade(settings, built_in_detector())
    in_deepcore = event.pulses.om_key[:, 0] >= 79
    event = replace(event, pulses=event.pulses.select(in_deepcore))
    path = tmp_path / "small.json"
    write_simulated_event(path, event, EventNames(1, 1, 60000.0))
    fit = read_event(path).fits["l2_online_BestFit"]
    assert not fit.ok
    assert read_message(path).summary["reco"]["l2_online_bestfit"]["zen"] is None


def test_saturated_modules_are_in_the_file_with_their_windows(tmp_path: Path) -> None:
    detector = built_in_detector()
    x, y, z = detector.om_xyz[detector.index_of(50, 40)]
    settings = CascadeSettings(1e5, 1.0, 2.0, vertex=(x + 8.0, y, z))
    simulated = simulate_cascade(settings, detector)
    path = tmp_path / "bright.json"
    write_simulated_event(path, simulated, EventNames(1, 1, 60000.0))
    event = read_event(path)
    windows = event.excluded_windows["SaturationWindows"]
    row = event.detector.index_of(50, 40)
    assert [50, 40] in simulated.truth["saturated"]
    assert {(int(s), int(o)) for s, o in event.detector.om_key[list(windows)]} == set(
        simulated.saturated
    )
    first = event.pulses.time[event.pulses.om_index == row].min()
    assert windows[row][0][0] - 50.0 < first < windows[row][-1][1]


def test_times_are_rounded_to_nanoseconds_and_charges_to_steps(message: Path) -> None:
    pulses = read_event(message).pulses
    single = np.unique(pulses.om_index, return_counts=True)[1] == 1  # no shared nanoseconds
    time = pulses.time[np.isin(pulses.om_index, np.unique(pulses.om_index)[single])]
    assert np.array_equal(time, np.rint(time))
    steps = (pulses.charge - 0.025) / 0.05
    assert np.allclose(steps, np.rint(steps), atol=1e-4)


@pytest.mark.parametrize("suffix", [".i3", ".i3.gz", ".i3.zst"])
def test_an_i3_file_holds_the_same_event_and_a_tree_of_particles(
    message: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"track{suffix}"
    assert main(["track", "-o", str(path), *OPTIONS]) == 0
    ours, other = read_event(path), read_event(message)
    assert np.array_equal(ours.pulses.time, other.pulses.time)
    assert ours.fits.keys() == other.fits.keys()  # the truth is no fit
    assert ours.truth == {**(other.truth or {}), "request": (ours.truth or {})["request"]}
    assert (tmp_path / "track.truth.json").is_file()
    q_frame, _ = read_frames(path)
    tree = q_frame.get("I3MCTree", MCTree)
    (muon,) = tree.roots()
    assert (muon.pdg, muon.energy) == (13, 2e4)
    assert muon.direction.zenith == pytest.approx(np.radians(70.0))
    losses = tree.children(0)
    assert [loss.energy for loss in losses] == [loss["energy"] for loss in ours.truth["losses"]]
    # the muon's place at the time of the vertex is the vertex
    away = (ours.truth["vertex_time"] - muon.time) * LIGHT_SPEED
    start = np.array([muon.position.x, muon.position.y, muon.position.z])
    travelled = start + away * np.array(muon.direction.travel)
    assert travelled == pytest.approx(np.array(ours.truth["vertex"]), abs=1e-4)


def test_the_tree_of_a_cascade_has_a_neutrino_an_electron_and_hadrons() -> None:
    settings = CascadeSettings(1e4, 1.0, 2.0, vertex=(0.0, 0.0, -300.0), hadronic_fraction=0.4)
    event = simulate_cascade(settings, built_in_detector())
    tree = particle_tree(event.truth, event.happening, offset=event.offset)
    assert [particle.pdg for particle in tree.roots()] == [12]
    energies = {particle.pdg: particle.energy for particle in tree.children(0)}
    assert energies == pytest.approx({-2000001006: 4e3, 11: 6e3})
    assert tree.particles[0].time == pytest.approx(event.truth["vertex_time"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "/nowhere/at/all.json"], "--output: the folder does not exist (found /nowhere/at"),
        (["-o", "/proc/track.json"], "--output: cannot write into folder /proc"),
        (["-o", "/proc"], "--output: is a folder"),
        (
            ["-o", "t.json", "--zenith-deg", "181"],
            "--zenith-deg: angle out of range (found 181",
        ),
        (["-o", "t.json", "--zenith-deg", "-1"], "--zenith-deg: angle out of range (found -1 deg"),
        (["-o", "t.json", "--zenith-deg", "nan"], "--zenith-deg: angle out of range (found nan"),
        (["-o", "t.json", "--azimuth-deg", "inf"], "--azimuth-deg: not an angle (found inf deg"),
    ],
)
def test_a_bad_option_is_named_before_anything_is_simulated(
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skymap_scanner.simulation.plan.simulate_track", None)
    assert main(["track", *options]) == 2
    assert words in capsys.readouterr().err
