r"""Directions on the sky and in the detector: ICRS, zenith and azimuth, unit vectors of travel.

IceCube's horizontal frame has its y axis along grid north; azimuth :math:`\varphi` counts from x
towards y. With the site's longitude :math:`\lambda` (east positive) the usual azimuth (from north
through east) is :math:`A = 90° - \varphi - \lambda`. Everything else is the standard IAU chain
from ICRS to observed place (aberration, light deflection, precession, nutation, Earth rotation)
without refraction and polar motion and with UT1 = UTC, as the field's software has it. The chain
is called directly (ERFA, the library below astropy's ``AltAz``), so that no table of Earth
orientation is ever looked for on the network.

References
----------
.. [1] P. T. Wallace and N. Capitaine, A&A 459 (2006) 981, :doi:`10.1051/0004-6361:20065897`
.. [2] IAU SOFA tools for Earth attitude; ERFA routines apco13, atciqz, atioq, atoiq, aticq.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import EventError
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = [
    "SITE_LATITUDE",
    "SITE_LONGITUDE",
    "detector_to_equatorial",
    "direction_vector",
    "equatorial_to_detector",
    "vector_to_angles",
]

#: Geodetic latitude of the detector [rad]: -89.9944 deg, the site of the field's software.
SITE_LATITUDE: Final = -89.9944 * DEG
#: Longitude of the detector, east positive [rad]: -62.6081 deg, same source.
SITE_LONGITUDE: Final = -62.6081 * DEG

_MJD_ZERO: Final = 2400000.5  # Julian date of MJD 0 (definition)
_TWO_PI: Final = 2.0 * np.pi


def equatorial_to_detector(
    ra: ArrayLike, dec: ArrayLike, mjd: float
) -> tuple[FloatArray, FloatArray]:
    """Convert equatorial J2000 (ICRS) directions to the detector frame.

    Parameters
    ----------
    ra, dec : array_like
        Where the particles come from [rad]; broadcast against each other.
    mjd : float
        Start time of the event, UTC [d].

    Returns
    -------
    zenith, azimuth : ndarray
        Where the particles come from in the detector frame [rad]; azimuth in [0, 2 pi).

    Raises
    ------
    EventError
        When `mjd` is no date that can be converted.

    Examples
    --------
    >>> zenith, azimuth = equatorial_to_detector(0.0, 0.0, 59723.32051140454)
    >>> print(round(float(zenith), 5), round(float(azimuth), 5))
    1.57289 1.51832
    """
    import erfa  # type: ignore[import-untyped]  # pyerfa ships no types

    astrom = _earth_at(mjd)
    cirs_ra, cirs_dec = erfa.atciqz(
        np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64), astrom
    )
    horizon_azimuth, zenith, *_ = erfa.atioq(cirs_ra, cirs_dec, astrom)
    azimuth = 0.5 * np.pi - horizon_azimuth - SITE_LONGITUDE
    return np.asarray(zenith), _wrapped(azimuth)


def detector_to_equatorial(
    zenith: ArrayLike, azimuth: ArrayLike, mjd: float
) -> tuple[FloatArray, FloatArray]:
    """Convert directions in the detector frame to equatorial J2000 (ICRS).

    Parameters
    ----------
    zenith, azimuth : array_like
        Where the particles come from in the detector frame [rad]; broadcast against each other.
    mjd : float
        Start time of the event, UTC [d].

    Returns
    -------
    ra, dec : ndarray
        Equatorial directions [rad]; ra in [0, 2 pi).

    Raises
    ------
    EventError
        When `mjd` is no date that can be converted.

    Examples
    --------
    >>> ra, dec = detector_to_equatorial(1.510775301, 0.665871332, 59723.3205114045)
    >>> print(round(float(np.degrees(ra)), 2), round(float(np.degrees(dec)), 2))
    48.85 -3.52
    """
    import erfa

    astrom = _earth_at(mjd)
    horizon_azimuth = 0.5 * np.pi - np.asarray(azimuth, dtype=np.float64) - SITE_LONGITUDE
    cirs_ra, cirs_dec = erfa.atoiq(
        "A", horizon_azimuth, np.asarray(zenith, dtype=np.float64), astrom
    )
    ra, dec = erfa.aticq(cirs_ra, cirs_dec, astrom)
    return _wrapped(ra), np.asarray(dec)


def direction_vector(zenith: ArrayLike, azimuth: ArrayLike) -> FloatArray:
    r"""Return the unit vectors along which particles from (zenith, azimuth) travel.

    .. math:: d = -(\sin\theta\cos\varphi,\ \sin\theta\sin\varphi,\ \cos\theta)

    Parameters
    ----------
    zenith, azimuth : array_like
        Where the particles come from [rad]; broadcast against each other.

    Returns
    -------
    ndarray, shape (..., 3)
        Directions of travel.

    Examples
    --------
    Straight from above, a particle goes down:

    >>> print(direction_vector(0.0, 0.0)[2])
    -1.0
    """
    theta, phi = np.broadcast_arrays(
        np.asarray(zenith, dtype=np.float64), np.asarray(azimuth, dtype=np.float64)
    )
    sine = np.sin(theta)
    return -np.stack([sine * np.cos(phi), sine * np.sin(phi), np.cos(theta)], axis=-1)


def vector_to_angles(direction: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Tell where particles come from, given the vectors along which they travel.

    Parameters
    ----------
    direction : array_like, shape (..., 3)
        Directions of travel, of any length but zero.

    Returns
    -------
    zenith, azimuth : ndarray, shape (...)
        The inverse of `direction_vector` [rad]; azimuth in [0, 2 pi).
    """
    x, y, z = np.moveaxis(-np.asarray(direction, dtype=np.float64), -1, 0)
    return np.arctan2(np.hypot(x, y), z), _wrapped(np.arctan2(y, x))


def _earth_at(mjd: float) -> Any:
    """Prepare the star-independent part of the conversion: ERFA's astrometry record."""
    import erfa

    day = float(mjd)
    if not np.isfinite(day):
        raise EventError("the event has no usable time", found=f"MJD {day}", wanted="a date, UTC")
    with warnings.catch_warnings():
        # Simulated events may lie outside the years for which leap seconds are known; a second
        # of Earth rotation is all that can be wrong then.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        try:
            # Arguments: UTC in two parts, UT1-UTC, site, polar motion, weather (pressure 0 = no
            # refraction), wavelength.
            astrom, _ = erfa.apco13(
                _MJD_ZERO,
                day,
                0.0,
                SITE_LONGITUDE,
                SITE_LATITUDE,
                0.0,
                0.0,
                0.0,
                0.0,
                0.0,
                0.0,
                0.5,
            )
        except erfa.ErfaError as error:
            raise EventError(
                "the event's time cannot be converted", found=f"MJD {day}", wanted="a date, UTC"
            ) from error
    return astrom


def _wrapped(angle: ArrayLike) -> FloatArray:
    """Angles in [0, 2 pi): a tiny negative angle must not become 2 pi itself."""
    wrapped = np.mod(np.asarray(angle, dtype=np.float64), _TWO_PI)
    return np.where(wrapped >= _TWO_PI, 0.0, wrapped)
