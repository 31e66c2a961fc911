"""Which pixels belong to a cone."""

from __future__ import annotations

import math

import healpy
import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.sky.region import Cone


@pytest.mark.parametrize("radius_deg", [0.001, 1.0, 10.0, 120.0, 180.0])
@pytest.mark.parametrize("nside", [1, 8, 64])
def test_pixels_of_a_cone_are_those_that_belong_to_it(radius_deg: float, nside: int) -> None:
    cone = Cone.from_degrees(83.6, 22.0, radius_deg)
    everything = np.arange(12 * nside**2)
    np.testing.assert_array_equal(
        cone.pixels(nside), everything[cone.has_pixels(nside, everything)]
    )


def test_cone_has_the_pixels_whose_centers_lie_in_it() -> None:
    cone = Cone.from_degrees(83.6, 22.0, 7.0)
    vector = healpy.ang2vec(83.6, 22.0, lonlat=True)
    expected = np.sort(healpy.query_disc(64, vector, np.deg2rad(7.0)))
    np.testing.assert_array_equal(cone.pixels(64), expected)


def test_no_part_of_a_cone_is_outside_of_its_overlapping_pixels() -> None:
    cone = Cone.from_degrees(10.0, -90.0, 20.0)
    fine = healpy.query_disc(512, healpy.ang2vec(10.0, -90.0, lonlat=True), np.deg2rad(20.0))
    centers = healpy.pix2ang(512, fine, lonlat=True)
    needed = np.unique(healpy.ang2pix(1, *centers, lonlat=True))
    np.testing.assert_array_equal(cone.overlapping(1), needed)
    assert len(cone.pixels(1)) < len(needed)


@pytest.mark.parametrize("nside", [1, 8, 512, 2**20])
def test_smallest_cone_has_the_pixel_that_contains_it(nside: int) -> None:
    cone = Cone.from_degrees(83.6, 22.0, 1e-7)
    expected = [healpy.ang2pix(nside, 83.6, 22.0, lonlat=True)]
    assert cone.pixels(nside).tolist() == cone.overlapping(nside).tolist() == expected


def test_full_cone_is_the_sky() -> None:
    cone = Cone.from_degrees(10.0, -90.0, 180.0)
    assert len(cone.pixels(8)) == len(cone.overlapping(8)) == 768


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [
        (math.nan, 0.0, 1.0),
        (0.0, math.inf, 1.0),
        (0.0, 90.1, 1.0),
        (0.0, -91.0, 1.0),
        (361.0, 0.0, 1.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, -1.0),
        (0.0, 0.0, 180.1),
        (0.0, 0.0, math.nan),
    ],
)
def test_impossible_cone_is_refused(ra: float, dec: float, radius: float) -> None:
    with pytest.raises(UsageError, match="cone"):
        Cone.from_degrees(ra, dec, radius)


def test_poles_and_full_turns_are_legal() -> None:
    for ra, dec in ((360.0, 90.0), (-180.0, -90.0), (0.0, 0.0)):
        assert len(Cone.from_degrees(ra, dec, 10.0).pixels(8)) >= 1
