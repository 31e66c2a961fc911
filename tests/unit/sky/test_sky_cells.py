from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.sky.cells import SkyCells, tile
from skymap_scanner.sky.healpix import children, n_pixels, pixel_at, pixel_centers


def test_a_single_nside_is_its_own_tiling() -> None:
    cells, nside, row = tile({4: np.arange(192)})
    assert len(cells) == 192
    assert cells.covers_sky
    assert set(nside) == {4}
    assert pixel_at(4, *cells.centers()).tolist() == row.tolist()


def test_a_half_scanned_child_level_leaves_the_rest_to_the_parent() -> None:
    kids = children(2, [5], 16)[0]
    cells, nside, row = tile({2: np.arange(48), 16: kids[:7]})
    assert cells.covers_sky
    assert np.count_nonzero(nside == 16) == 7
    of_parent = cells.take((nside == 2) & (row == 5))
    assert of_parent.area.sum() == pytest.approx(4 * np.pi / 48 * (1 - 7 / 64), rel=1e-14)
    # 64 children less 7: the rest is 3 quarters of the parent, 2 of 16ths, 1 of the 64ths
    assert sorted(of_parent.order) == [2, 2, 2, 3, 3, 4]


def test_levels_may_be_skipped_and_pixels_without_parent_stand_alone() -> None:
    kids = children(1, [3], 8)[0]
    cells, nside, _ = tile({1: np.array([3]), 8: np.append(kids[0], children(1, [7], 8)[0][1])})
    assert not cells.covers_sky
    assert np.count_nonzero(nside == 8) == 2
    assert cells.area.sum() == pytest.approx(np.pi / 3 + np.pi / 192)


def test_locate_finds_the_finest_pixel_or_nothing() -> None:
    kids = children(2, [5], 8)[0]
    cells, nside, row = tile({2: np.array([5]), 8: kids[3:]})
    ra, dec = pixel_centers(8, kids)
    found = cells.locate(ra, dec)
    assert nside[found].tolist() == [2, 2, 2] + [8] * 13
    assert kids[3:][row[found[3:]]].tolist() == kids[3:].tolist()
    assert cells.locate([[0.1]], [[-1.4]]).tolist() == [[-1]]


def test_locate_in_nothing_finds_nothing() -> None:
    cells, _, _ = tile({8: np.empty(0, np.int64)})
    assert len(cells) == 0
    assert cells.locate(1.0, 1.0) == -1


def test_uniq_numbers_are_those_of_the_standard() -> None:
    cells = SkyCells(np.array([0, 3]), np.array([0, 100]))
    assert cells.uniq.tolist() == [4, 4 * 64 + 100]


def test_split_keeps_the_sky_and_says_where_each_cell_comes_from() -> None:
    cells, _, _ = tile({1: np.arange(12), 4: children(1, [2], 4)[0]})
    finer, rows = cells.split(1)
    assert finer.covers_sky
    assert finer.order.min() == 1
    assert np.bincount(rows).tolist() == [4 if order < 1 else 1 for order in cells.order]
    assert cells.locate(*finer.centers()).tolist() == rows.tolist()


def test_any_mixture_tiles_what_it_covers_exactly_once() -> None:
    rng = np.random.default_rng(5)
    pixels = {
        nside: rng.choice(n_pixels(nside), size=min(40, n_pixels(nside)), replace=False)
        for nside in (1, 4, 8, 32)
    }
    cells, nside, row = tile(pixels)
    assert np.all(cells.stop[:-1] <= cells.start[1:])
    ra, dec = rng.uniform(0, 2 * np.pi, 5000), np.arcsin(rng.uniform(-1, 1, 5000))
    found = cells.locate(ra, dec)
    is_free = np.full(len(ra), fill_value=True)
    for one, ipix in sorted(pixels.items(), reverse=True):
        wanted = pixel_at(one, ra, dec)
        finest = is_free & np.isin(wanted, ipix)
        is_free &= ~finest
        assert np.array_equal(finest, (found >= 0) & (nside[found] == one))
        assert np.array_equal(ipix[row[found[finest]]], wanted[finest])
    assert np.array_equal(is_free, found < 0)
