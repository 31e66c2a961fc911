from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.tri import Triangulation

from skymap_scanner.plot import plot_all_sky, plot_zoom, zoom
from skymap_scanner.plot.gnomonic import View
from skymap_scanner.plot.region_lines import _leaves_scanned
from skymap_scanner.plot.style import LINE_50, LINE_90, Marker, signed
from skymap_scanner.plot.zoom import choose_radius
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import find_regions
from skymap_scanner.sky.healpix import pixel_at, pixel_centers
from skymap_scanner.sky.region import Cone
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


def test_few_pixels_are_drawn_with_their_borders(tmp_path: Path) -> None:
    # one pixel of nside 8 holds the 90 % region: from corner to corner 10.0 by 10.6 deg
    result = scan(gaussian(1.3, 0.34, 1.5 * DEG), ((8, 0),), reco_algo="dummy")
    path = plot_zoom(result, tmp_path / "few.png", radius_deg=10.0, dpi=100)
    mask = line_mask(path, LINE_90)
    height, width = mask.shape
    rows, columns = np.nonzero(mask[int(0.18 * height) : int(0.9 * height)])
    per_degree = 0.7 * width / 20.0
    assert np.ptp(rows) / per_degree == pytest.approx(10.0, abs=0.5)
    assert np.ptp(columns) / per_degree == pytest.approx(10.6, abs=0.5)


def test_a_region_that_reaches_the_edge_of_the_scan_is_closed_there(tmp_path: Path) -> None:
    ipix = Cone.from_degrees(40.0, 20.0, 12.0).pixels(32)
    result = map_of({32: pixel_rows(ipix, 5.0 + 0.1 * np.sin(ipix))})
    path = plot_zoom(result, tmp_path / "cone.png", radius_deg=28.0, dpi=100)
    mask = line_mask(path, LINE_90)
    height, width = mask.shape
    rows, columns = np.nonzero(mask[int(0.18 * height) : int(0.9 * height)])
    for place in (rows, columns):
        assert np.ptp(place) / (0.7 * width / 56.0) == pytest.approx(25.0, abs=2.0)


def test_the_noise_of_a_convolution_is_not_drawn(tmp_path: Path) -> None:
    child = np.array([int(pixel_at(4, [6.1], [0.0])[0])])
    tables = {
        1: pixel_rows(np.array([4]), np.array([5.0])),
        4: pixel_rows(child, np.array([9.0])),
    }
    result = map_of(tables, reco_algo="splinempe")
    paths = [
        plot_zoom(result, tmp_path / "zoom.png", dpi=100),
        plot_all_sky(result, tmp_path / "sky.png", dpi=100),
    ]
    for path in paths:
        for color in (LINE_50, LINE_90):
            assert line_mask(path, color).mean() < 0.015


def test_triangles_over_what_was_not_scanned_are_left_out() -> None:
    view = View(0.0, 0.0, 15.0 * DEG)
    hole = pixel_at(8, [0.0], [0.0])
    ipix = np.setdiff1d(np.arange(768), hole)
    regions = find_regions(map_of({8: pixel_rows(ipix, np.full(767, 5.0))}), WILKS)
    x, y = view.to_image(*pixel_centers(8, hole))
    # the middle of the first triangle's lowest edge lies in the hole, its centre does not
    corners_x = np.concatenate([x - 100.0, x + 100.0, x, x + 10.0, x - 20.0])
    corners_y = np.concatenate([y, y, y + 360.0, y + 350.0, y + 350.0])
    triangles = Triangulation(corners_x, corners_y, [[0, 1, 2], [2, 3, 4]])
    assert _leaves_scanned(triangles, view, regions).tolist() == [True, False]


@pytest.mark.parametrize("reco_algo", ["splinempe_pointed", "a_reconstruction_of_" + 90 * "x"])
def test_words_fit_into_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reco_algo: str
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(zoom, "save", lambda figure, *_, **__: figures.append(figure))
    ipix = Cone.from_degrees(40.0, 20.0, 5.0).pixels(64)
    result = map_of({64: pixel_rows(ipix, 5.0 + np.sin(ipix))}, is_complete=False)
    plot_zoom(result, tmp_path / "cone.png", reco_algo=reco_algo)
    [figure] = figures
    assert any("scanned" in text.get_text() for text in figure.texts)
    places = [words.get_window_extent() for words in (*figure.texts, *figure.legends)]
    for number, place in enumerate(places):
        assert figure.bbox.x0 <= place.x0 < place.x1 <= figure.bbox.x1
        assert place.count_overlaps(places[number + 1 :]) == 0


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_few_pixels_are_enough(tmp_path: Path, n: int) -> None:
    result = map_of({8: pixel_rows(np.arange(n), np.arange(1.0, n + 1.0))}, is_complete=False)
    path = plot_zoom(result, tmp_path / "few.pdf")
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("reco_algo", ["dummy", "millipede_wilks", "splinempe"])
def test_a_flat_map_can_be_drawn(tmp_path: Path, reco_algo: str) -> None:
    result = map_of({8: pixel_rows(np.arange(768), np.full(768, 7.0))}, reco_algo=reco_algo)
    assert plot_zoom(result, tmp_path / "flat.png", dpi=40).exists()
    assert plot_all_sky(result, tmp_path / "flat_sky.png", dpi=40).exists()


def test_drawing_changes_nothing_global(tmp_path: Path) -> None:
    plot_zoom(scan(gaussian(2.0, -0.4, 9.0 * DEG), ((8, 0),)), tmp_path / "zoom.png", dpi=40)
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_signs_are_real_ones() -> None:
    assert signed(-3.284, 2) == "\N{MINUS SIGN}3.28\N{DEGREE SIGN}"
    assert signed(30.0, 0) == "+30\N{DEGREE SIGN}"
