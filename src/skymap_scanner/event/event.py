"""The event to scan: all that reconstructions, the server and the plots need to know of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from skymap_scanner.config import frame_keys
from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.pulses import PulseSeries
    from skymap_scanner.i3 import Frame
    from skymap_scanner.pixels import Guess

__all__ = [
    "REAL_RUN_IDS",
    "Event",
    "ExcludedWindows",
    "TrackFit",
    "check_real_event",
    "is_real_run",
    "online_fit",
]

logger = logging.getLogger(__name__)

#: Run numbers of data taking: from the first, up to and without the second.
REAL_RUN_IDS: Final = (100_000, 1_000_000)

#: The online direction of HESE messages of 2016 and 2017.
_HESE_FIT: Final = "HESE_SPEFit2"

#: Module row -> time windows [ns] in which its data must not be used.
ExcludedWindows = dict[int, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class TrackFit:
    """A direction that travels with the event: the outcome of an online fit.

    Parameters
    ----------
    name : str
        Key in the frame.
    zenith, azimuth : float
        Where the particle comes from [rad]; NaN when the fit gave none.
    vertex : tuple of float
        A point on the track [m].
    time : float
        Time there [ns].
    energy : float
        [GeV]; NaN when not estimated.
    status : int
        Fit status as stored; 0 is success.
    ok : bool
        Status 0 and a finite direction.
    """

    name: str
    zenith: float
    azimuth: float
    vertex: tuple[float, float, float]
    time: float
    energy: float
    status: int
    ok: bool


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event (one physics frame) with the detector that saw it.

    Parameters
    ----------
    run_id, sub_run_id, event_id, sub_event_id : int
        Numbers of the event header.
    stream : str
        Which splitter made the sub-event, usually "InIceSplit".
    mjd : float
        Start of the sub-event, UTC [d].
    event_type : str
        "HESE", "EHE", "neutrino", "ESTRES" or "None".
    version : str
        Realtime version of the message such as "2021a"; empty for older messages and .i3 files.
    is_real : bool
        Whether the run number is one of data taking.
    pulses_name : str
        Frame key of the main pulse series.
    pulses : PulseSeries
        The main series, not cleaned. Times count from the start of the Q frame [ns].
    detector : Detector
        The modules that `pulses` refers to.
    fits : dict of str to TrackFit
        Every stored particle of the physics frame.
    stored_vertex : Guess or None
        Vertex of the self-veto for starting events, where the message carries it.
    readout_window : tuple of float
        Begin and end of what the main series covers [ns].
    excluded_windows : dict
        "CalibrationErrata" and "SaturationWindows", each module row -> windows.
    summary : dict
        Fields of the alert message (nch, npulses, qtot, reco ...); empty when there are none.
    truth : dict or None
        What was simulated, for our own simulated events.
    frames : tuple of Frame
        The frames as they were read.
    baseline_gcd : str or None
        File from which the detector was read, None for the built-in one.
    """

    run_id: int
    sub_run_id: int
    event_id: int
    sub_event_id: int
    stream: str
    mjd: float
    event_type: str
    version: str
    is_real: bool
    pulses_name: str
    pulses: PulseSeries
    detector: Detector
    fits: Mapping[str, TrackFit]
    stored_vertex: Guess | None
    readout_window: tuple[float, float]
    excluded_windows: Mapping[str, ExcludedWindows]
    summary: Mapping[str, Any]
    truth: Mapping[str, Any] | None
    frames: tuple[Frame, ...]
    baseline_gcd: str | None

    @property
    def name(self) -> str:
        """The name used for files and folders: ``run00127907.evt000020178442.HESE``."""
        return f"run{self.run_id:08d}.evt{self.event_id:012d}.{self.event_type}"

    @property
    def selector(self) -> str:
        """What ``--event`` calls it: run:event:subevent."""
        return f"{self.run_id}:{self.event_id}:{self.sub_event_id}"


def is_real_run(run_id: int) -> bool:
    """Tell whether `run_id` belongs to data taking; simulation has other numbers."""
    first, end = REAL_RUN_IDS
    return first <= run_id < end


def check_real_event(event: Event, wanted: Literal["real", "simulated"] | None) -> bool:
    """Decide whether `event` is treated as real.

    Parameters
    ----------
    event : Event
        What was read.
    wanted : {"real", "simulated"} or None
        What the user says; None: tell from the run number, and log it.

    Returns
    -------
    bool
        True for a real event.

    Raises
    ------
    EventError
        When the user says "real" and the run number is not one of data taking.
    """
    first, end = REAL_RUN_IDS
    if wanted is None:
        logger.info(
            "%s: taken for a %s event, run numbers of data are %d <= run < %d",
            event.name,
            "real" if event.is_real else "simulated",
            first,
            end,
        )
        return event.is_real
    if wanted == "real" and not event.is_real:
        raise EventError(
            "a real event has another run number; say that it is simulated",
            place=event.name,
            found=f"run {event.run_id}",
            wanted=f"{first} <= run < {end}",
        )
    if wanted == "simulated" and event.is_real:
        logger.warning("%s: scanned as simulated, but the run number is one of data", event.name)
    return wanted == "real"


def online_fit(event: Event) -> TrackFit:
    """Return the direction at which a pointed reconstruction looks.

    Parameters
    ----------
    event : Event
        What was read.

    Returns
    -------
    TrackFit
        The online spline track fit, else the best online fit, else the fit of the HESE selection,
        which is all that HESE messages of 2016 and 2017 carry.

    Raises
    ------
    EventError
        When there is neither, with the list of fits that are there.
    """
    # The names of the event's own version first, then those of the others.
    versions = [frame_keys(event.version), frame_keys("2021a"), frame_keys("2023a")]
    names = [keys.online_track for keys in versions] + [keys.best_fit for keys in versions]
    names.append(_HESE_FIT)
    for name in names:
        fit = event.fits.get(name)
        if fit is not None and fit.ok:
            return fit
    usable = [fit.name for fit in event.fits.values() if fit.ok]
    raise EventError(
        "no online track fit to point at",
        place=event.name,
        found=", ".join(usable) or "no fits at all",
        wanted=" or ".join(dict.fromkeys(names)),
    )
