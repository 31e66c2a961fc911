"""Photo-electrons that light sources cause in the whole detector."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.optics import (
    N_REF,
    SIN_CHERENKOV,
    TAN_CHERENKOV,
    muon_light_factor,
)
from skymap_scanner.light.trained_volume import ExtrapolationWarning
from skymap_scanner.simulation.light import ConeLight
from skymap_scanner.simulation.sources import LightSources, Track, muon_sources
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.event import Detector
    from skymap_scanner.simulation.light import PointLight
    from skymap_scanner.simulation.muon import MuonPassage
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "MAX_DISTANCE",
    "PhotoElectrons",
    "draw_photo_electrons",
    "muon_photo_electrons",
    "reach",
]

#: Modules farther from a faint source than this see nothing of it [m]: in the clearest ice 0.01 PE
#: of one of the energy below [GeV]; brighter ones reach farther by the length on which light falls
#: to 1/e there [m].
MAX_DISTANCE: Final = 400.0
_FAINT: Final = 700.0
_FALL: Final = 55.0
#: Modules nearer to a muon's track than this are treated as if they were this far [m].
MIN_RHO: Final = 1.0
#: Sources evaluated at once; neighbours on a track have the same modules around them.
_BLOCK: Final = 32
#: More photo-electrons than this from one source in one module, or in the whole event, are drawn
#: in bunches: the module is saturated long before. With afterpulses and noise an event then has
#: fewer than the million pulses that a file may hold.
_MAX_PER_PAIR: Final = 20_000
_MAX_IN_EVENT: Final = 400_000


@dataclass(frozen=True, slots=True)
class PhotoElectrons:
    """Photo-electrons in columns.

    Attributes
    ----------
    om_index : ndarray of int, shape (n,)
        Row of the module in the detector.
    time : ndarray, shape (n,)
        Arrival at the photocathode [ns].
    weight : ndarray, shape (n,)
        How many photo-electrons come together: 1, more in modules that are far too bright.
    """

    om_index: IntArray
    time: FloatArray
    weight: FloatArray

    def joined(self, other: PhotoElectrons) -> PhotoElectrons:
        """Return these and the others."""
        return PhotoElectrons(
            np.concatenate([self.om_index, other.om_index]),
            np.concatenate([self.time, other.time]),
            np.concatenate([self.weight, other.weight]),
        )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Sources that are seen, the modules that see them, and by how many photo-electrons."""

    source: IntArray
    om_index: IntArray
    n: IntArray


def reach(energy: FloatArray) -> FloatArray:
    """Return how far from cascades modules are asked for their light [m]; energies in GeV.

    Examples
    --------
    >>> reach(np.array([1.0, 1e4, 1e7])).round()
    array([400., 546., 926.])
    """
    return np.asarray(MAX_DISTANCE + _FALL * np.log(np.maximum(energy, _FAINT) / _FAINT))


def _efficiency(detector: Detector) -> FloatArray:
    """Relative efficiencies; dead modules see nothing."""
    return np.where(detector.is_alive, detector.rel_efficiency, 0.0)


def draw_photo_electrons(
    sources: LightSources, light: PointLight, detector: Detector, rng: np.random.Generator
) -> PhotoElectrons:
    """Draw the photo-electrons of point-like cascades.

    Parameters
    ----------
    sources : LightSources
        Where, when and how bright.
    light : PointLight
        How much of it arrives, and when.
    detector : Detector
        Geometry and efficiencies; dead modules see nothing.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    PhotoElectrons
        Numbers are Poisson; only modules that see something are asked for times.
    """
    efficiency = _efficiency(detector)
    none = np.zeros(0, dtype=np.int64)
    source, om_index, n = [none], [none], [none]
    for start in range(0, len(sources.time), _BLOCK):
        block = sources.select(slice(start, start + _BLOCK))
        seen = _seen_pairs(block, light, detector, efficiency, rng)
        source.append(seen.source + start)
        om_index.append(seen.om_index)
        n.append(seen.n)
    pairs = _Pairs(np.concatenate(source), np.concatenate(om_index), np.concatenate(n))
    return _arrivals(sources, pairs, light, detector, rng)


