"""What stands in the frame of one pixel variation, in IceTray's words, with and without IceTray.

The keys are those of the classic scanner. Where there is no IceTray the objects are small stand-ins
with the attributes that IceTray's have (``.value``, ``.pos.x``, ``.dir.zenith``, ``.time`` ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from skymap_scanner.pixels import Guess, Position, Seed, TaskKey
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FALLBACK_KEY",
    "HEADER_KEY",
    "LEVEL_KEY",
    "NSIDE_KEY",
    "PIXEL_KEY",
    "SEED_KEY",
    "VARIATION_KEY",
    "Direction",
    "FrameObjects",
    "IceTrayObjects",
    "OwnObjects",
    "Particle",
    "Value",
    "pixel_entries",
    "seed_of_frame",
]

HEADER_KEY: Final = "I3EventHeader"
#: First guess and direction of the pixel variation (a particle).
SEED_KEY: Final = "MillipedeSeedParticle"
#: Second first guess, where there is one (a particle).
FALLBACK_KEY: Final = "MillipedeSeedParticle_fallback"
NSIDE_KEY: Final = "SCAN_HealpixNSide"
PIXEL_KEY: Final = "SCAN_HealpixPixel"
VARIATION_KEY: Final = "SCAN_PositionVariationIndex"
#: Ours: 0 for the coarsest nside of the scan, 1 for the next ...
LEVEL_KEY: Final = "SCAN_Level"


@dataclass(frozen=True, slots=True)
class Value:
    """A number or text in a frame, like ``I3Int``, ``I3Double`` and ``I3String``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Direction:
    """Where a particle comes from [rad]; x, y, z are the unit vector along which it travels."""

    zenith: float
    azimuth: float

    @property
    def x(self) -> float:
        """Component of the direction of travel along x."""
        return -math.sin(self.zenith) * math.cos(self.azimuth)

    @property
    def y(self) -> float:
        """Component of the direction of travel along y."""
        return -math.sin(self.zenith) * math.sin(self.azimuth)

    @property
    def z(self) -> float:
        """Component of the direction of travel along z."""
        return -math.cos(self.zenith)


@dataclass(frozen=True, slots=True)
class Particle:
    """An infinite track or cascade with the attributes of ``I3Particle`` [m, ns, GeV]."""

    pos: Position
    dir: Direction
    time: float
    energy: float
    length: float = math.nan
    speed: float = LIGHT_SPEED


class FrameObjects(Protocol):
    """Makes what may be put in a frame; one implementation with IceTray, one without."""

    def integer(self, value: int) -> Any:
        """Wrap an integer."""

    def number(self, value: float) -> Any:
        """Wrap a number."""

    def text(self, value: str) -> Any:
        """Wrap a text."""

    def particle(self, guess: Guess, zenith: float, azimuth: float, energy: float) -> Any:
        """Make a particle."""


class OwnObjects:
    """The stand-ins, for our own tray."""

    def integer(self, value: int) -> Value:
        """Wrap an integer."""
        return Value(int(value))

    def number(self, value: float) -> Value:
        """Wrap a number."""
        return Value(float(value))

    def text(self, value: str) -> Value:
        """Wrap a text."""
        return Value(str(value))

    def particle(self, guess: Guess, zenith: float, azimuth: float, energy: float) -> Particle:
        """Make a particle."""
        return Particle(
            Position(*guess.vertex), Direction(zenith, azimuth), guess.vertex_time, energy
        )


class IceTrayObjects:
    """IceTray's own objects; only where ``icecube`` can be imported."""

    def __init__(self) -> None:
        from icecube import dataclasses, icetray

        self._dataclasses = dataclasses
        self._icetray = icetray

    def integer(self, value: int) -> Any:
        """Make an ``I3Int``."""
        return self._icetray.I3Int(int(value))

    def number(self, value: float) -> Any:
        """Make an ``I3Double``."""
        return self._dataclasses.I3Double(float(value))

    def text(self, value: str) -> Any:
        """Make an ``I3String``."""
        return self._dataclasses.I3String(str(value))

    def particle(self, guess: Guess, zenith: float, azimuth: float, energy: float) -> Any:
        """Make an ``I3Particle``: an infinite track at the speed of light."""
        particle = self._dataclasses.I3Particle()
        particle.pos = self._dataclasses.I3Position(*guess.vertex)
        particle.dir = self._dataclasses.I3Direction(zenith, azimuth)
        particle.time = guess.vertex_time
        particle.energy = energy
        particle.speed = LIGHT_SPEED
        particle.shape = self._dataclasses.I3Particle.InfiniteTrack
        particle.fit_status = self._dataclasses.I3Particle.OK
        return particle


def pixel_entries(seed: Seed, key: TaskKey, objects: FrameObjects) -> Iterator[tuple[str, Any]]:
    """Yield what stands in the frame of one pixel variation, as (key, object)."""
    nside, ipix, variation = key
    guess = Guess(seed.vertex, seed.vertex_time)
    yield SEED_KEY, objects.particle(guess, seed.zenith, seed.azimuth, seed.energy)
    if seed.fallback is not None:
        yield FALLBACK_KEY, objects.particle(seed.fallback, seed.zenith, seed.azimuth, seed.energy)
    yield NSIDE_KEY, objects.integer(nside)
    yield PIXEL_KEY, objects.integer(ipix)
    yield VARIATION_KEY, objects.integer(variation)
    yield LEVEL_KEY, objects.integer(seed.level)


def seed_of_frame(frame: Any, particle: Any = None) -> Seed:
    """Read the seed of a pixel frame back.

    Parameters
    ----------
    frame : I3Frame-like
        A pixel frame; one of a tray that knows no levels counts as the coarsest.
    particle : I3Particle-like, optional
        Taken instead of the frame's seed particle.
    """
    start = frame[SEED_KEY] if particle is None else particle
    second = frame[FALLBACK_KEY] if particle is None and FALLBACK_KEY in frame else None
    return Seed(
        nside=int(frame[NSIDE_KEY].value),
        level=int(frame[LEVEL_KEY].value) if LEVEL_KEY in frame else 0,
        zenith=float(start.dir.zenith),
        azimuth=float(start.dir.azimuth),
        vertex=_xyz(start.pos),
        vertex_time=float(start.time),
        energy=float(start.energy),
        fallback=None if second is None else Guess(_xyz(second.pos), float(second.time)),
    )


def _xyz(position: Any) -> tuple[float, float, float]:
    return (float(position.x), float(position.y), float(position.z))
