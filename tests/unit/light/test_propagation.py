"""Propagation of photons against closed forms in uniform ice.

Statistical bounds are 4.5 standard errors, from the spread of independent repeats where photons
score more than once (a right propagation fails one such comparison in 150 000 for many repeats, in
500 for ten); seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from light_in_shells import ORIGIN, SIGMAS, SLANTED, UP, fall_off, in_shells, repeats, rings

from skymap_scanner.light.cells import CELL_VOLUMES, COS_EDGES, N_CELLS, N_R, R_EDGES, cell_shape
from skymap_scanner.light.ice import group_index
from skymap_scanner.light.optics import N_REF, cascade_angles
from skymap_scanner.light.propagation import LightRecord, propagate
from skymap_scanner.units import LIGHT_SPEED
from uniform_ice import uniform_medium

# --- ice without scatters: light falls with the square of the distance and with absorption ---

#: One photon in a hundred scatters in the cells, which makes the sample; only one in a hundred of
#: those has scattered before.
CLEAR_B, CLEAR_A = 2e-5, 0.005


@pytest.fixture(scope="module")
def clear() -> LightRecord:
    medium = uniform_medium(b=CLEAR_B, a=CLEAR_A)
    return propagate(ORIGIN, SLANTED, medium, n_photons=500_000, seed=(1,))


def test_unscattered_light_falls_with_distance_and_absorption(clear: LightRecord) -> None:
    # fluence e^(-a r) / (4 pi r^2), integrated over a shell
    expected = np.exp(-CLEAR_A * R_EDGES)
    expected = (expected[:-1] - expected[1:]) / CLEAR_A * clear.n_photons
    found, error = rings(clear.total), rings(clear.squared) ** 0.5
    off = (found - expected) / np.maximum(error, (expected / CLEAR_B) ** 0.5)
    assert np.abs(off).max() < SIGMAS
    assert np.sum(off**2) < N_R + SIGMAS * (2 * N_R) ** 0.5
    assert found.sum() == pytest.approx(expected.sum(), rel=SIGMAS * error.sum() / found.sum())


def test_fluence_is_path_length_over_volume(clear: LightRecord) -> None:
    np.testing.assert_allclose(clear.fluence * CELL_VOLUMES * clear.n_photons, clear.total)
    shell = rings(clear.fluence * CELL_VOLUMES) / rings(CELL_VOLUMES)
    r = (R_EDGES[15:-1] * R_EDGES[16:]) ** 0.5
    expected = np.exp(-CLEAR_A * r) / (4 * np.pi * r**2)
    assert np.median(shell[15:] / expected) == pytest.approx(1.0, abs=0.05)


def test_unscattered_light_has_the_angles_of_its_emission(clear: LightRecord) -> None:
    u = (np.arange(20_000) + 0.5) / 20_000
    particle = cascade_angles(u)[:, None]
    cherenkov = 1.0 - uniform_medium(b=1.0, a=1.0).slices[0, 1]
    turn = np.cos((np.arange(180) + 0.5) / 180 * np.pi)
    cosine = particle * cherenkov + np.sqrt((1 - particle**2) * (1 - cherenkov**2)) * turn
    expected = np.histogram(cosine, COS_EDGES)[0] / cosine.size
    found = clear.total.reshape(cell_shape()).sum(axis=(0, 2))
    n = found.sum() * CLEAR_B
    np.testing.assert_array_less(
        np.abs(found / found.sum() - expected),
        SIGMAS * (expected / n) ** 0.5 + 0.01 * expected,  # 1 % have scattered
    )


def test_unscattered_light_is_even_around_the_axis(clear: LightRecord) -> None:
    found = clear.total.reshape(cell_shape()).sum(axis=(0, 1))
    error = (found.mean() / CLEAR_B) ** 0.5
    assert np.abs(found - found.mean()).max() < SIGMAS * error


def test_unscattered_light_comes_with_the_group_velocity(clear: LightRecord) -> None:
    hit = clear.total > 0
    r = np.linalg.norm(clear.place[hit], axis=1)
    late = r * (group_index(420.0) - N_REF) / LIGHT_SPEED
    assert np.mean(np.abs(clear.delay[hit] - late) < 1e-6) > 0.97
    assert np.all(clear.delay[hit] > late - 1e-6)


def test_acceptance_is_that_of_the_direction_in_which_the_photon_travels() -> None:
    medium = uniform_medium(b=1e-4, a=CLEAR_A)
    half = medium._replace(acceptance=np.array([0.5, 0.5]))
    plain = propagate(ORIGIN, UP, medium, n_photons=100_000, seed=(2,))
    weighted = propagate(ORIGIN, UP, half, n_photons=100_000, seed=(2,))
    near = np.arange(N_CELLS).reshape(cell_shape())[:20].ravel()  # not scattered yet
    ratio = weighted.total[near] / np.where(plain.total[near] > 0, plain.total[near], np.nan)
    low, high = (1 + COS_EDGES[:-1]) / 2, (1 + COS_EDGES[1:]) / 2
    ratio = ratio.reshape(20, COS_EDGES.size - 1, -1)
    inside = (ratio >= low[:, None] - 1e-9) & (ratio <= high[:, None] + 1e-9)
    assert np.mean(inside[np.isfinite(ratio)]) > 0.97


def test_acceptance_below_zero_counts_as_none() -> None:
    medium = uniform_medium(b=1e-3, a=CLEAR_A)._replace(acceptance=np.array([-0.1]))
    record = propagate(ORIGIN, UP, medium, n_photons=1000, seed=(2,))
    assert record.n_scatters > 100
    assert not record.total.any()


# --- uniform ice with scatters ---


@pytest.mark.parametrize("kill", [1.0, 0.4, 0.1])
@pytest.mark.parametrize(("b", "a"), [(0.5, 0.02), (0.02, 0.05)])
def test_mean_path_is_the_absorption_length(b: float, a: float, kill: float) -> None:
    medium = uniform_medium(b=b, a=a)
    runs = [
        propagate(ORIGIN, UP, medium, n_photons=400, seed=(3, k), kill=kill).path / 400
        for k in range(20)
    ]
    error = SIGMAS * float(np.std(runs, ddof=1)) / 20**0.5
    assert np.mean(runs) == pytest.approx(1.0 / a, abs=error)
    assert error < 0.2 / a


def test_photons_scatter_as_often_as_their_path_allows() -> None:
    n = 20_000
    record = propagate(ORIGIN, UP, uniform_medium(b=0.5, a=0.05), n_photons=n, seed=(4,))
    # numbers of scatters are geometric: mean b/a = 10, variance 10 * 11
    assert record.n_scatters / n == pytest.approx(10.0, abs=SIGMAS * (110 / n) ** 0.5)


@pytest.mark.parametrize("kill", [0.5, 0.15])
def test_carrying_absorption_as_weight_changes_no_mean(kill: float) -> None:
    medium = uniform_medium(b=0.5, a=0.02)
    analogue = repeats(medium, 12, 1000, kill=1.0, first=100)
    biased = repeats(medium, 12, 1000, kill=kill, first=200)
    reached = analogue.mean(axis=0) > 1e-4
    error = ((analogue.var(axis=0, ddof=1) + biased.var(axis=0, ddof=1)) / 12) ** 0.5
    off = ((analogue - biased).mean(axis=0) / np.where(error > 0, error, 1.0))[reached]
    assert reached.sum() > 15
    assert np.abs(off).max() < SIGMAS
    total = (analogue.sum(axis=1), biased.sum(axis=1))
    error = float(np.hypot(*(x.std(ddof=1) for x in total))) / 12**0.5
    assert total[0].mean() == pytest.approx(total[1].mean(), abs=SIGMAS * error)


def test_carried_absorption_sends_more_photons_far() -> None:
    medium = uniform_medium(b=0.5, a=0.02)
    reached = [
        np.count_nonzero(
            rings(propagate(ORIGIN, UP, medium, n_photons=2000, seed=(5,), kill=kill).total)
        )
        for kill in (1.0, 0.1)
    ]
    assert reached[1] > reached[0]


def test_exact_fall_off_is_that_of_diffusion_where_ice_scatters_much() -> None:
    b_e, a = 0.2, 1e-4
    diffusion = (3 * a * (a + b_e)) ** 0.5
    assert fall_off(10 * b_e, a, 0.35) == pytest.approx(diffusion, rel=1e-3)
    assert fall_off(1e-12, a, 0.35) == pytest.approx(a, rel=3e-3)  # none: absorption alone


@pytest.mark.parametrize("f_liu", [0.0, 1.0])
def test_light_far_away_falls_as_diffusion_does(f_liu: float) -> None:
    b, a = 1.0, 0.02
    runs = repeats(uniform_medium(b=b, a=a, f_liu=f_liu), 10, 500, kill=0.3, first=300)
    rate = fall_off(b, a, f_liu)
    diffusion = (3 * a * (a + 0.1 * b)) ** 0.5
    assert rate == pytest.approx(diffusion, rel=0.1)
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    far = np.flatnonzero((middle > 30) & (middle < 100))
    level = np.log(runs[:, far] / in_shells(rate)[far])
    slopes = np.polyfit(middle[far], level.T, 1)[0]
    error = np.std(slopes, ddof=1) / len(slopes) ** 0.5
    assert error < 0.03 * rate
    assert np.mean(slopes) == pytest.approx(0.0, abs=SIGMAS * error)
    # and the brightness there is that of a point source in diffusion, within its approximation
    level = runs.mean(axis=0) / (3 * (a + 0.1 * b) * in_shells(diffusion))
    assert level[far[0]] == pytest.approx(1.0, abs=0.15)
