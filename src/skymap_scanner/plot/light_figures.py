"""Pictures of a light model: charge and arrival times of cascades, with Monte Carlo beside it.

Lines are the model, points and shaded steps the simulation. Both are means over the same cells; a
point stands at the distance at which the model has its mean over the cell [1]_, so that it lies on
the line exactly when model and simulation agree there.

References
----------
.. [1] G. D. Lafferty and T. R. Wyatt, NIM A 355 (1995) 541, :doi:`10.1016/0168-9002(94)01112-5`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.light.cells import N_AZIMUTH, R_EDGES, axis_frame
from skymap_scanner.light.medium import FLOW_AZIMUTH
from skymap_scanner.light.propagation import TIME_EDGES, TIME_OFFSET
from skymap_scanner.light.spots import (
    average_cdf,
    average_charge,
    charge_around,
    charge_at,
)
from skymap_scanner.plot.light_panels import (
    BEAM_SPOTS,
    COLORS,
    MAX_ERROR,
    RING_SPOTS,
    LightScene,
    add_rows,
    draw_legend,
    draw_points,
    draw_ratio,
    write_head,
)
from skymap_scanner.plot.style import INK, make_figure, save
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.light.spots import Spot, View
    from skymap_scanner.units import FloatArray

__all__ = ["plot_azimuth", "plot_charge", "plot_times"]

#: Cells of distance that are drawn: up to 311 m.
_CELLS: Final = range(int(np.searchsorted(R_EDGES, 320.0)) - 1)
#: Distances of which the times are drawn, and of the rings [m].
_TIME_DISTANCES: Final = (10.0, 30.0, 60.0, 100.0, 150.0, 200.0)
_RING_DISTANCES: Final = (100.0, 200.0)
_DISTANCE_TICKS: Final = (1, 10, 30, 60, 100, 150, 200, 300)
_DELAY_TICKS: Final = (0, 3, 10, 30, 100, 300, 1000, 3000)
#: Times are drawn where the charge of their cell is known better than this.
_MAX_TIME_ERROR: Final = 0.2
#: Differences between distributions are drawn up to this.
_MAX_DIFFERENCE: Final = 0.1
_BESIDE_WORDS: Final = "modules within 45° of its horizontal plane"


def plot_charge(scene: LightScene, path: str | Path, *, dpi: int = 200) -> Path:
    """Draw charge per energy against distance, in clean and in dusty ice.

    Parameters
    ----------
    scene : LightScene
        What is shown.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    dpi : int, optional
        Dots per inch of a figure 9 inches wide.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        When the suffix is not known.
    OutputError
        When the file cannot be written.
    """
    figure = make_figure(9.0, 5.8)
    panels, strips = add_rows(
        figure, len(BEAM_SPOTS), foot=0.095, head=0.835, has_strip=bool(scene.simulated)
    )
    for number, spot in enumerate(BEAM_SPOTS):
        _draw_charge(panels[number], strips[number] if strips else None, spot, scene)
        (strips or panels)[number].set_xlabel("distance [m]", fontsize=9.5)
    panels[0].set_ylabel("charge per energy [PE/GeV]", fontsize=9.5)
    if strips:
        strips[0].set_ylabel("MC / model", fontsize=9.5)
    title = f"Light of a horizontal electromagnetic cascade, {_BESIDE_WORDS}"
    write_head(figure, scene, title)
    names = [f"{view.name} ({_angles(view)})" for view in BEAM_SPOTS[0].views]
    draw_legend(figure, names, COLORS, scene)
    return save(figure, path, title=f"Charge against distance: {scene.note}", dpi=dpi)


def _draw_charge(panel: Any, strip: Any, spot: Spot, scene: LightScene) -> None:
    light = scene.light(spot)
    distance = np.geomspace(1.02 * R_EDGES[0], R_EDGES[_CELLS.stop], 160)
    for kind, view in enumerate(spot.views):
        line = charge_at(scene.model, spot, view, distance)
        panel.plot(distance, line, color=COLORS[kind], linewidth=1.3)
        if light is None:
            continue
        charge = light.charge[kind, : _CELLS.stop]
        error = light.charge_error[kind, : _CELLS.stop]
        known = np.flatnonzero((charge > 0.0) & (error < MAX_ERROR * charge))
        mean = average_charge(scene.model, spot, view, _CELLS)[known]
        charge, error = charge[known], error[known]
        x = np.array([_place(int(k), m, distance, line) for k, m in zip(known, mean, strict=True)])
        draw_points(panel, kind, x, charge, error)
        draw_ratio(strip, kind, x, charge / mean, error / mean)
    _stretch(panel, np.sqrt, np.square, _DISTANCE_TICKS)
    panel.set_xlim(0.0, R_EDGES[_CELLS.stop] + 5.0)
    panel.set_yscale("log")
    panel.set_ylim(1e-7, 20.0)
    _name(panel, spot)


def _place(cell: int, mean: float, distance: FloatArray, line: FloatArray) -> float:
    """Return the distance in a cell at which a line has some value, or is nearest to it [m]."""
    inside = np.linspace(R_EDGES[cell], R_EDGES[cell + 1], 65)
    there = np.exp(np.interp(np.log(inside), np.log(distance), np.log(np.maximum(line, 1e-300))))
    return float(inside[np.argmin(np.abs(there - mean))])


def plot_times(scene: LightScene, path: str | Path, *, dpi: int = 200) -> Path:
    """Draw distributions of arrival times at some distances, and how far the model is off.

    Parameters
    ----------
    scene, path, dpi
        As for `plot_charge`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError, OutputError
        As for `plot_charge`.
    """
    figure = make_figure(9.0, 8.6)
    views = BEAM_SPOTS[0].views
    rows = ((views[0], 0.51, 0.885), (views[2], 0.065, 0.47))
    for view, foot, head in rows:
        is_low = view is views[2]
        panels, strips = add_rows(
            figure, len(BEAM_SPOTS), foot=foot, head=head, has_strip=bool(scene.simulated)
        )
        for number, spot in enumerate(BEAM_SPOTS):
            strip = strips[number] if strips else None
            _draw_times(panels[number], strip, scene, spot, view)
            if is_low:
                (strip or panels[number]).set_xlabel(
                    "delay t after direct light [ns]", fontsize=9.5
                )
            else:
                (strip or panels[number]).tick_params(labelbottom=False)
                _name(panels[number], spot)
        words = f"{view.name} ({_angles(view)})\nlight per unit of ln(t + 2 ns)"
        panels[0].set_ylabel(words, fontsize=9)
        panels[0].set_ylim(0.0, None)
        panels[0].yaxis.set_label_coords(-0.17, 0.5)
        if strips:
            strips[0].yaxis.set_label_coords(-0.17, 0.5)
            strips[0].set_ylabel("CDF, model\n\N{MINUS SIGN} MC", fontsize=8)
    write_head(figure, scene, "Arrival times of the light of a horizontal cascade")
    draw_legend(figure, _names(_TIME_DISTANCES), _time_colors(), scene)
    return save(figure, path, title=f"Arrival times: {scene.note}", dpi=dpi)


def _draw_times(panel: Any, strip: Any, scene: LightScene, spot: Spot, view: View) -> None:
    cells = [_cell(distance) for distance in _TIME_DISTANCES]
    cdf = average_cdf(scene.model, spot, view, cells)
    edges = TIME_EDGES
    per_unit = 1.0 / np.diff(np.log(edges + TIME_OFFSET))
    middle = np.sqrt((edges[1:] + TIME_OFFSET) * (edges[:-1] + TIME_OFFSET)) - TIME_OFFSET
    light = scene.light(spot)
    kind = spot.views.index(view)
    for row, (cell, color) in enumerate(zip(cells, _time_colors(), strict=True)):
        panel.plot(middle, np.diff(cdf[row]) * per_unit, color=color, linewidth=1.3, zorder=3)
        if light is None:
            continue
        if not light.charge_error[kind, cell] < _MAX_TIME_ERROR * light.charge[kind, cell]:
            continue
        times = light.times[kind, cell]
        panel.stairs(times * per_unit, edges, fill=True, color=color, alpha=0.22, zorder=1)
        panel.errorbar(
            middle, times * per_unit, light.times_error[kind, cell] * per_unit,
            color=color, linestyle="none", elinewidth=0.7, alpha=0.8, zorder=2,
        )  # fmt: skip
        difference = cdf[row, 1:-1] - np.cumsum(times)[:-1]
        strip.plot(edges[1:-1], difference, color=color, linewidth=1.1)
    _stretch(
        panel,
        lambda t: np.log(np.maximum(t, -1.9) + TIME_OFFSET),
        lambda u: np.exp(u) - TIME_OFFSET,
        _DELAY_TICKS,
    )
    panel.set_xlim(0.0, edges[-1])
    if strip is not None:
        strip.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
        strip.set_ylim(-_MAX_DIFFERENCE, _MAX_DIFFERENCE)
        strip.set_yticks([-0.05, 0.0, 0.05])


def plot_azimuth(scene: LightScene, path: str | Path, *, dpi: int = 200) -> Path:
    """Draw charge around cascades that travel down, which the flow of the ice makes uneven.

    Parameters
    ----------
    scene, path, dpi
        As for `plot_charge`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError, OutputError
        As for `plot_charge`.
    """
    figure = make_figure(9.0, 5.6)
    panels, strips = add_rows(
        figure, len(RING_SPOTS), foot=0.095, head=0.835, has_strip=bool(scene.simulated)
    )
    for number, spot in enumerate(RING_SPOTS):
        _draw_azimuth(panels[number], strips[number] if strips else None, spot, scene)
        words = "azimuth of the module from the axis of the ice flow [deg]"
        (strips or panels)[number].set_xlabel(words, fontsize=9.5)
    panels[0].set_ylabel("charge / mean over azimuth of the model", fontsize=9.5)
    if strips:
        strips[0].set_ylabel("MC / model", fontsize=9.5)
    view = RING_SPOTS[0].views[0]
    title = (
        f"Light around an electromagnetic cascade that travels down, {_angles(view)} to its axis"
    )
    write_head(figure, scene, title)
    draw_legend(figure, _names(_RING_DISTANCES), COLORS, scene)
    return save(figure, path, title=f"Charge against azimuth: {scene.note}", dpi=dpi)


def _draw_azimuth(panel: Any, strip: Any, spot: Spot, scene: LightScene) -> None:
    light = scene.light(spot)
    middle = 2.0 * np.pi * (np.arange(N_AZIMUTH, dtype=np.float64) + 0.5) / N_AZIMUTH
    for kind, distance in enumerate(_RING_DISTANCES):
        cell = _cell(distance)
        turn, line = charge_around(scene.model, spot, spot.views[0].cosine, cell)
        x = _from_flow(spot, turn)
        order = np.argsort(x)
        mean = line.mean()
        panel.plot(x[order], line[order] / mean, color=COLORS[kind], linewidth=1.3)
        if light is None:
            continue
        charge, error = light.charge[:, cell], light.charge_error[:, cell]
        known = (charge > 0.0) & (error < MAX_ERROR * charge)
        x = _from_flow(spot, middle)[known]
        model = np.array([average_charge(scene.model, spot, v, [cell])[0] for v in spot.views])
        charge, error, model = charge[known], error[known], model[known]
        draw_points(panel, kind, x, charge / mean, error / mean)
        draw_ratio(strip, kind, x, charge / model, error / model)
    panel.set_xlim(-180.0, 180.0)
    panel.set_xticks(range(-135, 136, 45))
    _name(panel, spot)


def _from_flow(spot: Spot, turn: FloatArray) -> FloatArray:
    """Return azimuths about the axis of a vertical source as azimuths from the flow axis [deg]."""
    x, y, _ = (
        np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], -1)
        .dot(axis_frame(spot.direction))
        .T
    )
    azimuth = (np.arctan2(y, x) - FLOW_AZIMUTH) / DEG
    return np.asarray((azimuth + 180.0) % 360.0 - 180.0)


def _cell(distance: float) -> int:
    """Return the cell whose middle is nearest to a distance [m]."""
    return int(np.argmin(np.abs(0.5 * (R_EDGES[1:] + R_EDGES[:-1]) - distance)))


def _names(distances: tuple[float, ...]) -> list[str]:
    """Return the middles of the cells at some distances."""
    cells = [_cell(distance) for distance in distances]
    return [f"{0.5 * (R_EDGES[k] + R_EDGES[k + 1]):.0f} m" for k in cells]


def _time_colors() -> list[tuple[float, float, float, float]]:
    """Return a colour for each distance: dark near, light far."""
    from matplotlib import colormaps

    n = len(_TIME_DISTANCES)
    return [colormaps["plasma"](0.86 * k / (n - 1)) for k in range(n)]


def _angles(view: View) -> str:
    low, high = view.angles_deg
    return f"{low:g}° to {high:g}°"


def _name(axes: Any, spot: Spot) -> None:
    height = f"{spot.xyz[2]:g}".replace("-", "\N{MINUS SIGN}")
    axes.set_title(f"{spot.name}, z = {height} m", fontsize=9.5, color=INK, pad=4.0)


def _stretch(axes: Any, forward: Any, inverse: Any, ticks: tuple[int, ...]) -> None:
    """Give the x axis a scale and ticks of its own."""
    axes.set_xscale("function", functions=(lambda x: forward(np.maximum(x, -1.9)), inverse))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
