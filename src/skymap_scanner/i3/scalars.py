"""Frame objects that hold one value: I3Double, I3Int, I3Bool, I3String."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["SCALAR_CODECS", "I3Bool", "I3Double", "I3Int", "I3String"]


@dataclass(frozen=True, slots=True)
class I3Double:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class I3Int:
    """A whole number of 32 bits."""

    value: int


@dataclass(frozen=True, slots=True)
class I3Bool:
    """A truth value."""

    value: bool


@dataclass(frozen=True, slots=True)
class I3String:
    """A text."""

    value: str


def _read_double(reader: ArchiveReader, _version: int) -> I3Double:
    reader.base()
    return I3Double(reader.f64())


def _write_double(writer: ArchiveWriter, obj: I3Double) -> None:
    writer.f64(obj.value)


def _read_int(reader: ArchiveReader, _version: int) -> I3Int:
    reader.base()
    return I3Int(reader.i32())


def _write_int(writer: ArchiveWriter, obj: I3Int) -> None:
    writer.i32(obj.value)


def _read_bool(reader: ArchiveReader, _version: int) -> I3Bool:
    reader.base()
    return I3Bool(reader.flag())


def _write_bool(writer: ArchiveWriter, obj: I3Bool) -> None:
    writer.u8(int(obj.value))


def _read_string(reader: ArchiveReader, _version: int) -> I3String:
    reader.base()
    return I3String(reader.text())


def _write_string(writer: ArchiveWriter, obj: I3String) -> None:
    writer.text(obj.value)


#: How the classes of this module are stored.
SCALAR_CODECS = (
    Codec("I3Double", "I3PODHolder<double>", 0, I3Double, _read_double, _write_double),
    Codec("I3Int", "I3PODHolder<int>", 0, I3Int, _read_int, _write_int),
    Codec("I3Bool", "I3PODHolder<bool>", 0, I3Bool, _read_bool, _write_bool),
    Codec("I3String", "I3PODHolder<string>", 0, I3String, _read_string, _write_string),
)
