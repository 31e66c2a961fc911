from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import matplotlib.image
import numpy as np
import pytest

from skymap_scanner.plot import plot_zoom
from skymap_scanner.plot.style import LINE_50, LINE_90, Marker, signed
from skymap_scanner.plot.zoom import choose_radius
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import find_regions
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path


def line_mask(path: Path, hexadecimal: str) -> np.ndarray:
    picture = np.asarray(matplotlib.image.imread(path))[..., :3]
    wanted = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return np.asarray(np.all(np.abs(picture - wanted) < 0.1, axis=-1))


def test_regions_are_drawn_around_each_other_at_their_size(tmp_path: Path) -> None:
    sigma = 1.0 * DEG
    result = scan(gaussian(2.0, -0.4, sigma), reco_algo="millipede_wilks")
    path = plot_zoom(result, tmp_path / "zoom.png", radius_deg=4.0, dpi=100)
    height, width = line_mask(path, LINE_90).shape
    # the square of the map: 70 % of the width, 72 % of the height of the figure
    per_degree = 0.7 * width / 8.0
    for color, probability in ((LINE_50, 0.5), (LINE_90, 0.9)):
        rows, columns = np.nonzero(line_mask(path, color)[int(0.18 * height) : int(0.9 * height)])
        radius_deg = np.sqrt(-2.0 * np.log(1.0 - probability)) * sigma / DEG
        for extent in (np.ptp(rows), np.ptp(columns)):
            assert extent / per_degree == pytest.approx(2.0 * radius_deg, rel=0.1)


def test_the_view_holds_the_region_and_markers_nearby() -> None:
    result = scan(gaussian(2.0, -0.4, 0.5 * DEG))
    regions = find_regions(result, WILKS)
    alone = choose_radius(result, regions, [])
    assert 1.07 * DEG < alone < 2.0 * DEG
    near = Marker(2.0, -0.4 + 2.5 * DEG, "truth")
    assert choose_radius(result, regions, [near]) > 2.5 * DEG
    far = Marker(2.0, 1.0, "online track")
    assert choose_radius(result, regions, [far]) == alone


@pytest.mark.parametrize("dec", [-np.pi / 2, 1.5, 0.0])
def test_every_place_on_the_sky_can_be_drawn(tmp_path: Path, dec: float) -> None:
    result = scan(gaussian(0.0, dec, 3.0 * DEG), ((8, 0), (32, 12)), reco_algo="splinempe")
    markers = [Marker(0.01, dec, "truth"), Marker(3.0, 0.2, "online track")]
    path = plot_zoom(result, tmp_path / "zoom.png", markers=markers, dpi=40)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_few_pixels_are_enough(tmp_path: Path, n: int) -> None:
    result = map_of({8: pixel_rows(np.arange(n), np.arange(1.0, n + 1.0))}, is_complete=False)
    path = plot_zoom(result, tmp_path / "few.pdf")
    assert path.read_bytes().startswith(b"%PDF")


def test_a_flat_map_can_be_drawn(tmp_path: Path) -> None:
    result = map_of({8: pixel_rows(np.arange(768), np.full(768, 7.0))})
    assert plot_zoom(result, tmp_path / "flat.png", dpi=40).exists()


def test_drawing_changes_nothing_global(tmp_path: Path) -> None:
    plot_zoom(scan(gaussian(2.0, -0.4, 9.0 * DEG), ((8, 0),)), tmp_path / "zoom.png", dpi=40)
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_signs_are_real_ones() -> None:
    assert signed(-3.284, 2) == "\N{MINUS SIGN}3.28\N{DEGREE SIGN}"
    assert signed(30.0, 0) == "+30\N{DEGREE SIGN}"
