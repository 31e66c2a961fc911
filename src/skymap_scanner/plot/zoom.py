"""The neighbourhood of the best fit in gnomonic projection, with the 50 % and 90 % regions.

The picture shows the pixels as they were scanned. The lines of the regions run between the centres
of the cells, so that they are smooth where the map is. Around a region of a few pixels, and one
that reaches the edge of what was scanned, they are the borders of the cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.plot.gnomonic import View
from skymap_scanner.plot.region_lines import draw_region_lines
from skymap_scanner.plot.sky_panel import draw_coordinates, draw_markers, draw_scale_bar
from skymap_scanner.plot.style import (
    LINE_50,
    LINE_90,
    Marker,
    best_fit_label,
    color_scale,
    headline,
    make_figure,
    map_colors,
    save,
    subtitle,
    write_centered,
)
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import (
    SkyRegions,
    angular_distance,
    find_regions,
    region_summary,
)
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from skymap_scanner.result.scan_result import SkyScanResult
    from skymap_scanner.result.sky_map import SkyMap

__all__ = ["choose_radius", "plot_zoom"]

#: Half the width of the picture [rad]: at least, and at most (a gnomonic map stretches by 1/cos^2).
_MIN_RADIUS: Final = 0.8 * DEG
_MAX_RADIUS: Final = 30.0 * DEG
#: Room around the 90 % region, and around a marker that lies outside of it.
_MARGIN: Final = 1.4
_MARKER_MARGIN: Final = 1.15
#: A marker farther away than this many radii is not allowed to shrink the region.
_MARKER_REACH: Final = 3.0


def plot_zoom(
    result: SkyScanResult,
    path: str | Path,
    *,
    reco_algo: str = "",
    markers: Sequence[Marker] = (),
    radius_deg: float | None = None,
    dpi: int = 200,
) -> Path:
    """Draw the neighbourhood of the best fit.

    Parameters
    ----------
    result : SkyScanResult
        A map with at least one pixel.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    reco_algo : str, optional
        Name of the reconstruction, which decides how regions are made; default: the one
        that the result names.
    markers : sequence of Marker, optional
        Directions to mark besides the best fit: the truth of a simulation, the online track ...
    radius_deg : float, optional
        Half the width of the picture [deg], up to 30; default: what the regions and markers need.
    dpi : int, optional
        Dots per inch of a figure 6.4 inches wide.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ResultError
        When the result has no pixels.
    UsageError
        When the suffix is not known.
    OutputError
        When the file cannot be written.
    """
    from astropy.visualization.wcsaxes import WCSAxes

    reco_algo = reco_algo or result.header.reco_algo
    regions = find_regions(result, reco_algo)
    summary = region_summary(result, reco_algo)
    radius = choose_radius(result, regions, markers) if radius_deg is None else radius_deg * DEG
    radius = float(np.clip(radius, 0.01 * DEG, _MAX_RADIUS))

    figure = make_figure(6.4, 6.2)
    view = View(*result.best_dir, radius)
    axes = WCSAxes(figure, (0.13, 0.1, 0.7, 0.72), wcs=view.wcs)
    figure.add_axes(axes)
    plain = regions if regions.rule.floor_deg == 0.0 else find_regions(result, WILKS)
    image = _draw_pixels(axes, view, plain, summary.level90)
    draw_region_lines(axes, view, regions, plain)
    best = Marker(*result.best_dir, best_fit_label(summary))
    draw_markers(axes, view, [best, *markers])
    draw_scale_bar(axes, view)
    draw_coordinates(axes, view)

    bar = figure.colorbar(image, cax=figure.add_axes((0.85, 0.1, 0.022, 0.72)), extend="max")
    bar.set_label(r"$-2\,\Delta\ln L$", fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5)
    _draw_legend(figure, axes)
    write_centered(figure, 0.48, 0.968, headline(result), 10.5)
    for line, y in zip(subtitle(summary, reco_algo), (0.94, 0.918), strict=False):
        write_centered(figure, 0.48, y, line, 8.5)
    return save(figure, path, title=headline(result), dpi=dpi)


def choose_radius(
    result: SkyScanResult | SkyMap, regions: SkyRegions, markers: Sequence[Marker]
) -> float:
    """Find half the width of a picture that shows the 90 % region and markers near it [rad].

    Parameters
    ----------
    result : SkyScanResult or SkyMap
        A map.
    regions : SkyRegions
        Its regions.
    markers : sequence of Marker
        Directions that should be seen.
    """
    is_inside = regions.ts <= regions.level(0.9)
    inside = regions.cells.take(is_inside)
    distance = angular_distance(*inside.centers(), *result.best_dir)
    # of a region with a second part far away, the part around the best fit is shown
    near = np.minimum(distance, 4.0 * np.sqrt(regions.area(0.9) / np.pi))
    extent = float(np.max(near + np.sqrt(0.5 * inside.area)))
    radius = max(_MARGIN * extent, _MIN_RADIUS)
    for marker in markers:
        away = float(angular_distance(marker.ra, marker.dec, *result.best_dir))
        if away < _MARKER_REACH * radius:
            radius = max(radius, _MARKER_MARGIN * away)
    return min(radius, _MAX_RADIUS)


def _draw_pixels(axes: Any, view: View, plain: SkyRegions, level90: float) -> Any:
    ts = plain.ts_at(*view.samples())
    ts[~np.isfinite(ts)] = np.nan
    return axes.imshow(
        np.ma.masked_invalid(ts),
        origin="lower",
        cmap=map_colors(),
        norm=color_scale(ts, max(6.0 * level90, 30.0)),
        interpolation="nearest",
    )


def _draw_legend(figure: Any, axes: Any) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=LINE_50, linewidth=1.8, label="50 % region"),
        Line2D([], [], color=LINE_90, linewidth=1.8, label="90 % region"),
    ]
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles=[*handles, *lines],
        loc="upper center",
        bbox_to_anchor=(0.48, 0.915),
        ncols=3,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.5,
        columnspacing=1.6,
    )
