"""Frames on the wire: versions 0 to 6 are read, version 6 is written."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

import google_crc32c

from skymap_scanner.exceptions import FormatError

__all__ = ["BytesSource", "Entry", "Source", "StreamSource", "parse_frame", "serialize_frame"]

TAG: Final = b"[i3]"
_VERSION: Final = 6
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_LONG_SIZE: Final = 0xFFFFFFFF
#: Real frames have some 200 entries, those of simulations up to a few thousand.
_MAX_ENTRIES: Final = 1 << 16
_CHUNK: Final = 1 << 20
#: A frame larger than this is not one (a full GCD frame has some 60 MB).
MAX_FRAME_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a frame as bytes, with its label and the stop of the frame it came from."""

    type_name: str
    data: bytes
    stop: str


class Source(Protocol):
    """Where the bytes of frames come from."""

    position: int

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes or raise FormatError."""

    def at_end(self) -> bool:
        """Whether there is nothing more."""


class BytesSource:
    """Frames in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes or raise FormatError."""
        remaining = len(self.data) - self.position
        if size > remaining:
            raise _too_short(self.position, remaining, size)
        start = self.position
        self.position = start + size
        return self.data[start : self.position]

    def at_end(self) -> bool:
        """Whether there is nothing more."""
        return self.position == len(self.data)


class StreamSource:
    """Frames in a file, read in pieces so that a false size cannot fill the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.position = 0
        self._ahead = b""

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes or raise FormatError."""
        if size > MAX_FRAME_BYTES:
            raise FormatError(
                "an entry is too large",
                place=f"byte {self.position}",
                found=f"{size} bytes",
                wanted=f"at most {MAX_FRAME_BYTES}",
            )
        parts = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        missing = size - len(parts[0])
        while missing:
            part = self.file.read(min(missing, _CHUNK))
            if not part:
                raise _too_short(self.position, size - missing, size)
            parts.append(part)
            missing -= len(part)
        self.position += size
        return b"".join(parts)

    def at_end(self) -> bool:
        """Whether there is nothing more."""
        if not self._ahead:
            self._ahead = self.file.read(1)
        return not self._ahead


def _too_short(position: int, found: int, wanted: int) -> FormatError:
    return FormatError(
        "the frame ends too early",
        place=f"byte {position}",
        found=f"{found} bytes",
        wanted=f"{wanted} bytes",
    )


class _Checked:
    """Reads from a source, keeping the checksum of what the writer's checksum covers."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.start = source.position
        # CRC-32C without its usual inversion; CRC-16/CCITT starts from ones as well.
        self.crc32 = 0xFFFFFFFF
        self.crc16 = 0xFFFF
        self.version = 0
        self.pieces: list[bytes] = []

    def take(self, size: int) -> bytes:
        if self.source.position - self.start + size > MAX_FRAME_BYTES:
            raise FormatError(
                "a frame is too large",
                place=f"byte {self.source.position}",
                found=f"{self.source.position - self.start + size} bytes or more",
                wanted=f"at most {MAX_FRAME_BYTES}",
            )
        data = self.source.take(size)
        self.pieces.append(data)
        if self.version == 6:
            self.crc32 = google_crc32c.extend(self.crc32, data)
        elif self.version == 5:
            self.crc16 = binascii.crc_hqx(data, self.crc16)
        return data

    def size(self) -> int:
        value: int = _U32.unpack(self.take(4))[0]
        if value == _LONG_SIZE:
            value = _U64.unpack(self.take(8))[0]
        return value

    def text(self) -> str:
        # One character per byte: keys and labels survive whatever their encoding.
        return self.take(self.size()).decode("latin-1")

    def class_info(self) -> None:
        info = self.take(2)
        if info != b"\x00\x00":
            raise FormatError(
                "not a frame: class info",
                place=f"byte {self.source.position - 2}",
                found=info.hex(" "),
                wanted="00 00",
            )

    def history(self) -> None:
        """Skip the list of what old programs did to the frame."""
        self.class_info()
        for number in range(self.size()):
            if number == 0:
                self.class_info()
            self.text()
            self.take(1)
            for _ in range(3):
                self.text()


