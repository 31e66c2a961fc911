"""Pulse series that select from or combine others: masks, unions, one series per module."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.archive import ArchiveReader
from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from skymap_scanner.i3.archive_writer import ArchiveWriter
    from skymap_scanner.i3.pulse_map import BoolArray, PulseMap
    from skymap_scanner.units import IntArray

__all__ = [
    "MASK_CODECS",
    "PulseMapByModule",
    "PulseMapMask",
    "PulseMapSpeCorrection",
    "PulseMapUnion",
]

_BIT_SET_HEAD = struct.Struct("<HB")


@dataclass(frozen=True, slots=True, eq=False)
class PulseMapMask:
    """A selection of pulses of another series.

    Parameters
    ----------
    source : str
        Key of the series it selects from.
    om_mask : ndarray of bool, shape (n_dom,)
        One per module of the source, in key order: whether it is in the selection.
    n_pulses : ndarray, shape (n_selected_dom,)
        Number of pulses in the source of each module in the selection.
    pulse_mask : ndarray of bool, shape (n_pulses.sum(),)
        Whether each pulse of those modules is kept.
    """

    source: str
    om_mask: BoolArray
    n_pulses: IntArray
    pulse_mask: BoolArray

    @classmethod
    def from_selection(cls, source: str, pulses: PulseMap, keep: BoolArray) -> PulseMapMask:
        """Return the mask that keeps the pulses of `source` where `keep` is true.

        Parameters
        ----------
        source : str
            Key of the series.
        pulses : PulseMap
            That series, resolved.
        keep : ndarray of bool, shape (n_pulse,)
        """
        if len(keep) != len(pulses):
            raise FormatError("a mask has another length", found=len(keep), wanted=len(pulses))
        _, counts = pulses.doms()
        dom = np.repeat(np.arange(len(counts)), counts)
        om_mask = np.bincount(dom, weights=keep, minlength=len(counts)) > 0
        return cls(source, om_mask, counts[om_mask], np.asarray(keep, dtype=bool)[om_mask[dom]])

    def apply(self, pulses: PulseMap) -> PulseMap:
        """Return the selected pulses of the resolved source.

        Raises
        ------
        FormatError
            When the mask was not made for this source.
        """
        _, counts = pulses.doms()
        if len(self.om_mask) != len(counts):
            raise FormatError(
                f"the mask does not fit its source {self.source!r}",
                found=f"bits for {len(self.om_mask)} modules",
                wanted=len(counts),
            )
        is_whole = len(self.pulse_mask) == self.n_pulses.sum()
        if not is_whole or not np.array_equal(self.n_pulses, counts[self.om_mask]):
            raise FormatError(
                f"the mask does not fit its source {self.source!r}",
                found=f"bits for {int(self.n_pulses.sum())} pulses",
                wanted=int(counts[self.om_mask].sum()),
            )
        keep = np.repeat(self.om_mask, counts)
        keep[keep] = self.pulse_mask
        return pulses.select(keep)


@dataclass(frozen=True, slots=True)
class PulseMapUnion:
    """All pulses of several series, sorted by time in each module."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PulseMapByModule:
    """The pulses of all photomultipliers of each module together, sorted by time."""

    key: str


@dataclass(frozen=True, slots=True)
class PulseMapSpeCorrection:
    """A series whose charges are corrected by a calibration."""

    pulses_key: str
    calibration_key: str


def _bits_content(reader: ArchiveReader, _version: int) -> BoolArray:
    size, padding = reader.unpack(_BIT_SET_HEAD)
    n_bits = 8 * size - padding
    if n_bits < 0:
        raise reader.error("a bit set has more padding than bits", found=(size, padding))
    data = np.frombuffer(reader.take(size), dtype=np.uint8)
    bits = np.unpackbits(data, bitorder="little").view(np.bool_)
    if bits[n_bits:].any():
        raise reader.error("unused bits of a bit set are not 0")
    return bits[:n_bits]


def _read_bits(reader: ArchiveReader) -> BoolArray:
    return reader.object("bit set", 0, _bits_content)


def _write_bits(writer: ArchiveWriter, bits: BoolArray) -> None:
    writer.begin("bit set")
    data = np.packbits(bits, bitorder="little").tobytes() or b"\x00"
    writer.pack(_BIT_SET_HEAD, len(data), 8 * len(data) - len(bits))
    writer.raw(data)


def _read_mask(reader: ArchiveReader, version: int) -> PulseMapMask:
    reader.base()
    source = reader.text()
    if version == 1:
        reader.take(4)
    om_mask = _read_bits(reader)
    elements = reader.sequence("vector<bit set>", _read_bits, 3)
    if version == 0 and not elements and len(om_mask) == 64 and om_mask.all():
        om_mask = om_mask[:0]  # that is how version 0 spelled the empty mask
    if len(elements) != np.count_nonzero(om_mask):
        raise reader.error(
            "a mask has another number of modules than bit sets",
            found=len(elements),
            wanted=int(np.count_nonzero(om_mask)),
        )
    sizes = np.array([len(bits) for bits in elements], dtype=np.int64)
    if sizes.sum() > 8 * len(reader.data):
        raise reader.error("more pulses than bits", found=int(sizes.sum()))
    pulse_mask = np.concatenate([*elements, np.zeros(0, dtype=bool)])
    return PulseMapMask(source, om_mask, sizes, pulse_mask)


def _write_mask(writer: ArchiveWriter, obj: PulseMapMask) -> None:
    writer.text(obj.source)
    _write_bits(writer, obj.om_mask)
    elements = np.split(obj.pulse_mask, np.cumsum(obj.n_pulses)[:-1]) if len(obj.n_pulses) else []
    writer.sequence("vector<bit set>", elements, _write_bits)


def _read_union(reader: ArchiveReader, _version: int) -> PulseMapUnion:
    reader.base()
    return PulseMapUnion(tuple(reader.sequence("vector<string>", ArchiveReader.text, 4)))


def _read_by_module(reader: ArchiveReader, _version: int) -> PulseMapByModule:
    reader.base()
    return PulseMapByModule(reader.text())


def _read_spe_correction(reader: ArchiveReader, _version: int) -> PulseMapSpeCorrection:
    reader.base()
    return PulseMapSpeCorrection(reader.text(), reader.text())


#: How the classes of this module are stored.
MASK_CODECS = (
    Codec(
        "I3RecoPulseSeriesMapMask",
        "I3RecoPulseSeriesMapMask",
        2,
        PulseMapMask,
        _read_mask,
        _write_mask,
    ),
    Codec("I3RecoPulseSeriesMapUnion", "I3RecoPulseSeriesMapUnion", 0, PulseMapUnion, _read_union),
    Codec(
        "I3RecoPulseSeriesMapCombineByModule",
        "I3RecoPulseSeriesMapCombineByModule",
        0,
        PulseMapByModule,
        _read_by_module,
    ),
    Codec(
        "I3RecoPulseSeriesMapApplySPECorrection",
        "I3RecoPulseSeriesMapApplySPECorrection",
        0,
        PulseMapSpeCorrection,
        _read_spe_correction,
    ),
)
