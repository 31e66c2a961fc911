"""Result files in JSON: per nside the keys ``columns``, ``data`` and ``metadata``, and no others.

NaN has no JSON number; it is written as the marker of ``icecube-skyreader``, which reads the files.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import ResultError
from skymap_scanner.pixels import PIXEL_DTYPE
from skymap_scanner.result.header import NAN_MARKER, ScanHeader
from skymap_scanner.result.npz_file import read_nside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["dump_document", "from_document", "load_document", "to_document"]

_KEYS: Final = {"columns", "data", "metadata"}
_COLUMNS: Final = tuple(PIXEL_DTYPE.names or ())
#: Layouts that are read: version 0 (without vertex) and 1.
_LAYOUTS: Final = (_COLUMNS[:4], _COLUMNS)
_WANTED: Final = "a JSON scan result with keys nside-8, nside-64 ..."


def to_document(arrays: Mapping[int, NDArray[np.void]], header: ScanHeader) -> dict[str, Any]:
    """Return the JSON document of a result as plain Python objects.

    Parameters
    ----------
    arrays : Mapping
        nside -> structured array of `PIXEL_DTYPE`, sorted by index.
    header : ScanHeader
        What is known about the scan.

    Returns
    -------
    dict
        ``nside-N`` -> columns, data (one row per pixel), metadata; NaN replaced by its marker.
    """
    return {
        f"nside-{nside}": {
            "columns": list(_COLUMNS),
            "data": _rows(arrays[nside]),
            "metadata": {name: _plain(value) for name, value in header.row(nside).items()},
        }
        for nside in sorted(arrays)
    }


def dump_document(document: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the text of a document, one pixel per line."""
    parts = []
    for key, block in document.items():
        rows = ",\n".join(json.dumps(row, allow_nan=False) for row in block["data"])
        parts.append(
            f'{json.dumps(key)}: {{\n"columns": {json.dumps(block["columns"])},\n'
            f'"metadata": {json.dumps(block["metadata"], allow_nan=False)},\n'
            f'"data": [\n{rows}\n]}}'
        )
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def load_document(path: Path) -> dict[str, Any]:
    """Read a JSON file that should hold a result.

    Raises
    ------
    ResultError
        When the file is missing or not a JSON object.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultError(
            "cannot be read", place=str(path), found=error.strerror or str(error), wanted=_WANTED
        ) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "not JSON", place=str(path), found=str(error)[:120], wanted=_WANTED
        ) from error
    if not isinstance(document, dict):
        raise ResultError(
            "not a JSON object", place=str(path), found=type(document).__name__, wanted=_WANTED
        )
    return document


def from_document(
    document: Mapping[str, Any], *, place: str = "result document"
) -> tuple[dict[int, NDArray[np.void]], ScanHeader]:
    """Turn a JSON document into pixels and header.

    Parameters
    ----------
    document : Mapping
        As made by `to_document`, by ``icecube-skyreader`` or by the classic scanner.
    place : str, optional
        Named in errors: the file.

    Returns
    -------
    arrays : dict
        nside -> structured array, shape (n,), with the columns that are there.
    header : ScanHeader
        Of the first nside.

    Raises
    ------
    ResultError
        When the document is not a scan result.
    """
    if not document:
        raise ResultError("holds no nsides", place=place, found="{}", wanted=_WANTED)
    arrays: dict[int, NDArray[np.void]] = {}
    headers: list[ScanHeader] = []
    for key, block in document.items():
        nside = read_nside(key, place)
        here = f"{place}: {key}"
        if not isinstance(block, dict) or set(block) != _KEYS:
            found = sorted(block) if isinstance(block, dict) else type(block).__name__
            raise ResultError(
                "wrong keys", place=here, found=str(found)[:80], wanted="columns, data, metadata"
            )
        arrays[nside] = _array(block["columns"], block["data"], here)
        headers.append(_header(block["metadata"], nside, here))
    if any(str(other.event_metadata) != str(headers[0].event_metadata) for other in headers):
        raise ResultError(
            "holds parts of different events",
            place=place,
            found=", ".join(sorted({str(one.event_metadata) for one in headers})),
            wanted="one event per file",
        )
    return arrays, headers[0]


def _header(metadata: object, nside: int, place: str) -> ScanHeader:
    if not isinstance(metadata, dict) or metadata.get("nside", nside) != nside:
        found = metadata.get("nside") if isinstance(metadata, dict) else type(metadata).__name__
        raise ResultError("wrong metadata", place=place, found=found, wanted=f"nside {nside}")
    return ScanHeader.from_row(metadata, place=f"{place}: metadata")


def _array(columns: object, data: object, place: str) -> NDArray[np.void]:
    """Make a structured array from rows of numbers."""
    layout = tuple(columns) if isinstance(columns, list) else ()
    if layout not in _LAYOUTS:
        raise ResultError(
            "columns not known",
            place=place,
            found=str(columns)[:100],
            wanted=" or ".join(str(list(known)) for known in _LAYOUTS),
        )
    dtype = np.dtype([(name, PIXEL_DTYPE[name]) for name in layout])
    if not isinstance(data, list):
        raise ResultError("data is not a list", place=place, found=type(data).__name__)
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(layout):
            found = f"row {number}: {str(row)[:60]}"
            wanted = f"{len(layout)} numbers"
            raise ResultError("not a row", place=place, found=found, wanted=wanted)
    array = np.empty(len(data), dtype)
    for name, values in zip(layout, zip(*data, strict=True), strict=False):
        array[name] = _column(name, values, place)
    return array


def _column(name: str, values: tuple[object, ...], place: str) -> NDArray[Any]:
    """Check the numbers of a column; the marker of NaN becomes NaN again."""
    for row, value in enumerate(values):
        is_number = type(value) is int or (type(value) is float and name != "index")
        if not is_number and (name == "index" or value != NAN_MARKER):
            raise ResultError(
                f"not a number in column {name}",
                place=place,
                found=f"row {row}: {str(value)[:40]!r}",
                wanted="a whole number" if name == "index" else f"a number or {NAN_MARKER!r}",
            )
    numbers: list[Any] = [math.nan if value == NAN_MARKER else value for value in values]
    try:
        return np.array(numbers, PIXEL_DTYPE[name])
    except OverflowError as error:
        raise ResultError(
            f"number too large in column {name}", place=place, wanted=PIXEL_DTYPE[name]
        ) from error


def _rows(array: NDArray[np.void]) -> list[list[Any]]:
    """Return the pixels as lists of Python numbers with markers for NaN."""
    rows = [list(row) for row in array.tolist()]
    for column, name in enumerate(array.dtype.names or ()):
        if name != "index":
            for row in np.flatnonzero(~np.isfinite(array[name])):
                rows[row][column] = NAN_MARKER
    return rows


def _plain(value: object) -> object:
    return NAN_MARKER if isinstance(value, float) and math.isnan(value) else value
