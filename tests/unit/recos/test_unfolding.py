"""Energies from binned charge: check values, other minimisers, and what holds at any optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammaln

from skymap_scanner.recos.likelihood.segment_fit import Data
from skymap_scanner.recos.minimise import unfolding
from skymap_scanner.recos.minimise.unfolding import Problem, Uncertainty, energy_nll, unfold

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

POISSON = Uncertainty(0.0, 0.0)
MATRIX = np.array([[2, 0.5, 0], [0.3, 1.5, 0.2], [0.1, 0.4, 2.5], [1, 1, 1]])
SEEDS = st.integers(0, 2**32 - 1)
#: Relative uncertainty and form of the effective likelihood.
FORMS = st.sampled_from([POISSON, Uncertainty(0.1, 0.0), Uncertainty(0.5, 1.0)])


def _textbook(charge: tuple[float, ...], column: tuple[float, ...]) -> Problem:
    """The problem of the reference: its c sums over all bins, ours over those without rows."""
    return Problem(
        np.ascontiguousarray(MATRIX.T),
        np.array(column) - MATRIX.sum(axis=0),
        np.array(charge, np.float64),
        np.full(4, 0.1),
        POISSON,
    )


def _random(seed: int, uncertainty: Uncertainty = POISSON) -> Problem:
    """A problem whose sources are seen with light of very different brightness, some not at all."""
    rng = np.random.default_rng(seed)
    n_source, n_row = rng.integers(1, 9), rng.integers(1, 16)
    response = rng.gamma(0.5, 1.0, (n_source, n_row)) * (rng.random((n_source, n_row)) < 0.7)
    truth = rng.gamma(0.5, 10.0, n_source) * (rng.random(n_source) < 0.6)
    noise = 10.0 ** rng.uniform(-9, 0, n_row)
    column = rng.gamma(0.5, 1.0, n_source)
    charge = rng.poisson(noise + truth @ response) * rng.choice([1.0, 0.97], n_row)
    if rng.random() < 0.5:  # nothing that the sources could have done
        charge = rng.poisson(3.0, n_row).astype(np.float64)
    return Problem(response, column, charge, noise, uncertainty)


def _obvious_nll(problem: Problem, energy: FloatArray) -> float:
    mu = problem.noise + energy @ problem.response
    rho2, extra = problem.uncertainty.relative**2, problem.uncertainty.extra
    above = mu if rho2 == 0 else (problem.charge + 1 / rho2 + extra) * np.log(1 + rho2 * mu)
    return float(problem.column @ energy + (above - problem.charge * np.log(mu)).sum())


def _gradient(problem: Problem, energy: FloatArray) -> FloatArray:
    mu = problem.noise + energy @ problem.response
    rho2, extra = problem.uncertainty.relative**2, problem.uncertainty.extra
    weight = (rho2 * (problem.charge + extra) + 1) / (1 + rho2 * mu)
    return np.asarray(problem.column + problem.response @ (weight - problem.charge / mu))


def _unfolded(
    problem: Problem,
    start: float | FloatArray = 1.0,
    *,
    rounds: int = 3000,
    tolerance: float = 1e-13,
) -> tuple[FloatArray, FloatArray, float, int]:
    """Energies, expectations, f and rounds."""
    energy = np.full(len(problem.column), start) if np.isscalar(start) else np.array(start)
    mu = np.empty(len(problem.charge))
    nll, n_rounds = unfold(problem, energy, mu, tolerance, rounds)
    return energy, mu, nll, n_rounds


# --- check values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charge", "column", "energy", "nll"),
    [
        ((4, 2, 9, 3), (5, 4, 4.5), (0.86884828, 0.58847228, 2.39597707), -7.4832046744),
        ((6, 1, 9, 3), (5, 9, 4.5), (1.51795223, 0.0, 2.42353663), -9.1711087354),
    ],
)
@pytest.mark.parametrize("start", [1e-3, 1.0, 50.0])
def test_energies_are_those_of_the_reference(
    charge: tuple[float, ...],
    column: tuple[float, ...],
    energy: tuple[float, ...],
    nll: float,
    start: float,
) -> None:
    problem = _textbook(charge, column)
    found, mu, value, _ = _unfolded(problem, start)
    assert found == pytest.approx(energy, abs=1e-6)
    assert mu == pytest.approx(0.1 + MATRIX @ found, rel=1e-12)
    # the reference's f has no noise in the sum of expectations
    assert value - problem.noise.sum() == pytest.approx(nll, abs=1e-9)


def test_the_gradient_of_a_source_without_energy_is_that_of_the_reference() -> None:
    problem = _textbook((6, 1, 9, 3), (5, 9, 4.5))
    found = _unfolded(problem)[0]
    assert _gradient(problem, found)[1] == pytest.approx(5.2884, abs=1e-4)


@pytest.mark.parametrize(
    ("n", "mu", "relative", "extra", "log_likelihood"),
    [
        (0, 1, 1, 1, -1.386294),
        (3, 1, 1, 1, -2.079442),
        (10, 4, 1, 1, -3.052416),
        (10, 4, 0.1, 1, -5.063269),
        (10, 4, 0.001, 1, -5.241450),
        (0, 0.01, 1, 1, -0.0199007),
        (100, 90, 1, 1, -5.511582),
        (3, 1, 1, 0, -2.772589),
        (10, 4, 1, 0, -3.840873),
        (10, 4, 0.1, 0, -5.119358),
        (0, 2, 0.3, 0, -1.839049),
        (10, 4, 0, 0, -5.241469),
    ],
)
def test_normalised_likelihoods_are_those_of_the_reference(
    n: float, mu: float, relative: float, extra: float, log_likelihood: float
) -> None:
    charge, noise, uncertainty = np.array([n], float), np.array([mu], float), (relative, extra)
    problem = Problem(np.zeros((1, 1)), np.zeros(1), charge, noise, Uncertainty(*uncertainty))
    constant = Data(charge, noise, 0.0, Uncertainty(*uncertainty)).constant()
    nll = energy_nll(problem, np.zeros(1), noise) + constant
    assert nll == pytest.approx(-log_likelihood, abs=2e-6)


@pytest.mark.parametrize("uncertainty", [POISSON, Uncertainty(0.3, 0.0), Uncertainty(1.0, 1.0)])
def test_likelihoods_of_all_charges_sum_to_one(uncertainty: Uncertainty) -> None:
    mu, n = 3.7, np.arange(4000.0)
    total = 0.0
    for charge in n[:, None]:
        problem = Problem(np.zeros((1, 1)), np.zeros(1), charge, np.array([mu]), uncertainty)
        nll = energy_nll(problem, np.zeros(1), np.array([mu]))
        total += np.exp(-nll - Data(charge, np.array([mu]), 0.0, uncertainty).constant())
    assert total == pytest.approx(1.0, abs=2e-3)


def test_noise_of_bins_without_rows_counts() -> None:
    charge = np.array([2.5, 0.0])
    data = Data(charge, np.ones(2), 0.75, POISSON)
    assert data.constant() == pytest.approx(float(gammaln(3.5)) + 0.75)


@pytest.mark.parametrize(("extra", "best"), [(0.0, 10.0), (1.0, 5.0)])
def test_one_bin_prefers_its_charge_unless_the_form_is_the_published_one(
    extra: float, best: float
) -> None:
    problem = Problem(
        np.ones((1, 1)), np.zeros(1), np.array([10.0]), np.full(1, 1e-6), Uncertainty(1.0, extra)
    )
    assert _unfolded(problem)[1] == pytest.approx([best], rel=1e-3)


def test_a_small_uncertainty_is_as_good_as_none() -> None:
    exact, blurred = _random(3), _random(3, Uncertainty(1e-4, 0.0))
    assert _unfolded(blurred)[0] == pytest.approx(_unfolded(exact)[0], rel=1e-4, abs=1e-4)


# --- any problem ----------------------------------------------------------------------------------


@given(seed=SEEDS, uncertainty=FORMS)
def test_the_likelihood_is_its_formula(seed: int, uncertainty: Uncertainty) -> None:
    problem = _random(seed, uncertainty)
    energy = np.random.default_rng(seed).gamma(0.5, 2.0, len(problem.column))
    mu = problem.noise + energy @ problem.response
    assert energy_nll(problem, energy, mu) == pytest.approx(_obvious_nll(problem, energy), rel=1e-9)
    slope = [unfolding._slope(problem, i, m) for i, m in enumerate(mu.tolist())]
    gradient = problem.column + problem.response @ np.array(slope)
    np.testing.assert_allclose(gradient, _gradient(problem, energy), rtol=1e-9, atol=1e-9)


@given(seed=SEEDS)
def test_no_other_minimiser_finds_less(seed: int) -> None:
    """Poisson's likelihood has one minimum."""
    problem = _random(seed)
    energy, _, nll, _ = _unfolded(problem)

    def value(x: FloatArray) -> float:
        return _obvious_nll(problem, x)

    def slope(x: FloatArray) -> FloatArray:
        return _gradient(problem, x)

    start, bounds = np.maximum(energy, 1e-3), [(0.0, None)] * len(energy)
    other = minimize(value, start, jac=slope, method="L-BFGS-B", bounds=bounds, tol=1e-12)
    assert nll <= other.fun + 1e-6 * (1.0 + abs(other.fun))
    assert nll == pytest.approx(_obvious_nll(problem, energy), rel=1e-9, abs=1e-9)


