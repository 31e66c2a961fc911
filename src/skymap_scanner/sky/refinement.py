"""Which pixels deserve a closer look: those around the best fit, by area.

The extension of a finer nside is an area in pixels of the coarser one: all coarser pixels whose
centre is closer than the radius of a disc of that area to the centre of the best pixel are refined.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from skymap_scanner.sky.healpix import children, pixel_area, pixel_centers, pixels_within

if TYPE_CHECKING:
    from skymap_scanner.sky.region import Cone
    from skymap_scanner.units import IntArray

__all__ = ["children_in_region", "pixels_to_refine", "refinement_radius"]


def refinement_radius(nside: int, extension: int) -> float:
    """Compute how far around the best pixel the pixels of `nside` are refined [rad].

    Parameters
    ----------
    nside : int
        Resolution of the pixels that would be refined.
    extension : int
        Area in pixels of that resolution.

    Examples
    --------
    >>> round(math.degrees(refinement_radius(8, 12)), 2)
    14.32
    """
    return math.sqrt(extension * pixel_area(nside) / math.pi)


def pixels_to_refine(nside: int, extension: int, best: tuple[int, int]) -> IntArray:
    """Find the pixels of `nside` that a closer look around the best pixel replaces.

    Parameters
    ----------
    nside : int
        Resolution of the pixels to be refined.
    extension : int
        Area around the best pixel, in pixels of `nside`.
    best : tuple of int
        (nside, RING index) of the pixel with the lowest nll of all resolutions.

    Returns
    -------
    ndarray of int, shape (n,)
        RING indices in ascending order, whether fitted or not.
    """
    ra, dec = pixel_centers(best[0], [best[1]])
    return pixels_within(nside, float(ra[0]), float(dec[0]), refinement_radius(nside, extension))


def children_in_region(
    nside: int, ipix: IntArray, child_nside: int, region: Cone | None = None
) -> IntArray:
    """List the pixels of the next resolution that replace given pixels.

    Parameters
    ----------
    nside, child_nside : int
        Resolution of the given pixels and of those that replace them.
    ipix : ndarray of int, shape (n,)
        RING indices of the pixels to be refined.
    region : Cone, optional
        Children that do not belong to it are left out; there the coarse pixel stays the map.

    Returns
    -------
    ndarray of int, shape (m,)
        RING indices, the children of one pixel after those of another.
    """
    replacing = children(nside, ipix, child_nside).ravel()
    return replacing if region is None else replacing[region.has_pixels(child_nside, replacing)]
