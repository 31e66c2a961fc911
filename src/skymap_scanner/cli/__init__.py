"""The ``skymap-scanner`` command."""

from __future__ import annotations

from skymap_scanner.cli.main import main

__all__ = ["main"]
