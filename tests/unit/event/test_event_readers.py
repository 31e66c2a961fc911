"""Event files: told by their content, chosen by number, refused with the file's name."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from handmade_events import event_frames, fitted, pulse_map, write_event_message

from skymap_scanner.event import read_event, read_events
from skymap_scanner.event.info import describe, describe_frames
from skymap_scanner.event.readers import EventSelector, find_reader, read_frames
from skymap_scanner.exceptions import EventError, FormatError, InputError, UsageError
from skymap_scanner.i3 import packet_to_json, write_i3

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [".json", ".pkl"])
def test_a_message_is_read_whatever_it_is_called(tmp_path: Path, suffix: str) -> None:
    path = write_event_message(tmp_path, suffix=suffix)
    event = read_event(path.rename(tmp_path / "event.data"))
    assert (event.version, event.summary["nch"], event.pulses.n_pulses) == ("2023a", 3, 3)


@pytest.mark.parametrize("suffix", [".i3", ".i3.gz", ".i3.bz2", ".i3.zst"])
def test_an_i3_file_is_read_whatever_its_compression(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"event{suffix}"
    write_i3(path, event_frames())
    assert read_event(path.rename(tmp_path / "event.data")).pulses.n_pulses == 3


def test_a_startup_file_is_an_event_file(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    packet = packet_to_json(event_frames())
    path.write_text(json.dumps({"schema": 1, "scan_id": "x", "GCDQp_packet": packet}))
    assert read_event(path).event_id == 7


def _several(folder: Path) -> Path:
    path = folder / "several.i3"
    physics = [
        event_frames(event=8)[-1],
        event_frames(event=9)[-1],
        event_frames(event=9, sub_event=1)[-1],
    ]
    # Other splitters' frames carry no in-ice pulses.
    null = event_frames(event=9, sub_event=2, without=["SplitInIcePulses"])[-1]
    write_i3(path, [*event_frames()[:4], *physics, null])
    return path


def test_events_of_a_file_come_in_its_order(tmp_path: Path) -> None:
    events = read_events(_several(tmp_path))
    assert [event.selector for event in events] == ["136662:8:0", "136662:9:0", "136662:9:1"]


@pytest.mark.parametrize("which", ["136662:8", "136662:8:0", "136662:9:1"])
def test_one_of_several_events_is_chosen_by_number(tmp_path: Path, which: str) -> None:
    assert read_event(_several(tmp_path), which=which).selector.startswith(which)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (None, r"several events.*136662:8:0, 136662:9:0, 136662:9:1.*wanted run:event"),
        ("136662:9", r"several events.*136662:9:0, 136662:9:1"),
        ("136662:10", r"no such event.*136662:8:0.*wanted 136662:10"),
        ("1:8", "no such event"),
    ],
)
def test_a_choice_that_is_none_lists_the_events(
    tmp_path: Path, which: str | None, message: str
) -> None:
    path = _several(tmp_path)
    with pytest.raises(EventError, match=message) as caught:
        read_event(path, which=which)
    assert str(caught.value).startswith(str(path))


def test_a_file_with_very_many_events_is_not_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "many.i3"
    write_i3(path, [event_frames(event=number)[-1] for number in range(30)])
    path.write_bytes(path.read_bytes() + b"damaged")
    with pytest.raises(EventError, match=r"several events.*, \.\.\."):
        read_event(path)


def test_a_message_is_checked_against_the_choice(tmp_path: Path) -> None:
    path = write_event_message(tmp_path)
    assert read_event(path, which="136662:7").event_id == 7
    with pytest.raises(EventError, match="wanted 136662:8"):
        read_event(path, which="136662:8")


@pytest.mark.parametrize("text", ["", "1", "1:2:3:4", "a:b", "1:-2", "1:2:", "1.0:2", "\u0661:1"])
def test_a_malformed_choice_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="wanted run:event"):
        read_event(write_event_message(tmp_path), which=text)


def test_a_choice_is_read_as_numbers() -> None:
    assert EventSelector.parse("1:2:3") == EventSelector(1, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello", r"not an event file.*b'hello'.*realtime message"),
        (b"{", "not JSON"),
        (b"[]", "not a message"),
        (b'{"value": {}}', "data"),
        (b"\x80\x04.", "pickle"),
        (b"[i3]\x06\0\0\0", "frame 1"),
        (b"\x1f\x8bxx", "damaged"),
    ],
)
def test_what_is_no_event_is_refused_with_the_file_named_once(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_event(path)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count(str(path)) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        read_event(tmp_path / "nothing.json")
    with pytest.raises(FormatError, match="a folder"):
        read_event(tmp_path)


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4), (1, 2, 3, 4), (0, 1, 2, 3, 3, 4)])
def test_a_message_needs_its_five_frames_in_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = write_event_message(tmp_path)
    document = json.loads(path.read_text())
    content = document["value"]["data"]
    content["frames"] = [content["frames"][number] for number in order]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"wanted .*G,? C,? D,? Q,? P"):
        read_event(path)


def test_a_file_without_events_says_so(tmp_path: Path) -> None:
    path = tmp_path / "gcd.i3"
    write_i3(path, event_frames()[:4])
    with pytest.raises(EventError, match="no event with in-ice pulses"):
        read_event(path)


def test_faults_inside_an_event_name_the_file(tmp_path: Path) -> None:
    path = write_event_message(tmp_path, event_frames(pulse_map((87, 1, 1.0, 1.0))))
    with pytest.raises(EventError, match="unknown optical module") as caught:
        read_event(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_folder_of_gcd_files_must_exist(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="no such folder"):
        read_event(write_event_message(tmp_path), gcd_dir=tmp_path / "nowhere")


def test_the_description_has_no_number_that_json_cannot_hold(tmp_path: Path) -> None:
    frames = event_frames(objects={"Good": fitted(), "Bad": fitted(zenith=float("nan"))})
    content = describe(read_event(write_event_message(tmp_path, frames)))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["fits"]["Bad"] == {
        "zenith": None,
        "azimuth": 0.5,
        "ra_deg": None,
        "dec_deg": None,
    }
    assert (content["n_doms"], content["n_pulses"], content["charge_pe"]) == (3, 3, 9.0)
    assert content["cleaned"] == {"n_doms": 3, "n_pulses": 3, "charge_pe": 9.0}


@pytest.mark.parametrize("suffix", [".json", ".i3"])
def test_frames_are_listed_with_their_own_objects(tmp_path: Path, suffix: str) -> None:
    if suffix == ".json":
        path = write_event_message(tmp_path)
    else:
        path = tmp_path / "event.i3"
        write_i3(path, event_frames())
    frames = describe_frames(path)
    assert [frame.stop for frame in frames] == list("GCDQP")
    assert [frame.keys for frame in frames[:4]] == [()] * 4
    listed = dict(zip(frames[-1].keys, frames[-1].types, strict=True))
    assert listed["I3EventHeader"] == "I3EventHeader"
    assert all(size > 0 for size in frames[-1].sizes)


def test_readers_are_told_apart_by_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf \n{}")
    assert find_reader(path).name == "realtime message, JSON"
    path.write_bytes(b"\x80\x03}.")
    assert find_reader(path).name == "realtime message, pickle"
    path.write_bytes(b"[i3]")
    assert find_reader(path).name == "IceCube file"
    with pytest.raises(InputError, match="file"):
        list(read_frames(path))


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(FormatError, match=r"not a file .found a pipe, wanted a regular file"):
        read_event(tmp_path / "pipe.json")


def test_files_of_old_frame_versions_are_event_files(tmp_path: Path) -> None:
    path = tmp_path / "old.i3"
    # Version 0: version, class info, stop, number of entries.
    path.write_bytes(b"".join(bytes(6) + stop + bytes(4) for stop in (b"G", b"P")))
    assert find_reader(path).name == "IceCube file"
    assert [frame.stop for frame in read_frames(path)] == ["G", "P"]
