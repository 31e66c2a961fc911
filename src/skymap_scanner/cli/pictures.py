"""The pictures of a scan on this machine: the whole sky, and the neighbourhood of the best fit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skymap_scanner.event import detector_to_equatorial, online_fit
from skymap_scanner.exceptions import EventError
from skymap_scanner.plot import plot_all_sky, plot_zoom
from skymap_scanner.plot.style import Marker
from skymap_scanner.server.folders import PICTURES
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.event import Event
    from skymap_scanner.server.preparation import ScanPlan
    from skymap_scanner.server.session import Outcome

__all__ = ["draw_map", "known_directions"]

logger = logging.getLogger(__name__)


def draw_map(plan: ScanPlan, outcome: Outcome) -> dict[str, Path]:
    """Draw the map and return kind -> path.

    A picture that cannot be drawn is a warning, whatever the reason: the map itself is saved.
    """
    files: dict[str, Path] = {}
    try:
        markers = known_directions(plan.event)
        draw: dict[str, Callable[..., Path]] = {"all_sky": plot_all_sky, "zoom": plot_zoom}
        for kind in PICTURES:
            path = plan.folders.picture(kind)
            draw[kind](outcome.result, path, reco_algo=plan.reco.name, markers=markers)
            files[kind] = path
    except Exception as error:  # see the docstring
        logger.warning("a picture of the map cannot be drawn: %s", error)
        logger.debug("where it failed", exc_info=True)
    return files


def known_directions(event: Event) -> list[Marker]:
    """Return what is worth marking beside the best fit: the online fit, and the truth if known."""
    markers = []
    try:
        fit = online_fit(event)
    except EventError:
        pass
    else:
        ra, dec = detector_to_equatorial(fit.zenith, fit.azimuth, event.mjd)
        markers.append(Marker(float(ra), float(dec), "online fit"))
    truth = event.truth or {}
    if "ra_deg" in truth and "dec_deg" in truth:
        markers.append(Marker(truth["ra_deg"] * DEG, truth["dec_deg"] * DEG, "simulated truth"))
    return markers
