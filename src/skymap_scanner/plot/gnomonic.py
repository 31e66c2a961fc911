"""A square of the tangent plane: from pictures to the sky and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["N_PIXELS", "View"]

#: Samples across the picture [count].
N_PIXELS: Final = 600


class View:
    """A square of the tangent plane, and how its samples lie on the sky.

    Parameters
    ----------
    ra, dec : float
        Direction in the middle, ICRS [rad].
    radius : float
        Half the width [rad].
    """

    def __init__(self, ra: float, dec: float, radius: float) -> None:
        from astropy.wcs import WCS

        self.center = (ra, dec)
        self.radius = radius
        #: Half the width in the tangent plane [rad].
        self.half_width = float(np.tan(radius))
        self.wcs = WCS(naxis=2)
        self.wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        self.wcs.wcs.cunit = ["deg", "deg"]
        self.wcs.wcs.crval = [ra / DEG, dec / DEG]
        self.wcs.wcs.crpix = [0.5 * (N_PIXELS + 1)] * 2
        step = 2.0 * self.half_width / N_PIXELS / DEG
        self.wcs.wcs.cdelt = [-step, step]

    def samples(self) -> tuple[FloatArray, FloatArray]:
        """Return right ascension and declination [rad] of all image pixels."""
        position = np.arange(N_PIXELS, dtype=float)
        x, y = np.meshgrid(position, position)
        return self.to_sky(x, y)

    def to_sky(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return right ascension and declination [rad] of image pixels."""
        ra_deg, dec_deg = self.wcs.all_pix2world(x, y, 0)
        return ra_deg * DEG, dec_deg * DEG

    def to_image(self, ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project directions [rad] of the hemisphere to image pixels."""
        x, y = self.wcs.all_world2pix(ra / DEG, dec / DEG, 0)
        return x, y
