"""An event as the detector saw it: where light arrived, how much and when, and the track.

Each module with pulses is a disc, coloured by the time of its first pulse (light early, dark late)
and sized by its charge. The large picture is a parallel projection; beside it the same from above
and from the side.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from skymap_scanner.plot.detector_views import MARGIN, DrawnTrack, View3D, beside, visible_part
from skymap_scanner.plot.event_scene import (
    OUTLINE,
    RING,
    RING_AREA,
    Scene,
    Selection,
    disc_areas,
    draw_view,
    example_charges,
    select_pulses,
    time_colors,
)
from skymap_scanner.plot.style import INK, make_figure, save, write_centered
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from skymap_scanner.event import Event, PulseSeries

__all__ = ["plot_event"]

#: In the small pictures areas are smaller by this factor.
_SMALL: Final = 0.33
#: Length of the scale bar of the large picture [m].
_BAR: Final = 200.0
#: Whether times lie below and above the scale -> which of its ends are pointed.
_EXTENSIONS: Final[dict[tuple[bool, bool], Literal["neither", "min", "max", "both"]]] = {
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}


def plot_event(
    event: Event,
    path: str | Path,
    *,
    selection: Selection = "cleaned",
    tracks: Sequence[DrawnTrack] = (),
    view: View3D | None = None,
    dpi: int = 200,
) -> Path:
    """Draw an event.

    Parameters
    ----------
    event : Event
        What was read.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    selection : {"cleaned", "all"}, optional
        The pulses that track reconstructions use (`skymap_scanner.event.clean_for_tracks`; modules
        that have only others are grey rings), or the main series as it is.
    tracks : sequence of DrawnTrack, optional
        Arrows to draw, the first on top.
    view : View3D, optional
        Where the large picture is seen from; default: from the side of the first track.
    dpi : int, optional
        Dots per inch of a figure 9 inches wide.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EventError
        When there are no pulses to draw.
    UsageError
        When the suffix is not known.
    OutputError
        When the file cannot be written.
    """
    pulses = select_pulses(event, selection)
    scene = Scene.of(event, pulses, tracks)
    view = view or beside(tracks[0] if tracks else None, event.detector)
    figure = make_figure(9.0, 7.2)
    _draw_large(figure.add_axes((0.005, 0.135, 0.635, 0.755)), view, scene)
    above = figure.add_axes((0.715, 0.52, 0.275, 0.345))
    from_above, from_side = View3D(0.5 * np.pi, -0.5 * np.pi), View3D(0.0, -0.5 * np.pi)
    _draw_small(above, from_above, scene, title="seen from above", x_label="", y_label="y [m]")
    side = figure.add_axes((0.715, 0.155, 0.275, 0.345))
    _draw_small(
        side, from_side, scene,
        title="seen from \N{MINUS SIGN}y", x_label="x [m]", y_label="z [m]",
    )  # fmt: skip
    _draw_compass(figure.add_axes((0.015, 0.01, 0.09, 0.09 * 9.0 / 7.2)), view)
    _draw_time_scale(figure, scene)
    _draw_size_scale(figure, scene)
    _draw_legend(figure, scene)
    title = _headline(event)
    write_centered(figure, 0.5, 0.965, title, 11.5)
    write_centered(figure, 0.5, 0.94, _counts(event, pulses, selection), 9.0)
    return save(figure, path, title=title, dpi=dpi)


def _draw_large(axes: Any, view: View3D, scene: Scene) -> None:
    """Draw the large picture, without a frame, with a scale bar in its lower left corner."""
    draw_view(axes, view, scene, 1.0)
    axes.set_axis_off()
    axes.margins(0.02)
    left, foot = axes.get_xlim()[0], axes.get_ylim()[0]
    axes.plot([left, left + _BAR], [foot, foot], color=INK, linewidth=1.8)
    axes.text(left + 0.5 * _BAR, foot + 6.0, f"{_BAR:g} m", ha="center", va="bottom", fontsize=8.5)


def _draw_small(
    axes: Any, view: View3D, scene: Scene, *, title: str, x_label: str, y_label: str
) -> None:
    """Draw a small picture, along an axis, with a frame in metres."""
    draw_view(axes, view, scene, _SMALL)
    seen = view.project(scene.detector.om_xyz)
    (left, foot), (right, head) = (edge(axis=0)[:2] for edge in (seen.min, seen.max))
    axes.set_xlim(left - 1.2 * MARGIN, right + 1.2 * MARGIN)
    axes.set_ylim(foot - 1.2 * MARGIN, head + 1.2 * MARGIN)
    axes.set_title(title, fontsize=8.5, color=INK, pad=3.0)
    axes.set_xlabel(x_label, fontsize=8, labelpad=1.0)
    axes.set_ylabel(y_label, fontsize=8, labelpad=0.0)
    axes.tick_params(labelsize=7.5, length=2.5, labelbottom=bool(x_label))
    for spine in axes.spines.values():
        spine.set_color(OUTLINE)


def _draw_compass(axes: Any, view: View3D) -> None:
    """Show where x, y and z point in the large picture."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    for name, tip in zip("xyz", view.project(np.eye(3))[:, :2], strict=True):
        length = float(np.hypot(*tip))
        if length > 0.15:
            axes.annotate(
                "",
                xy=tip,
                xytext=(0.0, 0.0),
                arrowprops={
                    "arrowstyle": "->", "color": INK, "shrinkA": 0.0, "shrinkB": 0.0,
                },
            )  # fmt: skip
            place = tip * (length + 0.25) / length
            axes.text(*place, name, fontsize=8.5, color=INK, ha="center", va="center")


