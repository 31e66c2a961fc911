"""An event from frames as they are on the wire, for code that holds frames of IceTray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner.event.builder import event_from_frames
from skymap_scanner.i3 import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skymap_scanner.event.event import Event

__all__ = ["event_from_bytes"]


def event_from_bytes(frames: Iterable[bytes], *, version: str = "") -> Event:
    """Make an event of serialised frames.

    Parameters
    ----------
    frames : iterable of bytes
        Parents first (G, C, D, Q, as far as there are), the physics frame last.
    version : str
        Realtime version of the message, empty when unknown.

    Raises
    ------
    EventError
        When something that a scan needs is missing or not usable.
    FormatError
        When bytes are no frame.
    """
    return event_from_frames([Frame.from_bytes(data) for data in frames], version=version)
