"""Photo-electrons of a track: charge against the closed form, times against causality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.arrival import PandelIce
from skymap_scanner.light.ice import IceModel, group_index
from skymap_scanner.light.optics import (
    N_GROUP,
    N_REF,
    SIN_CHERENKOV,
    TAN_CHERENKOV,
    wavelength_slices,
)
from skymap_scanner.simulation.analytic import AnalyticLight
from skymap_scanner.simulation.light import ConeLight, PointLight, light_name, load_light
from skymap_scanner.simulation.muon import MuonPassage, propagate_muon
from skymap_scanner.simulation.photons import (
    MAX_DISTANCE,
    PhotoElectrons,
    draw_photo_electrons,
    muon_photo_electrons,
    reach,
)
from skymap_scanner.simulation.sources import LightSources, Track, cascade_sources
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

DETECTOR = built_in_detector()
ICE = IceModel.load()
LIGHT = AnalyticLight(ICE)
DOWN = np.array([0.0, 0.0, -1.0])


@dataclass
class NoCone:
    """Light that knows cascades alone, as the network does; remembers what it was asked."""

    ice: IceModel
    n_times: int = 0
    farthest: float = 0.0

    def expected_charge(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,
        om_xyz: FloatArray,
        om_efficiency: FloatArray,
    ) -> FloatArray:
        return LIGHT.expected_charge(source_xyz, source_direction, om_xyz, om_efficiency)

    def sample_delays(
        self,
        source_xyz: FloatArray,
        source_direction: FloatArray,  # noqa: ARG002  # what a light of its kind is given
        om_xyz: FloatArray,
        rng: np.random.Generator,  # noqa: ARG002  # same
    ) -> FloatArray:
        distance = np.linalg.norm(om_xyz - source_xyz, axis=-1)
        self.n_times += distance.size
        self.farthest = max(self.farthest, float(distance.max(initial=0.0)))
        return np.zeros(distance.shape)


def _muon(
    track: Track, passage: MuonPassage, light: PointLight, rng: np.random.Generator
) -> PhotoElectrons:
    return muon_photo_electrons(track, passage, light, DETECTOR, rng)[0]


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
    passage = propagate_muon(1e5, 1800.0, np.random.default_rng(1))
    light = _muon(track, passage, LIGHT, np.random.default_rng(2))
    # shower light is emitted near its maximum, a few metres on; modules within a metre are clamped
    assert np.min(light.time - _arrival_limit(track)[light.om_index]) > -10.0
    assert light.time.size > 500


def test_bare_track_charge_follows_the_closed_form() -> None:
    om = DETECTOR.index_of(36, 45)
    xyz = DETECTOR.om_xyz[om]
    x, y = xyz[0] + 20.0, xyz[1]
    track = Track(np.array([x, y, -900.0]), 0.0, -DOWN)
    rng = np.random.default_rng(4)
    n_tracks, total = 200, 0
    for _ in range(n_tracks):
        light = _muon(track, _bare(1e4, 1800.0), LIGHT, rng)
        total += int(np.sum(light.om_index == om))
    source = np.array([[x, y, xyz[2] - 20.0 / TAN_CHERENKOV]])
    cos_eta = SIN_CHERENKOV / TAN_CHERENKOV
    acceptance = np.polynomial.polynomial.polyval(cos_eta, ICE.angular_acceptance)
    damping = np.exp(-20.0 / PandelIce(ICE).propagation_length(source, xyz[None])[0])
    photons = 2486.831 * 1.3730 / (2 * np.pi * 20.0 * SIN_CHERENKOV)
    wanted = photons * DETECTOR.rel_efficiency[om] * 0.0856336 * acceptance * damping
    assert total > 50
    # the muon has lost a little on its way, which changes its light by less than 0.1 %
    assert total / n_tracks == pytest.approx(wanted, rel=3.5 / np.sqrt(total))


def test_light_grows_with_energy() -> None:
    track = Track(np.array([0.0, 0.0, 900.0]), 0.0, DOWN)
    counts = []
    for energy in (1e3, 1e5):
        rng = np.random.default_rng(6)
        passage = propagate_muon(energy, 1800.0, rng)
        counts.append(_muon(track, passage, LIGHT, rng).time.size)
    assert counts[1] > 5 * counts[0]


def test_the_reference_index_is_the_smallest_of_all_colours() -> None:
    assert group_index(wavelength_slices(128)).min() == pytest.approx(N_REF, abs=1e-7)


def test_cascade_charge_follows_the_closed_form() -> None:
    om = DETECTOR.index_of(36, 45)
    xyz = DETECTOR.om_xyz[om]
    source = xyz - [0.0, 30.0, 0.0]
    sources = LightSources(source[None], np.zeros(1), DOWN[None], np.array([2e4]))
    light = draw_photo_electrons(sources, LIGHT, DETECTOR, np.random.default_rng(1))
    damping = np.exp(-30.0 / PandelIce(ICE).propagation_length(source[None], xyz[None])[0])
    acceptance = ICE.angular_acceptance[0]  # horizontal light
    wanted = 2e4 * 13065.87 * 0.0856336 * acceptance * damping / (4 * np.pi * 900.0)
    n = np.sum(light.om_index == om)
    assert n > 100
    assert n == pytest.approx(wanted, abs=3.5 * np.sqrt(wanted))


def test_delays_are_never_negative_and_broadcast() -> None:
    om = DETECTOR.om_xyz[None, 1000:1040]
    source = om[0, :3, None, :] + np.array([0.0, 0.0, 2.0])
    delay = LIGHT.sample_delays(source, DOWN, om, np.random.default_rng(3))
    assert delay.shape == (3, 40)
    assert np.all(delay >= 0.0)
    charge = LIGHT.expected_charge(source, DOWN, om, np.ones(40))
    assert charge.shape == (3, 40)
    assert np.all(charge > 0.0)


def test_a_source_inside_a_module_gives_finite_light() -> None:
    xyz = DETECTOR.om_xyz[100]
    assert np.isfinite(LIGHT.expected_charge(xyz, DOWN, xyz, np.ones(())))
    assert np.isfinite(LIGHT.sample_delays(xyz, DOWN, xyz, np.random.default_rng(1)))


def test_direct_light_comes_at_the_reference_index() -> None:
    light = NoCone(ICE)
    sources = cascade_sources(Track(np.array([0.0, 0.0, -300.0]), 70.0, DOWN), 1e4, 0.0, _rng())
    seen = draw_photo_electrons(sources, light, DETECTOR, _rng())
    distance = np.linalg.norm(DETECTOR.om_xyz[seen.om_index] - sources.xyz[0], axis=1)
    assert seen.time == pytest.approx(sources.time[0] + distance * N_REF / LIGHT_SPEED)


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_only_near_modules_are_asked_and_only_those_hit_get_times() -> None:
    light = NoCone(ICE)
    sources = cascade_sources(Track(np.array([0.0, 0.0, -300.0]), 0.0, DOWN), 1e6, 0.0, _rng())
    seen = draw_photo_electrons(sources, light, DETECTOR, _rng())
    assert light.n_times == seen.time.size
    assert 200.0 < light.farthest < reach(np.array(1e6))


def test_bright_cascades_are_seen_from_farther_than_faint_ones() -> None:
    place = np.array([[700.0, 600.0, -300.0]])
    seen = []
    for energy in (1e3, 1e8):
        source = LightSources(place, np.zeros(1), DOWN[None], np.array([energy]))
        light = NoCone(ICE)
        draw_photo_electrons(source, light, DETECTOR, _rng())
        seen.append(light.farthest)
    assert seen[0] <= reach(np.array(1e3)) < 450.0 < seen[1]
    assert reach(np.array([1e-3, 700.0])) == pytest.approx([MAX_DISTANCE] * 2)


def test_light_without_a_cone_gives_the_bare_muon_as_a_row_of_cascades() -> None:
    passage = propagate_muon(1e3, 1800.0, np.random.default_rng(1))
    track = Track(np.array([30.0, -20.0, 900.0]), 0.0, DOWN)
    light = NoCone(ICE)
    assert isinstance(LIGHT, ConeLight)
    assert not isinstance(light, ConeLight)
    row = _muon(track, passage, light, _rng()).time.size
    cone = _muon(track, passage, LIGHT, _rng()).time.size
    assert row == light.n_times
    # a cone is stronger than light in all directions near the track, weaker far away
    assert 0.3 < row / cone < 3.0


def test_far_too_bright_modules_are_drawn_in_bunches_of_the_same_charge() -> None:
    source = DETECTOR.om_xyz[2000] + [3.0, 0.0, 0.0]
    sources = LightSources(source[None], np.zeros(1), DOWN[None], np.array([1e8]))
    light = draw_photo_electrons(sources, LIGHT, DETECTOR, _rng())
    mean = 1e8 * LIGHT.expected_charge(
        sources.xyz[:, None], DOWN, DETECTOR.om_xyz[2000:2001], DETECTOR.rel_efficiency[2000]
    )
    own = light.om_index == 2000
    assert light.time.size <= 400_000
    assert light.weight[own].sum() == pytest.approx(float(mean[0, 0]), rel=0.01)
    assert np.all(light.weight >= 1.0)


def test_dead_modules_see_nothing() -> None:
    dead = DETECTOR.with_dead([(int(s), int(o)) for s, o in DETECTOR.om_key if s != 36])
    sources = cascade_sources(Track(np.array([20.0, 0.0, -300.0]), 0.0, DOWN), 1e5, 0.5, _rng())
    seen = draw_photo_electrons(sources, LIGHT, dead, _rng())
    assert set(DETECTOR.om_key[seen.om_index, 0].tolist()) == {36}


def test_no_source_near_a_module_no_light() -> None:
    far = LightSources(np.full((1, 3), 5e3), np.zeros(1), DOWN[None], np.array([1e9]))
    assert draw_photo_electrons(far, LIGHT, DETECTOR, _rng()).time.size == 0


def test_light_is_loaded_by_name() -> None:
    light = load_light("analytic", "spice_ftp-v3m")
    assert light.ice.name == "spice_ftp-v3m"
    assert "closed form" in light_name(light)
    assert "NoCone" in light_name(NoCone(ICE))
    with pytest.raises(UsageError, match="unknown kind of light"):
        load_light("lamp")
