"""``skymap-scanner light plot``: from weights to pictures, and what is said when not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest

from random_light_model import random_weights, write_random_model
from skymap_scanner import cli
from skymap_scanner.plot import ice_figure, light_figures

if TYPE_CHECKING:
    from pathlib import Path

    from real_programs import Programs

NAMES = [f"light_{kind}.png" for kind in ("azimuth", "charge", "ice", "times")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test, with weights in it."""
    monkeypatch.chdir(tmp_path)
    write_random_model(tmp_path / "mine.npz")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would have been drawn: picture -> scene or ice."""
    calls: dict[str, Any] = {}
    for module, kinds in ((light_figures, ("charge", "times", "azimuth")), (ice_figure, ("ice",))):
        for kind in kinds:
            monkeypatch.setattr(
                module, f"plot_{kind}", lambda what, _, kind=kind: calls.update({kind: what})
            )
    return calls


def run(*options: str) -> int:
    return cli.main(["light", "plot", "--model", "mine.npz", *options])


def test_four_pictures_and_progress_on_stderr(programs: Programs) -> None:
    """The whole program, in a process of its own."""
    write_random_model(programs.folder / "mine.npz")
    done = programs.run("cli", "light", "plot", "--model", "mine.npz", "--photons", "200")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "light_charge.png", "light_times.png", "light_azimuth.png", "light_ice.png",
    ]  # fmt: skip
    lines = done.stderr.splitlines()
    assert lines[0] == "photons: 0 of 50"
    assert lines[-1] == "photons: 50 of 50"
    assert all(line.startswith("photons: ") for line in lines)
    assert sorted(path.name for path in programs.folder.glob("light*")) == NAMES
    for name in NAMES:
        picture = matplotlib.image.imread(programs.folder / name)
        assert picture.shape[1] == 1800
        assert np.unique(picture.reshape(-1, picture.shape[-1]), axis=0).shape[0] > 100


def test_no_photons_no_simulation(
    here: Path, drawn: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--photons", "0", "-o", "some.svg") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "some_times.svg: " in said.out
    assert list(drawn["charge"].simulated) == []
    assert "Monte Carlo" not in drawn["charge"].note
    assert "mine.npz (ice spice_bfr-v2)" in drawn["charge"].note


def test_photons_fly_through_the_ice_that_was_asked_for(here: Path, drawn: dict[str, Any]) -> None:
    assert run("--photons", "100") == 0
    own = drawn["charge"]
    assert drawn["ice"].name == "spice_bfr-v2"
    assert run("--photons", "100", "--ice", "spice_ftp-v3m", "--seed", "1") == 0
    other = drawn["charge"]
    assert drawn["ice"].name == "spice_ftp-v3m"
    assert own.model.ice.name == other.model.ice.name == "spice_bfr-v2"
    assert np.any(own.simulated[0].charge != other.simulated[0].charge)
    assert "Monte Carlo in spice_ftp-v3m, 100 photons per source, seed 1" in other.note


def test_the_seed_changes_the_photons(here: Path, drawn: dict[str, Any]) -> None:
    light = []
    for seed in ("1", "1", "2"):
        assert run("--photons", "100", "--seed", seed) == 0
        light.append(drawn["times"].simulated[0].charge)
    np.testing.assert_array_equal(light[0], light[1])
    assert np.any(light[0] != light[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--photons", "-1"], "--photons: number out of range (found -1, wanted 0 for no"),
        (["--photons", "99"], "from 100"),
        (["--photons", "9999999999999"], "to 10^12"),
        (["--seed", "-1"], "--seed: negative seed"),
        (["--ice", "snow"], "--ice: unknown ice model (found snow, wanted spice_bfr-v2 or"),
        (["--model", "best"], "--model: unknown light model"),
        (["--model", "gone.npz"], "no such light model (found gone.npz"),
        (["--model", "text.npz"], "--model: text.npz: not a light model, or damaged"),
        (["--model", "array.npz"], "--model: array.npz: not a light model, or damaged"),
        (["--model", "flipped.npz"], "--model: flipped.npz: not a light model, or damaged"),
        (["--model", "half.npz"], "--model: half.npz: not a light model, or damaged"),
        (["--model", "card.npz"], "--model: card.npz: light model without all of its parts"),
        (["--model", "ice.npz"], "--model: ice.npz: light model of unknown ice (found lemon"),
        (["--model", "thin.npz"], "--model: thin.npz: emission of another shape"),
        (["-o", "x.gif"], "x.gif: no such picture format (found .gif"),
        (["-o", "x"], "found no suffix"),
        (["-o", "nowhere/x.png"], "--output: the folder does not exist"),
        (["-o", "taken.png"], "--output: is a folder (found taken_times.png"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2(
    options: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(here)
    before = sorted(here.iterdir())
    assert run("--photons", "0", *options) == 2
    said = capsys.readouterr()
    assert said.err.startswith("skymap-scanner: error: ")
    assert said.err.count("\n") == 1
    assert words in said.err
    assert said.out == ""
    assert sorted(here.iterdir()) == before


def spoil(folder: Path) -> None:
    """Write what is no model, each in its own way, and a folder where a picture would go."""
    whole = (folder / "mine.npz").read_bytes()
    (folder / "text.npz").write_text("weights")
    (folder / "half.npz").write_bytes(whole[: len(whole) // 2])
    np.save(folder / "array.npy", np.zeros(3))
    shutil.move(folder / "array.npy", folder / "array.npz")
    at = whole.index(b"charge_pair.npy") + 200
    flipped = bytes(255 - byte for byte in whole[at : at + 20])
    (folder / "flipped.npz").write_bytes(whole[:at] + flipped + whole[at + 20 :])
    write_random_model(folder / "card.npz", card={})
    write_random_model(folder / "ice.npz", card={"ice": "lemon"})
    write_random_model(folder / "thin.npz", emission=random_weights().emission[:, :2])
    (folder / "taken_times.png").mkdir()


@pytest.mark.parametrize(
    "arguments",
    [[], ["paint"], ["plot", "--photons", "many"], ["plot", "--photons", "1e5"], ["plot", "extra"]],
)
def test_wrong_usage_is_one_line_with_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["light", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("skymap-scanner: error: ")
    assert said.count("\n") == 1


def test_a_full_disk_leaves_the_old_picture(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    def fail(self: Figure, file: Any, **_: object) -> None:
        file.write(b"\x89PNG half")
        raise OSError(28, "No space left on device")

    (here / "light_charge.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", fail)
    assert run("--photons", "0") == 1
    assert "light_charge.png: cannot be written: No space left" in capsys.readouterr().err
    assert (here / "light_charge.png").read_bytes() == b"old"
    assert sorted(path.name for path in here.iterdir()) == ["light_charge.png", "mine.npz"]
