"""Two maps of an event and their difference, beside each other around the best fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.plot.gnomonic import View
from skymap_scanner.plot.region_lines import copy_lines, draw_region_lines
from skymap_scanner.plot.sky_panel import draw_coordinates, draw_markers, draw_scale_bar
from skymap_scanner.plot.style import (
    INK,
    UNSCANNED,
    Marker,
    color_scale,
    headline,
    make_figure,
    map_colors,
    save,
    write_centered,
)
from skymap_scanner.plot.zoom import choose_radius
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT
from skymap_scanner.result.regions import angular_distance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from skymap_scanner.result.sky_map import SkyMap
    from skymap_scanner.units import FloatArray

__all__ = ["plot_map_pair"]

#: Edge of the 90 % region of A and of B.
_LINE_A: Final = "#c23b75"
_LINE_B: Final = "#e69f00"
#: Left edges of the panels, their lower edge, width and height, in fractions of the figure.
_LEFT: Final = (0.055, 0.345, 0.685)
_BOTTOM: Final = 0.12
_SIZE: Final = (0.25, 0.67)
_FIGURE_IN: Final = (15.0, 5.6)
#: Half the width of the picture is at most this [rad]: farther out it would be stretched too much.
_MAX_RADIUS: Final = 30.0 * DEG
#: llh that stands for infinity.
_FAR_UP: Final = 1e9
#: The colours of a difference end where this part of the picture has less.
_DIFFERENCE_SHARE: Final = 0.98


def plot_map_pair(a: SkyMap, b: SkyMap, path: str | Path, *, dpi: int = 150) -> Path:
    """Draw llh above the minimum of A, of the reference B, and their difference.

    Of a map of probabilities the logarithm of the highest density over the density stands for the
    llh, as it would be for a flat prior.

    Parameters
    ----------
    a, b : SkyMap
        The map and the reference.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    dpi : int, optional
        Dots per inch of a figure 15 inches wide.

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
    view = _view_of(a, b)
    delta_a, delta_b = (_delta_llh(one, view) for one in (a, b))
    ceiling = 3.0 * max(10.0, *(one.regions.level(0.9) for one in (a, b)))
    norm = color_scale(np.stack([delta_a, delta_b]), ceiling)
    figure = make_figure(*_FIGURE_IN)
    panels = [_add_panel(figure, view, left) for left in _LEFT]
    for axes, values in zip(panels, (delta_a, delta_b), strict=False):
        image = axes.imshow(_masked(values), origin="lower", cmap=map_colors(), norm=norm)
    _add_bar(figure, image, _LEFT[1], r"$-\Delta\ln L$ above the minimum", extend="max")
    image = _draw_difference(panels[2], delta_a, delta_b, ceiling)
    _add_bar(figure, image, _LEFT[2], r"$-\Delta\ln L$ of A minus that of B", extend="both")
    _draw_marks(panels, view, a, b)
    _label(figure, panels, a, b)
    return save(figure, path, title=f"{a.name} compared with {b.name}", dpi=dpi)


def _view_of(a: SkyMap, b: SkyMap) -> View:
    """Return a square around the best fit of B that shows what is near of both 90 % regions."""
    markers = [Marker(*one.best_dir, "") for one in (a, b)]
    radius_a, radius = (choose_radius(one, one.regions, markers) for one in (a, b))
    away = float(angular_distance(*a.best_dir, *b.best_dir))
    if away < radius:
        radius = max(radius, min(radius_a + away, _MAX_RADIUS))
    return View(*b.best_dir, radius)


def _delta_llh(sky_map: SkyMap, view: View) -> FloatArray:
    """Return llh above the minimum at the samples of a picture; NaN where not scanned."""
    plain = sky_map.plain
    row = plain.cells.locate(*view.samples())
    # a probability of zero is infinitely far up, which is another thing than not scanned
    return np.where(row < 0, np.nan, np.minimum(0.5 * plain.ts[row], _FAR_UP))


def _masked(values: FloatArray) -> Any:
    return np.ma.masked_invalid(values)


def _draw_difference(axes: Any, delta_a: FloatArray, delta_b: FloatArray, ceiling: float) -> Any:
    """Draw A minus B on a scale that is made for where neither is far up."""
    import matplotlib as mpl

    difference = delta_a - delta_b
    matters = np.isfinite(difference) & (np.maximum(delta_a, delta_b) < ceiling)
    sizes = np.abs(difference[matters])
    limit = max(float(np.quantile(sizes, _DIFFERENCE_SHARE)), 1.0) if sizes.size else 1.0
    colors = mpl.colormaps["RdBu_r"].with_extremes(bad=UNSCANNED)
    return axes.imshow(_masked(difference), origin="lower", cmap=colors, vmin=-limit, vmax=limit)


def _draw_marks(panels: Sequence[Any], view: View, a: SkyMap, b: SkyMap) -> None:
    """Draw both 90 % regions, best fits, scale and coordinates into all panels."""
    lines = []
    for one, color in ((a, _LINE_A), (b, _LINE_B)):
        lines += draw_region_lines(panels[0], view, one.regions, one.plain, {0.9: color})
    markers = [Marker(*a.best_dir, "best fit A"), Marker(*b.best_dir, "best fit B")]
    for number, axes in enumerate(panels):
        if number > 0:
            copy_lines(axes, lines)
        draw_markers(axes, view, markers)
        draw_scale_bar(axes, view)
        draw_coordinates(axes, view)


def _add_panel(figure: Figure, view: View, left: float) -> Any:
    from astropy.visualization.wcsaxes import WCSAxes

    axes = WCSAxes(figure, (left, _BOTTOM, *_SIZE), wcs=view.wcs)
    figure.add_axes(axes)
    return axes


def _add_bar(figure: Figure, image: Any, left: float, label: str, *, extend: str) -> None:
    place = figure.add_axes((left + _SIZE[0] + 0.006, _BOTTOM, 0.008, _SIZE[1]))
    bar = figure.colorbar(image, cax=place, extend=extend)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5)


def _label(figure: Figure, panels: list[Any], a: SkyMap, b: SkyMap) -> None:
    """Name the maps, explain the lines, and leave the declination to the panel on the left."""
    from matplotlib.lines import Line2D

    for axes in panels[1:]:
        axes.coords[1].set_axislabel(" ")
        axes.coords[1].set_ticklabel_visible(False)
    words = (f"A: {Path(a.name).name}", f"B: {Path(b.name).name}", "A \N{MINUS SIGN} B")
    for left, title in zip(_LEFT, words, strict=True):
        middle, half = left + 0.5 * _SIZE[0], 0.54 * _SIZE[0]
        line = figure.text(middle, 0.805, title, ha="center", fontsize=9, color=INK)
        width = line.get_window_extent().width / figure.bbox.width
        line.set_fontsize(9 * min(1.0, 2.0 * half / width))
    named = next((one.result for one in (a, b) if _has_event(one)), None)
    if named is not None:
        write_centered(figure, 0.5, 0.935, headline(named), 11)
    handles, _ = panels[0].get_legend_handles_labels()
    for name, color in (("A", _LINE_A), ("B", _LINE_B)):
        handles.append(Line2D([], [], color=color, linewidth=1.8, label=f"90 % region {name}"))
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.92), ncols=4, frameon=False,
        fontsize=9,
    )  # fmt: skip


def _has_event(sky_map: SkyMap) -> bool:
    if sky_map.result is None:
        return False
    return str(sky_map.result.get_event_metadata()) != str(UNKNOWN_EVENT)
