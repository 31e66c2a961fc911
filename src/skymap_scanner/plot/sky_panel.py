"""What every picture of a piece of sky carries: markers, a scale bar, coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.plot.gnomonic import N_PIXELS
from skymap_scanner.plot.style import INK, Marker, halo, signed
from skymap_scanner.result.regions import angular_distance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.plot.gnomonic import View

__all__ = ["draw_coordinates", "draw_markers", "draw_scale_bar"]

#: Lengths of the scale bar [deg].
_BAR_LENGTHS_DEG: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def draw_markers(axes: Any, view: View, markers: Sequence[Marker]) -> None:
    """Mark directions, each in its own shape; those outside get their distance in the legend."""
    shapes = ("+", "*", "x", "D", "P")
    sizes = (13.0, 13.0, 9.0, 7.0, 8.0)
    for number, marker in enumerate(markers):
        which = min(number, len(shapes) - 1)
        away = angular_distance(marker.ra, marker.dec, *view.center)
        label = marker.label
        if away > np.sqrt(2.0) * view.radius:
            label = f"{label} (outside, {float(away) / DEG:.1f}° away)"
            x, y = np.full(1, np.nan), np.full(1, np.nan)
        else:
            x, y = view.to_image(np.array([marker.ra]), np.array([marker.dec]))
        is_line = shapes[which] in "+x"
        (artist,) = axes.plot(
            x,
            y,
            linestyle="none",
            marker=shapes[which],
            markersize=sizes[which],
            color=INK if is_line else "#f0e442",
            markeredgecolor=INK,
            markeredgewidth=1.8 if is_line else 0.9,
            label=label,
            zorder=6,
        )
        if is_line:
            artist.set_path_effects(halo(3.5))


def draw_scale_bar(axes: Any, view: View) -> None:
    """Draw a bar of a round number of degrees into the lower left corner."""
    per_degree = N_PIXELS / (2.0 * view.half_width / DEG)
    lengths = [length for length in _BAR_LENGTHS_DEG if length * per_degree < 0.3 * N_PIXELS]
    length_deg = max(lengths, default=_BAR_LENGTHS_DEG[0])
    start, height = 0.05 * N_PIXELS, 0.05 * N_PIXELS
    end = start + length_deg * per_degree
    (line,) = axes.plot([start, end], [height, height], color=INK, linewidth=2.2, zorder=5)
    line.set_path_effects(halo(4.0))
    text = axes.text(
        0.5 * (start + end),
        height + 0.012 * N_PIXELS,
        f"{length_deg:g}°",
        ha="center",
        va="bottom",
        fontsize=9,
        color=INK,
        zorder=5,
    )
    text.set_path_effects(halo())


def draw_coordinates(axes: Any, view: View) -> None:
    """Draw meridians and parallels with their values, and end the picture where the view ends."""
    axes.set_xlim(-0.5, N_PIXELS - 0.5)
    axes.set_ylim(-0.5, N_PIXELS - 0.5)
    if 0.5 * np.pi - abs(view.center[1]) < 1.5 * view.radius:
        _draw_polar_coordinates(axes, view)
        return
    ra, dec = axes.coords
    ra.set_ticklabel_position("b")
    ra.set_axislabel_position("b")
    dec.set_ticklabel_position("l")
    dec.set_axislabel_position("l")
    for coordinate, name in ((ra, "Right ascension (J2000)"), (dec, "Declination (J2000)")):
        coordinate.set_axislabel(name, fontsize=9.5, minpad=0.7)
        coordinate.set_major_formatter("d.dd" if view.radius < 1.5 * DEG else "d.d")
        coordinate.set_ticks(number=6)
        coordinate.set_ticklabel(size=8.5, exclude_overlapping=True)
        coordinate.grid(color=INK, alpha=0.18, linewidth=0.6)


def _draw_polar_coordinates(axes: Any, view: View) -> None:
    """Draw meridians and parallels with their values on them: at a pole, edges cannot."""
    for coordinate in axes.coords:
        coordinate.set_ticks_visible(False)
        coordinate.set_ticklabel_visible(False)
        coordinate.set_auto_axislabel(False)
    line: dict[str, Any] = {"color": INK, "alpha": 0.25, "linewidth": 0.6}
    center_ra, center_dec = view.center
    pole = np.copysign(0.5 * np.pi, center_dec)
    farthest = abs(pole - center_dec) + 1.5 * view.radius
    lengths = [length for length in _BAR_LENGTHS_DEG if length * DEG < 0.6 * view.radius]
    step_deg = max(lengths, default=_BAR_LENGTHS_DEG[0])
    step = step_deg * DEG
    for number in range(1, int(farthest / step) + 1):
        dec = pole - np.copysign(number * step, pole)
        axes.plot(*view.to_image(np.linspace(0.0, 2.0 * np.pi, 361), np.full(361, dec)), **line)
        digits = 0 if step_deg >= 1.0 else 1 if step_deg >= 0.1 else 2
        _write(axes, view, center_ra, dec, signed(dec / DEG, digits))
    for ra_deg in range(0, 360, 30):
        along = pole - np.copysign(np.linspace(step, farthest, 60), pole)
        axes.plot(*view.to_image(np.full(60, ra_deg * DEG), along), **line)
        # between the first two circles
        _write(axes, view, ra_deg * DEG, pole - np.copysign(1.5 * step, pole), f"{ra_deg}°")
    below = "Right ascension on the meridians, declination on the circles (J2000)"
    axes.text(0.5, -0.03, below, transform=axes.transAxes, ha="center", va="top", fontsize=9)


def _write(axes: Any, view: View, ra: float, dec: float, words: str) -> None:
    """Put a few words at a direction, if it lies well inside of the picture."""
    x, y = view.to_image(np.array([ra]), np.array([dec]))
    away = max(abs(x[0] - 0.5 * N_PIXELS), abs(y[0] - 0.5 * N_PIXELS))
    if away < 0.46 * N_PIXELS:
        text = axes.text(
            x[0], y[0], words, fontsize=8, ha="center", va="center", color=INK, zorder=5
        )
        text.set_path_effects(halo())
