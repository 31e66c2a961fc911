"""``python -m skymap_scanner.server``."""

from __future__ import annotations

import sys

from skymap_scanner.server.start_scan import main

if __name__ == "__main__":
    sys.exit(main())
