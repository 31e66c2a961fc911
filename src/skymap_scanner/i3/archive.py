"""Portable binary archive: the bytes inside every frame entry, read.

An archive writes numbers little-endian, names each class once (tracking flag and version) and
gives every tracked object a running id, so that a repeated object can be a reference to the first.
It is the Boost serialization scheme as IceCube's "portable binary archive" uses it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np

from skymap_scanner.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ArchiveReader",
    "NewerVersionError",
    "text_from_bytes",
]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

#: Objects inside objects deeper than this are an attack, not an event (real ones: 6).
MAX_DEPTH: Final = 64

_U8: Final = struct.Struct("<B")
_U16: Final = struct.Struct("<H")
_I16: Final = struct.Struct("<h")
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_F32: Final = struct.Struct("<f")
_F64: Final = struct.Struct("<d")
#: The u32 that says that the true size follows as u64.
_LONG_SIZE: Final = 0xFFFFFFFF

_UNFINISHED: Final = object()
#: Longer words are not class names.
_MAX_CLASS_NAME: Final = 128


class NewerVersionError(FormatError):
    """A class has a version newer than we know: the object stays as bytes."""


def text_from_bytes(raw: bytes) -> str:
    """Return stored text, which carries no encoding: UTF-8 where it is, else latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


