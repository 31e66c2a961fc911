"""``skymap-scanner event plot``: from an event file to a picture, and what is said when not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from changed_messages import write_changed

from skymap_scanner import cli
from skymap_scanner.event import PulseSeries, clean_for_tracks, read_event
from skymap_scanner.i3 import PulseMap, read_message, write_i3

if TYPE_CHECKING:
    from pathlib import Path

NAME = "run00000001.evt000000000001.neutrino_event.png"
FIT = "l2_online_BestFit"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
