r"""Damped Newton steps for functions of a few parameters (Levenberg-Marquardt damping).

The kernel solves for one step; the loop around it belongs to the likelihood, because numba cannot
cache a compiled function that takes another one as argument.

References
----------
.. [1] J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition (2006), chapters 3 and 10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.compiled import kernel

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["cholesky_solve", "damped_step", "update_hessian"]


@kernel
def cholesky_solve(
    matrix: FloatArray, right: FloatArray, lower: FloatArray, out: FloatArray
) -> bool:
    """Solve ``matrix @ out = right`` for a symmetric positive definite matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric; only the lower triangle is read.
    right : ndarray, shape (n,)
        Right-hand side.
    lower : ndarray, shape (n, n)
        Filled with the Cholesky factor.
    out : ndarray, shape (n,)
        Filled with the solution.

    Returns
    -------
    bool
        False when the matrix is not positive definite (or not finite); `out` is then undefined.
    """
    n = right.size
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 1e-12 * abs(matrix[i, i]):
                    return False
                lower[i, i] = np.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= lower[i, k] * out[k]
        out[i] = total / lower[i, i]
    for i in range(n - 1, -1, -1):
        total = out[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * out[k]
        out[i] = total / lower[i, i]
    return True


@kernel
def damped_step(
    gradient: FloatArray, hessian: FloatArray, damping: float, longest: float, step: FloatArray
) -> float:
    """Compute a descent step from gradient and Hessian, positive definite or not.

    Solves ``(hessian + damping * scale) step = -gradient``, where `scale` is the mean size of the
    Hessian's diagonal; the damping grows until the matrix is positive definite, so that the step
    always goes down. Parameters should be scaled to similar meaning (here: all in m).

    Parameters
    ----------
    gradient : ndarray, shape (n,)
        Gradient at the current point.
    hessian : ndarray, shape (n, n)
        Hessian there, symmetric.
    damping : float
        Damping to begin with, relative to the size of the Hessian; 0 is the pure Newton step.
    longest : float
        Longer steps are shortened to this length.
    step : ndarray, shape (n,)
        Filled with the step.

    Returns
    -------
    float
        Predicted decrease of the function by the quadratic model, >= 0; 0 with a zero step when
        the gradient vanishes or nothing is finite.
    """
    n = gradient.size
    size = 0.0
    for i in range(n):
        size += abs(hessian[i, i]) / n
    slope = np.sqrt(np.sum(gradient * gradient))
    step[:] = 0.0
    if not (np.isfinite(size) and np.isfinite(slope)) or slope == 0.0:
        return 0.0
    # Where the function is nearly flat the step is the longest one along the gradient.
    size = max(size, slope / longest * 1e-3)
    matrix = np.empty((n, n))
    lower = np.empty((n, n))
    shift = damping * size
    solved = False
    while not solved:
        matrix[:, :] = hessian
        for i in range(n):
            matrix[i, i] += shift
        solved = cholesky_solve(matrix, -gradient, lower, step)
        shift = max(4.0 * shift, 1e-3 * size)
    length = np.sqrt(np.sum(step * step))
    if length > longest:
        step *= longest / length
    predicted = 0.0
    for i in range(n):
        predicted -= gradient[i] * step[i]
        for j in range(n):
            predicted -= 0.5 * step[i] * hessian[i, j] * step[j]
    return max(predicted, 0.0)


@kernel
def update_hessian(hessian: FloatArray, step: FloatArray, change: FloatArray) -> None:
    """Improve an approximate Hessian by what a step has shown (symmetric rank-one update).

    Afterwards ``hessian @ step == change``. Unlike the BFGS update it can also learn negative
    curvature. Skipped where it would be numerically unsafe.

    Parameters
    ----------
    hessian : ndarray, shape (n, n)
        Approximate Hessian, changed in place.
    step : ndarray, shape (n,)
        Difference of two points.
    change : ndarray, shape (n,)
        Difference of the gradients there.
    """
    n = step.size
    rest = change - hessian @ step
    product = np.sum(rest * step)
    scale = np.sqrt(np.sum(rest * rest)) * np.sqrt(np.sum(step * step))
    if not (np.isfinite(scale) and abs(product) > 1e-8 * scale):
        return
    for i in range(n):
        for j in range(n):
            hessian[i, j] += rest[i] * rest[j] / product
