"""A reconstruction that reconstructs nothing: random numbers after a nap, to test all around it.

The numbers are random over the sky but always the same for the same event and seed, so that scans
can be compared bit by bit. With ``sleep_max_s=0`` it costs nothing and measures the infrastructure.
"""

from __future__ import annotations

import hashlib
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.recos.options import option

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Seed

__all__ = ["RECO_CLASS", "Dummy", "DummyOptions"]


@dataclass(frozen=True, slots=True)
class DummyOptions:
    """Settings of the dummy reconstruction."""

    sleep_min_s: float = option(
        1.0, help="shortest nap per pixel variation", unit="s", minimum=0.0, maximum=1e6
    )
    sleep_max_s: float = option(
        3.0,
        help="longest nap per pixel variation; 0 measures the rest",
        unit="s",
        minimum=0.0,
        maximum=1e6,
    )


class Dummy(RecoInterface):
    """Random llh between 0 and 1 per pixel variation, after a nap of random length."""

    name: ClassVar[str] = "dummy"
    rotate_vertex: ClassVar[bool] = True
    refine_time: ClassVar[bool] = True
    add_fallback_position: ClassVar[bool] = False
    options_type: ClassVar[type[Any]] = DummyOptions

    def prepare(self, event: Event) -> bytes:
        """Return what tells this event from others."""
        return f"{event.run_id} {event.event_id} {event.sub_event_id}".encode()

    def fit(self, prepared: bytes, seed: Seed) -> Fit:
        """Sleep, then return random numbers and the seed's vertex.

        Parameters
        ----------
        prepared : bytes
            Names the event.
        seed : Seed
            Pixel variation.

        Returns
        -------
        Fit
            ``nll`` in [0, 1), energies in [1e3, 1e6) GeV; vertex and time are those of the seed.
        """
        nll, energy_in, energy_total, nap = _uniform(prepared, seed)
        options = self.options
        # An upper end below the lower one means "exactly this long at most".
        low = min(options.sleep_min_s, options.sleep_max_s)
        if options.sleep_max_s > 0.0:
            time.sleep(low + nap * (options.sleep_max_s - low))
        return Fit(
            status=FitStatus.OK,
            reason="",
            nll=nll,
            vertex=seed.vertex,
            vertex_time=seed.vertex_time,
            energy=10.0 ** (3.0 + 3.0 * energy_total),
            energy_in=10.0 ** (3.0 + 3.0 * energy_in * energy_total),
            energy_total=10.0 ** (3.0 + 3.0 * energy_total),
            n_evaluations=1,
        )


def _uniform(event: bytes, seed: Seed) -> tuple[float, float, float, float]:
    """Return four random numbers in [0, 1) that depend on event, pixel and variation only.

    Directions are rounded to 1e-9 rad and positions to 1 mm: two machines may compute them with
    different last digits.
    """
    numbers = (seed.zenith, seed.azimuth, *(value * 1e-6 for value in seed.vertex))
    key = struct.pack("<6q", seed.nside, *(round(number * 1e9) for number in numbers))
    digest = hashlib.blake2b(event + b"\0" + key, digest_size=32).digest()
    first, second, third, fourth = (n / 2.0**64 for n in struct.unpack("<4Q", digest))
    return first, second, third, fourth


RECO_CLASS = Dummy
