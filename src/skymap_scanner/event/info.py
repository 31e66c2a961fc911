"""What ``skymap-scanner info`` says of an event file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from skymap_scanner.event.cleaning import clean_for_tracks
from skymap_scanner.event.coordinates import detector_to_equatorial
from skymap_scanner.event.readers import read_frames
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.event.event import Event, TrackFit
    from skymap_scanner.event.pulses import PulseSeries

__all__ = ["FrameListing", "describe", "describe_frames"]


class FrameListing(NamedTuple):
    """What one frame holds.

    Parameters
    ----------
    stop : str
        Kind of the frame: G, C, D, Q, P ...
    keys : tuple of str
        Names of its own objects.
    types : tuple of str
        Their classes, as the frame labels them.
    sizes : tuple of int
        Their sizes [bytes].
    """

    stop: str
    keys: tuple[str, ...]
    types: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def is_physics(self) -> bool:
        """Whether the frame describes an event."""
        return self.stop in ("P", "p")


def describe(event: Event) -> dict[str, Any]:
    """Describe an event in numbers, ready for JSON.

    Parameters
    ----------
    event : Event
        What was read.

    Returns
    -------
    dict
        Header, size of the main pulse series and of what track cleaning leaves of it, and every
        fit; numbers that are not finite are None.
    """
    return {
        "run_id": event.run_id,
        "event_id": event.event_id,
        "sub_event_id": event.sub_event_id,
        "mjd": event.mjd,
        "event_type": event.event_type,
        "version": event.version,
        **_size(event.pulses),
        "cleaned": _size(clean_for_tracks(event)),
        "fits": {name: _describe_fit(fit, event.mjd) for name, fit in event.fits.items()},
    }


def describe_frames(path: str | Path) -> list[FrameListing]:
    """List the frames of an event file with their objects.

    Parameters
    ----------
    path : str or Path
        A realtime message or an .i3 file.

    Returns
    -------
    list of FrameListing
        In the order of the file.

    Raises
    ------
    EventError, FormatError
        When the file cannot be read.
    """
    return [
        FrameListing(
            stop=frame.stop,
            keys=tuple(keys := frame.own_keys()),
            types=tuple(frame.type_name(key) for key in keys),
            sizes=tuple(len(frame.raw(key)) for key in keys),
        )
        for frame in read_frames(path)
    ]


def _size(pulses: PulseSeries) -> dict[str, Any]:
    return {
        "n_doms": pulses.n_doms,
        "n_pulses": pulses.n_pulses,
        "charge_pe": pulses.total_charge,
    }


def _describe_fit(fit: TrackFit, mjd: float) -> dict[str, float | None]:
    numbers: dict[str, float] = {"zenith": fit.zenith, "azimuth": fit.azimuth}
    if all(math.isfinite(angle) for angle in numbers.values()):
        ra, dec = detector_to_equatorial(fit.zenith, fit.azimuth, mjd)
        numbers |= {"ra_deg": float(ra) / DEG, "dec_deg": float(dec) / DEG}
    else:
        numbers |= {"ra_deg": math.nan, "dec_deg": math.nan}
    return {key: value if math.isfinite(value) else None for key, value in numbers.items()}
