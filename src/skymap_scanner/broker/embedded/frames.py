"""What goes over the line of the embedded broker: frames, and how lists of bodies sit in them.

A frame is ``length u32 | op u8 | request u32 | payload``, big-endian; the length counts what
follows it. Requests are numbered by the client, answers repeat the number; a consumer or listener
has the number of the request that made it. Many bodies travel in one frame, so that thousands of
messages per second cost tens of frames.

============  =========  ==========================================================
op            from       payload
============  =========  ==========================================================
CHALLENGE     server     magic, version u8, nonce
AUTH          client     version u8, nonce, proof
WELCOME       server     proof, lease f64 [s]
PUBLISH       client     name, bodies
CONSUME       client     name, prefetch u32
PREFETCH      client     prefetch u32
DELIVER       server     count u32, tags u64[], attempts u32[], bodies
ACK, NACK     client     count u32, tags u64[]
CANCEL        client     number u32 of the consumer or listener
BROADCAST     client     name, bodies (one)
LISTEN        client     name
NEWS          server     the body
DELETE        client     name
PING, PONG    both       nothing
OK            server     nothing
ERROR         server     code u8, text
============  =========  ==========================================================

A name is ``length u8 | UTF-8``; bodies are ``count u32 | lengths u32[] | bytes``.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from skymap_scanner.broker.embedded.queues import Held

__all__ = [
    "MAGIC",
    "MAX_BODY_BYTES",
    "MAX_FRAME_BYTES",
    "MAX_GREETING_BYTES",
    "VERSION",
    "ErrorCode",
    "Frame",
    "FrameError",
    "FrameReader",
    "Op",
    "batches",
    "pack_bodies",
    "pack_deliveries",
    "pack_frame",
    "pack_name",
    "pack_tags",
    "unpack_bodies",
    "unpack_deliveries",
    "unpack_name",
    "unpack_number",
    "unpack_tags",
]

MAGIC = b"SKYMAPBROKER"
VERSION = 1
#: Longest body [bytes]: a whole all-sky result of the finest level fits.
MAX_BODY_BYTES = 64 * 1024 * 1024
#: Longest frame [bytes]: one longest body and its surroundings.
MAX_FRAME_BYTES = MAX_BODY_BYTES + 64 * 1024
#: Longest frame that a peer may send before it has shown that it knows the token [bytes].
MAX_GREETING_BYTES = 256
#: Bodies are gathered into frames of about this size [bytes].
_BATCH_BYTES = 256 * 1024
_BATCH_BODIES = 1024

_HEADER = struct.Struct("!IBI")
_U32 = struct.Struct("!I")


class Op(IntEnum):
    """Kinds of frames."""

    CHALLENGE = 1
    AUTH = 2
    WELCOME = 3
    PUBLISH = 10
    CONSUME = 11
    PREFETCH = 12
    DELIVER = 13
    ACK = 14
    NACK = 15
    CANCEL = 16
    BROADCAST = 20
    LISTEN = 21
    NEWS = 22
    DELETE = 30
    PING = 40
    PONG = 41
    OK = 50
    ERROR = 51


class ErrorCode(IntEnum):
    """Why the server refuses."""

    AUTH = 1
    BAD_REQUEST = 2


class FrameError(Exception):
    """Bytes on the line are not what they should be; the connection cannot go on."""


class Frame(NamedTuple):
    """One frame as it came."""

    op: int
    request: int
    payload: bytes


def pack_frame(op: Op, request: int, *payload: bytes) -> bytes:
    """Return a frame as bytes."""
    size = sum(map(len, payload)) + 5
    return b"".join((_HEADER.pack(size, op, request), *payload))


class FrameReader:
    """Cuts a stream of bytes into frames.

    Attributes
    ----------
    max_bytes : int
        Longest frame; a longer announcement raises before anything is stored for it.
    """

    __slots__ = ("_buffer", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add what came and yield the frames that are whole.

        Raises
        ------
        FrameError
            When a length is impossible.
        """
        self._buffer += data
        start = 0
        # The limit may grow while the first frames are handled, so it is read each time.
        while len(self._buffer) - start >= 4:
            (size,) = _U32.unpack_from(self._buffer, start)
            if not 5 <= size <= self.max_bytes:
                raise FrameError(f"a frame of {size} bytes (allowed: 5 to {self.max_bytes})")
            end = start + 4 + size
            if len(self._buffer) < end:
                break
            _, op, request = _HEADER.unpack_from(self._buffer, start)
            payload = bytes(memoryview(self._buffer)[start + 9 : end])
            start = end
            yield Frame(op, request, payload)
        del self._buffer[:start]


