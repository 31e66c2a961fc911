"""Where two sets of cells of mixed resolutions cover the same sky, exactly.

Cells are ranges on the NESTED curve: what two of them share is a range again, the smaller of the
two cells, and is counted in whole pixels of the finest order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.sky.healpix import NSIDE_MAX, pixel_area

if TYPE_CHECKING:
    from skymap_scanner.sky.cells import SkyCells
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Overlap", "overlap"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The pieces of sky that two sets of cells share.

    Parameters
    ----------
    row_one, row_other : ndarray of int, shape (n,)
        Which cell of either set each piece lies in.
    area : ndarray, shape (n,)
        Area of each piece [sr].
    """

    row_one: IntArray
    row_other: IntArray
    area: FloatArray


def overlap(one: SkyCells, other: SkyCells) -> Overlap:
    """Find the pieces of sky that two sets of cells share.

    Parameters
    ----------
    one, other : SkyCells
        Cells along the NESTED curve that overlap nowhere within their own set.

    Returns
    -------
    Overlap
        Along the curve; without pieces where nothing is shared.

    Examples
    --------
    A base pixel and two of its children, of which one cell is elsewhere:

    >>> from skymap_scanner.sky.cells import SkyCells
    >>> base = SkyCells(np.array([0]), np.array([1]))
    >>> finer = SkyCells(np.array([1, 1, 1]), np.array([4, 6, 9]))
    >>> shared = overlap(base, finer)
    >>> shared.row_other.tolist(), (shared.area / base.area).round(6).tolist()
    ([0, 1], [0.25, 0.25])
    """
    first = np.searchsorted(other.stop, one.start, side="right")
    last = np.searchsorted(other.start, one.stop, side="left")
    n_shared = np.maximum(last - first, 0)
    row_one = np.repeat(np.arange(len(one)), n_shared)
    before = np.repeat(np.cumsum(n_shared) - n_shared, n_shared)
    row_other = first[row_one] + np.arange(len(row_one)) - before
    start = np.maximum(one.start[row_one], other.start[row_other])
    stop = np.minimum(one.stop[row_one], other.stop[row_other])
    area = np.asarray((stop - start) * pixel_area(NSIDE_MAX))
    return Overlap(row_one, row_other, area)
