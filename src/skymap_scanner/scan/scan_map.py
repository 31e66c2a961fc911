"""The map of a running scan: all levels, the best pixel, and what deserves a closer look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import InvalidTransitionError, UsageError
from skymap_scanner.pixels import NSidesDict
from skymap_scanner.scan.level import Level
from skymap_scanner.sky.healpix import n_pixels, parents
from skymap_scanner.sky.refinement import children_in_region, pixels_to_refine

if TYPE_CHECKING:
    from skymap_scanner.pixels import Fit
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["ScanMap", "choose_first_pixels"]


def choose_first_pixels(nside: int, given: IntArray | None, region: Cone | None) -> IntArray:
    """Choose the pixels of the first level, as ascending RING indices.

    Parameters
    ----------
    nside : int
        Resolution of the first level.
    given : ndarray of int, optional
        What a pointed reconstruction asks for; all pixels when absent.
    region : Cone, optional
        Without given pixels, all that overlap it, so that no part of it is left unscanned; given
        ones that do not belong to it are left out.

    Raises
    ------
    UsageError
        When nothing is left or a given pixel does not exist.
    """
    if given is None:
        return np.arange(n_pixels(nside)) if region is None else region.overlapping(nside)
    pixels = np.unique(np.asarray(given, np.int64))
    if not len(pixels) or pixels[0] < 0 or pixels[-1] >= n_pixels(nside):
        raise UsageError(f"no such first pixels of nside {nside}", found=f"{len(pixels)} pixels")
    if region is not None:
        pixels = pixels[region.has_pixels(nside, pixels)]
    if not len(pixels):
        raise UsageError(
            "the region to be scanned has none of the pixels that a pointed reconstruction begins "
            "with; leave out one or the other"
        )
    return pixels


class ScanMap:
    """All pixels that were sent, level by level, and the best of those that are done.

    Parameters
    ----------
    progression : NSideProgression
        Resolutions and areas.
    n_variations : int
        Variations of every pixel.
    region : Cone, optional
        Finer pixels that do not belong to it are left out; there the coarse ones remain the map.
    """

    def __init__(
        self, progression: NSideProgression, n_variations: int, region: Cone | None
    ) -> None:
        self.progression = progression
        self.region = region
        #: One per nside, coarsest first.
        self.levels = tuple(
            Level(nside, level, n_variations) for level, nside in enumerate(progression.nsides)
        )
        self._level_of = {level.nside: level for level in self.levels}
        #: (nll, -nside, ipix) of the best pixel that is done: the minimum of all such.
        self._best: tuple[float, int, int] | None = None

    def level_of(self, nside: int) -> Level | None:
        """Return the level of an nside, None when the scan does not have it."""
        return self._level_of.get(nside)

    @property
    def best(self) -> tuple[int, int, float] | None:
        """(nside, RING index, nll) of the best pixel that is done, or None."""
        if self._best is None:
            return None
        nll, minus_nside, ipix = self._best
        return -minus_nside, ipix, nll

    def record(self, level: Level, row: int, variation: int, fit: Fit) -> bool:
        """Take in the first outcome of a variation; return whether its pixel is done now.

        The best pixel has the lowest nll; of equals it is the finer one, then the lower index.
        """
        if not level.record(row, variation, fit):
            return False
        if level.best_variation[row] >= 0:
            best = (level.nll_at(row), -level.nside, int(level.ipix[row]))
            self._best = best if self._best is None else min(self._best, best)
        return True

    def refine(self, n_levels: int) -> list[tuple[Level, IntArray]]:
        """Replace pixels of the `n_levels` coarsest levels around the best one by their children.

        Only pixels that are done are refined, whether they have a finite fit or not, and each once.

        Returns
        -------
        list of (Level, ndarray of int)
            The level of new pixels and their RING indices, ascending; they are not added yet.
        """
        if self._best is None:
            return []
        best = (-self._best[1], self._best[2])
        new: list[tuple[Level, IntArray]] = []
        for nside, next_nside, extension in list(self.progression.refinements())[:n_levels]:
            level = self._level_of[nside]
            rows = level.to_refine(pixels_to_refine(nside, extension, best))
            level.refined[rows] = True
            finer = children_in_region(nside, level.ipix[rows], next_nside, self.region)
            if len(finer):
                new.append((self._level_of[next_nside], np.sort(finer)))
        return new

    def parents(self, level: Level, ipix: IntArray) -> FloatArray:
        """Look up what pixels of a level start from.

        Parameters
        ----------
        level : Level
            Level of the pixels.
        ipix : ndarray of int, shape (n,)
            RING indices.

        Returns
        -------
        ndarray, shape (n, 5)
            x, y, z [m], time [ns] and energy [GeV] of the best fit of the containing pixel at the
            nearest coarser nside that has a finite one; a row of NaN where there is none.
        """
        rows = np.full((len(ipix), 5), np.nan)
        missing = np.arange(len(ipix))
        for coarser in reversed(self.levels[: level.level]):
            containing = parents(level.nside, ipix[missing], coarser.nside)
            has_fit, rows[missing] = coarser.parents(containing)
            missing = missing[~has_fit]
            if not len(missing):
                break
        return rows

    def to_nsides_dict(self) -> NSidesDict:
        """Copy the pixels that are done and have a finite fit."""
        return NSidesDict(
            {level.nside: level.to_table() for level in self.levels if level.n_pixels}
        )

    def check(self) -> None:
        """Check that levels, best pixel and tiling fit together; slow, for tests.

        Raises
        ------
        InvalidTransitionError
            When they do not: a bug.
        """
        for level in self.levels:
            level.check()
        best = self.to_nsides_dict().best()
        if self.best != (best and (best.nside, best.pixel_id, best.llh)):
            raise InvalidTransitionError(f"the best pixel is {best}, not {self.best}")
        for nside, next_nside, _ in self.progression.refinements():
            level, finer = self._level_of[nside], self._level_of[next_nside]
            refined = level.ipix[level.refined]
            replacing = children_in_region(nside, refined, next_nside, self.region)
            if not np.array_equal(np.sort(replacing), finer.ipix):
                raise InvalidTransitionError(f"nside {next_nside} does not tile its parents")
