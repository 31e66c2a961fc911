from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fits_maps import write_multi_order
from skymap_scanner.exceptions import ResultError, UsageError
from skymap_scanner.result import EventMetadata, SkyScanResult
from skymap_scanner.result.map_comparison import compare_results
from skymap_scanner.result.regions import region_summary
from skymap_scanner.result.sky_map import read_sky_map, sky_map_of
from skymap_scanner.sky.healpix import (
    angular_distance,
    children,
    pixel_area,
    pixel_at,
    pixel_centers,
)
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, gaussian_area, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.result.map_figures import MapComparison

AT = (0.9, 0.3)
NEAR = (0.9, 0.3 + 2.0 * DEG)


def few_pixels(llh: dict[int, float], nside: int = 8, **header: object) -> SkyScanResult:
    return map_of({nside: pixel_rows(np.array([*llh]), np.array([*llh.values()]))}, **header)


def test_separation_is_that_of_the_best_pixels() -> None:
    comparison = compare_results(few_pixels({7: 1.0, 8: 2.0}), few_pixels({7: 3.0, 8: 2.0}))
    (ra, other_ra), (dec, other_dec) = pixel_centers(8, [7, 8])
    assert comparison.a.ra_deg == pytest.approx(ra / DEG)
    assert comparison.b.dec_deg == pytest.approx(other_dec / DEG)
    wanted = float(angular_distance(ra, dec, other_ra, other_dec)) / DEG
    assert comparison.separation_deg == pytest.approx(wanted)
    assert (comparison.a.index, comparison.b.index) == (7, 8)


def test_llh_at_the_other_s_best_fit_counts_from_the_own_minimum() -> None:
    comparison = compare_results(
        few_pixels({7: 1.0, 8: 2.5, 9: 9.0}), few_pixels({7: 13.0, 8: 2.0, 9: 11.0})
    )
    assert (comparison.a.delta_llh_at_other, comparison.a.delta_llh_nside) == (1.5, 8)
    assert (comparison.b.delta_llh_at_other, comparison.b.delta_llh_nside) == (11.0, 8)


def test_where_no_fine_pixel_is_the_coarser_one_is_asked() -> None:
    coarse = {ipix: 20.0 + ipix for ipix in range(768)}
    fine = children(8, [300], 64)[0]
    a = map_of(
        {
            8: pixel_rows(np.arange(768), np.array([*coarse.values()])),
            64: pixel_rows(fine, np.linspace(2.0, 3.0, 64)),
        }
    )
    other = children(8, [500], 64)[0][11]
    b = few_pixels({int(other): 1.0, int(fine[9]): 4.0}, nside=64)
    comparison = compare_results(a, b)
    assert (comparison.a.delta_llh_nside, comparison.a.delta_llh_at_other) == (8, 518.0)
    assert comparison.b.delta_llh_nside is None
    assert comparison.unavailable["b.delta_llh_at_other"] == "that position was not scanned"


def test_ranks_are_compared_per_common_nside() -> None:
    rng = np.random.default_rng(5)
    llh = rng.uniform(10.0, 20.0, 768)
    fine = children(8, [300, 301], 64).ravel()
    fine_llh = rng.uniform(1.0, 9.0, 128)
    a = map_of({8: pixel_rows(np.arange(768), llh), 64: pixel_rows(fine, fine_llh)})
    b = map_of(
        {
            8: pixel_rows(np.arange(700), llh[:700] ** 3),
            32: pixel_rows(np.arange(9), np.arange(9.0)),
            64: pixel_rows(fine[::-1], -fine_llh[::-1]),
        }
    )
    coarse, finer = compare_results(a, b).levels
    assert (coarse.nside, coarse.n_pixels) == (8, 700)
    assert coarse.rank_correlation == pytest.approx(1.0)
    assert (finer.nside, finer.n_pixels) == (64, 128)
    assert finer.rank_correlation == pytest.approx(-1.0)


def test_rank_correlation_is_spearman_s() -> None:
    # ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 * 4 / (5 * 24)
    a = few_pixels(dict(enumerate([1.0, 2.0, 30.0, 40.0, 500.0])))
    b = few_pixels(dict(enumerate([2.0, 1.0, 4.0, 3.0, 5.0])))
    [level] = compare_results(a, b).levels
    assert level.rank_correlation == pytest.approx(0.8)


