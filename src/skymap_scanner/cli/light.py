"""Light in ice: ``plot`` draws a light model beside simulated photons, ``make`` makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from skymap_scanner.cli import light_make, light_plot
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

__all__ = ["main", "parser"]


class _Module(Protocol):
    """What the module of an action offers, besides the work itself."""

    SUMMARY: str
    __doc__: str | None

    def add_options(self, command_line: argparse.ArgumentParser, /) -> None:
        """Add its options, ``--debug`` among them."""


#: name -> module and what it does with the arguments, in the order of the help.
_ACTIONS: dict[str, tuple[_Module, Callable[[argparse.Namespace], int]]] = {
    "plot": (light_plot, light_plot.plot),
    "make": (light_make, light_make.make),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner light``."""
    command_line = OneLineParser(prog=f"{PROGRAM} light", description=__doc__)
    actions = command_line.add_subparsers(dest="what", metavar="|".join(_ACTIONS), required=True)
    for name, (module, work) in _ACTIONS.items():
        action = actions.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        module.add_options(action)
        action.set_defaults(work=work)
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked for and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: int(arguments.work(arguments)), debug=arguments.debug)
