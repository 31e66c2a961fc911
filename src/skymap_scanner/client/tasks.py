"""What a client does with a single task message: check it, name it, keep it for debugging."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import MessageError
from skymap_scanner.scan.messages import Task, decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DebugFolder", "decode_task", "task_name"]

logger = logging.getLogger(__name__)


def decode_task(body: bytes, *, scan_id: str) -> Task:
    """Read a message that must be a task.

    Raises
    ------
    MessageError
        When it is anything else, or belongs to another scan.
    """
    message = decode(body, scan_id=scan_id)
    if not isinstance(message, Task):
        raise MessageError(f"a {type(message).__name__} message where tasks are expected")
    return message


def task_name(task: Task) -> str:
    """Return a file name for a task; unique in a scan."""
    nside, ipix, variation = task.key
    return f"nside{nside:04d}-ipix{ipix:08d}-variation{variation}-attempt{task.attempt}"


class DebugFolder:
    """Keeps input, output and log of each task; for use in the process that reconstructs.

    Parameters
    ----------
    folder : Path
        Gets ``<scan id>-<task>.in.json``, ``.out.json`` (missing when the process died) and
        ``.log``.
    scan_id : str
        Which scan.
    """

    def __init__(self, folder: Path, scan_id: str) -> None:
        self._folder = folder
        self._scan_id = scan_id

    @contextlib.contextmanager
    def keep(self, body: bytes) -> Iterator[list[bytes]]:
        """Keep the task, what is logged and printed meanwhile, and what is put into the list."""
        try:
            name = task_name(decode_task(body, scan_id=self._scan_id))
        except MessageError:
            name = "refused"
        stem = f"{self._scan_id}-{name}"
        output: list[bytes] = []
        try:
            (self._folder / f"{stem}.in.json").write_bytes(body)
            with _streams_into(self._folder / f"{stem}.log"):
                yield output
            (self._folder / f"{stem}.out.json").write_bytes(b"".join(output))
        except OSError as error:
            # A full disk for debugging must not end a scan.
            logger.warning("cannot keep task %s: %s", name, error)
            if not output:
                yield output


@contextlib.contextmanager
def _streams_into(path: Path) -> Iterator[None]:
    """Send stdout and stderr, of Python and of anything below it, to a file meanwhile."""
    saved = [(number, os.dup(number)) for number in (1, 2)]
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for number, _ in saved:
            os.dup2(file, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)
        os.close(file)