class ArchiveReader:
    """Read one archive from its first byte to its last.

    Parameters
    ----------
    data : bytes
        The whole archive; nothing beyond it is ever read, and no memory is taken for a count
        that the remaining bytes cannot hold.
    """

    __slots__ = ("_classes", "_depth", "_objects", "_pointed", "data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self._classes: dict[str, tuple[bool, int]] = {}
        self._objects: list[tuple[str, object]] = []
        self._pointed: dict[int, str] = {}
        self._depth = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position

    def error(self, message: str, *, found: object = None, wanted: object = None) -> FormatError:
        """Return a FormatError that names the present byte."""
        return FormatError(message, place=f"byte {self.position}", found=found, wanted=wanted)

    # -- numbers and text -------------------------------------------------------------------

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Read the fields of `layout`, which is little-endian and unpadded."""
        start = self.position
        if len(self.data) - start < layout.size:
            raise self.error(
                "the data end too early",
                found=f"{self.remaining} bytes",
                wanted=f"{layout.size} bytes",
            )
        self.position = start + layout.size
        return layout.unpack_from(self.data, start)

    def take(self, size: int) -> bytes:
        """Read `size` raw bytes."""
        if size > self.remaining:
            raise self.error(
                "the data end too early", found=f"{self.remaining} bytes", wanted=f"{size} bytes"
            )
        start = self.position
        self.position = start + size
        return self.data[start : self.position]

    def u8(self) -> int:
        """Read an unsigned byte."""
        return cast("int", self.unpack(_U8)[0])

    def u16(self) -> int:
        """Read an unsigned 16-bit integer."""
        return cast("int", self.unpack(_U16)[0])

    def u32(self) -> int:
        """Read an unsigned 32-bit integer."""
        return cast("int", self.unpack(_U32)[0])

    def i32(self) -> int:
        """Read a signed 32-bit integer (also every enum)."""
        return cast("int", self.unpack(_I32)[0])

    def u64(self) -> int:
        """Read an unsigned 64-bit integer."""
        return cast("int", self.unpack(_U64)[0])

    def i64(self) -> int:
        """Read a signed 64-bit integer."""
        return cast("int", self.unpack(_I64)[0])

    def f32(self) -> float:
        """Read a 32-bit float."""
        return cast("float", self.unpack(_F32)[0])

    def f64(self) -> float:
        """Read a 64-bit float."""
        return cast("float", self.unpack(_F64)[0])

    def flag(self) -> bool:
        """Read a bool; a byte other than 0 and 1 is an error."""
        value = self.u8()
        if value > 1:
            self.position -= 1
            raise self.error("not a bool", found=value, wanted="0 or 1")
        return bool(value)

    def count(self, item_bytes: int) -> int:
        """Read a collection size; each item takes at least `item_bytes`, so it can be checked."""
        start = self.position
        n = self.u32()
        if n == _LONG_SIZE:
            n = self.u64()
        if n * item_bytes > self.remaining:
            self.position = start
            raise self.error(
                "a count is larger than the data",
                found=f"{n} items",
                wanted=f"at most {(self.remaining - 4) // item_bytes}",
            )
        return n

    def text(self) -> str:
        """Read a string."""
        return text_from_bytes(self.take(self.count(1)))

    def fixed_array(self, length: int) -> None:
        """Read the count in front of a fixed array, which must be `length`."""
        start = self.position
        n = self.u32()
        if n != length:
            self.position = start
            raise self.error("a fixed array has another length", found=n, wanted=length)

    # -- classes and objects ------------------------------------------------------------------

    def class_info(self, name: str, newest: int = 0) -> tuple[bool, int]:
        """Read (at first use in this archive) or recall tracking flag and version of a class.

        Parameters
        ----------
        name : str
            Any name that is distinct for distinct classes and template instances.
        newest : int
            The newest version that we can read.

        Raises
        ------
        NewerVersionError
            When the version is newer.
        """
        known = self._classes.get(name)
        if known is not None:
            return known
        start = self.position
        tracked = self.flag()
        version = self.u8()
        if version == 255:
            version = self.u64()
        if version > newest:
            raise NewerVersionError(
                f"version of {name} is newer than we know",
                place=f"byte {start}",
                found=version,
                wanted=f"at most {newest}",
            )
        self._classes[name] = (tracked, version)
        return tracked, version

    def object(self, name: str, newest: int, read: Callable[[ArchiveReader, int], T]) -> T:
        """Read one object: class info at first use, id if tracked, content if it is new.

        Parameters
        ----------
        name : str
            Class, see `class_info`.
        newest : int
            The newest version that `read` understands.
        read : callable
            Gets this reader and the version and returns the content.
        """
        tracked, version = self.class_info(name, newest)
        return self._content(name, read, tracked=tracked, version=version)

    def _content(
        self, name: str, read: Callable[[ArchiveReader, int], T], *, tracked: bool, version: int
    ) -> T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error("objects are nested too deeply", wanted=f"at most {MAX_DEPTH} levels")
        if not tracked:
            value = read(self, version)
        else:
            identity = self._identity(name)
            if identity < len(self._objects):
                value = cast("T", self._objects[identity][1])
            else:
                self._objects.append((name, _UNFINISHED))
                value = read(self, version)
                self._objects[identity] = (name, value)
        self._depth -= 1
        return value

    def _identity(self, name: str) -> int:
        """Read an object id: that of the next new object, or one of an earlier `name`."""
        identity = self.u32()
        if identity == len(self._objects):
            return identity
        self.position -= 4
        if identity > len(self._objects):
            raise self.error(
                "an object id was never given",
                found=identity,
                wanted=f"at most {len(self._objects)}",
            )
        of_class, value = self._objects[identity]
        if of_class != name or value is _UNFINISHED:
            raise self.error(f"a reference to a {name} leads to a {of_class}", found=identity)
        self.position += 4
        return identity

    def base(self) -> None:
        """Read the base class I3FrameObject, which is empty but takes an id."""
        self.object("I3FrameObject", 0, _read_nothing)

    def top(self) -> str:
        """Read the pointer header in front of the one object of an entry; return its class."""
        self.class_info("shared_ptr<I3FrameObject>", 1)
        start = self.position
        class_id = self.unpack(_I16)[0]
        if class_id < 0:
            self.position = start
            raise self.error("the entry holds a null pointer", found=class_id)
        self._pointed[class_id] = name = self.text()
        return name

    def pointer(
        self,
        pointer_class: str,
        kind_of: Callable[[str], tuple[int, Callable[[ArchiveReader, int], T]] | None],
    ) -> T | None:
        """Read a shared_ptr member, which may point to nothing.

        Parameters
        ----------
        pointer_class : str
            Name of the pointer type, distinct for each pointed-to base.
        kind_of : callable
            Class name -> (newest version, content reader), or None if unknown. The name is "" in
            a stream that leaves it out (the class is not polymorphic).
        """
        self.class_info(f"shared_ptr<{pointer_class}>", 1)
        class_id = self.unpack(_I16)[0]
        if class_id == -1:
            return None
        name = self._pointed.get(class_id)
        if name is None:
            # A class info reads as a u32 far above any name length, or as 0 or 1.
            ahead = int.from_bytes(self.data[self.position : self.position + 4], "little")
            name = self.text() if 1 < ahead < _MAX_CLASS_NAME else ""
            self._pointed[class_id] = name
        kind = kind_of(name)
        if kind is None:
            raise NewerVersionError(
                "a pointer leads to an unknown class", place=f"byte {self.position}", found=name
            )
        return self.object(f"{pointer_class} {name}", *kind)

    def skip_objects(self, name: str, newest: int, n: int, content_bytes: int) -> None:
        """Skip `n` new objects of a class whose content has a fixed size and no objects inside."""
        tracked, _ = self.class_info(name, newest)
        layout = np.dtype([("id", "<u4"), ("content", f"V{content_bytes}")])
        if not tracked:
            self.take(n * content_bytes)
            return
        first = len(self._objects)
        ids = np.frombuffer(self.take(n * layout.itemsize), dtype=layout)["id"]
        if not np.array_equal(ids, np.arange(first, first + n)):
            raise self.error(f"objects of {name} are not numbered one after another")
        self._objects += [(name, _UNFINISHED)] * n

    # -- containers ---------------------------------------------------------------------------

    def sequence(
        self, name: str, read_item: Callable[[ArchiveReader], T], item_bytes: int
    ) -> list[T]:
        """Read a vector or list of objects."""

        def content(reader: ArchiveReader, _version: int) -> list[T]:
            return [read_item(reader) for _ in range(reader.count(item_bytes))]

        return self.object(name, 0, content)

    def mapping(
        self,
        name: str,
        read_key: Callable[[ArchiveReader], K],
        read_value: Callable[[ArchiveReader], V],
        item_bytes: int,
    ) -> dict[K, V]:
        """Read a map; keys are sorted in the stream and must not repeat."""

        def pair(reader: ArchiveReader, _version: int) -> tuple[K, V]:
            key = read_key(reader)
            return key, read_value(reader)

        def content(reader: ArchiveReader, _version: int) -> dict[K, V]:
            n = reader.count(item_bytes)
            result = dict(reader.object(f"pair of {name}", 0, pair) for _ in range(n))
            if len(result) != n:
                raise reader.error("a map repeats keys", found=f"{n} entries", wanted=len(result))
            return result

        return self.object(name, 0, content)

    def end(self) -> None:
        """Check that the archive was read to its last byte."""
        if self.remaining:
            raise self.error(
                "bytes are left over", found=f"{self.remaining} bytes", wanted="the end"
            )


def _read_nothing(_reader: ArchiveReader, _version: int) -> None:
    return None
