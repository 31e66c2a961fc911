"""Results of scans: sky maps, their files, credible regions, and what is recorded of failures."""

from __future__ import annotations

from skymap_scanner.result.event_metadata import EventMetadata
from skymap_scanner.result.header import ScanHeader
from skymap_scanner.result.scan_result import ResultWarning, SkyScanResult, from_nsides_dict

__all__ = ["EventMetadata", "ResultWarning", "ScanHeader", "SkyScanResult", "from_nsides_dict"]
