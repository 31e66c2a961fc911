"""HEALPix arithmetic on arrays: centres, children, parents and the pixels around a direction.

Pixel indices are RING wherever they leave this module; NESTED, in which the children of pixel p are
p*k ... p*k + k - 1, is used inside. The work is done by astropy-healpix, which is imported when it
is first needed because it takes long to load.

References
----------
.. [1] K. M. Górski et al., ApJ 622 (2005) 759, :doi:`10.1086/427976`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "NSIDE_MAX",
    "angular_distance",
    "children",
    "is_nside",
    "n_pixels",
    "nest_to_ring",
    "parents",
    "pixel_area",
    "pixel_at",
    "pixel_centers",
    "pixels_overlapping",
    "pixels_within",
    "ring_to_nest",
    "unit_vectors",
]

#: Finest resolution that we accept: pixels of 0.2 arc seconds, far below any neutrino telescope's.
NSIDE_MAX: Final = 2**20

#: No point of a pixel is farther from its centre than this over nside [rad] (largest: 1.069).
_MAX_PIXEL_RADIUS: Final = 1.1
#: Points of an edge that are looked at, and how often the look is repeated around the nearest one.
_N_EDGE_POINTS: Final = 17
_N_EDGE_LOOKS: Final = 6


def is_nside(nside: int) -> bool:
    """Whether `nside` is a resolution that we accept: a power of two up to `NSIDE_MAX`."""
    return 0 < nside <= NSIDE_MAX and nside & (nside - 1) == 0


def n_pixels(nside: int) -> int:
    """Return how many pixels the whole sky has."""
    return 12 * nside * nside


def pixel_area(nside: int) -> float:
    """Return the area of every pixel [sr]."""
    return 4.0 * np.pi / n_pixels(nside)


def pixel_centers(nside: int, ipix: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Compute the centres of pixels.

    Parameters
    ----------
    nside : int
        Resolution.
    ipix : array_like of int, shape (n,)
        RING indices.

    Returns
    -------
    ra, dec : ndarray, shape (n,)
        Right ascension in [0, 2 pi) and declination [rad].

    Raises
    ------
    ValueError
        When there is no such resolution or pixel.

    Examples
    --------
    >>> ra, dec = pixel_centers(1, [4, 9])
    >>> np.rad2deg(ra).round(3), np.rad2deg(dec).round(3)
    (array([  0., 135.]), array([  0.  , -41.81]))
    """
    from astropy_healpix import healpix_to_lonlat

    ra, dec = healpix_to_lonlat(_checked(nside, ipix), nside, order="ring")
    return np.asarray(ra.rad, float), np.asarray(dec.rad, float)


def pixel_at(nside: int, ra: ArrayLike, dec: ArrayLike) -> IntArray:
    """Find the pixels that contain directions.

    Parameters
    ----------
    nside : int
        Resolution.
    ra, dec : array_like, shape (n,)
        Directions [rad].

    Returns
    -------
    ndarray of int, shape (n,)
        RING indices.
    """
    import astropy.units as u
    from astropy_healpix import lonlat_to_healpix

    _check_nside(nside)
    ipix = lonlat_to_healpix(
        np.asarray(ra, float) * u.rad, np.asarray(dec, float) * u.rad, nside, order="ring"
    )
    return np.asarray(ipix, np.int64)


