"""``skymap-scanner calibrate``, from simulated events to levels and their check."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from skymap_scanner import cli
from skymap_scanner.calibration import levels
from skymap_scanner.result.calibrated_levels import read_levels
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from pathlib import Path

#: Bright muons, one start per pixel, few pixels: a scan takes about a second.
FAST = [
    "--energy-range", "3e4", "1e5", "--min-charge-pe", "200", "--reco-option", "variations=point",
    "--nsides", "8:0", "32:4", "128:6", "--cone-deg", "3", "--workers", "1",
]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = cli.main(["calibrate", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_events_are_made_kept_calibrated_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "MIN_EVENTS", 2)
    work, file, picture = tmp_path / "work", tmp_path / "levels.json", tmp_path / "pp.png"
    made = [*FAST, "--work-dir", str(work), "--write-levels", str(file), "--plot", str(picture)]
    code, out, err = run(capsys, *made, "--events", "2", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert explain_mismatch("calibrate", document) is None
    assert (document["n_events"], document["n_failed"]) == (2, 0)
    assert picture.stat().st_size > 10_000
    [entry] = read_levels(file)
    assert (entry.n_events, entry.reco_options["variations"]) == (2, "point")
    first = (work / "event_000001.json").read_bytes()
    assert 0.0 <= json.loads(first)["separation_deg"] < 3.0

    # one event more; the others are kept
    code, out, err = run(capsys, *made, "--events", "3")
    assert code == 0, err
    assert (work / "event_000001.json").read_bytes() == first
    assert "splinempe, same-ice, track: 3 events, 0 without" in out
    assert "90 % regions, wilks" in out

    # other settings in the same folder
    code, _, err = run(capsys, *FAST, "--work-dir", str(work), "--kind", "varied-ice")
    assert (code, err.count("\n")) == (2, 1)
    assert "found kind same-ice, wanted kind varied-ice" in err

    # the same seed is no check, another one is
    other = [*FAST, "--work-dir", str(tmp_path / "other"), "--events", "1", "--check", str(file)]
    code, out, err = run(capsys, *made, "--events", "3", "--check", str(file))
    assert code == 2
    assert "made of the same events" in err
    code, out, err = run(capsys, *other, "--seed", "2", "--kind", "varied-ice")
    assert code == 0, err
    assert "check        levels of 3 events of class track, same-ice" in out


def test_killed_workers_leave_with_their_parent_and_the_rest_is_made_later(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "skymap_scanner.cli", "calibrate", *FAST]
    arguments += ["--work-dir", str(tmp_path), "--events"]
    with subprocess.Popen(
        [*arguments, "1000"], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 240.0
        while len(list(tmp_path.glob("event_*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    n_kept = len(list(tmp_path.glob("event_*.json")))
    assert n_kept >= 2
    while time.monotonic() < deadline and _lives(process.pid):
        time.sleep(0.2)
    assert not _lives(process.pid)
    n_kept = len(list(tmp_path.glob("event_*.json")))
    kept = {path: path.read_bytes() for path in tmp_path.glob("event_*.json")}
    done = subprocess.run(
        [*arguments, str(n_kept), "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["n_events"] == n_kept
    assert all(path.read_bytes() == data for path, data in kept.items())


def _lives(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--work-dir"),
        (["--work-dir", "x", "--events", "0"], "--events"),
        (["--work-dir", "x", "--class", "muon"], "--class"),
        (["--work-dir", "x", "--workers", "-1"], "--workers"),
        (["--work-dir", "x", "--reco-algo", "none"], "no such reconstruction"),
        (["--work-dir", "x", "--reco-option", "ice=none"], "ice"),
        (["--work-dir", "x", "--nsides", "8:1"], "--nsides"),
        (["--work-dir", "x", "--energy-range", "5", "1"], "--energy-range"),
        (["--work-dir", "x", "--cone-deg", "200"], "--cone-deg"),
        (["--work-dir", "x", "--charge-edges-pe", "1", "2"], "--charge-edges-pe"),
        (["--work-dir", "x", "--write-levels", "none/levels.json"], "--write-levels"),
        (["--work-dir", "x", "--plot", "pp.gif"], "no such picture format"),
        (["--work-dir", "x", "--check", "none.json"], "cannot be read"),
        (["--work-dir", "file/x"], "--work-dir"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "x").exists()
