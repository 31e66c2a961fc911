r"""Fit of a track with fixed direction to the first pulses: start values, Newton loop, end rule.

Direction fixed, three parameters remain (u, v, w): two offsets in the plane normal to the track and
c times the time at the reference point, all in m. The fit starts twice: from the valley of a rough
likelihood and from the best of its first guesses. Numbers of iterations are bounded and no clock is
read: the same input gives the same bits.

References
----------
.. [1] J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition (2006), section 6.2
   (symmetric rank-one update)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.recos.likelihood.choice import evaluate, with_jitter
from skymap_scanner.recos.likelihood.rough import evaluate_rough
from skymap_scanner.recos.minimise.newton import damped_step, update_hessian
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.recos.likelihood.mpe import Hits, Light
    from skymap_scanner.recos.likelihood.track_light import TrackLight
    from skymap_scanner.units import FloatArray

    AnyLight = Light | TrackLight

__all__ = ["REAL", "ROUGH", "Effort", "fit_track", "minimise"]

#: Which likelihood `minimise` works on.
ROUGH: Final = 0
REAL: Final = 1
#: Step of the finite differences of the gradient [m], longest step of a fit [m].
_WIDTH: Final = 0.3
_LONGEST: Final = 60.0
#: Where the rough likelihood of a guess is looked at around its time [m of light path]: half an
#: event's length to both sides.
_TIME_STEPS: Final = (0.0, -60.0, 60.0, -150.0, 150.0, -300.0, 300.0)


class Effort(NamedTuple):
    """When a fit ends (a tuple, as kernels want it).

    Attributes
    ----------
    tolerance : float
        Expected decrease of the negative log-likelihood at which to stop.
    max_iterations : int
        Number of steps at most.
    follow_far : bool
        Whether a first guess is followed even when it is far from the minimum found otherwise.
    """

    tolerance: float
    max_iterations: int
    follow_far: bool


#: The rough likelihood only leads into a valley.
_ROUGH_TOLERANCE: Final = 0.1
_ROUGH_ITERATIONS: Final = 30
#: A guess this much above the minimum known so far is still in a valley worth following.
_NEAR: Final = 30.0
#: Distance at which the neighbourhood of a minimum is searched for a lower one [m]: valleys lie
#: about as far apart as the modules of a string, 17 m.
_KICK: Final = 12.0
#: Jitter of the likelihood that leads guesses from farther off [ns].
_BLUR: Final = 15.0
_BLUR_TOLERANCE: Final = 2.0
_BLUR_ITERATIONS: Final = 8


@kernel
def _objective(
    kind: int, at: FloatArray, hits: Hits, light: AnyLight, gradient: FloatArray
) -> float:
    if kind == ROUGH:
        return evaluate_rough(at, hits, gradient)
    return evaluate(at, hits, light, gradient)


@kernel
def minimise(
    kind: int, at: FloatArray, hits: Hits, light: AnyLight, effort: Effort
) -> tuple[float, int]:
    """Minimise a likelihood from one start by damped quasi-Newton steps.

    The first Hessian comes from differences of the analytic gradient; every step, taken or not,
    improves it by a symmetric rank-one update. The fit ends when the quadratic model expects to
    gain less than the tolerance.

    Parameters
    ----------
    kind : int
        `ROUGH` or `REAL` likelihood.
    at : ndarray, shape (3,)
        Start; holds the minimum afterwards [m].
    hits : Hits
        The hit modules in the frame of the track.
    light : Light or TrackLight
        Ice and light.
    effort : Effort
        When to stop.

    Returns
    -------
    nll : float
        Negative log-likelihood at the end.
    n_evaluations : int
        How often it was computed.
    """
    gradient, trial_gradient, step = np.empty(3), np.empty(3), np.empty(3)
    hessian = np.empty((3, 3))
    trial = at.copy()
    nll = _objective(kind, at, hits, light, gradient)
    for k in range(3):
        trial[k] += _WIDTH
        _objective(kind, trial, hits, light, trial_gradient)
        hessian[k] = (trial_gradient - gradient) / _WIDTH
        trial[k] = at[k]
    hessian = 0.5 * (hessian + hessian.T)
    n_evaluations = 4
    damping = 0.0
    for _ in range(effort.max_iterations):
        predicted = damped_step(gradient, hessian, damping, _LONGEST, step)
        if predicted < effort.tolerance:
            break
        trial[:] = at + step
        value = _objective(kind, trial, hits, light, trial_gradient)
        n_evaluations += 1
        update_hessian(hessian, step, trial_gradient - gradient)
        if value < nll:
            damping = 0.0 if nll - value > 0.25 * predicted else 0.5 * damping
            nll = value
            at[:] = trial
            gradient[:] = trial_gradient
        else:
            damping = max(4.0 * damping, 0.1)
    return nll, n_evaluations


@kernel
def _in_plane(guess: FloatArray, hits: Hits, at: FloatArray) -> None:
    """Fill `at` with the track through a guess x, y, z [m], time [ns]."""
    delta = guess[:3] - hits.reference
    at[0] = np.sum(delta * hits.basis[0])
    at[1] = np.sum(delta * hits.basis[1])
    at[2] = guess[3] * LIGHT_SPEED - np.sum(delta * hits.direction)


@kernel
def _roughly_best(guesses: FloatArray, hits: Hits, at: FloatArray) -> bool:
    """Fill `at` with the guess that the rough likelihood likes best, at its own time or shifted."""
    start, gradient = np.empty(3), np.empty(3)
    lowest = np.inf
    for g in range(guesses.shape[0]):
        _in_plane(guesses[g], hits, start)
        time = start[2]
        for shift in _TIME_STEPS:
            start[2] = time + shift
            nll = evaluate_rough(start, hits, gradient)
            if nll < lowest:
                lowest = nll
                at[:] = start
    return lowest < np.inf


@kernel
def _really_best(guesses: FloatArray, hits: Hits, light: AnyLight, at: FloatArray) -> float:
    """Fill `at` with the guess that the real likelihood likes best."""
    start, gradient = np.empty(3), np.empty(3)
    lowest = np.inf
    for g in range(guesses.shape[0]):
        _in_plane(guesses[g], hits, start)
        nll = evaluate(start, hits, light, gradient)
        if nll < lowest:
            lowest = nll
            at[:] = start
    return lowest


@kernel
def _follow_blurred(at: FloatArray, hits: Hits, light: AnyLight) -> int:
    """Bring `at` nearer with a likelihood of larger jitter; return the number of evaluations."""
    wide = with_jitter(light, _BLUR)
    _, n_evaluations = minimise(
        REAL, at, hits, wide, Effort(_BLUR_TOLERANCE, _BLUR_ITERATIONS, False)
    )
    return n_evaluations


@kernel
def _try_neighbours(
    nll: float, at: FloatArray, hits: Hits, light: AnyLight, effort: Effort
) -> tuple[float, int]:
    """Look for a lower valley next to the one that ends at `at`, which then holds its minimum.

    The likelihood is computed at the 26 other points of a cube around `at`, and the two lowest of
    them are followed; returns the lowest value and the number of evaluations.
    """
    trial, gradient = np.empty(3), np.empty(3)
    starts = np.empty((2, 3))
    lowest, second = np.inf, np.inf
    for i in range(27):
        if i == 13:
            continue
        trial[0] = at[0] + _KICK * (i // 9 - 1)
        trial[1] = at[1] + _KICK * (i // 3 % 3 - 1)
        trial[2] = at[2] + _KICK * (i % 3 - 1)
        value = evaluate(trial, hits, light, gradient)
        if value < lowest:
            starts[1] = starts[0]
            starts[0] = trial
            lowest, second = value, lowest
        elif value < second:
            starts[1] = trial
            second = value
    n_evaluations = 26
    for k in range(2):
        if np.isfinite(second if k else lowest):
            value, n = minimise(REAL, starts[k], hits, light, effort)
            n_evaluations += n
            if value < nll:
                nll = value
                at[:] = starts[k]
    return nll, n_evaluations


@kernel
def fit_track(
    hits: Hits, light: AnyLight, guesses: FloatArray, effort: Effort, best: FloatArray
) -> tuple[float, int]:
    """Fit vertex and time of a track with fixed direction.

    The likelihood has several valleys. Two starts lead into different ones, and the lower end
    counts: the minimum of a rough likelihood without structure, and the best guess itself. A guess
    nearly as good as the first end is the fit of a neighbouring direction, and its valley is
    followed; from farther off a blurred likelihood leads the way. Where the map is fine, a fit with
    a near guess also looks for a lower valley next to its own.

    Parameters
    ----------
    hits : Hits
        The hit modules in the frame of the track; the fitted vertex is the point of the track
        closest to the reference point.
    light : Light or TrackLight
        Ice and light.
    guesses : ndarray, shape (n_guess, 4)
        First guesses x, y, z [m], time [ns].
    effort : Effort
        When to stop.
    best : ndarray, shape (4,)
        Filled with vertex x, y, z [m] and time there [ns]; NaN when the fit failed.

    Returns
    -------
    nll : float
        Negative log-likelihood at the minimum; +inf when no guess is finite.
    n_evaluations : int
        How often the real likelihood was computed.
    """
    at, other = np.empty(3), np.empty(3)
    best[:] = np.nan
    if not _roughly_best(guesses, hits, at):
        return np.inf, 0
    minimise(ROUGH, at, hits, light, Effort(_ROUGH_TOLERANCE, _ROUGH_ITERATIONS, False))
    nll, n_evaluations = minimise(REAL, at, hits, light, effort)
    n_evaluations += guesses.shape[0]
    is_far = _really_best(guesses, hits, light, other) > nll + _NEAR
    if is_far and effort.follow_far:
        n_evaluations += _follow_blurred(other, hits, light)
    if effort.follow_far or not is_far:
        nll_other, n_other = minimise(REAL, other, hits, light, effort)
        n_evaluations += n_other
        if nll_other < nll:
            nll = nll_other
            at[:] = other
    if effort.follow_far and not is_far:
        # Guesses from far off lead to the same end; one fit that looks around is enough.
        nll, n_other = _try_neighbours(nll, at, hits, light, effort)
        n_evaluations += n_other
    best[:3] = hits.reference + at[0] * hits.basis[0] + at[1] * hits.basis[1]
    best[3] = at[2] / LIGHT_SPEED
    return nll, n_evaluations
