"""Scan a cone around a direction in this process: the decisions of a real scan, without a queue."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.event.coordinates import equatorial_to_detector
from skymap_scanner.pixels import Fit
from skymap_scanner.recos.runner import make_runner
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.scan.state import FitReceived, ScanStarted, ScanState, SendPixels
from skymap_scanner.sky.healpix import angular_distance, pixel_area, pixel_at, pixel_centers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.event import Event
    from skymap_scanner.pixels import NSidesDict, RecoPixelFinal, TaskKey
    from skymap_scanner.recos import RecoInterface
    from skymap_scanner.scan.state import Instruction
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone
    from skymap_scanner.units import FloatArray

__all__ = ["ConeScanner", "is_at_edge"]


class ConeScanner:
    """Scans cones of one event with one reconstruction.

    Parameters
    ----------
    reco : RecoInterface
        With its settings.
    event : Event
        What was measured.
    progression : NSideProgression
        Resolutions.

    Raises
    ------
    EventError
        When the reconstruction cannot work on this event.
    """

    def __init__(self, reco: RecoInterface, event: Event, progression: NSideProgression) -> None:
        reco.check_event(event)
        self._reco = reco
        self._event = event
        self._progression = progression
        self._run = make_runner(reco, event)
        self._base = reco.base_vertex(event)
        self._n_variations = len(reco.get_vertex_variations())

    def scan(self, cone: Cone) -> ScanState:
        """Scan a cone until there is nothing more to refine.

        The coarsest pixels are all that overlap the cone, finer ones are those of a real scan whose
        centres lie in it. A pixel without a fit is no reason to give up: a cone has few.

        Parameters
        ----------
        cone : Cone
            Where to scan.

        Returns
        -------
        ScanState
            Finished; not complete when no pixel has a finite fit.
        """
        state = ScanState(
            self._progression, self._n_variations, region=cone, max_failed_fraction=1.0
        )
        todo: deque[Instruction] = deque(state.handle(ScanStarted()))
        while todo:
            instruction = todo.popleft()
            if not isinstance(instruction, SendPixels):
                continue
            level, parents = instruction.level, instruction.parents
            for key, fit in self._fits(instruction.nside, level, instruction.ipix, parents):
                todo.extend(state.handle(FitReceived(key, fit)))
        return state

    def nll_at(self, ra: float, dec: float, pixels: NSidesDict) -> float:
        """Return the nll of the finest pixel that holds a direction; it is fitted where missing.

        Parameters
        ----------
        ra, dec : float
            Direction, ICRS [rad].
        pixels : NSidesDict
            The map so far. What it lacks is fitted as a scan would, from the coarser pixel around.

        Returns
        -------
        float
            Negative log-likelihood; +inf when there is no finite fit.
        """
        parent = np.full((1, 5), np.nan)
        nll = math.inf
        for level, nside in enumerate(self._progression.nsides):
            ipix = pixel_at(nside, [ra], [dec])
            known = pixels[nside].get(int(ipix[0])) if nside in pixels else None
            if known is not None:
                nll, parent = known.llh, _parent_row(known)
                continue
            fits = [fit for _, fit in self._fits(nside, level, ipix, parent) if fit.is_ok]
            best = min(fits, key=lambda fit: fit.nll, default=None)
            nll = math.inf if best is None else best.nll
            if best is not None:
                parent = np.array([[*best.vertex, best.vertex_time, best.energy]])
        return nll

    def _fits(
        self,
        nside: int,
        level: int,
        ipix: np.ndarray[tuple[int], np.dtype[np.int64]],
        parents: FloatArray,
    ) -> Iterator[tuple[TaskKey, Fit]]:
        """Fit all variations of some pixels, with the seeds of a real scan."""
        zenith, azimuth = equatorial_to_detector(*pixel_centers(nside, ipix), self._event.mjd)
        seeds = make_seeds(
            self._reco,
            self._event,
            nside=nside,
            level=level,
            zenith=zenith,
            azimuth=azimuth,
            parents=parents,
            base=self._base,
        )
        for pixel, of_pixel in zip(ipix.tolist(), seeds, strict=True):
            for variation, seed in enumerate(of_pixel):
                key = (nside, pixel, variation)
                try:
                    fit = self._run(seed, key)
                except Exception as error:  # noqa: BLE001  # as for a worker: one fit, not the scan
                    fit = Fit.failed(f"{type(error).__name__}: {error}")
                yield key, fit


def _parent_row(pixel: RecoPixelFinal) -> FloatArray:
    """Return what finer pixels in a pixel start from, shape (1, 5)."""
    place = pixel.position
    return np.array([[place.x, place.y, place.z, pixel.time, pixel.energy]])


def is_at_edge(cone: Cone, best: tuple[int, int], progression: NSideProgression) -> bool:
    """Tell whether the best pixel lies at the edge of a cone: a better one may lie beyond.

    Parameters
    ----------
    cone : Cone
        What was scanned.
    best : tuple of int
        (nside, RING index) of the best pixel.
    progression : NSideProgression
        Resolutions; all of the cone was scanned with the finest but one at the best.

    Returns
    -------
    bool
        Whether the edge is nearer than a pixel of the finest resolution but one.
    """
    if cone.radius >= np.pi:
        return False
    nside, ipix = best
    ra, dec = pixel_centers(nside, [ipix])
    distance = float(angular_distance(ra[0], dec[0], cone.ra, cone.dec))
    coarse = min(nside, progression.nsides[max(0, len(progression) - 2)])
    return distance + math.sqrt(pixel_area(coarse)) > cone.radius
