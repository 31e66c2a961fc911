"""`from_nsides_dict` under its classic import name."""

from __future__ import annotations

from skymap_scanner.result.scan_result import from_nsides_dict

__all__ = ["from_nsides_dict"]
