"""Products of vectors and matrices that give the same bits wherever the arrays lie in memory.

Libraries sum a vector's products in an order, or round them in a way, that depends on where in
memory the first element is: the same fit would give another last digit in another process, and a
map would depend on who computed what. Here all products are made first, each rounded, and then
added. Products of two matrices are not concerned, libraries copy them first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["matrix_vector", "vector_matrix"]


def matrix_vector(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Return ``matrix @ vector``, shapes (..., n) and (n,)."""
    return np.asarray((matrix * vector).sum(axis=-1))


def vector_matrix(vector: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return ``vector @ matrix``, shapes (n,) and (n, m)."""
    return np.asarray((vector[:, np.newaxis] * matrix).sum(axis=0))
