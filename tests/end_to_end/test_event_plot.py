"""``skymap-scanner event plot``: from an event file to a picture, and what is said when not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from changed_messages import write_changed

from skymap_scanner import cli
from skymap_scanner.event import Event, PulseSeries, clean_for_tracks, read_event
from skymap_scanner.i3 import Direction, Particle, PulseMap, read_message, write_i3
from skymap_scanner.pixels import Position, RecoPixelFinal
from skymap_scanner.plot import event_display
from skymap_scanner.result import EventMetadata, ScanHeader, SkyScanResult
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from skymap_scanner.plot.detector_views import DrawnTrack, View3D

NAME = "run00000001.evt000000000001.neutrino_event.png"
FIT = "l2_online_BestFit"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been drawn."""
    calls: list[dict[str, Any]] = []

    def plot_event(
        event: Event,
        path: Path,
        *,
        selection: str,
        tracks: Sequence[DrawnTrack],
        view: View3D | None,
    ) -> None:
        calls.append({"path": path, "selection": selection, "tracks": tracks, "view": view})

    monkeypatch.setattr(event_display, "plot_event", plot_event)
    return calls


def blind(event_file: Path) -> dict[str, object]:
    """Neither online fit nor truth."""
    return {FIT: None, "SkymapScannerTruth": None}


def undirected(event_file: Path) -> dict[str, object]:
    """The online fit without a direction."""
    fit = read_message(event_file).frames[-1].get(FIT, Particle)
    return {FIT: dataclasses.replace(fit, direction=Direction(np.nan, fit.direction.azimuth))}


def scan_of(
    folder: Path, *, run: int = 1, event: int = 1, x: float = 5.0, metadata: Any = None
) -> Path:
    place = Position(x, 6.0, 7.0)
    pixel = RecoPixelFinal(8, 300, 12.5, 0.0, 0.0, place, 10000.0, 0.0)
    about = metadata or EventMetadata(run, event, "neutrino", 60500.25, is_real_event=False)
    result = SkyScanResult({8: {300: pixel}}, ScanHeader(about, reco_algo="splinempe"))
    return result.to_npz(output_dir=folder)


def size_of(pulses: PulseSeries) -> str:
    """What the command says about the size of an event."""
    n_doms = np.unique(pulses.om_index).size
    return f"{n_doms} DOMs, {len(pulses.time)} pulses, {pulses.charge.sum():.1f} PE"


def test_the_bundled_event_becomes_a_picture(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["event", "plot", str(event_file)]) == 0
    said = capsys.readouterr()
    size = size_of(clean_for_tracks(read_event(event_file)))
    assert said.out == f"{NAME}: {size}; online fit {FIT}; simulated truth\n"
    assert said.err == ""
    picture = matplotlib.image.imread(tmp_path / NAME)
    assert picture.shape == (1440, 1800, 4)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    # green, the truth: an arrow from side to side and a line in the legend
    is_truth = np.all(np.abs(picture[..., :3] - np.array([0, 0x9E, 0x73]) / 255) < 0.02, axis=-1)
    assert is_truth.sum() > 1000


