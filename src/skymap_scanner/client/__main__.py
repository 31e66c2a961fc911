"""``python -m skymap_scanner.client``."""

from __future__ import annotations

import sys

from skymap_scanner.client.client import main

if __name__ == "__main__":
    sys.exit(main())
