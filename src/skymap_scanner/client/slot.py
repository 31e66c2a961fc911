"""The supervisor's side of one child process: start, feed, watch, kill, replace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from skymap_scanner.client.pipes import PipeError, Reply, ReplyKind, ReplyReader, pack_task

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence

    from skymap_scanner.broker import Delivery
    from skymap_scanner.scan.messages import FailureKind

__all__ = ["Death", "Slot", "SlotOwner", "describe_end"]

logger = logging.getLogger(__name__)

#: A child that has built its event and compiled its kernels takes seconds; more than this is a hang
#: (unless tasks may take longer) [s].
_MIN_START_TIMEOUT_S = 900.0
#: How long the pipes of a dead child may stay open: its own children may hold them [s].
_PIPE_GRACE_S = 1.0
#: Pause before the next try when a child could not start, growing from the first to the second [s].
_SHORTEST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
#: Pause between two looks whether a child is gone [s].
_POLL_S = 0.02
_TAIL_BYTES = 4096
_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


@dataclass(frozen=True, slots=True)
class Death:
    """How a child ended that should not have.

    Attributes
    ----------
    kind : {"timeout", "crash"}
        Killed by us because it took too long, or ended by itself.
    reason : str
        Exit code or signal, and its last words.
    in_progress : Delivery or None
        The task it was at.
    queued : list of Delivery
        Tasks that it had not begun.
    """

    kind: FailureKind
    reason: str
    in_progress: Delivery | None
    queued: list[Delivery]


class SlotOwner(Protocol):
    """Who is told what happens in a slot."""

    def on_ready(self, slot: Slot) -> None:
        """Note that the child has built everything and waits for tasks."""

    def on_reply(self, slot: Slot, delivery: Delivery, reply: Reply) -> None:
        """Take the outcome of a task."""

    def on_pause(self, slot: Slot) -> None:
        """Hand out tasks: all replies that had come have been reported."""

    def on_death(self, slot: Slot, death: Death) -> None:
        """Take over the tasks of a child that is no more; it is replaced."""

    def on_start_failure(self, slot: Slot, reason: str) -> None:
        """Note that a child ended before its first task; it is replaced."""


class Slot:
    """One child process at a time, and the tasks in its pipe.

    Parameters
    ----------
    number : int
        From 0, for the log.
    command : sequence of str
        What to run.
    environment : mapping of str to str
        Its environment.
    owner : SlotOwner
        Is told what happens.
    task_timeout_s : float
        Time for one task; then the child is killed [s].
    startup : bytes
        The startup JSON, the first that the child is sent.
    """

    def __init__(
        self,
        number: int,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        owner: SlotOwner,
        task_timeout_s: float,
        startup: bytes = b"",
    ) -> None:
        self.number = number
        self._startup = startup
        self._command = command
        self._environment = environment
        self._owner = owner
        self._task_timeout_s = task_timeout_s
        self._process: Process | None = None
        self._is_ready = False
        #: Whether this child was ever ready.
        self._was_ready = False
        #: Whether this child has brought a task to an end.
        self._has_replied = False
        #: Tasks in the child's pipe, the one in progress first.
        self._tasks: deque[Delivery] = deque()
        #: When the task in progress (or the child) began, on the loop's clock [s].
        self._begun = 0.0
        self._is_timed_out = False
        #: Whether the last child ended before its first task.
        self._is_start_failure = False
        #: The task for which the child was killed.
        self._overdue: Delivery | None = None
        self._unable_reason = ""
        #: The last that came on the child's stderr.
        self._tail = bytearray()

    @property
    def is_ready(self) -> bool:
        """Whether it takes tasks."""
        return self._is_ready

    @property
    def n_tasks(self) -> int:
        """How many tasks are in its pipe, the one in progress included."""
        return len(self._tasks)

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Put tasks into the child's pipe."""
        if self._process is None or self._process.stdin is None or not self._is_ready:
            raise RuntimeError("a task for a child that takes none")
        if not self._tasks:
            self._begun = asyncio.get_running_loop().time()
        self._tasks.extend(deliveries)
        # No more is ever in the pipe than the little that it can hold, so nothing is drained.
        self._process.stdin.write(b"".join(pack_task(delivery.body) for delivery in deliveries))

    def check_time(self) -> None:
        """Kill the child when its task (or its start) takes too long."""
        is_gone = self._process is None or self._process.returncode is not None
        if is_gone or self._is_timed_out or (self._is_ready and not self._tasks):
            return
        limit_s = self._task_timeout_s
        if not self._is_ready:
            limit_s = max(limit_s, _MIN_START_TIMEOUT_S)
        if asyncio.get_running_loop().time() - self._begun > limit_s:
            self._is_timed_out = True
            self._overdue = self._tasks[0] if self._tasks else None
            self._kill()

    async def run(self) -> None:
        """Keep a child alive until cancelled; then kill it."""
        pause_s = _SHORTEST_PAUSE_S
        while True:
            try:
                await self._run_once()
            except OSError as error:
                self._is_start_failure = True
                reason = f"cannot start a child process: {error.strerror or error}"
                self._owner.on_start_failure(self, reason)
            if not self._is_start_failure:
                pause_s = _SHORTEST_PAUSE_S
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    async def _run_once(self) -> None:
        """Start a child, relay until it ends, report how it ended."""
        self._is_ready = self._was_ready = self._has_replied = self._is_timed_out = False
        self._is_start_failure = False
        self._unable_reason = ""
        self._tail.clear()
        self._begun = asyncio.get_running_loop().time()
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            # A process group of its own, so that what it starts can be killed with it.
            start_new_session=True,
        )
        if process.stdin is not None:
            process.stdin.write(pack_task(self._startup))
        replies = asyncio.create_task(self._relay_replies(process))
        words = asyncio.create_task(self._relay_stderr(process))
        try:
            await self._see_end(process, replies, words)
            self._bury(process)
        finally:
            self._kill()
            replies.cancel()
            words.cancel()
            await asyncio.gather(replies, words, return_exceptions=True)
            await _until_gone(process)
            self._process = None
            self._is_ready = False
            # Closes the pipes even where a grandchild keeps the other ends; before that, wait()
            # would not return.
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
            await process.wait()

    async def _see_end(
        self, process: Process, replies: asyncio.Task[None], words: asyncio.Task[None]
    ) -> None:
        """Wait until the process is gone and all that it had written is read."""
        end = asyncio.create_task(_until_gone(process))
        try:
            await asyncio.wait([end, replies], return_when=asyncio.FIRST_COMPLETED)
            # Usually the pipe ends first and the process a moment later.
            await asyncio.wait([end, replies, words], timeout=_PIPE_GRACE_S)
            if replies.done():
                replies.result()  # raises what was raised in there: a bug of ours
            self._kill()
            await end
        finally:
            end.cancel()

    def _bury(self, process: Process) -> None:
        """Report how the child ended."""
        self._is_ready = False
        end = describe_end(process.returncode or 0, bytes(self._tail))
        if not self._was_ready or (not self._tasks and not self._has_replied):
            self._is_start_failure = True
            if self._is_timed_out:
                end = "took too long to start"
            self._owner.on_start_failure(self, self._unable_reason or end)
            return
        kind: FailureKind = "crash"
        tasks = list(self._tasks)
        self._tasks.clear()
        if self._is_timed_out:
            kind, end = "timeout", f"no outcome after {self._task_timeout_s:g} s, killed"
            if not tasks or tasks[0] is not self._overdue:
                # Its outcome came while we killed: nobody is to blame.
                self._owner.on_death(self, Death(kind, end, None, tasks))
                return
        in_progress = tasks[0] if tasks else None
        self._owner.on_death(self, Death(kind, end, in_progress, tasks[1:]))

    def _kill(self) -> None:
        """Kill the child and what it has started, also when only the latter is left."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _relay_replies(self, process: Process) -> None:
        if process.stdout is None:
            raise RuntimeError("a child without stdout")
        reader = ReplyReader()
        try:
            while data := await process.stdout.read(1 << 16):
                for reply in reader.feed(data):
                    self._on_reply(reply)
                self._owner.on_pause(self)
        except PipeError as error:
            logger.warning("child %d: %s; killing it", self.number, error)
            self._kill()

    def _on_reply(self, reply: Reply) -> None:
        self._begun = asyncio.get_running_loop().time()
        if reply.kind is ReplyKind.READY:
            self._is_ready = self._was_ready = True
            self._owner.on_ready(self)
        elif reply.kind is ReplyKind.UNABLE:
            self._unable_reason = reply.body.decode(errors="replace")
        elif not self._tasks:
            raise PipeError("an outcome of no task")
        else:
            self._has_replied = True
            self._owner.on_reply(self, self._tasks.popleft(), reply)

    async def _relay_stderr(self, process: Process) -> None:
        """Keep the last words, and log the lines at the level that the child gave them."""
        if process.stderr is None:
            raise RuntimeError("a child without stderr")
        rest = b""
        while data := await process.stderr.read(1 << 14):
            self._tail += data
            del self._tail[:-_TAIL_BYTES]
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_TAIL_BYTES:]
            for line in lines:
                self._log(line.decode(errors="replace").rstrip())

    def _log(self, line: str) -> None:
        match = _LEVEL.match(line)
        level = logging.DEBUG
        if match is not None:
            level = logging.getLevelNamesMapping()[match[1]]
            line = line[match.end() :]
        logger.log(level, "child %d: %s", self.number, line)


async def _until_gone(process: Process) -> None:
    """Wait for the end of a process, whoever still holds its pipes (unlike its own ``wait``)."""
    while process.returncode is None:  # noqa: ASYNC110 - nothing sets an event
        await asyncio.sleep(_POLL_S)


def describe_end(returncode: int, stderr_tail: bytes) -> str:
    r"""Say in a line how a process ended and what it said last.

    Examples
    --------
    >>> describe_end(-11, b"")
    'killed by signal SIGSEGV'
    >>> describe_end(37, b"Traceback\nboom\n")
    'exit code 37; last words: Traceback / boom'
    """
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = str(-returncode)
        end = f"killed by signal {name}"
        if name == "SIGKILL":
            end += " (out of memory?)"
    else:
        end = f"exit code {returncode}"
    lines = [line.strip() for line in stderr_tail.decode(errors="replace").splitlines()]
    words = " / ".join([line for line in lines if line][-3:])[-300:]
    return f"{end}; last words: {words}" if words else end
