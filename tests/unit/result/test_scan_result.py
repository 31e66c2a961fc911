from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import ResultError
from skymap_scanner.pixels import NSidesDict, RecoPixelFinal
from skymap_scanner.result import SkyScanResult, from_nsides_dict
from skymap_scanner.sky.healpix import pixel_centers
from synthetic_maps import EVENT, gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path


def pixel(nside: int, ipix: int, llh: float) -> RecoPixelFinal:
    return RecoPixelFinal(nside, ipix, llh, 10.0, 20.0, (1.0, 2.0, 3.0), 4.0, 5.0)  # type: ignore[arg-type]  # three numbers are turned into a Position


def test_plain_dicts_of_pixels_make_a_result() -> None:
    pixels = {64: {9: pixel(64, 9, 3.0)}, 8: {7: pixel(8, 7, 5.0), 2: pixel(8, 2, 4.0)}}
    result = from_nsides_dict(pixels, is_complete=False, event_metadata=EVENT)
    assert result.nsides == [8, 64]
    assert result.get_results_per_nside(8)["index"].tolist() == [2, 7]
    assert result.best_fit.tolist() == (64, 9, 3.0, 10.0, 20.0, 1.0, 2.0, 3.0, 4.0)
    assert result.min_llh == 3.0
    assert not result.header.is_complete
    assert list(result.result) == ["nside-8", "nside-64"]
    assert result.get_nside_string() == "8_64"


def test_failed_pixels_are_left_out_and_never_win() -> None:
    pixels = {8: {1: pixel(8, 1, np.nan), 2: pixel(8, 2, 4.0)}, 64: {5: pixel(64, 5, np.inf)}}
    result = from_nsides_dict(pixels, is_complete=True, event_metadata=EVENT)
    assert result.nsides == [8]
    assert result.n_left_out == 2
    assert result.best_fit["index"] == 2


def test_best_direction_is_the_centre_of_the_best_pixel() -> None:
    result = scan(gaussian(1.2, -0.3, 0.02))
    assert result.best_fit["nside"] == 512
    ra, dec = pixel_centers(512, [int(result.best_fit["index"])])
    assert result.best_dir == (ra[0], dec[0])
    assert abs(ra[0] - 1.2) < 0.002
    assert abs(dec[0] + 0.3) < 0.002


def test_of_equal_pixels_the_finer_then_the_lower_index_is_best() -> None:
    result = map_of(
        {
            8: pixel_rows(np.array([3]), np.array([1.0])),
            64: pixel_rows(np.array([40, 20]), np.array([1.0, 1.0])),
        }
    )
    assert result.best_fit[["nside", "index"]].tolist() == (64, 20)


def test_llh_is_that_of_the_finest_pixel_or_none() -> None:
    result = scan(gaussian(1.2, -0.3, 0.02))
    assert result.llh(*result.best_dir) == result.min_llh
    ra, dec = pixel_centers(8, [700])
    assert result.llh(ra[0], dec[0]) == result.get_results_per_nside(8)["llh"][700]
    part = map_of({8: pixel_rows(np.array([3]), np.array([1.0]))})
    assert part.llh(ra[0], dec[0]) is None
    at_ra, at_dec = pixel_centers(8, [3, 700])
    assert part.nll_at(at_ra, at_dec).tolist() == [1.0, np.inf]


def test_equality_is_that_of_pixels_and_values() -> None:
    table = pixel_rows(np.array([3, 5]), np.array([1.0, 2.0]))
    table["E_in"][0] = np.nan
    one, other = map_of({8: table}), map_of({8: table}, is_complete=False)
    assert one == other
    changed = table.copy()
    changed["Z"][1] = np.nextafter(changed["Z"][1], 1e9)
    assert one != map_of({8: changed})
    assert one != map_of({8: table, 64: table})
    assert one != map_of({8: table[:1]})
    assert one != "something else"


def test_closeness_has_a_tolerance_per_column(tmp_path: Path) -> None:
    table = pixel_rows(np.array([3, 5]), np.array([1000.0, 2000.0]))
    one = map_of({8: table})
    near = table.copy()
    near["llh"] *= 1.00009
    near["E_in"] *= 1.009
    near["X"] *= 1.0009
    assert one.is_close(map_of({8: near}))
    assert not one.is_close(map_of({8: near}), rtol_per_field={"llh": 1e-5})
    far = table.copy()
    far["llh"][1] *= 1.001
    diff = tmp_path / "diff.json"
    assert not one.is_close(map_of({8: far}), dump_json_diff=diff)
    report = json.loads(diff.read_text())
    assert report["nside-8"][1]["llh"] == pytest.approx([2000.0, 2002.0, -2.0])


def test_an_energy_of_zero_agrees_with_every_energy() -> None:
    table = pixel_rows(np.array([3]), np.array([1000.0]))
    zero = table.copy()
    zero["E_in"] = 0.0
    assert map_of({8: table}).is_close(map_of({8: zero}))


def test_results_with_other_pixels_are_not_close() -> None:
    table = pixel_rows(np.array([3, 5]), np.array([1.0, 2.0]))
    one = map_of({8: table})
    assert not one.is_close(map_of({8: table[:1]}))
    assert not one.is_close(map_of({8: table, 64: table}))
    assert not one.is_close(map_of({64: table}))
    moved = table.copy()
    moved["index"] = [3, 6]
    assert not one.is_close(map_of({8: moved}))


def test_nan_agrees_with_nan_if_wanted() -> None:
    table = pixel_rows(np.array([3]), np.array([1.0]))
    table["T"] = np.nan
    one = map_of({8: table})
    assert one.is_close(map_of({8: table}))
    assert not one.is_close(map_of({8: table}), equal_nan=False)


def test_arrays_cannot_be_changed_from_outside() -> None:
    pixels = NSidesDict.from_arrays({8: pixel_rows(np.array([3]), np.array([1.0]))})
    result = SkyScanResult(pixels)
    with pytest.raises(ValueError, match="read-only"):
        result.get_results_per_nside(8)["llh"][0] = 0.0


def test_a_result_without_pixels_has_no_best_fit() -> None:
    with pytest.raises(ResultError, match="no best fit"):
        _ = SkyScanResult({}).best_dir
