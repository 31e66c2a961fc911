"""The messages between server and clients, as the rest of the program sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from skymap_scanner.pixels import Fit, Seed, TaskKey

__all__ = [
    "MAX_ATTEMPTS",
    "MAX_TASK_BYTES",
    "MAX_VARIATIONS",
    "SCHEMA_VERSION",
    "EndOfScan",
    "FailureKind",
    "Message",
    "Task",
    "TaskDone",
    "TaskFailed",
    "WorkerBeat",
    "WorkerBye",
    "WorkerHello",
]

#: Changes whenever a field is added, removed or means something else.
SCHEMA_VERSION: Final = 1
#: No task message is longer; worst-case doubles and a scan id of 64 characters included.
MAX_TASK_BYTES: Final = 800
#: A pixel has at most so many variations; their states are bits of one 64-bit word.
MAX_VARIATIONS: Final = 64
#: A task is tried at most so often, whatever the settings say.
MAX_ATTEMPTS: Final = 100

#: Why a task has no outcome: it took too long, its process died, it raised, its worker left.
FailureKind: TypeAlias = Literal["timeout", "crash", "error", "lost"]


@dataclass(frozen=True, slots=True)
class Task:
    """Server to clients: fit this pixel variation, for the `attempt`-th time (the first is 1)."""

    scan_id: str
    key: TaskKey
    attempt: int
    seed: Seed


@dataclass(frozen=True, slots=True)
class TaskDone:
    """Client to server: the outcome of a task and how long it took [s]."""

    scan_id: str
    key: TaskKey
    attempt: int
    fit: Fit
    runtime_s: float
    worker: str


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """Client to server: there is no outcome, and why."""

    scan_id: str
    key: TaskKey
    attempt: int
    kind: FailureKind
    reason: str
    worker: str


@dataclass(frozen=True, slots=True)
class WorkerHello:
    """Client to server: a client with `n_processes` reconstructing processes is ready."""

    scan_id: str
    worker: str
    host: str
    pid: int
    n_processes: int
    version: str


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """Client to server: still alive."""

    scan_id: str
    worker: str
    n_done: int


@dataclass(frozen=True, slots=True)
class WorkerBye:
    """Client to server: this client leaves."""

    scan_id: str
    worker: str
    reason: str
    n_done: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class EndOfScan:
    """Server to all clients: nothing more will come."""

    scan_id: str
    reason: str


Message: TypeAlias = Task | TaskDone | TaskFailed | WorkerHello | WorkerBeat | WorkerBye | EndOfScan
