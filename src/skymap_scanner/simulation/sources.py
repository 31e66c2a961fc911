r"""Light sources of an event: point-like electromagnetic cascades along tracks and at vertices.

A cascade counts as a point at the mean of its longitudinal profile, some metres behind its vertex.
The light of a bare muon is a row of sources whose energy is that of a cascade with as much charged
track, times what its secondaries below 0.5 GeV add; its exact Cherenkov cone is thereby given the
angular profile of a cascade.

References
----------
.. [1] L. Rädel and C. Wiebusch, Astropart. Phys. 38 (2012) 53 (muons) and 44 (2013) 102 (cascades)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.light.optics import (
    CASCADE_TRACK_PER_GEV,
    cascade_length,
    hadronic_light_factor,
    muon_light_factor,
)
from skymap_scanner.simulation.cross_sections import PROCESSES
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skymap_scanner.simulation.muon import MuonPassage
    from skymap_scanner.units import FloatArray

    BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = [
    "LUMPED_ENERGY",
    "MUON_STEP",
    "LightSources",
    "MuonLight",
    "Track",
    "cascade_sources",
    "draw_hadronic_light",
    "muon_sources",
    "muon_stretches",
]

#: Sources of a muon's own light are this far apart [m].
MUON_STEP: Final = 5.0
#: Losses below this join the nearest of those sources [GeV]; many, and each as faint as a step of
#: the bare muon (1.3 GeV).
LUMPED_ENERGY: Final = 5.0
#: A hadronic cascade gives between this and all of the light of an electromagnetic one.
_MIN_HADRONIC: Final = 0.05


@dataclass(frozen=True, slots=True)
class Track:
    """A straight muon track.

    Attributes
    ----------
    start : ndarray, shape (3,)
        Where the muon starts [m].
    start_time : float
        When [ns].
    direction : ndarray, shape (3,)
        Unit vector of travel.
    """

    start: FloatArray
    start_time: float
    direction: FloatArray

    def at(self, distance: FloatArray) -> FloatArray:
        """Return the points at distances from the start [m], shape (..., 3)."""
        return np.asarray(self.start + np.asarray(distance)[..., None] * self.direction)


@dataclass(frozen=True, slots=True)
class LightSources:
    """Point-like cascades in columns.

    Attributes
    ----------
    xyz : ndarray, shape (n, 3)
        Where the light comes from [m].
    time : ndarray, shape (n,)
        When it is emitted [ns].
    direction : ndarray, shape (n, 3)
        Unit vectors of travel.
    energy : ndarray, shape (n,)
        Energy of an electromagnetic cascade with as much light [GeV].
    """

    xyz: FloatArray
    time: FloatArray
    direction: FloatArray
    energy: FloatArray

    @classmethod
    def joined(cls, parts: Iterable[LightSources]) -> LightSources:
        """Return the sources of all parts, in their order."""
        listed = list(parts)
        return cls(
            np.concatenate([part.xyz for part in listed]).reshape(-1, 3),
            np.concatenate([part.time for part in listed]),
            np.concatenate([part.direction for part in listed]).reshape(-1, 3),
            np.concatenate([part.energy for part in listed]),
        )

    def select(self, chosen: BoolArray | slice) -> LightSources:
        """Return some of the sources."""
        return LightSources(
            self.xyz[chosen], self.time[chosen], self.direction[chosen], self.energy[chosen]
        )


def _on_track(track: Track, distance: FloatArray, energy: FloatArray) -> LightSources:
    return LightSources(
        track.at(distance),
        np.asarray(track.start_time + distance / LIGHT_SPEED),
        np.broadcast_to(track.direction, (len(distance), 3)),
        energy,
    )


def draw_hadronic_light(energy: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw which electromagnetic energy gives the light of hadronic cascades [GeV], shape (n,)."""
    mean, spread = hadronic_light_factor(energy)
    return np.asarray(energy * np.clip(rng.normal(mean, spread), _MIN_HADRONIC, 1.0))


