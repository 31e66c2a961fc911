"""Draw an event: which DOMs saw light, how much and when, with its track.

Discs are DOMs with pulses, coloured by the time of the first one and sized by charge. The arrow is
the online fit that the message carries; the truth of a simulated event is drawn in green.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import UsageError
from skymap_scanner.server.arguments import add_file_options

if TYPE_CHECKING:
    import argparse

__all__ = ["SUMMARY", "add_options", "plot"]

SUMMARY = "a picture of the detector with its hits and the track"


def add_options(command_line: argparse.ArgumentParser) -> None:
    """Add the options of ``skymap-scanner event plot``."""
    command_line.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="realtime message (.json, .pkl) or .i3[.gz|.bz2|.zst] file",
    )
    command_line.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.png",
        help="picture to write, .png, .pdf or .svg (default: run*.evt*_event.png here)",
    )
    add_file_options(command_line)
    command_line.add_argument(
        "--pulses",
        choices=("cleaned", "all"),
        default="cleaned",
        help="cleaned: those that track reconstructions use and that alerts count (seeded RT "
        "cleaning, 6 us window, no DeepCore strings), other hit DOMs are grey rings; all: the main "
        "pulse series as it is, noise included (default: cleaned)",
    )
    command_line.add_argument(
        "--view",
        nargs=2,
        type=float,
        metavar=("ELEVATION", "AZIMUTH"),
        help="where the large picture is seen from [deg]: height above the horizon, -90 to 90, and "
        "direction from x towards y (default: beside the track, 14 deg above the horizon)",
    )
    _add_track_options(command_line)
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )


def _add_track_options(command_line: argparse.ArgumentParser) -> None:
    track = command_line.add_mutually_exclusive_group()
    track.add_argument(
        "--result",
        type=Path,
        metavar="NPZ",
        help="draw the best fit of this scan of the event (default: the online fit)",
    )
    track.add_argument(
        "--direction",
        nargs=2,
        type=float,
        metavar=("ZENITH_DEG", "AZIMUTH_DEG"),
        help="draw a track that comes from here, detector frame [deg] (default: the online fit)",
    )
    command_line.add_argument(
        "--vertex",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="a point on the track of --direction or --result [m] (default: the vertex of the best "
        "fit, else the charge-weighted mean position of the drawn pulses)",
    )


def plot(arguments: argparse.Namespace) -> int:
    """Draw, say what was written, and return the exit code."""
    _check(arguments)
    from skymap_scanner.cli.event_tracks import chosen_track, online_track, true_track
    from skymap_scanner.event import read_event
    from skymap_scanner.plot.detector_views import View3D
    from skymap_scanner.plot.event_display import plot_event
    from skymap_scanner.plot.event_scene import select_pulses
    from skymap_scanner.units import DEG

    event = read_event(arguments.file, gcd_dir=arguments.gcd_dir, which=arguments.which)
    path = arguments.output or Path(f"{event.name}_event.png")
    pulses = select_pulses(event, arguments.pulses)
    chosen = chosen_track(
        event,
        pulses,
        result=arguments.result,
        direction=arguments.direction and [angle * DEG for angle in arguments.direction],
        vertex=arguments.vertex,
    )
    fitted = chosen or online_track(event)
    tracks = [track for track in (fitted, true_track(event, arguments.file)) if track is not None]
    view = None
    if arguments.view is not None:
        view = View3D(arguments.view[0] * DEG, arguments.view[1] * DEG)
    plot_event(event, path, selection=arguments.pulses, tracks=tracks, view=view)
    print(
        f"{path}: {pulses.n_doms} DOMs, {len(pulses)} pulses, {pulses.total_charge:.1f} PE"
        + "".join(f"; {track.label}" for track in tracks)
    )
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what the user can mend before any time is spent.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from skymap_scanner.plot.style import picture_format
    from skymap_scanner.server.folders import check_output_file

    if arguments.output is not None:
        picture_format(arguments.output)
    check_output_file(arguments.output or Path("run_event.png"), option="--output")
    if arguments.vertex and not (arguments.direction or arguments.result):
        raise UsageError(
            "a vertex alone is no track", place="--vertex", wanted="--direction or --result with it"
        )
    for option, values, low, high in (
        ("--view", arguments.view, -90.0, 90.0),
        ("--direction", arguments.direction, 0.0, 180.0),
        ("--vertex", arguments.vertex, -math.inf, math.inf),
    ):
        if values and not (all(map(math.isfinite, values)) and low <= values[0] <= high):
            limits = f", the first from {low:g} to {high:g}" if math.isfinite(low) else ""
            raise UsageError(
                "number out of range",
                place=option,
                found=" ".join(f"{value:g}" for value in values),
                wanted=f"finite numbers{limits}",
            )
