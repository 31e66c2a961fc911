r"""Fit of a segmented track of fixed direction: where it goes through, when, and its energies.

For every position p = (u, v, w) the energies are unfolded first
(:mod:`skymap_scanner.recos.minimise.unfolding`); what remains is a function of three parameters.
Its gradient needs no derivatives of the energies, because f does not change with them at their
best (envelope theorem). The curvature of the remaining function is that of f with the energies
eliminated (Schur complement). Derivatives of the response are differences at fixed energies, over
steps that suit a light model in single precision.

References
----------
.. [1] G. Golub and V. Pereyra, Inverse Problems 19 (2003) R1, :doi:`10.1088/0266-5611/19/2/201`
   (variable projection)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import gammaln

from skymap_scanner.recos.minimise.products import matrix_vector, vector_matrix
from skymap_scanner.recos.minimise.profiled import Curvature, profiled_step
from skymap_scanner.recos.minimise.unfolding import Problem, unfold

if TYPE_CHECKING:
    from skymap_scanner.recos.likelihood.segments import SegmentedLine
    from skymap_scanner.recos.likelihood.viewer import LineLight, Sight, Viewer
    from skymap_scanner.recos.minimise.unfolding import Uncertainty
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Data", "Effort", "Outcome", "SegmentFit"]

#: Steps of the differences [m].
_STEP: Final = 0.4
#: Longest change of a parameter in one step [m].
_LONGEST: Final = 15.0
#: Damping to begin with, least after a failed step, and how often a step is tried.
_DAMPING: Final = 3e-2
_TRIES: Final = 6
#: Energies below this fraction of the largest count as none in derivatives.
_ACTIVE: Final = 1e-6
#: Warm starts are at least this fraction of the largest energy.
_FLOOR: Final = 1e-4
#: Charge beyond this many times its expectation does not make the curvature larger: the logarithm
#: is that steep only near the present, too small expectation.
_SURPRISE: Final = 10.0
#: Sources of which the modules would see less are left out [PE/GeV]: to give one photo-electron
#: they would need more than 10 PeV, as much as no event had; noise would speak for them.
_FAINTEST: Final = 1e-7
#: Starts are compared with sources this far apart [m].
_COARSE: Final = 30.0
#: Before the segments get finer a fit may end when a step gains less than this many tolerances.
_EARLY: Final = 10.0
#: So many neighbours on both sides of a source with energy are near it.
_BESIDE: Final = 2
#: Rounds of the unfolding at most.
_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a fit is worth.

    Attributes
    ----------
    tolerance : float
        The fit ends when a step gains less.
    energy_tolerance : float
        The unfolding of energies ends when a round gains less.
    max_iterations : int
        Steps at most; 0 only unfolds.
    n_parts : int
        With more than 1 the fit goes on with so many times finer segments around the sources that
        have energy: a cascade between two sources is not the sum of both.
    """

    tolerance: float
    energy_tolerance: float
    max_iterations: int
    n_parts: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Binned charge and what is known besides.

    Attributes
    ----------
    charge, noise : ndarray, shape (n_row,)
        Charge and expected noise of the bins with rows [PE].
    loose_noise : float
        Expected noise of all bins without rows and of dark modules without rows [PE].
    uncertainty : Uncertainty
        Of the expectation.
    """

    charge: FloatArray
    noise: FloatArray
    loose_noise: float
    uncertainty: Uncertainty

    def constant(self) -> float:
        """Return what makes f a negative log-likelihood, normalised in the charge."""
        total = float(gammaln(self.charge + 1.0).sum()) + self.loose_noise
        rho = self.uncertainty.relative
        if rho > 0.0:
            alpha = 1.0 / rho**2 + self.uncertainty.extra
            total += float((gammaln(alpha) - gammaln(self.charge + alpha)).sum())
            total -= float(self.charge.sum()) * np.log(rho**2)
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A track with its energies.

    Attributes
    ----------
    line : SegmentedLine
        The sources.
    at : ndarray, shape (3,)
        The track, see `SegmentedLine` [m].
    energy : ndarray, shape (n_source,)
        Unfolded energies [GeV].
    light : ndarray, shape (n_source,)
        Expected charge of each source in the bins that have rows [PE].
    mu : ndarray, shape (n_row,)
        Expected charge of the bins [PE].
    nll : float
        Negative log-likelihood.
    n_evaluations : int
        How often energies were unfolded.
    n_iterations : int
        Steps that were taken.
    stopped : str
        Why the fit ended: "converged", "no step helps" or "iterations".
    """

    line: SegmentedLine
    at: FloatArray
    energy: FloatArray
    light: FloatArray
    mu: FloatArray
    nll: float
    n_evaluations: int
    n_iterations: int
    stopped: str


