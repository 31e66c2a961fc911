"""List every environment variable with its value, default, unit and meaning."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from skymap_scanner import config
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner env``."""
    command_line = OneLineParser(prog=f"{PROGRAM} env", description=__doc__)
    command_line.add_argument(
        "--json", action="store_true", help="print one JSON object (default: a list to read)"
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print the environment variables and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _print_variables(as_json=arguments.json), debug=arguments.debug)


def _print_variables(*, as_json: bool) -> int:
    settings = config.read_environment(os.environ)
    rows = []
    for variable in config.environment_variables():
        value = getattr(settings, variable.name)
        rows.append(
            {
                "name": variable.name,
                "value": "(set, not shown)" if variable.is_secret and value else value,
                "default": variable.default,
                "unit": variable.unit,
                "meaning": variable.meaning,
                "wanted": variable.wanted,
                "is_set": bool(os.environ.get(variable.name, "").strip()),
            }
        )
    if as_json:
        from skymap_scanner.result.plain_json import dump_plain

        print(dump_plain({"variables": rows, "timeouts": config.TIMEOUT_ADVICE}))
        return 0
    for row in rows:
        print(f"{row['name']} = {_shown(row['value'])} {row['unit']}".rstrip())
        print(f"    {row['meaning']}")
        print(f"    default {_shown(row['default'])}; {row['wanted']}")
    print(f"\nHow to choose the three timeouts\n\n{config.TIMEOUT_ADVICE}", end="")
    return 0


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value) if value != "" else '""'
