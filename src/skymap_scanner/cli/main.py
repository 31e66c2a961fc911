"""Sky maps of IceCube neutrino events: from a realtime message to the map of its direction."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from skymap_scanner import __version__
from skymap_scanner.cli.registry import SUBCOMMANDS, load
from skymap_scanner.server.exits import PROGRAM, OneLineParser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line without the sub-commands' own options."""
    import argparse

    width = max(map(len, SUBCOMMANDS))
    table = "\n".join(f"  {name:{width}}  {sub.summary}" for name, sub in SUBCOMMANDS.items())
    command_line = OneLineParser(
        prog=PROGRAM,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"commands:\n{table}\n\n'{PROGRAM} COMMAND --help' shows the options of a command. "
        "Exit codes: 0 done,\n2 bad usage or input, 1 anything else, 10 to 13 no workers, "
        "workers gone, too many\nfailures, no broker, 130 stopped.",
    )
    command_line.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command_line.add_argument("command", metavar="COMMAND", help="what to do, see below")
    command_line.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command and return its exit code."""
    command_line = parser()
    arguments = command_line.parse_args(sys.argv[1:] if argv is None else list(argv))
    if arguments.command not in SUBCOMMANDS:
        command_line.error(
            f"there is no command {arguments.command!r} (wanted one of {', '.join(SUBCOMMANDS)})"
        )
    return load(arguments.command).main(arguments.arguments)
