"""What can happen to a scan (events) and what it then wants to be done (instructions).

The server turns messages into events, hands them to `ScanState.handle` and carries out the
instructions that come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from skymap_scanner.pixels import Fit, TaskKey
    from skymap_scanner.scan.message_types import FailureKind
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "Event",
    "FitReceived",
    "Ignored",
    "Instruction",
    "LevelDone",
    "Resend",
    "ScanAborted",
    "ScanFinished",
    "ScanStarted",
    "SendPixels",
    "TaskFailedReceived",
]


@dataclass(frozen=True, slots=True)
class ScanStarted:
    """Event: begin. The first level is to be sent."""


@dataclass(frozen=True, slots=True)
class FitReceived:
    """Event: a worker has an outcome for a pixel variation, which may be a failed fit."""

    key: TaskKey
    fit: Fit


@dataclass(frozen=True, slots=True)
class TaskFailedReceived:
    """Event: the `attempt`-th try of a pixel variation ended without an outcome."""

    key: TaskKey
    attempt: int
    kind: FailureKind
    reason: str


Event: TypeAlias = ScanStarted | FitReceived | TaskFailedReceived


@dataclass(frozen=True, slots=True, eq=False)
class SendPixels:
    """Instruction: send all variations of these pixels, first attempt.

    Parameters
    ----------
    nside : int
        Resolution of the pixels.
    level : int
        0 for the coarsest nside of the scan.
    ipix : ndarray of int, shape (n,)
        RING indices in ascending order.
    parents : ndarray, shape (n, 5)
        Vertex x, y, z [m], time [ns] and energy [GeV] of the best fit of the coarser pixel that
        contains each; a row of NaN where there is none.
    """

    nside: int
    level: int
    ipix: IntArray
    parents: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Resend:
    """Instruction: send one pixel variation again as its `attempt`-th try.

    `parent`, shape (5,), is the row of `SendPixels.parents` that its pixel had. One that is to go
    `alone` is sent when no other such one is on its way.
    """

    key: TaskKey
    attempt: int
    level: int
    parent: FloatArray
    alone: bool = False


@dataclass(frozen=True, slots=True)
class LevelDone:
    """Instruction: say that everything sent so far with this nside has been collected."""

    nside: int


@dataclass(frozen=True, slots=True)
class ScanFinished:
    """Instruction: the map is complete; end the scan."""


@dataclass(frozen=True, slots=True)
class ScanAborted:
    """Instruction: the scan cannot give a map worth having; end it, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Instruction: warn that an answer came to something that was never asked."""

    key: TaskKey
    reason: str


Instruction: TypeAlias = SendPixels | Resend | LevelDone | ScanFinished | ScanAborted | Ignored
