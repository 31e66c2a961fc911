"""Differences to a baseline GCD file, which realtime messages carry in place of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from skymap_scanner.i3.archive import ArchiveReader, NewerVersionError
from skymap_scanner.i3.calibration import (
    read_double_array,
    read_fit,
    read_spe_distribution,
)
from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.detector_status import (
    DomStatus,
    TriggerKey,
    read_dom_status,
    read_trigger_key,
    read_trigger_status,
)
from skymap_scanner.i3.header_time import I3Time, read_time
from skymap_scanner.i3.om_key import OMKey, read_om_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DIFF_CODECS", "CalibrationDiff", "DetectorStatusDiff", "GeometryDiff", "baseline_file"]

K = TypeVar("K")
V = TypeVar("V")

#: Place holder of 2016, and the file that it stands for.
_CURRENT: Final = "current-gcd"
_CURRENT_FILE: Final = "2016_01_08_Run127381.i3"


def baseline_file(base: str) -> str:
    """Return the file name of the baseline that a diff names."""
    return _CURRENT_FILE if base == _CURRENT else base


@dataclass(frozen=True, slots=True)
class GeometryDiff:
    """Difference in geometry; of its content only the baseline's name is known."""

    base: str


@dataclass(frozen=True, slots=True)
class CalibrationDiff:
    """Difference in calibration.

    Parameters
    ----------
    base : str
        Name of the baseline file (see `baseline_file`).
    start, end : I3Time
        When it holds.
    changed : mapping
        For each module the new values, named as in the calibration.
    removed : tuple of OMKey
    """

    base: str
    start: I3Time
    end: I3Time
    changed: Mapping[OMKey, Mapping[str, object]]
    removed: tuple[OMKey, ...]


@dataclass(frozen=True, slots=True)
class DetectorStatusDiff:
    """Difference in detector status.

    Parameters
    ----------
    base : str
        Name of the baseline file (see `baseline_file`).
    start, end : I3Time
        When it holds.
    changed : mapping
        Full status of modules that differ.
    removed : tuple of OMKey
        Modules that are dead; those that are dead in the baseline as well are not listed.
    changed_triggers, removed_triggers
        The same of triggers (names).
    configuration : str
        Name of the run configuration.
    """

    base: str
    start: I3Time
    end: I3Time
    changed: Mapping[OMKey, DomStatus]
    removed: tuple[OMKey, ...]
    changed_triggers: Mapping[TriggerKey, str]
    removed_triggers: tuple[TriggerKey, ...]
    configuration: str


def _read_diff_map(
    reader: ArchiveReader,
    key_name: str,
    read_key: Callable[[ArchiveReader], K],
    value_name: str,
    read_value: Callable[[ArchiveReader], V],
) -> tuple[dict[K, V], tuple[K, ...]]:
    """Read what was changed or added, and the keys that were removed."""

    def content(inner: ArchiveReader, _version: int) -> tuple[dict[K, V], tuple[K, ...]]:
        changed = inner.mapping(f"map<{key_name}, {value_name}>", read_key, read_value, 8)
        return changed, tuple(inner.sequence(f"vector<{key_name}>", read_key, 4))

    return reader.object(f"diff map<{key_name}, {value_name}>", 0, content)


def _read_fit_pair(reader: ArchiveReader) -> tuple[tuple[float, ...], ...]:
    reader.fixed_array(2)
    return tuple(read_fit(reader, "QuadraticFit") for _ in range(2))


#: What each bit of a module's difference announces: name and reader of the new value. Names were
#: inferred from the values; the sizes are exact. Bit 19 was never seen set.
_CHANGES: Final[dict[int, tuple[str, Callable[[ArchiveReader], object]]]] = {
    0: ("droop_time_constants", lambda r: read_double_array(r, 2)),
    1: ("temperature", ArchiveReader.f64),
    2: ("fadc_gain", ArchiveReader.f64),
    3: ("fadc_baseline", lambda r: read_fit(r, "LinearFit")),
    4: ("fadc_beacon_baseline", ArchiveReader.f64),
    5: ("fadc_delta_t", ArchiveReader.f64),
    6: ("front_end_impedance", ArchiveReader.f64),
    7: ("tau", lambda r: read_fit(r, "TauParam")),
    8: ("gains", lambda r: read_double_array(r, 3)),
    9: ("atwd_frequency", _read_fit_pair),
    11: ("transit_time", lambda r: read_fit(r, "LinearFit")),
    12: ("hv_gain", lambda r: read_fit(r, "LinearFit")),
    13: ("domcal_version", ArchiveReader.text),
    15: ("atwd_delta_t", lambda r: read_double_array(r, 2)),
    16: ("spe_discriminator", lambda r: read_fit(r, "LinearFit")),
    17: ("mpe_discriminator", lambda r: read_fit(r, "LinearFit")),
    18: ("pmt_discriminator", lambda r: read_fit(r, "LinearFit")),
    19: ("relative_efficiency", ArchiveReader.f64),
    20: ("noise_rate", ArchiveReader.f64),
    26: ("spe_distribution", read_spe_distribution),
    27: ("mean_atwd_charge", ArchiveReader.f64),
    28: ("mean_fadc_charge", ArchiveReader.f64),
}


def _dom_change_content(reader: ArchiveReader, _version: int) -> dict[str, object]:
    flags = reader.object("flag word", 0, lambda r, _v: r.u32())
    changes: dict[str, object] = {}
    for bit in range(32):
        if flags >> bit & 1:
            if bit not in _CHANGES:
                raise NewerVersionError(
                    "a calibration difference of unknown kind",
                    place=f"byte {reader.position}",
                    found=f"bit {bit}",
                )
            name, read = _CHANGES[bit]
            changes[name] = read(reader)
    return changes


def _read_dom_change(reader: ArchiveReader) -> dict[str, object]:
    return reader.object("DOM calibration difference", 0, _dom_change_content)


def _refuse_vem(reader: ArchiveReader) -> None:
    raise reader.error("differences of VEM calibrations cannot be read")


def _read_geometry(reader: ArchiveReader, _version: int) -> GeometryDiff:
    reader.base()
    return GeometryDiff(reader.text())


def _read_calibration(reader: ArchiveReader, _version: int) -> CalibrationDiff:
    reader.base()
    base, start, end = reader.text(), read_time(reader), read_time(reader)
    changed, removed = _read_diff_map(
        reader, "OMKey", read_om_key, "I3DOMCalibrationDiff", _read_dom_change
    )
    _read_diff_map(reader, "OMKey", read_om_key, "I3VEMCalibration", _refuse_vem)
    return CalibrationDiff(base, start, end, changed, removed)


def _read_status(reader: ArchiveReader, _version: int) -> DetectorStatusDiff:
    reader.base()
    base, start, end = reader.text(), read_time(reader), read_time(reader)
    changed, removed = _read_diff_map(reader, "OMKey", read_om_key, "I3DOMStatus", read_dom_status)
    triggers = _read_diff_map(
        reader, "TriggerKey", read_trigger_key, "I3TriggerStatus", read_trigger_status
    )
    return DetectorStatusDiff(base, start, end, changed, removed, *triggers, reader.text())


#: How the classes of this module are stored.
DIFF_CODECS = (
    Codec("I3GeometryDiff", "I3GeometryDiff", 0, GeometryDiff, _read_geometry, reads_all=False),
    Codec("I3CalibrationDiff", "I3CalibrationDiff", 0, CalibrationDiff, _read_calibration),
    Codec("I3DetectorStatusDiff", "I3DetectorStatusDiff", 0, DetectorStatusDiff, _read_status),
)
