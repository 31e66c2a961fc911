"""``python -m skymap_scanner.cli.rehearse STARTUP_JSON``: make all ready for a fit, and end."""

from __future__ import annotations

import sys
from pathlib import Path

from skymap_scanner.server.exits import run_program

__all__: list[str] = []


def _rehearse() -> int:
    from skymap_scanner.client.reconstruction import build_runner
    from skymap_scanner.client.startup import StartupFile

    build_runner(StartupFile.read(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(run_program(_rehearse, debug=True))
