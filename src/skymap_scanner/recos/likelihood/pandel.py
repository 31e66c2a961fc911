r"""Convoluted Pandel function: arrival times of scattered light, smeared by a Gaussian, as a table.

The Pandel function is a gamma density in the delay t of a photon against unscattered light,

.. math:: p(t) = r^s t^{s-1} e^{-r t} / \Gamma(s), \qquad t > 0

with shape s (number of scattering lengths) and rate r [1/ns]. Smearing it with a Gaussian of width
:math:`\sigma` only depends on :math:`(s, r\sigma, t/\sigma)`, so that one three-dimensional table
of :math:`\ln p` and :math:`\ln S` (S is the survival function) serves every width. The table is
interpolated by a tensor product of uniform cubic B-splines: twice continuously differentiable,
which a Newton minimiser needs.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
.. [2] N. van Eijndhoven, O. Fadiran and G. Japaridze, Astropart. Phys. 28 (2007) 456,
   :doi:`10.1016/j.astropartphys.2007.09.001`
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import special

from skymap_scanner.compiled import fused_kernel, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

__all__ = ["PandelTable", "convoluted_pandel", "load_pandel_table", "lookup", "spline_coefficients"]

#: Below this the logarithms of density and survival are irrelevant (noise is far above): they are
#: levelled off smoothly there, which keeps the spline free of ringing.
LOG_FLOOR: Final = -250.0
#: Integration covers the Gaussian out to this many widths.
_REACH: Final = 8.0
_N_NODES: Final = 48


def convoluted_pandel(x: FloatArray, shape: float, rate: float) -> tuple[FloatArray, FloatArray]:
    r"""Smeared density and survival function for a Gaussian of width 1, by quadrature.

    The singular factor :math:`t^{s-1}` is the weight of a Gauss-Jacobi rule, so that shapes below
    1 are as exact as any other.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Times in units of the width of the Gaussian.
    shape : float
        Shape s of the gamma density, positive.
    rate : float
        Rate times width, :math:`r \sigma`, positive.

    Returns
    -------
    density, survival : ndarray, shape (n,)
        Density per unit of x and probability to arrive after x.

    Examples
    --------
    Distance 20 m in the AMANDA parametrisation, width 4 ns, time 20 ns:

    >>> rate = 1 / 557 + 0.299792458 / (1.35634 * 98)
    >>> p, s = convoluted_pandel(np.array([20.0 / 4]), 20 / 33.3, rate * 4)
    >>> round(float(p[0]) / 4, 8), round(1 - float(s[0]), 6)
    (0.00694516, 0.238673)
    """
    x = np.asarray(x, dtype=np.float64)
    log_norm = shape * np.log(rate) - special.gammaln(shape)
    density = np.zeros(x.size)
    survival: FloatArray = np.asarray(
        special.gammaincc(shape, rate * np.maximum(x + _REACH, 0.0)), dtype=np.float64
    )
    near = (x < _REACH + 1.0) & (x > -_REACH)
    nodes, weights = _jacobi(shape)
    half = 0.5 * (x[near] + _REACH)
    y = half[:, None] * (nodes + 1.0)
    log_weight = np.log(weights) + log_norm + shape * np.log(half)[:, None] - rate * y
    _accumulate(density, survival, near, y - x[near, None], log_weight)
    far = x >= _REACH + 1.0
    nodes, weights = _legendre()
    y = x[far, None] + _REACH * nodes
    log_weight = np.log(weights * _REACH) + log_norm + (shape - 1.0) * np.log(y) - rate * y
    _accumulate(density, survival, far, y - x[far, None], log_weight)
    return density, survival


@lru_cache(maxsize=64)
def _jacobi(shape: float) -> tuple[FloatArray, FloatArray]:
    nodes, weights = special.roots_jacobi(_N_NODES, 0.0, shape - 1.0)
    return nodes, weights


@cache
def _legendre() -> tuple[FloatArray, FloatArray]:
    nodes, weights = special.roots_legendre(_N_NODES)
    return nodes, weights


def _accumulate(
    density: FloatArray,
    survival: FloatArray,
    where: NDArray[np.bool_],
    offset: FloatArray,
    log_weight: FloatArray,
) -> None:
    gauss = np.exp(log_weight - 0.5 * offset**2) / np.sqrt(2.0 * np.pi)
    density[where] = gauss.sum(axis=1)
    survival[where] += (np.exp(log_weight) * special.ndtr(offset)).sum(axis=1)


def spline_coefficients(values: FloatArray, axis: int) -> FloatArray:
    """Coefficients of the interpolating uniform cubic B-spline along one axis (not-a-knot ends).

    Parameters
    ----------
    values : ndarray
        Function values on a uniform grid of n >= 4 points along `axis`.
    axis : int
        Axis along which to interpolate.

    Returns
    -------
    ndarray
        Coefficients, n + 2 along `axis`: the spline at node i is
        ``(c[i] + 4 c[i + 1] + c[i + 2]) / 6``.
    """
    n = values.shape[axis]
    matrix = np.zeros((n + 2, n + 2))
    for i in range(n):
        matrix[i + 1, i : i + 3] = (1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0)
    matrix[0, :5] = matrix[-1, -5:] = (1.0, -4.0, 6.0, -4.0, 1.0)
    moved = np.moveaxis(values, axis, 0)
    right = np.zeros((n + 2, *moved.shape[1:]))
    right[1:-1] = moved
    solved = np.linalg.solve(matrix, right.reshape(n + 2, -1)).reshape(right.shape)
    return np.moveaxis(solved, 0, axis)


class PandelTable(NamedTuple):
    """Spline table of the convoluted Pandel function (a tuple, as kernels want it).

    Attributes
    ----------
    coefficients : ndarray of float32, shape (n_s + 2, n_r + 2, n_x + 2, 2)
        B-spline coefficients of ln density and ln survival, in units of the Gaussian's width.
    axes : ndarray, shape (3, 3)
        First node, step and number of nodes of the axes ln s, ln(r sigma), asinh(t / sigma).
    """

    coefficients: NDArray[np.float32]
    axes: FloatArray

    @classmethod
    def build(
        cls,
        *,
        shape_range: tuple[float, float] = (0.02, 40.0),
        rate_range: tuple[float, float] = (1e-3, 4.0),
        x_range: tuple[float, float] = (-8.0, 3000.0),
        n_nodes: tuple[int, int, int] = (28, 24, 160),
    ) -> PandelTable:
        """Compute the table.

        Parameters
        ----------
        shape_range, rate_range, x_range : (float, float)
            Ranges of s, r sigma and t / sigma; look-ups outside are clamped to them.
        n_nodes : (int, int, int)
            Nodes per axis.

        Returns
        -------
        PandelTable
            The table, about 1 MB.
        """
        ends = (
            np.log(shape_range),
            np.log(rate_range),
            np.arcsinh(x_range),
        )
        grids = [np.linspace(a, b, n) for (a, b), n in zip(ends, n_nodes, strict=True)]
        values = np.empty((*n_nodes, 2))
        x = np.sinh(grids[2])
        floor = np.exp(LOG_FLOOR)
        for i, shape in enumerate(np.exp(grids[0])):
            for j, rate in enumerate(np.exp(grids[1])):
                density, survival = convoluted_pandel(x, float(shape), float(rate))
                values[i, j, :, 0] = np.log(density + floor)
                values[i, j, :, 1] = np.log(np.minimum(survival, 1.0) + floor)
        for axis in range(3):
            values = spline_coefficients(values, axis)
        axes = np.array([[g[0], g[1] - g[0], g.size] for g in grids])
        return cls(coefficients=np.ascontiguousarray(values, dtype=np.float32), axes=axes)


@cache
def load_pandel_table() -> PandelTable:
    """Return the default table; computed on the first call of a process."""
    return PandelTable.build()


@kernel
def _weights(fraction: float) -> tuple[float, float, float, float, float, float, float, float]:
    """Four cubic B-spline weights at `fraction` of a cell, then their derivatives."""
    f = fraction
    g = 1.0 - f
    return (
        g * g * g / 6.0,
        (4.0 - 6.0 * f * f + 3.0 * f * f * f) / 6.0,
        (4.0 - 6.0 * g * g + 3.0 * g * g * g) / 6.0,
        f * f * f / 6.0,
        -0.5 * g * g,
        0.5 * f * (3.0 * f - 4.0),
        0.5 * g * (4.0 - 3.0 * g),
        0.5 * f * f,
    )


@kernel
def _cell(axes: FloatArray, axis: int, at: float) -> tuple[int, float, float]:
    """Cell, fraction in it and slope of the clamped coordinate (per unit of `at`)."""
    n = axes[axis, 2]
    position = (at - axes[axis, 0]) / axes[axis, 1]
    if not position > 0.0:
        return 0, 0.0, 0.0
    if position >= n - 1.0:
        return int(n) - 2, 1.0, 0.0
    k = int(position)
    return k, position - k, 1.0 / axes[axis, 1]


# Fused because that makes it 1.4 times faster.
@fused_kernel
def lookup(
    table: PandelTable, log_shape: float, log_rate: float, x: float, work: FloatArray
) -> None:
    """Interpolate ln density and ln survival with their derivatives; all for a Gaussian of width 1.

    The sums over the 16 neighbours in shape and rate are written out for the 4 x 2 values in time
    that lie side by side in memory: compilers turn that into vector instructions.

    Parameters
    ----------
    table : PandelTable
        Where to look.
    log_shape, log_rate : float
        ln s and ln(r sigma).
    x : float
        Time in units of the width.
    work : ndarray, shape (6, 4)
        The first four rows are scratch space. Rows 4 (ln density) and 5 (ln survival) are filled
        with the value and the derivatives with respect to ln s, ln(r sigma) and x; outside the
        table with the value of the edge and derivative 0.
    """
    coefficients, axes = table.coefficients, table.axes
    i, fraction, slope_s = _cell(axes, 0, log_shape)
    w = work
    w[0, 0], w[0, 1], w[0, 2], w[0, 3], w[1, 0], w[1, 1], w[1, 2], w[1, 3] = _weights(fraction)
    j, fraction, slope_r = _cell(axes, 1, log_rate)
    w[2, 0], w[2, 1], w[2, 2], w[2, 3], w[3, 0], w[3, 1], w[3, 2], w[3, 3] = _weights(fraction)
    k, fraction, slope_x = _cell(axes, 2, np.arcsinh(x))
    v0, v1, v2, v3, d0, d1, d2, d3 = _weights(fraction)
    p0 = p1 = p2 = p3 = s0 = s1 = s2 = s3 = 0.0  # density and survival at four times ...
    ps0 = ps1 = ps2 = ps3 = ss0 = ss1 = ss2 = ss3 = 0.0  # ... their derivatives by shape ...
    pr0 = pr1 = pr2 = pr3 = sr0 = sr1 = sr2 = sr3 = 0.0  # ... and by rate
    for a in range(4):
        for b in range(4):
            value = w[0, a] * w[2, b]
            by_s = w[1, a] * w[2, b]
            by_r = w[0, a] * w[3, b]
            c0 = float(coefficients[i + a, j + b, k, 0])
            e0 = float(coefficients[i + a, j + b, k, 1])
            c1 = float(coefficients[i + a, j + b, k + 1, 0])
            e1 = float(coefficients[i + a, j + b, k + 1, 1])
            c2 = float(coefficients[i + a, j + b, k + 2, 0])
            e2 = float(coefficients[i + a, j + b, k + 2, 1])
            c3 = float(coefficients[i + a, j + b, k + 3, 0])
            e3 = float(coefficients[i + a, j + b, k + 3, 1])
            p0, p1, p2, p3 = p0 + value * c0, p1 + value * c1, p2 + value * c2, p3 + value * c3
            s0, s1, s2, s3 = s0 + value * e0, s1 + value * e1, s2 + value * e2, s3 + value * e3
            ps0, ps1, ps2, ps3 = ps0 + by_s * c0, ps1 + by_s * c1, ps2 + by_s * c2, ps3 + by_s * c3
            ss0, ss1, ss2, ss3 = ss0 + by_s * e0, ss1 + by_s * e1, ss2 + by_s * e2, ss3 + by_s * e3
            pr0, pr1, pr2, pr3 = pr0 + by_r * c0, pr1 + by_r * c1, pr2 + by_r * c2, pr3 + by_r * c3
            sr0, sr1, sr2, sr3 = sr0 + by_r * e0, sr1 + by_r * e1, sr2 + by_r * e2, sr3 + by_r * e3
    slope_x /= np.sqrt(1.0 + x * x)
    w[4, 0] = v0 * p0 + v1 * p1 + v2 * p2 + v3 * p3
    w[4, 1] = (v0 * ps0 + v1 * ps1 + v2 * ps2 + v3 * ps3) * slope_s
    w[4, 2] = (v0 * pr0 + v1 * pr1 + v2 * pr2 + v3 * pr3) * slope_r
    w[4, 3] = (d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3) * slope_x
    w[5, 0] = v0 * s0 + v1 * s1 + v2 * s2 + v3 * s3
    w[5, 1] = (v0 * ss0 + v1 * ss1 + v2 * ss2 + v3 * ss3) * slope_s
    w[5, 2] = (v0 * sr0 + v1 * sr1 + v2 * sr2 + v3 * sr3) * slope_r
    w[5, 3] = (d0 * s0 + d1 * s1 + d2 * s2 + d3 * s3) * slope_x
