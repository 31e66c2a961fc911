r"""Convolution of a posterior on the sky with a narrow Gaussian, where it makes a difference.

The map is cut into patches of nside 8 (7 deg). In every patch that holds probability, or lies next
to it, the cells are put as point masses on a flat grid that keeps areas (Lambert's azimuthal
projection about the patch: within 8 deg it stretches lengths by less than 0.3 %), the grid is
convolved, and the density is read back at the centres of fine pixels. Narrow cells are sampled like
the smooth function that they sample themselves, so that a Gaussian map of width s becomes one of
width :math:`\sqrt{s^2 + \sigma^2}` without the width of a pixel added.

References
----------
.. [1] J. P. Snyder, "Map projections: a working manual", USGS Professional Paper 1395 (1987) 182
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.sky.cells import SkyCells
from skymap_scanner.sky.healpix import pixel_area, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["smooth"]

#: log2 of the nside of the patches.
_PATCH_ORDER: Final = 3
#: Patches beyond this number, those with the least probability, stay as they are: a map that needs
#: more covers hundreds of square degrees and cannot tell.
_MAX_PATCHES: Final = 12
#: Width of the pixels that become point masses, in terms of sigma (midpoint sums of Gaussians are
#: then exact to 1e-10).
_SOURCE_STEP: Final = 0.6
#: Width of the pixels where the density is read, and of the flat grid, in terms of sigma; for maps
#: of few patches and of many.
_FINE_STEPS: Final = (0.3, 0.2)
_COARSE_STEPS: Final = (0.6, 0.25)
_FEW_PATCHES: Final = 4
#: The Gaussian is cut here, in terms of sigma.
_REACH: Final = 5.0
#: Probability that may be ignored when the patches are chosen.
_NEGLIGIBLE: Final = 1e-6


def smooth(cells: SkyCells, density: FloatArray, sigma: float) -> tuple[SkyCells, FloatArray]:
    """Convolve a density on the sky with a Gaussian.

    Parameters
    ----------
    cells : SkyCells
        Where the density is known.
    density : ndarray, shape (n,)
        Probability per solid angle [1/sr] of each cell.
    sigma : float
        Width of the Gaussian per axis [rad], small against a patch: below 1 deg.

    Returns
    -------
    cells : SkyCells
        The same part of the sky in finer cells where that is needed.
    density : ndarray
        Of these cells, normalised to 1 over the part of the sky that the cells cover.
    """
    cells, rows = cells.split(_PATCH_ORDER)
    density = density[rows]
    patch_of = cells.ipix_nest >> 2 * (cells.order - _PATCH_ORDER)
    patches = _choose_patches(cells, density * cells.area, patch_of, sigma)
    untouched = ~np.isin(patch_of, patches)
    parts = [(cells.take(untouched), density[untouched])]
    steps = _FINE_STEPS if len(patches) <= _FEW_PATCHES else _COARSE_STEPS
    parts += [_smooth_patch(cells, density, int(one), sigma, steps) for one in patches]
    joined = SkyCells(
        np.concatenate([part.order for part, _ in parts]),
        np.concatenate([part.ipix_nest for part, _ in parts]),
    )
    joined, rows = SkyCells.in_curve_order(joined.order, joined.ipix_nest)
    smoothed = np.concatenate([values for _, values in parts])[rows]
    return joined, smoothed / np.sum(smoothed * joined.area)


def _choose_patches(
    cells: SkyCells, mass: FloatArray, patch_of: IntArray, sigma: float
) -> IntArray:
    """Find the patches within reach of all but a negligible part of the mass, ascending."""
    from astropy_healpix import neighbours

    by_mass = np.argsort(-mass, kind="stable")
    n_heavy = int(np.searchsorted(np.cumsum(mass[by_mass]), (1.0 - _NEGLIGIBLE) * mass.sum())) + 1
    heavy = by_mass[:n_heavy]
    home = np.unique(patch_of[heavy])
    with np.errstate(invalid="ignore"):  # a missing corner raises a floating point flag
        around = np.asarray(neighbours(home, 1 << _PATCH_ORDER, order="nested"), np.int64)
    candidates = np.unique(np.concatenate([home, around.ravel()]))
    candidates = candidates[candidates >= 0]
    candidates = candidates[_is_within_reach(cells, heavy, candidates, sigma)]
    candidates = candidates[np.isin(candidates, patch_of)]
    weight = np.bincount(patch_of, weights=mass, minlength=12 << 2 * _PATCH_ORDER)[candidates]
    heaviest = np.argsort(-weight, kind="stable")[:_MAX_PATCHES]
    return np.sort(candidates[heaviest])


def _is_within_reach(
    cells: SkyCells, heavy: IntArray, patches: IntArray, sigma: float
) -> NDArray[np.bool_]:
    """Tell which patches have a point closer than the reach of the Gaussian to a heavy cell."""
    import astropy_healpix
    from scipy.spatial import cKDTree

    # a grid of points on each patch; every point of it is closer than `spacing` to one of them
    n_side = 16
    corner = np.linspace(0.0, 1.0, n_side)
    dx, dy = (grid.ravel() for grid in np.meshgrid(corner, corner))
    lon, lat = astropy_healpix.healpix_to_lonlat(
        np.repeat(patches, len(dx)),
        1 << _PATCH_ORDER,
        dx=np.tile(dx, len(patches)),
        dy=np.tile(dy, len(patches)),
        order="nested",
    )
    spacing = np.sqrt(pixel_area(1 << _PATCH_ORDER)) / n_side
    some = cells.take(np.sort(heavy))
    vectors = unit_vectors(*some.centers())
    distance, nearest = cKDTree(vectors).query(unit_vectors(lon.rad, lat.rad))
    # radius of a cell: half a diagonal
    reach = _REACH * sigma + spacing + 0.71 * np.sqrt(some.area[nearest])
    inside = (distance < reach).reshape(len(patches), -1)
    is_home = np.isin(patches, some.ipix_nest >> 2 * (some.order - _PATCH_ORDER))
    return np.asarray(inside.any(axis=1) | is_home)


def _smooth_patch(
    cells: SkyCells, density: FloatArray, patch: int, sigma: float, steps: tuple[float, float]
) -> tuple[SkyCells, FloatArray]:
    """Return the scanned fine pixels of one patch and the convolved density there."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    whole = SkyCells(np.array([_PATCH_ORDER]), np.array([patch]))
    targets, _ = whole.split(_order_below(steps[0] * sigma))
    target_ra, target_dec = targets.centers()
    is_scanned = cells.locate(target_ra, target_dec) >= 0
    targets = targets.take(is_scanned)
    axes = _tangent_axes(unit_vectors(*whole.centers())[0])
    at_target = _project(unit_vectors(target_ra[is_scanned], target_dec[is_scanned]), axes)
    half_width = np.abs(at_target).max() + _REACH * sigma

    near = unit_vectors(*cells.centers()) @ axes[2] > np.cos(
        1.5 * half_width + _cell_radius(_PATCH_ORDER)
    )
    sources, rows = cells.take(near).split(_order_below(_SOURCE_STEP * sigma))
    mass = density[near][rows] * sources.area
    at_source = _project(unit_vectors(*sources.centers()), axes)
    step = steps[1] * sigma
    grid = _deposit(at_source, mass, half_width, step)
    # sharing a mass between four grid points has widened it by step^2 / 6 per axis already
    width = np.sqrt(sigma**2 - step**2 / 6.0) / step
    grid = gaussian_filter(grid, width, mode="constant", truncate=_REACH)
    there = (at_target + half_width) / step
    values = map_coordinates(grid, there.T, order=3, mode="nearest") / step**2
    return targets, np.maximum(values, 0.0)


