"""``python -m skymap_scanner.cli.warm_up RECO OPTIONS``: compile a reconstruction's kernels."""

from __future__ import annotations

import json
import sys

from skymap_scanner.server.exits import run_program

__all__: list[str] = []


def _warm_up() -> int:
    from skymap_scanner.recos.registry import make_reco

    make_reco(sys.argv[1], json.loads(sys.argv[2])).warm_up()
    return 0


if __name__ == "__main__":
    sys.exit(run_program(_warm_up, debug=True))
