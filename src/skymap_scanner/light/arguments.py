"""What callers hand to a light model: arrays of numbers and vectors, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = ["finite_vectors", "real_numbers", "shapes_do_not_fit", "worst_of"]


def real_numbers(value: ArrayLike, place: str) -> FloatArray:
    """Return an array of real numbers."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError("no numbers", place=place, found=str(error), wanted="numbers") from error
    if array.dtype.kind not in "biuf":
        raise UsageError("no numbers", place=place, found=array.dtype, wanted="real numbers")
    return array.astype(np.float64, copy=False)


def finite_vectors(value: ArrayLike, place: str) -> FloatArray:
    """Return an array of finite vectors, shape (..., 3)."""
    array = real_numbers(value, place)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise UsageError("no vectors", place=place, found=array.shape, wanted="shape (..., 3)")
    if not np.all(np.isfinite(array)):
        raise UsageError(
            "numbers that are not finite", place=place, found=worst_of(array), wanted="finite"
        )
    return array


def worst_of(array: FloatArray) -> float:
    """Return the number that a message should show: one that is not finite, else the smallest."""
    flat = array.ravel()
    odd = flat[~np.isfinite(flat)]
    return float(odd[0] if odd.size else flat.min())


def shapes_do_not_fit(*shapes: tuple[int, ...]) -> UsageError:
    """Return the error of arrays that do not broadcast."""
    return UsageError("shapes do not fit", found=str(shapes), wanted="shapes that broadcast")
