r"""Steps for a few parameters when many others are at their best for each value of the few.

With a curvature :math:`H` of all parameters in blocks p (few) and x (many), the function that
remains when x follows has the curvature :math:`S = H_{pp} - H_{px} H_{xx}^{-1} H_{xp}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.recos.minimise.newton import cholesky_solve
from skymap_scanner.recos.minimise.products import matrix_vector

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["Curvature", "profiled_step"]

#: Relative increase of the diagonal of a block before it is inverted.
_RIDGE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Second derivatives of a function, positive semidefinite together.

    Attributes
    ----------
    of_few : ndarray, shape (n_few, n_few)
        In the few parameters.
    crossed : ndarray, shape (n_few, n_many)
        In one of the few and one of the many.
    of_many : ndarray, shape (n_many, n_many)
        In the many.
    """

    of_few: FloatArray
    crossed: FloatArray
    of_many: FloatArray

    def remaining(self) -> FloatArray:
        """Return S, the curvature in the few when the many follow, shape (n_few, n_few)."""
        n_few, n_many = self.crossed.shape
        diagonal = np.diag(self.of_many)
        many = self.of_many + np.diag(_RIDGE * diagonal + np.finfo(np.float64).tiny)
        lower, followed = np.empty((n_many, n_many)), np.empty((n_few, n_many))
        for k in range(n_few):
            if not cholesky_solve(many, np.ascontiguousarray(self.crossed[k]), lower, followed[k]):
                return self.of_few
        return np.asarray(
            self.of_few - np.array([matrix_vector(self.crossed, one) for one in followed])
        )


def profiled_step(
    gradient: FloatArray, curvature: Curvature, damping: float, longest: float
) -> FloatArray:
    r"""Return the damped Gauss-Newton step :math:`-(S + \lambda\,\mathrm{diag} H_{pp})^{-1} g`.

    Parameters
    ----------
    gradient : ndarray, shape (n_few,)
        g, gradient in the few parameters with the many at their best.
    curvature : Curvature
        Second derivatives.
    damping : float
        lambda, positive.
    longest : float
        No component of the step is larger.

    Returns
    -------
    ndarray, shape (n_few,)
        The step; zero where nothing is finite.
    """
    diagonal = np.diag(curvature.of_few)
    floor = 1e-12 * diagonal.max(initial=0.0) + 1e-300
    matrix = curvature.remaining() + np.diag(damping * diagonal + floor)
    step = np.empty(len(gradient))
    if not cholesky_solve(matrix, -gradient, np.empty_like(matrix), step):
        step = -gradient / np.maximum(diagonal, floor)
    largest = float(np.abs(step).max(initial=0.0))
    if not np.isfinite(largest):
        return np.zeros_like(gradient)
    return np.asarray(step * min(1.0, longest / max(largest, longest * 1e-300)))
