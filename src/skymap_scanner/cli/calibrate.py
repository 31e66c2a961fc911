"""Simulate events, scan each around its true direction, and tell how often regions hold the truth.

Levels of TS that make 50 % and 90 % regions hold the truth that often are written to a file, and
those of a file are checked with other events. Events are kept in a work folder: the same command
goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skymap_scanner.calibration import CLASSES, KINDS
from skymap_scanner.server.arguments import DEFAULT_NSIDES
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from skymap_scanner.calibration.sample import Sample

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner calibrate``."""
    command_line = OneLineParser(prog=f"{PROGRAM} calibrate", description=__doc__)
    command_line.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the events are kept, about 1 kB each; made when missing (required)",
    )
    _add_scan(command_line)
    _add_events(command_line)
    _add_output(command_line)
    return command_line


def _add_scan(command_line: argparse.ArgumentParser) -> None:
    command_line.add_argument(
        "--reco-algo",
        metavar="NAME",
        default="splinempe",
        help="reconstruction; `skymap-scanner recos` lists them (default: %(default)s)",
    )
    command_line.add_argument(
        "--reco-option",
        dest="reco_options",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="setting of the reconstruction, repeatable (default: the reconstruction's own)",
    )
    command_line.add_argument(
        "--nsides",
        metavar="NSIDE:EXTENSION",
        nargs="+",
        default=list(DEFAULT_NSIDES),
        help="progression of HEALPix resolutions, as for scans; the first covers the cone "
        f"(default: {' '.join(DEFAULT_NSIDES)})",
    )
    command_line.add_argument(
        "--cone-deg",
        type=float,
        metavar="RADIUS",
        help="how far around the truth is scanned; twice as far when the best pixel lies at the "
        "edge (default: 6 for tracks, 10 for starting tracks, 30 for cascades)",
    )


def _add_events(command_line: argparse.ArgumentParser) -> None:
    command_line.add_argument(
        "--events",
        type=int,
        default=200,
        metavar="N",
        help="how many events there shall be in the work folder (default: %(default)s)",
    )
    command_line.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        choices=CLASSES,
        default=list(CLASSES[:1]),
        help="kinds of events, in turn: muons through the detector, muons that start in it, "
        "cascades (default: track)",
    )
    command_line.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="ice of the simulation: that of the light model, or for each event another with "
        "scattering, absorption, efficiency and anisotropy varied by 10 %% (default: %(default)s)",
    )
    command_line.add_argument(
        "--energy-range",
        type=float,
        nargs=2,
        default=(5e3, 5e6),
        metavar=("LOW", "HIGH"),
        help="energies are even in the logarithm between these [GeV] (default: 5000 5000000)",
    )
    command_line.add_argument(
        "--zenith-range-deg",
        type=float,
        nargs=2,
        default=(0.0, 180.0),
        metavar=("LOW", "HIGH"),
        help="directions come evenly from this part of the sky [deg] (default: 0 180)",
    )
    command_line.add_argument(
        "--min-charge-pe",
        type=float,
        default=0.0,
        metavar="Q",
        help="events with less charge after the cleaning for tracks are drawn anew [PE] "
        "(default: 0, all that trigger)",
    )
    command_line.add_argument(
        "--seed", type=int, default=1, help="seed of all chance (default: %(default)s)"
    )
    command_line.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes (default: 0, one per core)",
    )


def _add_output(command_line: argparse.ArgumentParser) -> None:
    command_line.add_argument(
        "--write-levels",
        type=Path,
        metavar="FILE.json",
        help="write the levels that these events give (default: none)",
    )
    command_line.add_argument(
        "--charge-edges-pe",
        type=float,
        nargs="+",
        default=(),
        metavar="Q",
        help="edges of ranges of charge that get levels of their own, too [PE] (default: none)",
    )
    command_line.add_argument(
        "--check",
        type=Path,
        metavar="FILE.json",
        help="measure the coverage of these levels, made of other events (default: none)",
    )
    command_line.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw the coverage; .png, .pdf or .svg (default: none)",
    )
    command_line.add_argument(
        "--json", action="store_true", help="print one JSON object (default: text to read)"
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _calibrate(arguments), debug=arguments.debug)


