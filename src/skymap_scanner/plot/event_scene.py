"""What the pictures of an event show: the detector, its hits as coloured discs, and tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from skymap_scanner.event import clean_for_tracks
from skymap_scanner.event.cleaning import best_window
from skymap_scanner.exceptions import EventError
from skymap_scanner.plot.detector_views import (
    DrawnTrack,
    View3D,
    outline,
    string_lines,
    visible_part,
)
from skymap_scanner.plot.style import INK, halo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.colors import Colormap

    from skymap_scanner.event import Detector, Event, PulseSeries
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "OUTLINE", "RING", "RING_AREA", "Scene", "Selection", "disc_areas", "draw_view",
    "example_charges", "select_pulses", "time_colors", "time_limits",
]  # fmt: skip

#: Which pulses are drawn.
Selection = Literal["cleaned", "all"]

#: Area of the disc of a module with 1 PE [pt^2], and the power of the charge that it grows with.
_AREA_1PE: Final = 17.0
_AREA_POWER: Final = 0.35
#: Charges below this are drawn like this one [PE].
_MIN_CHARGE: Final = 0.1
#: Parts of the modules, earliest and latest, that share the colour at an end of the scale.
_TAILS: Final = (0.02, 0.95)
#: Least width of the scale of times [ns].
_MIN_SPAN: Final = 100.0
_STRING: Final = "#dddddd"
OUTLINE: Final = "#c4c4c4"
_UNHIT: Final = "#a8a8a8"
#: A module that had only pulses that the cleaning removed: how it looks, and its area [pt^2].
RING: Final[dict[str, Any]] = {"facecolors": "none", "edgecolors": "#808080", "linewidths": 0.6}
RING_AREA: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What all three pictures show."""

    detector: Detector
    #: Rows of the modules with pulses, the times of their first pulses [ns], their charges [PE].
    om_index: IntArray
    time: FloatArray
    charge: FloatArray
    #: Rows of the modules of which the cleaning left nothing.
    removed: IntArray
    #: Ends of the scale of times [ns].
    limits: tuple[float, float]
    tracks: tuple[DrawnTrack, ...]

    @classmethod
    def of(cls, event: Event, pulses: PulseSeries, tracks: Sequence[DrawnTrack]) -> Scene:
        """Collect it.

        Parameters
        ----------
        event : Event
            What was read.
        pulses : PulseSeries
            Those that are drawn, at least one.
        tracks : sequence of DrawnTrack
            The first goes on top.
        """
        return cls(
            detector=event.detector,
            om_index=pulses.hit_oms,
            time=pulses.first_times(),
            charge=pulses.dom_charges(),
            removed=np.setdiff1d(event.pulses.hit_oms, pulses.hit_oms),
            limits=time_limits(pulses),
            tracks=tuple(tracks),
        )


def select_pulses(event: Event, selection: Selection) -> PulseSeries:
    """Return the pulses that are drawn.

    Parameters
    ----------
    event : Event
        What was read.
    selection : {"cleaned", "all"}
        See `skymap_scanner.plot.event_display.plot_event`.

    Raises
    ------
    EventError
        When there are none.
    """
    if len(event.pulses) == 0:
        raise EventError(
            "the event has no pulses", place=f"{event.name}: {event.pulses_name}", wanted="some"
        )
    pulses = clean_for_tracks(event) if selection == "cleaned" else event.pulses
    if len(pulses) == 0:
        raise EventError(
            "the cleaning for tracks removes all pulses; they can be drawn without it",
            place=f"{event.name}: {event.pulses_name}",
            found=f"{len(event.pulses)} pulses, none connected to others",
            wanted="--pulses all",
        )
    return pulses


