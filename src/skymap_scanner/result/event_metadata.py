"""Which event a result belongs to, and the file names that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVENT_TYPES", "REAL_RUN_IDS", "UNKNOWN_EVENT", "EventMetadata", "result_stem"]

#: Event types of the realtime system; ``None`` (the string) for an event without one.
EVENT_TYPES: Final = ("HESE", "EHE", "neutrino", "ESTRES", "None")
#: Run numbers of real data: first that is one, first that is not.
REAL_RUN_IDS: Final = (100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class EventMetadata:
    """Encapsulates what result files say about their event (classic name and fields).

    Parameters
    ----------
    run_id, event_id : int
        Numbers of the event; not negative.
    event_type : str or None
        HESE, EHE, neutrino, ESTRES; None becomes the string ``None``, which files carry.
    mjd : float
        Start of the event [day, UTC]; NaN when unknown, meaningless for simulated events.
    is_real_event : bool
        Data of the detector, not of a simulation.
    version : int
        Layout of the pixel columns; always 1 in what we make.

    Raises
    ------
    EventError
        When a number is negative, or a real event has a run number that real runs cannot have.

    Examples
    --------
    >>> str(EventMetadata(127907, 20178442, "HESE", 57517.64, True))
    'run00127907.evt000020178442.HESE'
    """

    run_id: int
    event_id: int
    event_type: str | None
    mjd: float
    is_real_event: bool
    version: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_type", str(self.event_type or "None"))
        low, high = REAL_RUN_IDS
        if self.run_id < 0 or self.event_id < 0:
            raise EventError(
                "event numbers cannot be negative",
                place="event metadata",
                found=f"run {self.run_id}, event {self.event_id}",
                wanted="0 or more",
            )
        if self.is_real_event and not low <= self.run_id < high:
            raise EventError(
                "run number out of range for a real event",
                place="event metadata",
                found=self.run_id,
                wanted=f"{low} <= run number < {high}, or a simulated event",
            )

    def __str__(self) -> str:
        return f"run{self.run_id:08d}.evt{self.event_id:012d}.{self.event_type}"


#: Stands for the event of a file that does not say which (classic files without a header).
UNKNOWN_EVENT: Final = EventMetadata(0, 0, None, math.nan, is_real_event=False)


def result_stem(event_metadata: EventMetadata, nsides: Iterable[int]) -> str:
    """Return the name of a result file without its suffix.

    Parameters
    ----------
    event_metadata : EventMetadata
        The event.
    nsides : iterable of int
        Resolutions of the scan.

    Returns
    -------
    str
        Event name and nsides in ascending order.

    Examples
    --------
    >>> result_stem(EventMetadata(1, 2, None, 0.0, False), [64, 8])
    'run00000001.evt000000000002.None_8_64'
    """
    return f"{event_metadata}_{'_'.join(str(nside) for nside in sorted(nsides))}"
