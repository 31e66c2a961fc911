"""Credible regions against closed forms: a von Mises-Fisher map, with and without the floor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skymap_scanner.exceptions import ResultError, UsageError
from skymap_scanner.result import SkyScanResult
from skymap_scanner.result.levels import CLASSIC, HPD, HPD_FLOOR, WILKS
from skymap_scanner.result.regions import find_regions, region_summary
from skymap_scanner.sky.healpix import angular_distance, n_pixels, pixel_at, pixel_centers
from skymap_scanner.sky.region import Cone
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, gaussian_area, map_of, pixel_rows, scan

CENTER = (4.1, 0.4)


@pytest.mark.parametrize("sigma_deg", [0.2, 0.3, 0.5, 0.9, 3.0, 30.0])
@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_posterior_area_of_a_gaussian_is_the_closed_form(
    sigma_deg: float, probability: float
) -> None:
    regions = find_regions(scan(gaussian(*CENTER, sigma_deg * DEG)), HPD)
    wanted = gaussian_area(probability, sigma_deg * DEG)
    # the finest pixels reach out to 2.5 deg; beyond them coarse values are inherited
    tolerance = 0.025 if sigma_deg == 0.9 else 0.015
    assert regions.area(probability) == pytest.approx(wanted, rel=tolerance)


@pytest.mark.parametrize("sigma_deg", [0.02, 0.1, 0.2, 0.3, 0.5])
def test_the_floor_adds_in_quadrature(sigma_deg: float) -> None:
    regions = find_regions(scan(gaussian(*CENTER, sigma_deg * DEG)), HPD_FLOOR)
    # a map narrower than its pixels is as wide as the one pixel that carries it
    width = math.hypot(sigma_deg, 0.2) * DEG
    for probability in (0.5, 0.9):
        wanted = gaussian_area(probability, width)
        assert regions.area(probability) == pytest.approx(wanted, rel=0.01)
    assert regions.probability.sum() == pytest.approx(1.0, abs=1e-12)
    assert regions.cells.covers_sky


def test_the_floor_of_a_wide_map_changes_next_to_nothing() -> None:
    result = scan(gaussian(*CENTER, 8.0 * DEG))
    with_floor, without = find_regions(result, HPD_FLOOR), find_regions(result, HPD)
    for probability in (0.5, 0.9):
        assert with_floor.area(probability) == pytest.approx(without.area(probability), rel=5e-3)


@pytest.mark.parametrize("sigma_deg", [0.9, 3.0, 30.0])
def test_wilks_area_of_a_gaussian_is_the_closed_form(sigma_deg: float) -> None:
    regions = find_regions(scan(gaussian(*CENTER, sigma_deg * DEG)), WILKS)
    for probability in (0.5, 0.9):
        wanted = -2.0 * np.pi * (sigma_deg * DEG) ** 2 * np.log(1.0 - probability)
        # counting whole cells is good to a few per cent where cells are large
        assert regions.area(probability) == pytest.approx(wanted, rel=0.04)


def test_probabilities_sum_to_one_and_cells_cover_the_sky() -> None:
    regions = find_regions(scan(gaussian(*CENTER, 1.0 * DEG)), HPD)
    assert regions.probability.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.sum(regions.density * regions.cells.area) == pytest.approx(1.0, abs=1e-12)
    assert regions.cells.covers_sky
    assert regions.cells.area.sum() == pytest.approx(4.0 * np.pi, rel=1e-14)


def test_points_inside_make_up_the_area_and_the_probability() -> None:
    regions = find_regions(scan(gaussian(*CENTER, 20.0 * DEG)), HPD)
    rng = np.random.default_rng(11)
    ra, dec = rng.uniform(0, 2 * np.pi, 40_000), np.arcsin(rng.uniform(-1, 1, 40_000))
    inside = regions.contains(ra, dec, 0.9)
    part = regions.area(0.9) / (4.0 * np.pi)
    assert inside.mean() == pytest.approx(part, abs=5 * np.sqrt(part / 40_000))
    assert regions.contains(*CENTER, 0.5)
    assert not regions.contains(CENTER[0] + np.pi, -CENTER[1], 0.9)


def test_children_that_were_not_scanned_inherit_from_their_parent() -> None:
    coarse = pixel_rows(np.arange(768), np.full(768, 40.0))
    best = int(pixel_at(8, *CENTER))
    coarse["llh"][best] = 30.0
    whole = find_regions(map_of({8: coarse}), WILKS)
    child = int(pixel_at(64, *CENTER))
    part = map_of({8: coarse, 64: pixel_rows(np.array([child]), np.array([29.0]))})
    regions = find_regions(part, WILKS)
    assert regions.cells.covers_sky
    ra, dec = pixel_centers(64, np.arange(n_pixels(64)))
    ts = regions.ts_at(ra, dec)
    in_parent = pixel_at(8, ra, dec) == best
    assert np.count_nonzero(in_parent & (ts == 2.0)) == 63
    assert ts[child] == 0.0
    assert regions.area(0.9) == whole.area(0.9)


def test_a_cone_scan_is_normalised_within_the_cone_and_says_so() -> None:
    cone = Cone(*CENTER, 5.0 * DEG)
    ipix = cone.pixels(128)
    surface = gaussian(*CENTER, 1.0 * DEG)
    result = map_of({128: pixel_rows(ipix, surface(*pixel_centers(128, ipix)))})
    summary = region_summary(result, "millipede_wilks")
    assert not summary.covers_sky
    assert summary.scanned_deg2 == pytest.approx(len(ipix) * 41252.96 / n_pixels(128), rel=1e-5)
    assert summary.area90_deg2 == pytest.approx(gaussian_area(0.9, DEG) / DEG**2, rel=0.01)
    regions = find_regions(result, HPD_FLOOR)
    assert regions.probability.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.isinf(regions.ts_at(CENTER[0], CENTER[1] - 6.0 * DEG))
    assert not regions.contains(CENTER[0], CENTER[1] - 6.0 * DEG, 0.9)


def test_one_pixel_is_a_region() -> None:
    result = map_of({64: pixel_rows(np.array([77]), np.array([5.0]))})
    pixel_deg2 = 41252.96124941928 / n_pixels(64)
    wilks = region_summary(result, "dummy")
    assert wilks.area90_deg2 == pytest.approx(pixel_deg2)
    hpd = region_summary(result, "millipede_wilks")
    assert hpd.area50_deg2 == pytest.approx(0.5 * pixel_deg2)
    floor = region_summary(result, "splinempe")
    assert 0.5 * pixel_deg2 < floor.area90_deg2 < pixel_deg2


def test_two_lobes_across_the_origin_of_right_ascension_both_count() -> None:
    one, other = gaussian(0.02, 0.0, 0.5 * DEG), gaussian(2 * np.pi - 0.02, 0.0, 0.5 * DEG)

    def surface(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        return np.asarray(-np.logaddexp(-one(ra, dec), -other(ra, dec)))

    regions = find_regions(scan(surface), HPD)
    assert regions.area(0.9) == pytest.approx(2 * gaussian_area(0.9, 0.5 * DEG), rel=0.03)
    assert regions.contains([0.02, -0.02], [0.0, 0.0], 0.5).all()


def test_summary_names_level_and_rule() -> None:
    result = scan(gaussian(*CENTER, 1.0 * DEG), reco_algo="millipede_original")
    summary = region_summary(result)
    assert (summary.level_rule, summary.level50, summary.level90) == ("classic", 22.2, 64.2)
    assert angular_distance(summary.ra_deg * DEG, summary.dec_deg * DEG, *CENTER) < 0.002
    wilks = region_summary(result, "something else")
    assert (wilks.level50, wilks.level90) == pytest.approx((1.386, 4.605), abs=1e-3)
    assert wilks.area50_deg2 == wilks.wilks_area50_deg2
    hpd = region_summary(result, "millipede_wilks")
    # for a Gaussian map, highest posterior density and Wilks agree
    assert (hpd.level50, hpd.level90) == pytest.approx((1.386, 4.605), rel=0.03)
    assert summary.area90_deg2 > wilks.area90_deg2


def test_classic_area_counts_pixels_below_the_contour() -> None:
    result = scan(gaussian(*CENTER, 0.1 * DEG))
    regions = find_regions(result, CLASSIC)
    ts = regions.ts
    assert regions.area(0.5) == regions.cells.area[ts <= 22.2].sum()
    assert regions.level(0.9) == 64.2
    with pytest.raises(UsageError):
        regions.area(0.68)


@pytest.mark.parametrize("probability", [0.0, 1.0, 50.0, math.nan])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    regions = find_regions(scan(gaussian(*CENTER, 9.0 * DEG), ((8, 0),)), HPD)
    with pytest.raises(UsageError):
        regions.area(probability)
    with pytest.raises(UsageError):
        regions.level(probability)


def test_a_result_without_pixels_has_no_region() -> None:
    with pytest.raises(ResultError):
        region_summary(SkyScanResult({}))
