"""FITS files of the photospline library: where they keep the parts of a spline.

The coefficients are the primary image, float32, dimension 0 slowest (FITS counts axes the other way
round: ``NAXIS1`` belongs to the last one); ``ORDERi`` (or one ``ORDER`` for all) are the orders,
``PERIODi`` the periods; the knots are the images ``KNOTS0``, ``KNOTS1`` ... and the ranges in which
the table was fitted are the image ``EXTENTS``. What else stands in the primary header is passed on;
the library writes numbers there as text, too.

References
----------
.. [1] N. Whitehorn, J. van Santen and S. Lafebre, Computer Physics Communications 184 (2013) 2214,
   :doi:`10.1016/j.cpc.2013.04.008`
.. [2] https://github.com/icecube/photospline
"""

from __future__ import annotations

import math
import os
import re
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypeAlias

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.utils.exceptions import AstropyWarning

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

__all__ = ["Keyword", "SplineParts", "read_parts", "write_parts"]

Keyword: TypeAlias = bool | int | float | str

#: Value of the keyword TYPE, where there is one.
TABLE_TYPE: Final = "Spline Coefficient Table"
#: Keywords that say how the file is made; everything else is passed on.
_STRUCTURE: Final = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|TYPE|ORDER\d*|PERIOD\d+|COMMENT|HISTORY|CHECKSUM|DATASUM|END"
)
#: Names of more than eight characters make cards with HIERARCH.
_KEYWORD: Final = re.compile(r"[A-Z0-9_-]{1,40}")
#: What astropy raises for damaged headers, besides its warnings.
_DAMAGE: Final = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, VerifyError,
)  # fmt: skip


class SplineParts(NamedTuple):
    """What is in a file, in the order of the arguments of a `SplineTable`.

    Attributes
    ----------
    coefficients : ndarray of big-endian float32, shape (n_0, ..., n_last)
        Mapped from the file.
    knots : sequence of ndarray
    orders : sequence of int
    extents : ndarray or None
        As many numbers as twice the dimensions, where the file is right.
    keywords : mapping
        The free ones.
    """

    coefficients: NDArray[np.float32]
    knots: Sequence[FloatArray]
    orders: Sequence[int]
    extents: FloatArray | None
    keywords: Mapping[str, Keyword]


def read_parts(path: Path) -> SplineParts:
    """Read a file; whether its parts fit together is for the caller to see.

    Parameters
    ----------
    path : Path
        FITS file, not compressed.

    Returns
    -------
    SplineParts

    Raises
    ------
    FormatError
        When it is not such a file, is truncated, lacks a part or is periodic.
    """
    with open_regular(path) as file:
        if file.read(9) != b"SIMPLE  =":
            raise FormatError("not a FITS file", place=str(path), wanted="SIMPLE  = T first")
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyWarning)  # what matters is checked here
                return _read(file)
        except FormatError as error:
            raise error.at(str(path)) from error
        except _DAMAGE as error:
            raise FormatError(
                "a FITS file that cannot be read", place=str(path), found=str(error)
            ) from error


