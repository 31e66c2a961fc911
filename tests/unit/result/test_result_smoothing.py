from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.result.smoothing import smooth
from skymap_scanner.sky.cells import SkyCells, tile
from skymap_scanner.sky.healpix import angular_distance, n_pixels, pixel_at
from skymap_scanner.units import DEG


def point_map(ra: float, dec: float) -> tuple[SkyCells, np.ndarray, tuple[float, float]]:
    """All probability in one pixel of nside 512."""
    cells, nside, _ = tile({1: np.arange(12), 512: pixel_at(512, [ra], [dec])})
    density = np.where(nside == 512, 1.0 / cells.area, 0.0)
    where = np.argmax(density)
    centers = cells.centers()
    return cells, density, (centers[0][where], centers[1][where])


@pytest.mark.parametrize(("ra", "dec"), [(1.0, 0.2), (0.0, -0.8), (5.0, 1.56), (np.pi / 4, 0.7297)])
def test_a_point_becomes_the_gaussian(ra: float, dec: float) -> None:
    cells, density, at = point_map(ra, dec)
    sigma = 0.2 * DEG
    smoothed, values = smooth(cells, density, sigma)
    distance = angular_distance(*smoothed.centers(), *at)
    wanted = np.exp(-0.5 * (distance / sigma) ** 2) / (2.0 * np.pi * sigma**2)
    # within three sigma, in terms of the peak
    near = distance < 3.0 * sigma
    assert np.count_nonzero(near) > 200
    assert np.abs(values[near] - wanted[near]).max() < 0.01 * wanted.max()


def test_probability_and_sky_are_conserved() -> None:
    cells, density, _ = point_map(3.0, -1.1)
    smoothed, values = smooth(cells, density, 0.2 * DEG)
    assert smoothed.covers_sky
    assert np.all(values >= 0.0)
    assert np.sum(values * smoothed.area) == pytest.approx(1.0, abs=1e-13)


def test_a_flat_map_stays_flat() -> None:
    cells, _, _ = tile({8: np.arange(768)})
    flat = np.full(768, 1.0 / (4.0 * np.pi))
    _, values = smooth(cells, flat, 0.2 * DEG)
    # what is left is the pattern of point masses on the grid
    assert values == pytest.approx(flat[0], rel=4e-3)


def test_only_what_was_scanned_gets_probability() -> None:
    ipix = np.array([n_pixels(64) // 2 + 17])
    cells, _, _ = tile({64: ipix})
    smoothed, values = smooth(cells, 1.0 / cells.area, 0.2 * DEG)
    assert np.all(pixel_at(64, *smoothed.centers()) == ipix[0])
    assert smoothed.area.sum() == pytest.approx(cells.area.sum())
    assert np.sum(values * smoothed.area) == pytest.approx(1.0)
