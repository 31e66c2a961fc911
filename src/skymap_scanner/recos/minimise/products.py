"""Products of vectors and matrices that give the same bits wherever the arrays lie in memory.

Libraries of linear algebra sum a vector's products in an order that depends on where in memory its
first element is: the same fit would give another last digit in another process, and a map would
depend on who computed what. Products of two matrices are not concerned, libraries copy them first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["matrix_vector", "vector_matrix"]


def matrix_vector(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Return ``matrix @ vector``, shapes (..., n) and (n,)."""
    return np.asarray(np.einsum("...j,j->...", matrix, vector))


def vector_matrix(vector: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return ``vector @ matrix``, shapes (n,) and (n, m)."""
    return np.asarray(np.einsum("j,ji->i", vector, matrix))