def nearby_maps() -> tuple[SkyScanResult, SkyScanResult, Any]:
    """Two maps whose common pixels of nside 64 around B's best have known llh."""
    ipix = np.array([int(pixel_at(64, [AT[0]], [AT[1] + k * DEG])[0]) for k in (0, 1, 2, 4)])
    rows_a = pixel_rows(ipix, np.array([103.0, 101.0, 105.0, 90.0]))
    rows_b = pixel_rows(ipix, np.array([7.0, 8.0, 11.0, 20.0]))
    rows_a["E_in"], rows_b["E_in"] = [3.0, 4.0, 0.0, 9.0], [1.0, 2.0, 1.0, 1.0]
    rows_a["E_tot"], rows_b["E_tot"] = math.nan, 5.0
    coarse = pixel_rows(np.arange(768), np.arange(500.0, 1268.0))
    fine = children(64, ipix[:1], 512)[0]
    fine_a, fine_b = (pixel_rows(fine, np.arange(low, low + 64.0)) for low in (95.0, 6.0))
    a = map_of({8: coarse, 64: rows_a, 512: fine_a})
    b = map_of({8: coarse, 64: rows_b, 512: fine_b})
    return a, b, ipix


def test_pixels_near_the_reference_s_best_fit_are_compared_one_by_one() -> None:
    a, b, _ = nearby_maps()
    nearby = compare_results(a, b, radius_deg=3.5).nearby
    assert nearby is not None
    # of nsides 8, 64, 512 the second finest
    assert (nearby.nside, nearby.n_pixels) == (64, 3)
    # above their minima: 2 0 4 and 0 1 4
    assert nearby.slope == pytest.approx(16.0 / 20.0)
    assert nearby.rms_llh == pytest.approx(math.sqrt((4.0 + 1.0 + 0.0) / 3.0))
    assert nearby.rank_correlation == pytest.approx(0.5)
    assert nearby.energy_in_ratio == pytest.approx((3.0 + 2.0) / 2.0)
    assert nearby.energy_total_ratio is None


def test_radius_and_nside_choose_the_pixels() -> None:
    a, b, _ = nearby_maps()
    wider = compare_results(a, b, radius_deg=6.0).nearby
    coarse = compare_results(a, b, radius_deg=180.0, nside=8).nearby
    assert wider is not None
    assert coarse is not None
    assert (wider.n_pixels, coarse.nside, coarse.n_pixels) == (4, 8, 768)


def test_the_only_common_nside_is_the_default() -> None:
    nearby = compare_results(few_pixels({7: 1.0, 8: 2.0}), few_pixels({7: 1.0, 8: 2.5})).nearby
    assert nearby is not None
    assert nearby.nside == 8


def test_areas_are_those_of_the_rules_of_both() -> None:
    a = scan(gaussian(*AT, 1.0 * DEG), reco_algo="millipede_wilks")
    b = scan(gaussian(*AT, 1.0 * DEG), reco_algo="millipede_original")
    comparison = compare_results(a, b)
    for figures, result in ((comparison.a, a), (comparison.b, b)):
        summary = region_summary(result)
        assert figures.area50_deg2 == summary.area50_deg2
        assert figures.area90_deg2 == summary.area90_deg2
        assert figures.level_rule == summary.level_rule
    assert (comparison.a.level_rule, comparison.b.level_rule) == ("hpd", "classic")
    # the small region lies inside the large one
    assert comparison.overlap90_deg2 == pytest.approx(comparison.a.area90_deg2, rel=0.01)
    of_union = comparison.a.area90_deg2 / comparison.b.area90_deg2
    assert comparison.overlap90_of_union == pytest.approx(of_union, rel=0.01)
    assert comparison.a.probability_in_other90 == pytest.approx(1.0)
    assert comparison.b.probability_in_other90 == pytest.approx(0.9, abs=0.01)