def children(nside: int, ipix: ArrayLike, child_nside: int) -> IntArray:
    """Find the pixels of a finer resolution that tile given pixels exactly.

    Parameters
    ----------
    nside : int
        Resolution of the parents.
    ipix : array_like of int, shape (n,)
        RING indices of the parents.
    child_nside : int
        Resolution of the children, `nside` or finer; may be several orders finer.

    Returns
    -------
    ndarray of int, shape (n, (child_nside / nside)**2)
        RING indices of the children, one row per parent.

    Examples
    --------
    >>> children(1, [0], 2)
    array([[13,  5,  4,  0]])
    """
    if child_nside < nside:
        raise ValueError(f"children of nside {nside} cannot have nside {child_nside}")
    n_children = (child_nside // nside) ** 2
    first = ring_to_nest(nside, _checked(nside, ipix)) * n_children
    return nest_to_ring(child_nside, first[:, np.newaxis] + np.arange(n_children))


def parents(nside: int, ipix: ArrayLike, parent_nside: int) -> IntArray:
    """Find the pixels of a coarser resolution that contain given pixels.

    Parameters
    ----------
    nside : int
        Resolution of the given pixels.
    ipix : array_like of int, shape (n,)
        RING indices.
    parent_nside : int
        Resolution of the parents, `nside` or coarser.

    Returns
    -------
    ndarray of int, shape (n,)
        RING indices of the parents.
    """
    if parent_nside > nside:
        raise ValueError(f"parents of nside {nside} cannot have nside {parent_nside}")
    n_children = (nside // parent_nside) ** 2
    return nest_to_ring(parent_nside, ring_to_nest(nside, _checked(nside, ipix)) // n_children)


def pixels_within(nside: int, ra: float, dec: float, radius: float) -> IntArray:
    """Find the pixels whose centres are closer to a direction than `radius`.

    The search descends from the twelve base pixels, so that its cost goes with the number of pixels
    found and not with the size of the sky.

    Parameters
    ----------
    nside : int
        Resolution.
    ra, dec : float
        Direction [rad].
    radius : float
        Angle [rad]; pi and more give the whole sky.

    Returns
    -------
    ndarray of int, shape (n,)
        RING indices in ascending order.
    """
    _check_nside(nside)
    if radius > np.pi:
        return np.arange(n_pixels(nside))
    current = 1
    ipix = np.arange(12)
    while True:
        distance = angular_distance(*pixel_centers(current, ipix), ra, dec)
        if current == nside:
            return np.sort(ipix[distance < radius])
        reach = radius + _MAX_PIXEL_RADIUS / current
        ipix = children(current, ipix[distance < reach], 2 * current).ravel()
        current *= 2


def pixels_overlapping(nside: int, ra: float, dec: float, radius: float) -> IntArray:
    """Find the pixels of which any part is closer to a direction than `radius`.

    Parameters
    ----------
    nside : int
        Resolution.
    ra, dec : float
        Direction [rad].
    radius : float
        Angle [rad]; pi and more give the whole sky.

    Returns
    -------
    ndarray of int, shape (n,)
        RING indices in ascending order, the pixel that contains the direction among them.

    Examples
    --------
    Near a corner, four base pixels are touched; the centre of one of them is near:

    >>> pixels_overlapping(1, 0.3, 0.0, 0.5), pixels_within(1, 0.3, 0.0, 0.5)
    (array([0, 4, 5, 8]), array([4]))
    """
    near = pixels_within(nside, ra, dec, radius + _MAX_PIXEL_RADIUS / nside)
    if radius >= np.pi:
        return near
    is_inside = angular_distance(*pixel_centers(nside, near), ra, dec) < radius
    border = near[~is_inside]
    reaching = border[_distance_to_edge(nside, border, ra, dec) < radius]
    return np.unique(np.concatenate([near[is_inside], reaching, pixel_at(nside, [ra], [dec])]))


def _distance_to_edge(nside: int, ipix: IntArray, ra: float, dec: float) -> FloatArray:
    """Compute the angle between a direction and the nearest point of each pixel's edges [rad]."""
    import astropy.units as u
    from astropy_healpix import healpix_to_lonlat

    # an edge is where one of a pixel's two coordinates is 0 or 1; the other runs along it
    pixel = np.repeat(ipix, 4)[:, np.newaxis]
    end = np.tile([0.0, 1.0, 0.0, 1.0], len(ipix))[:, np.newaxis]
    runs_along_y = np.tile([True, True, False, False], len(ipix))[:, np.newaxis]
    low, high = np.zeros_like(end), np.ones_like(end)
    rows = np.arange(len(end))
    for _ in range(_N_EDGE_LOOKS):
        along = low + (high - low) * np.linspace(0.0, 1.0, _N_EDGE_POINTS)
        x, y = np.where(runs_along_y, end, along), np.where(runs_along_y, along, end)
        lon, lat = healpix_to_lonlat(
            np.broadcast_to(pixel, x.shape), nside, dx=x, dy=y, order="ring"
        )
        distance = angular_distance(lon.to_value(u.rad), lat.to_value(u.rad), ra, dec)
        nearest = np.argmin(distance, axis=1)
        low = along[rows, np.maximum(nearest - 1, 0)][:, np.newaxis]
        high = along[rows, np.minimum(nearest + 1, _N_EDGE_POINTS - 1)][:, np.newaxis]
    return np.asarray(distance.min(axis=1).reshape(-1, 4).min(axis=1))


def nest_to_ring(nside: int, ipix_nest: IntArray) -> IntArray:
    """Turn NESTED indices of any shape, which must exist, into RING indices."""
    from astropy_healpix import HEALPix

    return np.asarray(HEALPix(nside).nested_to_ring(ipix_nest), np.int64)


def ring_to_nest(nside: int, ipix: IntArray) -> IntArray:
    """Turn RING indices of any shape, which must exist, into NESTED indices."""
    from astropy_healpix import HEALPix

    return np.asarray(HEALPix(nside).ring_to_nested(ipix), np.int64)


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> FloatArray:
    """Turn directions [rad] of shape (...) into unit vectors of shape (..., 3)."""
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)], axis=-1)


def angular_distance(
    ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike
) -> FloatArray:
    """Compute the angle between directions on the sky [rad], exact for small and large ones.

    Examples
    --------
    >>> float(angular_distance(0.0, 0.0, 0.0, 1e-9))
    1e-09
    """
    one, two = unit_vectors(ra1, dec1), unit_vectors(ra2, dec2)
    # the arc cosine of the scalar product would lose everything below 1e-8 rad
    chord = np.linalg.norm(one - two, axis=-1)
    opposite = np.linalg.norm(one + two, axis=-1)
    return np.asarray(2.0 * np.arctan2(chord, opposite))


def _check_nside(nside: int) -> None:
    if not is_nside(nside):
        raise ValueError(f"nside {nside} is not a power of two up to {NSIDE_MAX}")


def _checked(nside: int, ipix: ArrayLike) -> IntArray:
    """Return `ipix` as an array; astropy-healpix would make -1 of pixels that do not exist."""
    _check_nside(nside)
    pixels = np.asarray(ipix, np.int64)
    if pixels.size and (pixels.min() < 0 or pixels.max() >= n_pixels(nside)):
        raise ValueError(f"nside {nside} has no pixel {pixels.min()} or {pixels.max()}")
    return pixels
