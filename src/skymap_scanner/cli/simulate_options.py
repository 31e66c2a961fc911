"""Options of ``skymap-scanner simulate``, and what is wrong with them before any time is spent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skymap_scanner.server.exits import PROGRAM, OneLineParser
from skymap_scanner.simulation.light import DEFAULT_LIGHT, LIGHTS

if TYPE_CHECKING:
    import argparse

    from skymap_scanner.simulation.plan import EventPlan

__all__ = ["plan_from", "simulate_parser"]

_TRACK = "a muon through the detector, or one that starts in it (--starting)"
_CASCADE = "an electromagnetic and a hadronic cascade at one vertex"


def simulate_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner simulate``."""
    command_line = OneLineParser(prog=f"{PROGRAM} simulate", description=description)
    kinds = command_line.add_subparsers(dest="kind", metavar="track|cascade", required=True)
    track = kinds.add_parser("track", help=_TRACK, description=description)
    _add_output(track)
    _add_energy(track, "muon energy 700 m before its closest approach; --starting: neutrino energy")
    _add_direction(track)
    _add_track_place(track)
    _add_common(track)
    cascade = kinds.add_parser("cascade", help=_CASCADE, description=description)
    _add_output(cascade)
    _add_energy(cascade, "energy of both cascades together")
    cascade.add_argument(
        "--hadronic-fraction",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="share of the hadronic cascade: 1 for a neutral current, 0 for a lone electron "
        "(default: %(default)g)",
    )
    _add_direction(cascade)
    place = cascade.add_mutually_exclusive_group()
    _add_vertex(place, "where the cascades begin [m] (default: 0 0 0)")
    _add_common(cascade)
    return command_line


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the event: .json or .pkl for a realtime message, .i3[.gz|.bz2|.zst] for frames; "
        "with several events each name gets its event number (required)",
    )
    parser.add_argument(
        "--n-events",
        type=int,
        default=1,
        metavar="N",
        help="how many events; complete files of the same settings are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="make events anew whose files are there (default: refuse, or keep one of several)",
    )


def _add_energy(parser: argparse.ArgumentParser, meaning: str) -> None:
    energy = parser.add_mutually_exclusive_group()
    energy.add_argument(
        "--energy-gev", type=float, default=1e5, help=f"{meaning} [GeV] (default: %(default)g)"
    )
    energy.add_argument(
        "--energy-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="draw energies between these [GeV] (default: one energy)",
    )
    parser.add_argument(
        "--energy-index",
        type=float,
        default=1.0,
        metavar="GAMMA",
        help="with --energy-range: dN/dE ~ E^-GAMMA; 1 is even in log E (default: %(default)g)",
    )


def _add_direction(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--zenith-deg",
        type=float,
        default=90.0,
        help="where it comes from, 0 = from straight above [deg] (default: %(default)g)",
    )
    parser.add_argument(
        "--azimuth-deg",
        type=float,
        default=0.0,
        help="where it comes from [deg] (default: %(default)g)",
    )
    parser.add_argument(
        "--isotropic",
        action="store_true",
        help="draw directions, all equally likely (default: one direction)",
    )


def _add_track_place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--impact-m",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("HORIZONTAL", "NORMAL"),
        help="offset of the track from the detector's centre [m] (default: 0 0)",
    )
    place.add_argument(
        "--impact-radius-m",
        type=float,
        metavar="RADIUS",
        help="draw that offset evenly on a disc of this radius [m] (default: one offset)",
    )
    _add_vertex(place, "a point of the track, with --starting its first [m] (default: none)")
    parser.add_argument(
        "--starting",
        action="store_true",
        help="the muon comes out of a hadronic cascade at the vertex (default: through-going)",
    )
    parser.add_argument(
        "--inelasticity",
        type=float,
        metavar="Y",
        help="with --starting: share of that cascade (default: drawn evenly from 0 to 1)",
    )


