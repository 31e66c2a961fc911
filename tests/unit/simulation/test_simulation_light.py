"""Photo-electrons of a track: charge against the closed form, times against causality."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.light.arrival import PandelIce
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.optics import N_GROUP, SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.simulation.light_yield import Track, track_photo_electrons
from skymap_scanner.simulation.muon import MuonPassage, propagate_muon
from skymap_scanner.units import LIGHT_SPEED

DETECTOR = built_in_detector()
ICE = IceModel.load()
DOWN = np.array([0.0, 0.0, -1.0])


def _bare(energy: float, length: float) -> MuonPassage:
    none = np.zeros(0)
    return MuonPassage(none, none, none, none, energy, length)


def _arrival_limit(track: Track) -> np.ndarray:
    """Earliest time at each module: straight Cherenkov light."""
    relative = DETECTOR.om_xyz - track.start
    along = relative @ track.direction
    rho = np.linalg.norm(relative - along[:, None] * track.direction, axis=1)
    path = rho / SIN_CHERENKOV * N_GROUP / LIGHT_SPEED
    return np.asarray(track.start_time + (along - rho / TAN_CHERENKOV) / LIGHT_SPEED + path)


def test_no_light_comes_before_the_cherenkov_front() -> None:
    track = Track(np.array([30.0, -20.0, 900.0]), 500.0, DOWN)
    light = track_photo_electrons(
        track,
        propagate_muon(1e5, 1800.0, np.random.default_rng(1)),
        DETECTOR,
        ICE,
        np.random.default_rng(2),
    )
    # shower light is emitted near its maximum, a few metres on; modules within a metre are clamped
    assert np.min(light.time - _arrival_limit(track)[light.om_index]) > -10.0
    assert light.time.size > 500


def test_bare_track_charge_follows_the_closed_form() -> None:
    om = DETECTOR.index_of(36, 45)
    xyz = DETECTOR.om_xyz[om]
    x, y = xyz[0] + 20.0, xyz[1]
    track = Track(np.array([x, y, -900.0]), 0.0, -DOWN)
    rng = np.random.default_rng(4)
    n_tracks, total = 60, 0
    for _ in range(n_tracks):
        light = track_photo_electrons(track, _bare(1e4, 1800.0), DETECTOR, ICE, rng)
        total += int(np.sum(light.om_index == om))
    source = np.array([[x, y, xyz[2] - 20.0 / TAN_CHERENKOV]])
    cos_eta = SIN_CHERENKOV / TAN_CHERENKOV
    acceptance = np.polynomial.polynomial.polyval(cos_eta, ICE.angular_acceptance)
    damping = np.exp(-20.0 / PandelIce(ICE).propagation_length(source, xyz[None])[0])
    photons = 2486.831 * 1.3730 / (2 * np.pi * 20.0 * SIN_CHERENKOV)
    wanted = photons * 1.35 * 0.0856336 * acceptance * damping
    assert total > 50
    # the muon has lost a little on its way, which changes its light by less than 0.1 %
    assert total / n_tracks == pytest.approx(wanted, rel=3.5 / np.sqrt(total))


def test_light_grows_with_energy() -> None:
    track = Track(np.array([0.0, 0.0, 900.0]), 0.0, DOWN)
    counts = []
    for energy in (1e3, 1e5):
        rng = np.random.default_rng(6)
        passage = propagate_muon(energy, 1800.0, rng)
        counts.append(track_photo_electrons(track, passage, DETECTOR, ICE, rng).time.size)
    assert counts[1] > 5 * counts[0]