def test_all_pulses_from_above_as_pdf(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", "all.pdf", "--pulses", "all", "--view", "-30", "-200"]
    assert cli.main(["event", "plot", str(event_file), *options]) == 0
    size = size_of(read_event(event_file).pulses)
    assert capsys.readouterr().out.startswith(f"all.pdf: {size}")
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")


def test_the_view_is_where_the_user_wants_it(event_file: Path, drawn: list[dict[str, Any]]) -> None:
    assert cli.main(["event", "plot", str(event_file), "--view", "30", "-60"]) == 0
    assert cli.main(["event", "plot", str(event_file)]) == 0
    view = drawn[0]["view"]
    assert np.degrees([view.elevation, view.azimuth]) == pytest.approx([30.0, -60.0])
    assert drawn[1]["view"] is None


def test_the_truth_beside_the_file_goes_before_that_in_it(
    event_file: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    shutil.copy(event_file, tmp_path / "event.json")
    assert cli.main(["event", "plot", "event.json"]) == 0
    truth = {"zenith": 0.5, "azimuth": 0.25, "vertex": [1, 2, 3], "kind": "cascade"}
    (tmp_path / "event.truth.json").write_text(json.dumps(truth))
    assert cli.main(["event", "plot", "event.json"]) == 0
    inside, beside = (call["tracks"][1] for call in drawn)
    assert np.degrees([inside.zenith, inside.azimuth]) == pytest.approx([80.0, 60.0])
    assert (beside.zenith, beside.azimuth, beside.vertex) == (0.5, 0.25, (1.0, 2.0, 3.0))
    assert (inside.marks_vertex, beside.marks_vertex) == (False, True)
    assert beside.color != drawn[1]["tracks"][0].color


def test_the_truth_beside_a_compressed_file_is_found(
    tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    track = [
        "simulate",
        "track",
        "--energy-gev",
        "1e5",
        "--zenith-deg",
        "80",
        "--light",
        "analytic",
    ]
    assert cli.main([*track, "-o", "event.i3.zst"]) == 0
    truth = {"zenith": 0.5, "azimuth": 0.25, "vertex": [1, 2, 3]}
    (tmp_path / "event.truth.json").write_text(json.dumps(truth))
    assert cli.main(["event", "plot", "event.i3.zst"]) == 0
    assert drawn[0]["tracks"][-1].zenith == 0.5


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "\xff", '{"zenith": NaN, "azimuth": 1, "vertex": [1, 2, 3]}',
     '{"zenith": 1, "azimuth": 1, "vertex": [1, 2]}',
     '{"zenith": null, "azimuth": 1, "vertex": [1, 2, 3]}'],
)  # fmt: skip
def test_a_truth_that_is_none_is_left_out_and_said(
    text: str,
    event_file: Path,
    tmp_path: Path,
    drawn: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copy(event_file, tmp_path / "event.json")
    (tmp_path / "event.truth.json").write_bytes(text.encode("latin-1"))
    assert cli.main(["event", "plot", "event.json"]) == 0
    assert [track.label for track in drawn[0]["tracks"]] == [f"online fit {FIT}"]
    [record] = caplog.records
    assert record.getMessage().startswith("no truth is drawn: event.truth.json: ")


@pytest.mark.parametrize("objects_of", [blind, undirected])
def test_an_event_without_a_usable_fit_is_drawn_without_an_arrow(
    objects_of: Callable[[Path], dict[str, object]],
    event_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_changed(event_file, tmp_path / "blind.json", objects_of(event_file))
    assert cli.main(["event", "plot", "blind.json", "-o", "blind.png"]) == 0
    assert (tmp_path / "blind.png").read_bytes().startswith(b"\x89PNG")
    assert "online fit" not in capsys.readouterr().out
    [record] = caplog.records
    assert record.getMessage().startswith("no online fit is drawn: ")


def test_a_given_direction_takes_the_place_of_the_online_fit(
    event_file: Path, drawn: list[dict[str, Any]]
) -> None:
    direction = ["event", "plot", str(event_file), "--direction", "30", "-90"]
    assert cli.main([*direction, "--vertex", "1", "-2", "3"]) == 0
    assert cli.main(direction) == 0
    for call in drawn:
        assert [track.label for track in call["tracks"]] == ["given direction", "simulated truth"]
        track = call["tracks"][0]
        assert np.degrees([track.zenith, track.azimuth]) == pytest.approx([30.0, -90.0])
    assert drawn[0]["tracks"][0].vertex == (1.0, -2.0, 3.0)
    # else through the middle of the light, which is within 100 m of the true track
    truth = drawn[1]["tracks"][1]
    away = np.array(drawn[1]["tracks"][0].vertex) - np.array(truth.vertex)
    assert np.linalg.norm(np.cross(away, truth.direction)) < 100.0


def test_the_best_fit_of_a_scan_takes_the_place_of_the_online_fit(
    event_file: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    from skymap_scanner.event import detector_to_equatorial
    from skymap_scanner.sky.healpix import pixel_centers

    path = scan_of(tmp_path)
    assert cli.main(["event", "plot", str(event_file), "--result", str(path)]) == 0
    track = drawn[0]["tracks"][0]
    assert track.label == "best fit of splinempe"
    assert track.vertex == (5.0, 6.0, 7.0)
    ra, dec = detector_to_equatorial(track.zenith, track.azimuth, 60500.25000000007)
    wanted = pixel_centers(8, [300])
    assert (float(ra), float(dec)) == pytest.approx((wanted[0][0], wanted[1][0]), abs=1e-9)


def test_a_result_that_does_not_say_where_goes_through_the_light(
    event_file: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    path = scan_of(tmp_path, x=np.nan, metadata=UNKNOWN_EVENT)
    options = ["event", "plot", str(event_file), "--result", str(path)]
    assert cli.main(options) == 0
    assert cli.main([*options, "--vertex", "1", "2", "3"]) == 0
    assert np.all(np.isfinite(drawn[0]["tracks"][0].vertex))
    assert drawn[1]["tracks"][0].vertex == (1.0, 2.0, 3.0)


def test_a_result_of_another_event_is_refused(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan_of(tmp_path, event=2)
    assert cli.main(["event", "plot", str(event_file), "--result", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: a scan of another event (found run00000001.evt000000000002.neutrino" in said
    assert not (tmp_path / NAME).exists()


def test_one_event_of_several_is_chosen(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from skymap_scanner.i3 import EventHeader

    frames = list(read_message(event_file).frames)
    message = read_message(event_file)
    other = message.frames[-1]
    header = other.get("I3EventHeader", EventHeader)
    other.remove("I3EventHeader")
    fields = {name: getattr(header, name) for name in EventHeader.__dataclass_fields__}
    other.put("I3EventHeader", EventHeader(**{**fields, "sub_event": 4}))
    write_i3(tmp_path / "two.i3.gz", [*frames, *message.frames[-2:]])
    assert cli.main(["event", "plot", "two.i3.gz"]) == 2
    assert "say which one" in capsys.readouterr().err
    assert cli.main(["event", "plot", "two.i3.gz", "--event", "1:1:4"]) == 0
    assert NAME.removeprefix("run00000001") in capsys.readouterr().out


@pytest.mark.parametrize("n", [1, 3])
def test_few_or_no_pulses_after_cleaning_are_no_surprise(
    n: int, event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One hit module is nothing to the cleaning; three neighbours of equal charge are an event."""
    keys = np.array([[30, om, 0] for om in range(1, n + 1)])
    ones = np.ones(n)
    pulses = PulseMap.from_columns(keys, 1e4 * ones, ones, 8 * ones, np.ones(n, np.uint8))
    write_changed(event_file, tmp_path / "few.json", {"SplitInIcePulses": pulses})
    assert cli.main(["event", "plot", "few.json", "-o", "few.png"]) == (2 if n == 1 else 0)
    said = capsys.readouterr().err
    assert (said == "") == (n == 3)
    if n == 1:
        assert "--pulses all" in said
        assert not (tmp_path / "few.png").exists()
    assert cli.main(["event", "plot", "few.json", "-o", "few.png", "--pulses", "all"]) == 0
    assert (tmp_path / "few.png").exists()


def test_pulses_without_charge_need_a_vertex(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from skymap_scanner.plot import event_scene

    dark = PulseSeries.from_columns([5], [1e4], [0.0])
    monkeypatch.setattr(event_scene, "select_pulses", lambda *_: dark)
    assert cli.main(["event", "plot", str(event_file), "--direction", "3", "4"]) == 2
    assert "--vertex: pulses without charge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "event.gif"], "event.gif: no such picture format (found .gif, wanted .png, .pdf"),
        (["-o", "event"], "found no suffix"),
        (["-o", "nowhere/event.png"], "--output: the folder does not exist"),
        (["-o", "folder.png"], "--output: is a folder (found folder.png"),
        (["-o", "/proc/event.png"], "--output: cannot write into folder /proc"),
        (["--view", "91", "0"], "--view: number out of range (found 91 0, wanted"),
        (["--view", "0", "nan"], "--view"),
        (["--direction", "181", "0"], "--direction: number out of range (found 181 0"),
        (["--direction", "1", "inf"], "--direction"),
        (["--direction", "1", "2", "--vertex", "1", "nan", "2"], "--vertex: number out of range"),
        (["--vertex", "1", "2", "3"], "--vertex: a vertex alone is no track"),
        (["--result", "nowhere.npz"], "nowhere.npz"),
        (["--event", "5:6"], "5:6"),
        (["--event", "five"], "'five'"),
        (["--gcd-dir", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_bad_option_is_one_line_with_exit_code_2(
    options: list[str],
    words: str,
    event_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder.png").mkdir()
    assert cli.main(["event", "plot", str(event_file), *options]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("skymap-scanner: error: ")
    assert said.err.count("\n") == 1
    assert words in said.err
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["event"],
        ["event", "paint"],
        ["event", "plot"],
        ["event", "plot", "x.json", "--pulses", "some"],
        ["event", "plot", "x.json", "--view", "1"],
        ["event", "plot", "x.json", "--direction", "1", "2", "--result", "y.npz"],
    ],
)
def test_wrong_usage_is_one_line_with_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("skymap-scanner: error: ")


def test_missing_event_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["event", "plot", "nowhere.json"]) == 2
    assert "nowhere.json: the file cannot be read" in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_picture(
    event_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from matplotlib.figure import Figure

    def fail(self: Figure, file: Any, **_: object) -> None:
        file.write(b"\x89PNG half")
        raise OSError(28, "No space left on device")

    (tmp_path / "event.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", fail)
    assert cli.main(["event", "plot", str(event_file), "-o", "event.png"]) == 1
    assert "event.png: cannot be written: No space left" in capsys.readouterr().err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.shared
def test_every_real_event_is_drawn(shared: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((shared / "events").iterdir())):
        picture = tmp_path / f"{number}.png"
        assert cli.main(["event", "plot", str(path), "-o", str(picture)]) == 0
        assert picture.stat().st_size > 100_000
