"""I3DetectorStatus: which optical modules were switched on, and how."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from skymap_scanner.i3.archive import ArchiveReader
from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.header_time import I3Time, read_time
from skymap_scanner.i3.om_key import OMKey, read_key_map

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DETECTOR_STATUS_CODECS",
    "DetectorStatus",
    "DomStatus",
    "TriggerKey",
    "read_dom_status",
    "read_trigger_key",
    "read_trigger_status",
]

#: Trigger mode .. flasher rate, all versions.
_DOM_STATUS = struct.Struct("<iiddIiiiddddddIIIIIiIIIII")
_DOUBLES = struct.Struct("<ddd")
_SPE_MODE: Final = 2
_MPE_MODE: Final = 4


@dataclass(frozen=True, slots=True)
class DomStatus:
    """Settings of one optical module.

    Parameters
    ----------
    trigger_mode : int
        -1 = unknown, 0 = test, 1 = CPU, 2 = SPE, 3 = flasher, 4 = MPE.
    lc_mode : int
        Local coincidence.
    pmt_hv : float
        High voltage of the photomultiplier, in IceCube's unit of voltage.
    spe_threshold : float
        Discriminator threshold.
    is_slc_active : bool
        Whether hits without local coincidence are read out (true before version 3).
    """

    trigger_mode: int
    lc_mode: int
    pmt_hv: float
    spe_threshold: float
    is_slc_active: bool

    @property
    def is_alive(self) -> bool:
        """Whether the module takes data (high voltage on, SPE or MPE trigger)."""
        return self.pmt_hv > 0 and self.trigger_mode in (_SPE_MODE, _MPE_MODE)


class TriggerKey(NamedTuple):
    """Which trigger: source, type, subtype and, if there is one, configuration number."""

    source: int
    type: int
    subtype: int
    config: int | None


@dataclass(frozen=True, slots=True)
class DetectorStatus:
    """Status of the whole detector.

    Parameters
    ----------
    doms : mapping
        Modules that are not here are dead.
    triggers : mapping
        Name of each trigger.
    start, end : I3Time
        When this status holds.
    configuration : str
        Name of the run configuration ("" before version 3).
    """

    doms: Mapping[OMKey, DomStatus]
    triggers: Mapping[TriggerKey, str]
    start: I3Time
    end: I3Time
    configuration: str


def _dom_content(reader: ArchiveReader, version: int) -> DomStatus:
    fields = reader.unpack(_DOM_STATUS)
    if version > 0:
        reader.take(8)
    if version > 1:
        reader.take(4)
    is_slc_active = reader.flag() if version > 2 else True
    if version > 3:
        reader.take(8)
    if version > 5:
        reader.take(4)
    return DomStatus(fields[0], fields[1], fields[8], fields[9], is_slc_active)


def read_dom_status(reader: ArchiveReader) -> DomStatus:
    """Read an I3DOMStatus."""
    return reader.object("I3DOMStatus", 6, _dom_content)


def _trigger_key_content(reader: ArchiveReader, version: int) -> TriggerKey:
    source, kind = reader.i32(), reader.i32()
    subtype = reader.i32() if version > 0 else 0
    return TriggerKey(source, kind, subtype, reader.i32() if reader.flag() else None)


def read_trigger_key(reader: ArchiveReader) -> TriggerKey:
    """Read a TriggerKey."""
    return reader.object("TriggerKey", 1, _trigger_key_content)


def _read_readout(reader: ArchiveReader) -> None:
    reader.object("I3TriggerReadoutConfig", 0, lambda r, _v: r.unpack(_DOUBLES))


def _trigger_content(reader: ArchiveReader, version: int) -> str:
    if version < 3:
        raise reader.error("an I3TriggerStatus is too old", found=version, wanted=3)
    name = reader.text()
    reader.mapping("map<string, string>", ArchiveReader.text, ArchiveReader.text, 8)
    reader.mapping("map<int, readout>", ArchiveReader.i32, _read_readout, 28)
    return name


def read_trigger_status(reader: ArchiveReader) -> str:
    """Read an I3TriggerStatus; return the name of the trigger."""
    return reader.object("I3TriggerStatus", 3, _trigger_content)


def _read_triggers(reader: ArchiveReader) -> dict[TriggerKey, str]:
    return reader.mapping(
        "map<TriggerKey, I3TriggerStatus>", read_trigger_key, read_trigger_status, 8
    )


def _skip_amanda(reader: ArchiveReader) -> None:
    """Skip the map of AMANDA modules, which is empty in files of our time."""

    def refuse(inner: ArchiveReader) -> None:
        raise inner.error("AMANDA modules cannot be read")

    reader.mapping("map of AMANDA", refuse, refuse, 1)


def _read(reader: ArchiveReader, version: int) -> DetectorStatus:
    reader.base()
    doms = read_key_map(reader, "map<OMKey, I3DOMStatus>", read_dom_status, 8)
    if 0 < version < 4:
        _skip_amanda(reader)
    triggers = _read_triggers(reader)
    if 1 < version < 4:
        _read_triggers(reader)
    start, end = read_time(reader), read_time(reader)
    return DetectorStatus(doms, triggers, start, end, reader.text() if version > 2 else "")


#: How the classes of this module are stored.
DETECTOR_STATUS_CODECS = (Codec("I3DetectorStatus", "I3DetectorStatus", 4, DetectorStatus, _read),)
