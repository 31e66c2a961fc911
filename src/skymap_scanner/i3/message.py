"""Realtime messages: the JSON or pickle document in which an event leaves the South Pole."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular, write_bytes_atomically
from skymap_scanner.i3.frame import Frame, is_physics
from skymap_scanner.i3.frame_bytes import TAG
from skymap_scanner.i3.frame_pickle import PickleForm, frame_from_text, frame_to_text
from skymap_scanner.i3.header_time import EventHeader
from skymap_scanner.i3.unpickle import unpickle_plain

__all__ = [
    "RealtimeMessage",
    "packet_from_json",
    "packet_to_json",
    "read_message",
    "rewrite_message",
    "write_message",
]

#: The largest message seen has 0.5 MB.
MAX_MESSAGE_BYTES: Final = 32 << 20
_FRAMES_IN_PACKET: Final = 5
_PACKET_KEY: Final = "GCDQp_packet"


@dataclass(frozen=True, slots=True)
class RealtimeMessage:
    """A message as it was read.

    Parameters
    ----------
    document : dict
        The whole document, frames included.
    frames : tuple of Frame
        Usually G, C, D, Q, P.
    version : str
        Realtime version, for instance "2021a"; "" in 2016 and 2017.
    streams : tuple of str
        For instance ("EHE", "neutrino"); () in 2016 and 2017.
    summary : dict
        ``value.data`` without the frames; {} in 2016 and 2017.
    labels : tuple of str
        Label of each frame in the document.
    forms : tuple of PickleForm
        How each frame was packed.
    """

    document: dict[str, Any]
    frames: tuple[Frame, ...]
    version: str
    streams: tuple[str, ...]
    summary: dict[str, Any]
    labels: tuple[str, ...] = field(default=())
    forms: tuple[PickleForm, ...] = field(default=())


def read_message(path: Path | str, *, check: bool = True) -> RealtimeMessage:
    """Read a realtime message of any year, JSON or pickle, or a scanner's packet in JSON.

    Parameters
    ----------
    path : Path
        The file; its first byte tells its kind.
    check : bool
        Verify the frames' checksums.

    Raises
    ------
    FormatError
        When it is not a message; place, found and wanted say why.
    """
    path = Path(path)
    with open_regular(path) as file:
        data = file.read(MAX_MESSAGE_BYTES + 1)
    if len(data) > MAX_MESSAGE_BYTES:
        raise FormatError(
            "too large for a message",
            place=str(path),
            found=f"more than {MAX_MESSAGE_BYTES} bytes",
            wanted="less",
        )
    try:
        message = _parse_message(data, check=check)
    except FormatError as error:
        raise error.at(str(path)) from error
    for frame in message.frames:
        frame.origin = f"{path}: {frame.origin}"
    return message


def _parse_message(data: bytes, *, check: bool) -> RealtimeMessage:
    document = _parse_document(data)
    if not isinstance(document, dict):
        raise FormatError("not a message", found=type(document).__name__, wanted="an object")
    if _PACKET_KEY in document:
        value: dict[str, Any] = {"data": document[_PACKET_KEY]}
    else:
        value = _member(document, "value", dict)
    content = _member(value, "data", dict, list, place="value")
    entries = (
        content if isinstance(content, list) else _member(content, "frames", list, place="data")
    )
    labels, frames, forms = _read_entries(entries, check=check)
    streams = value.get("streams") or []
    if not isinstance(streams, list) or not all(map(_is_name, streams)):
        raise FormatError(
            "a wrong type",
            place="value: streams",
            found=ascii(streams)[:100],
            wanted="a list of printable text",
        )
    summary = (
        {} if isinstance(content, list) else {k: v for k, v in content.items() if k != "frames"}
    )
    version = value.get("version") or ""
    if not _is_name(version):
        raise FormatError(
            "a wrong type",
            place="value: version",
            found=ascii(version)[:100],
            wanted="printable text",
        )
    return RealtimeMessage(document, frames, version, tuple(streams), summary, labels, forms)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _parse_document(data: bytes) -> object:
    if not data:
        raise FormatError("the file is empty", found="0 bytes", wanted="a realtime message")
    if data.startswith(b"\x80"):
        return unpickle_plain(data)
    if data.startswith(TAG):
        raise FormatError(
            "an .i3 file, not a message", found=f"first bytes {TAG!r}", wanted="'{' or 80"
        )
    if not data.lstrip(b" \t\r\n\xef\xbb\xbf").startswith((b"{", b"[")):
        raise FormatError(
            "neither JSON nor a pickle",
            found=f"first bytes {data[:8].hex(' ')}",
            wanted="'{' or 80",
        )
    try:
        return json.loads(data)
    except RecursionError as error:
        raise FormatError(
            "JSON is nested too deeply", found="more levels than we follow", wanted="a few"
        ) from error
    except ValueError as error:
        raise FormatError("not JSON", found=str(error), wanted="one whole JSON object") from error


def _member(
    parent: dict[str, Any], key: str, *kinds: type, place: str = "the message"
) -> Any:  # one of `kinds`
    if key not in parent:
        raise FormatError(
            f"no {key!r} in {place}", found=f"{len(parent)} other keys", wanted=repr(key)
        )
    value = parent[key]
    if not isinstance(value, kinds):
        raise FormatError(
            "a wrong type",
            place=key,
            found=type(value).__name__,
            wanted=" or ".join(kind.__name__ for kind in kinds),
        )
    return value


def _read_entries(
    entries: list[Any], *, check: bool
) -> tuple[tuple[str, ...], tuple[Frame, ...], tuple[PickleForm, ...]]:
    if len(entries) != _FRAMES_IN_PACKET:
        raise FormatError(
            "a wrong number of frames", place="frames", found=len(entries), wanted="G, C, D, Q, P"
        )
    labels: list[str] = []
    frames: list[Frame] = []
    forms: list[PickleForm] = []
    for number, entry in enumerate(entries, start=1):
        is_pair = isinstance(entry, (list, tuple)) and len(entry) == 2
        if not is_pair or not isinstance(entry[0], str):
            raise FormatError(
                "a frame entry has another form",
                place=f"frame {number}",
                found=type(entry).__name__,
                wanted="[label, base64]",
            )
        origin = f"frame {number} ({ascii(entry[0])[1:-1][:8]})"
        frame, form = frame_from_text(entry[1], check=check, origin=origin)
        labels.append(entry[0])
        frames.append(frame)
        forms.append(form)
    _check_packet(frames)
    return tuple(labels), tuple(frames), tuple(forms)


def _check_packet(frames: Sequence[Frame]) -> None:
    last = frames[-1] if frames else None
    if last is None or not is_physics(last):
        raise FormatError(
            "the last frame is not a physics frame",
            found="".join(frame.stop for frame in frames),
            wanted="GCDQP",
        )
    last.get("I3EventHeader", EventHeader)


# -- writing ----------------------------------------------------------------------------------


def write_message(
    path: Path | str,
    frames: Sequence[Frame],
    *,
    version: str,
    streams: Sequence[str],
    summary: Mapping[str, Any],
    time: str | None = None,
) -> None:
    """Write a message that our reader and IceTray's can read.

    Parameters
    ----------
    path : Path
        ``.pkl`` gives a pickle of plain data, anything else JSON.
    frames : sequence of Frame
        G, C, D, Q, P.
    version : str
        Realtime version.
    streams : sequence of str
        For instance ["neutrino"].
    summary : mapping
        Further members of ``value.data`` (run_id, nch ...); NaN and infinity become null.
    time : str, optional
        Send time "YYYY-MM-DD hh:mm:ss.ffffff" (UTC); by default that of the event.
    """
    frames = tuple(frame.copy(stop="P") if frame.stop == "p" else frame for frame in frames)
    if len(frames) != _FRAMES_IN_PACKET:
        raise FormatError("a wrong number of frames", found=len(frames), wanted="G, C, D, Q, P")
    _check_packet(frames)
    header = frames[-1].get("I3EventHeader", EventHeader)
    entries = [[frame.stop, frame_to_text(frame)] for frame in frames]
    document = {
        "service": "PFOnlineWriter",
        "varname": "realtimeEventData",
        "prio": 2,
        "time": header.start.to_datetime_string() if time is None else time,
        "value": {
            "version": version,
            "streams": list(streams),
            "zmqnotify": {"topics": list(streams)},
            "data": {**_without_nan(dict(summary)), "frames": entries},
        },
    }
    _write_document(Path(path), document, allow_nan=False)


def rewrite_message(path: Path | str, message: RealtimeMessage) -> None:
    """Write a message that was read, each frame in the form it had.

    Frames that nobody changed give the very text they came from.
    """
    entries = [
        [label, frame_to_text(frame, form)]
        for label, frame, form in zip(message.labels, message.frames, message.forms, strict=True)
    ]
    document = dict(message.document)
    if _PACKET_KEY in document:
        document[_PACKET_KEY] = {**document[_PACKET_KEY], "frames": entries}
    else:
        value = dict(document["value"])
        content = value["data"]
        value["data"] = entries if isinstance(content, list) else {**content, "frames": entries}
        document["value"] = value
    _write_document(Path(path), document, allow_nan=True)


def _write_document(path: Path, document: dict[str, Any], *, allow_nan: bool) -> None:
    try:
        data = json.dumps(document, allow_nan=allow_nan).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"the message cannot be written as JSON: {error}") from error
    if path.suffix == ".pkl":
        data = pickle.dumps(document, protocol=3)
    write_bytes_atomically(path, data)


def _without_nan(value: Any) -> Any:  # any JSON value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value


def packet_to_json(frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the frames of an event as a JSON object, a scanner's ``GCDQp_packet``.

    Frames P become p, as scanners have it. An event of an ``.i3`` file without some of its parents
    gets empty ones: a packet always has five frames.
    """
    have = {frame.stop.upper(): frame for frame in frames}
    packet = [have.get(stop, Frame(stop)) for stop in "GCDQP"]
    packet[-1] = packet[-1].copy(stop="p")
    return {"frames": [[frame.stop, frame_to_text(frame)] for frame in packet]}


def packet_from_json(packet: object) -> tuple[Frame, ...]:
    """Return the frames of a scanner's ``GCDQp_packet``.

    Raises
    ------
    FormatError
        When it is not a packet of five frames that ends with an event.
    """
    if not isinstance(packet, dict):
        raise FormatError(
            "a wrong type", place=_PACKET_KEY, found=type(packet).__name__, wanted="an object"
        )
    try:
        entries = _member(packet, "frames", list, place=_PACKET_KEY)
        return _read_entries(entries, check=True)[1]
    except FormatError as error:
        raise error.at(_PACKET_KEY) from error
