"""Pictures: the whole sky, the neighbourhood of the best fit, the event in the detector.

The functions are `skymap_scanner.plot.all_sky.plot_all_sky`, `skymap_scanner.plot.zoom.plot_zoom`
and `skymap_scanner.plot.event_display.plot_event`; matplotlib is loaded when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skymap_scanner.plot.all_sky import plot_all_sky
    from skymap_scanner.plot.event_display import plot_event
    from skymap_scanner.plot.zoom import plot_zoom

__all__ = ["plot_all_sky", "plot_event", "plot_zoom"]


def __getattr__(name: str) -> Any:
    if name == "plot_all_sky":
        from skymap_scanner.plot.all_sky import plot_all_sky

        return plot_all_sky
    if name == "plot_event":
        from skymap_scanner.plot.event_display import plot_event

        return plot_event
    if name == "plot_zoom":
        from skymap_scanner.plot.zoom import plot_zoom

        return plot_zoom
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
