"""Compare a sky map A with a reference B: directions, llh, regions, energies, time.

Either may be the .npz or .json file of a scan (ours, icecube-skyreader's or the classic scanner's)
or a FITS sky map (multi-order or flat, compressed or not).
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import one_line
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from skymap_scanner.result.sky_map import SkyMap

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner compare``."""
    command_line = OneLineParser(prog=f"{PROGRAM} compare", description=__doc__)
    command_line.add_argument("a", metavar="A", type=Path, help="the map")
    command_line.add_argument("b", metavar="B", type=Path, help="the reference")
    command_line.add_argument(
        "--radius-deg",
        type=float,
        default=5.0,
        metavar="DEG",
        help="pixels are compared one by one this close to the best pixel of B [deg] "
        "(default: %(default)s)",
    )
    command_line.add_argument(
        "--nside",
        type=int,
        help="resolution of those pixels (default: the second finest that both maps have)",
    )
    for which in "ab":
        command_line.add_argument(
            f"--reco-{which}",
            default="",
            metavar="NAME",
            help=f"reconstruction that made {which.upper()}, which decides how its regions are "
            "made (default: the one that the file names, else Wilks' theorem; posterior regions "
            "for FITS maps of probabilities)",
        )
    command_line.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw A, B and their difference around the best fits; .png, .pdf or .svg "
        "(default: no picture)",
    )
    command_line.add_argument(
        "--json", action="store_true", help="print one JSON object (default: a table to read)"
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two maps and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _compare(arguments), debug=arguments.debug)


def _compare(arguments: argparse.Namespace) -> int:
    from skymap_scanner.cli.comparison_table import as_table
    from skymap_scanner.result.map_comparison import compare_results
    from skymap_scanner.result.plain_json import dump_plain

    if arguments.plot is not None:
        _check_picture(arguments.plot)
    a = _read(arguments.a, arguments.reco_a)
    b = _read(arguments.b, arguments.reco_b)
    comparison = compare_results(a, b, radius_deg=arguments.radius_deg, nside=arguments.nside)
    if arguments.plot is not None:
        from skymap_scanner.plot.map_pair import plot_map_pair

        plot_map_pair(a, b, arguments.plot)
    print(dump_plain(comparison) if arguments.json else as_table(comparison))
    return 0


def _read(path: Path, reco_algo: str) -> SkyMap:
    """Read a map; what is wrong with a few of its pixels is said in a line on stderr."""
    from skymap_scanner.result import ResultWarning
    from skymap_scanner.result.sky_map import read_sky_map

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResultWarning)
        sky_map = read_sky_map(path, reco_algo)
    for warning in caught:
        print(f"{PROGRAM}: {one_line(str(warning.message))}", file=sys.stderr)
    return sky_map


def _check_picture(path: Path) -> None:
    """Refuse a picture that cannot be written before any time is spent."""
    from skymap_scanner.plot.style import picture_format
    from skymap_scanner.server.folders import check_output_file

    picture_format(path)
    check_output_file(path, option="--plot")
