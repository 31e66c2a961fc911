"""The truth of a simulated event, as JSON and as the tree of particles that others read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.i3 import (
    Direction,
    MCTree,
    Particle,
    ParticleLocation,
    ParticleShape,
    Position,
)
from skymap_scanner.simulation.settings import UPSTREAM, CascadeSettings, TrackSettings
from skymap_scanner.units import DEG, LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.simulation.muon import MuonPassage
    from skymap_scanner.simulation.sources import LightSources, Track

__all__ = ["LISTED_LOSS", "Happening", "describe", "particle_tree"]

#: Losses below this are not listed one by one [GeV].
LISTED_LOSS: Final = 10.0

# Particle Data Group codes; those of losses and hadrons are IceCube's own.
_ELECTRON, _ELECTRON_NEUTRINO, _MUON, _MUON_NEUTRINO = 11, 12, 13, 14
_HADRONS: Final = -2000001006
#: In the order of `skymap_scanner.simulation.cross_sections.PROCESSES`.
_LOSSES: Final = (-2000001001, -2000001003, -2000001004, -2000001002)


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened in the ice, on the clock of the light.

    Attributes
    ----------
    track : Track
        Where the muon starts, or the vertex of a cascade.
    sources : LightSources
        All light, as electromagnetic cascades.
    passage : MuonPassage or None
        Losses of the muon, where there is one.
    hadronic_energy : float
        Of the hadronic cascade at the vertex [GeV].
    """

    track: Track
    sources: LightSources
    passage: MuonPassage | None
    hadronic_energy: float = 0.0


def describe(
    settings: TrackSettings | CascadeSettings,
    happening: Happening,
    detector: Detector,
    *,
    offset: float,
) -> dict[str, Any]:
    """Say what is known about an event and no reconstruction is told.

    Parameters
    ----------
    settings : TrackSettings or CascadeSettings
        What was wanted.
    happening : Happening
        What came of it.
    detector : Detector
        Light counts as inside in its instrumented volume.
    offset : float
        The event's clock is ahead of that of the light by this [ns].

    Returns
    -------
    dict
        Ready for JSON; m, ns, GeV, rad, and degrees where the name says so.
    """
    sources, track = happening.sources, happening.track
    inside = instrumented_volume(detector).contains(sources.xyz)
    truth: dict[str, Any] = {
        "kind": settings.kind,
        "zenith": settings.zenith,
        "azimuth": settings.azimuth,
        "zenith_deg": settings.zenith / DEG,
        "azimuth_deg": settings.azimuth / DEG,
        "energy": settings.energy,
        "light_energy": round(float(sources.energy.sum()), 3),
        "light_energy_inside": round(float(sources.energy[inside].sum()), 3),
        "ice": settings.ice,
        "seed": settings.seed,
    }
    # A through-going muon has no vertex: where it is nearest to the detector's centre.
    before = UPSTREAM
    if isinstance(settings, CascadeSettings) or settings.is_starting:
        before = 0.0
        truth["hadronic_energy"] = happening.hadronic_energy
    truth["vertex"] = [round(float(x), 6) for x in track.at(np.array(before))]
    truth["vertex_time"] = track.start_time + before / LIGHT_SPEED + offset
    if isinstance(settings, CascadeSettings):
        return truth | {"hadronic_fraction": settings.hadronic_fraction}
    passage = happening.passage
    return truth | {
        "is_starting": settings.is_starting,
        "muon_energy": passage.start_energy if passage else 0.0,
        "losses": _losses(passage, before) if passage else [],
    }


def _losses(passage: MuonPassage, before: float) -> list[dict[str, Any]]:
    """List the losses of at least `LISTED_LOSS`, with distances from the truth's vertex."""
    rows = zip(passage.loss_distance, passage.loss_energy, passage.loss_process, strict=True)
    return [
        {
            "distance": round(float(distance) - before, 3),
            "energy": round(float(energy), 3),
            "process": int(process),
        }
        for distance, energy, process in rows
        if energy >= LISTED_LOSS
    ]


def particle_tree(truth: dict[str, Any], happening: Happening, *, offset: float) -> MCTree:
    """Return the event as other programs expect it: a primary with what came of it.

    Parameters
    ----------
    truth : dict
        Of the event (`describe`).
    happening : Happening
        What happened in the ice.
    offset : float
        The event's clock is ahead of that of the light by this [ns].

    Returns
    -------
    MCTree
        A through-going muon is a root; cascades and starting tracks have a neutrino as theirs.
        Losses of at least `LISTED_LOSS` are children of their muon.
    """
    grower = _Grower(truth, happening, offset)
    root = -1
    is_starting = truth["kind"] == "cascade" or truth["is_starting"]
    if is_starting:
        flavour = _ELECTRON_NEUTRINO if truth["kind"] == "cascade" else _MUON_NEUTRINO
        root = grower.add(-1, flavour, ParticleShape.PRIMARY, truth["energy"])
    if happening.hadronic_energy > 0.0:
        grower.add(root, _HADRONS, ParticleShape.CASCADE, happening.hadronic_energy)
    rest = truth["energy"] - happening.hadronic_energy
    if truth["kind"] == "cascade" and rest > 0.0:
        grower.add(root, _ELECTRON, ParticleShape.CASCADE, rest)
    passage = happening.passage
    if passage is not None:
        muon = grower.add(
            root, _MUON, ParticleShape.MC_TRACK, passage.start_energy, length=passage.length
        )
        start = 0.0 if is_starting else UPSTREAM
        for loss in truth["losses"]:
            grower.add(
                muon,
                _LOSSES[loss["process"]],
                ParticleShape.CASCADE,
                loss["energy"],
                distance=loss["distance"] + start,
            )
    return MCTree(tuple(grower.particles), tuple(grower.parents))


class _Grower:
    """Adds particles to a tree in pre-order."""

    def __init__(self, truth: dict[str, Any], happening: Happening, offset: float) -> None:
        self.particles: list[Particle] = []
        self.parents: list[int] = []
        self._track = happening.track
        self._direction = Direction(truth["zenith"], truth["azimuth"])
        self._start_time = happening.track.start_time + offset

    def add(
        self,
        parent: int,
        pdg: int,
        shape: ParticleShape,
        energy: float,
        *,
        distance: float = 0.0,
        length: float = 0.0,
    ) -> int:
        """Add a particle at a distance from the start [m] and return its number."""
        number = len(self.particles)
        self.particles.append(
            Particle(
                minor_id=number + 1,
                major_id=1,
                pdg=pdg,
                shape=int(shape),
                fit_status=-1,
                position=Position(*(float(x) for x in self._track.at(np.array(distance)))),
                direction=self._direction,
                time=self._start_time + distance / LIGHT_SPEED,
                energy=float(energy),
                length=length,
                speed=LIGHT_SPEED,
                location=int(ParticleLocation.IN_ICE),
            )
        )
        self.parents.append(parent)
        return number
