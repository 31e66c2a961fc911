"""Files of many events: their names and seeds, and what is kept when a run is repeated."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from skymap_scanner import __version__
from skymap_scanner.exceptions import UsageError
from skymap_scanner.simulation.frames import (
    EventNames,
    split_name,
    truth_path,
    write_simulated_event,
)
from skymap_scanner.simulation.light import light_name
from skymap_scanner.simulation.plan import event_seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from skymap_scanner.event import Detector
    from skymap_scanner.simulation.light import PointLight
    from skymap_scanner.simulation.plan import EventPlan

__all__ = ["EventFile", "EventSeries"]

#: More events have no number in their names' six digits.
MAX_EVENTS = 999_999


@dataclass(frozen=True, slots=True)
class EventFile:
    """An event file, its truth, and whether it was there already."""

    path: Path
    truth: dict[str, Any]
    is_kept: bool


@dataclass(frozen=True, slots=True)
class EventSeries:
    """Events of one plan, each in a file of its own.

    Attributes
    ----------
    plan : EventPlan
        What is wanted.
    light : PointLight
        The light in ice that it is seen with.
    path : Path
        Name of the file; with several events the number of each goes before the suffix.
    n_events : int
        How many.
    first : EventNames
        Run, number of the first event, time.
    overwrites : bool
        Whether events are made anew whose files are there.
    """

    plan: EventPlan
    light: PointLight
    path: Path
    n_events: int
    first: EventNames
    overwrites: bool

    def __post_init__(self) -> None:
        split_name(self.path)
        if not 1 <= self.n_events <= MAX_EVENTS:
            raise UsageError(
                "illegal value",
                place="number of events",
                found=self.n_events,
                wanted=f"1 to {MAX_EVENTS}",
            )
        self._names(self.n_events - 1)

    def prepare(self) -> None:
        """Look at every place to be written before any time is spent.

        Raises
        ------
        UsageError
            When a folder is missing, or a file is there and neither complete and of the same
            settings nor to be overwritten.
        """
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise UsageError(
                "the folder does not exist",
                place="--output",
                found=str(folder),
                wanted="an existing folder",
            )
        for number in range(self.n_events):
            path = self.file(number)
            if path.is_dir():
                raise UsageError("is a folder", place="--output", found=str(path))
            if self.overwrites or not path.exists() or self._kept(number) is not None:
                continue
            raise UsageError(
                "the file is there already",
                place="--output",
                found=f"{path}{'' if self.n_events == 1 else ', of other settings or no truth'}",
                wanted="another name, or --overwrite",
            )

    def make(self, detector: Detector) -> Iterator[EventFile]:
        """Simulate and write the events one by one; complete ones are kept.

        Raises
        ------
        UsageError
            When an event cannot trigger the detector.
        OutputError
            When a file cannot be written.
        """
        for number in range(self.n_events):
            truth = None if self.overwrites else self._kept(number)
            if truth is not None:
                yield EventFile(self.file(number), truth, is_kept=True)
                continue
            event, n_drawn = self.plan.simulate(detector, self.light, self._seed(number))
            size = {
                "n_doms": event.pulses.n_doms,
                "n_pulses": len(event.pulses),
                "charge_pe": round(float(event.pulses.charge.sum()), 3),
            }
            remarks = {"size": size, "n_drawn": n_drawn, "request": self._request(number)}
            path = self.file(number)
            truth = write_simulated_event(path, event, self._names(number), remarks=remarks)
            yield EventFile(path, truth, is_kept=False)

    def file(self, number: int) -> Path:
        """Return the path of one event, counted from 0."""
        if self.n_events == 1:
            return self.path
        stem, suffix = split_name(self.path)
        return self.path.with_name(f"{stem}.{self.first.event_id + number:06d}{suffix}")

    def _names(self, number: int) -> EventNames:
        return replace(self.first, event_id=self.first.event_id + number)

    def _seed(self, number: int) -> int:
        """Return the seed of one event; a lone event has that of the plan itself."""
        seed = self.plan.settings.seed
        return seed if self.n_events == 1 else event_seed(seed, self._names(number).event_id)

    def _request(self, number: int) -> dict[str, Any]:
        """Return all that decides what an event looks like, as it comes back from JSON."""
        names = self._names(number)
        request = {
            "plan": self.plan.as_json(),
            "light": light_name(self.light),
            "seed": self._seed(number),
            "run_id": names.run_id,
            "event_id": names.event_id,
            "mjd": names.mjd,
            "version": __version__,
        }
        plain: dict[str, Any] = json.loads(json.dumps(request))
        return plain

    def _kept(self, number: int) -> dict[str, Any] | None:
        """Return the truth of an event of several that is there, complete and as wanted."""
        path = self.file(number)
        if self.n_events == 1 or not path.is_file():
            return None
        try:
            truth = json.loads(truth_path(path).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(truth, dict) or truth.get("request") != self._request(number):
            return None
        return truth
