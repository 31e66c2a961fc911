"""A whole simulated event: a muon through the detector, read out and with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.ice import IceModel
from skymap_scanner.simulation.light_yield import Track, track_photo_electrons
from skymap_scanner.simulation.muon import MuonPassage, propagate_muon
from skymap_scanner.simulation.response import (
    Hits,
    merge_hits,
    noise_hits,
    photomultiplier_hits,
    read_out,
)
from skymap_scanner.units import DEG, LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.i3 import PulseMap
    from skymap_scanner.units import FloatArray

__all__ = ["SimulatedEvent", "TrackSettings", "simulate_track"]

#: The muon starts this far before its closest approach to the origin and is followed as far beyond.
HALF_LENGTH: Final = 1200.0
#: Noise before the first and after the last light [ns].
_NOISE_MARGIN: Final = 12_000.0
#: Tries before a track counts as one that cannot trigger.
MAX_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What to simulate.

    Attributes
    ----------
    energy : float
        Muon energy 700 m before its closest approach to the detector's centre [GeV].
    zenith, azimuth : float
        Where the muon comes from [rad].
    impact : tuple of float
        Offset of the track from the origin in the plane normal to it [m]: along the horizontal
        and along the direction normal to both.
    ice : str
        Ice model.
    seed : int
        Seed of all chance.
    """

    energy: float
    zenith: float
    azimuth: float
    impact: tuple[float, float] = (0.0, 0.0)
    ice: str = "spice_bfr-v2"
    seed: int = 1

    def __post_init__(self) -> None:
        checks = (
            (1.0 <= self.energy <= 1e9, "energy [GeV]", self.energy, "1 to 1e9"),
            (0.0 <= self.zenith <= np.pi, "zenith [rad]", self.zenith, "0 to pi"),
            (np.isfinite(self.azimuth), "azimuth [rad]", self.azimuth, "a finite number"),
            (
                bool(np.all(np.abs(self.impact) <= HALF_LENGTH)),
                "impact [m]",
                self.impact,
                f"at most {HALF_LENGTH:.0f}",
            ),
            (self.seed >= 0, "seed", self.seed, "0 or more"),
        )
        for legal, place, found, wanted in checks:
            if not legal:
                raise UsageError("illegal value", place=place, found=found, wanted=wanted)


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """Pulses with the readout window [ns], and the truth as a JSON-safe dictionary."""

    pulses: PulseMap
    window: tuple[float, float]
    truth: dict[str, Any]


def _frame(direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors normal to a direction: horizontal, and normal to both."""
    axis = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
    horizontal = np.cross(axis, direction)
    horizontal /= np.linalg.norm(horizontal)
    return horizontal, np.cross(direction, horizontal)


def simulate_track(settings: TrackSettings, detector: Detector) -> SimulatedEvent:
    """Simulate a through-going muon that triggers the detector.

    Parameters
    ----------
    settings : TrackSettings
        Energy, direction, place, ice, seed.
    detector : Detector
        Geometry and efficiencies.

    Returns
    -------
    SimulatedEvent

    Raises
    ------
    UsageError
        When no try triggers the detector: the track passes too far away or is too faint.
    """
    rng = np.random.default_rng(settings.seed)
    ice = IceModel.load(settings.ice)
    sin_zenith = np.sin(settings.zenith)
    direction = -np.array(
        [
            sin_zenith * np.cos(settings.azimuth),
            sin_zenith * np.sin(settings.azimuth),
            np.cos(settings.zenith),
        ]
    )
    horizontal, normal = _frame(direction)
    closest = settings.impact[0] * horizontal + settings.impact[1] * normal
    start = closest - 700.0 * direction
    track = Track(start=start, start_time=0.0, direction=direction)
    for _ in range(MAX_TRIES):
        passage = propagate_muon(settings.energy, 700.0 + HALF_LENGTH, rng)
        light = track_photo_electrons(track, passage, detector, ice, rng)
        hits = photomultiplier_hits(light.om_index, light.time, rng)
        window = (-_NOISE_MARGIN, 2 * HALF_LENGTH / LIGHT_SPEED + _NOISE_MARGIN)
        merged: Hits = merge_hits(hits.joined(noise_hits(detector, window, rng)))
        taken = read_out(merged, detector)
        if taken is not None:
            readout, offset = taken
            truth = _truth(settings, track, passage, offset=offset)
            return SimulatedEvent(readout.pulses, readout.window, truth)
    raise UsageError(
        f"no trigger in {MAX_TRIES} tries: the track is too faint or too far away",
        place="simulate track",
        found=f"{settings.energy:g} GeV, impact {settings.impact} m",
        wanted="more energy or a smaller impact",
    )


def _truth(
    settings: TrackSettings, track: Track, passage: MuonPassage, *, offset: float
) -> dict[str, Any]:
    """Return what is known about the event and no reconstruction is told."""
    vertex = track.start + 700.0 * track.direction
    return {
        "kind": "track",
        "zenith": settings.zenith,
        "azimuth": settings.azimuth,
        "zenith_deg": settings.zenith / DEG,
        "azimuth_deg": settings.azimuth / DEG,
        "energy": settings.energy,
        "vertex": [round(float(x), 6) for x in vertex],
        "vertex_time": track.start_time + 700.0 / LIGHT_SPEED + offset,
        "losses": [
            {
                "distance": round(float(distance) - 700.0, 3),
                "energy": round(float(energy), 3),
                "process": int(process),
            }
            for distance, energy, process in zip(
                passage.loss_distance, passage.loss_energy, passage.loss_process, strict=True
            )
            if energy >= 10.0
        ],
        "ice": settings.ice,
        "seed": settings.seed,
        "light": "closed form (Cherenkov cone, diffusion, gamma-distributed delays)",
    }