@given(seed=SEEDS, uncertainty=FORMS, start=st.sampled_from([0.0, 1e-3, 1.0, 1e3]))
def test_no_energy_wants_to_change_at_the_end(
    seed: int, uncertainty: Uncertainty, start: float
) -> None:
    problem = _random(seed, uncertainty)
    energy, mu, nll, _ = _unfolded(problem, start)
    assert np.all(energy >= 0.0)
    np.testing.assert_allclose(mu, problem.noise + energy @ problem.response, rtol=1e-9)
    # What a step along the gradient could still gain, at most: to zero, or by a tenth upwards.
    gradient = _gradient(problem, energy)
    assert np.all(energy * np.abs(gradient) < 1e-2 * (1.0 + abs(nll)) ** 0.5)
    wants = -gradient[energy == 0.0]
    curvature = (problem.response**2 @ (problem.charge / mu**2))[energy == 0.0]
    assert np.all(0.5 * np.maximum(wants, 0.0) ** 2 <= 1e-2 * np.maximum(curvature, 1e-12))


@given(seed=SEEDS, uncertainty=FORMS, spread=st.sampled_from([0.0, 1.0, 3.0]))
@settings(max_examples=60)
def test_more_rounds_never_make_it_worse(
    seed: int, uncertainty: Uncertainty, spread: float
) -> None:
    problem = _random(seed, uncertainty)
    rng = np.random.default_rng(seed)
    start = 10.0 ** rng.uniform(-spread, spread, len(problem.column))
    values = [
        _unfolded(problem, start, rounds=rounds, tolerance=-1.0)[2]
        for rounds in (0, 1, 2, 3, 5, 8, 20)
    ]
    assert values[0] == pytest.approx(_obvious_nll(problem, start), rel=1e-9)
    assert np.all(np.diff(values) <= 1e-9 * (1.0 + np.abs(values[1:])))


