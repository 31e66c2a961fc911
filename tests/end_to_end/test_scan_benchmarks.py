"""A tiny run of each benchmark, so that they still work when somebody wants a figure."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def test_throughput_counts_every_variation(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = runpy.run_path(str(root / "benchmarks" / "throughput.py"))
    benchmark["main"](["--nside", "8", "--workers", "1"])
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["variations", "768"]
    assert "us/variation" in said


def test_server_memory_counts_every_variation(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = runpy.run_path(str(root / "benchmarks" / "server_memory.py"))
    benchmark["main"](["--nside", "8"])
    assert capsys.readouterr().out.split()[:2] == ["variations", str(7 * 768)]


def test_scan_events_compares_with_published_values(
    root: Path, event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "published.csv"
    table.write_text(
        "# made up\nname,run,event,source,ra_deg,dec_deg,ra_plus,ra_minus,dec_plus,dec_minus\n"
        "one,1,1,everywhere,100,0,360,360,90,90\n"
        "two,1,1,nowhere,100,0,0,0,0,0\n"
        "other,2,1,other,0,0,,,,\n"
    )
    benchmark = runpy.run_path(str(root / "benchmarks" / "scan_events.py"))
    benchmark["main"](
        [
            str(event_file), "--published", str(table), "--output-dir", str(tmp_path / "out"),
            "--reco-algo", "dummy", "--reco-option", "sleep_max_s=0",
            "--reco-option", "sleep_min_s=0", "--nsides", "1:0", "--no-plots",
        ]
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("simulated_track.json: ")
    assert "12 pixels, 0 failed" in lines[0]
    assert lines[1].startswith("    everywhere")
    assert lines[1].endswith(", inside its 90 % rectangle")
    assert lines[2].endswith(", OUTSIDE its 90 % rectangle")
    assert lines[3].startswith("slowest ")


def test_missed_valleys_are_counted(
    root: Path, event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from skymap_scanner.cli import main as cli

    scan = ["scan", str(event_file), "--around", "47,-10,1", "--nsides", "32:0", "--no-plots"]
    assert cli([*scan, "--quiet", "--output-dir", str(tmp_path)]) == 0
    capsys.readouterr()
    (result,) = tmp_path.glob("*.npz")
    benchmark = runpy.run_path(str(root / "benchmarks" / "missed_valleys.py"))
    benchmark["main"]([str(event_file), str(result), "--radius-deg", "5"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("pixels are too high by more than" in line for line in lines)


@pytest.mark.parametrize(
    ("one", "other", "angle"),
    [((0, 0), (90, 0), 90.0), ((10, 89), (190, 89), 2.0), ((359.5, 0), (0.5, 0), 1.0)],
)
def test_distance_on_the_sky(
    root: Path, one: tuple[float, float], other: tuple[float, float], angle: float
) -> None:
    benchmark = runpy.run_path(str(root / "benchmarks" / "scan_events.py"))
    assert benchmark["distance_deg"](*one, *other) == pytest.approx(angle)


def test_light_speed_compares_with_the_same_network_in_plain_numpy(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "light_speed.py")]
    done = subprocess.run(
        [*command, "--photons", "300", "--json"],
        capture_output=True, text=True, check=True, timeout=280,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    assert figures["charge_difference"] < 1e-2
    assert figures["cdf_difference"] < 1e-3
    assert all(figures[name] > 0.0 for name in figures)