def parse_frame(
    source: Source, *, check: bool = True
) -> tuple[str, dict[str, Entry], bytes | None]:
    """Read the next frame.

    Parameters
    ----------
    source : Source
        Stands at the first byte of a frame and is moved behind it.
    check : bool
        Verify the checksum of versions 5 and 6.

    Returns
    -------
    stop : str
    entries : dict
        In stored order; of a repeated key the last entry.
    exact_bytes : bytes or None
        The bytes of a frame of version 6 that `serialize_frame` would not give back.

    Raises
    ------
    FormatError
        When the bytes are not a frame.
    """
    reader = _Checked(source)
    version = _read_version(reader)
    if version == 4:
        reader.take(12)  # size and checksum, never verified by anyone
    stop_comes_first = version >= 4
    if not stop_comes_first and version > 1:
        reader.history()
    reader.class_info()
    reader.version = version  # from here on the checksum counts
    stop = reader.take(1).decode("latin-1")
    if version == 4:
        reader.history()
    entries, is_plain = _read_entries(reader, stop)
    reader.version = 0
    if version >= 5:
        is_plain &= _read_checksum(reader, version, check=check)
    elif version == 3:
        reader.take(12)
    is_kept = is_plain or version < _VERSION
    return stop, entries, None if is_kept else b"".join(reader.pieces)


def _read_version(reader: _Checked) -> int:
    head = reader.take(4)
    version: int = _U32.unpack(head)[0]
    if head == TAG:
        version = _U32.unpack(reader.take(4))[0]
        if 4 <= version <= _VERSION:
            return version
        raise FormatError(
            "a frame has a version that we cannot read",
            place=f"byte {reader.start + 4}",
            found=version,
            wanted=f"4 to {_VERSION}",
        )
    if version < 4:
        return version
    raise FormatError("not a frame", place=f"byte {reader.start}", found=head, wanted=TAG)


def _read_entries(reader: _Checked, stop: str) -> tuple[dict[str, Entry], bool]:
    entries: dict[str, Entry] = {}
    n_bytes = 0
    start = reader.source.position
    n = _U32.unpack(reader.take(4))[0]
    if n > _MAX_ENTRIES:
        raise FormatError(
            "a frame claims too many entries",
            place=f"byte {start}",
            found=n,
            wanted=f"at most {_MAX_ENTRIES}",
        )
    for _ in range(n):
        place = f"byte {reader.source.position}"
        key, type_name = reader.text(), reader.text()
        data = reader.take(reader.size())
        if not data:
            raise FormatError(
                "an entry has no content",
                place=f"{place}, key {key!r}",
                found="0 bytes",
                wanted="some",
            )
        entries.pop(key, None)
        entries[key] = Entry(type_name, data, stop)
        n_bytes += 12 + len(key) + len(type_name) + len(data)
    return entries, reader.source.position - start - 4 == n_bytes and len(entries) == n


def _read_checksum(reader: _Checked, version: int, *, check: bool) -> bool:
    """Return whether the stored checksum is right."""
    computed = reader.crc32 ^ 0xFFFFFFFF if version == 6 else reader.crc16
    place = f"byte {reader.source.position}"
    stored = _U32.unpack(reader.take(4))[0]
    if check and stored != computed:
        raise FormatError(
            "a frame has a wrong checksum",
            place=place,
            found=f"0x{stored:08X}",
            wanted=f"0x{computed:08X}",
        )
    return bool(stored == computed)


def serialize_frame(stop: str, entries: dict[str, Entry]) -> bytes:
    """Return a version 6 frame of `entries`, in their order."""
    body = bytearray(stop.encode("latin-1") + _U32.pack(len(entries)))
    for key, entry in entries.items():
        for part in (key.encode("latin-1"), entry.type_name.encode("latin-1"), entry.data):
            body += _U32.pack(len(part)) + part
    checksum = google_crc32c.extend(0xFFFFFFFF, bytes(body)) ^ 0xFFFFFFFF
    return TAG + _U32.pack(_VERSION) + b"\x00\x00" + bytes(body) + _U32.pack(checksum)
