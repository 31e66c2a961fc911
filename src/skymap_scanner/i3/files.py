"""`.i3` files: frames one after another, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular, write_atomically
from skymap_scanner.i3.frame import Frame, is_physics
from skymap_scanner.i3.frame_bytes import StreamSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["i3_events", "read_i3", "write_i3"]

_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Levels that IceTray's tools use.
_GZIP_LEVEL: Final = 6
_BZIP2_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 11
#: Memory that a Zstandard file may ask for [bytes]; level 22 asks for this much.
_ZSTD_WINDOW: Final = 1 << 27
#: Bytes inflated at once: four of them can become 128 kB.
_ZSTD_CHUNK: Final = 2048
_PARENTS: Final = "GCDQ"
#: More frames in a row without an event are no data: they would only keep us busy.
_MAX_BARREN: Final = 300_000


def read_i3(path: Path | str, *, check: bool = True) -> Iterator[Frame]:
    """Read the frames of an `.i3` file one by one.

    Parameters
    ----------
    path : Path
        Plain, gzip, bzip2 or Zstandard; told from the first bytes, not from the name.
    check : bool
        Verify the frames' checksums.

    Yields
    ------
    Frame

    Raises
    ------
    FormatError
        When the file cannot be opened, is empty or not made of frames.
    """
    path = Path(path)
    number = n_barren = 0
    with _opened(path) as file:
        source = StreamSource(file)
        while True:
            place = f"{path}: frame {number + 1}"
            try:
                if source.at_end():
                    break
                frame = Frame.read_next(source, check=check, origin=place)
            except (OSError, EOFError, zlib.error, ValueError) as error:
                raise FormatError(
                    f"the file is damaged: {error}",
                    place=place,
                    found=f"{source.position} good bytes",
                    wanted="a whole file",
                ) from error
            number += 1
            n_barren = 0 if is_physics(frame) and len(frame) else n_barren + 1
            if n_barren > _MAX_BARREN:
                raise FormatError(
                    "too many frames without an event",
                    place=place,
                    found=f"{n_barren} frames in a row",
                    wanted=f"at most {_MAX_BARREN}",
                )
            frame.origin = f"{place} ({ascii(frame.stop)[1:-1]})"
            yield frame
    if number == 0:
        raise FormatError("the file holds no frames", place=str(path), found="0 bytes")


def i3_events(path: Path | str, *, check: bool = True) -> Iterator[tuple[Frame, ...]]:
    """Read the events of an `.i3` file.

    Yields
    ------
    tuple of Frame
        For each physics frame the latest G, C, D and Q in the order of the file, then itself;
        those that the file does not have are left out. `mix_frames` joins them.
    """
    parents: dict[str, Frame] = {}
    for frame in read_i3(path, check=check):
        if is_physics(frame):
            yield (*parents.values(), frame)
        elif frame.stop in _PARENTS:
            parents[frame.stop] = frame


def write_i3(path: Path | str, frames: Iterable[Frame]) -> None:
    """Write frames to a file, compressed if its name ends in .gz, .bz2 or .zst.

    Physics frames of scanner packets (p) become P, which all tools know.

    Raises
    ------
    OutputError
        When the file cannot be written; what was there before stays.
    """
    path = Path(path)

    def write(file: BinaryIO) -> None:
        with _compressed(file, path.suffix) as out:
            for frame in frames:
                out.write((frame.copy(stop="P") if frame.stop == "p" else frame).to_bytes())

    write_atomically(path, write)


@contextmanager
def _compressed(file: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """Give a file that compresses into another, which stays open."""
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as out:
            yield cast("BinaryIO", out)
    elif suffix == ".bz2":
        with bz2.BZ2File(file, "wb", compresslevel=_BZIP2_LEVEL) as packed:
            yield cast("BinaryIO", packed)
    elif suffix == ".zst":
        import zstandard

        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        with compressor.stream_writer(file, closefd=False) as stream:
            yield cast("BinaryIO", stream)
    else:
        yield file


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading and undo its compression."""
    with open_regular(path) as raw:
        head = raw.read(4)
        raw.seek(0)
        if head.startswith(_GZIP):
            yield cast("BinaryIO", gzip.GzipFile(fileobj=raw))
        elif head.startswith(_BZIP2):
            yield cast("BinaryIO", bz2.BZ2File(raw))
        elif head == _ZSTD:
            yield cast("BinaryIO", _ZstdFile(raw))
        else:
            yield raw


class _ZstdFile:
    """A Zstandard file of any number of frames whose errors are those of other compressed files."""

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._error = zstandard.ZstdError
        self._is_inside = False
        self._ready = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            packed = packed or self._raw.read(_ZSTD_CHUNK)
            if not packed and self._is_inside:
                raise EOFError("a Zstandard file ends too early")
            if not packed:
                return b""
            self._ready = self._inflate(packed)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _inflate(self, packed: bytes) -> bytes:
        if self._frame.eof:
            self._frame = self._decompressor.decompressobj()
        try:
            data = self._frame.decompress(packed)
        except self._error as error:
            raise OSError(str(error)) from error
        self._is_inside = not self._frame.eof
        return data
