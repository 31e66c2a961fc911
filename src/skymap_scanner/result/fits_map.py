"""Sky maps in FITS files, as observatories exchange them: multi-order or flat HEALPix tables.

A multi-order map names its cells in a column ``UNIQ``. A flat one has a value for every pixel of
one resolution; there, four equal neighbours are one coarser cell, so that a map which was scanned
coarsely and stretched to a fine resolution takes no more room than it has information.

References
----------
.. [1] https://healpix.sourceforge.io/data/examples/healpix_fits_specs.pdf
.. [2] https://emfollow.docs.ligo.org/userguide/tutorial/multiorder_skymaps.html
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from skymap_scanner.exceptions import ResultError
from skymap_scanner.files import open_regular
from skymap_scanner.result.scan_result import ResultWarning
from skymap_scanner.sky.cells import SkyCells
from skymap_scanner.sky.healpix import NSIDE_MAX, is_nside, n_pixels, ring_to_nest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["FitsMap", "read_fits_map"]

#: Probability per pixel, and per solid angle; `PROBABILITY` is what IceCube's older maps call it.
_PROB: Final = ("PROB", "PROBABILITY")
_DENSITY: Final = ("PROBDENSITY",)
#: Twice the llh above its minimum.
_TS: Final = ("2DLLH", "TS")
_WANTED: Final = "a column PROB or PROBDENSITY, 2DLLH or TS"
_KEYWORDS: Final = ("ORDERING", "NSIDE", "COORDSYS")
#: Values of the keyword ORDERING of flat maps.
_ORDERINGS: Final = {"RING": False, "NESTED": True, "NEST": True}
#: Values of the keyword COORDSYS that are not equatorial.
_OTHER_SYSTEMS: Final = ("G", "GALACTIC", "E", "ECLIPTIC")
#: Below this a value is HEALPix's mark for a pixel without one, -1.6375e30.
_UNSEEN: Final = -1e30
#: Largest table that is read [bytes]: a flat map of nside 2048 in four columns of double precision.
_MAX_BYTES: Final = 1 << 31
_DEEPEST: Final = NSIDE_MAX.bit_length() - 1


@dataclass(frozen=True, slots=True)
class FitsMap:
    """What a FITS sky map says.

    Parameters
    ----------
    cells : SkyCells
        Where there are values.
    density : ndarray, shape (n,), or None
        Probability per solid angle [1/sr], at least 0, not normalised; None when the file has none.
    ts : ndarray, shape (n,), or None
        Test statistic, 0 at the best; None when the file has none.
    """

    cells: SkyCells
    density: FloatArray | None
    ts: FloatArray | None


def read_fits_map(path: Path) -> FitsMap:
    """Read the first table of a FITS file that is a sky map; the file may be compressed (``.gz``).

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    FitsMap

    Raises
    ------
    FormatError
        When the file cannot be opened.
    ResultError
        When it is not FITS, truncated, or has no sky map in it that we understand.

    Warns
    -----
    ResultWarning
        When cells are left out because they have no finite value.
    """
    with open_regular(path) as file, warnings.catch_warnings():
        from astropy.utils.exceptions import AstropyWarning

        # what matters is checked here, but for what astropy alone can see
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.filterwarnings("error", "File may have been truncated", AstropyWarning)
        header, columns = _read_table(file, str(path))
    try:
        cells, values, n_left_out = _parse(header, columns)
    except ResultError as error:
        raise error.at(str(path)) from error
    if n_left_out:
        warnings.warn(
            f"{path}: {n_left_out} pixels without a finite value are left out",
            ResultWarning,
            stacklevel=2,
        )
    return FitsMap(cells, values.get("density"), values.get("ts"))


def _read_table(file: BinaryIO, place: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and columns of the first table that has a column of ours."""
    from astropy.io import fits
    from astropy.io.fits.verify import VerifyError
    from astropy.utils.exceptions import AstropyWarning

    damage = (
        OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
        MemoryError, zlib.error, VerifyError, AstropyWarning,
    )  # fmt: skip
    seen: list[str] = []
    try:
        with fits.open(file, memmap=False) as hdus:
            for hdu in hdus:
                names = hdu.columns.names if isinstance(hdu, fits.BinTableHDU) else []
                if not {*_PROB, *_DENSITY, *_TS}.isdisjoint(map(str.upper, names)):
                    header = {key: hdu.header[key] for key in _KEYWORDS if key in hdu.header}
                    return header, _columns_of(hdu)
                seen += names
    except damage as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ResultError(
            "not a whole FITS file", place=place, found=reason, wanted="a FITS sky map"
        ) from error
    found = f"columns {', '.join(seen)[:80]}" if seen else "no table"
    raise ResultError("holds no sky map", place=place, found=found, wanted=_WANTED)


