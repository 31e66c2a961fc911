"""Frames on the pipes between a supervisor and its children.

To the child: ``length u32 | content``, first the startup JSON, then tasks. From it: ``length u32 |
kind u8 | runtime f64 [s] | body``, one per task and in the order of the tasks, written at once, so
that the supervisor always knows which task a dying child was at. Task and body are messages as they
travel through the queues (JSON), so the supervisor passes them on unread.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["PipeError", "Reply", "ReplyKind", "ReplyReader", "pack_reply", "pack_task", "read_task"]

_LENGTH = struct.Struct("!I")
_REPLY = struct.Struct("!Bd")
#: Longest frame [bytes]; messages are far shorter.
_MAX_BYTES = 1 << 20


class ReplyKind(IntEnum):
    """What a child says."""

    READY = 1  #: event and reconstruction are prepared; no body
    UNABLE = 2  #: they cannot be; the body says why
    DONE = 3  #: the body is a `TaskDone`
    FAILED = 4  #: the body is a `TaskFailed`
    REFUSED = 5  #: that was no task of this scan; the body says why


class PipeError(Exception):
    """What a child wrote is not a reply."""


class Reply(NamedTuple):
    """One reply of a child."""

    kind: ReplyKind
    runtime_s: float
    body: bytes


def pack_task(body: bytes) -> bytes:
    """Return the frame of a task, or of the startup JSON."""
    return _LENGTH.pack(len(body)) + body


def read_task(pipe: BinaryIO) -> bytes | None:
    """Wait for the next task; None when the supervisor has closed the pipe."""
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(header)
    body = pipe.read(size)
    return body if len(body) == size else None


def pack_reply(reply: Reply) -> bytes:
    """Return the frame of a reply."""
    header = _LENGTH.pack(_REPLY.size + len(reply.body))
    return header + _REPLY.pack(reply.kind, reply.runtime_s) + reply.body


class ReplyReader:
    """Cuts what a child wrote into replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Add what came and yield the replies that are whole.

        Raises
        ------
        PipeError
            When the bytes cannot be a reply.
        """
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer, start)
            if not _REPLY.size <= size <= _MAX_BYTES:
                raise PipeError(f"a reply of {size} bytes")
            end = start + _LENGTH.size + size
            if len(self._buffer) < end:
                break
            kind, runtime_s = _REPLY.unpack_from(self._buffer, start + _LENGTH.size)
            body = bytes(self._buffer[start + _LENGTH.size + _REPLY.size : end])
            start = end
            try:
                yield Reply(ReplyKind(kind), runtime_s, body)
            except ValueError as error:
                raise PipeError(f"a reply of unknown kind {kind}") from error
        del self._buffer[:start]
