"""`SkyScanResult` and `EventMetadata` under their classic import name."""

from __future__ import annotations

from skymap_scanner.result.event_metadata import EventMetadata
from skymap_scanner.result.scan_result import SkyScanResult

__all__ = ["EventMetadata", "SkyScanResult"]
