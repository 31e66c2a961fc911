from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fits_maps import flat_values, write_multi_order, write_table
from skymap_scanner.exceptions import FormatError, ResultError, UsageError
from skymap_scanner.result.levels import HPD, WILKS
from skymap_scanner.result.manifest import ScanManifest
from skymap_scanner.result.regions import find_regions
from skymap_scanner.result.sky_map import read_sky_map, sky_map_of
from skymap_scanner.units import DEG
from synthetic_maps import EVENT, gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.result import SkyScanResult

COARSE = ((4, 0), (16, 12), (64, 24))


@pytest.fixture(scope="module")
def result() -> SkyScanResult:
    return scan(gaussian(0.9, 0.3, 3.0 * DEG), COARSE, reco_algo="millipede_wilks")


@pytest.mark.parametrize("kind", ["npz", "json"])
def test_scans_are_read_whatever_their_name(
    tmp_path: Path, result: SkyScanResult, kind: str
) -> None:
    written = (
        result.to_npz(output_dir=tmp_path) if kind == "npz" else result.to_json(output_dir=tmp_path)
    )
    path = written.rename(tmp_path / "some map")
    sky_map = read_sky_map(path)
    assert sky_map.result == result
    assert (sky_map.name, sky_map.reco_algo) == (str(path), "millipede_wilks")
    assert sky_map.best_dir == result.best_dir
    assert sky_map.regions.rule.name == "hpd"
    assert (sky_map.n_failed, sky_map.cpu_s, sky_map.wall_s) == (None, None, None)


def test_the_reconstruction_that_is_named_goes_before_the_recorded_one(
    tmp_path: Path, result: SkyScanResult
) -> None:
    sky_map = read_sky_map(result.to_npz(output_dir=tmp_path), "millipede_original")
    assert (sky_map.reco_algo, sky_map.regions.rule.name) == ("millipede_original", "classic")
    assert sky_map.plain.rule == WILKS


def write_manifest(folder: Path, files: dict[str, Any], **progress: object) -> None:
    failed = [SimpleNamespace(nside=8, ipix=3, reasons=["no hits"])]
    ScanManifest(EVENT, True, progress=progress, failed=failed, files=files).write(folder)


def test_cost_and_failures_come_from_the_manifest_of_this_file(
    tmp_path: Path, result: SkyScanResult
) -> None:
    path, text = result.to_npz(output_dir=tmp_path), result.to_json(output_dir=tmp_path)
    write_manifest(tmp_path, {"npz": path, "json": text}, cpu_s=12.5, wall_s=7.0)
    for one in (path, text):
        sky_map = read_sky_map(one)
        assert (sky_map.n_failed, sky_map.cpu_s, sky_map.wall_s) == (1, 12.5, 7.0)
    other = path.rename(tmp_path / "other.npz")
    assert read_sky_map(other).cpu_s is None
    write_manifest(tmp_path, {"npz": other}, cpu_s="long")
    assert (read_sky_map(other).n_failed, read_sky_map(other).cpu_s) == (1, None)


def test_failures_of_classic_files_are_their_pixels_without_llh() -> None:
    rows = pixel_rows(np.arange(4), np.array([5.0, np.nan, 6.0, np.inf]))
    assert sky_map_of(map_of({8: rows})).n_failed == 2


def test_maps_of_probabilities_have_regions_but_no_llh(
    tmp_path: Path, result: SkyScanResult
) -> None:
    sky_map = read_sky_map(write_multi_order(tmp_path / "a.fits", result))
    assert sky_map.result is None
    assert sky_map.best == (64, int(result.best_fit["index"]))
    wanted = find_regions(result, HPD)
    assert sky_map.n_pixels == len(wanted.cells)
    for probability in (0.5, 0.9):
        assert sky_map.regions.area(probability) == pytest.approx(wanted.area(probability))
    assert sky_map.regions.rule.name == "hpd"
    assert sky_map.plain is sky_map.regions


def test_a_probability_of_zero_is_no_region(tmp_path: Path) -> None:
    values = np.zeros(192)
    values[[5, 9]] = 0.5, 0.25
    sky_map = read_sky_map(write_table(tmp_path / "a.fits", {"PROB": values}, ORDERING="RING"))
    assert sky_map.best == (4, 5)
    assert sky_map.regions.area(0.5) == pytest.approx(0.75 * 4 * np.pi / 192)
    assert sky_map.regions.probability.sum() == pytest.approx(1.0)


def test_of_equally_likely_cells_the_finest_is_the_best(tmp_path: Path) -> None:
    columns = {"UNIQ": np.array([5, 16 + 33, 64 + 37, 64 + 36]), "PROBDENSITY": np.ones(4)}
    sky_map = read_sky_map(write_table(tmp_path / "a.fits", columns))
    assert sky_map.best[0] == 4


def test_maps_with_ts_have_llh_but_not_its_lowest(tmp_path: Path, result: SkyScanResult) -> None:
    sky_map = read_sky_map(write_multi_order(tmp_path / "a.fits", result, with_ts=True))
    assert sky_map.result is not None
    assert not sky_map.knows_min
    assert sky_map.result.min_llh == 0.0
    assert sky_map.regions.rule.name == "hpd"
    away = result.llh(0.9, 0.32)
    assert away is not None
    assert sky_map.result.llh(0.9, 0.32) == pytest.approx(away - result.min_llh)


def test_regions_of_ts_follow_the_reconstruction(tmp_path: Path, result: SkyScanResult) -> None:
    values = flat_values(find_regions(result, WILKS), 64)
    path = write_table(tmp_path / "a.fits", {"TS": values["2DLLH"]}, ORDERING="RING")
    assert read_sky_map(path).regions.rule == WILKS
    assert read_sky_map(path, "millipede_original").regions.rule.name == "classic"
    both = write_multi_order(tmp_path / "b.fits", result, with_ts=True)
    assert read_sky_map(both, "millipede_original").regions.rule.name == "classic"


def test_a_reconstruction_cannot_be_named_for_probabilities(
    tmp_path: Path, result: SkyScanResult
) -> None:
    with pytest.raises(UsageError, match="only probabilities"):
        read_sky_map(write_multi_order(tmp_path / "a.fits", result), "splinempe")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n", b"[1, 2]", b"PK\x03\x04", b"{}"]
)
def test_what_is_no_sky_map_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "map"
    path.write_bytes(content)
    with pytest.raises(ResultError, match="map"):
        read_sky_map(path)


def test_a_scan_without_pixels_is_refused(tmp_path: Path) -> None:
    empty = map_of({8: pixel_rows(np.arange(0), np.empty(0))})
    path = empty.to_npz(output_dir=tmp_path, nsides=[8])
    with pytest.raises(ResultError, match=str(path)):
        read_sky_map(path)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        read_sky_map(tmp_path / "nothing.npz")