def _add_vertex(place: Any, meaning: str) -> None:  # argparse has no public name for a group
    place.add_argument("--vertex-m", type=float, nargs=3, metavar=("X", "Y", "Z"), help=meaning)
    place.add_argument(
        "--random-vertex",
        action="store_true",
        help="draw vertices evenly in the instrumented volume (default: one vertex)",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--light",
        choices=LIGHTS,
        default=DEFAULT_LIGHT,
        help="light in ice: the network, or closed forms (default: %(default)s)",
    )
    parser.add_argument("--ice", default="spice_bfr-v2", help="ice model (default: %(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="seed of all chance; each of several events derives its own (default: %(default)s)",
    )
    parser.add_argument(
        "--run-id",
        type=int,
        default=1,
        help="run number; below 100000 says that it is simulated (default: %(default)s)",
    )
    parser.add_argument(
        "--event-id", type=int, default=1, help="number of the first event (default: %(default)s)"
    )
    parser.add_argument(
        "--mjd",
        type=float,
        default=60000.0,
        help="time of the events, UTC [d] (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the truth as one JSON object, a list of several (default: a line per event)",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what can be told by the option's own name.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from skymap_scanner.exceptions import UsageError

    finite = "a finite number"
    legal: list[tuple[bool, str, object, str]] = [
        (
            0.0 <= arguments.zenith_deg <= 180.0,
            "--zenith-deg: angle out of range",
            f"{arguments.zenith_deg:g} deg",
            "0 to 180 deg",
        ),
        (
            math.isfinite(arguments.azimuth_deg),
            "--azimuth-deg: not an angle",
            f"{arguments.azimuth_deg:g} deg",
            finite,
        ),
        (arguments.n_events >= 1, "--n-events: too few", arguments.n_events, "1 or more"),
        (
            arguments.energy_range is not None or arguments.energy_index == 1.0,
            "--energy-index: nothing to draw",
            arguments.energy_index,
            "an --energy-range, too",
        ),
        (
            arguments.kind == "cascade"
            or not arguments.starting
            or arguments.vertex_m is not None
            or arguments.random_vertex,
            "--starting: no vertex",
            "neither",
            "--vertex-m or --random-vertex",
        ),
    ]
    for is_legal, complaint, found, wanted in legal:
        if not is_legal:
            place, message = complaint.split(": ")
            raise UsageError(message, place=place, found=found, wanted=wanted)
    try:
        is_folder = arguments.output.is_dir()
        arguments.output.exists()
    except (OSError, ValueError) as error:  # too long, or with a NUL
        raise UsageError("not a file name", place="--output", found=str(error)) from error
    if is_folder:
        raise UsageError("is a folder", place="--output", found=str(arguments.output))


def plan_from(arguments: argparse.Namespace) -> EventPlan:
    """Return what the user wants.

    Raises
    ------
    UsageError
        When that cannot be simulated.
    """
    from skymap_scanner.simulation.plan import EventPlan
    from skymap_scanner.simulation.settings import CascadeSettings, TrackSettings
    from skymap_scanner.units import DEG

    _check(arguments)
    vertex = None if arguments.vertex_m is None else tuple(arguments.vertex_m)
    common: dict[str, Any] = {
        "energy": arguments.energy_gev,
        "zenith": arguments.zenith_deg * DEG,
        "azimuth": arguments.azimuth_deg * DEG,
        "ice": arguments.ice,
        "seed": arguments.seed,
        "light": arguments.light,
    }
    settings: TrackSettings | CascadeSettings
    if arguments.kind == "cascade":
        share = arguments.hadronic_fraction
        settings = CascadeSettings(
            **common, vertex=vertex or (0.0, 0.0, 0.0), hadronic_fraction=share
        )
    else:
        if arguments.random_vertex:
            vertex = (0.0, 0.0, 0.0)  # each event draws its own
        settings = TrackSettings(
            **common,
            impact=tuple(arguments.impact_m),
            vertex=vertex,
            is_starting=arguments.starting,
            inelasticity=arguments.inelasticity,
        )
    return EventPlan(
        settings,
        energy_range=None if arguments.energy_range is None else tuple(arguments.energy_range),
        energy_index=arguments.energy_index,
        is_isotropic=arguments.isotropic,
        impact_radius=getattr(arguments, "impact_radius_m", None),
        is_vertex_random=arguments.random_vertex,
    )