@dataclass(slots=True, eq=False)
class _Point:
    """Where a fit is."""

    at: FloatArray
    sight: Sight
    seen: LineLight
    response: FloatArray
    column: FloatArray
    energy: FloatArray
    mu: FloatArray
    nll: float


@dataclass(slots=True, eq=False)
class _Walk:
    """How a fit got where it is."""

    point: _Point
    n_evaluations: int = 0
    n_iterations: int = 0
    stopped: str = "iterations"


class SegmentFit:
    """Fits of one event.

    Parameters
    ----------
    viewer : Viewer
        The modules and their bins.
    data : Data
        Their charge.
    """

    def __init__(self, viewer: Viewer, data: Data) -> None:
        self._viewer = viewer
        self._data = data
        self._constant = data.constant()

    def fit(self, line: SegmentedLine, starts: list[FloatArray], effort: Effort) -> Outcome:
        """Fit position, time and energies from the best of some starts.

        Parameters
        ----------
        line : SegmentedLine
            Direction and sources.
        starts : list of ndarray, shape (3,)
            Tracks to start from, at least one.
        effort : Effort
            When to end.

        Returns
        -------
        Outcome
        """
        point = self._best_start(line, starts, effort)
        if effort.n_parts == 1:
            walk = self._walk(line, point, effort)
        else:
            line, walk = self._refined_walk(line, point, effort)
        point = walk.point
        return Outcome(
            line=line,
            at=point.at,
            energy=point.energy,
            light=point.energy * point.response.sum(axis=1),
            mu=point.mu,
            nll=point.nll + self._constant,
            n_evaluations=walk.n_evaluations + len(starts),
            n_iterations=walk.n_iterations,
            stopped=walk.stopped,
        )

    def _refined_walk(
        self, line: SegmentedLine, point: _Point, effort: Effort
    ) -> tuple[SegmentedLine, _Walk]:
        """Walk with the sources near energy, then with all of them and finer ones near energy.

        Which sources have energy changes on the way: where the second walk begins it may not be
        those that had it in the first.
        """
        rough = replace(effort, tolerance=_EARLY * effort.tolerance)
        some, point = _near_energy(line, point)
        walk = self._walk(some, point, rough)
        active = _active(walk.point.energy)
        if not len(active):
            return some, walk
        along, energy = some.along[active], walk.point.energy[active]
        line = line.refined(np.searchsorted(line.along, along), effort.n_parts)
        start = np.zeros(len(line.along))
        start[np.searchsorted(line.along, along)] = energy
        at = walk.point.at
        sight = self._viewer.sight(line, at, known=walk.point.sight.far_light)
        point = self._solve(line, at, sight, start, effort)
        again = self._walk(line, point, effort)
        again.n_evaluations += walk.n_evaluations + 1
        again.n_iterations += walk.n_iterations
        return line, again

    def _best_start(self, line: SegmentedLine, starts: list[FloatArray], effort: Effort) -> _Point:
        """Return the start that a coarse look likes best."""
        coarse = line if len(starts) == 1 else line.coarser(_COARSE)
        points: list[_Point] = []
        for start in starts:
            # tracks that differ in time only are seen alike
            same = next((one for one in points if np.array_equal(one.at[:2], start[:2])), None)
            sight = same.sight if same else self._viewer.sight(coarse, start, moves=coarse is line)
            seen = same.seen if same else None
            points.append(self._solve(coarse, start, sight, None, effort, seen=seen))
        best = points[int(np.argmin([point.nll for point in points]))]
        if coarse is line:
            return best
        return self._solve(line, best.at, self._viewer.sight(line, best.at), None, effort)

    def _walk(self, line: SegmentedLine, point: _Point, effort: Effort) -> _Walk:
        """Take damped Gauss-Newton steps until they gain too little."""
        walk = _Walk(point)
        sight, damping = point.sight, _DAMPING
        while walk.n_iterations < effort.max_iterations:
            gradient, curvature = self._derivatives(line, walk.point)
            for _ in range(_TRIES):
                step = profiled_step(gradient, curvature, damping, _LONGEST)
                if -matrix_vector(gradient, step) < effort.tolerance:
                    walk.stopped = "converged"
                    return walk
                at = walk.point.at + step
                if not sight.far_light.knows(line.along, at):
                    sight = self._viewer.sight(line, at)
                trial = self._solve(line, at, sight, walk.point.energy, effort)
                walk.n_evaluations += 1
                if trial.nll < walk.point.nll:
                    break
                damping = max(8.0 * damping, _DAMPING)
            else:
                walk.stopped = "no step helps"
                return walk
            damping *= 0.2
            gain, walk.point = walk.point.nll - trial.nll, trial
            walk.n_iterations += 1
            if gain < effort.tolerance:
                walk.stopped = "converged"
                return walk
        return walk

    def _solve(
        self,
        line: SegmentedLine,
        at: FloatArray,
        sight: Sight,
        energy: FloatArray | None,
        effort: Effort,
        *,
        seen: LineLight | None = None,
    ) -> _Point:
        """Unfold the energies of a track, starting from those of a near one.

        Its light is worked out unless it is known (`seen`).
        """
        if seen is None:
            seen = self._viewer.see(line, at, sight)
        data = self._data
        response, column = self._viewer.fill(seen, line, at)
        total = column + response.sum(axis=1)
        is_seen = total > _FAINTEST
        response[~is_seen] = 0.0
        if energy is None:
            energy = np.full(len(column), data.charge.sum() / max(total.sum(), _FAINTEST))
        else:
            energy = np.maximum(energy, _FLOOR * energy.max())
        energy[~is_seen] = 0.0
        mu = np.empty(len(data.charge))
        problem = Problem(response, column, data.charge, data.noise, data.uncertainty)
        nll, _ = unfold(problem, energy, mu, effort.energy_tolerance, _ROUNDS)
        return _Point(at, sight, seen, response, column, energy, mu, nll)

    def _derivatives(self, line: SegmentedLine, point: _Point) -> tuple[FloatArray, Curvature]:
        """Return the gradient of f in the track, and its curvature in track and energies."""
        data = self._data
        active = _active(point.energy)
        energy = point.energy[active]
        few, few_sight = line.only(active), point.sight.only(active)
        matrix, seen = point.response[active], point.seen.only(active)
        slope = np.empty((3, len(point.mu)))
        of_column = np.empty(3)
        expected = vector_matrix(energy, matrix)
        in_column = matrix_vector(point.column[active], energy)
        for k in range(3):
            at = point.at.copy()
            at[k] += _STEP
            moved = self._viewer.see(few, at, few_sight) if k < 2 else seen
            response, columns = self._viewer.fill(moved, few, at)
            slope[k] = (vector_matrix(energy, response) - expected) / _STEP
            of_column[k] = (matrix_vector(columns, energy) - in_column) / _STEP
        ratio = data.charge / point.mu
        rho2 = data.uncertainty.relative**2
        if rho2 > 0.0:
            excess = rho2 * (data.charge + data.uncertainty.extra) + 1.0
            first = excess / (1.0 + rho2 * point.mu) - ratio
            weight = 1.0 / (point.mu * (1.0 + rho2 * point.mu))
        else:
            first = 1.0 - ratio
            weight = np.minimum(ratio, _SURPRISE) / point.mu
        gradient = of_column + matrix_vector(slope, first)
        weighted = slope * weight
        curvature = Curvature(
            of_few=np.array([matrix_vector(slope, one) for one in weighted]),
            crossed=np.array([matrix_vector(matrix, one) for one in weighted]),
            of_many=(matrix * weight) @ matrix.T,
        )
        return gradient, curvature


def _near_energy(line: SegmentedLine, point: _Point) -> tuple[SegmentedLine, _Point]:
    """Leave out the sources that have no energy and are not near one that has."""
    active = _active(point.energy)
    near = active[:, np.newaxis] + np.arange(-_BESIDE, _BESIDE + 1)
    chosen = np.unique(np.clip(near, 0, len(point.energy) - 1))
    if not len(chosen):
        return line, point
    kept = replace(
        point,
        sight=point.sight.only(chosen),
        seen=point.seen.only(chosen),
        response=point.response[chosen],
        column=point.column[chosen],
        energy=point.energy[chosen],
    )
    return line.only(chosen), kept


def _active(energy: FloatArray) -> IntArray:
    """Return the numbers of the sources that have energy."""
    return np.flatnonzero(energy > _ACTIVE * energy.max(initial=0.0))
