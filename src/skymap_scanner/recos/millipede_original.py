"""Energies along a track by Poisson's likelihood: the classic millipede scan of alert events.

All strings but DeepCore, all modules without light, late pulses cut, bright modules left out.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 9 (2014) P03009, :doi:`10.1088/1748-0221/9/03/P03009`
.. [2] R. Abbasi et al. (IceCube), "IceCat-1", ApJS 269 (2023) 25, :doi:`10.3847/1538-4365/acfa95`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skymap_scanner.recos.options import option
from skymap_scanner.recos.segmented import CleanEvent, SegmentedOptions, SegmentedReco
from skymap_scanner.recos.variations import octahedron, point

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.event import Event
    from skymap_scanner.recos.minimise.unfolding import Uncertainty
    from skymap_scanner.units import FloatArray

__all__ = ["RECO_CLASS", "MillipedeOriginal", "MillipedeOriginalOptions"]


@dataclass(frozen=True, slots=True)
class MillipedeOriginalOptions(SegmentedOptions):
    """Settings of millipede_original."""

    variations: str = option("point", help="set of vertex variations", choices=("classic", "point"))


class MillipedeOriginal(SegmentedReco):
    """Segmented cascades, Poisson's likelihood."""

    name: ClassVar[str] = "millipede_original"
    add_fallback_position: ClassVar[bool] = True
    vertex_thresholds: ClassVar[tuple[float, ...]] = (2.0,)
    variation_sets: ClassVar[Mapping[str, FloatArray]] = {
        "classic": octahedron(20.0),
        "point": point(),
    }
    options_type: ClassVar[type[Any]] = MillipedeOriginalOptions

    def clean(self, event: Event) -> CleanEvent:
        """Cut late pulses; leave out DeepCore, bright, saturated and bad modules."""
        from skymap_scanner.event.late_pulses import cut_late_pulses

        cleaned = cut_late_pulses(
            event.pulses, event.readout_window, self.options.late_pulse_residual
        )
        is_usable = self.usable(event, event.pulses)
        return CleanEvent(
            series=cleaned.series,
            window=cleaned.window,
            dead=cleaned.dead_time(event),
            is_usable=is_usable,
            is_dark=is_usable,
            has_row=np.zeros_like(is_usable),
        )

    def uncertainty(self) -> Uncertainty:
        """Return that the expectation is exact: Poisson's likelihood."""
        from skymap_scanner.recos.minimise.unfolding import Uncertainty

        return Uncertainty(0.0, 0.0)


RECO_CLASS = MillipedeOriginal
