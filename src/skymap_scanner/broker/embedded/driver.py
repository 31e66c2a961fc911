"""Driver of the embedded broker: reconnects, takes its consumers along, repeats what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from typing import TYPE_CHECKING, ClassVar

from skymap_scanner.broker.base import Broker
from skymap_scanner.broker.embedded import frames
from skymap_scanner.broker.embedded.addresses import Address
from skymap_scanner.broker.embedded.frames import Op
from skymap_scanner.broker.embedded.link import Link, LinkLostError, connect
from skymap_scanner.broker.embedded.members import EmbeddedConsumer, EmbeddedListener, checked_name
from skymap_scanner.broker.embedded.tokens import read_token
from skymap_scanner.exceptions import BrokerAuthError, BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from skymap_scanner.broker.base import Consumer, Listener

__all__ = ["EmbeddedBroker"]

logger = logging.getLogger(__name__)

#: First and longest pause between two attempts to connect [s].
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
#: Frames of one `publish` that may wait for their answers at a time.
_PUBLISH_WINDOW = 8


class EmbeddedBroker(Broker):
    """One connection to an `EmbeddedServer`.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT`` or ``unix:///PATH``.
    token : str
        The shared secret, or
    token_file : Path
        a file with it, read anew for each connection, since a restarted server writes a new one.
    connect_timeout_s : float
        How long the server may be out of reach before calls fail [s].

    Raises
    ------
    UsageError
        When the address is none.
    """

    kind: ClassVar[str] = "embedded"
    keeps_order: ClassVar[bool] = True
    survives_restart: ClassVar[bool] = False
    counts_nacks: ClassVar[bool] = False
    adjusts_prefetch: ClassVar[bool] = True
    max_body_bytes: ClassVar[int] = frames.MAX_BODY_BYTES

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        token_file: Path | None = None,
        connect_timeout_s: float = 300.0,
    ) -> None:
        self._address = Address.parse(address)
        self._token = token
        self._token_file = token_file
        self._connect_timeout_s = connect_timeout_s
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        #: Set while calls need not wait: there is a link, or a failure to raise.
        self._is_decided = asyncio.Event()
        self._is_decided.set()
        #: Why nothing works any more; None while it does or may again.
        self._failure: BrokerError | None = BrokerError("the broker connection is not open")
        self._numbers = itertools.count(1)
        self._consumers: dict[int, EmbeddedConsumer] = {}
        self._listeners: dict[int, EmbeddedListener] = {}

    async def open(self) -> None:
        """Connect (see `Broker.open`)."""
        if self._keeper is not None:
            raise BrokerError("the broker connection is open already")
        self._failure = None
        self._is_decided.clear()
        try:
            link = await self._connect()
        except BrokerError as error:
            self._fail(error)
            raise
        self._link = link
        self._keeper = asyncio.create_task(self._keep_linked(link))

    async def close(self) -> None:
        """Close the connection (see `Broker.close`)."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        link, self._link = self._link, None
        if link is not None:
            for number in self._consumers:
                # What they hold then returns as if given back.
                link.send(Op.CANCEL, next(self._numbers), number.to_bytes(4, "big"))
        self._fail(BrokerError("the broker connection is closed"))
        if link is not None:
            await link.close()

    async def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Put bodies into a queue (see `Broker.publish`)."""
        name = checked_name(queue)
        for body in bodies:
            self._check_size(body)
        batches = frames.batches(bodies)
        # A few frames are on the line before the first answer is awaited, but never a whole level.
        while window := list(itertools.islice(batches, _PUBLISH_WINDOW)):
            await asyncio.gather(
                *(self._request(Op.PUBLISH, name, frames.pack_bodies(batch)) for batch in window)
            )

    async def consume(self, queue: str, *, prefetch: int) -> Consumer:
        """Start to take from a queue (see `Broker.consume`)."""
        consumer = EmbeddedConsumer(self, next(self._numbers), queue, prefetch)
        await self._enrol(consumer)
        return consumer

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Send a body to all who listen (see `Broker.broadcast`)."""
        self._check_size(body)
        await self._request(Op.BROADCAST, checked_name(topic), frames.pack_bodies([body]))

    async def listen(self, topic: str) -> Listener:
        """Start to listen to a topic (see `Broker.listen`)."""
        listener = EmbeddedListener(self, next(self._numbers), topic)
        await self._enrol(listener)
        return listener

    async def delete(self, queue: str) -> None:
        """Forget a queue (see `Broker.delete`)."""
        await self._request(Op.DELETE, checked_name(queue))

    # ---- what the link reports

    def on_deliveries(self, number: int, deliveries: list[tuple[int, int, bytes]]) -> None:
        """Pass deliveries on to their consumer."""
        consumer = self._consumers.get(number)
        if consumer is not None:
            consumer.receive(deliveries)

    def on_news(self, number: int, body: bytes) -> None:
        """Pass a broadcast on to its listener."""
        listener = self._listeners.get(number)
        if listener is not None:
            listener.receive(body)

    # ---- connection

    @property
    def link(self) -> Link | None:
        """The connection of this moment; None while there is none."""
        return self._link if self._link is not None and self._link.is_up else None

    @property
    def failure(self) -> BrokerError | None:
        """Why nothing works any more."""
        return self._failure

    async def _connect(self) -> Link:
        """Try until the broker lets us in, refuses, or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._connect_timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await connect(self._address, self._current_token(), self)
            except BrokerAuthError:
                raise
            except BrokerError as error:
                left_s = deadline - loop.time()
                if left_s <= 0:
                    raise BrokerError(
                        f"the broker at {self._address} was out of reach for "
                        f"{self._connect_timeout_s:.0f} s: {error}; is the server running?",
                        address=str(self._address),
                    ) from error
                logger.log(
                    logging.INFO if pause_s < _LONGEST_PAUSE_S else logging.WARNING,
                    "broker out of reach (%s), trying again for %.0f s",
                    error,
                    left_s,
                )
            # Clients that lost the broker together should not come back together.
            await asyncio.sleep(min(left_s, pause_s * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _current_token(self) -> str:
        if self._token_file is None:
            return self._token
        try:
            return read_token(self._token_file)
        except BrokerAuthError as error:
            if self._keeper is None:
                raise
            # A server that is being restarted has taken its old token away.
            raise BrokerError(str(error)) from error

    async def _keep_linked(self, link: Link) -> None:
        """Connect again whenever the line breaks, until the broker stays away."""
        try:
            while True:
                await self._use(link)
                logger.info("lost the connection to the broker, connecting again")
                link = await self._connect()
        except BrokerError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("the broker connection died: a bug of ours")
            self._fail(BrokerError(f"the broker connection died: {error}"))

    async def _use(self, link: Link) -> None:
        """Let everybody use a connection until it breaks."""
        self._link = link
        for consumer in self._consumers.values():
            consumer.enter(link)
        for listener in self._listeners.values():
            listener.enter(link)
        self._is_decided.set()
        await link.lost.wait()
        self._is_decided.clear()
        self._link = None
        for consumer in self._consumers.values():
            consumer.forget()

    def _fail(self, error: BrokerError) -> None:
        """Let every pending and later call raise."""
        self._failure = error
        self._is_decided.set()
        for consumer in self._consumers.values():
            consumer.wake()
        for listener in self._listeners.values():
            listener.wake()
        self._consumers.clear()
        self._listeners.clear()

    async def _request(self, op: Op, *payload: bytes) -> None:
        """Send a request until it is answered, over as many connections as it takes."""
        while True:
            link = await self._linked()
            try:
                await link.request(op, next(self._numbers), *payload)
            except LinkLostError:
                # Sent perhaps, answered not: once more, since twice is allowed and never is not.
                await asyncio.sleep(0)
                continue
            return

    async def _linked(self) -> Link:
        while True:
            await self._is_decided.wait()
            if self._failure is not None:
                raise self._failure
            if self._link is not None and self._link.is_up:
                return self._link
            # The line broke and `_keep_linked` has not run since.
            await asyncio.sleep(0)

    async def _enrol(self, member: EmbeddedConsumer | EmbeddedListener) -> None:
        """Make a consumer or listener known here and to the broker."""
        link = await self._linked()
        if isinstance(member, EmbeddedConsumer):
            self._consumers[member.number] = member
        else:
            self._listeners[member.number] = member
        try:
            await link.request(*member.entry)
        except LinkLostError:
            # `_keep_linked` takes the member along to the next connection.
            await self._linked()
        except BaseException:
            self._consumers.pop(member.number, None)
            self._listeners.pop(member.number, None)
            raise

    async def cancel(self, number: int) -> None:
        """Take a consumer or listener out, here and at the broker."""
        self._consumers.pop(number, None)
        self._listeners.pop(number, None)
        link = self.link
        if link is not None:
            # When the line is lost, so is the membership.
            with contextlib.suppress(LinkLostError):
                await link.request(Op.CANCEL, next(self._numbers), number.to_bytes(4, "big"))

    def _check_size(self, body: bytes) -> None:
        if len(body) > self.max_body_bytes:
            raise BrokerError(
                f"a body of {len(body)} bytes (allowed: {self.max_body_bytes})", size=len(body)
            )
