"""Simulated events in memory, as a scan would read them from a file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event import clean_for_tracks, event_from_frames
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.exceptions import UsageError
from skymap_scanner.i3 import read_message
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.varied_ice import IceVariation, VariedLight
from skymap_scanner.simulation.frames import EventNames, write_simulated_event
from skymap_scanner.simulation.plan import event_seed

if TYPE_CHECKING:
    from skymap_scanner.calibration.sample import Sample
    from skymap_scanner.event import Event
    from skymap_scanner.simulation.event import SimulatedEvent
    from skymap_scanner.simulation.light import PointLight

__all__ = ["EventSource", "TrueEvent"]

#: Header of the events; run numbers below 100000 say that they are simulated.
_RUN_ID: Final = 1
_MJD: Final = 60000.0
#: Draws of events that trigger before a sample counts as one that never has the charge wanted.
_MAX_DRAWS: Final = 1000
#: Sets the random numbers of the ice apart from those of the events.
_ICE_STREAM: Final = 7


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """An event, and what was simulated.

    Attributes
    ----------
    event : Event
        What the reconstruction sees.
    truth : dict
        Truth of the simulation (`skymap_scanner.simulation.truth.describe`).
    variation : IceVariation
        How the ice of the simulation differs from that of the reconstruction.
    charge, n_doms : float, int
        Charge [PE] and hit modules after the cleaning for tracks, as alerts count them.
    n_drawn : int
        Events that were drawn for it.
    """

    event: Event
    truth: dict[str, Any]
    variation: IceVariation
    charge: float
    n_doms: int
    n_drawn: int


class EventSource:
    """Simulates the events of a sample, each for itself.

    Parameters
    ----------
    sample : Sample
        What is wanted.

    Raises
    ------
    UsageError
        When the sample was made with another light model than that of the package.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._light = LightModel.load()
        if self._light.label != sample.light:
            raise UsageError(
                "another light model", found=sample.light, wanted=f"{self._light.label}, as here"
            )

    def make(self, number: int) -> TrueEvent:
        """Simulate an event of the sample; the same whatever came before.

        Parameters
        ----------
        number : int
            Number of the event, from 1.

        Raises
        ------
        UsageError
            When no event triggers, or none has the charge wanted.
        """
        sample = self._sample
        seed = event_seed(sample.seed, number)
        variation = IceVariation()
        light: PointLight = self._light
        if sample.kind == "varied-ice":
            variation = IceVariation.draw(np.random.default_rng((seed, _ICE_STREAM)))
            light = VariedLight(self._light.weights, variation)
        plan = sample.plan(sample.class_of(number))
        n_drawn = 0
        for draw in range(1, _MAX_DRAWS + 1):
            simulated, n = plan.simulate(built_in_detector(), light, event_seed(seed, draw))
            n_drawn += n
            event, truth = _as_read(simulated, number)
            cleaned = clean_for_tracks(event)
            charge = float(cleaned.total_charge)
            if charge >= sample.min_charge:
                return TrueEvent(event, truth, variation, charge, int(cleaned.n_doms), n_drawn)
        raise UsageError(
            f"none of {_MAX_DRAWS} events has the charge wanted",
            place="--min-charge-pe",
            found=f"{charge:.1f} PE in the last one",
            wanted=f"{sample.min_charge:g} PE; lower it, or raise the energies",
        )


def _as_read(simulated: SimulatedEvent, number: int) -> tuple[Event, dict[str, Any]]:
    """Write an event to a file as real ones come, and read it as a scan does."""
    with tempfile.TemporaryDirectory(prefix="skymap-scanner-") as folder:
        path = Path(folder) / "event.json"
        truth = write_simulated_event(path, simulated, EventNames(_RUN_ID, number, _MJD))
        message = read_message(path)
    # The simulation has the built-in detector, whatever baseline files this machine has.
    event = event_from_frames(message.frames, version=message.version, searches_baseline=False)
    return event, truth
