"""OMKey: the name of an optical module, and containers keyed by it."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["OMKey", "read_key_map", "read_om_key", "write_om_key"]

_KEY = struct.Struct("<iI")
_KEY_PMT = struct.Struct("<iIB")
#: Strings beyond this are not real, and three numbers of a key fit into 64 bits below it.
_MAX_STRING = 1 << 22


class OMKey(NamedTuple):
    """String, optical module on it (1-60 in the ice, 61-64 IceTop) and photomultiplier in it."""

    string: int
    om: int
    pmt: int = 0


def _content(reader: ArchiveReader, version: int) -> OMKey:
    if version < 2:
        reader.base()
    key = OMKey(*reader.unpack(_KEY if version == 0 else _KEY_PMT))
    if not -_MAX_STRING < key.string < _MAX_STRING:
        raise reader.error("not a string of optical modules", found=key.string)
    return key


def read_om_key(reader: ArchiveReader) -> OMKey:
    """Read an OMKey (versions 0 to 2)."""
    return reader.object("OMKey", 2, _content)


def write_om_key(writer: ArchiveWriter, key: tuple[int, int, int]) -> None:
    """Write an OMKey (version 2)."""
    writer.begin("OMKey")
    writer.pack(_KEY_PMT, *key)


def read_key_map(
    reader: ArchiveReader, name: str, read_value: Callable[[ArchiveReader], Any], item_bytes: int
) -> dict[OMKey, Any]:
    """Read a map from OMKey; its keys must be in order, because masks count on it."""
    result = reader.mapping(name, read_om_key, read_value, item_bytes)
    keys = list(result)
    if any(after <= before for before, after in itertools.pairwise(keys)):
        raise reader.error(f"keys of {name} are not sorted")
    return result
