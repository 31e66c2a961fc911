"""The process that reconstructs: ``python -m skymap_scanner.client.child``, one per task slot.

It builds event and reconstruction once, from the startup JSON that comes first through the pipe,
then turns tasks into outcomes until its supervisor closes the pipe, kills it, or dies. Whatever a
reconstruction reads or prints, the pipes stay clean.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.allocator import keep_freed_memory
from skymap_scanner.client.pipes import Reply, ReplyKind, pack_reply, read_task
from skymap_scanner.client.reconstruction import load_factory
from skymap_scanner.client.startup import StartupFile
from skymap_scanner.client.tasks import DebugFolder, decode_task
from skymap_scanner.exceptions import MessageError
from skymap_scanner.logs import PLAIN_FORMAT, configure_logging
from skymap_scanner.scan.messages import TaskDone, TaskFailed, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from skymap_scanner.client.reconstruction import Runner

__all__ = ["carry_out", "main"]

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def carry_out(body: bytes, runner: Runner, *, scan_id: str, worker: str) -> Reply:
    """Do one task, whatever it is.

    Parameters
    ----------
    body : bytes
        A task as it came through the queue.
    runner : callable
        Fits a pixel variation.
    scan_id, worker : str
        Which scan we work for, and who we are.

    Returns
    -------
    Reply
        A `TaskDone`, a `TaskFailed` when the reconstruction raised, or why this is no task.
    """
    try:
        task = decode_task(body, scan_id=scan_id)
    except MessageError as error:
        return Reply(ReplyKind.REFUSED, 0.0, str(error).encode())
    begin = time.perf_counter()
    kind = ReplyKind.DONE
    try:
        fit = runner(task.seed, task.key)
        runtime_s = time.perf_counter() - begin
        answer = encode(TaskDone(scan_id, task.key, task.attempt, fit, runtime_s, worker))
    except Exception as error:
        runtime_s = time.perf_counter() - begin
        kind = ReplyKind.FAILED
        reason = f"{type(error).__name__}: {error}"
        logger.warning("task %s raised %s", task.key, reason, exc_info=True)
        answer = encode(TaskFailed(scan_id, task.key, task.attempt, "error", reason, worker))
    return Reply(kind, runtime_s, answer)


def _claim_pipes() -> tuple[BinaryIO, int]:
    """Take stdin and stdout for ourselves; what others write to stdout goes to stderr."""
    tasks = os.fdopen(os.dup(0), "rb")
    replies = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return tasks, replies


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _die_with(supervisor: int, tasks: BinaryIO) -> None:
    """Make sure that we do not outlive the supervisor, be it killed with SIGKILL."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(1)  # it died before we could ask to be told

    def watch() -> None:
        # Reports only that the other end is closed, not that there is something to read.
        poll = select.poll()
        poll.register(tasks.fileno(), select.POLLHUP)
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


@contextlib.contextmanager
def _keep_nothing(body: bytes) -> Iterator[list[bytes]]:
    """Stand in for `DebugFolder.keep`."""
    del body
    yield []


def _die_first() -> None:
    """When memory runs out the kernel shall kill us, and not the supervisor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _ignore_polite_signals() -> None:
    """Leave Ctrl-C and SIGTERM, which reach the whole process group, to the supervisor.

    A handler instead of SIG_IGN: programs that a reconstruction starts do not inherit it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="skymap_scanner.client.child", description=__doc__)
    # Its content comes through the pipe: the file may be that of another scan by now.
    parser.add_argument("startup_json", help="shows in lists of processes whose child this is")
    parser.add_argument("--worker", required=True, help="name in messages")
    parser.add_argument("--supervisor", type=int, required=True, help="process id")
    parser.add_argument("--runner-factory", required=True, help="module:function")
    parser.add_argument("--debug-directory", type=Path)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--third-party-log-level", default="WARNING")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve tasks until the supervisor closes the pipe; 1 when we cannot begin."""
    tasks, replies = _claim_pipes()
    options = _parse(argv)
    _ignore_polite_signals()
    _die_with(options.supervisor, tasks)
    _die_first()
    keep_freed_memory()
    configure_logging(options.log_level, options.third_party_log_level, line_format=PLAIN_FORMAT)

    def reply(answer: Reply) -> None:
        _write_all(replies, pack_reply(answer))

    try:
        startup = StartupFile.from_json(read_task(tasks) or b"")
        runner = load_factory(options.runner_factory)(startup)
    except Exception as error:
        logger.exception("cannot prepare the reconstruction")
        reply(Reply(ReplyKind.UNABLE, 0.0, f"{type(error).__name__}: {error}".encode()))
        return 1
    reply(Reply(ReplyKind.READY, 0.0, b""))
    scan_id = startup.scan_id
    keep = _keep_nothing
    if options.debug_directory:
        keep = DebugFolder(options.debug_directory, scan_id).keep
    process_id = os.getpid()
    while (body := read_task(tasks)) is not None:
        with keep(body) as output:
            answer = carry_out(body, runner, scan_id=scan_id, worker=options.worker)
            if os.getpid() != process_id:
                os._exit(0)  # a copy that the reconstruction forked off; the answer is not its own
            output.append(answer.body)
        reply(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
