"""The part of the sky to be scanned, when it is not all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.sky.healpix import (
    angular_distance,
    n_pixels,
    pixel_at,
    pixel_centers,
    pixels_overlapping,
    pixels_within,
)
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import IntArray

__all__ = ["Cone"]


@dataclass(frozen=True, slots=True)
class Cone:
    """All directions closer than `radius` to a centre.

    A pixel belongs to the cone when its centre does, or when it contains the centre of the cone: at
    every resolution at least one pixel belongs, however small the cone. Such pixels leave parts of
    the cone uncovered, up to half a pixel at its edge; those that overlap it cover all of it.

    Parameters
    ----------
    ra, dec : float
        Centre, ICRS [rad].
    radius : float
        Opening half-angle [rad], above 0 and up to pi.

    Raises
    ------
    UsageError
        When a value is out of range.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        limits = {
            "ra": (-2 * np.pi, 2 * np.pi),
            "dec": (-np.pi / 2, np.pi / 2),
            "radius": (0, np.pi),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            # a hair of rounding is allowed: 90 deg times a rounded constant is still a pole
            if not math.isfinite(value) or not low - 1e-9 <= value <= high + 1e-9:
                wanted = f"{math.degrees(low):g} to {math.degrees(high):g} deg"
                found = f"{math.degrees(value):g} deg"
                raise UsageError(f"{name} of a cone is out of range", found=found, wanted=wanted)
        if self.radius <= 0.0:
            raise UsageError("the radius of a cone must be above 0", found=f"{self.radius:g}")

    @classmethod
    def from_degrees(cls, ra_deg: float, dec_deg: float, radius_deg: float) -> Cone:
        """Make a cone from angles in degrees, as users give them."""
        return cls(ra_deg * DEG, dec_deg * DEG, radius_deg * DEG)

    @property
    def sky_fraction(self) -> float:
        """Part of the sky that it covers."""
        return 0.5 * (1.0 - math.cos(self.radius))

    def pixels(self, nside: int) -> IntArray:
        """Find all pixels of a resolution that belong to the cone, as ascending RING indices."""
        if self.radius >= np.pi:
            return np.arange(n_pixels(nside))
        inside = pixels_within(nside, self.ra, self.dec, self.radius)
        return np.union1d(inside, pixel_at(nside, [self.ra], [self.dec]))

    def overlapping(self, nside: int) -> IntArray:
        """Find the fewest pixels of a resolution that cover the cone, as ascending RING indices."""
        return pixels_overlapping(nside, self.ra, self.dec, self.radius)

    def has_pixels(self, nside: int, ipix: IntArray) -> NDArray[np.bool_]:
        """Tell for each pixel whether it belongs to the cone, shape (n,)."""
        distance = angular_distance(*pixel_centers(nside, ipix), self.ra, self.dec)
        center = pixel_at(nside, [self.ra], [self.dec])[0]
        return np.asarray((distance < self.radius) | (ipix == center) | (self.radius >= np.pi))