def _draw_time_scale(figure: Figure, scene: Scene) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = (1e-3 * limit for limit in scene.limits)
    is_below, is_above = scene.time.min() < scene.limits[0], scene.time.max() > scene.limits[1]
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, high), time_colors()),
        cax=figure.add_axes((0.16, 0.078, 0.38, 0.02)),
        orientation="horizontal",
        extend=_EXTENSIONS[bool(is_below), bool(is_above)],
    )
    bar.set_label("first pulse of a DOM, time since the start of the event [µs]", fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5)
    bar.ax.ticklabel_format(useOffset=False)
    bar.ax.locator_params(nbins=6)


def _draw_size_scale(figure: Figure, scene: Scene) -> None:
    """Show what discs of some charges look like, and what a ring means."""
    axes = figure.add_axes((0.56, 0.03, 0.43, 0.08))
    axes.set_axis_off()
    axes.set(xlim=(-0.5, 5.0), ylim=(0.0, 1.0))
    charges = example_charges(scene.charge)
    words = [f"{charge:g} PE" for charge in charges]
    places = np.arange(len(charges), dtype=np.float64)
    axes.scatter(
        places,
        np.full(len(charges), 0.66),
        s=disc_areas(np.array(charges)),
        color="#d4d4d4",
        edgecolors=INK,
        linewidths=0.35,
    )
    if len(scene.removed):
        places = np.append(places, len(charges) + 0.2)
        words.append("removed by\nthe cleaning")
        axes.scatter(places[-1], 0.66, s=RING_AREA, **RING)
    for place, word in zip(places, words, strict=True):
        axes.text(place, 0.36, word, ha="center", va="top", fontsize=8.5, color=INK)


def _draw_legend(figure: Figure, scene: Scene) -> None:
    """Say what the arrows are, in smaller letters when there would be no room otherwise."""
    from matplotlib.lines import Line2D

    if not scene.tracks:
        return
    legend = figure.legend(
        handles=[
            Line2D([], [], color=track.color, linewidth=1.6, label=_track_label(track, scene))
            for track in scene.tracks
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.936),
        ncols=len(scene.tracks),
        frameon=False,
        fontsize=8.5,
        handletextpad=0.6,
        columnspacing=2.0,
    )
    for words in legend.get_texts():
        words.set_parse_math(False)
    size = 8.5
    while legend.get_window_extent().width > 0.98 * figure.bbox.width:
        size *= 0.93
        for words in legend.get_texts():
            words.set_fontsize(size)


def _track_label(track: DrawnTrack, scene: Scene) -> str:
    is_seen = visible_part(track, scene.detector.om_xyz) is not None
    return (
        f"{track.label}: zenith {track.zenith / DEG:.1f}°, azimuth {track.azimuth / DEG:.1f}°"
        f"{'' if is_seen else ' (misses the detector)'}"
    )


def _headline(event: Event) -> str:
    """Name the event and say when it was."""
    sub_event = f" (sub-event {event.sub_event_id})" if event.sub_event_id else ""
    kind = "" if event.event_type == "None" else f"  {event.event_type}"
    simulated = "" if event.is_real else "  simulated"
    return (
        f"Run {event.run_id}  Event {event.event_id}{sub_event}{kind}{_date(event.mjd)}{simulated}"
    )


def _date(mjd: float) -> str:
    try:
        start = datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=mjd)
    except (ValueError, OverflowError):  # NaN, or beyond the calendar
        return ""
    return f"  {start:%Y-%m-%d %H:%M:%S} UTC"


def _counts(event: Event, pulses: PulseSeries, selection: Selection) -> str:
    """Say how much is drawn, and of how much."""
    whole = event.pulses
    drawn = f"{pulses.n_doms} DOMs   {len(pulses)} pulses   {pulses.total_charge:.1f} PE"
    if selection == "all":
        return f"{drawn}   ({event.pulses_name}, not cleaned)"
    return (
        f"{drawn}   cleaned for tracks (of {whole.n_doms} DOMs, {len(whole)} pulses, "
        f"{whole.total_charge:.1f} PE in {event.pulses_name})"
    )
