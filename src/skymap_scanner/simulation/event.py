"""A whole simulated event: track or cascade in the detector, read out and with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.simulation.light import light_name, load_light
from skymap_scanner.simulation.muon import propagate_muon
from skymap_scanner.simulation.photomultiplier import noise_hits, photomultiplier_hits
from skymap_scanner.simulation.photons import (
    PhotoElectrons,
    draw_photo_electrons,
    muon_photo_electrons,
)
from skymap_scanner.simulation.readout import extract_pulses, read_out
from skymap_scanner.simulation.settings import (
    HALF_LENGTH,
    UPSTREAM,
    CascadeSettings,
    TrackSettings,
)
from skymap_scanner.simulation.sources import LightSources, Track, cascade_sources
from skymap_scanner.simulation.truth import Happening, describe
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.i3 import PulseMap
    from skymap_scanner.simulation.light import PointLight

__all__ = [
    "MAX_TRIES",
    "CascadeSettings",
    "SimulatedEvent",
    "TrackSettings",
    "simulate_cascade",
    "simulate_track",
    "try_event",
]

#: Noise before the first and after the last light [ns].
_NOISE_MARGIN: Final = 12_000.0
#: Light of an event takes at most this long [ns]: the way through all that is simulated, and the
#: delays of scattered light.
_LIGHT_TIME: Final = 2 * HALF_LENGTH / LIGHT_SPEED
#: Tries before an event counts as one that cannot trigger.
MAX_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """What the detector hands out of a simulated event, and the truth.

    Attributes
    ----------
    pulses : PulseMap
        Pulses, not yet rounded to the steps of the file formats.
    window : tuple of float
        Readout window [ns].
    truth : dict
        What was simulated, ready for JSON.
    saturated : dict
        (string, om) -> time windows in which the charge was limited [ns].
    happening : Happening
        The same truth as objects; times of the light.
    offset : float
        The event's clock is ahead of that of the light by this [ns].
    """

    pulses: PulseMap
    window: tuple[float, float]
    truth: dict[str, Any]
    saturated: dict[tuple[int, int], list[tuple[float, float]]]
    happening: Happening
    offset: float


def simulate_track(
    settings: TrackSettings, detector: Detector, light: PointLight | None = None
) -> SimulatedEvent:
    """Simulate a muon track that triggers the detector.

    Parameters
    ----------
    settings : TrackSettings
        Energy, direction, place, ice, seed.
    detector : Detector
        Geometry and efficiencies.
    light : PointLight, optional
        Light in ice; by default the kind and ice that `settings` name.

    Returns
    -------
    SimulatedEvent

    Raises
    ------
    UsageError
        When none of `MAX_TRIES` triggers: the track passes too far away or is too faint.
    """
    return _until_trigger(settings, detector, light)


def simulate_cascade(
    settings: CascadeSettings, detector: Detector, light: PointLight | None = None
) -> SimulatedEvent:
    """Simulate a cascade that triggers the detector; see `simulate_track`.

    Raises
    ------
    UsageError
        When none of `MAX_TRIES` triggers the detector.
    """
    return _until_trigger(settings, detector, light)


def _until_trigger(
    settings: TrackSettings | CascadeSettings, detector: Detector, light: PointLight | None
) -> SimulatedEvent:
    light = load_light(settings.light, settings.ice) if light is None else light
    rng = np.random.default_rng(settings.seed)
    for _ in range(MAX_TRIES):
        event = try_event(settings, detector, light, rng)
        if event is not None:
            return event
    raise UsageError(
        f"no trigger in {MAX_TRIES} tries: too faint or too far away",
        place=f"simulate {settings.kind}",
        found=f"{settings.energy:g} GeV at ({', '.join(f'{x:.0f}' for x in settings.place)}) m",
        wanted="more energy or a place nearer to the detector",
    )


def try_event(
    settings: TrackSettings | CascadeSettings,
    detector: Detector,
    light: PointLight,
    rng: np.random.Generator,
) -> SimulatedEvent | None:
    """Simulate an event once.

    Parameters
    ----------
    settings, detector, light
        As for `simulate_track`; chance comes from `rng`, whatever the seed in `settings`.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    SimulatedEvent or None
        None when it does not trigger the detector.
    """
    if isinstance(settings, TrackSettings):
        happening, seen = _track(settings, light, detector, rng)
    else:
        happening, seen = _cascade(settings, light, detector, rng)
    event = _taken(settings, detector, happening, seen, rng)
    if event is not None:
        event.truth["light"] = light_name(light)
    return event


def _taken(
    settings: TrackSettings | CascadeSettings,
    detector: Detector,
    happening: Happening,
    seen: PhotoElectrons,
    rng: np.random.Generator,
) -> SimulatedEvent | None:
    """Let the detector look; None when it does not trigger."""
    hits = photomultiplier_hits(seen, rng)
    window = (-_NOISE_MARGIN, _LIGHT_TIME + _NOISE_MARGIN)
    readout = read_out(extract_pulses(hits.joined(noise_hits(detector, window, rng))), detector)
    if readout is None:
        return None
    saturated = {
        (int(detector.om_key[row, 0]), int(detector.om_key[row, 1])): windows
        for row, windows in sorted(readout.saturated.items())
    }
    truth = describe(settings, happening, detector, offset=readout.offset)
    truth |= {
        "saturated": [list(key) for key in saturated],
        "photo_electrons": round(float(seen.weight.sum())),
    }
    return SimulatedEvent(
        readout.pulses, readout.window, truth, saturated, happening, readout.offset
    )


def _track(
    settings: TrackSettings, light: PointLight, detector: Detector, rng: np.random.Generator
) -> tuple[Happening, PhotoElectrons]:
    """Let a muon lose energy and draw its light, that of its vertex included."""
    direction, closest = settings.direction, settings.closest_approach()
    if settings.vertex is None or not settings.is_starting:
        track = Track(closest - UPSTREAM * direction, 0.0, direction)
        passage = propagate_muon(settings.energy, UPSTREAM + HALF_LENGTH, rng)
        seen, sources = muon_photo_electrons(track, passage, light, detector, rng)
        return Happening(track, sources, passage), seen
    track = Track(np.array(settings.vertex), 0.0, direction)
    y = rng.random() if settings.inelasticity is None else settings.inelasticity
    length = HALF_LENGTH - float(track.start @ direction)
    passage = propagate_muon((1.0 - y) * settings.energy, length, rng)
    seen, sources = muon_photo_electrons(track, passage, light, detector, rng)
    if y > 0.0:
        hadrons = cascade_sources(track, y * settings.energy, 1.0, rng)
        seen = seen.joined(draw_photo_electrons(hadrons, light, detector, rng))
        sources = LightSources.joined([hadrons, sources])
    return Happening(track, sources, passage, hadronic_energy=y * settings.energy), seen


def _cascade(
    settings: CascadeSettings, light: PointLight, detector: Detector, rng: np.random.Generator
) -> tuple[Happening, PhotoElectrons]:
    """Draw the light of an electromagnetic and a hadronic cascade."""
    track = Track(np.array(settings.vertex, dtype=np.float64), 0.0, settings.direction)
    sources = cascade_sources(track, settings.energy, settings.hadronic_fraction, rng)
    hadronic = settings.hadronic_fraction * settings.energy
    seen = draw_photo_electrons(sources, light, detector, rng)
    return Happening(track, sources, None, hadronic_energy=hadronic), seen
