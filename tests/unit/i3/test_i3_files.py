"""`.i3` files: compression, order, events."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.exceptions import FormatError, OutputError
from skymap_scanner.i3 import Frame, I3Int, i3_events, mix_frames, read_i3, write_i3

if TYPE_CHECKING:
    from pathlib import Path

STOPS = "IGCDQPPQp"


def frames() -> list[Frame]:
    result = []
    for number, stop in enumerate(STOPS):
        frame = Frame(stop)
        frame.put(f"Key{stop}", I3Int(number))
        result.append(frame)
    return result


@pytest.mark.parametrize(
    ("suffix", "magic"),
    [("", b"[i3]"), (".gz", b"\x1f\x8b"), (".bz2", b"BZh"), (".zst", b"\x28\xb5\x2f\xfd")],
)
def test_files_come_back_from_every_compression(suffix: str, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x.i3{suffix}"
    write_i3(path, frames())
    assert path.read_bytes().startswith(magic)
    moved = path.rename(tmp_path / "any_name")
    again = list(read_i3(moved))
    assert "".join(frame.stop for frame in again) == STOPS.replace("p", "P")
    assert [frame.to_bytes() for frame in again[:-1]] == [f.to_bytes() for f in frames()[:-1]]
    assert again[2].origin == f"{moved}: frame 3 (C)"


def test_files_and_compressed_members_can_be_joined(tmp_path: Path) -> None:
    plain = b"".join(frame.to_bytes() for frame in frames())
    for name, data in (
        ("plain", plain + plain),
        ("gz", gzip.compress(plain) + gzip.compress(plain)),
        ("bz2", bz2.compress(plain) + bz2.compress(plain)),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert len(list(read_i3(path))) == 2 * len(STOPS)


def test_each_physics_frame_is_an_event(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    write_i3(path, frames())
    events = list(i3_events(path))
    assert ["".join(frame.stop for frame in event) for event in events] == ["GCDQP"] * 3
    assert [mix_frames(event)["KeyQ"] for event in events] == [I3Int(4), I3Int(4), I3Int(7)]


def test_data_file_without_gcd(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    write_i3(path, frames()[4:6])
    assert ["".join(frame.stop for frame in event) for event in i3_events(path)] == ["QP"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".zst"])
def test_damaged_files_name_file_and_frame(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.i3{suffix}"
    write_i3(path, frames())
    data = path.read_bytes()
    for bad in (data[:-3], data[: len(data) // 2], data[:9] + b"\xff\xff" + data[11:]):
        path.write_bytes(bad)
        with pytest.raises(FormatError) as caught:
            list(read_i3(path))
        assert str(caught.value).startswith(f"{path}: frame ")


def test_files_that_are_missing_empty_or_something_else(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    with pytest.raises(FormatError, match=r"cannot be read.*No such file"):
        list(read_i3(path))
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="no frames"):
        list(read_i3(path))
    path.write_text('{"some": "json"}')
    with pytest.raises(FormatError, match="not a frame"):
        list(read_i3(path))
    with pytest.raises(FormatError, match="a folder"):
        list(read_i3(tmp_path))


def test_good_frames_before_the_damage_are_given(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    write_i3(path, frames())
    path.write_bytes(path.read_bytes()[:-1])
    reader = read_i3(path)
    assert [next(reader).stop for _ in range(8)] == list(STOPS[:8])
    with pytest.raises(FormatError, match="frame 9"):
        next(reader)


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.i3.gz"
    write_i3(path, frames())
    before = path.read_bytes()

    def broken() -> object:
        yield from frames()
        raise FormatError("stop")

    with pytest.raises(FormatError, match="stop"):
        write_i3(path, broken())  # type: ignore[arg-type]  # a generator
    assert path.read_bytes() == before
    with pytest.raises(OutputError):
        write_i3(tmp_path / "no" / "x.i3", frames())


def test_claimed_size_beyond_reason_fails_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    path.write_bytes(b"[i3]\x06\0\0\0\0\0P\x01\0\0\0" + b"\xff\xff\xff\x7f" + b"k")
    with pytest.raises(FormatError, match="too large"):
        list(read_i3(path))


def test_endless_frames_without_an_event_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymap_scanner.i3.files._MAX_BARREN", 5)
    path = tmp_path / "x.i3.gz"
    write_i3(path, [Frame("I")] * 6)
    with pytest.raises(FormatError, match="6 frames in a row, wanted at most 5"):
        list(read_i3(path))


@pytest.mark.parametrize("suffix", [".i3", ".i3.gz", ".i3.bz2", ".i3.zst"])
def test_damage_is_counted_to_the_frame_that_has_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    write_i3(path, frames())
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:4] + bytes(len(data) - 4))
    with pytest.raises(FormatError, match="frame 1: "):
        list(read_i3(path))


def test_only_parents_that_events_use_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.i3"
    write_i3(path, [Frame(stop) for stop in "GIWCDXQP"])
    [event] = i3_events(path)
    assert "".join(frame.stop for frame in event) == "GCDQP"
