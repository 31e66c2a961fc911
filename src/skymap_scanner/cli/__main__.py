"""``python -m skymap_scanner.cli``, the same as ``skymap-scanner``."""

from __future__ import annotations

import sys

from skymap_scanner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
