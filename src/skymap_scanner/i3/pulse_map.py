"""PulseMap: the pulses of one series in columns; I3RecoPulseSeriesMap: how they are stored."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.om_key import OMKey, read_key_map, write_om_key

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["FLAG_ATWD", "FLAG_FADC", "FLAG_LC", "PULSE_CODECS", "BoolArray", "PulseMap", "sort_key"]

BoolArray = NDArray[np.bool_]

#: Pulse flags: the readout had hard local coincidence, was digitised by the ATWD, by the FADC.
FLAG_LC: Final = 1
FLAG_ATWD: Final = 2
FLAG_FADC: Final = 4

_V3 = struct.Struct("<dffB")
_V2 = struct.Struct("<fffB")
_V1 = struct.Struct("<diddi")
_V0 = struct.Struct("<didd")

PulseTuple = tuple[float, float, float, int]
_FLAGS_OF_SOURCE: Final = {0: 3, 1: 5, 10: 5, 5: 4, 50: 4}


def _no_keys() -> IntArray:
    return np.empty((0, 3), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PulseMap:
    """Pulses in columns, sorted by optical module; within one module in stored order.

    Parameters
    ----------
    om_key : ndarray, shape (n_pulse, 3)
        String, optical module, photomultiplier of each pulse.
    time : ndarray, shape (n_pulse,)
        Start of the pulse after the start of the Q frame's header [ns].
    charge : ndarray, shape (n_pulse,)
        [PE].
    width : ndarray, shape (n_pulse,)
        [ns].
    flags : ndarray of uint8, shape (n_pulse,)
        Bits `FLAG_LC`, `FLAG_ATWD`, `FLAG_FADC`.
    silent : ndarray, shape (n_silent, 3)
        Modules that the series names without giving pulses; they count in masks.
    """

    om_key: IntArray
    time: FloatArray
    charge: FloatArray
    width: FloatArray
    flags: NDArray[np.uint8]
    silent: IntArray = field(default_factory=_no_keys)

    @classmethod
    def from_columns(
        cls,
        om_key: IntArray,
        time: FloatArray,
        charge: FloatArray,
        width: FloatArray,
        flags: NDArray[np.uint8],
    ) -> PulseMap:
        """Return a PulseMap of pulses in any order of modules; order within a module is kept."""
        keys = np.asarray(om_key, dtype=np.int64).reshape(-1, 3)
        order = np.argsort(sort_key(keys), kind="stable")
        return cls(
            keys[order],
            np.asarray(time, dtype=np.float64)[order],
            np.asarray(charge, dtype=np.float64)[order],
            np.asarray(width, dtype=np.float64)[order],
            np.asarray(flags, dtype=np.uint8)[order],
        )

    def __len__(self) -> int:
        return len(self.time)

    @property
    def n_doms(self) -> int:
        """Number of optical modules with pulses."""
        return len(self.doms()[0]) - len(self.silent)

    @property
    def is_hlc(self) -> BoolArray:
        """Whether each pulse had hard local coincidence."""
        return np.asarray((self.flags & FLAG_LC) != 0)

    def doms(self) -> tuple[IntArray, IntArray]:
        """Return the modules of the series in key order, and the number of pulses of each.

        Returns
        -------
        keys : ndarray, shape (n_dom, 3)
        n_pulses : ndarray, shape (n_dom,)
            0 for modules that are named without pulses.
        """
        codes = sort_key(self.om_key)
        starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1)) if len(codes) else codes
        counts = np.diff(starts, append=len(codes))
        keys = self.om_key[starts]
        if len(self.silent):
            keys = np.concatenate([keys, self.silent])
            counts = np.concatenate([counts, np.zeros(len(self.silent), dtype=np.int64)])
            order = np.argsort(sort_key(keys), kind="stable")
            keys, counts = keys[order], counts[order]
        return keys, counts

    def select(self, keep: BoolArray) -> PulseMap:
        """Return the pulses where `keep`, shape (n_pulse,), is true; other modules vanish."""
        return PulseMap(
            self.om_key[keep],
            self.time[keep],
            self.charge[keep],
            self.width[keep],
            self.flags[keep],
        )


def sort_key(om_key: IntArray) -> IntArray:
    """Return one integer per (string, om, pmt) row that sorts as the rows do."""
    return (om_key[:, 0] << 40) | (om_key[:, 1] << 8) | om_key[:, 2]


def _pulse_content(reader: ArchiveReader, version: int) -> PulseTuple:
    """Read one I3RecoPulse: time, charge, width, flags."""
    if version == 3:
        return reader.unpack(_V3)
    if version == 2:
        return reader.unpack(_V2)
    if version == 1:
        time, _hit, charge, width, source = reader.unpack(_V1)
        return time, charge, width, _FLAGS_OF_SOURCE.get(source, 0)
    time, _hit, charge, width = reader.unpack(_V0)
    return time, charge, width, 0


def _pulse_list(reader: ArchiveReader) -> list[PulseTuple]:
    return reader.sequence(
        "vector<I3RecoPulse>", lambda r: r.object("I3RecoPulse", 3, _pulse_content), 17
    )


def _read_map(reader: ArchiveReader, _version: int) -> PulseMap:
    reader.base()
    series = read_key_map(reader, "map<OMKey, vector<I3RecoPulse>>", _pulse_list, 13)
    counts = np.array([len(pulses) for pulses in series.values()], dtype=np.int64)
    # Every pulse takes at least a byte; more of them come only from references to references.
    if counts.sum() > len(reader.data):
        raise reader.error("more pulses than bytes", found=int(counts.sum()))
    keys = np.array(list(series), dtype=np.int64).reshape(-1, 3)
    columns = [pulse for pulses in series.values() for pulse in pulses]
    time, charge, width, flags = zip(*columns, strict=True) if columns else ((), (), (), ())
    return PulseMap(
        np.repeat(keys, counts, axis=0),
        np.array(time, dtype=np.float64),
        np.array(charge, dtype=np.float64),
        np.array(width, dtype=np.float64),
        np.array(flags, dtype=np.uint8),
        keys[counts == 0],
    )


def _write_map(writer: ArchiveWriter, obj: PulseMap) -> None:
    keys, counts = obj.doms()
    stops = np.cumsum(counts)
    columns = [obj.time.tolist(), obj.charge.tolist(), obj.width.tolist(), obj.flags.tolist()]

    def write_pulse(out: ArchiveWriter, index: int) -> None:
        out.begin("I3RecoPulse")
        out.pack(_V3, *(column[index] for column in columns))

    def write_pulses(out: ArchiveWriter, pulses: range) -> None:
        out.sequence("vector<I3RecoPulse>", pulses, write_pulse)

    items = (
        (OMKey(*key), range(stop - count, stop))
        for key, count, stop in zip(keys.tolist(), counts.tolist(), stops.tolist(), strict=True)
    )
    writer.mapping("map<OMKey, vector<I3RecoPulse>>", items, write_om_key, write_pulses)


#: How the classes of this module are stored.
PULSE_CODECS = (
    Codec(
        "I3RecoPulseSeriesMap",
        "I3Map<OMKey, vector<I3RecoPulse> >",
        0,
        PulseMap,
        _read_map,
        _write_map,
    ),
)
