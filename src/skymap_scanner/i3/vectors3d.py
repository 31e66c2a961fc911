"""Position and direction in detector coordinates."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = [
    "VECTOR_CODECS",
    "Direction",
    "Position",
    "read_direction",
    "read_position",
    "write_direction",
    "write_position",
]

_XYZ = struct.Struct("<ddd")
_ANGLES = struct.Struct("<dd")


@dataclass(frozen=True, slots=True)
class Position:
    """A point in detector coordinates [m]."""

    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class Direction:
    """Where a particle comes from, in the detector's frame [rad]."""

    zenith: float
    azimuth: float

    @property
    def travel(self) -> tuple[float, float, float]:
        """Unit vector along which the particle travels."""
        sin_zenith = math.sin(self.zenith)
        return (
            -sin_zenith * math.cos(self.azimuth),
            -sin_zenith * math.sin(self.azimuth),
            -math.cos(self.zenith),
        )


def _position_content(reader: ArchiveReader, _version: int) -> Position:
    reader.base()
    return Position(*reader.unpack(_XYZ))


def read_position(reader: ArchiveReader) -> Position:
    """Read an I3Position member."""
    return reader.object("I3Position", 0, _position_content)


def write_position(writer: ArchiveWriter, position: Position) -> None:
    """Write an I3Position member."""
    writer.begin("I3Position")
    writer.base()
    writer.pack(_XYZ, position.x, position.y, position.z)


def _direction_content(reader: ArchiveReader, _version: int) -> Direction:
    reader.base()
    return Direction(*reader.unpack(_ANGLES))


def read_direction(reader: ArchiveReader) -> Direction:
    """Read an I3Direction member."""
    return reader.object("I3Direction", 0, _direction_content)


def write_direction(writer: ArchiveWriter, direction: Direction) -> None:
    """Write an I3Direction member."""
    writer.begin("I3Direction")
    writer.base()
    writer.pack(_ANGLES, direction.zenith, direction.azimuth)


def _write_position_object(writer: ArchiveWriter, obj: Position) -> None:
    writer.pack(_XYZ, obj.x, obj.y, obj.z)


def _write_direction_object(writer: ArchiveWriter, obj: Direction) -> None:
    writer.pack(_ANGLES, obj.zenith, obj.azimuth)


#: How the classes of this module are stored.
VECTOR_CODECS = (
    Codec("I3Position", "I3Position", 0, Position, _position_content, _write_position_object),
    Codec("I3Direction", "I3Direction", 0, Direction, _direction_content, _write_direction_object),
)
