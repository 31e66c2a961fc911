from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light import spot_simulation
from skymap_scanner.light.cells import CELL_VOLUMES, N_AZIMUTH, N_COS, N_R
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.propagation import propagate
from skymap_scanner.light.spot_simulation import SimulatedLight, simulate_spots
from skymap_scanner.light.spots import Spot, View

VIEWS = (View("ahead", 8, (0, 3)), View("back", 0, tuple(range(8))))
SPOTS = tuple(
    Spot(f"{z:g}", np.array([0.0, 0.0, z]), np.array([1.0, 0.0, 0.0]), VIEWS)
    for z in (-350.0, 200.0)
)


def simulate(n_photons: int, *, seed: int = 3, n_threads: int = 2) -> list[SimulatedLight]:
    ice = IceModel.load()
    return simulate_spots(SPOTS, ice, n_photons=n_photons, seed=seed, n_threads=n_threads)


def test_light_is_what_the_propagation_leaves_in_the_cells() -> None:
    """By hand: path length over volume and photon, times photons per GeV and area (PE/GeV)."""
    light = simulate(200)[1]
    medium = make_medium(IceModel.load())
    total = np.zeros((N_R, N_COS, N_AZIMUTH))
    for part in range(10):
        record = propagate(
            SPOTS[1].xyz, SPOTS[1].direction, medium, n_photons=20, kill=0.4,
            seed=(3, spot_simulation._STREAM, 2, part + 1),
        )  # fmt: skip
        total += record.total.reshape(total.shape)
    volume = CELL_VOLUMES.reshape(total.shape)
    path = total[:, 8, 0] + total[:, 8, 3]
    by_hand = 1118.877 * path / (200 * (volume[:, 8, 0] + volume[:, 8, 3]))
    assert light.charge[0] == pytest.approx(by_hand, rel=1e-5)
    assert by_hand.max() > 0.0


def test_threads_change_nothing_and_the_seed_everything() -> None:
    one, two, other = simulate(300, n_threads=1), simulate(300), simulate(300, seed=4)
    for k in range(len(SPOTS)):
        np.testing.assert_array_equal(one[k].charge, two[k].charge)
        np.testing.assert_array_equal(one[k].times_error, two[k].times_error)
        assert np.any(one[k].charge != other[k].charge)


def test_errors_are_how_far_two_simulations_are_apart() -> None:
    first, second = simulate(4000, seed=11), simulate(4000, seed=12)
    pulls = []
    for a, b in zip(first, second, strict=True):
        bright = (a.charge_error < 0.3 * a.charge) & (b.charge_error < 0.3 * b.charge)
        sigma = np.hypot(a.charge_error, b.charge_error)[bright]
        pulls.append((a.charge - b.charge)[bright] / sigma)
    pull = np.concatenate(pulls)
    assert pull.size > 30
    assert 0.6 < np.sqrt(np.mean(pull**2)) < 1.7


def test_times_are_fractions_of_the_light() -> None:
    light = simulate(500)[0]
    is_lit = light.charge > 0.0
    assert is_lit.any()
    assert light.times.sum(axis=2)[is_lit] == pytest.approx(1.0)
    assert not light.times[~is_lit].any()
    assert np.all(light.times_error[light.times == 0.0] == 0.0)


def test_photons_come_in_whole_parts_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    ice = IceModel.load()
    [light] = simulate_spots(
        SPOTS[:1], ice, n_photons=105, seed=0, n_threads=1,
        report=lambda done, wanted: told.append((done, wanted)),
    )  # fmt: skip
    assert light.n_photons == 110
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)
    assert sorted(told) == told


@pytest.mark.parametrize(("n_photons", "seed", "words"), [(99, 1, "at least 100"), (100, -1, "-1")])
def test_what_makes_no_sense_is_refused(n_photons: int, seed: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        simulate(n_photons, seed=seed)
