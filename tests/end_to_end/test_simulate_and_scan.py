"""What ``simulate`` writes is what ``info`` shows and ``scan`` finds the direction of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from real_programs import IDLE

from skymap_scanner.result import SkyScanResult

if TYPE_CHECKING:
    from pathlib import Path

    from real_programs import Programs


def _truth(path: Path) -> dict[str, float]:
    truth: dict[str, float] = json.loads(path.read_text("utf-8"))
    return truth


def test_a_simulated_track_is_found_where_it_came_from(programs: Programs) -> None:
    made = programs.run(
        "cli", "simulate", "track", "-o", "t.i3.zst", "--zenith-deg", "100", "--seed", "5"
    )
    assert made.returncode == 0, made.stderr
    truth = _truth(programs.folder / "t.truth.json")
    around = f"{truth['ra_deg']},{truth['dec_deg']},8"
    options = ("--around", around, "--nsides", "16:0", "64:12", "--no-plots", "-o", "out")
    done = programs.scan(programs.folder / "t.i3.zst", *options)
    assert done.returncode == 0, done.stderr
    (map_file,) = (programs.folder / "out").glob("*.npz")
    ra, dec = SkyScanResult.read_npz(map_file).best_dir
    true_ra, true_dec = np.radians([truth["ra_deg"], truth["dec_deg"]])
    cosine = np.sin(dec) * np.sin(true_dec)
    cosine += np.cos(dec) * np.cos(true_dec) * np.cos(ra - true_ra)
    assert np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) < 3.0


@pytest.mark.parametrize("suffix", [".json", ".pkl", ".i3"])
def test_simulated_cascades_are_shown_and_scanned(programs: Programs, suffix: str) -> None:
    options = ("--energy-range", "1e4", "1e5", "--random-vertex", "--isotropic")
    made = programs.run(
        "cli", "simulate", "cascade", "-o", f"c{suffix}", "--n-events", "2", *options
    )
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.splitlines()) == 2
    assert "events: 2 of 2, 0 kept" in made.stderr
    event_file = programs.folder / f"c.000002{suffix}"
    shown = programs.run("cli", "info", event_file.name, "--json")
    about = json.loads(shown.stdout)
    size = json.loads((programs.folder / "c.000002.truth.json").read_text("utf-8"))["size"]
    assert about["event_id"] == 2
    assert (about["n_doms"], about["n_pulses"]) == (size["n_doms"], size["n_pulses"])
    assert about["charge_pe"] == pytest.approx(size["charge_pe"], rel=0.02)
    done = programs.scan(event_file, *IDLE, "--nsides", "1:0", "--no-plots", "-o", "out")
    assert done.returncode == 0, done.stderr
