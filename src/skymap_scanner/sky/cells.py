"""Cells of mixed resolutions that tile the scanned part of the sky exactly once.

A scan leaves pixels of several nsides that lie on top of each other. Here the coarser ones are cut
where finer ones lie: what remains of a coarse pixel becomes the largest pixels that fit, so that a
few thousand cells describe what would be millions of pixels of the finest nside.

References
----------
.. [1] P. Fernique et al., "MOC - HEALPix Multi-Order Coverage map", IVOA Recommendation 2.0 (2022)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.sky.healpix import NSIDE_MAX, pixel_area, ring_to_nest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["SkyCells", "tile"]

#: Positions on the NESTED curve are counted in pixels of this order.
_DEEPEST: Final = NSIDE_MAX.bit_length() - 1


@dataclass(frozen=True, slots=True)
class SkyCells:
    """Pixels of mixed resolutions that overlap nowhere.

    Parameters
    ----------
    order : ndarray of int, shape (n,)
        log2 of the nside of each cell.
    ipix_nest : ndarray of int, shape (n,)
        NESTED index of each cell at its nside; the cells follow each other along the NESTED curve.
    """

    order: IntArray
    ipix_nest: IntArray

    @classmethod
    def in_curve_order(cls, order: IntArray, ipix_nest: IntArray) -> tuple[SkyCells, IntArray]:
        """Sort cells along the NESTED curve; return them and where each was before."""
        rows = np.argsort(ipix_nest << 2 * (_DEEPEST - order), kind="stable")
        return cls(order[rows], ipix_nest[rows]), rows

    def __len__(self) -> int:
        return len(self.order)

    @property
    def uniq(self) -> IntArray:
        """NUNIQ numbers, ``4 nside^2 + ipix_nest``, shape (n,)."""
        return (np.int64(4) << 2 * self.order) + self.ipix_nest

    @property
    def start(self) -> IntArray:
        """First pixel of the finest order inside each cell, shape (n,), ascending."""
        return self.ipix_nest << 2 * (_DEEPEST - self.order)

    @property
    def stop(self) -> IntArray:
        """One past the last pixel of the finest order inside each cell, shape (n,)."""
        return (self.ipix_nest + 1) << 2 * (_DEEPEST - self.order)

    @property
    def area(self) -> FloatArray:
        """Area of each cell [sr], shape (n,)."""
        return np.asarray(pixel_area(1) / 4.0**self.order)

    @property
    def covers_sky(self) -> bool:
        """Whether no part of the sky is missing; counted in whole numbers, so exact."""
        return int(np.sum(self.stop - self.start)) == 12 * NSIDE_MAX**2

    def centers(self) -> tuple[FloatArray, FloatArray]:
        """Compute right ascension and declination of the centres [rad], each of shape (n,)."""
        from astropy_healpix import healpix_to_lonlat

        ra, dec = np.empty(len(self)), np.empty(len(self))
        for order in np.unique(self.order):
            rows = self.order == order
            lon, lat = healpix_to_lonlat(self.ipix_nest[rows], 1 << int(order), order="nested")
            ra[rows], dec[rows] = lon.rad, lat.rad
        return ra, dec

    def locate(self, ra: ArrayLike, dec: ArrayLike) -> IntArray:
        """Find the cells that contain directions.

        Parameters
        ----------
        ra, dec : array_like of any shape
            Directions [rad].

        Returns
        -------
        ndarray of int, same shape
            Rows of cells; -1 where there is none.
        """
        import astropy.units as u
        from astropy_healpix import lonlat_to_healpix

        lon, lat = np.asarray(ra, float), np.asarray(dec, float)
        if not len(self):
            return np.full(np.broadcast(lon, lat).shape, -1)
        order = int(self.order.max())
        ipix = lonlat_to_healpix(lon * u.rad, lat * u.rad, 1 << order, order="nested")
        position = np.asarray(ipix, np.int64) << 2 * (_DEEPEST - order)
        row = np.searchsorted(self.start, position, side="right") - 1
        inside = (row >= 0) & (position < self.stop[np.maximum(row, 0)])
        return np.where(inside, row, -1)

    def split(self, order: int) -> tuple[SkyCells, IntArray]:
        """Cut the cells that are coarser than `order` into pixels of that order.

        Parameters
        ----------
        order : int
            No cell of the answer is coarser.

        Returns
        -------
        cells : SkyCells
            The same part of the sky.
        rows : ndarray of int, shape (len(cells),)
            Which cell of ours each of them comes from.
        """
        n_children = np.int64(1) << 2 * np.maximum(order - self.order, 0)
        rows = np.repeat(np.arange(len(self)), n_children)
        first = np.repeat(np.cumsum(n_children) - n_children, n_children)
        child = np.arange(len(rows)) - first
        ipix_nest = self.ipix_nest[rows] * n_children[rows] + child
        return SkyCells(np.maximum(self.order[rows], order), ipix_nest), rows

    def take(self, rows: IntArray | NDArray[np.bool_]) -> SkyCells:
        """Keep some cells, given by ascending rows or a boolean array."""
        return SkyCells(self.order[rows], self.ipix_nest[rows])


def tile(pixels: Mapping[int, IntArray]) -> tuple[SkyCells, IntArray, IntArray]:
    """Cut overlapping pixels of several nsides into cells that cover their union exactly once.

    The finest pixel at a place wins. What is left of a coarse pixel around finer ones becomes the
    largest pixels that fit and belongs to the coarse one still.

    Parameters
    ----------
    pixels : Mapping
        nside -> RING indices, each at most once per nside.

    Returns
    -------
    cells : SkyCells
        The cells.
    nside : ndarray of int, shape (n,)
        Resolution of the pixel each cell is, or is a part of.
    row : ndarray of int, shape (n,)
        Its place in ``pixels[nside]``.

    Examples
    --------
    A base pixel in which one of the four children was scanned again:

    >>> cells, nside, row = tile({1: np.array([0]), 2: np.array([13])})
    >>> len(cells), nside.tolist(), cells.area.sum().round(6) == round(np.pi / 3, 6)
    (4, [2, 1, 1, 1], np.True_)
    """
    nothing = np.empty(0, np.int64)
    # columns: order, ipix_nest, nside and row of the pixel that gives the value
    leaves = np.stack([nothing] * 4)
    for nside in sorted(pixels):
        order = nside.bit_length() - 1
        ipix_nest = ring_to_nest(nside, np.asarray(pixels[nside], np.int64))
        by_index = np.argsort(ipix_nest, kind="stable")
        added = np.stack(
            [
                np.full(len(by_index), order),
                ipix_nest[by_index],
                np.full(len(by_index), nside),
                by_index,
            ]
        )
        leaves = np.concatenate([_cut_out(leaves, order, added[1]), added], axis=1)
    cells, rows = SkyCells.in_curve_order(leaves[0], leaves[1])
    return cells, leaves[2][rows], leaves[3][rows]


def _cut_out(leaves: IntArray, order: int, ipix_nest: IntArray) -> IntArray:
    """Take sorted pixels of `order` out of coarser leaves and return what is left of these."""
    kept = []
    for coarse in np.unique(leaves[0]):
        level = leaves[:, leaves[0] == coarse]
        ancestor = np.unique(ipix_nest >> 2 * (order - coarse))
        is_cut = np.isin(level[1], ancestor, assume_unique=True)
        kept.append(level[:, ~is_cut])
        level = level[:, is_cut]
        for deeper in range(int(coarse) + 1, order + 1):
            child = np.repeat(level, 4, axis=1)
            child[0] = deeper
            child[1] = 4 * child[1] + np.tile(np.arange(4), level.shape[1])
            ancestor = np.unique(ipix_nest >> 2 * (order - deeper))
            is_cut = np.isin(child[1], ancestor, assume_unique=True)
            kept.append(child[:, ~is_cut])
            level = child[:, is_cut]
    return np.concatenate(kept, axis=1) if kept else leaves
