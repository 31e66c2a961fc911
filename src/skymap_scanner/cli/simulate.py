"""Simulate a muon track and write it as a realtime message, with its truth beside it.

The light is a closed form (Cherenkov cone, diffusion, gamma-distributed delays), good to a factor
of two; stochastic losses are drawn one by one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner simulate``."""
    command_line = OneLineParser(prog=f"{PROGRAM} simulate", description=__doc__)
    kinds = command_line.add_subparsers(dest="kind", metavar="track", required=True)
    track = kinds.add_parser("track", help="a through-going muon", description=__doc__)
    track.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="the message to write (required)",
    )
    track.add_argument(
        "--energy-gev",
        type=float,
        default=1e5,
        help="muon energy 700 m before its closest approach [GeV] (default: %(default)g)",
    )
    track.add_argument(
        "--zenith-deg",
        type=float,
        default=90.0,
        help="where it comes from, 0 = from straight above [deg] (default: %(default)g)",
    )
    track.add_argument(
        "--azimuth-deg",
        type=float,
        default=0.0,
        help="where it comes from [deg] (default: %(default)g)",
    )
    track.add_argument(
        "--impact-m",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("HORIZONTAL", "NORMAL"),
        help="offset of the track from the detector's centre [m] (default: 0 0)",
    )
    track.add_argument("--ice", default="spice_bfr-v2", help="ice model (default: %(default)s)")
    track.add_argument(
        "--seed", type=int, default=1, help="seed of all chance (default: %(default)s)"
    )
    track.add_argument(
        "--run-id",
        type=int,
        default=1,
        help="run number; below 100000 says that it is simulated (default: %(default)s)",
    )
    track.add_argument(
        "--event-id", type=int, default=1, help="event number (default: %(default)s)"
    )
    track.add_argument(
        "--mjd",
        type=float,
        default=60000.0,
        help="time of the event, UTC [d] (default: %(default)s)",
    )
    track.add_argument(
        "--json", action="store_true", help="print the truth as one JSON object (default: a line)"
    )
    track.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, write, say what was written; return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _simulate(arguments), debug=arguments.debug)


def _simulate(arguments: argparse.Namespace) -> int:
    from skymap_scanner.event.detector import built_in_detector
    from skymap_scanner.simulation.event import TrackSettings, simulate_track
    from skymap_scanner.simulation.frames import write_simulated_message
    from skymap_scanner.units import DEG

    _check(arguments)
    settings = TrackSettings(
        energy=arguments.energy_gev,
        zenith=arguments.zenith_deg * DEG,
        azimuth=arguments.azimuth_deg * DEG,
        impact=tuple(arguments.impact_m),
        ice=arguments.ice,
        seed=arguments.seed,
    )
    simulated = simulate_track(settings, built_in_detector())
    truth = write_simulated_message(
        arguments.output,
        simulated,
        run_id=arguments.run_id,
        event_id=arguments.event_id,
        mjd=arguments.mjd,
    )
    if arguments.json:
        print(json.dumps(truth))
    else:
        print(
            f"{arguments.output}: {simulated.pulses.n_doms} modules, "
            f"{len(simulated.pulses)} pulses, {simulated.pulses.charge.sum():.1f} PE; "
            f"truth RA {truth['ra_deg']:.3f} deg, Dec {truth['dec_deg']:+.3f} deg"
        )
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what the user can mend before any time is spent.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from skymap_scanner.exceptions import UsageError
    from skymap_scanner.server.folders import make_folder

    if not 0.0 <= arguments.zenith_deg <= 180.0:
        raise UsageError(
            "angle out of range",
            place="--zenith-deg",
            found=f"{arguments.zenith_deg:g} deg",
            wanted="0 to 180 deg",
        )
    if not math.isfinite(arguments.azimuth_deg):
        raise UsageError(
            "not an angle",
            place="--azimuth-deg",
            found=f"{arguments.azimuth_deg:g} deg",
            wanted="a finite number",
        )
    folder = arguments.output.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            "the folder does not exist",
            place="--output",
            found=str(folder),
            wanted="an existing folder",
        )
    if arguments.output.is_dir():
        raise UsageError("is a folder", place="--output", found=str(arguments.output))
    make_folder(folder, option="--output")
