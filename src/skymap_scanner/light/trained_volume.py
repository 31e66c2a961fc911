"""Where sources and modules were while light models are trained, and what holds beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.inputs import MAX_DISTANCE, MIN_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.inputs import Pairs
    from skymap_scanner.units import FloatArray

__all__ = [
    "MAX_RADIUS",
    "OM_Z",
    "SOURCE_Z",
    "ExtrapolationWarning",
    "count_untrained",
    "is_trained",
]

#: Heights of sources [m].
SOURCE_Z: Final = (-800.0, 800.0)
#: Heights of modules [m].
OM_Z: Final = (-570.0, 580.0)
#: Horizontal distance of sources from the origin [m].
MAX_RADIUS: Final = 600.0


class ExtrapolationWarning(UserWarning):
    """Light was asked for outside the volume in which the model was trained."""


def is_trained(source_xyz: FloatArray, om_xyz: FloatArray) -> NDArray[np.bool_]:
    """Tell which pairs of source and module lie in the volume in which light models are trained.

    Parameters
    ----------
    source_xyz, om_xyz : ndarray, shape (..., 3)
        Places [m].

    Returns
    -------
    ndarray of bool, shape (...)
    """
    r = np.linalg.norm(om_xyz - source_xyz, axis=-1)
    z_source, z_om = source_xyz[..., 2], om_xyz[..., 2]
    radius = np.hypot(source_xyz[..., 0], source_xyz[..., 1])
    inside = (r >= MIN_DISTANCE) & (r <= MAX_DISTANCE) & (radius <= MAX_RADIUS)
    inside &= (z_source >= SOURCE_Z[0]) & (z_source <= SOURCE_Z[1])
    return np.asarray(inside & (z_om >= OM_Z[0]) & (z_om <= OM_Z[1]))


@kernel
def count_untrained(pairs: Pairs) -> int:
    """Return how many pairs `is_trained` says no to, without arrays of the pairs' size."""
    source, om = pairs.source, pairs.om
    n_trained = 0
    for row in range(pairs.source_index.size):
        i, j = pairs.source_index[row], pairs.om_index[row]
        x, y, z = om[j, 0] - source[i, 0], om[j, 1] - source[i, 1], om[j, 2] - source[i, 2]
        squared = x * x + y * y + z * z
        radius = source[i, 0] * source[i, 0] + source[i, 1] * source[i, 1]
        n_trained += (
            (MIN_DISTANCE * MIN_DISTANCE <= squared <= MAX_DISTANCE * MAX_DISTANCE)
            & (radius <= MAX_RADIUS * MAX_RADIUS)
            & (SOURCE_Z[0] <= source[i, 2] <= SOURCE_Z[1])
            & (OM_Z[0] <= om[j, 2] <= OM_Z[1])
        )
    return int(pairs.source_index.size - n_trained)
