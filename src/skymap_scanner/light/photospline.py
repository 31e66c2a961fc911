"""Tables of the photospline library: tensor-product B-splines, read, evaluated and written.

This evaluator is our own; nothing of the library is needed.

References
----------
.. [1] N. Whitehorn, J. van Santen and S. Lafebre, Computer Physics Communications 184 (2013) 2214,
   :doi:`10.1016/j.cpc.2013.04.008`
.. [2] https://github.com/icecube/photospline
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import FormatError, InputError
from skymap_scanner.light.photospline_files import SplineParts, read_parts, write_parts
from skymap_scanner.light.tensor_spline import Spline, evaluate_along, find_not_finite, pad_knots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.light.photospline_files import Keyword
    from skymap_scanner.units import FloatArray

__all__ = ["SplineTable"]


class SplineTable:
    r"""A tensor-product B-spline of any number of dimensions, with an order for each.

    Outside the extents the table answers with the nearest value inside: each coordinate is clamped
    on its own, and the slope along a clamped coordinate is 0. (The library reports a failure and
    leaves the answer to its caller.) Between the extents and the fully supported range, where fewer
    than ``order + 1`` basis functions reach, those that there are count, as in the library. Where a
    spline or its slope jumps at a knot the limit from above stands, at the upper extent from below.

    Parameters
    ----------
    coefficients : array_like, shape (n_0, ..., n_last)
        Coefficients. Kept as big-endian float32; an array of that kind is not copied.
    knots : sequence of array_like
        Knots of each dimension, ``n_d + order_d + 1`` of them, ascending (knots may coincide, at
        most ``order_d + 1`` of them).
    orders : sequence of int
        Polynomial order of each dimension, 0 (steps) or more.
    extents : array_like, shape (n_dim, 2), optional
        Range of each coordinate; what lies beyond the knots is cut. Default: the range with full
        support, from knot ``order_d`` to knot ``n_d``.
    keywords : mapping, optional
        Further keywords of the header, upper case.

    Attributes
    ----------
    coefficients : ndarray of big-endian float32
        May be mapped from a file, which then must not be changed in place.
    knots : tuple of ndarray
    orders : tuple of int
    extents : ndarray, shape (n_dim, 2)
    keywords : dict

    Raises
    ------
    FormatError
        When these do not make a spline: numbers that do not fit together, descending knots,
        coefficients that are not finite.

    Examples
    --------
    Order 1 interpolates linearly between its coefficients:

    >>> table = SplineTable([0.0, 10.0, 40.0], [[-1.0, 0.0, 1.0, 2.0, 3.0]], [1])
    >>> table.evaluate([[0.5], [1.0], [9.0]])
    array([ 5., 10., 40.])
    >>> table.derivative([[0.5], [1.0], [9.0]], 0)
    array([10., 30.,  0.])
    """

    def __init__(
        self,
        coefficients: ArrayLike,
        knots: Sequence[ArrayLike],
        orders: Sequence[int],
        extents: ArrayLike | None = None,
        keywords: Mapping[str, Keyword] | None = None,
    ) -> None:
        with np.errstate(over="ignore"):  # infinite coefficients are refused below
            self.coefficients: NDArray[np.float32] = np.asarray(coefficients, ">f4", order="C")
        self.orders = tuple(int(order) for order in orders)
        self.knots = tuple(np.array(k, dtype=np.float64) for k in knots)
        self.keywords = dict(keywords or {})
        self._check_numbers()
        self.extents = self._usable_extents(extents)
        self._spline = self._as_spline()
        self._check_coefficients()

    @property
    def n_dim(self) -> int:
        """Number of dimensions."""
        return self.coefficients.ndim

    @classmethod
    def read(cls, path: str | Path) -> SplineTable:
        """Read a file; its coefficients are mapped into memory, not copied.

        All processes that read the same file share its memory. Every coefficient is looked at once.

        Parameters
        ----------
        path : Path
            FITS file, not compressed. It must not be changed in place while the table is in use
            (`write` does not).

        Returns
        -------
        SplineTable

        Raises
        ------
        FormatError
            When it is not such a file, is truncated, contradicts itself or is periodic.
        """
        parts = read_parts(Path(path))
        try:
            return cls(*parts)
        except FormatError as error:
            raise error.at(str(path)) from error

    def write(self, path: str | Path) -> None:
        """Write a file, whole or not at all.

        Parameters
        ----------
        path : Path
            Where; an existing file is replaced.

        Raises
        ------
        OutputError
            When the disk is full, or the folder missing or not writable.
        """
        parts = SplineParts(self.coefficients, self.knots, self.orders, self.extents, self.keywords)
        write_parts(Path(path), parts)

    def evaluate(self, x: ArrayLike) -> FloatArray:
        """Value of the spline.

        Parameters
        ----------
        x : array_like, shape (..., n_dim)
            Coordinates, in the table's units; clamped to `extents`.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        InputError
            When the last axis is not `n_dim` long, or a coordinate is NaN.
        """
        points = self._points(x)
        return self.evaluate_along(points, self.n_dim - 1, points[..., -1:])[..., 0]

    def derivative(self, x: ArrayLike, dim: int) -> FloatArray:
        """Partial derivative of the spline along one dimension.

        Parameters
        ----------
        x : array_like, shape (..., n_dim)
            Coordinates, in the table's units; clamped to `extents`.
        dim : int
            The dimension.

        Returns
        -------
        ndarray, shape (...)
            0 where the coordinate `dim` lies outside its extents; where the slope jumps, that above
            (at the upper extent: below).

        Raises
        ------
        InputError
            As for `evaluate`, and when there is no such dimension.
        """
        points = self._points(x)
        return self.derivative_along(points, dim, points[..., self._dim(dim), None])[..., 0]

    def evaluate_along(self, x: ArrayLike, dim: int, at: ArrayLike) -> FloatArray:
        """Value at many values of one coordinate; what they have in common is computed once.

        Parameters
        ----------
        x : array_like, shape (..., n_dim)
            Coordinates; that of `dim` is not used (but may not be NaN).
        dim : int
            The dimension that runs.
        at : array_like, shape (..., m)
            Values of its coordinate; the axes before the last broadcast against those of `x`.

        Returns
        -------
        ndarray, shape (..., m)

        Raises
        ------
        InputError
            As for `evaluate`, and when there is no such dimension or the shapes do not fit.
        """
        return self._along(x, self._dim(dim), at, slope_dim=-1)

    def derivative_along(self, x: ArrayLike, dim: int, at: ArrayLike) -> FloatArray:
        """Partial derivative along `dim` at many values of its coordinate (as `evaluate_along`)."""
        return self._along(x, self._dim(dim), at, slope_dim=dim)

    def _along(self, x: ArrayLike, dim: int, at: ArrayLike, *, slope_dim: int) -> FloatArray:
        points = np.clip(self._points(x), self.extents[:, 0], self.extents[:, 1])
        values = np.asarray(at, dtype=np.float64)
        if values.ndim == 0 or np.isnan(values).any():
            raise InputError(
                "illegal coordinates of a spline",
                found=f"shape {values.shape}, {np.count_nonzero(np.isnan(values))} NaN",
                wanted="numbers, shape (..., m)",
            )
        low, high = self.extents[dim]
        m = values.shape[-1]
        try:
            shape = np.broadcast_shapes(points.shape[:-1], values.shape[:-1])
        except ValueError as error:
            raise InputError("shapes do not fit", place="spline", found=str(error)) from error
        n = math.prod(shape)
        points = np.broadcast_to(points, (*shape, self.n_dim)).reshape(n, self.n_dim)
        values = np.broadcast_to(values, (*shape, m)).reshape(n, m)
        inside = np.clip(values, low, high)
        out = evaluate_along(
            self._spline, np.ascontiguousarray(points), dim, np.ascontiguousarray(inside), slope_dim
        )
        if slope_dim == dim:
            out[values != inside] = 0.0
        return out.reshape(*shape, m)

    def _points(self, x: ArrayLike) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        if points.ndim == 0 or points.shape[-1] != self.n_dim:
            raise InputError(
                "wrong number of coordinates of a spline",
                found=f"shape {points.shape}",
                wanted=f"(..., {self.n_dim})",
            )
        if np.isnan(points).any():
            raise InputError("a coordinate of a spline is NaN", wanted="numbers")
        return points

    def _dim(self, dim: int) -> int:
        if not 0 <= dim < self.n_dim:
            raise InputError(
                "no such dimension of a spline", found=dim, wanted=f"0 to {self.n_dim - 1}"
            )
        return dim

    def _check_numbers(self) -> None:
        """Refuse orders, knots and coefficients that do not fit together."""
        n_dim = self.coefficients.ndim
        if n_dim == 0 or len(self.orders) != n_dim or len(self.knots) != n_dim:
            raise FormatError(
                "dimensions do not fit",
                found=f"{len(self.orders)} orders and {len(self.knots)} sets of knots",
                wanted=f"{max(n_dim, 1)} for coefficients of shape {self.coefficients.shape}",
            )
        for d, (order, knots) in enumerate(zip(self.orders, self.knots, strict=True)):
            size = self.coefficients.shape[d]
            if order < 0 or size < order + 1:
                raise FormatError(
                    "a spline of this order is not possible",
                    place=f"ORDER{d}",
                    found=order,
                    wanted=f"0 to {size - 1} with {size} coefficients",
                )
            if knots.shape != (size + order + 1,):
                raise FormatError(
                    "the knots fit neither coefficients nor order",
                    place=f"KNOTS{d}",
                    found=f"shape {knots.shape}",
                    wanted=f"{size} coefficients + order {order} + 1 = {size + order + 1} knots",
                )
            _check_ascending(knots, order, f"KNOTS{d}")

    def _check_coefficients(self) -> None:
        bad = find_not_finite(self._spline.bits)
        if bad >= 0:
            place = tuple(int(i) for i in np.unravel_index(bad, self.coefficients.shape))
            raise FormatError(
                "a coefficient is not finite",
                place=f"coefficient {place}",
                found=float(self.coefficients[place]),
                wanted="finite numbers",
            )

    def _usable_extents(self, extents: ArrayLike | None) -> FloatArray:
        """Extents where the file has any, else the range with full support; within the knots."""
        sizes = self.coefficients.shape
        if extents is None:
            found = np.array(
                [[k[p], k[n]] for k, p, n in zip(self.knots, self.orders, sizes, strict=True)]
            )
        else:
            found = np.asarray(extents, dtype=np.float64)
            if found.size != 2 * self.n_dim:
                raise FormatError(
                    "wrong number of extents",
                    place="EXTENTS",
                    found=found.size,
                    wanted=2 * self.n_dim,
                )
            found = found.reshape(self.n_dim, 2)
        ends = np.array([[k[0], k[-1]] for k in self.knots])
        cut = np.stack(
            [np.maximum(found[:, 0], ends[:, 0]), np.minimum(found[:, 1], ends[:, 1])], axis=1
        )
        for d in range(self.n_dim):
            if not cut[d, 0] < cut[d, 1]:
                raise FormatError(
                    "the table covers nothing",
                    place=f"EXTENTS, dimension {d}",
                    found=found[d].tolist(),
                    wanted=f"an interval within the knots, {ends[d].tolist()}",
                )
        return cut

    def _as_spline(self) -> Spline:
        """Return the numbers as the kernels want them."""
        layout = np.empty((self.n_dim, 5), dtype=np.int64)
        padded = [pad_knots(k, p) for k, p in zip(self.knots, self.orders, strict=True)]
        layout[:, 0] = self.orders
        layout[:, 1] = self.coefficients.shape
        layout[:, 2] = [s // self.coefficients.itemsize for s in self.coefficients.strides]
        layout[:, 4] = [k.size for k in padded]
        layout[:, 3] = np.cumsum(layout[:, 4]) - layout[:, 4]
        bits = self.coefficients.reshape(-1).view(np.uint32)
        bits.flags.writeable = False  # one machine code for tables in memory and in files
        return Spline(bits, layout, np.concatenate(padded), self.extents[:, 1].copy())


def _check_ascending(knots: FloatArray, order: int, place: str) -> None:
    if not np.isfinite(knots).all():
        raise FormatError("a knot is not finite", place=place, wanted="finite numbers")
    down = np.flatnonzero(np.diff(knots) < 0.0)
    same = np.flatnonzero(knots[order + 1 :] == knots[: -order - 1])
    if down.size or same.size:
        i = int(down[0] if down.size else same[0])
        raise FormatError(
            "the knots do not ascend",
            place=place,
            found=f"{', '.join(f'{k:g}' for k in knots[i : i + order + 2])} at {i}",
            wanted=f"ascending, at most {order + 1} knots in one place",
        )
