from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import healpy
import numpy as np
import pytest
from astropy.io import fits

from fits_maps import flat_values, write_multi_order, write_table
from skymap_scanner.exceptions import FormatError, ResultError
from skymap_scanner.result import ResultWarning
from skymap_scanner.result.fits_map import read_fits_map
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import SkyRegions, find_regions
from skymap_scanner.sky.cells import SkyCells
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, scan

if TYPE_CHECKING:
    from pathlib import Path

RING: dict[str, Any] = {"ORDERING": "RING", "NSIDE": 4, "COORDSYS": "C"}
FLAT = np.random.default_rng(3).uniform(0.1, 1.0, 192)
NESTED_TO_RING = healpy.nest2ring(4, np.arange(192))


@pytest.fixture(scope="module")
def regions() -> SkyRegions:
    return find_regions(scan(gaussian(0.9, 0.3, 3.0 * DEG), ((4, 0), (16, 12), (64, 24))), WILKS)


def test_multi_order_maps_keep_their_cells(tmp_path: Path) -> None:
    result = scan(gaussian(0.9, 0.3, 3.0 * DEG), ((4, 0), (16, 12), (64, 24)))
    wanted = find_regions(result, WILKS)
    found = read_fits_map(write_multi_order(tmp_path / "a.fits", result, with_ts=True))
    assert found.cells.uniq.tolist() == wanted.cells.uniq.tolist()
    assert found.density == pytest.approx(wanted.density, rel=1e-12)
    assert found.ts == pytest.approx(wanted.ts, rel=1e-12)
    without = read_fits_map(write_multi_order(tmp_path / "b.fits", result))
    assert without.ts is None


def test_rows_of_multi_order_maps_come_in_any_order(tmp_path: Path, regions: SkyRegions) -> None:
    rows = np.random.default_rng(1).permutation(len(regions.cells))
    columns = {"UNIQ": regions.cells.uniq[rows], "PROBDENSITY": regions.density[rows]}
    found = read_fits_map(write_table(tmp_path / "a.fits", columns))
    assert found.cells.uniq.tolist() == regions.cells.uniq.tolist()
    assert found.density == pytest.approx(regions.density, rel=1e-12)


def test_deepest_and_coarsest_cells_are_understood(tmp_path: Path) -> None:
    # the last cell of nside 2^20 and the first of nside 1
    uniq = np.array([16 * 4**20 - 1, 4], np.int64)
    found = read_fits_map(write_table(tmp_path / "a.fits", {"UNIQ": uniq, "PROB": np.ones(2)}))
    assert found.cells.order.tolist() == [0, 20]
    assert found.cells.ipix_nest.tolist() == [0, 12 * 4**20 - 1]
    assert found.density is not None
    assert found.density * found.cells.area == pytest.approx(np.ones(2))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_flat_maps_of_healpy_give_the_cells_that_were_scanned(
    tmp_path: Path, regions: SkyRegions, name: str, nested: bool
) -> None:
    values = flat_values(regions, 64, nested=nested)
    # of 49152 pixels, healpy puts 1024 in each row of the table
    healpy.write_map(
        tmp_path / name, list(values.values()), nest=nested, coord="C",
        column_names=list(values), dtype=np.float64,
    )  # fmt: skip
    found = read_fits_map(tmp_path / name)
    assert found.cells.uniq.tolist() == regions.cells.uniq.tolist()
    assert found.density == pytest.approx(regions.density, rel=1e-12)
    assert found.ts == pytest.approx(regions.ts, abs=1e-9)


def test_partial_maps_of_healpy_cover_their_pixels(tmp_path: Path) -> None:
    values = np.full(192, healpy.UNSEEN)
    values[[7, 100, 191]] = 0.2, 0.3, 0.5
    healpy.write_map(
        tmp_path / "a.fits", values, partial=True, coord="C", column_names=["PROB"],
        dtype=np.float64,
    )  # fmt: skip
    found = read_fits_map(tmp_path / "a.fits")
    assert sorted(healpy.nest2ring(4, found.cells.ipix_nest).tolist()) == [7, 100, 191]
    assert found.density is not None
    assert np.sum(found.density * found.cells.area) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["PROB", "PROBABILITY", "probdensity"])
def test_probabilities_of_pixels_and_per_solid_angle_are_told_apart(
    tmp_path: Path, name: str
) -> None:
    found = read_fits_map(write_table(tmp_path / "a.fits", {name: FLAT}, **RING))
    area = 1.0 if name == "probdensity" else 4.0 * np.pi / 192
    assert found.density == pytest.approx(FLAT[NESTED_TO_RING] / area)
    assert found.ts is None


@pytest.mark.parametrize("name", ["2DLLH", "TS"])
def test_test_statistics_count_from_the_lowest(tmp_path: Path, name: str) -> None:
    found = read_fits_map(write_table(tmp_path / "a.fits", {name: FLAT}, **RING))
    assert found.ts == pytest.approx((FLAT - FLAT.min())[NESTED_TO_RING])
    assert found.density is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, healpy.UNSEEN])
def test_pixels_without_a_value_are_left_out_and_counted(tmp_path: Path, bad: float) -> None:
    values = FLAT.copy()
    values[[3, 50]] = bad
    path = write_table(tmp_path / "a.fits", {"2DLLH": values}, **RING)
    with pytest.warns(ResultWarning, match="2 pixels"):
        found = read_fits_map(path)
    left = set(healpy.nest2ring(4, found.cells.ipix_nest).tolist())
    assert left == set(range(192)) - {3, 50}


