"""I3Geometry: where the optical modules are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.om_key import OMKey, read_key_map
from skymap_scanner.i3.vectors3d import Position, read_position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.i3.archive import ArchiveReader

__all__ = ["GEOMETRY_CODECS", "Geometry", "OMGeometry"]

_OM_TYPE_AREA = struct.Struct("<id")
_QUATERNION = struct.Struct("<dddd")


@dataclass(frozen=True, slots=True)
class OMGeometry:
    """One optical module.

    Parameters
    ----------
    position : Position
        [m].
    om_type : int
        20 = in the ice, 30 = IceTop, 10 = AMANDA, 110 and more = other.
    area : float
        Photocathode area [m^2].
    pmt_type : int
        0 = unknown, 1 = standard, 2 = high quantum efficiency.
    """

    position: Position
    om_type: int
    area: float
    pmt_type: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """The optical modules of the detector; IceTop stations and the rest stay as bytes."""

    modules: Mapping[OMKey, OMGeometry]


def _quaternion_content(reader: ArchiveReader, _version: int) -> None:
    reader.base()
    reader.unpack(_QUATERNION)


def _orientation_content(reader: ArchiveReader, _version: int) -> None:
    reader.base()
    reader.object("I3Quaternion", 0, _quaternion_content)


def _module_content(reader: ArchiveReader, version: int) -> OMGeometry:
    position = read_position(reader)
    if version >= 1:
        reader.object("I3Orientation", 0, _orientation_content)
    else:
        reader.i32()
    om_type, area = reader.unpack(_OM_TYPE_AREA)
    if version == 0:
        reader.f64()
    return OMGeometry(position, om_type, area, reader.i32() if version >= 2 else 0)


def _read_module(reader: ArchiveReader) -> OMGeometry:
    return reader.object("I3OMGeo", 2, _module_content)


def _read_modules(reader: ArchiveReader) -> dict[OMKey, OMGeometry]:
    return read_key_map(reader, "map<OMKey, I3OMGeo>", _read_module, 8)


def _module_map_content(reader: ArchiveReader, _version: int) -> dict[OMKey, OMGeometry]:
    reader.base()
    return _read_modules(reader)


def _read(reader: ArchiveReader, version: int) -> Geometry:
    reader.base()
    if version == 0:
        return Geometry(_read_modules(reader))
    return Geometry(reader.object("I3OMGeoMap", 0, _module_map_content))


#: How the classes of this module are stored; the reader stops behind the modules.
GEOMETRY_CODECS = (Codec("I3Geometry", "I3Geometry", 3, Geometry, _read, reads_all=False),)
