r"""Compiled evaluation of tensor-product B-splines whose coefficients stay as they are in a file.

.. math::

   f(x) = \sum_{i_1 \ldots i_n} c_{i_1 \ldots i_n} B_{i_1,k_1}(x_1) \cdots B_{i_n,k_n}(x_n)

Of the sum only the :math:`\prod (k_d + 1)` terms whose basis functions reach the point are formed.
The coefficients are float32 in big-endian bytes, read in place: a table of hundreds of megabytes
is mapped into memory once for all processes, and never converted. Sums are in float64.

References
----------
.. [1] C. de Boor, A Practical Guide to Splines, revised edition, Springer (2001), chapters IX-X
.. [2] N. Whitehorn, J. van Santen and S. Lafebre, Computer Physics Communications 184 (2013) 2214,
   :doi:`10.1016/j.cpc.2013.04.008`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["Spline", "evaluate_along", "find_not_finite", "pad_knots"]

_LITTLE_ENDIAN: Final = sys.byteorder == "little"
#: Bits of a float32 that are all set in infinity and NaN, and in nothing else.
_EXPONENT: Final = 0x7F800000


class Spline(NamedTuple):
    """A tensor-product B-spline as kernels want it.

    Attributes
    ----------
    bits : ndarray of uint32, shape (n_coefficient,)
        Big-endian float32 coefficients, last dimension fastest, bytes as in the file.
    layout : ndarray, shape (n_dim, 5)
        Per dimension: order, number of basis functions, distance of neighbouring coefficients,
        where its padded knots start in `knots`, and how many they are.
    knots : ndarray
        Knots of all dimensions one after the other, each padded as by `pad_knots`.
    highest : ndarray, shape (n_dim,)
        Upper ends of the coordinates.
    """

    bits: NDArray[np.uint32]
    layout: IntArray
    knots: FloatArray
    highest: FloatArray


class _Neighbours(NamedTuple):
    """Room for the coefficients around a point: where they lie and what they weigh."""

    offsets: IntArray
    weights: FloatArray
    #: One dimension's basis functions.
    basis: FloatArray


def pad_knots(knots: FloatArray, order: int) -> FloatArray:
    """Add `order` knots on both sides, so that the recursions never run off the ends.

    The additional basis functions have no coefficients; those of the table only know their own
    knots and do not change.

    Parameters
    ----------
    knots : ndarray, shape (n_knot,)
        Knots, not descending and not all the same.
    order : int
        Order of the spline.

    Returns
    -------
    ndarray, shape (n_knot + 2 * order,)

    Examples
    --------
    >>> pad_knots(np.array([0.0, 1.0, 3.0, 4.0]), 1)
    array([-4.,  0.,  1.,  3.,  4.,  8.])
    """
    step = (knots[-1] - knots[0]) * np.arange(1.0, order + 1.0)
    return np.concatenate([knots[0] - step[::-1], knots, knots[-1] + step])


@kernel
def _native_bits(bits: NDArray[np.uint32], i: int) -> int:
    """Bits of coefficient i in the order of this machine (compilers know this as one swap)."""
    v = int(bits[i])
    if _LITTLE_ENDIAN:
        return ((v & 0xFF) << 24) | ((v & 0xFF00) << 8) | ((v >> 8) & 0xFF00) | (v >> 24)
    return v


@kernel
def find_not_finite(bits: NDArray[np.uint32]) -> int:
    """Index of the first coefficient that is NaN or infinite; -1 without any.

    Parameters
    ----------
    bits : ndarray of uint32, shape (n,)
        Big-endian float32 numbers, bytes as in the file.

    Returns
    -------
    int
        Index.
    """
    for i in range(bits.size):
        if _native_bits(bits, i) & _EXPONENT == _EXPONENT:
            return i
    return -1


@kernel
def _span(knots: FloatArray, order: int, x: float, highest: float) -> int:
    """Interval of the padded knots that x lies in: ``knots[i] <= x < knots[i + 1]``.

    At the highest coordinate the interval below: what is above is no part of the table.
    """
    if x < highest:
        span = int(np.searchsorted(knots, x, side="right")) - 1
    else:
        span = int(np.searchsorted(knots, highest, side="left")) - 1
    return min(max(span, order), knots.size - order - 2)


@kernel
def _basis(knots: FloatArray, order: int, x: float, span: int, out: FloatArray) -> None:
    """Values of the `order` + 1 basis functions that reach into `span`, by de Boor's recursion."""
    out[0] = 1.0
    for j in range(1, order + 1):
        saved = 0.0
        for i in range(j):
            right = knots[span + i + 1]
            left = knots[span + i + 1 - j]
            term = out[i] / (right - left)
            out[i] = saved + (right - x) * term
            saved = (x - left) * term
        out[j] = saved


