"""The client's side of one connection to an embedded broker; it lives until the line breaks."""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from typing import TYPE_CHECKING, Protocol, cast

from skymap_scanner.broker.embedded import frames
from skymap_scanner.broker.embedded.frames import ErrorCode, Frame, FrameError, FrameReader, Op
from skymap_scanner.broker.embedded.tokens import NONCE_BYTES, PROOF_BYTES, is_proof, make_proof
from skymap_scanner.exceptions import BrokerAuthError, BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.broker.embedded.addresses import Address

__all__ = ["Link", "LinkLostError", "Receiver", "connect"]

logger = logging.getLogger(__name__)

#: Longest wait for a connection and for each step of the greeting [s].
CONNECT_TIMEOUT_S = 10.0


class LinkLostError(Exception):
    """The line broke; the request may or may not have been carried out."""


class Receiver(Protocol):
    """Who gets what the broker sends unasked."""

    def on_deliveries(self, number: int, deliveries: list[tuple[int, int, bytes]]) -> None:
        """Take (tag, attempt, body) triples for one consumer."""

    def on_news(self, number: int, body: bytes) -> None:
        """Take a broadcast for one listener."""


class Link(asyncio.Protocol):
    """One connection: greeting, answers, heartbeats.

    Parameters
    ----------
    token : str
        The secret shared with the broker.
    receiver : Receiver
        Gets deliveries and broadcasts.
    """

    def __init__(self, token: str, receiver: Receiver) -> None:
        self._token = token
        self._receiver = receiver
        self._reader = FrameReader(frames.MAX_FRAME_BYTES)
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._server_nonce = b""
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._is_flush_due = False
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._last_heard = 0.0
        self._heartbeat: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._writable.set()
        #: Done when the broker has let us in, or has not.
        self.greeted: asyncio.Future[None] = loop.create_future()
        #: Set when the line is gone.
        self.lost = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether frames can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the broker's challenge."""
        self._transport = cast("asyncio.Transport", transport)
        self._last_heard = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._transport = None
        self.lost.set()
        self._writable.set()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        reason = f"lost the connection: {exc}" if exc else "the broker closed the connection"
        if not self.greeted.done():
            self.greeted.set_exception(BrokerError(reason))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LinkLostError(reason))
        self._answers.clear()

    def data_received(self, data: bytes) -> None:
        """Handle what came."""
        self._last_heard = asyncio.get_running_loop().time()
        try:
            for frame in self._reader.feed(data):
                if not self.is_up:
                    return
                self._on_frame(frame)
        except FrameError as error:
            if not self.greeted.done():
                self.greeted.set_exception(BrokerError(f"not an embedded broker: {error}"))
            logger.warning("the broker broke the protocol: %s", error)
            self.abort()

    def pause_writing(self) -> None:
        """Note that the broker reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        self._writable.set()

    def send(self, op: Op, request: int, *payload: bytes) -> None:
        """Queue a frame; all frames of one turn of the loop go out in one write."""
        if not self.is_up:
            return
        self._outgoing.append(frames.pack_frame(op, request, *payload))
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._outgoing and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    async def drain(self) -> None:
        """Wait until the line takes more."""
        await self._writable.wait()

    async def request(self, op: Op, number: int, *payload: bytes) -> None:
        """Send a request and wait for its answer.

        Raises
        ------
        LinkLostError
            When the line breaks first.
        BrokerError
            When the broker refuses.
        """
        if not self.is_up:
            raise LinkLostError("no connection")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self.send(op, number, *payload)
            await self.drain()
            await answer
        finally:
            self._answers.pop(number, None)

    async def close(self) -> None:
        """Send what is queued and close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()
            try:
                async with asyncio.timeout(1.0):
                    await self.lost.wait()
            except TimeoutError:
                self.abort()
                await self.lost.wait()

    def abort(self) -> None:
        """Cut the line."""
        if self._transport is not None:
            self._transport.abort()

    # ---- what comes

    def _on_frame(self, frame: Frame) -> None:
        handlers: dict[int, Callable[[Frame], None]] = {
            Op.DELIVER: self._on_deliver,
            Op.NEWS: self._on_news,
            Op.OK: self._on_ok,
            Op.ERROR: self._on_error,
            Op.CHALLENGE: self._on_challenge,
            Op.WELCOME: self._on_welcome,
            Op.PONG: lambda _: None,
        }
        handler = handlers.get(frame.op)
        if handler is None or (
            not self.greeted.done() and frame.op not in (Op.CHALLENGE, Op.WELCOME, Op.ERROR)
        ):
            raise FrameError(f"unexpected frame {frame.op}")
        handler(frame)

    def _on_challenge(self, frame: Frame) -> None:
        magic, version = frames.MAGIC, bytes((frames.VERSION,))
        if len(frame.payload) != len(magic) + 1 + NONCE_BYTES or frame.payload[:12] != magic:
            raise FrameError("the first frame is not a challenge")
        if frame.payload[12:13] != version:
            raise FrameError(f"protocol version {frame.payload[12]}, spoken here: {version[0]}")
        self._server_nonce = frame.payload[13:]
        proof = make_proof(self._token, "client", self._server_nonce, self._nonce)
        self.send(Op.AUTH, 0, version + self._nonce + proof)

    def _on_welcome(self, frame: Frame) -> None:
        if len(frame.payload) != PROOF_BYTES + 8 or not self._server_nonce:
            raise FrameError("not a welcome")
        proof = frame.payload[:PROOF_BYTES]
        if not is_proof(proof, self._token, "server", self._nonce, self._server_nonce):
            self.greeted.set_exception(
                BrokerAuthError("what listens at the broker's address does not know the token")
            )
            self.abort()
            return
        (lease_s,) = struct.unpack_from("!d", frame.payload, PROOF_BYTES)
        self._heartbeat = asyncio.create_task(self._beat(lease_s))
        self.greeted.set_result(None)

    def _on_deliver(self, frame: Frame) -> None:
        self._receiver.on_deliveries(frame.request, frames.unpack_deliveries(frame.payload))

    def _on_news(self, frame: Frame) -> None:
        self._receiver.on_news(frame.request, frame.payload)

    def _on_ok(self, frame: Frame) -> None:
        answer = self._answers.get(frame.request)
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _on_error(self, frame: Frame) -> None:
        code = frame.payload[0] if frame.payload else 0
        text = frame.payload[1:].decode(errors="replace")
        error = (
            BrokerAuthError(f"the broker refuses our token: {text}")
            if code == ErrorCode.AUTH
            else BrokerError(f"the broker refuses: {text}")
        )
        if not self.greeted.done():
            self.greeted.set_exception(error)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)

    async def _beat(self, lease_s: float) -> None:
        """Show that we live, and notice when the broker does not."""
        loop = asyncio.get_running_loop()
        pause_s = lease_s / 4
        while True:
            before = loop.time()
            await asyncio.sleep(pause_s)
            self.send(Op.PING, 0)
            now = loop.time()
            # After a sleep of our own (a stopped process) the broker's answers wait to be read.
            if now - before < 2 * pause_s and now - self._last_heard > lease_s:
                logger.warning("the broker was silent for %.0f s", lease_s)
                self.abort()
                return


async def connect(address: Address, token: str, receiver: Receiver) -> Link:
    """Connect and greet.

    Raises
    ------
    BrokerAuthError
        When the token is wrong, on either side.
    BrokerError
        When nobody answers.
    """
    loop = asyncio.get_running_loop()
    link: Link | None = None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if address.path:
                _, link = await loop.create_unix_connection(
                    lambda: Link(token, receiver), address.path
                )
            else:
                _, link = await loop.create_connection(
                    lambda: Link(token, receiver), address.host, address.port
                )
            await link.greeted
    except BaseException as error:
        if link is not None:
            link.abort()
        if isinstance(error, TimeoutError):
            raise BrokerError(f"{address}: no answer in {CONNECT_TIMEOUT_S:.0f} s") from error
        if isinstance(error, OSError):
            raise BrokerError(f"{address}: {error.strerror or error}") from error
        raise
    return link
