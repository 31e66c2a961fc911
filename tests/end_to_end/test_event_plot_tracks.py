"""What ``skymap-scanner event plot`` draws beside light: tracks of fits, of scans, of the truth."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from changed_messages import write_changed

from skymap_scanner import cli
from skymap_scanner.i3 import Direction, Particle, read_message
from skymap_scanner.pixels import Position, RecoPixelFinal
from skymap_scanner.plot import event_display
from skymap_scanner.result import EventMetadata, ScanHeader, SkyScanResult
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from skymap_scanner.event import Event
    from skymap_scanner.plot.detector_views import DrawnTrack, View3D

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
    assert not list(tmp_path.glob("*.png"))
