"""Read events from files, whatever their format: the content decides, not the suffix."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.event.baseline import check_gcd_dir
from skymap_scanner.event.builder import PULSE_NAMES, event_from_frames
from skymap_scanner.event.frame_objects import get_object
from skymap_scanner.exceptions import EventError, InputError, UsageError
from skymap_scanner.files import open_regular
from skymap_scanner.i3 import EventHeader, i3_events, mix_frames, read_i3, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from skymap_scanner.event.event import Event
    from skymap_scanner.i3 import Frame

__all__ = [
    "READERS",
    "EventReader",
    "EventSelector",
    "StoredEvent",
    "find_reader",
    "read_event",
    "read_events",
    "read_frames",
]

logger = logging.getLogger(__name__)

#: How many events an error message lists.
_N_LISTED: Final = 10
#: Frames before version 4 begin with their version as a u32.
_OLD_FRAMES: Final = tuple(bytes([version, 0, 0, 0]) for version in range(4))
#: Frames of a realtime message, in this order.
_MESSAGE_STOPS: Final = "GCDQP"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as a file holds it.

    Parameters
    ----------
    frames : tuple of Frame
        Parents first, the physics frame last.
    version : str
        Realtime version, empty where the format has none.
    summary : dict or None
        Fields of the message, None where the format has none.
    """

    frames: tuple[Frame, ...]
    version: str = ""
    summary: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EventReader:
    """How to recognise and read one kind of event file.

    Parameters
    ----------
    name : str
        For messages to people.
    suffixes : tuple of str
        Usual endings of such files, for messages to people.
    magic : tuple of bytes
        First bytes of such files, behind any blanks.
    read : callable
        Yields the events of a file.
    read_frames : callable
        Yields the frames of a file, each without its parents.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...]
    read: Callable[[Path], Iterator[StoredEvent]]
    read_frames: Callable[[Path], Iterator[Frame]]


@dataclass(frozen=True, slots=True)
class EventSelector:
    """Which event of a file is wanted: run:event[:subevent]."""

    run: int
    event: int
    sub_event: int | None = None

    @classmethod
    def parse(cls, text: str) -> EventSelector:
        """Read what the user typed.

        Raises
        ------
        UsageError
            When it is not two or three whole numbers joined by colons.

        Examples
        --------
        >>> EventSelector.parse("127907:20178442")
        EventSelector(run=127907, event=20178442, sub_event=None)
        """
        parts = text.split(":")
        if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() for p in parts):
            raise UsageError(
                "no event is called so", found=repr(text), wanted="run:event or run:event:subevent"
            )
        return cls(*(int(part) for part in parts))

    def matches(self, header: EventHeader) -> bool:
        """Tell whether an event with this header is meant."""
        is_event = (header.run, header.event) == (self.run, self.event)
        return is_event and self.sub_event in (None, header.sub_event)


def read_event(
    path: str | Path,
    *,
    gcd_dir: str | Path | None = None,
    which: str | None = None,
    cache_dir: Path | None = None,
) -> Event:
    """Read one event from a realtime message or an .i3 file.

    Parameters
    ----------
    path : str or Path
        The file.
    gcd_dir : str or Path, optional
        Folder or http(s) address with baseline GCD files; without it the standard places, and
        without any file there the built-in detector.
    which : str, optional
        "run:event[:subevent]"; needed when the file holds several events.
    cache_dir : Path, optional
        Where a baseline GCD file from the network is kept.

    Returns
    -------
    Event
        Ready to be scanned.

    Raises
    ------
    EventError
        When the file cannot be read, holds several events and `which` does not tell them apart,
        or the event cannot be scanned.
    FormatError
        When bytes are not what the format says.
    UsageError
        When `which` is malformed.
    """
    path = Path(path)
    with _placed(path):
        selector = EventSelector.parse(which) if which is not None else None
        found: list[tuple[EventHeader, StoredEvent]] = []
        for header, stored in _matching(path, selector):
            found.append((header, stored))
            if len(found) > _N_LISTED:
                break
        if len(found) > 1:
            raise EventError(
                "the file holds several events; say which one to scan (--event)",
                found=_listed([header for header, _ in found]),
                wanted="run:event or run:event:subevent",
            )
        return _build(found[0][1], gcd_dir, cache_dir)


def read_events(
    path: str | Path,
    *,
    gcd_dir: str | Path | None = None,
    which: str | None = None,
    cache_dir: Path | None = None,
) -> list[Event]:
    """Read all events of a file; parameters and errors as for `read_event`.

    Returns
    -------
    list of Event
        At least one, in the order of the file.
    """
    path = Path(path)
    with _placed(path):
        selector = EventSelector.parse(which) if which is not None else None
        return [_build(stored, gcd_dir, cache_dir) for _, stored in _matching(path, selector)]


def read_frames(path: str | Path) -> Iterator[Frame]:
    """Read the frames of an event file one by one, each without its parents.

    Raises
    ------
    EventError, FormatError
        When the file cannot be read or is damaged.
    """
    path = Path(path)
    with _placed(path):
        yield from find_reader(path).read_frames(path)


def find_reader(path: Path) -> EventReader:
    """Return the reader for the content of a file.

    Raises
    ------
    EventError, FormatError
        When the file cannot be read, is empty or of no known kind.
    """
    with open_regular(path) as file:
        head = file.read(64)
    if not head:
        raise EventError("the event file is empty", found="0 bytes", wanted=_known_formats())
    # JSON may begin with a byte order mark and blanks; no other kind begins with either.
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for reader in READERS:
        if start.startswith(reader.magic):
            return reader
    raise EventError(
        "not an event file", found=f"a file that begins with {head[:8]!r}", wanted=_known_formats()
    )


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Put the file in front of where an input error happened, once."""
    try:
        yield
    except InputError as error:
        if (error.place or "").startswith(str(path)):
            raise
        raise error.at(str(path)) from error


