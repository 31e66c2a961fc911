"""The scan as a state machine: events in, instructions out, no input, output or clock.

The same events in any order, repeated or not, give the same map when the predictive threshold is 1:
the next round of pixels is then made only when nothing is outstanding, the best of a pixel's
variations does not depend on the order (of equal nll the lower variation wins), and the best pixel
neither (of equal nll the finer one, then the lower index).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import numpy as np

from skymap_scanner.exceptions import InvalidTransitionError, UsageError
from skymap_scanner.pixels import Fit
from skymap_scanner.scan.events import (
    Event,
    FitReceived,
    Ignored,
    Instruction,
    LevelDone,
    Resend,
    ScanAborted,
    ScanFinished,
    ScanStarted,
    SendPixels,
    TaskFailedReceived,
)
from skymap_scanner.scan.failures import FailedPixel, FailedVariation, FailureLog
from skymap_scanner.scan.level import Level, LevelCounts
from skymap_scanner.scan.message_types import MAX_ATTEMPTS, MAX_VARIATIONS
from skymap_scanner.scan.scan_map import ScanMap, choose_first_pixels
from skymap_scanner.scan.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.pixels import NSidesDict, TaskKey
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "Event",
    "FailedPixel",
    "FailedVariation",
    "FitReceived",
    "Ignored",
    "Instruction",
    "LevelCounts",
    "LevelDone",
    "Phase",
    "Resend",
    "ScanAborted",
    "ScanFinished",
    "ScanStarted",
    "ScanState",
    "SendPixels",
    "TaskFailedReceived",
]

#: One bad pixel never ends a scan as long as others of its level are good: a level of a few pixels
#: would otherwise end with its first failure.
_TOLERATED_FAILURES: Final = 1


_Handler: TypeAlias = "Callable[[ScanState, Any], list[Instruction]]"


class Phase(StrEnum):
    """Where a scan is in its life."""

    NEW = "new"
    RUNNING = "running"
    FINISHED = "finished"
    ABORTED = "aborted"


class ScanState:
    """What was sent, what came back, what is to be done next.

    Parameters
    ----------
    progression : NSideProgression
        Resolutions and areas.
    n_variations : int
        Variations of every pixel, 1 to 64.
    threshold : float
        Predictive scanning: fraction of a level that must be collected before finer pixels around
        the best one so far are sent, 0.1 to 1. With 1 the map is reproducible.
    first_pixels : ndarray of int, optional
        Pixels of the first level (RING) of a pointed scan; all of the sky or region when absent.
    region : Cone, optional
        Pixels of any level that do not belong to it are not scanned.
    max_attempts : int
        Tries of a pixel variation before it counts as failed.
    max_failed_fraction : float
        The scan is aborted when more than this fraction of a level's pixels, and more than one of
        them, have no finite fit; 0 tolerates none. It is judged whenever a pixel is done, so that
        a scan in which everything fails ends early.

    Raises
    ------
    UsageError
        When a setting is out of range.

    Examples
    --------
    >>> from skymap_scanner.pixels import Fit
    >>> from skymap_scanner.sky.progression import NSideProgression
    >>> state = ScanState(NSideProgression.parse(["1:0"]), 1)
    >>> [send] = state.handle(ScanStarted())
    >>> send.ipix.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    >>> state.handle(FitReceived((1, 3, 0), Fit.failed("no light")))
    []
    >>> state.n_done, state.n_failed
    (1, 1)
    """

    def __init__(
        self,
        progression: NSideProgression,
        n_variations: int,
        *,
        threshold: float = 1.0,
        first_pixels: IntArray | None = None,
        region: Cone | None = None,
        max_attempts: int = 3,
        max_failed_fraction: float = 0.05,
    ) -> None:
        _check("number of variations", n_variations, 1, MAX_VARIATIONS)
        _check("predictive scanning threshold", threshold, 0.1, 1.0)
        _check("number of attempts", max_attempts, 1, MAX_ATTEMPTS)
        _check("tolerated fraction of failed pixels", max_failed_fraction, 0.0, 1.0)
        self.progression = progression
        self.n_variations = n_variations
        self.threshold = threshold
        self.region = region
        self.max_attempts = max_attempts
        self.max_failed_fraction = max_failed_fraction
        self.phase = Phase.NEW
        #: Answers that changed nothing: repeated ones, those of earlier attempts, those that came
        #: after the end, and those to what was never sent.
        self.n_duplicates = 0
        self.n_stale = 0
        self.n_late = 0
        self.n_unknown = 0
        self._first_pixels = choose_first_pixels(progression.nsides[0], first_pixels, region)
        self._map = ScanMap(progression, n_variations, region)
        self._thresholds = Thresholds(len(progression), threshold)
        self._failures = FailureLog()
        self._n_outstanding = 0

    # ------------------------------------------------------------------ events

    def handle(self, event: Event) -> list[Instruction]:
        """Take in one event and say what is to be done about it.

        Raises
        ------
        InvalidTransitionError
            When the event cannot happen in this phase, for example a fit before the start.
        """
        handler = self._TRANSITIONS.get((self.phase, type(event)))
        if handler is None:
            raise InvalidTransitionError(
                f"a scan that is {self.phase} cannot have {type(event).__name__}"
            )
        return handler(self, event)

    def _start(self, _event: Event) -> list[Instruction]:
        self.phase = Phase.RUNNING
        # a view of one NaN: the first level may have millions of pixels, none of which has a parent
        first, self._first_pixels = self._first_pixels, np.empty(0, np.int64)
        no_parents = np.broadcast_to(np.array(np.nan), (len(first), 5))
        return [self._send(self._map.levels[0], first, no_parents)]

    def _take_fit(self, event: FitReceived) -> list[Instruction]:
        found = self._find(event.key)
        if found is None:
            return self._ignore(event.key)
        (level, row), variation = found, event.key[2]
        if level.has_outcome(row, variation):
            self.n_duplicates += 1
            return []
        if not event.fit.is_ok:
            reason = event.fit.reason or f"the fit gave nll {event.fit.nll}"
            self._failures.add(event.key, int(level.attempts[row, variation]), reason)
        return self._record(level, row, event.key, event.fit)

    def _take_failure(self, event: TaskFailedReceived) -> list[Instruction]:
        found = self._find(event.key)
        if found is None:
            return self._ignore(event.key)
        (level, row), variation = found, event.key[2]
        if level.has_outcome(row, variation):
            self.n_duplicates += 1
            return []
        if event.attempt < level.attempts[row, variation]:
            self.n_stale += 1
            return []
        reason = f"{event.kind}: {event.reason}"
        self._failures.add(event.key, event.attempt, reason)
        if event.attempt >= self.max_attempts:
            return self._record(level, row, event.key, Fit.failed(reason))
        # Lost: several clients have vanished with it, or with another one that they held beside it.
        # The last attempt, one at a time, tells which.
        is_lost = event.kind == "lost"
        attempt = self.max_attempts if is_lost else event.attempt + 1
        level.attempts[row, variation] = attempt
        parent = self._map.parents(level, np.array([event.key[1]]))[0]
        return [Resend(event.key, attempt, level.level, parent, alone=is_lost)]

    def _take_late(self, _event: Event) -> list[Instruction]:
        self.n_late += 1
        return []

    def _ignore(self, key: TaskKey) -> list[Instruction]:
        self.n_unknown += 1
        return [Ignored(key, "an answer to a pixel variation that was never sent")]

    def _find(self, key: TaskKey) -> tuple[Level, int] | None:
        """Find level and row of a pixel variation, None when it was never sent."""
        nside, ipix, variation = key
        level = self._map.level_of(nside)
        if level is None or not 0 <= variation < self.n_variations:
            return None
        row = level.row_of(ipix)
        return None if row is None else (level, row)

    # ------------------------------------------------------------------ decisions

    def _record(self, level: Level, row: int, key: TaskKey, fit: Fit) -> list[Instruction]:
        """Take in the first outcome of a variation and decide what follows from it."""
        self._n_outstanding -= 1
        if not self._map.record(level, row, key[2], fit):
            return []
        if not level.failed[row]:
            self._failures.forget(level.nside, key[1])
        reason = self._too_many_failures(level)
        if reason is not None:
            return self._abort(reason)
        instructions: list[Instruction] = [LevelDone(level.nside)] if level.is_done else []
        passed = self._thresholds.has_passed(level.level, level.n_pixels_done, level.n_pixels)
        if self._n_outstanding == 0:
            instructions += self._next_round(len(self._map.levels))
            if self._n_outstanding == 0:
                instructions += self._finish()
        elif passed:
            instructions += self._next_round(level.level + 1)
        return instructions

    def _next_round(self, n_levels: int) -> list[Instruction]:
        """Take a closer look around the best pixel so far in the `n_levels` coarsest levels."""
        # what pixels start from is looked up before any of the new ones is added
        new = [
            (level, ipix, self._map.parents(level, ipix))
            for level, ipix in self._map.refine(n_levels)
        ]
        return [self._send(*pixels) for pixels in new]

    def _send(self, level: Level, ipix: IntArray, parents_of: FloatArray) -> SendPixels:
        level.add(ipix)
        self._n_outstanding += len(ipix) * self.n_variations
        return SendPixels(level.nside, level.level, ipix, parents_of)

    def _too_many_failures(self, level: Level) -> str | None:
        """Say why the failed pixels of a level end the scan; None when they do not."""
        n_sent, n_failed = level.n_pixels, level.n_pixels_failed
        allowed = self.max_failed_fraction * n_sent
        if self.max_failed_fraction > 0.0:
            allowed = max(allowed, min(_TOLERATED_FAILURES, n_sent - 1))
        if n_failed <= allowed:
            return None
        return (
            f"nside {level.nside}: {n_failed} of {n_sent} pixels have no finite fit, at most "
            f"{int(allowed)} tolerated (SKYSCAN_MAX_FAILED_PIXELS {self.max_failed_fraction:g}); "
            f"{self._failure_story()}"
        )

    def _failure_story(self) -> str:
        reasons = [f"{reason} ({n} times)" for reason, n in self._failures.most_frequent()]
        return f"most frequent: {'; '.join(reasons)}"

    def _finish(self) -> list[Instruction]:
        if self._map.best is None:
            return self._abort(f"no pixel has a finite fit; {self._failure_story()}")
        self.phase = Phase.FINISHED
        return [ScanFinished()]

    def _abort(self, reason: str) -> list[Instruction]:
        self.phase = Phase.ABORTED
        return [ScanAborted(reason)]

    # ------------------------------------------------------------------ what is known

    @property
    def n_sent(self) -> int:
        """How many pixel variations were sent, each counted once."""
        return sum(level.n_sent for level in self._map.levels)

    @property
    def n_done(self) -> int:
        """How many pixel variations have an outcome, failures among them."""
        return sum(level.n_done for level in self._map.levels)

    @property
    def n_failed(self) -> int:
        """How many pixel variations failed for good."""
        return sum(level.n_failed for level in self._map.levels)

    @property
    def n_outstanding(self) -> int:
        """How many pixel variations were sent and have no outcome yet."""
        return self._n_outstanding

    def has_outcome(self, key: TaskKey) -> bool:
        """Whether a pixel variation was sent and came back, good or failed for good."""
        found = self._find(key)
        return found is not None and found[0].has_outcome(found[1], key[2])

    @property
    def is_finished(self) -> bool:
        """Whether the scan came to an end, with a complete map or without."""
        return self.phase in (Phase.FINISHED, Phase.ABORTED)

    @property
    def is_complete(self) -> bool:
        """Whether the map is complete."""
        return self.phase is Phase.FINISHED

    @property
    def best(self) -> tuple[int, int, float] | None:
        """(nside, RING index, nll) of the best pixel all of whose variations came back, or None."""
        return self._map.best

    def counts(self) -> tuple[LevelCounts, ...]:
        """Take a snapshot of how far each level is, also of those not begun."""
        return tuple(level.counts() for level in self._map.levels)

    def nsides_dict(self) -> NSidesDict:
        """Copy the map so far: pixels all of whose variations came back and that have a fit."""
        return self._map.to_nsides_dict()

    def failed_pixels(self) -> list[FailedPixel]:
        """List the pixels without any finite fit and what happened to them, coarse ones first."""
        return [
            FailedPixel(level.nside, ipix, self._failures.of_pixel(level.nside, ipix))
            for level in self._map.levels
            for ipix in level.ipix[level.rows_without_fit()].tolist()
        ]

    def failed_variations(self) -> list[FailedVariation]:
        """List the variations that failed for good, also those of pixels with other, good ones."""
        keys = [
            (level.nside, ipix, variation)
            for level in self._map.levels
            for ipix, variation in level.failed_variations()
        ]
        return [FailedVariation(key, self._failures.of_variation(key)) for key in keys]

    def check_invariants(self) -> None:
        """Check that everything the state knows fits together; slow, for tests.

        Raises
        ------
        InvalidTransitionError
            When it does not: a bug.
        """
        self._map.check()
        if self._n_outstanding != self.n_sent - self.n_done or self._n_outstanding < 0:
            raise InvalidTransitionError(f"{self._n_outstanding} outstanding")
        if self.phase is Phase.FINISHED and (self._n_outstanding or self._map.best is None):
            raise InvalidTransitionError("finished without a whole map")

    #: What may happen when, and who deals with it; anything else is a bug.
    _TRANSITIONS: ClassVar[dict[tuple[Phase, type], _Handler]] = {
        (Phase.NEW, ScanStarted): _start,
        (Phase.RUNNING, FitReceived): _take_fit,
        (Phase.RUNNING, TaskFailedReceived): _take_failure,
        (Phase.FINISHED, FitReceived): _take_late,
        (Phase.FINISHED, TaskFailedReceived): _take_late,
        (Phase.ABORTED, FitReceived): _take_late,
        (Phase.ABORTED, TaskFailedReceived): _take_late,
    }


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} out of range", found=value, wanted=f"{low} to {high}")