def _columns_of(hdu: Any) -> dict[str, Any]:
    """Return name in upper case -> flat array, of the columns that a sky map can have."""
    n_bytes = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
    if n_bytes > _MAX_BYTES:
        raise ValueError(f"a table of {n_bytes} bytes, more than {_MAX_BYTES}")
    known = {"UNIQ", "PIXEL", *_PROB, *_DENSITY, *_TS}
    # healpy puts 1024 pixels in a row of the table
    return {
        name.upper(): np.ravel(hdu.data[name])
        for name in hdu.columns.names
        if name.upper() in known
    }


def _parse(
    header: Mapping[str, Any], columns: Mapping[str, Any]
) -> tuple[SkyCells, dict[str, FloatArray], int]:
    """Turn a table into cells, their density and TS, and the number of rows without values."""
    system = str(header.get("COORDSYS", "C")).strip().upper()
    if system in _OTHER_SYSTEMS:
        raise ResultError("not equatorial", place="COORDSYS", found=system, wanted="C or ICRS")
    index = {
        name: _numbers(columns[name], name, "iu") for name in columns if name in ("UNIQ", "PIXEL")
    }
    values = {name: _numbers(columns[name], name, "iuf") for name in columns if name not in index}
    n_rows = len(next(iter(values.values())))
    if any(len(column) != n_rows for column in (*index.values(), *values.values())):
        raise ResultError("columns of different lengths")
    is_flat = "UNIQ" not in index
    if is_flat:
        cells = _flat_cells(header, index.get("PIXEL"), n_rows)
    else:
        cells = _multi_order_cells(index["UNIQ"])
    has_value = np.all([np.isfinite(one) & (one > _UNSEEN) for one in values.values()], axis=0)
    if not has_value.any():
        raise ResultError("no pixel has a finite value", found=f"{n_rows} rows")
    cells, rows = SkyCells.in_curve_order(cells.order[has_value], cells.ipix_nest[has_value])
    if np.any(cells.stop[:-1] > cells.start[1:]):
        raise ResultError("pixels appear twice or overlap", wanted="each part of the sky once")
    kept = {name: column[has_value][rows] for name, column in values.items()}
    parsed = _density_and_ts(cells, kept)
    if is_flat:
        cells, parsed = _merge_equal(cells, parsed)
    return cells, parsed, n_rows - int(np.count_nonzero(has_value))


def _numbers(column: Any, name: str, kinds: str) -> Any:
    """Return a column as int64 or float64 of this machine."""
    if column.dtype.kind not in kinds:
        wanted = "whole numbers" if kinds == "iu" else "numbers"
        raise ResultError("wrong type of column", place=name, found=column.dtype, wanted=wanted)
    return column.astype(np.int64 if kinds == "iu" else np.float64)


def _multi_order_cells(uniq: IntArray) -> SkyCells:
    """Turn NUNIQ numbers, ``4 nside^2 + ipix_nest``, into cells in the same order."""
    is_wrong = (uniq < 4) | (uniq >= 16 << 2 * _DEEPEST)
    if is_wrong.any():
        found = int(uniq[is_wrong][0])
        raise ResultError("no such cell", place="UNIQ", found=found, wanted=f"nside to {NSIDE_MAX}")
    # the exponent is the number of binary digits, 2 order + 3 or + 4; doubles hold these exactly
    order = (np.frexp(uniq.astype(float))[1].astype(np.int64) - 3) // 2
    return SkyCells(order, uniq - (np.int64(4) << 2 * order))


