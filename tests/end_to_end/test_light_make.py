"""``skymap-scanner light make`` as a user runs it, with few photons: trains, resumes, refuses."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.cli.light_make import add_options
from skymap_scanner.light.making import MakeSettings
from skymap_scanner.light.model import LightModel
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from pathlib import Path

FEW = [
    "--sources=32",
    "--photons=300",
    "--charge-epochs=1",
    "--time-epochs=1",
    "--reference-sources=2",
    "--reference-photons=4000",
    "--tracks=4096",
    "--track-epochs=1",
]


def _make(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "skymap_scanner.cli", "light", "make", "--json"]
    command += ["--work-dir", str(folder / "work"), "-o", str(folder / "light.npz"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


def test_without_torch_it_says_so_before_hours_of_simulation(tmp_path: Path) -> None:
    hide = tmp_path / "torch.py"
    hide.write_text("raise ImportError('hidden by a test')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += "from skymap_scanner.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "light", "make"]
    command += ["--work-dir", str(tmp_path / "work"), "-o", str(tmp_path / "light.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "skymap-scanner[train]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "work").exists()


def test_defaults_are_those_of_the_function() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args(["-o", "x.npz", "--work-dir", "w"])
    assert MakeSettings() == MakeSettings(
        ice=options.ice,
        n_sources=options.sources,
        n_photons=options.photons,
        seed=options.seed,
        charge_epochs=options.charge_epochs,
        time_epochs=options.time_epochs,
        n_tracks=options.tracks,
        track_epochs=options.track_epochs,
        n_reference=options.reference_sources,
        reference_photons=options.reference_photons,
        n_threads=options.threads,
    )


def test_weights_go_to_an_npz_file(tmp_path: Path) -> None:
    done = _make(tmp_path, "-o", str(tmp_path / "light.json"))
    assert done.returncode == 2
    assert "*.npz" in done.stderr


def test_weights_go_to_a_folder_that_exists(tmp_path: Path) -> None:
    done = _make(tmp_path, "-o", str(tmp_path / "none" / "light.npz"))
    assert done.returncode == 2
    assert "the folder does not exist" in done.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("seed", [999, 31415])
def test_the_seeds_of_the_reference_are_refused(tmp_path: Path, seed: int) -> None:
    done = _make(tmp_path, f"--seed={seed}")
    assert done.returncode == 2
    assert "must not be those to train on" in done.stderr
    assert not (tmp_path / "work").exists()


def test_too_few_photons_of_the_reference_are_refused(tmp_path: Path) -> None:
    done = _make(tmp_path, "--reference-photons=9")
    assert done.returncode == 2
    assert "reference_photons" in done.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch: make train-env")
def test_a_work_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("notes")
    done = _make(tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}/work/production: the work folder cannot be made" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch: make train-env")
def test_a_model_is_made_and_a_second_run_goes_on_where_the_first_was(tmp_path: Path) -> None:
    first = _make(tmp_path, *FEW)
    assert first.returncode == 0, first.stderr
    card = json.loads(first.stdout)
    assert explain_mismatch("light-make", card) is None
    assert card["production"]["n_sources"] == 32
    model = LightModel.load(tmp_path / "light.npz")
    assert model.card == card
    near, far = model.expected_charge(
        [0.0, 0.0, -350.0], [1.0, 0.0, 0.0], [[0.0, 20.0, -350.0], [0.0, 150.0, -350.0]], 1.0
    )
    assert 0.0 < 30.0 * far < near
    chunks = sorted((tmp_path / "work").rglob("*.npz"))
    written = {path: path.stat().st_mtime_ns for path in chunks}
    (tmp_path / "work" / "time.npz").unlink()  # as if stopped while it trained the times
    (tmp_path / "light.npz").unlink()
    second = _make(tmp_path, *FEW)
    assert second.returncode == 0, second.stderr
    kept = {path for path in chunks if path.stat().st_mtime_ns == written[path]}
    assert kept == set(chunks) - {tmp_path / "work" / "time.npz"}
    again = LightModel.load(tmp_path / "light.npz")
    for old, new in zip(model.weights.time, again.weights.time, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-4)
    for stage in ("charge.npz", "production/chunk-000000.npz"):
        path = tmp_path / "work" / stage
        whole = path.read_bytes()
        path.write_bytes(whole[:1000])
        (tmp_path / "work" / "time.npz").unlink(missing_ok=True)
        damaged = _make(tmp_path, *FEW)
        assert damaged.returncode == 2
        assert stage in damaged.stderr
        assert "Traceback" not in damaged.stderr
        path.write_bytes(whole)
    other = _make(tmp_path, *FEW, "--photons=400")
    assert other.returncode == 2
    assert "another production" in other.stderr