def pack_name(name: str) -> bytes:
    """Return a queue's or topic's name with its length."""
    encoded = name.encode()
    if not 1 <= len(encoded) <= 255:
        raise FrameError(f"a name has 1 to 255 bytes, this one {len(encoded)}")
    return bytes((len(encoded),)) + encoded


def unpack_name(payload: bytes) -> tuple[str, int]:
    """Return the name at the start of a payload, and where it ends."""
    if not payload or not payload[0] or len(payload) < 1 + payload[0]:
        raise FrameError("a name is cut off")
    end = 1 + payload[0]
    try:
        return payload[1:end].decode(), end
    except UnicodeDecodeError as error:
        raise FrameError("a name is not UTF-8") from error


def unpack_number(payload: bytes, start: int = 0) -> int:
    """Return the u32 that ends a payload."""
    if len(payload) != start + 4:
        raise FrameError("a number is missing or followed by something")
    (number,) = _U32.unpack_from(payload, start)
    return int(number)


def _unpack(form: str, payload: bytes, start: int) -> tuple[tuple[int, ...], int]:
    """Return numbers of one form and where they end."""
    size = struct.calcsize(form)
    if len(payload) < start + size:
        raise FrameError("a list is cut off")
    return struct.unpack_from(form, payload, start), start + size


def batches(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut many bodies into groups for one frame each."""
    start = size = 0
    for i, body in enumerate(bodies):
        if i > start and (size + len(body) > _BATCH_BYTES or i - start >= _BATCH_BODIES):
            yield bodies[start:i]
            start, size = i, 0
        size += len(body)
    if start < len(bodies):
        yield bodies[start:]


def pack_bodies(bodies: Sequence[bytes]) -> bytes:
    """Return bodies with their count and lengths in front."""
    n = len(bodies)
    return struct.pack(f"!I{n}I", n, *map(len, bodies)) + b"".join(bodies)


def unpack_bodies(payload: bytes, start: int = 0) -> list[bytes]:
    """Return the bodies that end a payload."""
    (n,), at = _unpack("!I", payload, start)
    sizes, at = _unpack(f"!{n}I", payload, at)
    if at + sum(sizes) != len(payload):
        raise FrameError("bodies do not fill their frame")
    bodies = []
    for size in sizes:
        bodies.append(payload[at : at + size])
        at += size
    return bodies


def pack_tags(tags: Sequence[int]) -> bytes:
    """Return delivery tags with their count in front."""
    return struct.pack(f"!I{len(tags)}Q", len(tags), *tags)


def unpack_tags(payload: bytes) -> tuple[int, ...]:
    """Return the delivery tags of a payload."""
    (n,), at = _unpack("!I", payload, 0)
    tags, at = _unpack(f"!{n}Q", payload, at)
    if at != len(payload):
        raise FrameError("something follows a list of tags")
    return tags


def pack_deliveries(deliveries: Sequence[tuple[int, Held]]) -> bytes:
    """Return tags, attempts and bodies of deliveries."""
    tags = [tag for tag, _ in deliveries]
    attempts = [held.attempt for _, held in deliveries]
    return (
        pack_tags(tags)
        + struct.pack(f"!{len(attempts)}I", *attempts)
        + pack_bodies([held.body for _, held in deliveries])
    )


def unpack_deliveries(payload: bytes) -> list[tuple[int, int, bytes]]:
    """Return (tag, attempt, body) of each delivery."""
    (n,), at = _unpack("!I", payload, 0)
    tags, at = _unpack(f"!{n}Q", payload, at)
    attempts, at = _unpack(f"!{n}I", payload, at)
    bodies = unpack_bodies(payload, at)
    if len(bodies) != n:
        raise FrameError("as many bodies as tags were promised")
    return list(zip(tags, attempts, bodies, strict=True))