def _matching(
    path: Path, selector: EventSelector | None
) -> Iterator[tuple[EventHeader, StoredEvent]]:
    """Yield headers and events of a file that `selector` means; never nothing."""
    seen: list[EventHeader] = []
    n_matching = 0
    for stored in find_reader(path).read(path):
        header = get_object(mix_frames(stored.frames), "I3EventHeader", EventHeader)
        if selector is None or selector.matches(header):
            n_matching += 1
            yield header, stored
        elif len(seen) <= _N_LISTED:
            seen.append(header)
    if n_matching == 0:
        raise EventError(
            "no such event in the file",
            found=_listed(seen) or "no event with in-ice pulses",
            wanted="a physics frame with such pulses"
            if selector is None
            else _selector_text(selector),
        )


def _build(stored: StoredEvent, gcd_dir: str | Path | None, cache_dir: Path | None) -> Event:
    if gcd_dir is not None:
        check_gcd_dir(gcd_dir)
    return event_from_frames(
        stored.frames,
        version=stored.version,
        summary=stored.summary,
        gcd_dir=gcd_dir,
        cache_dir=cache_dir,
    )


def _listed(headers: list[EventHeader]) -> str:
    names = [f"{header.run}:{header.event}:{header.sub_event}" for header in headers]
    return ", ".join(names[:_N_LISTED]) + (", ..." if len(names) > _N_LISTED else "")


def _selector_text(selector: EventSelector) -> str:
    numbers = (selector.run, selector.event, selector.sub_event)
    return ":".join(str(number) for number in numbers if number is not None)


def _read_realtime(path: Path) -> Iterator[StoredEvent]:
    """Read the one event of a realtime message, JSON or pickle."""
    message = read_message(path)
    stops = "".join(frame.stop for frame in message.frames)
    if stops.upper() != _MESSAGE_STOPS:
        raise EventError(
            "a message has other frames than it should",
            found=f"{len(stops)} frames: {' '.join(stops) or 'none'}",
            wanted=f"{len(_MESSAGE_STOPS)} frames: {' '.join(_MESSAGE_STOPS)}",
        )
    yield StoredEvent(message.frames, message.version, message.summary or None)


def _message_frames(path: Path) -> Iterator[Frame]:
    yield from read_message(path).frames


def _read_i3(path: Path) -> Iterator[StoredEvent]:
    """Read the physics frames with in-ice pulses of an .i3 file."""
    n_without = 0
    for frames in i3_events(path):
        # Files have more sub-event streams than the in-ice one (NullSplit, IceTopSplit).
        if any(name in mix_frames(frames) for name in PULSE_NAMES):
            yield StoredEvent(tuple(frames))
        else:
            n_without += 1
    if n_without:
        logger.info("%s: %d physics frames without in-ice pulses left out", path, n_without)


def _known_formats() -> str:
    return "; ".join(f"{reader.name} ({', '.join(reader.suffixes)})" for reader in READERS)


#: Every kind of event file, in the order in which they are tried.
READERS: Final = (
    # Before JSON: an .i3 file begins with a bracket, too.
    EventReader(
        "IceCube file",
        (".i3", ".i3.gz", ".i3.bz2", ".i3.zst"),
        (b"[i3]", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", *_OLD_FRAMES),
        _read_i3,
        read_i3,
    ),
    EventReader(
        "realtime message, JSON", (".json",), (b"{", b"["), _read_realtime, _message_frames
    ),
    EventReader(
        "realtime message, pickle", (".pkl", ".pickle"), (b"\x80",), _read_realtime, _message_frames
    ),
)
