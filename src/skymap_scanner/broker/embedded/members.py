"""Consumers and listeners of the embedded broker's driver; they outlive its single connections."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from skymap_scanner.broker.base import Consumer, Delivery, Listener
from skymap_scanner.broker.embedded import frames
from skymap_scanner.broker.embedded.frames import Op
from skymap_scanner.exceptions import BrokerError, BrokerTimeoutError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.broker.embedded.driver import EmbeddedBroker
    from skymap_scanner.broker.embedded.link import Link

__all__ = ["EmbeddedConsumer", "EmbeddedListener", "checked_name"]


class _Tag(NamedTuple):
    """Handle of a delivery: settling it over another link must do nothing."""

    link: Link | None
    number: int


class EmbeddedConsumer(Consumer):
    """See `Consumer`."""

    def __init__(self, broker: EmbeddedBroker, number: int, queue: str, prefetch: int) -> None:
        if not 1 <= prefetch < 2**32:
            raise UsageError("illegal prefetch", found=prefetch, wanted="at least 1")
        self.number = number
        self._broker = broker
        self._name = checked_name(queue)
        self._queue = queue
        self._prefetch = prefetch
        self._waiting: deque[Delivery] = deque()
        self._stirred = asyncio.Event()
        self._is_closed = False

    @property
    def entry(self) -> tuple[Op, int, bytes, bytes]:
        """The request that makes this consumer."""
        return (Op.CONSUME, self.number, self._name, self._prefetch.to_bytes(4, "big"))

    def enter(self, link: Link) -> None:
        """Join a new connection."""
        self.forget()
        link.send(*self.entry)

    def forget(self) -> None:
        """Drop what was not taken: it returned to the queue with the connection."""
        self._waiting.clear()

    def receive(self, deliveries: list[tuple[int, int, bytes]]) -> None:
        """Keep what came until it is taken."""
        link = self._broker.link
        self._waiting.extend(
            Delivery(body, attempt, _Tag(link, tag)) for tag, attempt, body in deliveries
        )
        self.wake()

    def wake(self) -> None:
        """Let those who wait look again."""
        self._stirred.set()

    async def get(self, *, max_n: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        """Take what is there (see `Consumer.get`)."""
        if not self._waiting:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wait()
            except TimeoutError as error:
                raise BrokerTimeoutError(
                    f"nothing came from {self._queue} in {timeout_s} s", queue=self._queue
                ) from error
        n = min(max_n, len(self._waiting))
        return [self._waiting.popleft() for _ in range(n)]

    async def _wait(self) -> None:
        while not self._waiting:
            if self._is_closed:
                raise BrokerError(f"the consumer of {self._queue} is closed", queue=self._queue)
            if self._broker.failure is not None:
                raise self._broker.failure
            self._stirred.clear()
            await self._stirred.wait()

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Settle deliveries (see `Consumer.ack`)."""
        await self._settle(Op.ACK, deliveries)

    async def nack(self, deliveries: Sequence[Delivery]) -> None:
        """Give deliveries back (see `Consumer.nack`)."""
        await self._settle(Op.NACK, deliveries)

    async def _settle(self, op: Op, deliveries: Sequence[Delivery]) -> None:
        if self._broker.failure is not None:
            raise self._broker.failure
        link = self._broker.link
        if link is None:
            return
        tags = [cast("_Tag", delivery.tag) for delivery in deliveries]
        numbers = [tag.number for tag in tags if tag.link is link]
        if numbers:
            link.send(op, self.number, frames.pack_tags(numbers))
            await link.drain()

    async def set_prefetch(self, prefetch: int) -> None:
        """Change the bound (see `Consumer.set_prefetch`)."""
        if not 1 <= prefetch < 2**32:
            raise UsageError("illegal prefetch", found=prefetch, wanted="at least 1")
        self._prefetch = prefetch
        link = self._broker.link
        if link is not None:
            link.send(Op.PREFETCH, self.number, prefetch.to_bytes(4, "big"))

    async def close(self) -> None:
        """Stop (see the contract)."""
        if not self._is_closed:
            self._is_closed = True
            self.forget()
            self.wake()
            await self._broker.cancel(self.number)


class EmbeddedListener(Listener):
    """See `Listener`."""

    def __init__(self, broker: EmbeddedBroker, number: int, topic: str) -> None:
        self.number = number
        self._broker = broker
        self._name = checked_name(topic)
        self._waiting: deque[bytes] = deque()
        self._stirred = asyncio.Event()
        self._is_closed = False

    @property
    def entry(self) -> tuple[Op, int, bytes]:
        """The request that makes this listener."""
        return (Op.LISTEN, self.number, self._name)

    def enter(self, link: Link) -> None:
        """Join a new connection."""
        link.send(*self.entry)

    def receive(self, body: bytes) -> None:
        """Keep what came until it is taken."""
        self._waiting.append(body)
        self.wake()

    def wake(self) -> None:
        """Let those who wait look again."""
        self._stirred.set()

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._is_closed:
                raise StopAsyncIteration
            if self._broker.failure is not None:
                raise self._broker.failure
            self._stirred.clear()
            await self._stirred.wait()
        return self._waiting.popleft()

    async def close(self) -> None:
        """Stop (see the contract)."""
        if not self._is_closed:
            self._is_closed = True
            self.wake()
            await self._broker.cancel(self.number)


def checked_name(name: str) -> bytes:
    """Return a name as it travels.

    Raises
    ------
    UsageError
        When it is empty or too long.
    """
    try:
        return frames.pack_name(name)
    except frames.FrameError as error:
        raise UsageError(str(error), place="name of a queue or topic", found=repr(name)) from error
