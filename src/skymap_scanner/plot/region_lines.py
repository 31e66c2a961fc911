"""Edges of regions: smooth where the map is fine, borders of pixels where it is coarse."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.plot.style import LINE_50, LINE_90, region_mask
from skymap_scanner.result.regions import angular_distance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.contour import ContourSet
    from matplotlib.tri import Triangulation
    from numpy.typing import NDArray

    from skymap_scanner.plot.gnomonic import View
    from skymap_scanner.result.regions import SkyRegions

__all__ = ["copy_lines", "draw_region_lines"]

#: A region of fewer pixels than this is drawn with their borders.
_FEW_PIXELS: Final = 10


def draw_region_lines(
    axes: Any,
    view: View,
    regions: SkyRegions,
    plain: SkyRegions,
    colors: Mapping[float, str] = MappingProxyType({0.5: LINE_50, 0.9: LINE_90}),
) -> list[ContourSet]:
    """Draw the edges of regions.

    Parameters
    ----------
    axes : WCSAxes
        Where the picture is.
    view : View
        What it shows.
    regions : SkyRegions
        The regions.
    plain : SkyRegions
        The pixels as they were scanned, not convolved.
    colors : Mapping, optional
        Probability -> colour of the line; default: the 50 % and 90 % regions in their colours.

    Returns
    -------
    list of ContourSet
        What was drawn; `copy_lines` draws it again in another picture of the same view.
    """
    lines = [(regions.level(one), colors[one]) for one in sorted(colors, reverse=True)]
    ts = regions.ts_at(*view.samples())
    insides = [region_mask(ts, level) for level, _ in lines]
    is_coarse = any(_is_of_few_pixels(regions, plain, level) for level, _ in lines)
    if not is_coarse and not _touch(insides[0], ~np.isfinite(ts)):
        return _draw_smooth_lines(axes, view, regions, dict(lines))
    # the smaller region on top and in a thinner line: both are seen where they share a border
    return [
        axes.contour(inside.astype(float), levels=[0.5], colors=[color], linewidths=width)
        for inside, (_, color), width in zip(insides, lines, (2.8, 1.4), strict=False)
        if not inside.all()
    ]


def copy_lines(axes: Any, lines: list[ContourSet]) -> None:
    """Draw lines of another picture of the same view, which need not be computed again."""
    from matplotlib.collections import PathCollection

    for line in lines:
        axes.add_collection(
            PathCollection(
                line.get_paths(),
                facecolors="none",
                edgecolors=line.get_edgecolor(),
                linewidths=line.get_linewidth(),
                zorder=line.get_zorder(),
            ),
            autolim=False,
        )


def _is_of_few_pixels(regions: SkyRegions, plain: SkyRegions, level: float) -> bool:
    """Tell whether a region consists of a few pixels as scanned, in however many cells.

    Parts of a pixel share its value: one that holds a large part of the region is a large pixel.
    """
    inside = regions.cells.take(regions.ts <= level)
    _, pixel = np.unique(plain.ts_at(*inside.centers()), return_inverse=True)
    area = np.bincount(pixel, inside.area)
    return bool(_FEW_PIXELS * area.max() > area.sum())


def _touch(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Tell whether a sample of one part of the picture is next to one of another part."""
    beside = one[1:] & other[:-1], one[:-1] & other[1:]
    above = one[:, 1:] & other[:, :-1], one[:, :-1] & other[:, 1:]
    return any(bool(pairs.any()) for pairs in (*beside, *above))


def _draw_smooth_lines(
    axes: Any, view: View, regions: SkyRegions, levels: dict[float, str]
) -> list[ContourSet]:
    """Draw contours, given as TS -> colour, on triangles between the centres of cells."""
    from matplotlib.tri import Triangulation

    ra, dec = regions.cells.centers()
    distance = angular_distance(ra, dec, *view.center)
    # cells whose centres lie around the picture hold up the surface at its edges
    reach = np.sqrt(2.0) * view.radius + 2.0 * np.sqrt(regions.cells.area)
    near = distance < np.minimum(reach, 80.0 * DEG)
    if np.count_nonzero(near) < 4:
        return []
    # far above the levels the height does not matter, but infinity would spoil the interpolation
    heights = np.minimum(regions.ts[near], 10.0 * max(levels) + 10.0)
    triangles = Triangulation(*view.to_image(ra[near], dec[near]))
    triangles.set_mask(_leaves_scanned(triangles, view, regions))
    drawn = axes.tricontour(
        triangles,
        heights,
        levels=sorted(levels),
        colors=[levels[level] for level in sorted(levels)],
        linewidths=1.8,
    )
    return [drawn]


def _leaves_scanned(triangles: Triangulation, view: View, regions: SkyRegions) -> Any:
    """Tell for each triangle whether its centre or the middle of an edge was not scanned."""
    x, y = triangles.x[triangles.triangles], triangles.y[triangles.triangles]
    probes = [[0, 1, 2], [0, 1], [1, 2], [2, 0]]
    outside = [
        ~np.isfinite(regions.ts_at(*view.to_sky(x[:, corners].mean(1), y[:, corners].mean(1))))
        for corners in probes
    ]
    return np.any(outside, axis=0)