@given(seed=SEEDS)
def test_an_even_start_ends_near_the_best(seed: int) -> None:
    """As fits start: all charge spread over all sources; bins with next to no noise."""
    problem = _random(seed)
    even = problem.charge.sum() / (problem.column.sum() + problem.response.sum())
    _, _, nll, n_rounds = _unfolded(problem, float(even), rounds=60, tolerance=0.001)
    assert nll <= _unfolded(problem)[2] + 0.05
    assert n_rounds < 60


@given(seed=SEEDS, scale=st.sampled_from([1e-9, 1e-4, 1e4, 1e9]))
def test_units_of_energy_do_not_matter(seed: int, scale: float) -> None:
    problem = _random(seed)
    scaled = problem._replace(response=problem.response * scale, column=problem.column * scale)
    assert _unfolded(scaled, 1.0 / scale)[2] == pytest.approx(
        _unfolded(problem)[2], abs=1e-4, rel=1e-6
    )


# --- how it ends, odd input -----------------------------------------------------------------------


def test_a_loose_tolerance_ends_sooner_and_a_limit_is_kept() -> None:
    problem = _random(11)
    precise = _unfolded(problem, 1.0, tolerance=1e-9, rounds=200)
    loose = _unfolded(problem, 1.0, tolerance=1.0, rounds=200)
    assert loose[3] <= precise[3] < 200
    assert precise[2] <= loose[2]
    assert _unfolded(problem, 1.0, tolerance=-1.0, rounds=4)[3] == 4
    assert _unfolded(problem, 1.0, rounds=0)[3] == 0


@pytest.mark.parametrize("uncertainty", [POISSON, Uncertainty(1.0, 0.0)])
@pytest.mark.parametrize("start", [0.0, 5.0])
def test_without_charge_there_is_no_energy(uncertainty: Uncertainty, start: float) -> None:
    problem = _random(5, uncertainty)._replace(charge=np.zeros(len(_random(5).charge)))
    energy, mu, _, _ = _unfolded(problem, start)
    assert np.all(energy == 0.0)
    assert np.array_equal(mu, problem.noise)


