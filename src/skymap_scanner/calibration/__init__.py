"""Coverage of regions: simulated events are scanned around their truth, levels made and checked."""

from __future__ import annotations

from typing import Final

__all__ = ["CLASSES", "KINDS"]

#: Kinds of events: through-going muons, muons out of a cascade inside, cascades.
CLASSES: Final = ("track", "starting", "cascade")
#: Ice of the simulation: that of the reconstruction, or varied by its uncertainty event by event.
KINDS: Final = ("same-ice", "varied-ice")
