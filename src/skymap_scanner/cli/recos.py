"""List the reconstructions that can be chosen, plug-ins included, and their options."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner recos``."""
    command_line = OneLineParser(prog=f"{PROGRAM} recos", description=__doc__)
    command_line.add_argument(
        "--json", action="store_true", help="print one JSON object (default: a list to read)"
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print the reconstructions and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _print_recos(as_json=arguments.json), debug=arguments.debug)


def _print_recos(*, as_json: bool) -> int:
    recos = [_about(name) for name in _names()]
    if as_json:
        from skymap_scanner.result.plain_json import dump_plain

        print(dump_plain({"recos": recos}))
        return 0
    for reco in recos:
        print(f"{reco['name']}\n{textwrap.indent(str(reco['summary']), '    ')}")
        for setting in reco["options"]:
            unit = f" {setting['unit']}" if setting["unit"] else ""
            default = "none" if setting["default"] is None else setting["default"]
            print(f"    --reco-option {setting['name']}={default}{unit}  ({setting['type']})")
            print(textwrap.indent(textwrap.fill(setting["meaning"], 90), " " * 8))
        print()
    return 0


def _names() -> list[str]:
    from skymap_scanner.recos.registry import reco_names

    return reco_names()


def _about(name: str) -> dict[str, Any]:
    """Describe one reco; a plug-in that cannot be loaded says why instead of hiding the others."""
    from skymap_scanner.exceptions import PluginError
    from skymap_scanner.recos.options import list_options
    from skymap_scanner.recos.registry import get_reco_class

    try:
        cls = get_reco_class(name)
        settings = list_options(cls.options_type)
    except PluginError as error:
        return {"name": name, "summary": f"cannot be used: {error}", "options": []}
    return {
        "name": name,
        "summary": (cls.__doc__ or "").strip().partition("\n")[0],
        "options": [
            {
                "name": setting.name,
                "type": setting.type_name,
                "default": setting.default,
                "unit": setting.unit,
                "meaning": setting.help,
            }
            for setting in settings
        ],
    }
