"""Units and physical constants: inside the package m, ns, GeV, rad, PE and nothing else."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEG",
    "FULL_SKY_DEG2",
    "LIGHT_SPEED",
    "SURFACE_Z",
    "FloatArray",
    "IntArray",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Speed of light in vacuum [m/ns] (exact, SI).
LIGHT_SPEED: Final = 0.299792458
#: One degree [rad].
DEG: Final = np.pi / 180.0
#: The whole sky [deg^2], 4 pi (180/pi)^2.
FULL_SKY_DEG2: Final = 4.0 * np.pi / DEG**2
#: Height of the ice surface in detector coordinates [m]: depth = SURFACE_Z - z (PPC).
SURFACE_Z: Final = 1948.07
