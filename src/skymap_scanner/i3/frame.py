"""Frame: named objects that belong together, decoded only when somebody asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.codec import RawObject
from skymap_scanner.i3.frame_bytes import (
    BytesSource,
    Entry,
    Source,
    parse_frame,
    serialize_frame,
)
from skymap_scanner.i3.registry import class_of, decode_object, encode_object, type_name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Frame", "MissingKeyError", "mix_frames"]

T = TypeVar("T")

_FORBIDDEN_IN_KEYS = frozenset(" \t\n")


class MissingKeyError(FormatError, KeyError):
    """A frame has no entry of this name."""


class Frame:
    """A frame: a stop letter and named objects, kept as bytes and decoded lazily.

    Entries that nobody changes are written back byte for byte, those of unknown classes too.

    Parameters
    ----------
    stop : str
        One letter: G geometry, C calibration, D detector status, Q data, P (or p) physics.
    origin : str
        Where it was read, for messages.
    """

    __slots__ = (
        "_decoded",
        "_entries",
        "_exact_bytes",
        "_is_sorted",
        "_parent_origins",
        "origin",
        "stop",
    )

    def __init__(self, stop: str, *, origin: str = "") -> None:
        if len(stop) != 1 or ord(stop) > 255:
            raise FormatError("a frame stop is one letter", found=stop)
        self.stop = stop
        self.origin = origin
        self._entries: dict[str, Entry] = {}
        self._decoded: dict[str, object] = {}
        self._exact_bytes: bytes | None = None
        self._is_sorted = True
        #: Stop of a parent -> where it was read.
        self._parent_origins: dict[str, str] = {}

    # -- bytes --------------------------------------------------------------------------------

    @classmethod
    def from_bytes(cls, data: bytes, *, check: bool = True, origin: str = "") -> Frame:
        """Read the one frame that `data` are.

        Parameters
        ----------
        data : bytes
            A frame of version 0 to 6.
        check : bool
            Verify the checksum.
        origin : str
            Where the bytes come from, for messages.

        Raises
        ------
        FormatError
            When the bytes are not exactly one frame.
        """
        source = BytesSource(bytes(data))
        frame = cls.read_next(source, check=check, origin=origin)
        if not source.at_end():
            raise FormatError(
                "bytes are left over behind the frame",
                place=f"{origin or 'frame'}: byte {source.position}",
                found=f"{len(data) - source.position} bytes",
            )
        return frame

    @classmethod
    def read_next(cls, source: Source, *, check: bool = True, origin: str = "") -> Frame:
        """Read the next frame of a source of many."""
        try:
            stop, entries, exact_bytes = parse_frame(source, check=check)
        except FormatError as error:
            raise (error.at(origin) if origin else error) from error
        keys = list(entries)
        is_sorted = keys == sorted(keys)
        return cls._build(
            stop,
            origin,
            entries,
            {},
            is_sorted=is_sorted,
            exact_bytes=exact_bytes,
            parent_origins={},
        )

    def to_bytes(self) -> bytes:
        """Return the frame as version 6, without what it only sees of its parents.

        The order of a frame that was read unsorted (2016) is kept; new keys of it come last.
        """
        if self._exact_bytes is not None:
            return self._exact_bytes
        own = {key: entry for key, entry in self._entries.items() if entry.stop == self.stop}
        if self._is_sorted:
            own = dict(sorted(own.items()))
        return serialize_frame(self.stop, own)

    # -- entries ------------------------------------------------------------------------------

    def keys(self) -> list[str]:
        """Return all keys, own ones first."""
        return list(self._entries)

    def own_keys(self) -> list[str]:
        """Return the keys that belong to this frame and not to a parent."""
        return [key for key, entry in self._entries.items() if entry.stop == self.stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __repr__(self) -> str:
        return f"<Frame {self.stop} with {len(self)} objects>"

    def __getitem__(self, key: str) -> object:
        """Return the decoded object, or a `RawObject` where that is not possible."""
        if key not in self._decoded:
            self._decoded[key] = decode_object(self._entry(key).data)
        return self._decoded[key]

    def get(self, key: str, kind: type[T]) -> T:
        """Return the object, which must be a `kind`.

        Raises
        ------
        MissingKeyError
            When the frame has no such key.
        FormatError
            When it is of another class or damaged.
        """
        value = self[key]
        if isinstance(value, kind):
            return value
        if isinstance(value, RawObject):
            raise FormatError(
                f"cannot be decoded: {value.reason}", place=self.place(key), wanted=kind.__name__
            )
        raise FormatError(
            "an object of another class",
            place=self.place(key),
            found=type(value).__name__,
            wanted=kind.__name__,
        )

    def find(self, key: str, kind: type[T]) -> T | None:
        """Return the object, which must be a `kind`, or None when there is no such key."""
        return self.get(key, kind) if key in self._entries else None

    def raw(self, key: str) -> bytes:
        """Return the bytes of an entry."""
        return self._entry(key).data

    def type_name(self, key: str) -> str:
        """Return the label of an entry: its C++ type, spelled as its compiler did."""
        return self._entry(key).type_name

    def class_name(self, key: str) -> str:
        """Return the class name in the archive of an entry; "" if unreadable."""
        return class_of(self._entry(key).data)[0]

    def stop_of(self, key: str) -> str:
        """Return the stop of the frame that an entry came from."""
        return self._entry(key).stop

    def place(self, key: str | None = None) -> str:
        """Return words for this frame, or where one of its keys was read, for messages."""
        stop = self._entries[key].stop if key in self._entries else self.stop
        origin = self.origin if stop == self.stop else self._parent_origins.get(stop)
        frame = origin or f"frame {stop}"
        return frame if key is None else f"{frame}, key {key}"

    def _entry(self, key: str) -> Entry:
        try:
            return self._entries[key]
        except KeyError:
            raise MissingKeyError(
                f"no object {key!r} in the frame",
                place=self.place(),
                found=f"{len(self)} others",
            ) from None

    # -- changes ------------------------------------------------------------------------------

    def put(self, key: str, obj: object, *, type_name: str | None = None) -> None:
        """Add or replace an object.

        Parameters
        ----------
        key : str
            Not empty, no blanks.
        obj : object
            One of our dataclasses with a writer, or a `RawObject`.
        type_name : str, optional
            The label; by default IceTray's for this class.
        """
        if not key or _FORBIDDEN_IN_KEYS & set(key) or not key.isascii():
            raise FormatError("an illegal key", place=self.place(), found=repr(key))
        data = encode_object(obj)
        label = type_name if type_name is not None else type_name_of(obj)
        self.remove(key)
        self._entries[key] = Entry(label, data, self.stop)

    def remove(self, key: str) -> None:
        """Remove an object if it is there."""
        self._exact_bytes = None
        self._decoded.pop(key, None)
        self._entries.pop(key, None)

    def copy(self, *, stop: str | None = None) -> Frame:
        """Return a frame with the same entries, own ones under another `stop` if given."""
        return self._subset(self.keys(), self.stop if stop is None else stop)

    def own(self) -> Frame:
        """Return a frame without what this one sees of its parents."""
        return self._subset(self.own_keys(), self.stop)

    def _subset(self, keys: list[str], stop: str) -> Frame:
        entries = {key: self._entries[key] for key in keys}
        own = {key: e for key, e in entries.items() if e.stop == self.stop}
        entries |= {key: replace(entry, stop=stop) for key, entry in own.items()}
        return self._build(
            stop,
            self.origin,
            entries,
            {key: value for key, value in self._decoded.items() if key in entries},
            is_sorted=self._is_sorted,
            exact_bytes=self._exact_bytes if stop == self.stop else None,
            parent_origins=self._parent_origins,
        )

    @classmethod
    def _build(
        cls,
        stop: str,
        origin: str,
        entries: dict[str, Entry],
        decoded: dict[str, object],
        *,
        is_sorted: bool,
        exact_bytes: bytes | None,
        parent_origins: dict[str, str],
    ) -> Frame:
        frame = cls(stop, origin=origin)
        frame._entries = entries
        frame._decoded = decoded
        frame._is_sorted = is_sorted
        frame._exact_bytes = exact_bytes
        frame._parent_origins = dict(parent_origins)
        return frame

    def see(self, parent: Frame) -> None:
        """Add the own entries of `parent` whose keys are not here yet."""
        self._parent_origins[parent.stop] = parent.origin
        for key in parent.own_keys():
            if key not in self._entries:
                self._entries[key] = parent._entries[key]
                if key in parent._decoded:
                    self._decoded[key] = parent._decoded[key]


def is_physics(frame: Frame) -> bool:
    """Whether the frame is one that describes an event (P, and p in scanner packets)."""
    return frame.stop in "Pp"


class FrameMixer:
    """Keeps the latest frame of each stop, in order of first appearance."""

    def __init__(self) -> None:
        self._latest: dict[str, Frame] = {}

    def mix(self, frame: Frame) -> Frame:
        """Take the next frame of a stream; return it with what it sees of its parents."""
        mixed = frame.own()
        if frame.stop not in "IPp":
            self._latest[frame.stop] = mixed.copy()
        for stop, parent in self._latest.items():
            if stop != frame.stop:
                mixed.see(parent)
        return mixed


def mix_frames(frames: Sequence[Frame]) -> Frame:
    """Return the last physics frame of a sequence, seeing the entries of its parents.

    Own keys win, then those of the stop that came first.

    Raises
    ------
    FormatError
        When there is no P (or p) frame.
    """
    mixer = FrameMixer()
    result: Frame | None = None
    for frame in frames:
        mixed = mixer.mix(frame)
        if is_physics(frame):
            result = mixed
    if result is None:
        raise FormatError(
            "no physics frame", found="".join(frame.stop for frame in frames), wanted="a P frame"
        )
    return result
