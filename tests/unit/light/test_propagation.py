"""Propagation of photons against closed forms in uniform ice, and its bookkeeping.

Statistical bounds are 4.5 standard errors, from the spread of independent repeats where photons
score more than once (a right propagation fails one such comparison in 150 000 for many repeats, in
500 for ten); seeds are fixed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    COS_EDGES,
    N_CELLS,
    N_R,
    R_EDGES,
    axis_frame,
    cell_shape,
    find_cell,
)
from skymap_scanner.light.ice import IceModel, group_index
from skymap_scanner.light.medium import MEAN_COSINE, Medium, make_medium
from skymap_scanner.light.optics import N_REF, cascade_angles
from skymap_scanner.light.propagation import (
    MAX_TIME,
    SHELLS,
    TIME_EDGES,
    LightRecord,
    _follow,
    choose_splits,
    propagate,
)
from skymap_scanner.units import LIGHT_SPEED
from uniform_ice import uniform_medium

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

SIGMAS = 4.5
ORIGIN, UP = np.zeros(3), np.array([0.0, 0.0, 1.0])
SLANTED = np.array([0.48, -0.6, 0.64])


def _rings(values: FloatArray) -> FloatArray:
    """Sum over angles, shape (n_r,)."""
    return np.asarray(values.reshape(N_R, -1).sum(axis=1))


def _repeats(medium: Medium, n: int, n_photons: int, *, kill: float, first: int) -> FloatArray:
    """Path lengths per photon in the shells, repeated with other photons [m]."""
    runs = [
        propagate(ORIGIN, SLANTED, medium, n_photons=n_photons, seed=(first + k,), kill=kill)
        for k in range(n)
    ]
    return np.array([_rings(run.total) / n_photons for run in runs])


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
    found, error = _rings(clear.total), _rings(clear.squared) ** 0.5
    off = (found - expected) / np.maximum(error, (expected / CLEAR_B) ** 0.5)
    assert np.abs(off).max() < SIGMAS
    assert np.sum(off**2) < N_R + SIGMAS * (2 * N_R) ** 0.5
    assert found.sum() == pytest.approx(expected.sum(), rel=SIGMAS * error.sum() / found.sum())


def test_fluence_is_path_length_over_volume(clear: LightRecord) -> None:
    np.testing.assert_allclose(clear.fluence * CELL_VOLUMES * clear.n_photons, clear.total)
    shell = _rings(clear.fluence * CELL_VOLUMES) / _rings(CELL_VOLUMES)
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
    analogue = _repeats(medium, 12, 1000, kill=1.0, first=100)
    biased = _repeats(medium, 12, 1000, kill=kill, first=200)
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
            _rings(propagate(ORIGIN, UP, medium, n_photons=2000, seed=(5,), kill=kill).total)
        )
        for kill in (1.0, 0.1)
    ]
    assert reached[1] > reached[0]


def _fall_off(b: float, a: float, f_liu: float) -> float:
    """Rate at which light falls far from a source, exact for any scattering function [1/m].

    Spherical harmonics of the transport equation: the largest eigenvalue is the length.
    """
    g, n = MEAN_COSINE, 40
    x, w = np.polynomial.legendre.leggauss(64)
    exponent = (1 + g) / (1 - g)
    liu = exponent / 2 * ((1 + x) / 2) ** (exponent - 1)
    moments = np.polynomial.legendre.legvander(x, n - 1).T @ (w * liu)
    moments = f_liu * moments + (1 - f_liu) * g ** np.arange(n)
    lost = a + b * (1 - moments)
    k = np.arange(n - 1)
    side = (k + 1) / np.sqrt((2 * k + 1) * (2 * k + 3) * lost[:-1] * lost[1:])
    return float(1 / np.linalg.eigvalsh(np.diag(side, 1) + np.diag(side, -1)).max())


def test_exact_fall_off_is_that_of_diffusion_where_ice_scatters_much() -> None:
    b_e, a = 0.2, 1e-4
    diffusion = (3 * a * (a + b_e)) ** 0.5
    assert _fall_off(10 * b_e, a, 0.35) == pytest.approx(diffusion, rel=1e-3)
    assert _fall_off(1e-12, a, 0.35) == pytest.approx(a, rel=3e-3)  # none: absorption alone


def _in_shells(rate: float) -> FloatArray:
    """Integral of r e^(-rate r) over the shells, up to a constant."""
    return np.asarray(-np.diff(np.exp(-rate * R_EDGES) * (rate * R_EDGES + 1.0)) / rate**2)


@pytest.mark.parametrize("f_liu", [0.0, 1.0])
def test_light_far_away_falls_as_diffusion_does(f_liu: float) -> None:
    b, a = 1.0, 0.02
    runs = _repeats(uniform_medium(b=b, a=a, f_liu=f_liu), 10, 500, kill=0.3, first=300)
    rate = _fall_off(b, a, f_liu)
    diffusion = (3 * a * (a + 0.1 * b)) ** 0.5
    assert rate == pytest.approx(diffusion, rel=0.1)
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    far = np.flatnonzero((middle > 30) & (middle < 100))
    level = np.log(runs[:, far] / _in_shells(rate)[far])
    slopes = np.polyfit(middle[far], level.T, 1)[0]
    error = np.std(slopes, ddof=1) / len(slopes) ** 0.5
    assert error < 0.03 * rate
    assert np.mean(slopes) == pytest.approx(0.0, abs=SIGMAS * error)
    # and the brightness there is that of a point source in diffusion, within its approximation
    level = runs.mean(axis=0) / (3 * (a + 0.1 * b) * _in_shells(diffusion))
    assert level[far[0]] == pytest.approx(1.0, abs=0.15)


# --- photons split on their way out ---


@pytest.mark.parametrize("kill", [1.0, 0.7])
def test_splitting_photons_changes_no_mean(kill: float) -> None:
    medium = uniform_medium(b=0.5, a=0.02)
    splits = np.ones(SHELLS.size, np.int64)
    splits[:5] = 2, 3, 1, 2, 2
    runs = [
        [
            propagate(ORIGIN, UP, medium, n_photons=500, seed=(20 + n, k), kill=kill, splits=chosen)
            for k in range(12)
        ]
        for n, chosen in enumerate((None, splits))
    ]
    shells = np.array([[_rings(run.total) / 500 for run in some] for some in runs])
    mean, error = shells.mean(axis=1), shells.std(axis=1, ddof=1) / 12**0.5
    reached = np.all(mean > 1e-3, axis=0)
    off = (mean[0] - mean[1])[reached] / np.hypot(*error)[reached]
    assert reached.sum() > 12
    assert np.abs(off).max() < SIGMAS
    path = np.array([[run.path / 500 for run in some] for some in runs])
    error = SIGMAS * path.std(axis=1, ddof=1) / 12**0.5
    np.testing.assert_array_less(np.abs(path.mean(axis=1) - 50.0), error)


def test_split_light_far_away_is_that_of_diffusion_with_few_photons() -> None:
    b, a = 1.0, 0.02
    medium = uniform_medium(b=b, a=a)
    splits = choose_splits(ORIGIN, SLANTED, medium, seed=(30,), kill=0.5)
    runs = np.array(
        [
            _rings(
                propagate(
                    ORIGIN, SLANTED, medium, n_photons=60, seed=(31, k), kill=0.5, splits=splits
                ).total
            )
            for k in range(10)
        ]
    )
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    far = np.flatnonzero((middle > 40) & (middle < 280))
    assert np.all(runs[:, far].mean(axis=0) > 0)  # light falls to e^-20 there
    rate = _fall_off(b, a, 0.35)
    level = runs.mean(axis=0)[far] / _in_shells(rate)[far]
    slope = np.polyfit(middle[far], np.log(level), 1)[0]
    assert abs(slope) < 0.03 * rate


def test_splits_make_up_for_the_photons_that_are_lost() -> None:
    dark = choose_splits(ORIGIN, UP, uniform_medium(b=1.0, a=0.05), seed=(1,))
    bright = choose_splits(ORIGIN, UP, uniform_medium(b=0.05, a=0.002), seed=(1,))
    assert dark.shape == SHELLS.shape
    assert dark.min() >= 1
    assert dark[:6].mean() > 2.0
    assert np.all(bright[:6] <= 2)
    again = choose_splits(ORIGIN, UP, uniform_medium(b=1.0, a=0.05), seed=(1,))
    np.testing.assert_array_equal(dark, again)


def test_photons_without_room_for_copies_are_not_split() -> None:
    medium = uniform_medium(b=0.5, a=0.005)
    for size in (0, 3):
        totals = (np.zeros(N_CELLS), np.zeros(N_CELLS), np.zeros((N_CELLS, 4)), np.zeros((0, 40)))
        path, _ = _follow(
            ORIGIN, UP, axis_frame(UP), medium, 1500, 1.0, False,
            np.array([1, 2, 3, 4], np.uint64), np.full(SHELLS.size, 6), np.empty((size, 9)), totals,
            np.zeros(SHELLS.size, np.int64),
        )  # fmt: skip
        assert path / 1500 == pytest.approx(200.0, rel=0.2)


def test_split_places_and_times_lie_where_they_should() -> None:
    medium = make_medium(IceModel.load())
    record = propagate(
        np.array([0.0, 0.0, -60.0]),
        UP,
        medium,
        n_photons=50,
        seed=(32,),
        kill=0.5,
        record_times=True,
        splits=np.full(SHELLS.size, 2),
    )
    np.testing.assert_allclose(record.times.sum(axis=1), record.total, rtol=1e-9)
    frame = axis_frame(UP)
    for cell in np.flatnonzero(record.total > 0):
        x, y, z = record.place[cell]
        assert find_cell(x, y, z, frame) == cell
    assert record.delay.min() > -1e-4


@pytest.mark.parametrize("splits", [np.ones(3), np.zeros(16), np.full(16, -1), np.full(16, 1.5)])
def test_illegal_splits_are_refused(splits: FloatArray) -> None:
    with pytest.raises(UsageError, match="splits"):
        propagate(
            ORIGIN,
            UP,
            uniform_medium(b=0.1, a=0.1),
            n_photons=5,
            seed=(1,),
            splits=splits,  # type: ignore[arg-type]  # wrong on purpose
        )


# --- bookkeeping ---


@pytest.fixture(scope="module")
def record() -> LightRecord:
    return propagate(
        np.array([30.0, -40.0, -350.0]),
        SLANTED,
        make_medium(IceModel.load()),
        n_photons=2000,
        seed=(6,),
        kill=0.4,
        record_times=True,
    )


def test_histogram_of_delays_holds_all_scores(record: LightRecord) -> None:
    np.testing.assert_allclose(record.times.sum(axis=1), record.total, rtol=1e-12)
    assert np.all(record.squared <= record.total**2 * (1 + 1e-12))
    assert np.all((record.squared > 0) == (record.total > 0))


def test_kept_place_lies_in_its_cell_and_its_delay_in_a_filled_bin(record: LightRecord) -> None:
    frame = axis_frame(SLANTED)
    for cell in np.flatnonzero(record.total > 0):
        x, y, z = record.place[cell]
        assert find_cell(x, y, z, frame) == cell
        k = min(int(np.searchsorted(TIME_EDGES, record.delay[cell], side="right")) - 1, 39)
        assert record.times[cell, max(k, 0)] > 0
    assert record.delay.min() > -1e-4
    assert record.delay.max() < MAX_TIME


def test_kept_place_is_drawn_by_the_size_of_its_score() -> None:
    medium = uniform_medium(b=1.0, a=0.05)
    n = 300
    runs = [
        propagate(ORIGIN, UP, medium, n_photons=100, seed=(7, k), kill=0.2, record_times=True)
        for k in range(n)
    ]
    total, delay = np.array([run.total for run in runs]), np.array([run.delay for run in runs])
    cells = np.argsort(-total.sum(axis=0))[:60]
    weight, delay = total[:, cells], delay[:, cells]
    early = np.array([weight * (delay < edge) for edge in TIME_EDGES[1:-1]]).sum(axis=(1, 2))
    times = sum(run.times[cells].sum(axis=0) for run in runs)
    assert isinstance(times, np.ndarray)
    share = np.cumsum(times)[:-1] / times.sum()
    # as good as 60 independent places per run at the very least
    n_effective = weight.sum() ** 2 / np.sum(weight**2)
    assert n_effective > 3000
    assert np.abs(early / weight.sum() - share).max() < SIGMAS * 0.5 / n_effective**0.5


def test_times_are_recorded_on_demand_and_change_nothing(record: LightRecord) -> None:
    plain = propagate(
        np.array([30.0, -40.0, -350.0]),
        SLANTED,
        make_medium(IceModel.load()),
        n_photons=2000,
        seed=(6,),
        kill=0.4,
    )
    assert plain.times.shape == (0, TIME_EDGES.size - 1)
    for name in ("total", "squared", "place", "delay", "path", "n_scatters", "n_photons"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(record, name))


def test_same_seed_same_record_and_other_seed_another(record: LightRecord) -> None:
    def run(seed: tuple[int, ...]) -> LightRecord:
        return propagate(
            np.array([30.0, -40.0, -350.0]),
            SLANTED,
            make_medium(IceModel.load()),
            n_photons=2000,
            seed=seed,
            kill=0.4,
        )

    np.testing.assert_array_equal(run((6,)).total, record.total)
    assert not np.array_equal(run((7,)).total, record.total)
    assert not np.array_equal(run((6, 1)).total, record.total)


def test_threads_do_not_get_into_each_others_way() -> None:
    medium = make_medium(IceModel.load())

    def run(k: int) -> FloatArray:
        return propagate(ORIGIN, UP, medium, n_photons=300, seed=(9, k)).total

    alone = [run(k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(8)))
    np.testing.assert_array_equal(alone, together)


def test_old_and_far_photons_are_given_up() -> None:
    everlasting = uniform_medium(b=5.0, a=1e-12)
    record = propagate(
        ORIGIN, UP, everlasting, n_photons=20, seed=(10,), kill=1e-3, record_times=True
    )
    longest = MAX_TIME * LIGHT_SPEED / group_index(420.0)
    assert record.path / 20 == pytest.approx(longest, rel=0.01)
    assert record.times[:, -1].sum() > 0  # later than the last edge
    far = uniform_medium(b=1e-9, a=1e-9)
    assert propagate(ORIGIN, UP, far, n_photons=20, seed=(11,)).n_scatters == 0


def test_compiled_propagation_is_the_function_as_written() -> None:
    medium = make_medium(IceModel.load())
    records = []
    for follow in (_follow, _follow.py_func):
        arrays = (np.zeros(N_CELLS), np.zeros(N_CELLS), np.zeros((N_CELLS, 4)), np.zeros((0, 40)))
        with np.errstate(over="ignore"):
            path, n_scatters = follow(
                np.array([0.0, 0.0, -350.0]), UP, axis_frame(UP), medium, 8, 0.4, False,
                np.array([1, 2, 3, 4], np.uint64), np.full(SHELLS.size, 2), np.empty((5, 9)),
                arrays, np.zeros(SHELLS.size, np.int64),
            )  # fmt: skip
        records.append((*arrays, path, n_scatters))
    for fast, slow in zip(*records, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"n_photons": 0},
        {"n_photons": -5},
        {"kill": 0.0},
        {"kill": 1.5},
        {"kill": np.nan},
        {"source_direction": np.array([0.0, 0.0, 2.0])},
        {"source_direction": np.zeros(3)},
        {"source_direction": np.array([0.0, np.nan, 1.0])},
        {"source_xyz": np.array([0.0, np.inf, 1.0])},
    ],
)
def test_what_cannot_be_followed_is_refused(change: dict[str, object]) -> None:
    arguments = {"source_xyz": ORIGIN, "source_direction": UP, "n_photons": 10, "kill": 0.5}
    with pytest.raises(UsageError):
        propagate(
            medium=uniform_medium(b=0.1, a=0.1),
            seed=(1,),
            **(arguments | change),  # type: ignore[arg-type]  # wrong on purpose
        )
