"""Muon losses against the check values of the physics reference (section 8.1)."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.simulation.cross_sections import (
    ICE_DENSITY,
    PROCESSES,
    bremsstrahlung,
    knock_on,
    pair_production,
    photonuclear,
)
from skymap_scanner.simulation.muon import LOSS_CUT, loss_table, propagate_muon

FUNCTIONS = dict(
    zip(PROCESSES, (bremsstrahlung, pair_production, photonuclear, knock_on), strict=True)
)


def _losses_per_km(process: str, energy: float, above: float) -> float:
    v = np.geomspace(above, 1 - 1e-9, 1501)
    density = FUNCTIONS[process](v, np.full_like(v, energy)) * v
    return float(np.trapezoid(density, np.log(v)) * ICE_DENSITY * 1e5)


@pytest.mark.parametrize(
    ("energy", "above", "wanted"),
    [
        (1e3, 5e-4, (1.048, 37.8, 1.132, 15.64)),
        (1e3, 1e-2, (0.584, 2.291, 0.356, 0.745)),
        (1e3, 0.1, (0.244, 0.0393, 0.0994, 0.0559)),
        (1e4, 5e-5, (1.432, 117.6, 1.802, 15.70)),
        (1e4, 1e-3, (0.967, 26.38, 0.778, 0.780)),
        (1e4, 0.9, (0.0091, 9e-5, 8.3e-4, 4e-5)),
        (1e5, 5e-6, (1.796, 245.3, 2.655, 15.71)),
        (1e5, 1e-2, (0.618, 2.465, 0.445, 0.0075)),
        (1e6, 5e-7, (2.155, 421.1, 3.721, 15.71)),
    ],
)
def test_losses_per_km_of_ice(
    energy: float, above: float, wanted: tuple[float, float, float, float]
) -> None:
    found = [_losses_per_km(process, energy, above) for process in PROCESSES]
    # the wanted numbers are rounded to the digits shown, two for the smallest
    assert found == pytest.approx(wanted, rel=0.1 if above == 0.9 else 8e-3)


@pytest.mark.parametrize(
    ("energy", "wanted"),
    [(1e3, (1.059, 1.509, 0.418)), (1e5, (1.249, 1.703, 0.545)), (1e6, (1.260, 1.710, 0.629))],
)
def test_mean_radiative_loss(energy: float, wanted: tuple[float, float, float]) -> None:
    v = np.geomspace(1e-8, 1 - 1e-9, 3001)
    found = [
        1e6 * np.trapezoid(FUNCTIONS[process](v, np.full_like(v, energy)) * v * v, np.log(v))
        for process in PROCESSES[:3]
    ]
    assert found == pytest.approx(wanted, rel=3e-3)


@pytest.mark.parametrize(("energy", "wanted"), [(1e3, 0.317), (1e4, 3.127), (1e5, 32.29)])
def test_mean_loss_above_the_cut_per_metre(energy: float, wanted: float) -> None:
    v = np.geomspace(LOSS_CUT / energy, 1 - 1e-9, 3001)
    total = sum(
        float(np.trapezoid(f(v, np.full_like(v, energy)) * v * v, np.log(v)))
        for f in FUNCTIONS.values()
    )
    assert total * energy * ICE_DENSITY * 100 == pytest.approx(wanted, rel=3e-3)


def test_sampled_rates_and_fractions_follow_the_cross_sections() -> None:
    rng = np.random.default_rng(1)
    energy = 1e4
    table = loss_table()
    per_km = table.rates_at(energy) * 1e3
    assert per_km == pytest.approx([1.432, 117.6, 1.802, 15.70], rel=0.02)
    drawn = [table.sample_fraction(energy, 0, u) for u in rng.random(20_000)]
    assert np.mean(np.asarray(drawn) > 0.1) == pytest.approx(0.2675 / 1.432, abs=0.01)


def test_energy_is_conserved_along_the_way() -> None:
    passage = propagate_muon(1e5, 1000.0, np.random.default_rng(5))
    at_end = passage.energy_at(np.array([passage.length]))[0]
    continuous = 1e5 - at_end - passage.loss_energy.sum()
    assert passage.loss_energy.size > 100
    assert 0.24 * 1000 < continuous < 0.3 * 1000
    assert np.all(passage.loss_energy >= LOSS_CUT * (1 - 1e-9))
    assert np.all(np.diff(passage.loss_distance) > 0)


def test_a_slow_muon_stops() -> None:
    passage = propagate_muon(50.0, 1000.0, np.random.default_rng(2))
    assert 50.0 < passage.length < 250.0
    assert passage.energy_at(np.array([passage.length + 1.0]))[0] == 0.0


def test_same_seed_same_passage() -> None:
    first, again = (propagate_muon(1e4, 800.0, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first.loss_distance, again.loss_distance)
    assert np.array_equal(first.loss_energy, again.loss_energy)