def test_overlap_of_discs_is_that_of_geometry() -> None:
    sigma = 1.0 * DEG
    a = scan(gaussian(*AT, sigma), reco_algo="millipede_wilks")
    b = scan(gaussian(*NEAR, sigma), reco_algo="millipede_wilks")
    comparison = compare_results(a, b)
    radius, apart = math.sqrt(comparison.a.area90_deg2 / math.pi) * DEG, 2.0 * DEG
    assert math.pi * radius**2 == pytest.approx(gaussian_area(0.9, sigma), rel=0.03)
    lens = 2 * radius**2 * math.acos(apart / (2 * radius)) - apart / 2 * math.sqrt(
        4 * radius**2 - apart**2
    )
    assert comparison.overlap90_deg2 == pytest.approx(lens / DEG**2, rel=0.02)
    union = 2 * math.pi * radius**2 - lens
    assert comparison.overlap90_of_union == pytest.approx(lens / union, rel=0.02)
    # Monte Carlo of a plane Gaussian
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.0, sigma, (2, 200_000))
    inside = np.mean((x - apart) ** 2 + y**2 < radius**2)
    assert comparison.a.probability_in_other90 == pytest.approx(inside, abs=0.01)
    assert comparison.b.probability_in_other90 == pytest.approx(inside, abs=0.01)


def test_cells_of_different_resolution_overlap_where_they_do() -> None:
    a = few_pixels({100: 1.0})
    inside = children(8, [100], 64)[0]
    b = map_of({64: pixel_rows(inside[:16], np.full(16, 2.0))})
    comparison = compare_results(a, b)
    assert comparison.overlap90_deg2 == pytest.approx(16 * pixel_area(64) / DEG**2)
    assert comparison.overlap90_of_union == pytest.approx(0.25)
    assert comparison.a.probability_in_other90 == pytest.approx(0.25)
    assert comparison.b.probability_in_other90 == pytest.approx(1.0)


def test_without_a_common_nside_positions_and_areas_still_compare() -> None:
    comparison = compare_results(few_pixels({100: 1.0}), few_pixels({6400: 1.0}, nside=64))
    assert comparison.levels == ()
    assert comparison.nearby is None
    assert comparison.unavailable["levels"] == "the maps have no pixel in common"
    assert comparison.separation_deg > 0.0
    assert comparison.a.area90_deg2 > comparison.b.area90_deg2


def test_energies_cost_and_counts_are_passed_on() -> None:
    rows = pixel_rows(np.arange(4), np.array([5.0, 4.0, 6.0, np.nan]))
    rows["E_in"], rows["E_tot"] = 100.0 * np.arange(4), np.nan
    comparison = compare_results(map_of({8: rows}), few_pixels({1: 1.0}))
    assert (comparison.a.energy_in, comparison.a.energy_total) == (100.0, None)
    assert comparison.unavailable["a.energy_total"] == "not estimated"
    assert (comparison.a.n_pixels, comparison.a.n_failed) == (3, 1)
    assert (comparison.b.n_failed, comparison.b.cpu_s) == (None, None)
    assert comparison.a.min_llh == 4.0


def test_maps_of_probabilities_say_what_they_cannot(tmp_path: Path) -> None:
    result = scan(gaussian(*AT, 1.0 * DEG), reco_algo="millipede_wilks")
    fits_map = read_sky_map(write_multi_order(tmp_path / "b.fits", result))
    comparison = compare_results(result, fits_map)
    assert comparison.separation_deg == pytest.approx(0.0, abs=1e-9)
    assert comparison.overlap90_of_union == pytest.approx(1.0)
    assert comparison.a.delta_llh_at_other == 0.0
    assert (comparison.b.delta_llh_at_other, comparison.b.min_llh) == (None, None)
    for key in ("levels", "nearby", "b.delta_llh_at_other", "b.min_llh", "b.energy_in"):
        assert comparison.unavailable[key].startswith("only probabilities, no llh, in ")
    assert comparison.is_same_event is None


def test_fits_maps_with_ts_compare_like_the_scan_itself(tmp_path: Path) -> None:
    result = scan(gaussian(*AT, 1.0 * DEG), reco_algo="millipede_wilks")
    fits_map = read_sky_map(write_multi_order(tmp_path / "b.fits", result, with_ts=True))
    comparison = compare_results(result, fits_map)
    assert comparison.b.min_llh is None
    assert comparison.b.delta_llh_at_other == pytest.approx(0.0, abs=1e-9)
    assert [level.nside for level in comparison.levels] == result.nsides
    assert all(level.rank_correlation == pytest.approx(1.0) for level in comparison.levels)
    assert comparison.nearby is not None
    assert comparison.nearby.slope == pytest.approx(1.0)


