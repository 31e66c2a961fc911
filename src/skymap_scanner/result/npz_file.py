"""Result files in numpy's ``.npz`` format: one structured array per nside and a header.

Nothing in a file is believed before it is checked: sizes are compared with what the file really
holds before memory is reserved, and objects (pickles) are never loaded.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from skymap_scanner.exceptions import ResultError
from skymap_scanner.result.header import ScanHeader
from skymap_scanner.sky.healpix import NSIDE_MAX, is_nside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_arrays", "read_nside", "write_arrays"]

_NSIDE_KEY: Final = re.compile(r"nside-([1-9][0-9]{0,8})", re.ASCII)
_WANTED: Final = "an .npz scan result with arrays header, nside-8, nside-64 ..."
#: Largest array that is read [bytes]: far above a map of ten million pixels.
_MAX_BYTES: Final = 1 << 31
#: What zipfile and numpy raise on damaged files.
_DAMAGE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, ValueError,
    TypeError, KeyError, IndexError, NotImplementedError, RuntimeError, OverflowError, SyntaxError,
    MemoryError,
)  # fmt: skip


def read_nside(key: str, place: str) -> int:
    """Return the nside that a key like ``nside-64`` names.

    Raises
    ------
    ResultError
        When the key does not name a resolution.
    """
    match = _NSIDE_KEY.fullmatch(key)
    if not match or not is_nside(int(match[1])):
        raise ResultError(
            "a key does not name a resolution",
            place=place,
            found=repr(key[:40]),
            wanted=f"nside-N, N a power of two up to {NSIDE_MAX}",
        )
    return int(match[1])


def write_arrays(
    file: BinaryIO, arrays: Mapping[int, NDArray[np.void]], header: ScanHeader
) -> None:
    """Write pixels and header in the layout that ``icecube-skyreader`` reads (version 1).

    Parameters
    ----------
    file : binary file
        Where to write; equal input gives equal bytes.
    arrays : Mapping
        nside -> structured array of `PIXEL_DTYPE`, sorted by index; at least one.
    header : ScanHeader
        What is known about the scan.
    """
    nsides = sorted(arrays)
    keyed: dict[str, Any] = {f"nside-{nside}": arrays[nside] for nside in nsides}
    np.savez(file, header=header.to_array(nsides), **keyed)


def read_arrays(path: Path) -> tuple[dict[int, NDArray[np.void]], ScanHeader]:
    """Read pixels and header of our files, of ``icecube-skyreader``'s and of the classic scanner's.

    Classic files of version 0 have no vertex columns, and often no header.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    arrays : dict
        nside -> structured array as stored, shape (n,).
    header : ScanHeader
        Of the first nside; defaults when the file has none.

    Raises
    ------
    ResultError
        When the file is missing, damaged or not a scan result.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            stored = {key: _read_member(archive, info, path) for key, info in members.items()}
    except _DAMAGE as error:
        # numpy's reasons may be of many lines; the first says what happened
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ResultError(
            "not a whole .npz file", place=str(path), found=reason, wanted=_WANTED
        ) from error
    except OSError as error:
        raise ResultError(
            "cannot be read", place=str(path), found=error.strerror or str(error), wanted=_WANTED
        ) from error
    header = stored.pop("header", None)
    if not stored and header is None:
        raise ResultError("holds no arrays", place=str(path), wanted=_WANTED)
    return _by_nside(stored, header, path)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NDArray[np.void]:
    """Read one array after comparing the shape it claims with the bytes that are there."""
    place = f"{path}: {info.filename}"
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise ResultError("npy format not known", place=place, found=version, wanted="1.0, 2.0")
        shape, _, dtype = readers[version](member)
        if dtype.hasobject or dtype.names is None or len(shape) != 1:
            raise ResultError(
                "not a table",
                place=place,
                found=f"{_short(dtype)} of shape {shape}",
                wanted="rows of numbers with named columns (objects are never loaded)",
            )
        n_bytes = shape[0] * dtype.itemsize
        n_stored = info.file_size - member.tell()
        if n_bytes != n_stored or n_bytes > _MAX_BYTES:
            raise ResultError(
                "the array has not the size that it claims",
                place=place,
                found=f"{n_stored} bytes",
                wanted=f"{n_bytes} bytes, at most {_MAX_BYTES}",
            )
        # reading to the end of the member makes zipfile compare the checksum
        return np.frombuffer(member.read(), dtype)


def _by_nside(
    stored: dict[str, NDArray[np.void]], header: NDArray[np.void] | None, path: Path
) -> tuple[dict[int, NDArray[np.void]], ScanHeader]:
    """Pair the arrays with the header rows; both sides must name the same nsides."""
    arrays = {read_nside(key, str(path)): array for key, array in stored.items()}
    if header is None:
        return arrays, ScanHeader()
    place = f"{path}: header"
    names = header.dtype.names or ()
    rows = [dict(zip(names, row.item(), strict=True)) for row in header]
    nsides = [row.get("nside") for row in rows]
    if sorted(map(str, nsides)) != sorted(map(str, arrays)):
        raise ResultError(
            "header and arrays name different nsides",
            place=place,
            found=f"header {_short(nsides)}, arrays {sorted(arrays)}",
            wanted="one header row per array",
        )
    headers = [ScanHeader.from_row(row, place=place) for row in rows]
    if any(str(other.event_metadata) != str(headers[0].event_metadata) for other in headers):
        raise ResultError(
            "holds parts of different events",
            place=place,
            found=", ".join(sorted({str(one.event_metadata) for one in headers})),
            wanted="one event per file",
        )
    return arrays, headers[0] if headers else ScanHeader()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
