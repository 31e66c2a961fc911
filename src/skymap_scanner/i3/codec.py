"""What the registry needs to know of one frame object class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["Codec", "RawObject"]


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object that stays as bytes: unknown class, newer version, or damaged.

    Parameters
    ----------
    name : str
        Class name in the archive; "" when even that cannot be read.
    version : int
        Version of the class in the archive; -1 when it cannot be read.
    data : bytes
        The whole archive, written back unchanged.
    reason : str
        Why it was not decoded.
    """

    name: str
    version: int
    data: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Codec:
    """How one class is read and written.

    Parameters
    ----------
    class_name : str
        Name in the archive.
    type_name : str
        Label in the frame, as IceTray's compilers spell it.
    version : int
        Newest version; the one that is written.
    object_type : type
        Our class of the decoded object.
    read : callable
        Gets the reader behind the object id and the version; returns the object.
    write : callable or None
        Gets the writer behind the base class I3FrameObject and the object; None: read only.
    reads_all : bool
        False where the reader stops at the part that we need, so bytes are left over.
    """

    class_name: str
    type_name: str
    version: int
    object_type: type
    read: Callable[[ArchiveReader, int], Any]
    write: Callable[[ArchiveWriter, Any], None] | None = None
    reads_all: bool = True