def _deposit(at: FloatArray, mass: FloatArray, half_width: float, step: float) -> FloatArray:
    """Share point masses between the four nearest points of a flat grid."""
    n = int(np.ceil(2.0 * half_width / step)) + 2
    scaled = (at + half_width) / step
    corner = np.floor(scaled).astype(np.int64)
    inside = np.all((corner >= 0) & (corner < n - 1), axis=1)
    corner, offset = corner[inside], scaled[inside] - corner[inside]
    grid = np.zeros(n * n)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - offset[:, 0]) * np.abs(1 - dy - offset[:, 1])
            flat = (corner[:, 0] + dx) * n + corner[:, 1] + dy
            grid += np.bincount(flat, weights=share * mass[inside], minlength=n * n)
    return grid.reshape(n, n)


def _tangent_axes(center: FloatArray) -> FloatArray:
    """Return two directions across `center`, and `center`, as rows of a (3, 3) array."""
    helper = np.array([0.0, 0.0, 1.0]) if abs(center[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    east = np.cross(helper, center)
    east /= np.linalg.norm(east)
    return np.stack([east, np.cross(center, east), center])


def _project(vectors: FloatArray, axes: FloatArray) -> FloatArray:
    """Map unit vectors (n, 3) to the plane with equal areas (Lambert), shape (n, 2) [rad]."""
    x, y, z = axes @ vectors.T
    # the opposite point of the sphere is far outside of every patch: any finite value will do
    scale = np.sqrt(2.0 / np.maximum(1.0 + z, 1e-12))
    return np.stack([x * scale, y * scale], axis=1)


def _order_below(width: float) -> int:
    """Return the coarsest order with pixels no wider than `width` [rad], never below patches."""
    order = np.ceil(np.log2(np.sqrt(np.pi / 3.0) / width))
    return max(int(order), _PATCH_ORDER)


def _cell_radius(order: int) -> float:
    """No point of a pixel is farther from its centre than this [rad]."""
    return 1.1 / 2.0**order
