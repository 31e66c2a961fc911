"""Splinempe around the event's online track fit: same likelihood, only the pixels close to it."""

from __future__ import annotations

from typing import ClassVar

from skymap_scanner.recos.splinempe import SplineMPE

__all__ = ["RECO_CLASS", "SplineMPEPointed"]


class SplineMPEPointed(SplineMPE):
    """As `SplineMPE`, from the coarse pixels within 3.5 degrees of the online track."""

    name: ClassVar[str] = "splinempe_pointed"
    pointing_dir_name: ClassVar[str | None] = "online"
    ang_dist_deg: ClassVar[float] = 3.5


RECO_CLASS = SplineMPEPointed