def test_equal_neighbours_are_one_cell_where_they_fill_it(tmp_path: Path) -> None:
    values = np.arange(1.0, 193.0)
    values[:16] = 5.0  # a base pixel
    values[20:24] = 7.0  # a pixel of nside 2
    values[25:29] = 9.0  # four neighbours of two parents
    path = write_table(tmp_path / "a.fits", {"PROB": values}, ORDERING="NESTED")
    found = read_fits_map(path)
    assert len(found.cells) == 192 - 15 - 3
    assert (found.cells.order[0], found.cells.ipix_nest[0]) == (0, 0)
    assert found.cells.covers_sky
    # the whole sky alike: twelve base pixels
    path = write_table(tmp_path / "b.fits", {"PROB": np.ones(192)}, ORDERING="NESTED")
    assert read_fits_map(path).cells.order.tolist() == [0] * 12


def uniq_of(*cells: tuple[int, int]) -> Any:
    order, ipix_nest = np.array(cells).T
    return SkyCells(order, ipix_nest).uniq


#: What is wrong -> columns, header, words of the error.
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "other columns": ({"TEMPERATURE": FLAT}, RING, "TEMPERATURE"),
    "no ordering": ({"PROB": FLAT}, {}, "ORDERING"),
    "unknown ordering": ({"PROB": FLAT}, {"ORDERING": "SPIRAL"}, "SPIRAL"),
    "galactic": ({"PROB": FLAT}, {**RING, "COORDSYS": "G"}, "equatorial"),
    "not a resolution": ({"PROB": FLAT[:108]}, {"ORDERING": "RING"}, "108 rows"),
    "part of the sky": ({"PROB": FLAT[:191]}, {"ORDERING": "RING"}, "191 rows"),
    "other resolution in the header": ({"PROB": FLAT}, {**RING, "NSIDE": 8}, "NSIDE 8"),
    "negative": ({"PROB": FLAT - 0.5}, RING, "not probabilities"),
    "no probability": ({"PROB": 0.0 * FLAT}, RING, "not probabilities"),
    "nothing finite": ({"PROB": np.nan * FLAT}, RING, "no pixel has a finite value"),
    "no rows": ({"PROB": FLAT[:0]}, RING, "no such resolution"),
    "no rows with UNIQ": ({"UNIQ": uniq_of((0, 0))[:0], "PROB": FLAT[:0]}, {}, "no pixel has"),
    "text": ({"PROB": np.array(["a"] * 192)}, RING, "wrong type of column"),
    "fractions as cells": ({"UNIQ": np.array([4.0]), "PROB": np.ones(1)}, {}, "wrong type"),
    "no such cell": ({"UNIQ": np.array([3]), "PROB": np.ones(1)}, {}, "no such cell"),
    "too deep": ({"UNIQ": np.array([16 * 4**20]), "PROB": np.ones(1)}, {}, "no such cell"),
    "overlap": ({"UNIQ": uniq_of((0, 0), (3, 5)), "PROB": np.ones(2)}, {}, "overlap"),
    "twice": ({"UNIQ": uniq_of((3, 5), (3, 5)), "PROB": np.ones(2)}, {}, "overlap"),
    "no such pixel": ({"PIXEL": np.array([192]), "PROB": np.ones(1)}, RING, "no such pixel"),
    "pixels of what": ({"PIXEL": np.arange(192), "PROB": FLAT}, {"ORDERING": "RING"}, "NSIDE"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_sky_map_is_refused_with_the_reason(tmp_path: Path, case: str) -> None:
    columns, header, words = WRONG[case]
    path = write_table(tmp_path / "a.fits", columns, **header)
    with pytest.raises(ResultError, match=words) as caught:
        read_fits_map(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_must_have_one_value_per_pixel(tmp_path: Path) -> None:
    columns = {"UNIQ": np.array([[4, 5], [6, 7]]), "PROB": np.ones(2)}
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("UNIQ", "2K", array=columns["UNIQ"]),
            fits.Column("PROB", "D", array=columns["PROB"]),
        ]
    )
    table.writeto(tmp_path / "a.fits")
    with pytest.raises(ResultError, match="different lengths"):
        read_fits_map(tmp_path / "a.fits")


def test_an_image_is_no_sky_map(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.ones((3, 3))).writeto(tmp_path / "a.fits")
    with pytest.raises(ResultError, match="no table"):
        read_fits_map(tmp_path / "a.fits")


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_truncated_files_are_refused(tmp_path: Path, name: str) -> None:
    whole = write_table(tmp_path / "whole.fits", {"PROB": np.tile(FLAT, 16)}, ORDERING="RING")
    data = whole.read_bytes()
    data = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    path = tmp_path / name
    for length in (1, 9, 80, 2880, 4000, 5760, 8000, len(data) // 2, len(data) - 3000):
        path.write_bytes(data[: min(length, len(data) - 20)])
        with pytest.raises(ResultError, match=r"not a whole FITS file|holds no sky map"):
            read_fits_map(path)


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_refused_or_read_but_never_a_crash(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(write_table(tmp_path / "whole.fits", {"PROB": FLAT}, **RING).read_bytes())
    for place in rng.integers(0, 5760, 5):
        data[place] = rng.integers(32, 127)
    path = tmp_path / "damaged.fits"
    path.write_bytes(data)
    said = ""
    try:
        assert len(read_fits_map(path).cells) > 0
    except ResultError as error:
        said = str(error)
    assert "\n" not in said


def test_a_table_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.fits", {"PROB": FLAT}, **RING)
    data = path.read_bytes().replace(
        b"NAXIS2  =                  192", b"NAXIS2  =         999999999999"
    )
    assert b"999999999999" in data
    path.write_bytes(gzip.compress(data))
    with pytest.raises(ResultError, match="not a whole FITS file"):
        read_fits_map(path)


@pytest.mark.parametrize("name", [".", "nothing.fits"])
def test_what_cannot_be_opened_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError):
        read_fits_map(tmp_path / name)