@pytest.mark.parametrize("start", [0.0, 3.0])
def test_sources_that_nothing_sees_get_no_energy(start: float) -> None:
    problem = _textbook((4, 2, 9, 3), (5, 4, 4.5))
    response = np.vstack([problem.response, np.zeros(4)])
    blind = problem._replace(response=response, column=np.append(problem.column, 0.0))
    energy = _unfolded(blind, start)[0]
    assert energy[:3] == pytest.approx((0.86884828, 0.58847228, 2.39597707), abs=1e-6)
    assert energy[3] == 0.0


def test_charge_that_no_source_explains_is_noise() -> None:
    problem = Problem(np.zeros((2, 3)), np.ones(2), np.ones(3), np.full(3, 1e-9), POISSON)
    energy, _, nll, _ = _unfolded(problem)
    assert np.all(energy == 0.0)
    assert nll == pytest.approx(3 * (1e-9 - np.log(1e-9)))


def test_no_rows_at_all_leave_nothing_to_do() -> None:
    problem = Problem(np.zeros((2, 0)), np.ones(2), np.zeros(0), np.zeros(0), POISSON)
    energy, _, nll, _ = _unfolded(problem)
    assert energy.tolist() == [0.0, 0.0]
    assert nll == 0.0


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e9])
def test_one_row_and_one_source_have_the_closed_answer(size: float) -> None:
    problem = Problem(
        np.full((1, 1), 2.0), np.full(1, 1.0), np.full(1, size), np.full(1, 1e-12), POISSON
    )
    # c + a - n a / mu = 0
    assert _unfolded(problem)[0] == pytest.approx([size / 3.0], rel=1e-6)


@given(seed=SEEDS)
@example(seed=0)
def test_sources_alike_share_what_one_would_have(seed: int) -> None:
    problem = _random(seed)
    doubled = problem._replace(
        response=np.repeat(problem.response, 2, axis=0), column=np.repeat(problem.column, 2)
    )
    assert _unfolded(doubled)[2] == pytest.approx(_unfolded(problem)[2], abs=1e-4, rel=1e-6)


# --- machine code ---------------------------------------------------------------------------------


def _calls(problem: Problem) -> dict[str, tuple[Any, ...]]:
    """Arguments of every kernel, fresh."""
    rng = np.random.default_rng(1)
    energy = rng.gamma(1.0, 1.0, len(problem.column))
    energy[0] = 0.0
    mu = problem.noise + energy @ problem.response
    root = problem.response * np.sqrt(problem.charge) / mu
    return {
        "energy_nll": (problem, energy, mu),
        "_slope": (problem, 0, 1.3),
        "_sweep": (problem, energy, mu),
        "_expect": (problem, energy, np.empty_like(mu)),
        "_quadratic_best": (
            energy,
            _gradient(problem, energy),
            root @ root.T,
            np.empty_like(energy),
        ),
        "_newton": (problem, energy, mu, _obvious_nll(problem, energy)),
        "unfold": (problem, energy, mu, 1e-3, 20),
    }


@pytest.mark.parametrize("name", list(_calls(_random(0))))
@pytest.mark.parametrize("uncertainty", [POISSON, Uncertainty(0.5, 1.0)])
def test_compiled_and_python_kernels_agree(name: str, uncertainty: Uncertainty) -> None:
    outcomes = []
    function = getattr(unfolding, name)
    for one in (function, function.py_func):
        arguments = _calls(_random(7, uncertainty))[name]
        returned = one(*arguments)
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        outcomes.append(np.concatenate([np.ravel(returned or 0.0), *(a.ravel() for a in arrays)]))
    np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-9, atol=1e-12)


def test_the_best_of_a_quadratic_model_is_that_of_another_minimiser() -> None:
    rng = np.random.default_rng(4)
    for n in (1, 2, 5, 9):
        root = rng.normal(size=(n, n + 2))
        hessian, gradient, energy = root @ root.T, rng.normal(size=n), rng.gamma(1.0, 1.0, n)
        best = np.empty(n)
        unfolding._quadratic_best(energy, gradient.copy(), hessian, best)

        def model(x: FloatArray, at: FloatArray = energy) -> float:
            return float(gradient @ (x - at) + 0.5 * (x - at) @ hessian @ (x - at))  # noqa: B023 - used at once

        other = minimize(model, energy, method="L-BFGS-B", bounds=[(0.0, None)] * n)
        assert np.all(best >= 0.0)
        assert model(best) == pytest.approx(other.fun, abs=1e-3 * (1.0 + abs(other.fun)))
