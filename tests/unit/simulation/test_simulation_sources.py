"""Light sources: where cascades shine, and that no energy is lost or made."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.light.optics import muon_light_factor
from skymap_scanner.simulation.cross_sections import PROCESSES
from skymap_scanner.simulation.muon import MuonPassage, propagate_muon
from skymap_scanner.simulation.sources import (
    LUMPED_ENERGY,
    MUON_STEP,
    Track,
    cascade_sources,
    muon_sources,
)
from skymap_scanner.units import LIGHT_SPEED

EAST = np.array([1.0, 0.0, 0.0])
TRACK = Track(np.array([-700.0, 20.0, 30.0]), 100.0, EAST)


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_an_electron_shines_at_the_mean_of_its_profile() -> None:
    sources = cascade_sources(TRACK, 1e4, 0.0, _rng())
    assert sources.energy.tolist() == [1e4]
    # mean of the profile at 10 TeV, in metres
    assert sources.xyz[0] == pytest.approx(np.array([-695.145, 20.0, 30.0]), abs=1e-3)
    assert sources.time[0] == pytest.approx(100.0 + 4.855 / LIGHT_SPEED, abs=1e-2)
    assert sources.direction[0] == pytest.approx(EAST)


def test_hadrons_shine_less_and_differ() -> None:
    rng = _rng()
    drawn = [cascade_sources(TRACK, 1e4, 1.0, rng) for _ in range(3000)]
    light = np.array([sources.energy[0] for sources in drawn]) / 1e4
    assert light.mean() == pytest.approx(0.8825, abs=0.003)
    assert light.std() == pytest.approx(0.0417, rel=0.05)
    assert drawn[0].xyz[0, 0] + 700.0 == pytest.approx(6.297, abs=1e-3)


def test_a_charged_current_has_both() -> None:
    sources = cascade_sources(TRACK, 1e4, 0.25, _rng())
    assert sources.energy[0] == 7.5e3
    assert 0.6 * 2.5e3 < sources.energy[1] <= 2.5e3


def test_light_of_losses_is_conserved() -> None:
    passage = propagate_muon(1e5, 1900.0, _rng())
    muon = muon_sources(TRACK, passage, _rng())
    is_nuclear = passage.loss_process == PROCESSES.index("nuclear")
    certain = passage.loss_energy[~is_nuclear].sum()
    hadronic = passage.loss_energy[is_nuclear].sum()
    light = muon.losses().energy.sum()
    assert certain + 0.3 * hadronic < light < certain + hadronic
    assert muon.large.energy.size == np.sum(passage.loss_energy >= LUMPED_ENERGY)


def test_small_losses_stay_where_they_were() -> None:
    columns = np.array([52.0]), np.array([2.0]), np.array([0.0]), np.array([1e4])
    muon = muon_sources(TRACK, MuonPassage(*columns, 1e4, 1000.0), _rng())
    losses = muon.losses()
    assert losses.energy.tolist() == [2.0]
    assert losses.xyz[0, 0] + 700.0 == pytest.approx(52.0 + 1.5, abs=MUON_STEP)
    assert losses.time[0] - 100.0 == pytest.approx((losses.xyz[0, 0] + 700.0) / LIGHT_SPEED)


def test_a_bare_muon_shines_evenly_every_five_metres() -> None:
    none = np.zeros(0)
    muon = muon_sources(TRACK, MuonPassage(none, none, none, none, 3e4, 1002.0), _rng())
    sources = muon.everything()
    assert np.diff(sources.xyz[:-1, 0]) == pytest.approx(MUON_STEP)
    # 0.265 GeV of light per metre at 30 TeV
    assert sources.energy[0] == pytest.approx(0.265 * MUON_STEP, rel=3e-3)
    assert sources.energy.sum() == pytest.approx(0.1903 * 1.395 * 1002.0, rel=3e-3)
    assert sources.energy[-1] == pytest.approx(0.1903 * 2.0 * muon_light_factor(3e4), rel=3e-3)


def test_a_muon_that_stops_at_once_has_no_sources() -> None:
    passage = propagate_muon(0.5, 1000.0, _rng())
    assert passage.length == 0.0
    assert muon_sources(TRACK, passage, _rng()).everything().energy.size == 0