@contextlib.contextmanager
def _far_light() -> Iterator[None]:
    """Ask for light outside the volume in which a model was trained without a word.

    Muons shine before and behind the detector; what modules see of that light is faint.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        yield


def _seen_pairs(
    block: LightSources,
    light: PointLight,
    detector: Detector,
    efficiency: FloatArray,
    rng: np.random.Generator,
) -> _Pairs:
    """Draw numbers of photo-electrons for a block of sources and the modules around it."""
    square = (
        np.sum(block.xyz**2, axis=1)[:, None]
        + np.sum(detector.om_xyz**2, axis=1)
        - 2.0 * block.xyz @ detector.om_xyz.T
    )
    is_near = square < reach(block.energy)[:, None] ** 2
    rows = np.flatnonzero(is_near.any(axis=0) & (efficiency > 0.0))
    if rows.size == 0:
        none = np.zeros(0, dtype=np.int64)
        return _Pairs(none, none, none)
    with _far_light():
        per_gev = light.expected_charge(
            block.xyz[:, None, :],
            block.direction[:, None, :],
            detector.om_xyz[rows][None, :, :],
            efficiency[rows],
        )
    mean = np.where(is_near[:, rows], per_gev * block.energy[:, None], 0.0)
    n = rng.poisson(mean)
    source, column = np.nonzero(n)
    return _Pairs(source, rows[column], n[source, column])


def _arrivals(
    sources: LightSources,
    pairs: _Pairs,
    light: PointLight,
    detector: Detector,
    rng: np.random.Generator,
) -> PhotoElectrons:
    """Give each photo-electron its time."""
    drawn = np.minimum(pairs.n, _MAX_PER_PAIR)
    limit = _MAX_PER_PAIR
    while drawn.sum() > _MAX_IN_EVENT and limit > 1:
        limit //= 2
        drawn = np.minimum(pairs.n, limit)
    source, om_index = np.repeat(pairs.source, drawn), np.repeat(pairs.om_index, drawn)
    xyz, om_xyz = sources.xyz[source], detector.om_xyz[om_index]
    with _far_light():
        delay = light.sample_delays(xyz, sources.direction[source], om_xyz, rng)
    direct = np.linalg.norm(om_xyz - xyz, axis=1) * N_REF / LIGHT_SPEED
    return PhotoElectrons(
        om_index,
        sources.time[source] + direct + delay,
        np.repeat(pairs.n / np.maximum(drawn, 1), drawn),
    )


def muon_photo_electrons(
    track: Track,
    passage: MuonPassage,
    light: PointLight,
    detector: Detector,
    rng: np.random.Generator,
) -> tuple[PhotoElectrons, LightSources]:
    """Draw the photo-electrons of a muon and its losses.

    Parameters
    ----------
    track, passage
        Where the muon goes and what it loses there.
    light, detector, rng
        As for `draw_photo_electrons`. Light with a Cherenkov cone (`ConeLight`) gives the bare
        muon's light with it, other light as a row of sources.

    Returns
    -------
    PhotoElectrons, LightSources
        What is seen; all sources, those of the bare muon included.
    """
    muon = muon_sources(track, passage, rng)
    sources = muon.everything()
    if not isinstance(light, ConeLight):
        return draw_photo_electrons(sources, light, detector, rng), sources
    seen = draw_photo_electrons(muon.losses(), light, detector, rng)
    return seen.joined(_cone(track, passage, light, detector, rng)), sources


def _cone(
    track: Track,
    passage: MuonPassage,
    light: ConeLight,
    detector: Detector,
    rng: np.random.Generator,
) -> PhotoElectrons:
    """Draw the photo-electrons of the muon's own Cherenkov cone."""
    relative = detector.om_xyz - track.start
    along = relative @ track.direction
    across = np.linalg.norm(relative - along[:, None] * track.direction, axis=1)
    rho = np.maximum(across, MIN_RHO)
    emitted = along - rho / TAN_CHERENKOV  # where on the track the light leaves
    is_seen = (emitted > 0) & (emitted < passage.length) & (rho / SIN_CHERENKOV < MAX_DISTANCE)
    rows = np.flatnonzero(is_seen & detector.is_alive)
    mean = light.cone_charge(
        track.at(emitted[rows]), detector.om_xyz[rows], _efficiency(detector)[rows]
    )
    n = rng.poisson(mean * muon_light_factor(passage.energy_at(emitted[rows])))
    places = LightSources(
        track.at(emitted[rows]),
        track.start_time + emitted[rows] / LIGHT_SPEED,
        np.broadcast_to(track.direction, (rows.size, 3)),
        np.zeros(rows.size),
    )
    seen = np.flatnonzero(n)
    return _arrivals(places, _Pairs(seen, rows[seen], n[seen]), light, detector, rng)
