"""The area rule of refinement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.sky.healpix import angular_distance, parents, pixel_area, pixel_centers
from skymap_scanner.sky.progression import DEFAULT_PROGRESSION
from skymap_scanner.sky.refinement import children_in_region, pixels_to_refine, refinement_radius
from skymap_scanner.sky.region import Cone

if TYPE_CHECKING:
    from pathlib import Path


def test_radius_is_that_of_a_disc_of_the_area() -> None:
    radius = refinement_radius(64, 24)
    assert np.pi * radius**2 == pytest.approx(24 * pixel_area(64))


@pytest.mark.parametrize("best", [(8, 100), (64, 0), (512, 3145727), (512, 1662220)])
def test_refined_pixels_are_those_with_centers_in_the_disc(best: tuple[int, int]) -> None:
    ra, dec = pixel_centers(best[0], [best[1]])
    everything = np.arange(768)
    distance = angular_distance(*pixel_centers(8, everything), ra[0], dec[0])
    expected = everything[distance < refinement_radius(8, 12)]
    np.testing.assert_array_equal(pixels_to_refine(8, 12, best), expected)
    assert 9 <= len(expected) <= 15, "about twelve pixels' area"


def test_extension_beyond_the_sphere_takes_all_of_it() -> None:
    assert len(pixels_to_refine(2, 10**9, (2, 5))) == 48


def test_children_outside_the_region_are_left_out() -> None:
    cone = Cone.from_degrees(10.0, 20.0, 3.0)
    refined = cone.pixels(8)
    finer = children_in_region(8, refined, 64, cone)
    assert set(finer) <= set(cone.pixels(64))
    assert set(parents(64, finer, 8)) <= set(refined)
    assert len(finer) < len(children_in_region(8, refined, 64))


def test_child_with_the_center_of_the_region_is_never_left_out() -> None:
    cone = Cone.from_degrees(10.0, 20.0, 1e-6)
    refined = cone.pixels(8)
    np.testing.assert_array_equal(children_in_region(8, refined, 512, cone), cone.pixels(512))


@pytest.mark.shared
def test_published_scan_has_all_that_its_best_pixel_asks_for(shared: Path) -> None:
    # The classic scanner made it with 8:0 64:12 512:24; it has more where its best pixel moved.
    with np.load(shared / "expected" / "IC220524A_millipede_original_8_64_512.npz") as scan:
        tables = {nside: scan[f"nside-{nside}"] for nside in DEFAULT_PROGRESSION.nsides}
    best = min(
        (float(llh), nside, int(index))
        for nside, table in tables.items()
        for index, llh in zip(table["index"], table["llh"], strict=True)
        if np.isfinite(llh)
    )[1:]
    for nside, next_nside, extension in DEFAULT_PROGRESSION.refinements():
        refined = pixels_to_refine(nside, extension, best)
        assert len(refined) == extension, "here the discs hold exactly as many centres"
        finer = children_in_region(nside, refined, next_nside)
        assert np.isin(finer, tables[next_nside]["index"]).all()
