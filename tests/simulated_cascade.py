"""A simulated cascade as what changes in the small event of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skymap_scanner.event import PulseSeries, built_in_detector
from skymap_scanner.light.model import LightModel
from skymap_scanner.simulation.event import simulate_cascade

if TYPE_CHECKING:
    from skymap_scanner.simulation.event import CascadeSettings

__all__ = ["cascade_fields"]


def cascade_fields(settings: CascadeSettings) -> dict[str, Any]:
    """Pulses, readout, saturation and truth of a cascade."""
    detector = built_in_detector()
    simulated = simulate_cascade(settings, detector, LightModel.load())
    found = simulated.pulses
    rows = detector.indices_of(found.om_key[:, 0], found.om_key[:, 1])
    return {
        "pulses": PulseSeries.from_columns(
            rows, found.time, found.charge, found.width, found.flags
        ),
        "readout_window": simulated.window,
        "truth": simulated.truth,
        "excluded_windows": {
            "SaturationWindows": {
                detector.index_of(*key): spans for key, spans in simulated.saturated.items()
            }
        },
    }
