"""Scan an event on this machine: server, workers and broker in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import UsageError
from skymap_scanner.server.arguments import add_event_options, add_reco_options
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


__all__ = ["main", "parser"]

#: Where results go when the user says nothing.
DEFAULT_OUTPUT = Path("scan-output")


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner scan``."""
    command_line = OneLineParser(prog=f"{PROGRAM} scan", description=__doc__)
    command_line.add_argument(
        "event_file",
        metavar="EVENT",
        type=Path,
        help="realtime message (.json, .pkl) or .i3[.gz|.bz2|.zst] file",
    )
    command_line.add_argument(
        "--reco-algo",
        metavar="NAME",
        default="splinempe",
        help="reconstruction; `skymap-scanner recos` lists them (default: splinempe)",
    )
    add_reco_options(command_line)
    command_line.add_argument(
        "--around",
        metavar="RA,DEC,RADIUS",
        type=_cone,
        help="scan only this cone, three angles in degrees (default: the whole sky)",
    )
    add_event_options(command_line)
    command_line.add_argument(
        "--workers",
        metavar="N",
        type=_count,
        default=0,
        help="reconstructing processes (default: 0, one per core)",
    )
    command_line.add_argument(
        "-o",
        "--output-dir",
        metavar="DIR",
        type=Path,
        default=DEFAULT_OUTPUT,
        help="folder for the results; made when missing (default: scan-output)",
    )
    command_line.add_argument(
        "-c",
        "--cache-dir",
        metavar="DIR",
        type=Path,
        help="folder for what a later run can use again (default: cache in the output folder)",
    )
    _add_talk_options(command_line)
    return command_line


def _add_talk_options(command_line: argparse.ArgumentParser) -> None:
    command_line.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON object and nothing else (default: text to read)",
    )
    command_line.add_argument(
        "--no-plots", action="store_true", help="draw no pictures (default: all-sky and zoom PNG)"
    )
    command_line.add_argument(
        "--quiet", action="store_true", help="show no progress (default: bars, or lines in a file)"
    )
    command_line.add_argument(
        "--debug",
        action="store_true",
        help="show the traceback of an error, and the log (default: one line)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Scan an event and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _scan(arguments), debug=arguments.debug)


def _scan(arguments: argparse.Namespace) -> int:
    from skymap_scanner.cli.local_scan import scan_here
    from skymap_scanner.config import read_environment

    # An address or token in the environment belongs to the broker of servers started by hand.
    own_broker = {"SKYSCAN_BROKER_CLIENT": "embedded", "SKYSCAN_BROKER_ADDRESS": ""}
    settings = read_environment(os.environ | own_broker)
    return scan_here(arguments, settings)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _cone(text: str) -> tuple[float, float, float]:
    """Read ``RA,DEC,RADIUS`` in degrees; return radians."""
    import argparse

    from skymap_scanner.sky.region import Cone

    ra_deg, dec_deg, radius_deg = (float(part) for part in text.split(","))
    try:
        cone = Cone.from_degrees(ra_deg, dec_deg, radius_deg)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return cone.ra, cone.dec, cone.radius


_count.__name__ = "number of workers"
_cone.__name__ = "RA,DEC,RADIUS"
