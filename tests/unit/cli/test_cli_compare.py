from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fits_maps import write_multi_order, write_table
from skymap_scanner import cli
from skymap_scanner.result import EventMetadata
from skymap_scanner.result.schema import explain_mismatch
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.result import SkyScanResult

PROGRESSION = ((4, 0), (16, 12), (64, 24))


def run(*arguments: object) -> int:
    try:
        return cli.main(["compare", *map(str, arguments)])
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture(scope="module")
def result() -> SkyScanResult:
    return scan(gaussian(0.9, 0.3, 3.0 * DEG), PROGRESSION, reco_algo="millipede_wilks")


@pytest.fixture
def files(tmp_path: Path, result: SkyScanResult) -> tuple[Path, Path]:
    other = scan(gaussian(0.9, 0.33, 2.0 * DEG), PROGRESSION)
    (tmp_path / "b").mkdir()
    return result.to_npz(output_dir=tmp_path), other.to_json(output_dir=tmp_path / "b")


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(*arguments, "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert explain_mismatch("compare", document) is None
    return document


def test_the_table_shows_both_maps(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*files) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for words in (
        f"A  {files[0]}", f"B  {files[1]}", "B (reference)", "separation of the best fits",
        "rank correlation, nside 16", "slope of B's llh over A's", "of their union",
        "within 5 deg of the best fit of B", "millipede_wilks",
    ):  # fmt: skip
        assert words in said.out
    assert "different events" not in said.out
    assert all(line == line.rstrip() for line in said.out.splitlines())


def test_json_follows_its_schema(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    document = compared(capsys, *files)
    assert document["separation_deg"] == pytest.approx(0.03 / DEG, abs=1.0)
    assert (document["a"]["level_rule"], document["b"]["level_rule"]) == ("hpd", "wilks")
    assert document["b"]["level_source"].startswith("Wilks")
    assert document["nearby"]["nside"] == 16
    assert document["is_same_event"] is True


def test_options_choose_pixels_and_rules(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    document = compared(
        capsys, *files, "--radius-deg", 20, "--nside", 4,
        "--reco-a", "millipede_original", "--reco-b", "splinempe",
    )  # fmt: skip
    assert (document["nearby"]["nside"], document["nearby"]["radius_deg"]) == (4, 20.0)
    assert (document["a"]["level_rule"], document["b"]["level_rule"]) == ("classic", "hpd")
    assert (document["a"]["reco_algo"], document["b"]["reco_algo"]) == (
        "millipede_original",
        "splinempe",
    )


def test_fits_maps_say_what_they_do_not_know(
    tmp_path: Path, result: SkyScanResult, capsys: pytest.CaptureFixture[str]
) -> None:
    path = result.to_npz(output_dir=tmp_path)
    fits_map = write_multi_order(tmp_path / "map.fits", result)
    document = compared(capsys, path, fits_map)
    assert document["separation_deg"] == pytest.approx(0.0, abs=1e-9)
    assert document["overlap90_of_union"] == pytest.approx(1.0)
    assert (document["levels"], document["nearby"], document["b"]["min_llh"]) == ([], None, None)
    assert run(path, fits_map) == 0
    said = capsys.readouterr().out
    assert "not available\n" in said
    assert f"nearby: only probabilities, no llh, in {fits_map}" in said


def test_maps_of_different_events_are_told_apart(
    tmp_path: Path, result: SkyScanResult, capsys: pytest.CaptureFixture[str]
) -> None:
    event = EventMetadata(1, 2, None, 59000.0, is_real_event=False)
    other = map_of({4: pixel_rows(np.arange(192), np.arange(192.0))}, event_metadata=event)
    assert run(result.to_npz(output_dir=tmp_path), other.to_npz(output_dir=tmp_path)) == 0
    assert "these are maps of different events" in capsys.readouterr().out


def test_pixels_that_are_left_out_are_said_in_a_line(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.full(192, 1.0)
    values[7] = np.nan
    path = write_table(tmp_path / "map.fits", {"PROB": values}, ORDERING="RING")
    assert run(path, files[0], "--json") == 0
    said = capsys.readouterr()
    assert said.err == f"skymap-scanner: {path}: 1 pixels without a finite value are left out\n"
    assert json.loads(said.out)["a"]["n_pixels"] < 192


def test_the_picture_is_drawn(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*files, "--plot", tmp_path / "pair.png", "--json") == 0
    assert (tmp_path / "pair.png").read_bytes().startswith(b"\x89PNG")
    assert explain_mismatch("compare", json.loads(capsys.readouterr().out)) is None


def test_without_a_common_nside_there_is_a_table(
    tmp_path: Path, result: SkyScanResult, capsys: pytest.CaptureFixture[str]
) -> None:
    other = map_of({8: pixel_rows(np.arange(768), np.arange(768.0))})
    assert run(result.to_npz(output_dir=tmp_path), other.to_npz(output_dir=tmp_path)) == 0
    assert "levels: the maps have no pixel in common" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nside", "32"], "nside"),
        (["--radius-deg", "0"], "radius"),
        (["--radius-deg", "far"], "--radius-deg"),
        (["--plot", "pair.gif"], ".gif"),
        (["--plot", "no/such/folder/pair.png"], "--plot"),
    ],
)
def test_bad_options_are_bad_usage(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert run(*files, *options) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("skymap-scanner: error: ")
    assert said.err.count("\n") == 1
    assert words in said.err


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"{", b"SIMPLE  =", b"\x1f\x8b"])
def test_what_is_no_map_is_bad_input(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "map"
    path.write_bytes(content)
    for pair in ((path, files[0]), (files[0], path), (tmp_path / "nothing", files[0])):
        assert run(*pair) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "map" in said.err or "nothing" in said.err
