from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.sky.cells import SkyCells, tile
from skymap_scanner.sky.healpix import pixel_area
from skymap_scanner.sky.overlap import overlap

#: Of nside 1, 2 and 4, which lie on top of each other.
PIXELS = st.fixed_dictionaries(
    {
        nside: st.sets(st.integers(0, 12 * nside**2 - 1), max_size=n)
        for nside, n in ((1, 4), (2, 10), (4, 20))
    }
)


def cells_of(pixels: dict[int, set[int]]) -> SkyCells:
    return tile({nside: np.array(sorted(ipix), np.int64) for nside, ipix in pixels.items()})[0]


def pieces_of(cells: SkyCells) -> set[int]:
    """The pixels of nside 4 that cells consist of, the obvious way."""
    fine, _ = cells.split(2)
    return set(fine.ipix_nest.tolist())


@given(PIXELS, PIXELS)
def test_overlap_is_that_of_sets_of_fine_pixels(
    one_pixels: dict[int, set[int]], other_pixels: dict[int, set[int]]
) -> None:
    one, other = cells_of(one_pixels), cells_of(other_pixels)
    shared = overlap(one, other)
    wanted = len(pieces_of(one) & pieces_of(other)) * pixel_area(4)
    assert shared.area.sum() == pytest.approx(wanted, rel=1e-12)
    assert np.all(shared.area > 0.0)
    for row_one, row_other, area in zip(shared.row_one, shared.row_other, shared.area, strict=True):
        mine, theirs = (
            pieces_of(cells.take(np.array([row])))
            for cells, row in ((one, row_one), (other, row_other))
        )
        assert area == pytest.approx(len(mine & theirs) * pixel_area(4), rel=1e-12)


@given(PIXELS, PIXELS)
def test_the_order_of_the_two_does_not_matter(
    one_pixels: dict[int, set[int]], other_pixels: dict[int, set[int]]
) -> None:
    one, other = cells_of(one_pixels), cells_of(other_pixels)
    there, back = overlap(one, other), overlap(other, one)
    pairs = set(zip(there.row_one.tolist(), there.row_other.tolist(), strict=True))
    assert pairs == set(zip(back.row_other.tolist(), back.row_one.tolist(), strict=True))


@given(PIXELS)
def test_cells_share_all_of_themselves(pixels: dict[int, set[int]]) -> None:
    cells = cells_of(pixels)
    shared = overlap(cells, cells)
    assert shared.row_one.tolist() == shared.row_other.tolist() == list(range(len(cells)))
    assert shared.area == pytest.approx(cells.area)
