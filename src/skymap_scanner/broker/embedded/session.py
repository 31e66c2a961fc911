"""The server's side of one connection: greeting and requests; and what all connections share."""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from skymap_scanner.broker.embedded import frames
from skymap_scanner.broker.embedded.frames import ErrorCode, Frame, FrameError, FrameReader, Op
from skymap_scanner.broker.embedded.queues import QueueBoard
from skymap_scanner.broker.embedded.tokens import NONCE_BYTES, PROOF_BYTES, is_proof, make_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Exchange", "Session"]

logger = logging.getLogger(__name__)

#: A connection that has not shown the token after so long is dropped [s].
GREETING_TIMEOUT_S = 5.0
#: More connections than this that have not shown the token are dropped at once.
MAX_STRANGERS = 64


@dataclass(slots=True)
class Exchange:
    """What the sessions of one server share; used in the server's event loop only."""

    token: str
    lease_s: float
    board: QueueBoard = field(default_factory=QueueBoard)
    sessions: set[Session] = field(default_factory=set)
    #: Those that have not shown the token yet.
    strangers: set[Session] = field(default_factory=set)
    #: Last broadcast of each topic, for those who come late.
    last_news: dict[str, bytes] = field(default_factory=dict)
    #: Queues whose consumers may have something to get.
    _stirred: set[str] = field(default_factory=set)

    def stir(self, queue: str | None) -> None:
        """Remember that something changed in a queue; `serve` then looks at it."""
        if queue is not None:
            self._stirred.add(queue)

    def serve(self) -> None:
        """Send out whatever can go out now."""
        while self._stirred:
            queue = self._stirred.pop()
            for key, deliveries in self.board.take(queue, _is_writable):
                session, number = cast("tuple[Session, int]", key)
                session.send(Op.DELIVER, number, frames.pack_deliveries(deliveries))

    def broadcast(self, topic: str, body: bytes) -> None:
        """Send a body to all listeners of a topic and keep it for later ones."""
        self.last_news[topic] = body
        for session in self.sessions:
            session.tell(topic, body)


def _is_writable(key: Hashable) -> bool:
    session, _ = cast("tuple[Session, int]", key)
    return session.is_writable


