"""The data types of pixels under their classic import name."""

from __future__ import annotations

from skymap_scanner.pixels import (
    NSidesDict,
    RecoPixelFinal,
    RecoPixelVariation,
    SentPixelVariation,
)

__all__ = ["NSidesDict", "RecoPixelFinal", "RecoPixelVariation", "SentPixelVariation"]