@kernel
def _basis_slopes(knots: FloatArray, order: int, x: float, span: int, out: FloatArray) -> None:
    """Slopes of the same functions, from those of the next lower order."""
    if order == 0:
        out[0] = 0.0
        return
    _basis(knots, order - 1, x, span, out)
    before = 0.0
    for i in range(order):
        term = order * out[i] / (knots[span + i + 1] - knots[span + i + 1 - order])
        out[i] = before - term
        before = term
    out[order] = before


@kernel
def _fill(spline: Spline, d: int, x: float, slope: bool, out: FloatArray) -> int:
    """Fill the basis of dimension d at x; return the coefficient that the first one belongs to."""
    order = spline.layout[d, 0]
    start = spline.layout[d, 3]
    knots = spline.knots[start : start + spline.layout[d, 4]]
    span = _span(knots, order, x, spline.highest[d])
    if slope:
        _basis_slopes(knots, order, x, span, out)
    else:
        _basis(knots, order, x, span, out)
    return int(span - 2 * order)


@kernel
def _find_neighbours(
    spline: Spline, x: FloatArray, dim: int, slope_dim: int, around: _Neighbours
) -> int:
    """Fill where coefficients around x lie and what they weigh, without `dim`; return how many.

    Basis functions without coefficient (padding) and those that vanish at x are left out.
    """
    offsets, weights, basis = around.offsets, around.weights, around.basis
    n = 1
    offsets[0] = 0
    weights[0] = 1.0
    for d in range(spline.layout.shape[0]):
        if d == dim:
            continue
        size, stride = spline.layout[d, 1], spline.layout[d, 2]
        first = _fill(spline, d, x[d], d == slope_dim, basis)
        low = max(0, -first)
        high = min(spline.layout[d, 0] + 1, size - first)
        while high > low and basis[low] == 0.0:
            low += 1
        while high > low and basis[high - 1] == 0.0:
            high -= 1
        count = high - low
        if count <= 0:
            return 0
        for c in range(n - 1, -1, -1):  # from behind: each entry makes room for its own products
            offset, weight = offsets[c], weights[c]
            for b in range(count):
                offsets[c * count + b] = offset + (first + low + b) * stride
                weights[c * count + b] = weight * basis[low + b]
        n *= count
    return n


@kernel
def evaluate_along(
    spline: Spline, x: FloatArray, dim: int, at: FloatArray, slope_dim: int
) -> FloatArray:
    """Evaluate at n points, each with m values of one coordinate.

    What the m values have in common is computed once, which makes a distribution of arrival times
    much cheaper than its values one by one.

    Parameters
    ----------
    spline : Spline
        What to evaluate.
    x : ndarray, shape (n, n_dim)
        Coordinates; column `dim` is not used.
    dim : int
        The dimension that runs.
    at : ndarray, shape (n, m)
        Its values.
    slope_dim : int
        Dimension with respect to which the derivative is taken; -1 for the value itself.

    Returns
    -------
    ndarray, shape (n, m)
        Results; callers keep coordinates between the first knot and the highest coordinate.
    """
    order, size, stride = spline.layout[dim, 0], spline.layout[dim, 1], spline.layout[dim, 2]
    n_neighbour = 1
    for d in range(spline.layout.shape[0]):
        if d != dim:
            n_neighbour *= spline.layout[d, 0] + 1
    offsets, weights = np.empty(n_neighbour, np.int64), np.empty(n_neighbour)
    basis = np.empty(np.max(spline.layout[:, 0]) + 1)
    around = _Neighbours(offsets, weights, basis)
    line = np.empty(size)  # coefficients of the one-dimensional spline in `dim` ...
    known = np.empty(size, np.bool_)  # ... as far as they have been needed
    out = np.empty(at.shape)
    for p in range(x.shape[0]):
        n = _find_neighbours(spline, x[p], dim, slope_dim, around)
        known[:] = False
        for v in range(at.shape[1]):
            first = _fill(spline, dim, at[p, v], dim == slope_dim, basis)
            total = 0.0
            for b in range(order + 1):
                i = first + b
                if i < 0 or i >= size:
                    continue
                if not known[i]:
                    value = 0.0
                    for c in range(n):
                        place = offsets[c] + i * stride
                        bits = np.uint32(_native_bits(spline.bits, place))
                        value += weights[c] * np.float64(bits.view(np.float32))
                    line[i] = value
                    known[i] = True
                total += basis[b] * line[i]
            out[p, v] = total
    return out