def test_flat_maps_have_no_correlation_and_no_slope() -> None:
    flat = few_pixels(dict.fromkeys(range(10), 3.0))
    comparison = compare_results(flat, flat, radius_deg=180.0)
    assert comparison.levels[0].rank_correlation is None
    assert comparison.nearby is not None
    assert (comparison.nearby.slope, comparison.nearby.rms_llh) == (None, 0.0)
    assert comparison.unavailable["nearby.slope"] == "A is flat within the radius"


def test_nothing_near_the_reference_s_best_fit_is_said() -> None:
    a, b, ipix = nearby_maps()
    del a
    far = few_pixels({int(one): 1.0 for one in ipix[1:]}, nside=64)
    nearby = compare_results(far, b, radius_deg=0.3).nearby
    assert nearby is not None
    assert (nearby.n_pixels, nearby.rms_llh, nearby.slope) == (0, None, None)


def test_different_events_are_told_apart() -> None:
    one = EventMetadata(127907, 1, "HESE", 57517.6, is_real_event=True)
    a, b = (few_pixels({1: 1.0}, event_metadata=event) for event in (one, one))
    c = few_pixels({1: 1.0})
    d = few_pixels(
        {1: 1.0}, event_metadata=EventMetadata(0, 0, None, math.nan, is_real_event=False)
    )
    assert compare_results(a, b).is_same_event is True
    assert compare_results(a, c).is_same_event is False
    assert compare_results(a, d).is_same_event is None


def test_every_none_has_its_reason(tmp_path: Path) -> None:
    a, b, _ = nearby_maps()
    fits_map = read_sky_map(write_multi_order(tmp_path / "b.fits", b))
    flat = few_pixels({1: 3.0})
    for comparison in (
        compare_results(a, b),
        compare_results(a, fits_map),
        compare_results(fits_map, a),
        compare_results(flat, flat),
    ):
        assert sorted(nones(comparison)) == sorted(comparison.unavailable)


def nones(comparison: MapComparison) -> list[str]:
    """The figures that are None, but for those that are a matter of records."""
    records = ("n_failed", "cpu_s", "wall_s", "reco_algo", "delta_llh_nside")
    document = comparison.to_dict()
    found = [] if document["levels"] else ["levels"]
    found += ["nearby"] if document["nearby"] is None else []
    groups = {"a": document["a"], "b": document["b"], "nearby": document["nearby"] or {}}
    groups |= {f"levels.{level['nside']}": level for level in document["levels"]}
    for name, group in groups.items():
        found += [
            f"{name}.{key}" for key, value in group.items() if value is None and key not in records
        ]
    return found


def test_the_document_is_strict_json() -> None:
    a, b, _ = nearby_maps()
    document = compare_results(a, b).to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("radius_deg", [0.0, -1.0, 181.0, math.nan, math.inf])
def test_a_radius_out_of_range_is_refused(radius_deg: float) -> None:
    result = few_pixels({1: 1.0})
    with pytest.raises(UsageError, match="radius"):
        compare_results(result, result, radius_deg=radius_deg)


def test_an_nside_that_is_not_common_is_refused() -> None:
    a, b, _ = nearby_maps()
    with pytest.raises(UsageError, match="8, 64, 512"):
        compare_results(a, b, nside=16)
    with pytest.raises(UsageError, match="no common one"):
        compare_results(few_pixels({1: 1.0}), few_pixels({1: 1.0}, nside=16), nside=8)


def test_a_result_without_pixels_cannot_be_compared() -> None:
    with pytest.raises(ResultError):
        compare_results(few_pixels({1: 1.0}), SkyScanResult({}))


def test_maps_may_be_given_as_read_or_as_results() -> None:
    a, b, _ = nearby_maps()
    assert (
        compare_results(sky_map_of(a), b).to_dict() == compare_results(a, sky_map_of(b)).to_dict()
    )
