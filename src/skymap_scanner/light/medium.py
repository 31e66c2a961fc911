r"""Ice as the photon propagation wants it: tables per wavelength and layer, tilt, birefringence.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`
.. [3] PPC, the public photon propagation code of the IceCube Collaboration
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.light.ice import BIREFRINGENCE_SCATTERING, group_index, phase_index
from skymap_scanner.light.optics import wavelength_slices
from skymap_scanner.units import DEG, LIGHT_SPEED, SURFACE_Z, FloatArray

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel

__all__ = ["FLOW_AZIMUTH", "MEAN_COSINE", "Medium", "birefringence", "make_medium"]

#: Mean cosine of the scattering angle, g.
MEAN_COSINE: Final = 0.9
#: Azimuth of the axis along which the ice flows [rad] [2]_.
FLOW_AZIMUTH: Final = 130.0 * DEG
#: Photons are followed in this many wavelength slices of equal probability.
N_SLICES: Final = 128

# Diffusion patterns of birefringent ice, parameters p1 to p12 [3].
_SIGMA_X: Final = (0.076795, 544284.545166, 2.229494, 0.002624)
_SIGMA_Y: Final = (0.077381, 1547618.883526, 2.449589, 0.002505)
_MEAN_X: Final = (0.000995, 0.248264, 2.354436, 1.680717)
#: Log of the absorption anisotropy along and across the flow [3]_.
_ANISOTROPY: Final = (0.6, -0.3, -0.3)
#: Nodes of the tables of birefringence in the cosine between photon and flow axis.
_N_COSINE: Final = 2049
#: Grid of the tilt table for the kernel: distance along the gradient [m], first, step, number.
_TILT_FIRST, _TILT_STEP, _TILT_NUMBER = -700.0, 5.0, 281


class Medium(NamedTuple):
    """Everything a photon needs to know of the ice (a tuple of arrays, as kernels want it).

    Attributes
    ----------
    coefficients : ndarray, shape (n_slice, n_layer, 2)
        Scattering coefficient between scatters, absorption coefficient before anisotropy [1/m].
    slices : ndarray, shape (n_slice, 2)
        Inverse of the group velocity [ns/m], 1 - cosine of the Cherenkov angle.
    bfr_strength : ndarray, shape (n_layer,)
        Strength of birefringence; zeros in a flat medium.
    bfr_table : ndarray, shape (n_cosine, 3)
        Spread towards and across the flow axis, mean towards it, per root metre (spreads) and
        metre (mean) at unit strength, equally spaced in the cosine to the flow axis.
    tilt : ndarray, shape (n_depth, n_distance)
        Upward shift of the layers on an equally spaced grid [m]; zeros in a flat medium.
    tilt_grid : ndarray, shape (7,)
        Gradient x, y, origin, first distance, inverse step, z of the first row [m], inverse step
        downwards [1/m].
    acceptance : ndarray, shape (n_coefficient,)
        Angular acceptance of modules, polynomial in the z component of the photon's direction.
    z_first, z_step : float
        Height of the lowest layer's centre and thickness of layers [m].
    f_liu : float
        Fraction of the simplified-Liu branch of the scattering function.
    flow : tuple of float
        Horizontal unit vector of the flow axis.
    anisotropy : tuple of float
        Squares of the factors k along and across the flow axis; ones in a flat medium.
    """

    coefficients: FloatArray
    slices: FloatArray
    bfr_strength: FloatArray
    bfr_table: FloatArray
    tilt: FloatArray
    tilt_grid: FloatArray
    acceptance: FloatArray
    z_first: float
    z_step: float
    f_liu: float
    flow: tuple[float, float]
    anisotropy: tuple[float, float]


def birefringence(cosine: FloatArray) -> FloatArray:
    """Diffusion of photons in birefringent ice per metre of unit strength.

    Parameters
    ----------
    cosine : ndarray, shape (n,)
        Absolute cosine between the photon's direction and the flow axis.

    Returns
    -------
    ndarray, shape (n, 3)
        Spread towards the flow axis and across it [rad/sqrt(m)], mean deflection towards the
        nearer flow direction [rad/m].

    References
    ----------
    Abbasi et al., The Cryosphere 18 (2024) 75; parameters as in PPC.

    Examples
    --------
    >>> birefringence(np.array([0.5])).round(7)  # 60 degrees off the flow axis
    array([[0.0383166, 0.0487443, 0.0016385]])
    """
    c = np.asarray(cosine, dtype=np.float64)
    s = np.sqrt(np.maximum(1.0 - c * c, 0.0))
    columns = [
        p1 * np.exp(-p2 * np.arctan(p4 * s) ** p3) for p1, p2, p3, p4 in (_SIGMA_X, _SIGMA_Y)
    ]
    p9, p10, p11, p12 = _MEAN_X[0], _MEAN_X[1], _MEAN_X[2], _MEAN_X[3]
    columns.append(p9 * np.arctan(p12 * s * c) * np.exp(-p10 * s + p11 * c))
    return np.maximum(np.stack(columns, axis=-1), 0.0)


def _anisotropy() -> tuple[float, float]:
    """Return squared factors of absorption along and across the flow; their mean effect is one."""
    along, across, _ = np.exp(_ANISOTROPY)
    ratio = along / across
    s = math.sqrt(ratio**2 - 1.0)
    factor = math.log(ratio + s) / (s * across)
    return float(along * factor) ** 2, float(across * factor) ** 2


def make_medium(ice: IceModel, *, is_flat: bool = False) -> Medium:
    """Tabulate an ice model for the propagation of photons.

    Parameters
    ----------
    ice : IceModel
        Model of the ice.
    is_flat : bool
        Leave out tilt, birefringence and anisotropy of absorption: layers with the average effect
        of birefringence in their scattering, for tests against flat references.

    Returns
    -------
    Medium
    """
    wavelengths = wavelength_slices(N_SLICES)
    depth = SURFACE_Z - ice.z
    bubbles = np.where(depth < 1350.0, 11.7 * (1.0 - depth / 1350.0) * (1.0 - depth / 1400.0), 0.0)
    added = ice.bfr_strength * BIREFRINGENCE_SCATTERING
    correction = np.zeros_like(added)
    if is_flat and not ice.includes_birefringence:
        correction = added
    elif not is_flat and ice.includes_birefringence:
        correction = -added
    w = wavelengths[:, None] / 400.0
    scattering = np.maximum(ice.b_e400 * w**-ice.alpha + bubbles + correction, 1e-4)
    pure = ice.a_intrinsic * np.exp(-ice.b_intrinsic / wavelengths[:, None])
    absorption = ice.a_dust400 * w**-ice.kappa + pure * (1.0 + 0.01 * ice.delta_tau)
    tilt, tilt_grid = _tilt_table(ice)
    return Medium(
        coefficients=np.stack([scattering / (1.0 - MEAN_COSINE), absorption], axis=-1),
        slices=np.stack(
            [group_index(wavelengths) / LIGHT_SPEED, 1.0 - 1.0 / phase_index(wavelengths)], axis=-1
        ),
        bfr_strength=np.zeros_like(added) if is_flat else ice.bfr_strength,
        bfr_table=birefringence(np.linspace(0.0, 1.0, _N_COSINE)),
        tilt=np.zeros_like(tilt) if is_flat else tilt,
        tilt_grid=tilt_grid,
        acceptance=np.trim_zeros(ice.angular_acceptance, "b"),
        z_first=float(ice.z[0]),
        z_step=float(ice.z[1] - ice.z[0]),
        f_liu=ice.f_liu,
        flow=(math.cos(FLOW_AZIMUTH), math.sin(FLOW_AZIMUTH)),
        anisotropy=(1.0, 1.0) if is_flat else _anisotropy(),
    )


def _tilt_table(ice: IceModel) -> tuple[FloatArray, FloatArray]:
    """Return the tilt on a grid so fine that linear look-ups are exact to centimetres."""
    table = ice.tilt
    along = _TILT_FIRST + _TILT_STEP * np.arange(_TILT_NUMBER)
    xyz = np.empty((table.depth.size, along.size, 3))
    xyz[..., :2] = (along + table.origin)[:, None] * table.gradient
    xyz[..., 2] = (SURFACE_Z - table.depth)[:, None]
    grid = [*table.gradient, table.origin, _TILT_FIRST, 1.0 / _TILT_STEP]
    grid += [SURFACE_Z - table.depth[0], 1.0 / (table.depth[1] - table.depth[0])]
    return table.at(xyz), np.array(grid)
