"""I3Calibration: of all that is calibrated, how sensitive each optical module is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.header_time import read_time
from skymap_scanner.i3.om_key import OMKey, read_key_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.i3.archive import ArchiveReader

__all__ = [
    "CALIBRATION_CODECS",
    "Calibration",
    "read_double_array",
    "read_fit",
    "read_spe_distribution",
]

#: Number of doubles of the fits that calibrations consist of.
_FIT_SIZES: Final = {"LinearFit": 2, "QuadraticFit": 3, "TauParam": 7}
#: Oldest version whose layout is known.
_OLDEST: Final = 4
_ATWD_CHANNELS: Final = 3
_ATWD_BINS: Final = 128


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the scanner needs of the calibration.

    Parameters
    ----------
    relative_efficiency : mapping
        Photon detection efficiency of each module in units of a standard one; 1 where the file
        has none.
    """

    relative_efficiency: Mapping[OMKey, float]


def read_fit(reader: ArchiveReader, name: str) -> tuple[float, ...]:
    """Read a LinearFit, QuadraticFit or TauParam."""
    size = _FIT_SIZES[name]
    return reader.object(name, 0, lambda r, _v: tuple(r.f64() for _ in range(size)))


def read_double_array(reader: ArchiveReader, *shape: int) -> tuple[float, ...]:
    """Read a fixed array of doubles, each level of which has its own count; return it flat."""
    reader.fixed_array(shape[0])
    if len(shape) == 1:
        return tuple(reader.f64() for _ in range(shape[0]))
    return tuple(x for _ in range(shape[0]) for x in read_double_array(reader, *shape[1:]))


def _skip_double_array(reader: ArchiveReader, *shape: int) -> None:
    reader.fixed_array(shape[0])
    if len(shape) == 1:
        reader.take(8 * shape[0])
        return
    for _ in range(shape[0]):
        _skip_double_array(reader, *shape[1:])


def _skip_fit_array(reader: ArchiveReader) -> None:
    """Skip LinearFit[3][128]."""
    reader.fixed_array(_ATWD_CHANNELS)
    for _ in range(_ATWD_CHANNELS):
        reader.fixed_array(_ATWD_BINS)
        reader.skip_objects("LinearFit", 0, _ATWD_BINS, 16)


def _skip_doubles(reader: ArchiveReader, _version: int) -> None:
    reader.take(8 * reader.count(8))


def _spe_component(name: str) -> tuple[int, object] | None:
    if "xp" in name:
        return 0, lambda r, _v: r.take(16)
    if "aus" in name:
        return 0, lambda r, _v: r.take(24)
    return None


def _residuals_content(reader: ArchiveReader, version: int) -> None:
    _skip_doubles(reader, version)
    _skip_doubles(reader, version)


def _spe_content(reader: ArchiveReader, version: int) -> None:
    if version <= 2:
        reader.take(8 * (9 if version == 2 else 5))
        return
    reader.sequence(
        "vector<shared_ptr<SPE component>>",
        lambda r: r.pointer("SPE component", _spe_component),  # type: ignore[arg-type]  # values are thrown away
        2,
    )
    reader.take(16)
    reader.pointer("SPE residuals", lambda _name: (0, _residuals_content))
    if version == 4:
        reader.f64()


def read_spe_distribution(reader: ArchiveReader) -> None:
    """Read over the charge distribution of single photo-electrons."""
    reader.object("SPEChargeDistribution", 5, _spe_content)


def _dom_content(reader: ArchiveReader, version: int) -> float:
    """Read an I3DOMCalibration; return the relative efficiency, NaN if it has none."""
    if version < _OLDEST:
        raise reader.error("an I3DOMCalibration is too old", found=version, wanted=_OLDEST)
    reader.take(16)
    read_fit(reader, "LinearFit")
    reader.f64()
    _skip_double_array(reader, _ATWD_CHANNELS)
    reader.fixed_array(2)
    for _ in range(2):
        read_fit(reader, "QuadraticFit")
    if version < 11:
        _skip_fit_array(reader)
        _skip_fit_array(reader)
    else:
        _skip_double_array(reader, 2, _ATWD_CHANNELS, _ATWD_BINS)
    read_fit(reader, "LinearFit")
    read_fit(reader, "LinearFit")
    reader.f64()
    reader.text()
    read_fit(reader, "TauParam")
    if version < 11:
        _skip_double_array(reader, 2, _ATWD_CHANNELS, _ATWD_BINS)
        reader.take(16)
    return _dom_content_since_v5(reader, version)


def _dom_content_since_v5(reader: ArchiveReader, version: int) -> float:
    efficiency = math.nan
    if version > 4:
        _skip_double_array(reader, 2)
    for since in (5, 5, 6):
        if version > since:
            read_fit(reader, "LinearFit")
    if version > 7:
        efficiency = reader.f64()
        reader.f64()
    if version > 8:
        _skip_double_array(reader, 2, _ATWD_CHANNELS)
        reader.f64()
    if version > 9:
        reader.take(40)
    if version > 10:
        read_spe_distribution(reader)
        reader.take(16)
    if version == 11:
        reader.take(2)
    if version > 12:
        read_time(reader)
    return efficiency


def _read_dom(reader: ArchiveReader) -> float:
    efficiency = reader.object("I3DOMCalibration", 13, _dom_content)
    return efficiency if math.isfinite(efficiency) and efficiency > 0 else 1.0


def _read(reader: ArchiveReader, _version: int) -> Calibration:
    reader.base()
    return Calibration(read_key_map(reader, "map<OMKey, I3DOMCalibration>", _read_dom, 8))


#: How the classes of this module are stored; the reader stops behind the modules.
CALIBRATION_CODECS = (
    Codec("I3Calibration", "I3Calibration", 4, Calibration, _read, reads_all=False),
)
