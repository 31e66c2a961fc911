"""Realtime messages of all generations, written and read, and what can be wrong with them."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import (
    EventHeader,
    Frame,
    I3Int,
    I3String,
    I3Time,
    packet_from_json,
    packet_to_json,
    read_message,
    rewrite_message,
    write_message,
)
from skymap_scanner.i3.frame_pickle import PickleForm, frame_to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIME = I3Time(2022, 123828921853524946)
HEADER = EventHeader(136662, 0, 35405932, 20, 1, "InIceSplit", TIME, TIME.plus_ns(20000))
SUMMARY: dict[str, Any] = {"run_id": 136662, "qtot": 2.5, "reco": {"x": [float("nan"), 1.0]}}
P2 = PickleForm("P2", "icecube.icetray")


def frames(last: str = "P") -> list[Frame]:
    result = [Frame(stop) for stop in "GCDQ"] + [Frame(last)]
    result[3].put("QNumber", I3Int(3))
    result[4].put("I3EventHeader", HEADER)
    return result


def document(generation: str, *, form: PickleForm = P2) -> dict[str, Any]:
    entries = [[frame.stop, frame_to_text(frame, form)] for frame in frames()]
    if generation == "A":
        value: dict[str, Any] = {"data": entries, "zmqnotify": {"topics": "heseEventFull"}}
    else:
        value = {
            "version": "2021a",
            "streams": ["neutrino"],
            "zmqnotify": {"topics": ["neutrino"]},
            "data": {"run_id": 136662, "frames": entries},
        }
    return {"service": "PFOnlineWriter", "varname": "realtimeEventData", "value": value}


def save(path: Path, content: dict[str, Any]) -> Path:
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=3))
    else:
        path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["m.json", "m.pkl"])
@pytest.mark.parametrize("generation", ["A", "B"])
def test_messages_of_both_generations(name: str, generation: str, tmp_path: Path) -> None:
    path = save(tmp_path / name, document(generation)).rename(tmp_path / "no_suffix")
    message = read_message(path)
    assert [frame.stop for frame in message.frames] == list("GCDQP")
    assert message.frames[-1]["I3EventHeader"] == HEADER
    if generation == "A":
        assert (message.version, message.streams, message.summary) == ("", (), {})
    else:
        assert (message.version, message.streams) == ("2021a", ("neutrino",))
        assert message.summary == {"run_id": 136662}
    assert message.frames[3].origin == f"{path}: frame 4 (Q)"


@pytest.mark.parametrize("name", ["m.json", "m.pkl"])
@pytest.mark.parametrize("generation", ["A", "B"])
@pytest.mark.parametrize("form", ["P2", "P3", "P4"])
def test_rewritten_message_is_the_same(
    name: str, generation: str, form: Any, tmp_path: Path
) -> None:
    content = document(generation, form=PickleForm(form, "icecube._icetray"))
    message = read_message(save(tmp_path / name, content))
    rewrite_message(tmp_path / f"new_{name}", message)
    assert read_message(tmp_path / f"new_{name}").document == content


def test_rewritten_message_with_another_object(tmp_path: Path) -> None:
    message = read_message(save(tmp_path / "m.json", document("B")))
    message.frames[-1].put("Extra", I3String("x"))
    rewrite_message(tmp_path / "n.json", message)
    again = read_message(tmp_path / "n.json")
    assert again.frames[-1]["Extra"] == I3String("x")
    old, new = (m.document["value"]["data"]["frames"] for m in (message, again))
    assert [a == b for a, b in zip(old, new, strict=True)] == [True] * 4 + [False]


@pytest.mark.parametrize("name", ["m.json", "m.pkl"])
def test_written_message_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_message(path, frames("p"), version="2024a", streams=["EHE", "neutrino"], summary=SUMMARY)
    message = read_message(path)
    assert (message.version, message.streams) == ("2024a", ("EHE", "neutrino"))
    assert message.summary == {"run_id": 136662, "qtot": 2.5, "reco": {"x": [None, 1.0]}}
    assert message.labels == tuple("GCDQP")
    assert set(message.forms) == {PickleForm("P3", "icecube.icetray")}
    assert message.document["time"] == "2022-05-24 07:41:32.185352"
    assert message.document["value"]["zmqnotify"] == {"topics": ["EHE", "neutrino"]}
    assert "NaN" not in path.read_bytes().decode("latin-1")


def test_messages_with_bare_nan_are_read(tmp_path: Path) -> None:
    content = document("B")
    content["value"]["data"]["cr_zen"] = float("nan")
    message = read_message(save(tmp_path / "m.json", content))
    assert message.summary["cr_zen"] != message.summary["cr_zen"]
    rewrite_message(tmp_path / "n.json", message)
    assert "NaN" in (tmp_path / "n.json").read_text()


def test_scanner_packets(tmp_path: Path) -> None:
    packet = packet_to_json(frames())
    assert [label for label, _ in packet["frames"]] == list("GCDQp")
    again = packet_from_json(json.loads(json.dumps(packet)))
    assert again[-1].stop == "p"
    assert again[-1]["I3EventHeader"] == HEADER
    startup = save(tmp_path / "startup.json", {"scan_id": "x", "GCDQp_packet": packet})
    message = read_message(startup)
    assert [frame.stop for frame in message.frames] == list("GCDQp")
    rewrite_message(tmp_path / "again.json", message)
    assert read_message(tmp_path / "again.json").document == message.document


def test_a_packet_has_five_frames_whatever_the_file_had() -> None:
    *_, q_frame, p_frame = frames()
    packet = packet_to_json((q_frame, p_frame))
    assert [label for label, _ in packet["frames"]] == list("GCDQp")
    again = packet_from_json(json.loads(json.dumps(packet)))
    assert [len(frame) for frame in again[:3]] == [0, 0, 0]
    assert again[-1]["I3EventHeader"] == HEADER


def wrong(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = document("B")
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "no 'value'"),
        ({"value": 5}, r"value: a wrong type \(found int, wanted dict\)"),
        ({"value": {}}, "no 'data'"),
        ({"value": {"data": "x"}}, "data: a wrong type"),
        ({"value": {"data": {}}}, "no 'frames'"),
        ({"value": {"data": {"frames": {}}}}, "frames: a wrong type"),
        ({"value": {"data": []}}, "number of frames"),
        ({"GCDQp_packet": []}, "number of frames"),
        ({"GCDQp_packet": 1}, "wrong type"),
        (wrong(lambda d: d["value"].update(version=5)), "version"),
        (wrong(lambda d: d["value"].update(streams="neutrino")), "streams"),
        (wrong(lambda d: d["value"].update(streams=[1])), "streams"),
        (wrong(lambda d: d["value"]["data"]["frames"].pop()), "number of frames"),
        (wrong(lambda d: d["value"]["data"]["frames"].reverse()), "not a physics frame"),
        (wrong(lambda d: d["value"]["data"]["frames"].__setitem__(2, "x")), "frame 3"),
        (wrong(lambda d: d["value"]["data"]["frames"].__setitem__(2, [1, "x"])), "frame 3"),
        (wrong(lambda d: d["value"]["data"]["frames"][2].append(1)), "frame 3"),
        (wrong(lambda d: d["value"]["data"]["frames"][2].__setitem__(1, "?")), r"frame 3 \(D\)"),
        (
            wrong(
                lambda d: d["value"]["data"]["frames"][4].__setitem__(1, frame_to_text(Frame("P")))
            ),
            "I3EventHeader",
        ),
    ],
)
def test_wrong_documents_name_file_place_and_wish(
    content: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "m.json", content)
    with pytest.raises(FormatError, match=reason) as caught:
        read_message(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(FormatError, match=reason):
        read_message(save(tmp_path / "m.pkl", content))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"[i3]\x06\0\0\0", "an .i3 file"),
        (b"hello", "neither JSON nor a pickle"),
        (b"\xff\xff", "neither JSON nor a pickle"),
        (b'{"value": ', "not JSON"),
        (b"{" * 10, "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"value": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"value": "\xff"}', "not JSON"),
        (b"[]", "not a message"),
        (b"\x80\x03]q\x00.", "not a message"),
        (b"\x80\x03", "damaged pickle"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=reason):
        read_message(path)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    for name, reason in {
        "none.json": "cannot be read",
        ".": "a folder",
        "pipe": "a pipe",
        "\0": "not a file name",
    }.items():
        with pytest.raises(FormatError, match=reason):
            read_message(tmp_path / name)


def test_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymap_scanner.i3.message.MAX_MESSAGE_BYTES", 100)
    with pytest.raises(FormatError, match="too large"):
        read_message(save(tmp_path / "m.json", document("B")))


def test_only_whole_events_are_written(tmp_path: Path) -> None:
    for bad in (frames()[1:], frames()[::-1], [*frames()[:4], Frame("P")]):
        with pytest.raises(FormatError):
            write_message(tmp_path / "m.json", bad, version="", streams=[], summary={})
    with pytest.raises(FormatError, match="as JSON"):
        write_message(
            tmp_path / "m.json", frames(), version="", streams=[], summary={"x": object()}
        )
    assert list(tmp_path.iterdir()) == []


def test_packets_of_the_wrong_shape() -> None:
    packets: list[object] = [None, [], {}, {"frames": 5}, {"frames": [["G", "x"]] * 5}]
    for bad in packets:
        with pytest.raises(FormatError, match="GCDQp_packet"):
            packet_from_json(bad)


@pytest.mark.parametrize("version", ["\ud800", "2023a\x1b[31m", 2023])
def test_a_version_that_cannot_be_printed_is_refused(tmp_path: Path, version: object) -> None:
    changed = document("B")
    changed["value"]["version"] = version
    with pytest.raises(FormatError, match="value: version: a wrong type"):
        read_message(save(tmp_path / "m.json", changed))


def test_no_version_and_no_streams_may_be_null(tmp_path: Path) -> None:
    changed = document("B")
    changed["value"] |= {"version": None, "streams": None}
    message = read_message(save(tmp_path / "m.json", changed))
    assert (message.version, message.streams) == ("", ())
