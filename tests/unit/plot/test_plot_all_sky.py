from __future__ import annotations

from typing import TYPE_CHECKING, Any

import healpy
import matplotlib.image
import numpy as np
import pytest

from skymap_scanner.exceptions import OutputError, ResultError, UsageError
from skymap_scanner.plot import all_sky
from skymap_scanner.plot.all_sky import (
    _galactic_to_equatorial,
    mollweide,
    mollweide_inverse,
    plot_all_sky,
)
from skymap_scanner.plot.style import UNSCANNED, Marker
from skymap_scanner.result import SkyScanResult
from skymap_scanner.sky.region import Cone
from skymap_scanner.units import DEG
from synthetic_maps import EVENT, gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path


def test_projection_and_its_inverse_are_one() -> None:
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(-np.pi, np.pi, 1000), np.arcsin(rng.uniform(-1, 1, 1000))
    back = mollweide_inverse(*mollweide(lon, lat))
    assert back[0] == pytest.approx(lon, abs=1e-6)
    assert back[1] == pytest.approx(lat, abs=1e-9)


def test_projection_agrees_with_healpy() -> None:
    projector = healpy.projector.MollweideProj()
    for lon, lat in [(0.0, 0.0), (1.0, 0.5), (-2.5, -1.2), (3.0, 1.5), (0.3, np.pi / 2)]:
        # healpy draws longitude to the left
        x, y = projector.ang2xy(np.pi / 2 - lat, -lon)
        # its iteration stops early near the poles
        assert np.hypot(*np.subtract(mollweide(lon, lat), (x, y))) < 3e-4


def test_outside_of_the_ellipse_is_nothing() -> None:
    lon, lat = mollweide_inverse(np.array([1.9, 0.0]), np.array([0.9, 1.01]))
    assert np.isnan(lon).all()
    assert np.isnan(lat).all()


def test_galactic_centre_is_where_it_should_be() -> None:
    ra, dec = _galactic_to_equatorial(np.zeros(1))
    assert ra[0] % (2 * np.pi) == pytest.approx(266.405 * DEG, abs=1e-4)
    assert dec[0] == pytest.approx(-28.936 * DEG, abs=1e-4)


def colors(path: Path) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def has_color(picture: np.ndarray, hexadecimal: str) -> float:
    wanted = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return float(np.mean(np.all(np.abs(picture - wanted) < 2 / 255, axis=-1)))


def test_picture_shows_the_map_dark_where_it_is_likely(tmp_path: Path) -> None:
    result = scan(gaussian(np.pi, 0.0, 20.0 * DEG), reco_algo="millipede_wilks")
    path = plot_all_sky(result, tmp_path / "sky.png", dpi=60)
    picture = colors(path)
    height, width, _ = picture.shape
    centre = picture[int(0.46 * height), int(0.53 * width)]
    corner = picture[int(0.5 * height), int(0.12 * width)]
    assert centre.sum() < 0.5 * corner.sum()
    assert has_color(picture, UNSCANNED) < 0.001


def test_what_was_not_scanned_is_grey(tmp_path: Path) -> None:
    ipix = Cone(1.0, 0.5, 10.0 * DEG).pixels(32)
    result = map_of({32: pixel_rows(ipix, np.linspace(5.0, 9.0, len(ipix)))}, is_complete=False)
    path = plot_all_sky(result, tmp_path / "cone.png", dpi=60)
    assert has_color(colors(path), UNSCANNED) > 0.3


def test_the_legend_is_whole_and_beside_the_colour_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(all_sky, "save", lambda figure, *_, **__: figures.append(figure))
    result = scan(gaussian(3.1, -0.4, 8.0 * DEG), ((8, 0), (32, 12)), reco_algo="millipede_wilks")
    markers = [Marker(3.0, -0.4, "simulated truth"), Marker(3.2, -0.4, "online fit")]
    plot_all_sky(result, tmp_path / "sky.png", markers=markers)
    [figure] = figures
    [legend] = figure.legends
    assert len(legend.get_texts()) == 5
    room = legend.get_window_extent()
    assert figure.bbox.x0 <= room.x0 < room.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= room.y0 < room.y1 <= figure.axes[0].get_window_extent().y0
    assert not room.overlaps(figure.axes[1].get_tightbbox())


def test_markers_and_center_are_accepted(tmp_path: Path) -> None:
    result = scan(gaussian(0.1, 1.5, 1.0 * DEG), ((8, 0),))
    markers = [Marker(0.0, 1.55, "truth"), Marker(6.2, -1.5, "online track")]
    path = plot_all_sky(result, tmp_path / "sky.svg", markers=markers, center_ra_deg=0.0)
    text = path.read_text(encoding="utf-8")
    assert "<svg" in text
    assert str(EVENT.run_id) in text


@pytest.mark.parametrize("name", ["sky.jpeg", "sky"])
def test_an_unknown_format_is_refused(tmp_path: Path, name: str) -> None:
    result = scan(gaussian(0.1, 1.5, 1.0), ((8, 0),))
    with pytest.raises(UsageError, match="no such picture format"):
        plot_all_sky(result, tmp_path / name, dpi=30)


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    result = scan(gaussian(0.1, 1.5, 1.0), ((8, 0),))
    with pytest.raises(OutputError):
        plot_all_sky(result, tmp_path / "nowhere" / "sky.png", dpi=30)


def test_a_result_without_pixels_has_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ResultError):
        plot_all_sky(SkyScanResult({}), tmp_path / "sky.png")
