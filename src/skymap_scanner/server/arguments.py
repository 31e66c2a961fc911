"""The server's command line, and the `ScanRequest` that it and ``skymap-scanner scan`` fill in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import UsageError
from skymap_scanner.server.exits import OneLineParser

if TYPE_CHECKING:
    import argparse

__all__ = [
    "DEFAULT_NSIDES",
    "LEVEL_RULES",
    "ScanRequest",
    "add_event_options",
    "add_file_options",
    "add_reco_options",
    "check_threshold",
    "parse_request",
    "request_from",
    "server_parser",
]

#: The classic progression: whole sky at nside 8, then areas of 12 and 24 pixels around the best.
DEFAULT_NSIDES = ("8:0", "64:12", "512:24")
#: Rules of credible regions to choose from; those of `skymap_scanner.result.levels`, which is not
#: loaded to show a help text.
LEVEL_RULES = ("auto", "calibrated", "wilks", "classic", "hpd")


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What the user wants to be scanned and where the results go; nothing is opened yet.

    Attributes
    ----------
    around : tuple of float, optional
        Right ascension, declination and radius of a cone; None for the whole sky [rad].
    is_real : bool, optional
        What the user says about the event; None to tell it from the run id.
    level_rule : str
        How credible regions are made: one of `skymap_scanner.result.levels.LEVEL_RULES`.
    """

    event_file: Path
    cache_dir: Path
    output_dir: Path
    client_startup_json: Path
    reco_algo: str
    reco_options: dict[str, str] = field(default_factory=dict)
    nsides: tuple[str, ...] = DEFAULT_NSIDES
    gcd_dir: str | None = None
    which: str | None = None
    is_real: bool | None = None
    threshold: float = 1.0
    around: tuple[float, float, float] | None = None
    level_rule: str = "auto"


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the event file is read."""
    parser.add_argument(
        "-g",
        "--gcd-dir",
        metavar="DIR",
        help="folder, or http(s) address of one, with baseline GCD files "
        "(default: the standard places if present, else the built-in IceCube-86 geometry)",
    )
    parser.add_argument(
        "--event",
        dest="which",
        metavar="RUN:EVENT[:SUBEVENT]",
        help="which event of a file that holds several (default: the only one)",
    )


def add_event_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the event file is read, and what kind of event it holds."""
    add_file_options(parser)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--real-event",
        dest="is_real",
        action="store_const",
        const=True,
        help="the event was recorded by IceCube: 100000 <= run id < 1000000 "
        "(default: told from the run id)",
    )
    kind.add_argument(
        "--simulated-event",
        dest="is_real",
        action="store_const",
        const=False,
        help="the event was simulated (default: told from the run id)",
    )


def add_reco_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which pixels are reconstructed, and how finely."""
    parser.add_argument(
        "--reco-option",
        dest="reco_options",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="setting of the reconstruction, repeatable; `skymap-scanner recos` lists them "
        "(default: the reconstruction's own)",
    )
    parser.add_argument(
        "--nsides",
        metavar="NSIDE:EXTENSION",
        nargs="+",
        default=list(DEFAULT_NSIDES),
        help="progression of HEALPix resolutions; the extension is the number of pixels of the "
        "coarser nside, as an area around the best pixel, that are refined; the first is 0 "
        f"(default: {' '.join(DEFAULT_NSIDES)})",
    )
    parser.add_argument(
        "--predictive-scanning-threshold",
        dest="threshold",
        metavar="FRACTION",
        type=float,
        default=1.0,
        help="refine when this fraction of a resolution is done, 0.1 to 1.0 (default: 1.0; below "
        "1.0 the map depends a little on the order in which pixels are done)",
    )
    parser.add_argument(
        "--level-rule",
        choices=LEVEL_RULES,
        default=LEVEL_RULES[0],
        help="how credible regions are made: calibrated levels, contours by Wilks' theorem, the "
        "classic contours at TS 22.2 and 64.2, highest posterior density (default: auto, "
        "calibrated where there are levels for varied ice and the reconstruction with these "
        "options, else its own rule)",
    )


def server_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m skymap_scanner.server``."""
    parser = OneLineParser(
        prog="python -m skymap_scanner.server",
        description="Serve the scan of one event: send its pixels to clients, collect the fits, "
        "write the sky map. Clients are started with the startup JSON.",
    )
    parser.add_argument(
        "--client-startup-json",
        metavar="PATH",
        type=Path,
        required=True,
        help="file that the server writes for its clients; its folder must exist (required)",
    )
    parser.add_argument(
        "-c",
        "--cache-dir",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for what a later run can use again; made when missing (required)",
    )
    parser.add_argument(
        "-o",
        "--output-dir",
        metavar="DIR",
        type=Path,
        help="folder for the results; made when missing (required unless "
        "SKYSCAN_SKYDRIVER_ADDRESS is set)",
    )
    parser.add_argument(
        "--reco-algo",
        metavar="NAME",
        required=True,
        help="reconstruction; `skymap-scanner recos` lists them (required)",
    )
    parser.add_argument(
        "-e",
        "--event-file",
        metavar="FILE",
        type=Path,
        help="realtime message (.json, .pkl) or .i3[.gz|.bz2|.zst] file (required unless "
        "SKYSCAN_SKYDRIVER_ADDRESS is set)",
    )
    add_event_options(parser)
    add_reco_options(parser)
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return parser


def check_threshold(threshold: float) -> float:
    """Return the predictive-scanning threshold when it is legal.

    Raises
    ------
    UsageError
        When it is not in 0.1 ... 1.0, both ends included.
    """
    if not (math.isfinite(threshold) and 0.1 <= threshold <= 1.0):
        raise UsageError(
            "illegal fraction",
            place="--predictive-scanning-threshold",
            found=threshold,
            wanted="0.1 to 1.0",
        )
    return threshold


def request_from(arguments: argparse.Namespace, **places: Path) -> ScanRequest:
    """Make a request of parsed options and the four paths, which programs name differently.

    Raises
    ------
    UsageError
        When an option has an illegal value.
    """
    from skymap_scanner.recos.options import parse_assignments

    return ScanRequest(
        **places,
        reco_algo=arguments.reco_algo,
        reco_options=parse_assignments(arguments.reco_options),
        nsides=tuple(arguments.nsides),
        gcd_dir=arguments.gcd_dir,
        which=arguments.which,
        is_real=arguments.is_real,
        threshold=check_threshold(arguments.threshold),
        around=getattr(arguments, "around", None),
        level_rule=arguments.level_rule,
    )


def parse_request(arguments: argparse.Namespace, *, skydriver_address: str) -> ScanRequest:
    """Make the request of the server's parsed options.

    Raises
    ------
    UsageError
        When a value is illegal, or the event or the output directory is missing.
    """
    if skydriver_address:
        raise UsageError(
            "scans for SkyDriver come with a later release; unset the variable and give "
            "--event-file and --output-dir",
            place="SKYSCAN_SKYDRIVER_ADDRESS",
            found=repr(skydriver_address),
        )
    if arguments.output_dir is None:
        raise UsageError(
            "without --output-dir (and without SkyDriver) you won't see your results!",
            place="--output-dir",
        )
    if arguments.event_file is None:
        raise UsageError("there is no event to scan", place="--event-file", wanted="a file")
    return request_from(
        arguments,
        event_file=arguments.event_file,
        cache_dir=arguments.cache_dir,
        output_dir=arguments.output_dir,
        client_startup_json=arguments.client_startup_json,
    )
