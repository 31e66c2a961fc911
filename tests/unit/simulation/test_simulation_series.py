"""Many events: what is drawn, which seeds they get, and what a second run keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from handmade_light import handmade_weights
from skymap_scanner.cli.simulate import main
from skymap_scanner.event import read_event
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.model import LightModel
from skymap_scanner.result.schema import explain_mismatch
from skymap_scanner.simulation.analytic import AnalyticLight
from skymap_scanner.simulation.frames import EventNames
from skymap_scanner.simulation.plan import EventPlan, event_seed
from skymap_scanner.simulation.series import EventSeries
from skymap_scanner.simulation.settings import CascadeSettings, TrackSettings

if TYPE_CHECKING:
    from pathlib import Path

TRACK = TrackSettings(1e4, 1.0, 0.0)
CASCADE = CascadeSettings(1e4, 1.0, 0.0)
#: A bright cascade in the middle: fast, and it always triggers.
BRIGHT = ["cascade", "--energy-gev", "3e3", "--vertex-m", "0", "0", "-300"]


def _drawn(plan: EventPlan, n: int = 3000) -> list[TrackSettings | CascadeSettings]:
    rng = np.random.default_rng(1)
    return [plan.draw(built_in_detector(), rng) for _ in range(n)]


@pytest.mark.parametrize("index", [1.0, 2.0, 0.0])
def test_energies_follow_the_power_law(index: float) -> None:
    low, high = 1e4, 1e6
    plan = EventPlan(TRACK, energy_range=(low, high), energy_index=index)
    energy = np.array([settings.energy for settings in _drawn(plan)])
    if index == 1.0:
        quantile = np.log(energy / low) / np.log(high / low)
    else:
        power = 1.0 - index
        quantile = (energy**power - low**power) / (high**power - low**power)
    assert stats.kstest(quantile, "uniform").pvalue > 0.01


def test_directions_are_isotropic() -> None:
    drawn = _drawn(EventPlan(CASCADE, is_isotropic=True))
    cosines = [(np.cos(settings.zenith) + 1.0) / 2.0 for settings in drawn]
    turns = [settings.azimuth / (2 * np.pi) for settings in drawn]
    assert stats.kstest(cosines, "uniform").pvalue > 0.01
    assert stats.kstest(turns, "uniform").pvalue > 0.01
    assert len({settings.seed for settings in drawn}) == len(drawn)


def test_impacts_fill_a_disc_evenly() -> None:
    plan = EventPlan(TRACK, impact_radius=600.0)
    impact = np.array([s.impact for s in _drawn(plan) if isinstance(s, TrackSettings)])
    assert stats.kstest(np.sum(impact**2, axis=1) / 600.0**2, "uniform").pvalue > 0.01
    assert np.abs(impact.mean(axis=0)).max() < 20.0


def test_vertices_fill_the_detector() -> None:
    drawn = _drawn(EventPlan(CASCADE, is_vertex_random=True), n=300)
    vertices = np.array([settings.vertex for settings in drawn])
    assert instrumented_volume(built_in_detector()).contains(vertices).all()
    assert vertices.std(axis=0).min() > 200.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy_range": (1e5, 1e4)},
        {"energy_range": (0.0, 1e4)},
        {"energy_range": (float("nan"), 1e4)},
        {"energy_index": float("inf")},
        {"impact_radius": -1.0},
        {"impact_radius": float("nan")},
        {"settings": CASCADE, "impact_radius": 10.0},
    ],
)
def test_illegal_plans_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="illegal value"):
        EventPlan(**{"settings": TRACK, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_a_plan_of_hopeless_draws_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymap_scanner.simulation.plan.MAX_DRAWS", 3)
    faint = EventPlan(CascadeSettings(2.0, 1.0, 0.0), is_vertex_random=True)
    with pytest.raises(UsageError, match="none of 3 events drawn"):
        faint.simulate(built_in_detector(), _analytic(), 1)


def _analytic() -> AnalyticLight:
    return AnalyticLight(IceModel.load())


def test_seeds_of_events_differ_and_do_not_depend_on_their_number() -> None:
    seeds = [event_seed(1, number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert event_seed(2, 0) != seeds[0]
    assert all(0 <= seed < 1 << 53 for seed in seeds)


def test_several_events_have_numbers_seeds_and_truths_of_their_own(tmp_path: Path) -> None:
    path = str(tmp_path / "many.json")
    options = ["--n-events", "3", "--event-id", "7", "--isotropic"]
    assert main([*BRIGHT, "-o", path, *options, "--energy-index", "1"]) == 0
    names = [f"many.{number:06d}" for number in (7, 8, 9)]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        f"{name}{suffix}" for name in names for suffix in (".json", ".truth.json")
    )
    events = [read_event(tmp_path / f"{name}.json") for name in names]
    assert [event.event_id for event in events] == [7, 8, 9]
    truths = [event.truth or {} for event in events]
    assert len({truth["zenith"] for truth in truths}) == 3
    assert len({truth["seed"] for truth in truths}) == 3
    assert [explain_mismatch("simulate", truth) for truth in truths] == [None] * 3


def test_a_second_run_keeps_what_is_complete_and_makes_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BRIGHT, "-o", str(tmp_path / "e.i3.zst"), "--n-events"]
    assert main([*command, "3"]) == 0
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    whole = (tmp_path / "e.000002.i3.zst").read_bytes()
    (tmp_path / "e.000002.truth.json").unlink()
    (tmp_path / "e.000002.i3.zst").unlink()
    capsys.readouterr()
    assert main([*command, "4", "--json"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == 4
    assert "events: 4 of 4, 2 kept" in said.err
    after = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    kept = [name for name in before if after[name] == before[name]]
    assert sorted({name.split(".")[1] for name in kept}) == ["000001", "000003"]
    assert (tmp_path / "e.000002.i3.zst").read_bytes() == whole


def test_files_of_other_settings_are_refused_until_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BRIGHT, "-o", str(tmp_path / "e.json"), "--n-events", "2", "--seed"]
    assert main([*command, "1"]) == 0
    first = (tmp_path / "e.000001.json").read_bytes()
    assert main([*command, "2"]) == 2
    assert "--output: the file is there already" in capsys.readouterr().err
    assert (tmp_path / "e.000001.json").read_bytes() == first
    assert main([*command, "2", "--overwrite"]) == 0
    assert (tmp_path / "e.000001.json").read_bytes() != first


def test_events_of_another_light_model_are_not_kept(tmp_path: Path) -> None:
    settings = CascadeSettings(3e3, 1.0, 0.0, vertex=(0.0, 0.0, -300.0))
    names = EventNames(1, 1, 60000.0)

    def series(seed: int) -> EventSeries:
        light = LightModel(handmade_weights(seed))
        return EventSeries(EventPlan(settings), light, tmp_path / "e.json", 2, names, False)

    made = list(series(1).make(built_in_detector()))
    assert [event.is_kept for event in made] == [False, False]
    assert "spice_bfr-v2" in made[0].truth["light"]
    assert [event.is_kept for event in series(1).make(built_in_detector())] == [True, True]
    with pytest.raises(UsageError, match="there already"):
        series(2).prepare()


def test_a_file_without_its_truth_is_not_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BRIGHT, "-o", str(tmp_path / "e.json"), "--n-events", "2"]
    assert main(command) == 0
    (tmp_path / "e.000002.truth.json").write_text("{", "utf-8")
    assert main(command) == 2
    assert "e.000002.json, of other settings or no truth" in capsys.readouterr().err


def test_one_event_that_is_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BRIGHT, "-o", str(tmp_path / "e.json")]
    assert main(command) == 0
    assert main(command) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "the file is there already" in line
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--energy-gev", "-1"], "energy [GeV]: illegal value (found -1"),
        (["--energy-gev", "0"], "energy [GeV]: illegal value (found 0"),
        (["--energy-gev", "nan"], "energy [GeV]: illegal value (found nan"),
        (["--energy-range", "10", "5"], "energy range [GeV]: illegal value"),
        (["--energy-range", "0", "5"], "energy range [GeV]: illegal value"),
        (["--energy-index", "2"], "--energy-index: nothing to draw"),
        (["--zenith-deg", "180.5"], "--zenith-deg: angle out of range"),
        (["--azimuth-deg", "nan"], "--azimuth-deg: not an angle"),
        (["--vertex-m", "nan", "0", "0"], "vertex [m]: illegal value"),
        (["--vertex-m", "0", "0", "-5000"], "vertex [m]: illegal value"),
        (["--vertex-m", "0", "0", "0", "--random-vertex"], "not allowed with"),
        (["--hadronic-fraction", "1.1"], "hadronic fraction: illegal value"),
        (["--ice", "cubes"], "unknown ice model (found cubes"),
        (["--light", "lamp"], "invalid choice: 'lamp'"),
        (["--n-events", "0"], "--n-events: too few (found 0"),
        (["--n-events", "-3"], "--n-events: too few (found -3"),
        (["--seed", "-1"], "seed: illegal value (found -1"),
        (["--run-id", "-1"], "run number: illegal value"),
        (["--event-id", "4294967295", "--n-events", "2"], "event number: illegal value"),
        (["--mjd", "nan"], "MJD: illegal value"),
        (["-o", "e.txt"], "--output: the name does not say which format"),
        (["-o", f"{'e' * 300}.json"], "--output: not a file name"),
    ],
)
def test_bad_options_of_cascades_end_with_a_line(
    options: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["cascade", "-o", "e.json", *options])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--starting"], "--starting: no vertex"),
        (["--inelasticity", "0.5"], "inelasticity: illegal value"),
        (["--impact-radius-m", "-5"], "impact radius [m]: illegal value"),
        (["--starting", "--vertex-m", "0", "0", "0", "--inelasticity", "2"], "inelasticity"),
        (["--impact-m", "1", "2", "--vertex-m", "0", "0", "0"], "not allowed with"),
    ],
)
def test_bad_options_of_tracks_end_with_a_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["track", "-o", str(tmp_path / "e.json"), *options])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
