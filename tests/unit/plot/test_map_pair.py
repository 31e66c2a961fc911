from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest

from fits_maps import write_multi_order
from skymap_scanner.exceptions import UsageError
from skymap_scanner.plot import map_pair
from skymap_scanner.plot.map_pair import plot_map_pair
from skymap_scanner.result.sky_map import read_sky_map, sky_map_of
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, map_of, pixel_rows, scan

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.result.sky_map import SkyMap

PROGRESSION = ((8, 0), (64, 24))
#: Edges of the regions of A and of B.
LINES = ("#c23b75", "#e69f00")


def gaussian_map(ra: float, dec: float, sigma_deg: float, reco: str = "millipede_wilks") -> SkyMap:
    return sky_map_of(scan(gaussian(ra, dec, sigma_deg * DEG), PROGRESSION, reco_algo=reco))


def mask(picture: np.ndarray, hexadecimal: str) -> np.ndarray:
    wanted = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return np.asarray(np.all(np.abs(picture - wanted) < 0.1, axis=-1))


def thirds(path: Path) -> list[np.ndarray]:
    """The three panels of a picture."""
    picture = np.asarray(matplotlib.image.imread(path))[..., :3]
    height, width = picture.shape[:2]
    rows = slice(int(0.22 * height), int(0.87 * height))
    return [
        picture[rows, int((left + 0.002) * width) : int((left + 0.248) * width)]
        for left in (0.055, 0.345, 0.685)
    ]


def test_both_regions_are_drawn_in_every_panel(tmp_path: Path) -> None:
    a, b = gaussian_map(2.0, -0.4, 1.5), gaussian_map(2.0, -0.4 + 3.0 * DEG, 1.0)
    for panel in thirds(plot_map_pair(a, b, tmp_path / "pair.png", dpi=100)):
        for line in LINES:
            assert mask(panel, line).mean() > 0.002
        # A lies below B
        low, high = (np.nonzero(mask(panel, line))[0].mean() for line in LINES)
        assert low > high


def test_a_map_does_not_differ_from_itself(tmp_path: Path) -> None:
    one = gaussian_map(2.0, -0.4, 1.5)
    *_, difference = thirds(plot_map_pair(one, one, tmp_path / "pair.png", dpi=60))
    # white, but for lines, marks and letters: nothing is blue or red
    assert np.median(np.ptp(difference, axis=-1)) < 0.02


def test_the_difference_is_blue_where_a_is_more_likely(tmp_path: Path) -> None:
    a, b = gaussian_map(2.0, -0.4, 2.0), gaussian_map(2.0, -0.4, 1.0)
    *_, difference = thirds(plot_map_pair(a, b, tmp_path / "pair.png", dpi=60))
    corner = difference[5:25, 5:25]
    assert corner[..., 2].mean() > corner[..., 0].mean() + 0.2


def test_maps_of_probabilities_can_be_drawn(tmp_path: Path) -> None:
    result = scan(gaussian(2.0, -0.4, 1.5 * DEG), PROGRESSION)
    one = read_sky_map(write_multi_order(tmp_path / "map.fits", result))
    path = plot_map_pair(one, sky_map_of(result), tmp_path / "pair.png", dpi=60)
    *_, difference = thirds(path)
    assert np.median(np.ptp(difference, axis=-1)) < 0.02


@pytest.mark.parametrize("dec", [-1.57, 0.0, 1.4])
def test_every_place_and_distance_can_be_drawn(tmp_path: Path, dec: float) -> None:
    a = gaussian_map(0.0, dec, 3.0, "splinempe" if dec > 1.0 else "dummy")
    few = sky_map_of(map_of({8: pixel_rows(np.arange(3), np.full(3, 5.0))}))
    assert plot_map_pair(a, few, tmp_path / "a.png", dpi=40).exists()
    assert plot_map_pair(few, a, tmp_path / "b.pdf", dpi=40).exists()


def test_long_names_fit_over_their_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(map_pair, "save", lambda figure, *_, **__: figures.append(figure))
    result = scan(gaussian(2.0, -0.4, 3.0 * DEG), ((8, 0),))
    name = f"/some/folder/run00127907.evt000020178442.HESE_{'8_64_' * 20}.npz"
    plot_map_pair(sky_map_of(result, name), sky_map_of(result, name), tmp_path / "pair.png")
    [figure] = figures
    places = [words.get_window_extent() for words in (*figure.texts, *figure.legends)]
    for number, place in enumerate(places):
        assert figure.bbox.x0 <= place.x0 < place.x1 <= figure.bbox.x1
        assert place.count_overlaps(places[number + 1 :]) == 0


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    one = gaussian_map(2.0, -0.4, 9.0)
    with pytest.raises(UsageError, match="gif"):
        plot_map_pair(one, one, tmp_path / "pair.gif")
