"""Look at an event: ``plot`` draws what the detector saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner.cli import event_plot
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner event``."""
    command_line = OneLineParser(prog=f"{PROGRAM} event", description=__doc__)
    kinds = command_line.add_subparsers(dest="what", metavar="plot", required=True)
    plot = kinds.add_parser("plot", help=event_plot.SUMMARY, description=event_plot.__doc__)
    event_plot.add_options(plot)
    plot.set_defaults(work=event_plot.plot)
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked for and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: int(arguments.work(arguments)), debug=arguments.debug)
