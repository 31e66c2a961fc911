"""Frame objects that hold many plain values: I3Vector... and I3Map..."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.archive import ArchiveReader
from skymap_scanner.i3.archive_writer import ArchiveWriter, bytes_from_text
from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.om_key import OMKey, read_key_map, read_om_key, write_om_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = [
    "COLLECTION_CODECS",
    "KeyMap",
    "NumberVector",
    "OMKeyVector",
    "StringMap",
    "StringVector",
]

#: Class name -> (type of the elements in C++, how they are stored).
_NUMBER_VECTORS: Final = {
    "I3VectorBool": ("bool", "u1"),
    "I3VectorChar": ("char", "i1"),
    "I3VectorShort": ("int16_t", "<i2"),
    "I3VectorUShort": ("uint16_t", "<u2"),
    "I3VectorInt": ("int", "<i4"),
    "I3VectorUInt": ("unsigned int", "<u4"),
    "I3VectorInt64": ("int64_t", "<i8"),
    "I3VectorUInt64": ("uint64_t", "<u8"),
    "I3VectorFloat": ("float", "<f4"),
    "I3VectorDouble": ("double", "<f8"),
}
#: Class name -> (type of the values in C++, layout of one).
_STRING_MAPS: Final = {
    "I3MapStringDouble": ("double", struct.Struct("<d")),
    "I3MapStringInt": ("int", struct.Struct("<i")),
    "I3MapStringBool": ("bool", struct.Struct("<?")),
}


@dataclass(frozen=True, slots=True, eq=False)
class NumberVector:
    """A list of numbers.

    Parameters
    ----------
    class_name : str
        I3VectorBool, -Char, -Short, -UShort, -Int, -UInt, -Int64, -UInt64, -Float or -Double.
    values : ndarray, shape (n,)
    """

    class_name: str
    values: NDArray[Any]


@dataclass(frozen=True, slots=True)
class StringVector:
    """A list of texts."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OMKeyVector:
    """A list of optical modules, for instance BadDomsList."""

    keys: tuple[OMKey, ...]


@dataclass(frozen=True, slots=True)
class StringMap:
    """Numbers by name; `class_name` is I3MapStringDouble, -Int or -Bool."""

    class_name: str
    values: Mapping[str, float | int | bool]


@dataclass(frozen=True, slots=True)
class KeyMap:
    """Numbers by optical module; `class_name` is I3MapKeyDouble or I3MapKeyVectorDouble."""

    class_name: str
    values: Mapping[OMKey, float | tuple[float, ...]]


def _read_numbers(class_name: str, reader: ArchiveReader, _version: int) -> NumberVector:
    reader.base()
    layout = np.dtype(_NUMBER_VECTORS[class_name][1])
    n = reader.count(layout.itemsize)
    return NumberVector(class_name, np.frombuffer(reader.take(n * layout.itemsize), dtype=layout))


def _write_numbers(writer: ArchiveWriter, obj: NumberVector) -> None:
    layout = np.dtype(_NUMBER_VECTORS[obj.class_name][1])
    stored = np.asarray(obj.values).astype(layout)
    if not np.array_equal(stored, obj.values, equal_nan=layout.kind == "f") and layout.kind != "f":
        raise FormatError("numbers do not fit into their vector", found=obj.class_name)
    writer.u32(len(stored))
    writer.raw(stored.tobytes())


def _read_strings(reader: ArchiveReader, _version: int) -> StringVector:
    reader.base()
    return StringVector(tuple(reader.sequence("vector<string>", ArchiveReader.text, 4)))


def _write_strings(writer: ArchiveWriter, obj: StringVector) -> None:
    writer.sequence("vector<string>", obj.values, ArchiveWriter.text)


def _read_keys(reader: ArchiveReader, _version: int) -> OMKeyVector:
    reader.base()
    return OMKeyVector(tuple(reader.sequence("vector<OMKey>", read_om_key, 4)))


def _write_keys(writer: ArchiveWriter, obj: OMKeyVector) -> None:
    writer.sequence("vector<OMKey>", obj.keys, write_om_key)


def _read_string_map(class_name: str, reader: ArchiveReader, _version: int) -> StringMap:
    reader.base()
    layout = _STRING_MAPS[class_name][1]

    def read_value(inner: ArchiveReader) -> float | int | bool:
        value: float | int | bool = inner.unpack(layout)[0]
        return value

    values = reader.mapping("map<string, number>", ArchiveReader.text, read_value, 4 + layout.size)
    return StringMap(class_name, values)


def _write_string_map(writer: ArchiveWriter, obj: StringMap) -> None:
    layout = _STRING_MAPS[obj.class_name][1]
    items = sorted(obj.values.items(), key=lambda item: bytes_from_text(item[0]))
    writer.mapping(
        "map<string, number>", items, ArchiveWriter.text, lambda out, value: out.pack(layout, value)
    )


def _read_doubles(reader: ArchiveReader) -> tuple[float, ...]:
    n = reader.count(8)
    return tuple(np.frombuffer(reader.take(8 * n), dtype="<f8").tolist())


def _write_doubles(writer: ArchiveWriter, values: tuple[float, ...]) -> None:
    writer.u32(len(values))
    writer.raw(np.asarray(values, dtype="<f8").tobytes())


#: Class name -> (type of the values in C++, reader, writer, bytes of the smallest).
_KEY_MAPS: Final[dict[str, tuple[str, Callable[..., Any], Callable[..., None], int]]] = {
    "I3MapKeyDouble": ("double", ArchiveReader.f64, ArchiveWriter.f64, 8),
    "I3MapKeyVectorDouble": ("vector<double> ", _read_doubles, _write_doubles, 4),
}


def _read_key_map(class_name: str, reader: ArchiveReader, _version: int) -> KeyMap:
    reader.base()
    _, read_value, _, item_bytes = _KEY_MAPS[class_name]
    return KeyMap(
        class_name, read_key_map(reader, "map<OMKey, number>", read_value, 4 + item_bytes)
    )


def _write_key_map(writer: ArchiveWriter, obj: KeyMap) -> None:
    write_value = _KEY_MAPS[obj.class_name][2]
    writer.mapping("map<OMKey, number>", sorted(obj.values.items()), write_om_key, write_value)


#: How the classes of this module are stored.
COLLECTION_CODECS = (
    Codec("I3VectorOMKey", "I3Vector<OMKey>", 0, OMKeyVector, _read_keys, _write_keys),
    Codec("I3VectorString", "I3Vector<string>", 0, StringVector, _read_strings, _write_strings),
    *(
        Codec(
            name,
            f"I3Vector<{label}>",
            0,
            NumberVector,
            partial(_read_numbers, name),
            _write_numbers,
        )
        for name, (label, _) in _NUMBER_VECTORS.items()
    ),
    *(
        Codec(
            name,
            f"I3Map<string, {label}>",
            0,
            StringMap,
            partial(_read_string_map, name),
            _write_string_map,
        )
        for name, (label, _) in _STRING_MAPS.items()
    ),
    *(
        Codec(
            name,
            f"I3Map<OMKey, {label}>",
            0,
            KeyMap,
            partial(_read_key_map, name),
            _write_key_map,
        )
        for name, (label, *_) in _KEY_MAPS.items()
    ),
)
