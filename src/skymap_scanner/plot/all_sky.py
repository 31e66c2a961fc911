r"""The whole sky in Mollweide's projection, equatorial coordinates, right ascension to the left.

References
----------
.. [1] J. P. Snyder, "Map projections: a working manual", USGS Professional Paper 1395 (1987) 249
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.plot.style import (
    INK,
    LINE_90,
    Marker,
    best_fit_label,
    color_scale,
    halo,
    headline,
    make_figure,
    map_colors,
    region_mask,
    save,
    signed,
    subtitle,
    write_centered,
)
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import SkyRegions, find_regions, region_summary
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from skymap_scanner.result.scan_result import SkyScanResult
    from skymap_scanner.units import FloatArray

__all__ = ["mollweide", "mollweide_inverse", "plot_all_sky"]

#: Samples of the map across the ellipse [count]; its pixels are 0.25 deg wide at the centre.
_N_X: Final = 1440
#: Part of the map whose TS gets colours of its own; the rest has the palest one.
_CEILING_QUANTILE: Final = 0.9
#: Colours follow this power of TS, which reaches thousands in most of the sky.
_GAMMA: Final = 0.6
#: A region is outlined when it is larger than this [sr]; a smaller one hides under its marker.
_OUTLINE_FROM: Final = 25.0 * DEG**2
#: North galactic pole, ICRS [rad], and the position angle of the galactic centre seen from it
#: (Hipparcos catalogue, ESA SP-1200, vol. 1, section 1.5.3).
_GALACTIC_POLE: Final = (192.85948 * DEG, 27.12825 * DEG)
_ASCENDING_NODE: Final = 32.93192 * DEG


def plot_all_sky(
    result: SkyScanResult,
    path: str | Path,
    *,
    reco_algo: str = "",
    markers: Sequence[Marker] = (),
    center_ra_deg: float = 180.0,
    dpi: int = 200,
) -> Path:
    """Draw the whole map.

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
        Directions to mark besides the best fit.
    center_ra_deg : float, optional
        Right ascension in the middle [deg].
    dpi : int, optional
        Dots per inch of a figure 8 inches wide.

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
    reco_algo = reco_algo or result.header.reco_algo
    regions = find_regions(result, reco_algo)
    summary = region_summary(result, reco_algo)
    figure = make_figure(8.0, 5.2)
    axes = figure.add_axes((0.05, 0.15, 0.9, 0.74))
    axes.set_aspect("equal")
    axes.set_axis_off()
    center_ra = center_ra_deg * DEG

    # the pixels as they were scanned, not convolved
    pixels = regions if regions.rule.floor_deg == 0.0 else find_regions(result, WILKS)
    image = _draw_map(axes, _sample(pixels, center_ra))
    if regions.area(0.9) > _OUTLINE_FROM:
        _outline(axes, _sample(regions, center_ra), summary.level90)
    _draw_graticule(axes, center_ra)
    _draw_galactic_plane(axes, center_ra)
    best = Marker(*result.best_dir, best_fit_label(summary))
    _draw_markers(axes, [best, *markers], center_ra)

    bar_axes = figure.add_axes((0.62, 0.085, 0.31, 0.02))
    bar = figure.colorbar(image, cax=bar_axes, orientation="horizontal", extend="max")
    bar.set_label(r"$-2\,\Delta\ln L$", fontsize=8.5, labelpad=1)
    bar.set_ticks(_ticks(float(image.norm.vmax)))
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=7.5, length=2)
    _draw_legend(figure, axes)
    write_centered(figure, 0.5, 0.955, headline(result), 11.0)
    write_centered(figure, 0.5, 0.915, "   ".join(subtitle(summary, reco_algo)), 8.5)
    return save(figure, path, title=headline(result), dpi=dpi)


