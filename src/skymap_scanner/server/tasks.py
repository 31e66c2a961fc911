"""Pixels become task messages: directions, seeds, bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event.coordinates import equatorial_to_detector
from skymap_scanner.recos.interface import plugin_errors
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.scan.messages import Task, encode
from skymap_scanner.sky.healpix import pixel_centers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.event import Event
    from skymap_scanner.recos import RecoInterface
    from skymap_scanner.scan.state import Resend, SendPixels

__all__ = ["TaskMaker"]

#: Pixels whose seeds are made together: large enough for arrays to pay off, small enough that
#: results do not wait long.
_CHUNK: Final = 64


class TaskMaker:
    """Makes the task messages of one scan.

    Parameters
    ----------
    scan_id : str
        Part of every message.
    reco : RecoInterface
        Says how seeds are varied.
    event : Event
        Gives the time, for directions, and the pulses, for seed times.
    """

    def __init__(self, *, scan_id: str, reco: RecoInterface, event: Event) -> None:
        self._scan_id = scan_id
        self._reco = reco
        self._event = event
        with plugin_errors(reco, "base_vertex"):
            self._base = reco.base_vertex(event)
            if not np.isfinite([*self._base.vertex, self._base.vertex_time]).all():
                raise ValueError(f"a vertex that is not finite: {self._base}")
        #: Task messages made so far, those for another attempt not counted.
        self.n_made = 0

    def batches(self, instruction: SendPixels) -> Iterator[list[bytes]]:
        """Yield the messages of all variations of some pixels, a few pixels at a time."""
        # one call of the coordinate transformation per round, whatever its size
        ra, dec = pixel_centers(instruction.nside, instruction.ipix)
        zenith, azimuth = equatorial_to_detector(ra, dec, self._event.mjd)
        for start in range(0, len(instruction.ipix), _CHUNK):
            rows = slice(start, start + _CHUNK)
            seeds = make_seeds(
                self._reco,
                self._event,
                nside=instruction.nside,
                level=instruction.level,
                zenith=zenith[rows],
                azimuth=azimuth[rows],
                parents=instruction.parents[rows],
                base=self._base,
            )
            bodies = [
                encode(Task(self._scan_id, (instruction.nside, ipix, variation), 1, seed))
                for ipix, of_pixel in zip(instruction.ipix[rows].tolist(), seeds, strict=True)
                for variation, seed in enumerate(of_pixel)
            ]
            self.n_made += len(bodies)
            yield bodies

    def again(self, instruction: Resend) -> bytes:
        """Return the message of another attempt at one variation, with the same seed to the bit."""
        nside, ipix, variation = instruction.key
        ra, dec = pixel_centers(nside, [ipix])
        zenith, azimuth = equatorial_to_detector(ra, dec, self._event.mjd)
        seeds = make_seeds(
            self._reco,
            self._event,
            nside=nside,
            level=instruction.level,
            zenith=zenith,
            azimuth=azimuth,
            parents=instruction.parent[None, :],
            base=self._base,
        )
        return encode(
            Task(self._scan_id, instruction.key, instruction.attempt, seeds[0][variation])
        )
