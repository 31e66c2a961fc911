"""Portable binary archive: the bytes inside every frame entry, written as IceTray would."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeVar

from skymap_scanner.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ArchiveWriter", "bytes_from_text"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_U8: Final = struct.Struct("<B")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_F64: Final = struct.Struct("<d")


def bytes_from_text(text: str) -> bytes:
    """Return text as it is stored (UTF-8)."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError("text that cannot be stored", found=ascii(text[:80])) from error


#: Version that we write of each tracked class; classes not named here are not tracked, version 0.
_WRITTEN: Final[dict[str, int]] = {
    "I3FrameObject": 0,
    "I3Time": 0,
    "I3Position": 0,
    "I3Direction": 0,
    "I3Particle": 5,
    "OMKey": 2,
    "I3TimeWindow": 1,
    "I3TimeWindowSeries": 1,
    "I3RecoPulse": 3,
}


class ArchiveWriter:
    """Write one archive, with class infos and object ids as IceTray would.

    Parameters
    ----------
    class_name : str
        Class of the one object that the archive holds.
    version : int
        Its version.
    """

    __slots__ = ("_classes", "_n_objects", "_out")

    def __init__(self, class_name: str, version: int) -> None:
        self._out = bytearray(b"\x00\x01\x02\x00")
        self._classes: set[str] = set()
        self._n_objects = 0
        self.text(class_name)
        self._out += b"\x01"
        self.u8(version)
        self._new_id()
        self._classes.add(class_name)
        self.base()

    def to_bytes(self) -> bytes:
        """Return what was written."""
        return bytes(self._out)

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._out += data

    def pack(self, layout: struct.Struct, *values: object) -> None:
        """Write the fields of `layout`."""
        try:
            self._out += layout.pack(*values)
        except (struct.error, OverflowError, TypeError) as error:
            raise FormatError(
                f"a value cannot be stored: {error}", found=repr(values)[:80]
            ) from error

    def u8(self, value: int) -> None:
        """Write an unsigned byte."""
        self.pack(_U8, value)

    def u16(self, value: int) -> None:
        """Write an unsigned 16-bit integer."""
        self.pack(_U16, value)

    def u32(self, value: int) -> None:
        """Write an unsigned 32-bit integer (also collection sizes)."""
        self.pack(_U32, value)

    def i32(self, value: int) -> None:
        """Write a signed 32-bit integer (also every enum)."""
        self.pack(_I32, value)

    def u64(self, value: int) -> None:
        """Write an unsigned 64-bit integer."""
        self.pack(_U64, value)

    def i64(self, value: int) -> None:
        """Write a signed 64-bit integer."""
        self.pack(_I64, value)

    def f64(self, value: float) -> None:
        """Write a 64-bit float."""
        self.pack(_F64, value)

    def text(self, value: str) -> None:
        """Write a string."""
        data = bytes_from_text(value)
        self.u32(len(data))
        self._out += data

    def begin(self, name: str) -> None:
        """Start an object: class info at first use, a new id if its class is tracked."""
        tracked = name in _WRITTEN
        if name not in self._classes:
            self._classes.add(name)
            self.u8(int(tracked))
            self.u8(_WRITTEN.get(name, 0))
        if tracked:
            self._new_id()

    def base(self) -> None:
        """Write the base class I3FrameObject."""
        self.begin("I3FrameObject")

    def _new_id(self) -> None:
        self.u32(self._n_objects)
        self._n_objects += 1

    def sequence(
        self, name: str, items: Iterable[T], write_item: Callable[[ArchiveWriter, T], object]
    ) -> None:
        """Write a vector or list of objects."""
        listed = list(items)
        self.begin(name)
        self.u32(len(listed))
        for item in listed:
            write_item(self, item)

    def mapping(
        self,
        name: str,
        items: Iterable[tuple[K, V]],
        write_key: Callable[[ArchiveWriter, K], object],
        write_value: Callable[[ArchiveWriter, V], object],
    ) -> None:
        """Write a map, whose items come sorted by key."""
        listed = list(items)
        self.begin(name)
        self.u32(len(listed))
        for key, value in listed:
            self.begin(f"pair of {name}")
            write_key(self, key)
            write_value(self, value)