def _flat_cells(header: Mapping[str, Any], ipix: IntArray | None, n_rows: int) -> SkyCells:
    """Return the pixels of a flat map; without indices, row after row are those of the sky."""
    ordering = str(header.get("ORDERING", "")).strip().upper()
    if ordering not in _ORDERINGS:
        wanted = "RING or NESTED, or a column UNIQ"
        raise ResultError("unknown order", place="ORDERING", found=ordering or None, wanted=wanted)
    nside = header.get("NSIDE") if ipix is not None else int(np.sqrt(n_rows // 12))
    if not isinstance(nside, int) or not is_nside(nside) or header.get("NSIDE", nside) != nside:
        found = f"{n_rows} rows, NSIDE {header.get('NSIDE')}"
        raise ResultError("no such resolution", found=found, wanted="12 NSIDE^2 pixels")
    if ipix is None and n_rows != n_pixels(nside):
        raise ResultError("not the whole sky", found=f"{n_rows} rows", wanted=n_pixels(nside))
    ipix = np.arange(n_rows) if ipix is None else ipix
    if np.any((ipix < 0) | (ipix >= n_pixels(nside))):
        raise ResultError("no such pixel", place="PIXEL", wanted=f"0..{n_pixels(nside) - 1}")
    ipix_nest = ipix if _ORDERINGS[ordering] else ring_to_nest(nside, ipix)
    return SkyCells(np.full(n_rows, nside.bit_length() - 1), ipix_nest)


def _density_and_ts(cells: SkyCells, columns: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Turn the columns of a file into density and TS, those that are there."""
    parsed: dict[str, FloatArray] = {}
    for name, column in columns.items():
        if name in _TS:
            parsed.setdefault("ts", column - column.min())
            continue
        if column.min() < 0.0 or not column.any():
            raise ResultError("not probabilities", place=name, wanted="0 or more, not all 0")
        parsed.setdefault("density", column if name in _DENSITY else column / cells.area)
    return parsed


def _merge_equal(
    cells: SkyCells, values: dict[str, FloatArray]
) -> tuple[SkyCells, dict[str, FloatArray]]:
    """Join four equal children to their parent, as often as that is possible.

    Parameters
    ----------
    cells : SkyCells
        Pixels of one order.
    values : dict
        Name -> array, shape (n,); all must be equal.
    """
    order, ipix_nest = int(cells.order[0]), cells.ipix_nest
    table = np.stack(list(values.values()))
    kept: list[tuple[int, IntArray, FloatArray]] = []
    while order > 0 and len(ipix_nest):
        first = np.flatnonzero(ipix_nest[: max(len(ipix_nest) - 3, 0)] % 4 == 0)
        is_whole = ipix_nest[first + 3] == ipix_nest[first] + 3
        for child in (1, 2, 3):
            is_whole &= np.all(table[:, first + child] == table[:, first], axis=0)
        first = first[is_whole]
        is_alone = np.ones(len(ipix_nest), bool)
        is_alone[first[:, np.newaxis] + np.arange(4)] = False
        kept.append((order, ipix_nest[is_alone], table[:, is_alone]))
        order, ipix_nest, table = order - 1, ipix_nest[first] >> 2, table[:, first]
    kept.append((order, ipix_nest, table))
    orders = np.concatenate([np.full(len(ipix), one, np.int64) for one, ipix, _ in kept])
    joined, rows = SkyCells.in_curve_order(orders, np.concatenate([ipix for _, ipix, _ in kept]))
    merged = np.concatenate([part for *_, part in kept], axis=1)[:, rows]
    return joined, dict(zip(values, merged, strict=True))
