"""Whatever is wrong with the input: exit code 2 and one line: file, place, found, wanted."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from changed_messages import write_changed

from skymap_scanner import cli
from skymap_scanner.i3 import PulseMap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Document = dict[str, Any]


@pytest.fixture
def document(event_file: Path) -> Document:
    """The bundled event as parsed JSON, to be spoiled."""
    parsed: Document = json.loads(event_file.read_bytes())
    return parsed


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def entry(document: Document, label: str) -> list[str]:
    """The frame of one kind, [label, base64], to be changed in place."""
    frames: list[list[str]] = document["value"]["data"]["frames"]
    return next(frame for frame in frames if frame[0] == label)


def spoil_text(path: Path, document: Document) -> None:
    path.write_text("this is not JSON", "utf-8")


def spoil_half(path: Path, document: Document) -> None:
    path.write_text(json.dumps(document)[: len(json.dumps(document)) // 2], "utf-8")


def spoil_empty(path: Path, document: Document) -> None:
    path.write_bytes(b"")


def spoil_other_json(path: Path, document: Document) -> None:
    path.write_text('{"value": 1}', "utf-8")


def spoil_base64(path: Path, document: Document) -> None:
    frame = entry(document, "P")
    frame[1] = frame[1][:-3]
    path.write_text(json.dumps(document), "utf-8")


def spoil_zlib(path: Path, document: Document) -> None:
    frame = entry(document, "Q")
    raw = bytearray(base64.b64decode(frame[1]))
    raw[len(raw) // 2] ^= 0xFF
    frame[1] = base64.b64encode(raw).decode()
    path.write_text(json.dumps(document), "utf-8")


def spoil_checksum(path: Path, document: Document) -> None:
    frame = entry(document, "P")
    raw = bytearray(zlib.decompress(base64.b64decode(frame[1])))
    where = raw.index(b"neutrino")
    raw[where : where + 8] = b"neutrina"
    frame[1] = base64.b64encode(zlib.compress(raw, 9)).decode()
    path.write_text(json.dumps(document), "utf-8")


def spoil_missing_frames(path: Path, document: Document) -> None:
    del document["value"]["data"]["frames"]
    path.write_text(json.dumps(document), "utf-8")


def spoil_missing_key(path: Path, document: Document) -> None:
    rewrite_pulses(path, document, None)


def spoil_no_pulses(path: Path, document: Document) -> None:
    rewrite_pulses(path, document, pulses(n=0))


def spoil_nan_time(path: Path, document: Document) -> None:
    rewrite_pulses(path, document, pulses(time=np.nan))


def spoil_infinite_charge(path: Path, document: Document) -> None:
    rewrite_pulses(path, document, pulses(charge=np.inf))


def spoil_unknown_module(path: Path, document: Document) -> None:
    rewrite_pulses(path, document, pulses(string=97))


def pulses(*, n: int = 3, string: int = 30, time: float = 10000.0, charge: float = 1.0) -> PulseMap:
    """Some pulses, one of which may be spoiled."""
    times, charges = np.full(n, 10000.0), np.ones(n)
    times[:1], charges[:1] = time, charge
    keys = np.array([[string, number + 1, 0] for number in range(n)]).reshape(-1, 3)
    flags = np.ones(n, np.uint8)
    return PulseMap.from_columns(keys, times, charges, np.full(n, 8.0), flags)


def rewrite_pulses(path: Path, document: Document, series: PulseMap | None) -> None:
    """Write the event with other main pulses, or without."""
    whole = path.with_name("whole.json")
    whole.write_text(json.dumps(document), "utf-8")
    write_changed(whole, path, {"SplitInIcePulses": series})


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_text, spoil_half, spoil_empty, spoil_other_json, spoil_base64, spoil_zlib,
        spoil_checksum, spoil_missing_frames, spoil_missing_key, spoil_no_pulses, spoil_nan_time,
        spoil_infinite_charge, spoil_unknown_module,
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["scan", "info"])
def test_bad_event_file_is_one_line_with_its_name(
    command: str,
    spoil: Callable[[Path, Document], None],
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "spoiled.json"
    spoil(path, document)
    assert cli.main([command, str(path)]) == 2
    said = capsys.readouterr()
    # The frames of a file can be shown where its event cannot be used; nothing else is.
    assert said.out == "" or (command == "info" and said.out.startswith("frame G"))
    assert "event " not in said.out
    assert said.err.startswith("skymap-scanner: error: ")
    assert said.err.count("\n") == 1
    assert "spoiled.json" in said.err
    assert any(words in said.err for words in ("found", "wanted", "not JSON"))


def test_exploit_in_a_pickle_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "written-by-the-exploit"

    class Exploit:
        def __reduce__(self) -> tuple[object, ...]:
            return (open, (str(victim), "w"))

    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"value": {"data": Exploit()}}, protocol=3))
    assert cli.main(["scan", str(tmp_path / "bad.pkl")]) == 2
    assert not victim.exists()
    assert "bad.pkl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nsides", "8:0", "8:12"], "8:0 8:12"),
        (["--nsides", "64:0", "8:12"], "64:0 8:12"),
        (["--nsides", "8:1"], "8:1"),
        (["--nsides", "6:0"], "6:0"),
        (["--nsides", "8:0", "64:0"], "64:0"),
        (["--nsides", "eight"], "'eight'"),
        (["--reco-algo", "no_such"], "splinempe"),
        (["--reco-option", "no_such=1"], "no_such"),
        (["--reco-option", "variations=many"], "many"),
        (["--real-event"], "run 1"),
        (["--gcd-dir", "/no/such/folder"], "/no/such/folder"),
        (["--event", "5:6"], "5:6"),
        (["--output-dir", "/proc/nowhere"], "/proc/nowhere"),
        (["--predictive-scanning-threshold", "0.05"], "0.05"),
    ],
)
def test_bad_option_is_one_line_with_exit_code_2(
    options: list[str], words: str, event_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scan", str(event_file), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("skymap-scanner: error: ")
    assert said.count("\n") == 1
    assert words in said


@pytest.mark.parametrize(
    "options",
    [
        ["--workers", "-2"],
        ["--workers", "many"],
        ["--around", "1,2"],
        ["--around", "a"],
        ["--around", "10,95,3"],
        ["--around", "-10,5,0"],
    ],
)
def test_option_of_a_wrong_kind_is_bad_usage(
    options: list[str], event_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["scan", str(event_file), *options])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"skymap-scanner: error: argument {options[0]}: ")


def test_missing_event_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scan", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_debug_shows_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text("{")
    assert cli.main(["scan", str(tmp_path / "bad.json"), "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("skymap-scanner: error: ")


def test_pointed_scan_of_an_event_without_fits_lists_what_is_there(
    event_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_changed(event_file, tmp_path / "blind.json", {"l2_online_BestFit": None})
    assert cli.main(["scan", str(tmp_path / "blind.json"), "--reco-algo", "splinempe_pointed"]) == 2
    said = capsys.readouterr().err
    assert "no fits at all" in said
    assert "OnlineL2_SplineMPE" in said