def cascade_sources(
    track: Track, energy: float, hadronic_fraction: float, rng: np.random.Generator
) -> LightSources:
    """Light of an electromagnetic and a hadronic cascade that begin at one vertex.

    Parameters
    ----------
    track : Track
        Vertex, its time and the direction of the cascades.
    energy : float
        Sum of their energies [GeV].
    hadronic_fraction : float
        Share of the hadronic one, 0 to 1.
    rng : numpy.random.Generator
        Source of chance: hadronic cascades differ in their light.

    Returns
    -------
    LightSources
        One or two, each at the mean of its profile.
    """
    parts = []
    if hadronic_fraction < 1.0:
        own = np.array([energy * (1.0 - hadronic_fraction)])
        shape, scale = cascade_length(own)
        parts.append(_on_track(track, shape * scale, own))
    if hadronic_fraction > 0.0:
        own = np.array([energy * hadronic_fraction])
        shape, scale = cascade_length(own, hadronic=True)
        parts.append(_on_track(track, shape * scale, draw_hadronic_light(own, rng)))
    return LightSources.joined(parts)


@dataclass(frozen=True, slots=True)
class MuonLight:
    """Light of a muon and its losses.

    Attributes
    ----------
    steps : LightSources
        Sources every `MUON_STEP`, with the losses below `LUMPED_ENERGY` only.
    bare : ndarray, shape (n_steps,)
        Energy of the muon's own light at each of them [GeV].
    large : LightSources
        The other losses one by one.
    """

    steps: LightSources
    bare: FloatArray
    large: LightSources

    def losses(self) -> LightSources:
        """Return the losses only."""
        return LightSources.joined([self.steps.select(self.steps.energy > 0.0), self.large])

    def everything(self) -> LightSources:
        """Return the losses and the muon's own light, as a row of cascades."""
        steps = replace(self.steps, energy=self.steps.energy + self.bare)
        return LightSources.joined([steps, self.large])


def muon_stretches(passage: MuonPassage) -> tuple[FloatArray, FloatArray]:
    """Cut a muon's way into stretches.

    Parameters
    ----------
    passage : MuonPassage
        Energies along the way.

    Returns
    -------
    edges : ndarray, shape (n + 1,)
        Distances from its start at which one stretch ends and the next begins, at most `MUON_STEP`
        apart [m].
    factor : ndarray, shape (n,)
        Light of each over that of the bare muon (`optics.muon_light_factor`).
    """
    edges = np.append(np.arange(0.0, passage.length, MUON_STEP), passage.length)
    return edges, muon_light_factor(passage.energy_at(0.5 * (edges[1:] + edges[:-1])))


def muon_sources(track: Track, passage: MuonPassage, rng: np.random.Generator) -> MuonLight:
    """Light of a muon and its losses.

    Parameters
    ----------
    track : Track
        Where the muon starts; distances in `passage` count from there.
    passage : MuonPassage
        Energies and losses along the way.
    rng : numpy.random.Generator
        Source of chance: hadronic cascades differ in their light.

    Returns
    -------
    MuonLight
        Energy is conserved: losses that are too small to count alone join a neighbouring step.
    """
    nuclear = passage.loss_process == PROCESSES.index("nuclear")
    loss = passage.loss_energy.copy()
    loss[nuclear] = draw_hadronic_light(passage.loss_energy[nuclear], rng)
    distance = passage.loss_distance + _mean_depth(passage.loss_energy, nuclear)
    is_large = passage.loss_energy >= LUMPED_ENERGY

    edges, factor = muon_stretches(passage)
    middle = 0.5 * (edges[1:] + edges[:-1])
    row = np.clip(np.searchsorted(edges, distance) - 1, 0, max(len(middle) - 1, 0))
    lumped = np.bincount(row[~is_large], loss[~is_large], minlength=len(middle))
    return MuonLight(
        steps=_on_track(track, middle, lumped.astype(np.float64)),
        bare=factor * np.diff(edges) / CASCADE_TRACK_PER_GEV,
        large=_on_track(track, distance[is_large], loss[is_large]),
    )


def _mean_depth(energy: FloatArray, is_hadronic: FloatArray) -> FloatArray:
    """Mean distance of the light from where a cascade began [m]."""
    shape, scale = cascade_length(energy)
    hadronic_shape, hadronic_scale = cascade_length(energy, hadronic=True)
    return np.where(is_hadronic, hadronic_shape * hadronic_scale, shape * scale)