def mollweide(longitude: ArrayLike, latitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Project to the plane.

    Parameters
    ----------
    longitude, latitude : array_like
        Angles [rad]; longitudes from -pi to pi.

    Returns
    -------
    x, y : ndarray
        x from -2 to 2, y from -1 to 1.
    """
    lon, lat = np.asarray(longitude, float), np.asarray(latitude, float)
    theta = np.asarray(lat, float).copy()
    goal = np.pi * np.sin(lat)
    for _ in range(40):
        # Newton's method converges slowly at the poles only, where a step is safe to limit
        slope = np.maximum(2.0 + 2.0 * np.cos(2.0 * theta), 1e-9)
        theta = theta - np.clip((2.0 * theta + np.sin(2.0 * theta) - goal) / slope, -0.2, 0.2)
    theta = np.clip(theta, -0.5 * np.pi, 0.5 * np.pi)
    return 2.0 * lon / np.pi * np.cos(theta), np.sin(theta)


def mollweide_inverse(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return longitude and latitude [rad] of points of the plane; NaN outside of the ellipse."""
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = np.arcsin(y)
        latitude = np.arcsin((2.0 * theta + np.sin(2.0 * theta)) / np.pi)
        longitude = np.pi * x / (2.0 * np.cos(theta))
    outside = ~(np.abs(longitude) <= np.pi)
    return np.where(outside, np.nan, longitude), np.where(outside, np.nan, latitude)


def _sample(regions: SkyRegions, center_ra: float) -> FloatArray:
    """Return the TS on the grid of the picture; NaN outside of the ellipse, inf if not scanned."""
    longitude, latitude = mollweide_inverse(*np.meshgrid(*_grid_axes()))
    inside = np.isfinite(longitude)
    ts = np.full(longitude.shape, np.nan)
    ts[inside] = regions.ts_at(center_ra - longitude[inside], latitude[inside])
    return ts


def _grid_axes() -> tuple[FloatArray, FloatArray]:
    n_y = _N_X // 2
    return (np.arange(_N_X) + 0.5) / _N_X * 4.0 - 2.0, (np.arange(n_y) + 0.5) / n_y * 2.0 - 1.0


def _draw_map(axes: Any, ts: FloatArray) -> Any:
    from matplotlib.patches import Ellipse

    extent = (-2.0, 2.0, -1.0, 1.0)
    scanned = ts[np.isfinite(ts)]
    scale = color_scale(scanned, float(np.quantile(scanned, _CEILING_QUANTILE)), _GAMMA)
    image = axes.imshow(
        np.ma.masked_invalid(ts),
        extent=extent,
        origin="lower",
        cmap=map_colors(),
        norm=scale,
        interpolation="nearest",
    )
    edge = Ellipse((0.0, 0.0), 4.0, 2.0, fill=False, edgecolor=INK, linewidth=1.0, zorder=4)
    axes.add_patch(edge)
    image.set_clip_path(edge)
    axes.set_xlim(-2.02, 2.02)
    axes.set_ylim(-1.02, 1.02)
    return image


def _ticks(highest: float) -> list[float]:
    """Return 0 and the powers of ten, and three times them, that lie well apart on the scale."""
    ticks = [0.0]
    for exponent in range(-2, 9):
        for factor in (1.0, 3.0):
            tick = factor * 10.0**exponent
            apart = (tick / highest) ** _GAMMA - (ticks[-1] / highest) ** _GAMMA
            if tick <= highest and apart > 0.13:
                ticks.append(tick)
    return ticks


def _outline(axes: Any, ts: FloatArray, level: float) -> None:
    inside = np.ma.array(region_mask(ts, level).astype(float), mask=np.isnan(ts))
    if inside.min() < inside.max():
        axes.contour(*_grid_axes(), inside, levels=[0.5], colors=[LINE_90], linewidths=1.4)
    axes.plot([], [], color=LINE_90, linewidth=1.4, label="90 % region")


def _draw_graticule(axes: Any, center_ra: float) -> None:
    style: dict[str, Any] = {"color": INK, "linewidth": 0.5, "alpha": 0.35, "zorder": 3}
    fine = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 181)
    for longitude in np.arange(-150.0, 180.0, 30.0) * DEG:
        axes.plot(*mollweide(np.full_like(fine, longitude), fine), **style)
    for dec_deg in range(-60, 90, 30):
        dec = np.full(2, dec_deg * DEG)
        x, y = mollweide(np.array([-np.pi, np.pi]), dec)
        axes.plot(x, y, **style)
        if dec_deg:
            axes.text(
                x[0] - 0.03,
                y[0],
                signed(dec_deg, 0),
                ha="right",
                va="center",
                fontsize=8,
                color=INK,
            )
    axes.text(-2.04, 0.0, "0°", ha="right", va="center", fontsize=8, color=INK)
    for ra_deg in range(0, 360, 60):
        longitude = _wrap(center_ra - ra_deg * DEG)
        if abs(abs(longitude) - np.pi) < 1e-6:
            continue
        x, y = mollweide(longitude, -0.04)
        text = axes.text(x, y, f"{ra_deg}°", ha="center", va="top", fontsize=7.5, color=INK)
        text.set_path_effects(halo())


def _draw_galactic_plane(axes: Any, center_ra: float) -> None:
    longitude = np.linspace(-np.pi, np.pi, 721)
    ra, dec = _galactic_to_equatorial(longitude)
    x_angle = _wrap(center_ra - ra)
    order = np.argsort(x_angle)
    style: dict[str, Any] = {"color": INK, "linewidth": 0.9, "alpha": 0.6, "zorder": 3}
    axes.plot(
        *mollweide(x_angle[order], dec[order]),
        linestyle=(0, (5, 3)),
        label="Galactic plane",
        **style,
    )
    ra, dec = _galactic_to_equatorial(np.zeros(1))
    axes.plot(*mollweide(_wrap(center_ra - ra), dec), marker="o", markersize=3, **style)


def _galactic_to_equatorial(longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return right ascension and declination [rad] of points on the galactic plane."""
    pole_ra, pole_dec = _GALACTIC_POLE
    angle = longitude - _ASCENDING_NODE
    dec = np.arcsin(np.cos(pole_dec) * np.sin(angle))
    ra = pole_ra + np.arctan2(np.cos(angle), -np.sin(pole_dec) * np.sin(angle))
    return ra, dec


def _draw_markers(axes: Any, markers: Sequence[Marker], center_ra: float) -> None:
    shapes = ("*", "D", "X", "P")
    sizes = (13.0, 7.0, 8.0, 8.0)
    colors = ("#d55e00", "#f0e442", "#ffffff", "#cc79a7")
    for number, marker in enumerate(markers):
        which = min(number, len(shapes) - 1)
        x, y = mollweide(_wrap(center_ra - marker.ra), marker.dec)
        axes.plot(
            x,
            y,
            linestyle="none",
            marker=shapes[which],
            markersize=sizes[which],
            color=colors[which],
            markeredgecolor=INK,
            markeredgewidth=0.8,
            zorder=6,
            clip_on=False,
            label=marker.label,
        )


def _draw_legend(figure: Any, axes: Any) -> None:
    """Explain up to six signs in two columns below the map, left of the colour bar."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(0.04, 0.148),
        ncols=2,
        frameon=False,
        fontsize=8,
        handletextpad=0.6,
        columnspacing=1.4,
        borderpad=0.2,
    )


def _wrap(angle: Any) -> Any:
    """Return angles between -pi and pi."""
    return (np.asarray(angle) + np.pi) % (2.0 * np.pi) - np.pi
