"""The pixels of one nside of a running scan, in columns: what was sent, what came back.

About 90 bytes per pixel plus one per variation: ten million variations fit into a gigabyte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from skymap_scanner.exceptions import InvalidTransitionError
from skymap_scanner.pixels import PIXEL_DTYPE, PixelTable
from skymap_scanner.sky.healpix import n_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.pixels import Fit
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Level", "LevelCounts"]

_Scalar = TypeVar("_Scalar", bound=np.generic)

#: Columns of `Level.fits`: nll; vertex x, y, z, time, energy (what a finer pixel starts from);
#: energy inside, total energy.
_NLL: Final = 0
_PARENT: Final = slice(1, 6)
_N_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """How far one nside is; pixels are done when all their variations are.

    `n_pixels` is what was sent so far, `n_pixels_failed` those done without any finite fit;
    `n_sent`, `n_done` and `n_failed` count variations, failed ones among the done.
    """

    nside: int
    level: int
    n_pixels: int
    n_pixels_done: int
    n_pixels_failed: int
    n_sent: int
    n_done: int
    n_failed: int


class Level:
    """All pixels of one nside that were sent.

    Parameters
    ----------
    nside : int
        Resolution.
    level : int
        0 for the coarsest nside of the scan.
    n_variations : int
        Variations of every pixel, at most 64.
    """

    def __init__(self, nside: int, level: int, n_variations: int) -> None:
        self.nside = nside
        self.level = level
        self.n_variations = n_variations
        #: RING indices, ascending, no repeats, read-only; the other columns have the same order.
        self.ipix: IntArray = _read_only(np.empty(0, np.int64))
        #: Best fit so far; nll is +inf and the rest NaN while there is no finite one.
        self.fits: FloatArray = np.empty((0, _N_COLUMNS))
        #: Which variation the best fit is of; -1 while there is none.
        self.best_variation: NDArray[np.int8] = np.empty(0, np.int8)
        #: Bit v is set when variation v has an outcome.
        self.received: NDArray[np.uint64] = np.empty(0, np.uint64)
        #: Bit v is set when this outcome is a failure; never without the bit in `received`.
        self.failed: NDArray[np.uint64] = np.empty(0, np.uint64)
        #: Number of the try of each variation that is under way, or was the last.
        self.attempts: NDArray[np.uint8] = np.empty((0, n_variations), np.uint8)
        #: Whether the pixel was replaced by its children; only when it is done.
        self.refined: NDArray[np.bool_] = np.empty(0, np.bool_)
        self.n_pixels_done = 0
        self.n_pixels_failed = 0
        self.n_done = 0
        self.n_failed = 0
        self._all_received = (1 << n_variations) - 1
        self._has_whole_sky = False

    def add(self, ipix: IntArray) -> None:
        """Take in pixels that were not sent before; rows move."""
        n_old, n_new = len(self.ipix), len(ipix)
        merged = np.concatenate([self.ipix, ipix])
        order = np.argsort(merged, kind="stable")
        merged = merged[order]
        if np.any(merged[1:] == merged[:-1]):
            raise InvalidTransitionError(f"a pixel of nside {self.nside} would be sent twice")
        self.ipix = _read_only(merged)
        self.fits = _extended(self.fits, n_new, np.nan)
        self.fits[n_old:, _NLL] = np.inf
        self.fits = self.fits[order]
        self.best_variation = _extended(self.best_variation, n_new, -1)[order]
        self.received = _extended(self.received, n_new, 0)[order]
        self.failed = _extended(self.failed, n_new, 0)[order]
        self.attempts = _extended(self.attempts, n_new, 1)[order]
        self.refined = _extended(self.refined, n_new, 0)[order]
        self._has_whole_sky = len(merged) == n_pixels(self.nside)

    def row_of(self, ipix: int) -> int | None:
        """Find the row of a pixel, None when it was not sent."""
        if self._has_whole_sky:
            return ipix if 0 <= ipix < len(self.ipix) else None
        row = int(self.ipix.searchsorted(ipix))
        return row if row < len(self.ipix) and self.ipix[row] == ipix else None

    def rows_of(self, ipix: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """Find the rows of many pixels; where the second array is False the row means nothing."""
        if not len(self.ipix):
            return np.zeros(len(ipix), np.int64), np.zeros(len(ipix), np.bool_)
        rows = np.minimum(self.ipix.searchsorted(ipix), len(self.ipix) - 1)
        return rows, self.ipix[rows] == ipix

    def has_outcome(self, row: int, variation: int) -> bool:
        """Whether the first outcome of a variation came already; later ones change nothing."""
        return bool(int(self.received[row]) >> variation & 1)

    def record(self, row: int, variation: int, fit: Fit) -> bool:
        """Take in the first outcome of a variation; return whether its pixel is done now.

        Of equal nll the lower variation is kept, so that the order of arrival does not matter.
        """
        bit = 1 << variation
        self.n_done += 1
        if fit.is_ok:
            best = self.fits[row, _NLL]
            if fit.nll < best or (fit.nll == best and variation < self.best_variation[row]):
                self.fits[row] = (
                    fit.nll,
                    *fit.vertex,
                    fit.vertex_time,
                    fit.energy,
                    fit.energy_in,
                    fit.energy_total,
                )
                self.best_variation[row] = variation
        else:
            self.failed[row] = int(self.failed[row]) | bit
            self.n_failed += 1
        received = int(self.received[row]) | bit
        self.received[row] = received
        if received != self._all_received:
            return False
        self.n_pixels_done += 1
        if self.best_variation[row] < 0:
            self.n_pixels_failed += 1
        return True

    def nll_at(self, row: int) -> float:
        """Return the best nll of a pixel so far; +inf when there is none."""
        return float(self.fits[row, _NLL])

    @property
    def n_pixels(self) -> int:
        """How many pixels were sent."""
        return len(self.ipix)

    @property
    def n_sent(self) -> int:
        """How many variations were sent."""
        return len(self.ipix) * self.n_variations

    @property
    def is_done(self) -> bool:
        """Whether everything sent so far has its outcome."""
        return self.n_done == self.n_sent

    def is_done_at(self, rows: IntArray) -> NDArray[np.bool_]:
        """Tell for rows whether all variations of the pixel have an outcome."""
        return np.asarray(self.received[rows] == np.uint64(self._all_received))

    def has_fit_at(self, rows: IntArray) -> NDArray[np.bool_]:
        """Tell for rows whether the pixel is done and has a finite fit."""
        return np.asarray(self.is_done_at(rows) & (self.best_variation[rows] >= 0))

    def to_refine(self, ipix: IntArray) -> IntArray:
        """Find the rows of those given pixels that are done and were not refined before."""
        rows, is_known = self.rows_of(ipix)
        rows = rows[is_known]
        return np.asarray(rows[self.is_done_at(rows) & ~self.refined[rows]])

    def parents(self, ipix: IntArray) -> tuple[NDArray[np.bool_], FloatArray]:
        """Look up what finer pixels in the pixels `ipix`, shape (n,), start from.

        Returns
        -------
        has_fit : ndarray of bool, shape (n,)
            Whether the pixel is done and has a finite fit.
        rows : ndarray, shape (n, 5)
            Its vertex x, y, z [m], time [ns] and energy [GeV]; NaN where there is no such fit.
        """
        rows, is_known = self.rows_of(ipix)
        has_fit = is_known.copy()
        has_fit[is_known] = self.has_fit_at(rows[is_known])
        found = np.full((len(ipix), 5), np.nan)
        found[has_fit] = self.fits[rows[has_fit], _PARENT]
        return has_fit, found

    def counts(self) -> LevelCounts:
        """Take a snapshot of how far this level is."""
        return LevelCounts(
            nside=self.nside,
            level=self.level,
            n_pixels=self.n_pixels,
            n_pixels_done=self.n_pixels_done,
            n_pixels_failed=self.n_pixels_failed,
            n_sent=self.n_sent,
            n_done=self.n_done,
            n_failed=self.n_failed,
        )

    def rows_with_fit(self) -> IntArray:
        """Find the pixels that are done and have a finite fit."""
        return np.flatnonzero(self.has_fit_at(np.arange(self.n_pixels)))

    def rows_without_fit(self) -> IntArray:
        """Find the pixels that are done and have no finite fit."""
        rows = np.flatnonzero(self.best_variation < 0)
        return np.asarray(rows[self.is_done_at(rows)])

    def failed_variations(self) -> list[tuple[int, int]]:
        """List (ipix, variation) of all variations that failed."""
        return [
            (int(self.ipix[row]), variation)
            for row in np.flatnonzero(self.failed)
            for variation in range(self.n_variations)
            if int(self.failed[row]) >> variation & 1
        ]

    def check(self) -> None:
        """Compare the counts with the columns and the columns with each other.

        Raises
        ------
        InvalidTransitionError
            When they contradict each other: a bug.
        """
        done = self.is_done_at(np.arange(self.n_pixels))
        has_best = self.best_variation >= 0
        best_bit = np.uint64(1) << np.maximum(self.best_variation, 0).astype(np.uint64)
        good = self.received & ~self.failed
        facts = {
            "pixels ascend": bool(np.all(np.diff(self.ipix) > 0)),
            "pixels exist": bool(np.all((self.ipix >= 0) & (self.ipix < n_pixels(self.nside)))),
            "only what was sent came back": not np.any(
                self.received & ~np.uint64(self._all_received)
            ),
            "only what came back failed": not np.any(self.failed & ~self.received),
            "a good fit means a best one": bool(np.all((good != 0) == has_best)),
            "the best one is good": bool(np.all(good[has_best] & best_bit[has_best])),
            "a best one is finite": bool(np.all(np.isfinite(self.fits[:, _NLL]) == has_best)),
            "refined pixels are done": bool(np.all(done[self.refined])),
            "attempts count from 1": bool(np.all(self.attempts >= 1)),
            "n_pixels_done": self.n_pixels_done == int(done.sum()),
            "n_pixels_failed": self.n_pixels_failed == int((done & ~has_best).sum()),
            "n_done": self.n_done == _n_bits(self.received),
            "n_failed": self.n_failed == _n_bits(self.failed),
        }
        broken = [name for name, is_true in facts.items() if not is_true]
        if broken:
            raise InvalidTransitionError(f"nside {self.nside}: not true: {', '.join(broken)}")

    def to_table(self) -> PixelTable:
        """Copy the pixels that are done and have a finite fit."""
        rows = self.rows_with_fit()
        fits = self.fits[rows]
        table = np.empty(len(rows), PIXEL_DTYPE)
        table["index"] = self.ipix[rows]
        for column, name in ((0, "llh"), (1, "X"), (2, "Y"), (3, "Z"), (4, "T")):
            table[name] = fits[:, column]
        table["E_in"], table["E_tot"] = fits[:, 6], fits[:, 7]
        return PixelTable(self.nside, table, energy=fits[:, 5].copy())


def _extended(column: NDArray[_Scalar], n_new: int, value: float) -> NDArray[_Scalar]:
    """Return a longer copy of a column whose new rows hold `value`."""
    longer = np.empty((len(column) + n_new, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    longer[len(column) :] = value
    return longer


def _n_bits(masks: NDArray[np.uint64]) -> int:
    """Count the bits that are set in all of `masks`."""
    return int(np.unpackbits(masks.view(np.uint8)).sum())


def _read_only(ipix: IntArray) -> IntArray:
    """Seal an array that instructions share with us."""
    ipix.setflags(write=False)
    return ipix
