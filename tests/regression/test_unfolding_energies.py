"""The solver alone: simulated cascades and muons, unfolded where they were, give their energy.

Events are drawn with the light model that the unfolding uses, so that nothing but the solver, the
bins and the segments can be wrong. Limits: 3 % for cascades and 5 % for muons, in the median
(found: 0.8 % and 0.3 %). A wrong clock, missing column sums or afterpulses left in (6 %) are more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from skymap_scanner.event import PulseSeries, built_in_detector
from skymap_scanner.event.exclusions import bright_modules
from skymap_scanner.event.late_pulses import cut_late_pulses
from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.light.model import LightModel
from skymap_scanner.recos.likelihood.segment_fit import Effort
from skymap_scanner.recos.likelihood.segments import SegmentedLine, place_segments
from skymap_scanner.recos.millipede_original import MillipedeOriginal
from skymap_scanner.recos.segmented import CleanEvent
from skymap_scanner.simulation.event import (
    CascadeSettings,
    TrackSettings,
    simulate_cascade,
    simulate_track,
)

if TYPE_CHECKING:
    from skymap_scanner.simulation.event import SimulatedEvent

DETECTOR = built_in_detector()
UNFOLD_ONLY = Effort(tolerance=0.1, energy_tolerance=1e-4, max_iterations=0, n_parts=4)

#: Energy [GeV], zenith, azimuth [rad], vertex [m], seed: clear ice, away from the dust.
CASCADES = [
    (1e4, 0.9, 1.0, (60.0, -40.0, -300.0), 1),
    (1e4, 1.6, 4.0, (-120.0, 90.0, -350.0), 2),
    (1e4, 2.4, 2.0, (150.0, 60.0, -330.0), 3),
    (5e4, 1.2, 5.5, (40.0, 150.0, -320.0), 4),
    (5e4, 2.0, 0.3, (-80.0, -200.0, -280.0), 5),
    (5e4, 0.4, 3.0, (-200.0, 20.0, -340.0), 6),
    (2e5, 1.4, 1.9, (100.0, -120.0, -310.0), 7),
    (2e5, 2.7, 4.4, (-30.0, 30.0, -360.0), 8),
    (2e5, 1.0, 2.6, (20.0, -250.0, -300.0), 9),
]
#: Energy [GeV], zenith, azimuth [rad], impact [m], seed.
MUONS = [
    (1e4, 1.2, 1.0, (50.0, -40.0), 11),
    (1e4, 1.5, 3.0, (-80.0, 30.0), 12),
    (2e4, 1.8, 5.0, (30.0, -150.0), 13),
    (2e4, 0.8, 2.0, (-120.0, 20.0), 14),
    (3e4, 2.2, 0.5, (90.0, 60.0), 15),
    (3e4, 1.4, 4.2, (10.0, -250.0), 16),
    (5e4, 1.0, 5.7, (-30.0, 100.0), 17),
    (5e4, 1.7, 2.8, (140.0, -60.0), 18),
    (1e5, 2.5, 1.5, (-60.0, -50.0), 19),
]


class Unfolded(NamedTuple):
    """Energies along a track [GeV]."""

    line: SegmentedLine
    at: np.ndarray
    energy: np.ndarray


@pytest.fixture(scope="module")
def light() -> LightModel:
    return LightModel.load()


def _unfold(simulated: SimulatedEvent) -> Unfolded:
    """Unfold where the track was, on segments that know nothing of the losses."""
    found = simulated.pulses
    rows = DETECTOR.indices_of(found.om_key[:, 0], found.om_key[:, 1])
    pulses = PulseSeries.from_columns(rows, found.time, found.charge)
    is_usable = ~DETECTOR.is_deepcore
    is_usable[bright_modules(pulses, 10.0)] = False
    is_usable[[DETECTOR.index_of(*key) for key in simulated.saturated]] = False
    # photomultipliers have afterpulses, which are no light of the event
    cut = cut_late_pulses(pulses, simulated.window)
    dead = {om: [(end, math.inf)] for om, end in cut.ends.items()}
    clean = CleanEvent(cut.series, cut.window, dead, is_usable, is_usable, ~is_usable)
    used = cut.series.select(is_usable[cut.series.om_index])
    prepared = MillipedeOriginal()._gathered(DETECTOR, pulses, clean, used)

    track = simulated.happening.track
    line = place_segments(
        prepared.hit_xyz, prepared.reference, track.direction, spacing=10.0, boundary=650.0
    )
    at = line.through(track.start, track.start_time + simulated.offset)
    outcome = prepared.fits.fit(line, [at], UNFOLD_ONLY)
    return Unfolded(outcome.line, outcome.at, outcome.energy)


def test_cascades_unfolded_where_they_were_have_their_energy(light: LightModel) -> None:
    ratios, near_ratios = [], []
    for energy, zenith, azimuth, vertex, seed in CASCADES:
        settings = CascadeSettings(
            energy, zenith, azimuth, vertex, hadronic_fraction=0.0, seed=seed
        )
        simulated = simulate_cascade(settings, DETECTOR, light)
        unfolded, truth = _unfold(simulated), simulated.truth["light_energy"]
        distance = np.linalg.norm(unfolded.line.xyz(unfolded.at) - np.array(vertex), axis=1)
        ratios.append(unfolded.energy.sum() / truth)
        near_ratios.append(unfolded.energy[distance < 60.0].sum() / truth)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.03)
    # Far sources that a stray pulse speaks for may have any energy; those at the cascade do not.
    assert np.abs(np.array(near_ratios) - 1.0).max() < 0.04


def test_muons_unfolded_where_they_were_have_their_energy_inside(light: LightModel) -> None:
    ratios = []
    for energy, zenith, azimuth, impact, seed in MUONS:
        settings = TrackSettings(energy, zenith, azimuth, impact, seed=seed)
        simulated = simulate_track(settings, DETECTOR, light)
        unfolded = _unfold(simulated)
        inside = instrumented_volume(DETECTOR).contains(unfolded.line.xyz(unfolded.at))
        truth = simulated.truth["light_energy_inside"]
        ratios.append(unfolded.energy[inside].sum() / truth)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.array(ratios) - 1.0).max() < 0.35
