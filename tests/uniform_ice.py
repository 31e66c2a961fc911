"""Ice that is the same everywhere, for comparisons with closed forms."""

from __future__ import annotations

import numpy as np

from skymap_scanner.light.ice import group_index, phase_index
from skymap_scanner.light.medium import Medium
from skymap_scanner.units import LIGHT_SPEED


def uniform_medium(*, b: float, a: float, f_liu: float = 0.35) -> Medium:
    """Return ice of one layer and one wavelength, without tilt, birefringence or anisotropy.

    `b` and `a` are coefficients of scattering (not the effective one) and absorption [1/m]; modules
    accept all photons alike.
    """
    return Medium(
        coefficients=np.array([[[b, a]]]),
        slices=np.array([[group_index(420.0) / LIGHT_SPEED, 1.0 - 1.0 / phase_index(420.0)]]),
        bfr_strength=np.zeros(1),
        bfr_table=np.zeros((3, 3)),
        tilt=np.zeros((3, 3)),
        tilt_grid=np.array([1.0, 0.0, 0.0, -100.0, 0.01, 100.0, 0.01]),
        acceptance=np.array([1.0]),
        z_first=0.0,
        z_step=10.0,
        f_liu=f_liu,
        flow=(1.0, 0.0),
        anisotropy=(1.0, 1.0),
    )
