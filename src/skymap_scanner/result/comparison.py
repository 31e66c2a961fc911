"""Whether two results agree, pixel by pixel and column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.pixels import PIXEL_DTYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["RELATIVE_TOLERANCES", "close_columns", "difference_report", "is_same"]

#: Column -> relative difference that still counts as agreement; other columns must be equal.
RELATIVE_TOLERANCES: Final[dict[str, float]] = {
    "llh": 1e-4,
    "E_in": 1e-2,
    "E_tot": 1e-2,
    "X": 1e-3,
    "Y": 1e-3,
    "Z": 1e-3,
    "T": 1e-3,
}
#: Absolute difference that always counts as agreement.
_ABSOLUTE_TOLERANCE: Final = 1e-8
#: An energy of zero means "not estimated" in these columns and agrees with everything.
_ZERO_IS_UNKNOWN: Final = ("E_in", "E_tot")


def is_same(one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    """Whether two tables of pixels are equal; NaN equals NaN."""
    return len(one) == len(other) and all(
        np.array_equal(one[name], other[name], equal_nan=name != "index")
        for name in PIXEL_DTYPE.names or ()
    )


def close_columns(
    one: NDArray[np.void],
    other: NDArray[np.void],
    *,
    equal_nan: bool,
    tolerances: Mapping[str, float],
) -> dict[str, bool]:
    """Compare two tables column by column.

    Parameters
    ----------
    one, other : ndarray
        Structured arrays of `PIXEL_DTYPE`, sorted by index.
    equal_nan : bool
        Whether NaN agrees with NaN.
    tolerances : Mapping
        Column -> relative tolerance, in terms of `other`; columns not named must be equal.

    Returns
    -------
    dict
        Column -> whether all pixels agree; only ``{"index": False}`` when the pixels differ.
    """
    if not np.array_equal(one["index"], other["index"]):
        return {"index": False}
    result = {"index": True}
    for name in (PIXEL_DTYPE.names or ())[1:]:
        mine, theirs = one[name], other[name]
        agree = np.isclose(
            mine,
            theirs,
            rtol=tolerances.get(name, 0.0),
            atol=_ABSOLUTE_TOLERANCE if name in tolerances else 0.0,
            equal_nan=equal_nan,
        )
        if name in _ZERO_IS_UNKNOWN and name in tolerances:
            agree |= (mine == 0.0) | (theirs == 0.0)
        result[name] = bool(agree.all())
    return result


def difference_report(one: NDArray[np.void], other: NDArray[np.void]) -> list[dict[str, Any]]:
    """List per pixel what both tables say and by how much they differ; None where one has no pixel.

    Parameters
    ----------
    one, other : ndarray
        Structured arrays of `PIXEL_DTYPE`, sorted by index.

    Returns
    -------
    list of dict
        ``index``, and per column ``[one, other, one - other]`` with None for NaN.
    """
    rows = []
    for ipix in np.union1d(one["index"], other["index"]).tolist():
        row: dict[str, Any] = {"index": ipix}
        found = [table[table["index"] == ipix] for table in (one, other)]
        for name in (PIXEL_DTYPE.names or ())[1:]:
            values = [float(table[name][0]) if len(table) else np.nan for table in found]
            triple = [*values, values[0] - values[1]]
            row[name] = [value if np.isfinite(value) else None for value in triple]
        rows.append(row)
    return rows
