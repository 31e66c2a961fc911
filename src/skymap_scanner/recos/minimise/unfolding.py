r"""Non-negative energies of many sources from binned charge, by Newton's method.

The expectation of bin i is :math:`\mu_i = b_i + \sum_j A_{ij} E_j`, with :math:`E_j \ge 0`. The
negative log-likelihood, without what does not depend on the energies, is

.. math:: f(E) = \sum_j c_j E_j
          + \sum_i \left[(n_i + \alpha) \ln(1 + \rho^2 \mu_i) - n_i \ln \mu_i\right],
          \qquad \alpha = 1/\rho^2 + a

for a relative uncertainty rho of the expectation [2]_; for :math:`\rho \to 0` the first term is
:math:`\mu_i`, Poisson's. `c` holds the response of bins without charge that have no row (Poisson
only). With a = 1 it is the form of [2]_, whose maximum for a single bin lies at
:math:`n/(1 + \rho^2)`; with a = 0 the prior's mean is the expectation, and the maximum lies at n.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 9 (2014) P03009, :doi:`10.1088/1748-0221/9/03/P03009`
.. [2] C. A. Argüelles, A. Schneider, T. Yuan, JHEP 06 (2019) 030, :doi:`10.1007/JHEP06(2019)030`
.. [3] D. P. Bertsekas, SIAM J. Control Optim. 20 (1982) 221, :doi:`10.1137/0320018` (projected
   Newton steps)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["Problem", "Uncertainty", "energy_nll", "unfold"]

#: Sweeps over the quadratic model at most, and the share of the first sweep's gain that is too
#: little to go on for.
_MODEL_SWEEPS: Final = 300
_MODEL_PRECISION: Final = 1e-5
#: A Newton step that does not help is halved so often.
_HALVINGS: Final = 4
#: Rounds that start with a sweep over the energies.
_SWEPT_ROUNDS: Final = 2


class Uncertainty(NamedTuple):
    """How well the expectation is known (a tuple, as kernels want it).

    Attributes
    ----------
    relative : float
        Relative uncertainty rho; 0 for Poisson's likelihood.
    extra : float
        a, 0 or 1, see the module.
    """

    relative: float
    extra: float


class Problem(NamedTuple):
    """What is to be unfolded (a tuple, as kernels want it).

    Attributes
    ----------
    response : ndarray, shape (n_source, n_row)
        A, a row of memory per source [PE/GeV].
    column : ndarray, shape (n_source,)
        c [PE/GeV].
    charge, noise : ndarray, shape (n_row,)
        n and b, the latter positive [PE].
    uncertainty : Uncertainty
        Of the expectations.
    """

    response: FloatArray
    column: FloatArray
    charge: FloatArray
    noise: FloatArray
    uncertainty: Uncertainty


@kernel
def energy_nll(problem: Problem, energy: FloatArray, mu: FloatArray) -> float:
    """Negative log-likelihood f of the module's docstring.

    Parameters
    ----------
    problem : Problem
        Charges and response.
    energy : ndarray, shape (n_source,)
        Energies [GeV].
    mu : ndarray, shape (n_row,)
        The expectations they make [PE].

    Returns
    -------
    float
        Infinite where a bin with charge has no expectation.
    """
    variance = problem.uncertainty.relative**2
    nll: float = np.sum(problem.column * energy)
    for i in range(mu.size):
        if variance > 0.0:
            alpha = 1.0 / variance + problem.uncertainty.extra
            nll += (problem.charge[i] + alpha) * np.log1p(variance * mu[i])
        else:
            nll += mu[i]
        if problem.charge[i] > 0.0:
            nll -= problem.charge[i] * np.log(mu[i])
    return nll


@kernel
def _slope(problem: Problem, i: int, mu: float) -> float:
    """Return the derivative of f in the expectation of one bin."""
    variance = problem.uncertainty.relative**2
    weight = 1.0
    if variance > 0.0:
        above = variance * (problem.charge[i] + problem.uncertainty.extra) + 1.0
        weight = above / (1.0 + variance * mu)
    return float(weight - problem.charge[i] / mu)


@kernel
def _sweep(problem: Problem, energy: FloatArray, mu: FloatArray) -> None:
    """Take one Newton step in each energy, in turn."""
    n_row = mu.size
    slope, curvature = np.empty(n_row), np.empty(n_row)
    for i in range(n_row):
        slope[i] = _slope(problem, i, mu[i])
        curvature[i] = problem.charge[i] / (mu[i] * mu[i])
    for j in range(energy.size):
        row = problem.response[j]
        g, h = problem.column[j], 0.0
        for i in range(n_row):
            g += row[i] * slope[i]
            h += row[i] * row[i] * curvature[i]
        new = 0.0 if g >= 0.0 else energy[j]
        if h > 0.0:
            new = max(0.0, energy[j] - g / h)
        change = new - energy[j]
        if change != 0.0:
            energy[j] = new
            for i in range(n_row):
                if row[i] != 0.0:
                    mu[i] = max(mu[i] + change * row[i], problem.noise[i])
                    slope[i] = _slope(problem, i, mu[i])
                    curvature[i] = problem.charge[i] / (mu[i] * mu[i])


@kernel
def _expect(problem: Problem, energy: FloatArray, mu: FloatArray) -> None:
    """Fill the expectations of some energies."""
    mu[:] = problem.noise
    for j in range(energy.size):
        if energy[j] > 0.0:
            for i in range(mu.size):
                mu[i] += energy[j] * problem.response[j, i]


@kernel
def _quadratic_best(
    energy: FloatArray, gradient: FloatArray, hessian: FloatArray, best: FloatArray
) -> None:
    """Fill `best` with the energies >= 0 that minimise a quadratic model, by coordinate descent.

    Parameters
    ----------
    energy, gradient, hessian : ndarray, shape (n,), (n,), (n, n)
        Where the model is made, and its derivatives there; `gradient` is changed.
    best : ndarray, shape (n,)
        Written.
    """
    n = energy.size
    best[:] = energy
    first_gain = 0.0
    for k in range(_MODEL_SWEEPS):
        gain = 0.0
        for a in range(n):
            h = hessian[a, a]
            if h <= 0.0:
                continue
            change = max(0.0, best[a] - gradient[a] / h) - best[a]
            if change != 0.0:
                best[a] += change
                gain -= change * (gradient[a] + 0.5 * change * h)
                for b in range(n):
                    gradient[b] += change * hessian[a, b]
        if k == 0:
            first_gain = gain
        if gain <= _MODEL_PRECISION * first_gain:
            break


@kernel
def _newton(problem: Problem, energy: FloatArray, mu: FloatArray, nll: float) -> float:
    """Go to the best energies of a quadratic model, or part of the way; return f there."""
    n_row = mu.size
    slope, root = np.empty(n_row), np.empty(n_row)
    for i in range(n_row):
        slope[i] = _slope(problem, i, mu[i])
        root[i] = np.sqrt(problem.charge[i]) / mu[i]
    gradient = problem.column.copy()
    for j in range(energy.size):
        for i in range(n_row):
            gradient[j] += problem.response[j, i] * slope[i]
    active = np.flatnonzero((energy > 0.0) | (gradient < 0.0))
    scaled = np.empty((active.size, n_row))
    for a in range(active.size):
        for i in range(n_row):
            scaled[a, i] = problem.response[active[a], i] * root[i]
    best = np.empty(active.size)
    _quadratic_best(energy[active], gradient[active], np.dot(scaled, scaled.T), best)
    trial, trial_mu = energy.copy(), np.empty(n_row)
    size = 1.0
    for _ in range(_HALVINGS):
        for a in range(active.size):
            j = active[a]
            trial[j] = energy[j] + size * (best[a] - energy[j])
        _expect(problem, trial, trial_mu)
        value = energy_nll(problem, trial, trial_mu)
        if value < nll:
            energy[:] = trial
            mu[:] = trial_mu
            return value
        size *= 0.5
    return nll


@kernel
def unfold(
    problem: Problem, energy: FloatArray, mu: FloatArray, tolerance: float, max_rounds: int
) -> tuple[float, int]:
    r"""Minimise f over the energies.

    A round lets each energy in turn take a Newton step :math:`-g/h`, cut at zero, which finds out
    which energies are zero; then those that are not take one together, which copes with sources
    whose light is alike. With a relative uncertainty the logarithm in f is replaced by its tangent
    at the current expectation, which lies above it.

    Parameters
    ----------
    problem : Problem
        What to unfold.
    energy : ndarray, shape (n_source,)
        Start, not negative; holds the result afterwards [GeV].
    mu : ndarray, shape (n_row,)
        Filled with the expectations [PE].
    tolerance : float
        End when a round lowers f by less.
    max_rounds : int
        End at the latest after so many.

    Returns
    -------
    nll : float
        f at the end.
    n_rounds : int
        How many rounds it took; `max_rounds` may mean that it did not end by itself.
    """
    _expect(problem, energy, mu)
    nll = energy_nll(problem, energy, mu)
    n_rounds = 0
    while n_rounds < max_rounds:
        n_rounds += 1
        before = nll
        if n_rounds <= _SWEPT_ROUNDS:
            swept, swept_mu = energy.copy(), mu.copy()
            _sweep(problem, swept, swept_mu)
            value = energy_nll(problem, swept, swept_mu)
            if value <= nll:  # not so where energies far too high were cut to zero
                energy[:] = swept
                mu[:] = swept_mu
                nll = value
        nll = _newton(problem, energy, mu, nll)
        if before - nll < tolerance:
            break
    return nll, n_rounds