class Session(asyncio.Protocol):
    """One connection, from the server's side.

    Parameters
    ----------
    exchange : Exchange
        What it shares with the others.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._reader = FrameReader(frames.MAX_GREETING_BYTES)
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._greeting_timer: asyncio.TimerHandle | None = None
        self._outgoing: list[bytes] = []
        self._is_flush_due = False
        #: The line takes more; no deliveries go out otherwise, so that a slow reader costs nothing.
        self.is_writable = True
        #: Time of the last sign of life, on the loop's clock [s].
        self.last_heard = 0.0
        #: Queue per consumer number, topic per listener number.
        self._consumers: dict[int, str] = {}
        self._listeners: dict[int, str] = {}
        self._handlers: dict[int, Callable[[Frame], None]] = {
            Op.PUBLISH: self._on_publish,
            Op.CONSUME: self._on_consume,
            Op.PREFETCH: self._on_prefetch,
            Op.ACK: self._on_ack,
            Op.NACK: self._on_nack,
            Op.CANCEL: self._on_cancel,
            Op.BROADCAST: self._on_broadcast,
            Op.LISTEN: self._on_listen,
            Op.DELETE: self._on_delete,
            Op.PING: self._on_ping,
        }

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask a new connection who it is."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._exchange.strangers) >= MAX_STRANGERS:
            logger.warning("dropped a connection: %d others greet already", MAX_STRANGERS)
            self.abort()
            return
        loop = asyncio.get_running_loop()
        self.last_heard = loop.time()
        self._exchange.strangers.add(self)
        self._greeting_timer = loop.call_later(GREETING_TIMEOUT_S, self._on_greeting_timeout)
        self.send(Op.CHALLENGE, 0, frames.MAGIC + bytes((frames.VERSION,)) + self._nonce)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Return what the peer had not settled."""
        self._transport = None
        self._exchange.strangers.discard(self)
        self._exchange.sessions.discard(self)
        if self._greeting_timer is not None:
            self._greeting_timer.cancel()
        for number in self._consumers:
            self._exchange.stir(self._exchange.board.detach((self, number), is_lost=True))
        self._consumers.clear()
        self._listeners.clear()
        self._exchange.serve()

    def data_received(self, data: bytes) -> None:
        """Handle what came; a peer that breaks the rules is dropped."""
        self.last_heard = asyncio.get_running_loop().time()
        try:
            for frame in self._reader.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                if self in self._exchange.sessions:
                    self._on_frame(frame)
                else:
                    self._on_greeting(frame)
        except FrameError as error:
            logger.warning("dropped a connection that broke the protocol: %s", error)
            self.refuse(0, ErrorCode.BAD_REQUEST, str(error))
        self._exchange.serve()

    def pause_writing(self) -> None:
        """Note that the peer reads too slowly."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Note that the peer has caught up, and send what waited."""
        self.is_writable = True
        for queue in self._consumers.values():
            self._exchange.stir(queue)
        self._exchange.serve()

    def send(self, op: Op, request: int, *payload: bytes) -> None:
        """Queue a frame; all frames of one turn of the loop go out in one write."""
        self._outgoing.append(frames.pack_frame(op, request, *payload))
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Hand the queued frames to the operating system."""
        self._is_flush_due = False
        if self._outgoing and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def refuse(self, request: int, code: ErrorCode, text: str) -> None:
        """Say why, and close."""
        self.send(Op.ERROR, request, bytes((code,)) + text.encode()[:1000])
        self.close()

    def close(self) -> None:
        """Send what is queued and close; a peer that does not read it is cut off."""
        self.flush()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(1.0, self.abort)

    def abort(self) -> None:
        """Cut the line."""
        if self._transport is not None:
            self._transport.abort()

    # ---- the greeting

    def _on_greeting_timeout(self) -> None:
        logger.warning("dropped a connection that did not show the token in time")
        self.abort()

    def _on_greeting(self, frame: Frame) -> None:
        """Let the peer in when it knows the token; show it that we know it too."""
        if frame.op != Op.AUTH or len(frame.payload) != 1 + NONCE_BYTES + PROOF_BYTES:
            raise FrameError("the first frame is not a greeting")
        version = frame.payload[0]
        if version != frames.VERSION:
            raise FrameError(f"protocol version {version} (spoken here: {frames.VERSION})")
        nonce = frame.payload[1 : 1 + NONCE_BYTES]
        proof = frame.payload[1 + NONCE_BYTES :]
        exchange = self._exchange
        if not is_proof(proof, exchange.token, "client", self._nonce, nonce):
            logger.warning("dropped a connection with a wrong token")
            self.refuse(0, ErrorCode.AUTH, "wrong token")
            return
        if self._greeting_timer is not None:
            self._greeting_timer.cancel()
        exchange.strangers.discard(self)
        exchange.sessions.add(self)
        self._reader.max_bytes = frames.MAX_FRAME_BYTES
        answer = make_proof(exchange.token, "server", nonce, self._nonce)
        self.send(Op.WELCOME, 0, answer + struct.pack("!d", exchange.lease_s))

    # ---- requests

    def _on_frame(self, frame: Frame) -> None:
        handler = self._handlers.get(frame.op)
        if handler is None:
            raise FrameError(f"unknown request {frame.op}")
        handler(frame)

    def _on_publish(self, frame: Frame) -> None:
        queue, at = frames.unpack_name(frame.payload)
        self._exchange.board.publish(queue, frames.unpack_bodies(frame.payload, at))
        self._exchange.stir(queue)
        self.send(Op.OK, frame.request)

    def _on_consume(self, frame: Frame) -> None:
        queue, at = frames.unpack_name(frame.payload)
        prefetch = frames.unpack_number(frame.payload, at)
        if frame.request in self._consumers:
            raise FrameError("two consumers with one number")
        self._exchange.board.attach((self, frame.request), queue, prefetch)
        self._consumers[frame.request] = queue
        self._exchange.stir(queue)
        self.send(Op.OK, frame.request)

    def _on_prefetch(self, frame: Frame) -> None:
        prefetch = frames.unpack_number(frame.payload)
        self._exchange.stir(self._exchange.board.set_prefetch((self, frame.request), prefetch))

    def _on_ack(self, frame: Frame) -> None:
        tags = frames.unpack_tags(frame.payload)
        self._exchange.stir(self._exchange.board.ack((self, frame.request), tags))

    def _on_nack(self, frame: Frame) -> None:
        tags = frames.unpack_tags(frame.payload)
        self._exchange.stir(self._exchange.board.nack((self, frame.request), tags))

    def _on_cancel(self, frame: Frame) -> None:
        number = frames.unpack_number(frame.payload)
        if self._consumers.pop(number, None) is not None:
            self._exchange.stir(self._exchange.board.detach((self, number), is_lost=False))
        self._listeners.pop(number, None)
        self.send(Op.OK, frame.request)

    def _on_broadcast(self, frame: Frame) -> None:
        topic, at = frames.unpack_name(frame.payload)
        bodies = frames.unpack_bodies(frame.payload, at)
        if len(bodies) != 1:
            raise FrameError(f"a broadcast of {len(bodies)} bodies")
        self._exchange.broadcast(topic, bodies[0])
        self.send(Op.OK, frame.request)

    def _on_listen(self, frame: Frame) -> None:
        topic, _ = frames.unpack_name(frame.payload)
        self._listeners[frame.request] = topic
        self.send(Op.OK, frame.request)
        last = self._exchange.last_news.get(topic)
        if last is not None:
            self.send(Op.NEWS, frame.request, last)

    def tell(self, topic: str, body: bytes) -> None:
        """Send a broadcast to those of the peer's listeners that want it."""
        for number, wanted in self._listeners.items():
            if wanted == topic:
                self.send(Op.NEWS, number, body)

    def _on_delete(self, frame: Frame) -> None:
        queue, _ = frames.unpack_name(frame.payload)
        self._exchange.board.delete(queue)
        self.send(Op.OK, frame.request)

    def _on_ping(self, frame: Frame) -> None:
        self.send(Op.PONG, frame.request)
