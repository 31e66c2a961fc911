from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import StepPatch

from random_light_model import random_weights
from skymap_scanner.exceptions import OutputError, UsageError
from skymap_scanner.light.cells import N_R, R_EDGES
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import FLOW_AZIMUTH
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.propagation import TIME_EDGES
from skymap_scanner.light.spot_simulation import SimulatedLight, simulate_spots
from skymap_scanner.light.spots import average_cdf, average_charge
from skymap_scanner.plot import ice_figure, light_figures
from skymap_scanner.plot.ice_figure import plot_ice
from skymap_scanner.plot.light_figures import plot_azimuth, plot_charge, plot_times
from skymap_scanner.plot.light_panels import BEAM_SPOTS, LIGHT_SPOTS, RING_SPOTS, LightScene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CELLS = range(N_R - 7)


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel(random_weights())


@pytest.fixture(scope="module")
def perfect(model: LightModel) -> LightScene:
    """A simulation that gives just what the model gives."""
    lights = []
    for spot in LIGHT_SPOTS:
        charge, times = np.zeros((len(spot.views), N_R)), np.zeros((len(spot.views), N_R, 40))
        for k, view in enumerate(spot.views):
            charge[k, CELLS.start : CELLS.stop] = average_charge(model, spot, view, CELLS)
            cdf = average_cdf(model, spot, view, CELLS)
            times[k, CELLS.start : CELLS.stop] = np.diff(cdf, axis=1)
        lights.append(SimulatedLight(1000, charge, 0.1 * charge, times, 0.1 * times))
    return LightScene(model, lights, "a note")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would have been written."""
    made: list[Any] = []
    for module in (light_figures, ice_figure):
        monkeypatch.setattr(module, "save", lambda figure, *_, **__: made.append(figure))
    return made


def points(axes: Any) -> list[Any]:
    """The points of each kind, shape (n, 2)."""
    bars = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    return [np.asarray(bar.lines[0].get_xydata()) for bar in bars]


def curves(axes: Any) -> list[Any]:
    """The lines of each kind, without those of one value and of the points."""
    own = [bar.lines[0] for bar in axes.containers if isinstance(bar, ErrorbarContainer)]
    return [
        line.get_xydata() for line in axes.lines if line not in own and len(line.get_xdata()) > 2
    ]


def changed(scene: LightScene, change: Callable[[SimulatedLight], SimulatedLight]) -> LightScene:
    return replace(scene, simulated=[change(light) for light in scene.simulated])


def test_points_lie_on_the_line_when_model_and_simulation_agree(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    plot_charge(perfect, tmp_path / "x.png")
    [figure] = figures
    panels, strips = figure.axes[:-1:2], figure.axes[1::2]
    assert len(panels) == len(strips) == len(BEAM_SPOTS)
    for panel, strip in zip(panels, strips, strict=True):
        for dots, line in zip(points(panel), curves(panel), strict=True):
            assert len(dots) == len(CELLS)
            there = np.exp(np.interp(np.log(dots[:, 0]), *np.log(line).T))
            assert dots[:, 1] == pytest.approx(there, rel=0.01)
        for dots in points(strip):
            assert dots[:, 1] == pytest.approx(1.0)


def test_lines_are_the_model_s_charge_at_a_distance(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    plot_charge(replace(perfect, simulated=[]), tmp_path / "x.png")
    line = curves(figures[0].axes[1])[0]
    spot = BEAM_SPOTS[1]
    lines = spot.views[0].directions(spot.direction)
    for distance, charge in line[[0, 80, 159]]:
        by_hand = perfect.model.expected_charge(
            spot.xyz, spot.direction, spot.xyz + distance * lines
        )
        assert charge == pytest.approx(by_hand.mean())


def test_points_are_drawn_with_their_errors_and_left_out_when_they_say_nothing(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    def blur(light: SimulatedLight) -> SimulatedLight:
        error = np.where(np.arange(N_R) < 5, 0.6, 0.2) * light.charge
        return replace(light, charge_error=error)

    plot_charge(changed(perfect, blur), tmp_path / "x.png")
    strip = figures[0].axes[1]
    for bar in strip.containers:
        assert len(bar.lines[0].get_xdata()) == len(CELLS) - 5
        for x_y in bar.lines[2][0].get_segments():
            assert x_y[:, 1] == pytest.approx([0.8, 1.2])


def test_ratios_off_the_scale_are_shown_at_its_edge(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    bright = changed(
        perfect, lambda light: replace(light, charge=3 * light.charge, charge_error=light.charge)
    )
    plot_charge(bright, tmp_path / "x.png")
    strip = figures[0].axes[1]
    low, high = strip.get_ylim()
    triangles = [line for line in strip.lines if line.get_marker() == "^" and line.get_xdata().size]
    off = [line.get_ydata() for line in triangles if np.all(line.get_ydata() > high - 0.1)]
    assert sum(map(len, off)) == 3 * len(CELLS)
    assert low < 1.0 < high < 3.0


def test_times_are_drawn_per_logarithm_and_differences_below(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    """Half of the light a bin later: the difference of the CDFs is half of what a bin holds."""

    def delay(light: SimulatedLight) -> SimulatedLight:
        return replace(light, times=0.5 * (light.times + np.roll(light.times, 1, axis=2)))

    for scene in (perfect, changed(perfect, delay)):
        plot_times(scene, tmp_path / "x.png")
    panel, strip = figures[0].axes[0], figures[0].axes[1]
    bins = np.log((TIME_EDGES[1:] + 2.0) / (TIME_EDGES[:-1] + 2.0))
    steps = [patch.get_data()[0] for patch in panel.patches if isinstance(patch, StepPatch)]
    assert len(steps) == 6
    for step, line in zip(steps, curves(panel), strict=True):
        assert (step * bins).sum() == pytest.approx(1.0)
        assert line[:, 1] == pytest.approx(step)
    for line in curves(strip):
        assert line[:, 1] == pytest.approx(0.0, abs=1e-9)
    for late, step in zip(curves(figures[1].axes[1]), steps, strict=True):
        assert late[:, 1] == pytest.approx(0.5 * (step * bins)[:-1], abs=1e-5)


def test_times_of_hardly_any_light_are_left_out(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    far = np.where(R_EDGES[:-1] > 140.0, 0.3, 0.1)
    faint = changed(perfect, lambda light: replace(light, charge_error=far * light.charge))
    plot_times(faint, tmp_path / "x.png")
    for panel in figures[0].axes[::2]:
        assert len(panel.patches) == 5  # up to the cell from 136 to 161 m
        assert len(curves(panel)) == 6


def test_azimuth_counts_from_the_flow_of_the_ice(
    perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    """An octant of double light is drawn where modules there are."""
    spot = RING_SPOTS[0]
    x, y, _ = spot.views[2].directions(spot.direction).mean(axis=0)
    wanted = np.degrees(np.arctan2(y, x) - FLOW_AZIMUTH) % 360.0

    def mark(light: SimulatedLight) -> SimulatedLight:
        charge = light.charge.copy()
        charge[2] *= 1.4
        return replace(light, charge=charge)

    plot_azimuth(changed(perfect, mark), tmp_path / "x.png")
    panels, strips = figures[0].axes[::2], figures[0].axes[1::2]
    assert len(panels) == len(RING_SPOTS)
    for dots in points(strips[0]):
        assert len(dots) == 8
        assert dots[np.argmax(dots[:, 1])] == pytest.approx(
            [(wanted + 180.0) % 360.0 - 180.0, 1.4], abs=1e-6
        )
        assert np.sort(dots[:, 1])[:-1] == pytest.approx(1.0)
    for line in curves(panels[0]):
        assert line[:, 1].mean() == pytest.approx(1.0)
        assert np.all(np.diff(line[:, 0]) > 0)


@pytest.mark.parametrize(("draw", "n"), [(plot_charge, 3), (plot_times, 6), (plot_azimuth, 2)])
def test_without_simulation_the_model_is_drawn_alone(
    draw: Callable[..., Path], n: int, perfect: LightScene, tmp_path: Path, figures: list[Any]
) -> None:
    draw(replace(perfect, simulated=[]), tmp_path / "x.png")
    assert len(figures[0].axes) == n
    assert not any(points(axes) or axes.patches for axes in figures[0].axes)
    assert all(curves(axes) for axes in figures[0].axes)


@pytest.mark.parametrize("draw", [plot_charge, plot_times, plot_azimuth])
@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")]
)
def test_a_few_photons_are_enough_for_a_picture(
    draw: Callable[..., Path], suffix: str, start: bytes, model: LightModel, tmp_path: Path
) -> None:
    few = simulate_spots(LIGHT_SPOTS, model.ice, n_photons=100, seed=1, n_threads=2)
    path = draw(LightScene(model, few, "few photons"), tmp_path / f"x{suffix}", dpi=40)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_pngs_are_1800_pixels_wide(perfect: LightScene, tmp_path: Path) -> None:
    for draw in (plot_charge, plot_azimuth):
        assert matplotlib.image.imread(draw(perfect, tmp_path / "x.png")).shape[1] == 1800
    picture = matplotlib.image.imread(plot_ice(perfect.model.ice, tmp_path / "x.png"))
    assert picture.shape[1] == 1800


def test_the_ice_is_drawn_where_it_is(tmp_path: Path, figures: list[Any]) -> None:
    """The dust of the table near -100 m lies higher where the layers rise."""
    ice = IceModel.load()
    plot_ice(ice, tmp_path / "x.png")
    profile, cut = figures[0].axes[:2]
    values = {patch.get_label(): patch.get_data() for patch in profile.patches}
    assert values["effective scattering"].values == pytest.approx(ice.layer_scattering())
    assert values["absorption"].values == pytest.approx(ice.layer_absorption())
    assert 0.5 * (
        values["absorption"].edges[1:] + values["absorption"].edges[:-1]
    ) == pytest.approx(ice.z)
    picture = np.asarray(cut.collections[0].get_array())
    heights = np.linspace(-570.0, 570.0, picture.shape[0])
    is_dusty = picture > 0.13
    along = np.linspace(-600.0, 600.0, picture.shape[1])
    for column in (0, 120, 240):
        place = [*(along[column] * ice.tilt.gradient), -105.0]
        shift = heights[is_dusty[:, column]].mean() - heights[is_dusty[:, 120]].mean()
        wanted = ice.tilt.at(place) - ice.tilt.at([0.0, 0.0, -105.0])
        assert shift == pytest.approx(wanted, abs=2.5)


def test_what_cannot_be_written_is_said(perfect: LightScene, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found \.gif"):
        plot_charge(perfect, tmp_path / "x.gif")
    with pytest.raises(OutputError, match="cannot be written"):
        plot_ice(perfect.model.ice, tmp_path / "nowhere" / "x.png")
    assert list(tmp_path.iterdir()) == []