def write_parts(path: Path, parts: SplineParts) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : Path
        Where; an existing file is replaced.
    parts : SplineParts
        What.

    Raises
    ------
    FormatError
        When a keyword is not free, or more than FITS can hold.
    OutputError
        When the disk is full, or the folder missing or not writable.
    """
    primary = fits.PrimaryHDU(parts.coefficients)
    primary.header["TYPE"] = TABLE_TYPE
    for d, order in enumerate(parts.orders):
        primary.header[f"ORDER{d}"] = (order, "B-Spline Order")
    for d in range(len(parts.orders)):
        primary.header[f"PERIOD{d}"] = 0.0
    for name, value in parts.keywords.items():
        if not _is_free(name, value):
            raise FormatError(
                "not a free keyword of a FITS header",
                place=name,
                found=repr(value),
                wanted="a name of 1 to 40 of A-Z, 0-9, _ and -; a number or text",
            )
        try:
            primary.header[name if len(name) <= 8 else f"HIERARCH {name}"] = value
        except ValueError as error:
            raise FormatError(
                "not a value of a FITS header", place=name, found=repr(value), wanted=str(error)
            ) from error
    images = [fits.ImageHDU(knots, name=f"KNOTS{d}") for d, knots in enumerate(parts.knots)]
    if parts.extents is not None:
        images.append(fits.ImageHDU(parts.extents.ravel(), name="EXTENTS"))
    write_atomically(path, fits.HDUList([primary, *images]).writeto)


def _read(file: BinaryIO) -> SplineParts:
    with fits.open(file, mode="readonly", memmap=True, do_not_scale_image_data=True) as hdus:
        header = hdus[0].header
        if header.get("TYPE", TABLE_TYPE) != TABLE_TYPE:
            raise FormatError(
                "another kind of FITS file", place="TYPE", found=header["TYPE"], wanted=TABLE_TYPE
            )
        coefficients = _image(file, hdus[0], "primary image")
        n_dim = coefficients.ndim
        for d in range(n_dim):
            _check_not_periodic(header.get(f"PERIOD{d}", 0), f"PERIOD{d}")
        images = {hdu.name: hdu for hdu in reversed(hdus[1:]) if isinstance(hdu, fits.ImageHDU)}
        _check_end(file, hdus[-1])
        missing = [f"KNOTS{d}" for d in range(n_dim) if f"KNOTS{d}" not in images]
        if missing:
            raise FormatError(
                "image extensions are missing",
                found=", ".join(sorted(images)) or "none",
                wanted=", ".join(missing),
            )

        def numbers(name: str) -> FloatArray:
            return np.array(_image(file, images[name], name), dtype=np.float64)

        return SplineParts(
            np.asarray(coefficients, dtype=">f4"),
            [numbers(f"KNOTS{d}") for d in range(n_dim)],
            [_order(header, d) for d in range(n_dim)],
            numbers("EXTENTS") if "EXTENTS" in images else None,
            {k.upper(): value for k, value in header.items() if _is_free(k.upper(), value)},
        )


def _image(file: BinaryIO, hdu: Any, place: str) -> NDArray[np.floating[Any]]:
    """Map an image of real numbers into memory, in the byte order of the file."""
    header = hdu.header
    is_scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0
    if header["BITPIX"] not in (-32, -64) or is_scaled:
        raise FormatError(
            "unusual numbers",
            place=place,
            found=f"BITPIX {header['BITPIX']}, BSCALE {header.get('BSCALE')}, "
            f"BZERO {header.get('BZERO')}",
            wanted="BITPIX -32 or -64, not scaled",
        )
    shape = tuple(int(header[f"NAXIS{i}"]) for i in range(int(header["NAXIS"]), 0, -1))
    dtype = np.dtype(f">f{-header['BITPIX'] // 8}")
    if not shape or min(shape) < 1:
        raise FormatError("an image without numbers", place=place, found=f"shape {shape}")
    start, size = hdu.fileinfo()["datLoc"], os.fstat(file.fileno()).st_size
    end = start + dtype.itemsize * math.prod(shape)
    if end > size:
        raise FormatError(
            "the file is truncated", place=place, found=f"{size} bytes", wanted=f"{end}"
        )
    return np.asarray(np.memmap(file, dtype, mode="r", offset=start, shape=shape))


def _check_end(file: BinaryIO, last: Any) -> None:
    """Refuse a file with bytes at its end that belong to nothing: half a header, mostly."""
    info, size = last.fileinfo(), os.fstat(file.fileno()).st_size
    end = info["datLoc"] + info["datSpan"]
    if size > end:
        raise FormatError(
            "truncated, or more than a table", found=f"{size} bytes", wanted=f"{end} bytes"
        )


def _order(header: Any, dim: int) -> int:
    name = "ORDER" if "ORDER" in header else f"ORDER{dim}"
    try:
        return int(str(header[name]))
    except (KeyError, ValueError) as error:
        raise FormatError(
            "no order of the spline",
            place=name,
            found=repr(header.get(name)),
            wanted="a whole number",
        ) from error


def _check_not_periodic(period: object, place: str) -> None:
    try:
        is_zero = float(str(period)) == 0.0
    except ValueError:
        is_zero = False
    if not is_zero:
        raise FormatError(
            "periodic dimensions are not supported (the library does not wrap them either)",
            place=place,
            found=period,
            wanted=0,
        )


def _is_free(name: str, value: object) -> bool:
    """Tell whether a keyword says nothing about the file's structure."""
    free = _KEYWORD.fullmatch(name) and not _STRUCTURE.fullmatch(name)
    return bool(free) and isinstance(value, Keyword)
