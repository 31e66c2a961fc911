"""The sub-commands of ``skymap-scanner``; their modules are loaded when they are called."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["SUBCOMMANDS", "Command", "SubCommand", "load"]


class Command(Protocol):
    """What the module of a sub-command offers."""

    def parser(self) -> argparse.ArgumentParser:
        """Return its command line."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Do its work and return the exit code."""


@dataclass(frozen=True, slots=True)
class SubCommand:
    """Where a sub-command is and what it does, in a few words."""

    module: str
    summary: str


#: name -> module and summary, in the order of the help.
SUBCOMMANDS: dict[str, SubCommand] = {
    "scan": SubCommand("skymap_scanner.cli.scan", "scan an event on this machine"),
    "info": SubCommand("skymap_scanner.cli.info", "show what an event file holds"),
    "event": SubCommand("skymap_scanner.cli.event", "draw an event in the detector"),
    "compare": SubCommand("skymap_scanner.cli.compare", "compare two sky maps"),
    "simulate": SubCommand("skymap_scanner.cli.simulate", "make a simulated event"),
    "calibrate": SubCommand(
        "skymap_scanner.cli.calibrate", "find and check levels of regions with simulated events"
    ),
    "light": SubCommand("skymap_scanner.cli.light", "draw or make a model of light in ice"),
    "recos": SubCommand("skymap_scanner.cli.recos", "list the reconstructions and their options"),
    "env": SubCommand("skymap_scanner.cli.env", "list the environment variables and their values"),
}


def load(name: str) -> Command:
    """Import the module of sub-command `name`."""
    return cast("Command", importlib.import_module(SUBCOMMANDS[name].module))