def draw_view(axes: Any, view: View3D, scene: Scene, scale: float) -> None:
    """Draw the detector, what it saw and the tracks, as seen from one side.

    Parameters
    ----------
    axes : Axes
        Empty; their limits follow what is drawn, their unit is the metre.
    view : View3D
        Where it is seen from.
    scene : Scene
        What is there.
    scale : float
        Factor on the areas of the discs, 1 for the large picture.
    """
    from matplotlib.collections import LineCollection

    places = view.project(scene.detector.om_xyz)
    for lines, color in (
        (string_lines(scene.detector), _STRING),
        (outline(scene.detector), OUTLINE),
    ):
        flat = [view.project(line)[:, :2] for line in lines]
        axes.add_collection(LineCollection(flat, colors=color, linewidths=0.7 * scale**0.5))
    is_dark = scene.detector.is_alive.copy()
    is_dark[scene.om_index] = is_dark[scene.removed] = False
    axes.plot(
        *places[is_dark, :2].T,
        linestyle="none",
        marker=".",
        markersize=1.3,
        markeredgewidth=0.0,
        color=_UNHIT,
    )
    axes.scatter(*places[scene.removed, :2].T, s=RING_AREA * scale, **RING)
    # far modules first
    order = np.argsort(places[scene.om_index, 2], kind="stable")
    axes.scatter(
        *places[scene.om_index[order], :2].T,
        s=scale * disc_areas(scene.charge[order]),
        c=1e-3 * scene.time[order],
        cmap=time_colors(),
        vmin=1e-3 * scene.limits[0],
        vmax=1e-3 * scene.limits[1],
        edgecolors=INK,
        linewidths=0.35,
        zorder=3,
    )
    for number, track in enumerate(scene.tracks):
        width = 0.7 + 0.9 * scale
        _draw_track(axes, view, track, scene, width=width, zorder=2.9 - 0.1 * number)
        if track.marks_vertex:
            axes.plot(
                *view.project(np.array(track.vertex))[:2],
                marker="*",
                markersize=8.0 + 6.0 * scale,
                color=track.color,
                markeredgecolor="white",
                markeredgewidth=0.8,
                zorder=4.0,  # above the discs: there is most charge
            )
    axes.set_aspect("equal")


def _draw_track(
    axes: Any, view: View3D, track: DrawnTrack, scene: Scene, *, width: float, zorder: float
) -> None:
    ends = visible_part(track, scene.detector.om_xyz)
    if ends is None:
        return
    *across, depth = view.project(ends).T
    start, end = np.transpose(across)
    if np.hypot(*(end - start)) < 0.1 * abs(np.ptp(depth)):
        # straight at the eye, or away from it: the point or the feathers of the arrow
        marker = "o" if depth[1] > depth[0] else "x"
        axes.plot(*end, marker=marker, color=track.color, fillstyle="none", zorder=zorder)
        return
    arrow = axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>,head_length=0.6,head_width=0.25",
            "mutation_scale": 4.0 + 6.0 * width,
            "color": track.color,
            "linewidth": width,
            "shrinkA": 0.0,
            "shrinkB": 0.0,
            "path_effects": halo(width + 1.2),
        },
        zorder=zorder,
        annotation_clip=False,
    )
    arrow.arrow_patch.set_zorder(zorder)
    # annotations do not widen the limits of the axes
    axes.plot(*np.array([start, end]).T, linestyle="none")


def disc_areas(charge: FloatArray) -> FloatArray:
    """Return the areas of the discs of modules with these charges [PE] in the large picture [pt^2].

    Examples
    --------
    >>> disc_areas(np.array([1.0, 100.0])).round(1)
    array([17. , 85.2])
    """
    area = _AREA_1PE * np.maximum(charge, _MIN_CHARGE) ** _AREA_POWER
    return np.asarray(area, dtype=np.float64)


def example_charges(charge: FloatArray) -> list[float]:
    """Choose up to four charges for the legend: powers of ten that occur, else a typical one.

    Parameters
    ----------
    charge : ndarray
        Charges of the modules [PE], at least one.

    Examples
    --------
    >>> example_charges(np.array([0.3, 5.0, 2500.0])), example_charges(np.array([0.52, 0.54]))
    ([1.0, 10.0, 100.0, 1000.0], [0.5])
    """
    low, high = np.log10(np.maximum([charge.min(), charge.max()], _MIN_CHARGE))
    powers = range(int(np.ceil(low)), int(np.floor(high)) + 1)
    return [10.0**power for power in powers][-4:] or [float(f"{10.0**high:.1g}")]


def time_limits(pulses: PulseSeries) -> tuple[float, float]:
    """Choose the times of first pulses at the ends of the colour scale [ns].

    Parameters
    ----------
    pulses : PulseSeries
        At least one pulse.

    Returns
    -------
    tuple of float
        Quantiles of the modules inside the time window that holds the most pulses, so that
        scattered noise does not make the event one colour; at least 100 ns apart.
    """
    in_window = pulses.select(best_window(pulses))
    first, last = np.quantile(in_window.first_times(), _TAILS)
    missing = max(0.0, _MIN_SPAN - float(last - first))
    return float(first) - 0.5 * missing, float(last) + 0.5 * missing


def time_colors() -> Colormap:
    """Return the colours of times: light and warm early, dark and cold late."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    # the palest yellow is hard to see on white
    return ListedColormap(mpl.colormaps["plasma"](np.linspace(0.93, 0.0, 256)), name="time")
