"""Decode and encode the object of a frame entry, whatever its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.archive import ArchiveReader
from skymap_scanner.i3.archive_writer import ArchiveWriter
from skymap_scanner.i3.calibration import CALIBRATION_CODECS
from skymap_scanner.i3.codec import Codec, RawObject
from skymap_scanner.i3.detector_status import DETECTOR_STATUS_CODECS
from skymap_scanner.i3.diffs import DIFF_CODECS
from skymap_scanner.i3.fit_params import FIT_PARAMS_CODECS
from skymap_scanner.i3.geometry import GEOMETRY_CODECS
from skymap_scanner.i3.header_time import HEADER_CODECS
from skymap_scanner.i3.masks import MASK_CODECS
from skymap_scanner.i3.mctree import MCTREE_CODECS
from skymap_scanner.i3.particle import PARTICLE_CODECS
from skymap_scanner.i3.pulse_map import PULSE_CODECS
from skymap_scanner.i3.scalars import SCALAR_CODECS
from skymap_scanner.i3.superdst import SUPERDST_CODECS
from skymap_scanner.i3.time_windows import TIME_WINDOW_CODECS
from skymap_scanner.i3.vectors3d import VECTOR_CODECS
from skymap_scanner.i3.vectors_maps import COLLECTION_CODECS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CODECS", "class_of", "decode_object", "encode_object", "type_name_of"]

#: Every class that we decode, by its name in the archive.
CODECS: Final[dict[str, Codec]] = {
    codec.class_name: codec
    for codec in (
        *SCALAR_CODECS,
        *VECTOR_CODECS,
        *HEADER_CODECS,
        *PARTICLE_CODECS,
        *TIME_WINDOW_CODECS,
        *PULSE_CODECS,
        *MASK_CODECS,
        *SUPERDST_CODECS,
        *FIT_PARAMS_CODECS,
        *COLLECTION_CODECS,
        *MCTREE_CODECS,
        *GEOMETRY_CODECS,
        *CALIBRATION_CODECS,
        *DETECTOR_STATUS_CODECS,
        *DIFF_CODECS,
    )
}


def class_of(data: bytes) -> tuple[str, int]:
    """Return class name and version of the object in an archive; "" and -1 if unreadable."""
    reader = ArchiveReader(data)
    name = ""
    try:
        name = reader.top()
        return name, reader.class_info(name, 2**64)[1]
    except FormatError:
        return name, -1


def decode_object(data: bytes) -> object:
    """Return the object that an archive holds.

    Returns
    -------
    object
        One of our dataclasses; a `RawObject` when the class is unknown or newer than we know, or
        when its bytes are not what the format says.
    """
    name, version = class_of(data)
    codec = CODECS.get(name)
    if codec is None:
        return RawObject(name, version, data, f"unknown class {name!r}")
    try:
        return _decode(data, codec)
    except FormatError as error:
        return RawObject(name, version, data, str(error))


def _decode(data: bytes, codec: Codec) -> object:
    reader = ArchiveReader(data)
    name = reader.top()
    result: object = reader.object(name, codec.version, codec.read)
    if codec.reads_all:
        reader.end()
    return result


def encode_object(obj: object) -> bytes:
    """Return the archive of one object.

    Raises
    ------
    FormatError
        When there is no writer for its class, or a value does not fit.
    """
    if isinstance(obj, RawObject):
        return obj.data
    codec = _codec_of(obj)
    write: Callable[[ArchiveWriter, object], None] | None = codec.write
    if write is None:
        raise FormatError("objects of this class cannot be written", found=codec.class_name)
    writer = ArchiveWriter(codec.class_name, codec.version)
    write(writer, obj)
    return writer.to_bytes()


def type_name_of(obj: object) -> str:
    """Return the label that IceTray gives entries of the class of `obj`."""
    if isinstance(obj, RawObject):
        return obj.name
    return _codec_of(obj).type_name


def _codec_of(obj: object) -> Codec:
    kind = getattr(obj, "class_name", None)
    for codec in CODECS.values():
        if isinstance(obj, codec.object_type) and kind in (None, codec.class_name):
            return codec
    raise FormatError("an object cannot be put into a frame", found=type(obj).__name__)
