"""I3SuperDST: all pulses of an event, quantised and packed; the object and its bytes.

A *readout* is a run of pulses of one module with the same local-coincidence value; each of its
pulses is a *stamp* of time and charge. Times are differences, values that do not fit into a stamp
overflow into the next words, and widths (powers of two) are run-length coded in four streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter
    from skymap_scanner.i3.pulse_map import BoolArray
    from skymap_scanner.units import IntArray

__all__ = ["SUPERDST_CODECS", "SuperDst"]

#: Values from here on overflow: time of the first stamp of a readout, of later ones, charge.
FIRST_TIME_FULL: Final = 2047
TIME_FULL: Final = 255
CHARGE_FULL: Final = 63
#: Optical modules above this number are IceTop tanks.
IN_ICE_OMS: Final = 60
_WORD_FULL: Final = 0xFFFF
_LC_BIT: Final = 1 << 14
_STOP_BIT: Final = 1 << 15
#: The brightest event seen has 3,300 stamps; unpacked, each takes a hundred times its bytes.
_MAX_STAMPS: Final = 1_000_000
#: A run of more digits is longer than any stream.
_MAX_RUN_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class SuperDst:
    """The codes of all readouts, in stream order.

    Parameters
    ----------
    version : int
        0 (4 ns and 0.15 PE steps, read only) or 1.
    dom_id : ndarray, shape (n_readout,)
        ``string << 6 | om - 1``.
    is_hlc : ndarray of bool, shape (n_readout,)
        Hard local coincidence.
    n_stamps : ndarray, shape (n_readout,)
        Pulses of each readout.
    time_code : ndarray, shape (n_stamp,)
        Difference to the first stamp of the previous readout (first stamps; the very first: to
        -512 ns) or to the stamp before.
    charge_code, width_code : ndarray, shape (n_stamp,)
        Quantised charge; log2 of the width [ns].
    """

    version: int
    dom_id: IntArray
    is_hlc: BoolArray
    n_stamps: IntArray
    time_code: IntArray
    charge_code: IntArray
    width_code: IntArray

    @property
    def is_icetop(self) -> BoolArray:
        """Whether each readout is of an IceTop tank."""
        return (self.dom_id & 63) >= IN_ICE_OMS

    @property
    def width_stream(self) -> IntArray:
        """Number of the width stream of each stamp: 2 * IceTop + local coincidence."""
        return np.repeat(2 * self.is_icetop + self.is_hlc, self.n_stamps)


class _Words:
    """The stamp words, taken one after another."""

    def __init__(self, words: list[int]) -> None:
        self.words = words
        self.position = 0

    def next(self) -> int:
        if self.position == len(self.words):
            raise FormatError("stamps of I3SuperDST end too early", found=len(self.words))
        word = self.words[self.position]
        self.position += 1
        return word

    def overflow(self) -> int:
        total = word = self.next()
        while word == _WORD_FULL:
            word = self.next()
            total += word
        return total


def _decode_stamps(
    headers: list[int], words: _Words, extra: bytes
) -> tuple[list[int], list[bool], list[int], list[int]]:
    """Return stamps per readout, local coincidences, time codes and charge codes."""
    n_stamps: list[int] = []
    is_hlc: list[bool] = []
    times: list[int] = []
    charges: list[int] = []
    n_extra = 0
    for header in headers:
        is_icetop = (header & 63) >= IN_ICE_OMS
        slop = header >> 13 << 8
        full = FIRST_TIME_FULL
        n_before = len(times)
        stamp = first = words.next()
        while True:
            if (stamp ^ first) & _LC_BIT:
                raise FormatError("a readout of I3SuperDST mixes local coincidence values")
            time = slop | (stamp & 255)
            charge = stamp >> 8 & 63
            if time == full:
                time += words.overflow()
            if is_icetop:
                if n_extra == len(extra) or not stamp & _STOP_BIT:
                    raise FormatError("an IceTop readout of I3SuperDST is not one stamp and byte")
                charge |= extra[n_extra] << 6
                n_extra += 1
            elif charge == CHARGE_FULL:
                charge += words.overflow()
            times.append(time)
            charges.append(charge)
            if stamp & _STOP_BIT:
                break
            stamp, slop, full = words.next(), 0, TIME_FULL
        n_stamps.append(len(times) - n_before)
        is_hlc.append(bool(first & _LC_BIT))
    if words.position != len(words.words) or n_extra != len(extra):
        raise FormatError("I3SuperDST has more stamps than its readouts use")
    return n_stamps, is_hlc, times, charges


def _decode_stamps_v0(
    headers: list[int], words: _Words
) -> tuple[list[int], list[bool], list[int], list[int]]:
    """As `_decode_stamps`, for version 0: one overflow word of 15 bits, stop in the last word."""
    n_stamps: list[int] = []
    is_hlc: list[bool] = []
    times: list[int] = []
    charges: list[int] = []
    for header in headers:
        slop = header >> 13 << 8
        n_before = len(times)
        last = 0
        while not last & _STOP_BIT:
            stamp = last = words.next()
            time = slop | (stamp & 255)
            if len(times) == n_before:
                is_hlc.append(bool(stamp & _LC_BIT))
                if time == FIRST_TIME_FULL:
                    last = words.next()
                    time += last & 0x7FFF
            charge = stamp >> 8 & 63
            if charge == CHARGE_FULL:
                last = words.next()
                charge += last & 0x7FFF
            times.append(time)
            charges.append(charge)
            slop = 0
        n_stamps.append(len(times) - n_before)
    if words.position != len(words.words):
        raise FormatError("I3SuperDST has more stamps than its readouts use")
    return n_stamps, is_hlc, times, charges


def _encode_stamps(obj: SuperDst) -> tuple[list[int], list[int], bytes]:
    """Return headers, stamp words and extra bytes."""
    headers: list[int] = []
    words: list[int] = []
    extra = bytearray()
    times, charges = obj.time_code.tolist(), obj.charge_code.tolist()
    position = 0
    rows = zip(
        obj.dom_id.tolist(),
        obj.is_icetop.tolist(),
        obj.is_hlc.tolist(),
        obj.n_stamps.tolist(),
        strict=True,
    )
    for dom_id, is_icetop, is_hlc, n_stamps in rows:
        for first_or_later in range(n_stamps):
            time, charge = times[position], charges[position]
            position += 1
            full = FIRST_TIME_FULL if first_or_later == 0 else TIME_FULL
            bits = min(time, full)
            if first_or_later == 0:
                headers.append(bits >> 8 << 13 | dom_id)
            charge_bits = charge & 63 if is_icetop else min(charge, CHARGE_FULL)
            stop = _STOP_BIT if first_or_later == n_stamps - 1 else 0
            words.append(bits & 255 | charge_bits << 8 | is_hlc << 14 | stop)
            if time >= full:
                words += _overflow_words(time - full)
            if is_icetop:
                extra.append(charge >> 6)
            elif charge >= CHARGE_FULL:
                words += _overflow_words(charge - CHARGE_FULL)
    return headers, words, bytes(extra)


def _overflow_words(rest: int) -> list[int]:
    n_full, last = divmod(rest, _WORD_FULL)
    return [_WORD_FULL] * n_full + [last]


def _decode_runs(data: bytes, longest: int) -> IntArray:
    """Return the width codes of one run-length coded stream of at most `longest` codes."""
    runs: list[list[int]] = []
    n_digits = 0
    if len(data) > _MAX_STAMPS:
        raise FormatError(
            "a stream of widths of I3SuperDST is longer than that of any event",
            found=f"{len(data)} bytes",
            wanted=f"at most {_MAX_STAMPS}",
        )
    for byte in data:
        code, digit = byte & 15, byte >> 4
        if runs and runs[-1][0] == code:
            n_digits += 1
            runs[-1][1] += digit << (4 * n_digits)
        else:
            n_digits = 0
            runs.append([code, digit])
        if n_digits >= _MAX_RUN_DIGITS or runs[-1][1] > longest:
            raise FormatError(
                "a run of widths of I3SuperDST is longer than its stamps",
                found=runs[-1][1],
                wanted=f"at most {longest}",
            )
    table = np.array(runs, dtype=np.int64).reshape(-1, 2)
    if table[:, 1].sum() > longest:
        raise FormatError(
            "I3SuperDST has more widths than stamps",
            found=int(table[:, 1].sum()),
            wanted=f"at most {longest}",
        )
    return np.repeat(table[:, 0], table[:, 1])


def _encode_runs(codes: IntArray) -> bytes:
    out = bytearray()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(starts, append=len(codes))
    for code, length in zip(codes[starts].tolist(), lengths.tolist(), strict=True):
        rest = length
        while rest:
            out.append((rest & 15) << 4 | code)
            rest >>= 4
    return bytes(out)


def _read_compact(reader: ArchiveReader, name: str, item_bytes: int) -> bytes:
    """Read a compact vector: its raw items."""

    def size(inner: ArchiveReader, _version: int) -> int:
        tag = inner.u8()
        return tag if tag < 247 else int.from_bytes(inner.take(255 - tag), "little")

    def content(inner: ArchiveReader, _version: int) -> bytes:
        return inner.take(inner.object("size codec", 0, size) * item_bytes)

    return reader.object(f"compact vector of {name}", 0, content)


def _write_compact(writer: ArchiveWriter, name: str, data: bytes, item_bytes: int) -> None:
    writer.begin(f"compact vector of {name}")
    writer.begin("size codec")
    n = len(data) // item_bytes
    if n < 247:
        writer.u8(n)
    else:
        n_bytes = (n.bit_length() + 7) // 8
        writer.u8(255 - n_bytes)
        writer.raw(n.to_bytes(n_bytes, "little"))
    writer.raw(data)


def _words_of(data: bytes) -> list[int]:
    """Return the 16-bit words of stamps or readouts."""
    if len(data) // 2 > _MAX_STAMPS:
        raise FormatError(
            "I3SuperDST holds more pulses than any event",
            found=len(data) // 2,
            wanted=f"at most {_MAX_STAMPS}",
        )
    words: list[int] = np.frombuffer(data, dtype="<u2").tolist()
    return words


def _read(reader: ArchiveReader, version: int) -> SuperDst:
    reader.base()
    try:
        return _read_v1(reader) if version == 1 else _read_v0(reader)
    except FormatError as error:
        if error.place is None:
            raise reader.error(error.message, found=error.found, wanted=error.wanted) from error
        raise


def _read_v1(reader: ArchiveReader) -> SuperDst:
    words = _words_of(_read_compact(reader, "stamps", 2))
    headers = _words_of(_read_compact(reader, "headers", 2))
    widths = [_decode_runs(_read_compact(reader, "bytes", 1), len(words)) for _ in range(4)]
    extra = _read_compact(reader, "bytes", 1)
    decoded = _decode_stamps(headers, _Words(words), extra)
    result = _build(1, headers, decoded)
    streams = result.width_stream
    for number, codes in enumerate(widths):
        here = streams == number
        if np.count_nonzero(here) != len(codes):
            raise FormatError(
                f"width stream {number} of I3SuperDST has another length than its stamps",
                found=len(codes),
                wanted=int(np.count_nonzero(here)),
            )
        result.width_code[here] = codes
    return result


def _read_v0(reader: ArchiveReader) -> SuperDst:
    words = _words_of(reader.take(2 * reader.u16()))
    headers = _words_of(reader.take(reader.remaining // 2 * 2))
    return _build(0, headers, _decode_stamps_v0(headers, _Words(words)))


def _build(
    version: int,
    headers: list[int],
    decoded: tuple[list[int], list[bool], list[int], list[int]],
) -> SuperDst:
    n_stamps, is_hlc, times, charges = decoded
    return SuperDst(
        version,
        np.array(headers, dtype=np.int64) & 0x1FFF,
        np.array(is_hlc, dtype=bool),
        np.array(n_stamps, dtype=np.int64),
        np.array(times, dtype=np.int64),
        np.array(charges, dtype=np.int64),
        np.full(len(times), 2, dtype=np.int64),
    )


def _write(writer: ArchiveWriter, obj: SuperDst) -> None:
    if obj.version != 1:
        raise FormatError("I3SuperDST is written in version 1 only", found=obj.version)
    headers, words, extra = _encode_stamps(obj)
    _write_compact(writer, "stamps", _packed(words), 2)
    _write_compact(writer, "headers", _packed(headers), 2)
    streams = obj.width_stream
    for number in range(4):
        _write_compact(writer, "bytes", _encode_runs(obj.width_code[streams == number]), 1)
    _write_compact(writer, "bytes", extra, 1)


def _packed(words: list[int]) -> bytes:
    array: NDArray[np.uint16] = np.array(words, dtype=np.uint16)
    return array.astype("<u2").tobytes()


#: How the classes of this module are stored.
SUPERDST_CODECS = (Codec("I3SuperDST", "I3SuperDST", 1, SuperDst, _read, _write),)