def _calibrate(arguments: argparse.Namespace) -> int:
    from skymap_scanner.calibration.levels import check_levels, measure_levels
    from skymap_scanner.calibration.work import WorkFolder, make_records
    from skymap_scanner.cli.calibration_report import Report, as_json, as_text
    from skymap_scanner.cli.local_scan import n_cores
    from skymap_scanner.cli.progress_line import ProgressLine
    from skymap_scanner.recos.options import parse_assignments
    from skymap_scanner.result.calibrated_levels import read_levels, write_levels

    _check_files(arguments)
    checked_against = None if arguments.check is None else read_levels(arguments.check)
    reco_options = parse_assignments(arguments.reco_options)
    sample = _sample(arguments, reco_options)
    folder = WorkFolder(arguments.work_dir, sample)
    folder.prepare()
    progress = ProgressLine()
    make_records(
        folder,
        arguments.events,
        reco_options,
        n_workers=arguments.workers or n_cores(),
        report=lambda done, wanted: progress("events", done, wanted),
    )
    records = list(folder.records(arguments.events))
    report = Report(sample, records)
    if arguments.write_levels is not None:
        report.levels = measure_levels(
            records, sample, date=_today(), charge_edges=arguments.charge_edges_pe
        )
        write_levels(arguments.write_levels, report.levels)
        report.files["levels"] = arguments.write_levels
    if checked_against is not None:
        report.checks = check_levels(records, sample, checked_against)
    if arguments.plot is not None:
        report.files["plot"] = report.draw(arguments.plot)
    print(as_json(report) if arguments.json else as_text(report))
    return 0


def _sample(arguments: argparse.Namespace, reco_options: dict[str, str]) -> Sample:
    """Return what the user wants.

    Raises
    ------
    UsageError
        When that cannot be.
    """
    from skymap_scanner.calibration.sample import Sample
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.recos.registry import make_reco
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.units import DEG

    reco = make_reco(arguments.reco_algo, reco_options)
    progression = NSideProgression.parse(arguments.nsides)
    progression.check_size()
    low, high = arguments.zenith_range_deg
    chosen: dict[str, Any] = {
        "kind": arguments.kind,
        "classes": tuple(arguments.classes),
        "energy_range": tuple(arguments.energy_range),
        "zenith_range": (low * DEG, high * DEG),
        "min_charge": arguments.min_charge_pe,
        "cone": None if arguments.cone_deg is None else arguments.cone_deg * DEG,
        "seed": arguments.seed,
    }
    light = LightModel.load().label
    return Sample(reco.name, reco.describe_options(), light, progression=progression, **chosen)


def _check_files(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be written or started before any time is spent.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from skymap_scanner.calibration.work import MAX_EVENTS
    from skymap_scanner.exceptions import UsageError
    from skymap_scanner.plot.style import picture_format
    from skymap_scanner.server.folders import check_output_file

    numbers = (
        ("--events", arguments.events, 1, MAX_EVENTS),
        ("--workers", arguments.workers, 0, 1024),
    )
    for option, number, low, high in numbers:
        if not low <= number <= high:
            raise UsageError("illegal value", place=option, found=number, wanted=f"{low} to {high}")
    if arguments.charge_edges_pe and arguments.write_levels is None:
        raise UsageError(
            "without levels there is nothing to divide",
            place="--charge-edges-pe",
            wanted="--write-levels, too",
        )
    for option, path in (("--write-levels", arguments.write_levels), ("--plot", arguments.plot)):
        if path is not None:
            check_output_file(path, option=option)
    if arguments.plot is not None:
        picture_format(arguments.plot)


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()
