"""What leaves a client: outcomes are published first, then their tasks acknowledged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skymap_scanner.broker import Broker, Consumer, Delivery

__all__ = ["Outbox"]


class Outbox:
    """Gathers outcomes while the last batch is on its way.

    Parameters
    ----------
    broker : Broker
        Open.
    consumer : Consumer
        Where the tasks came from.
    queue : str
        Where the outcomes go.
    """

    def __init__(self, broker: Broker, consumer: Consumer, queue: str) -> None:
        self._broker = broker
        self._consumer = consumer
        self._queue = queue
        self._bodies: list[bytes] = []
        self._settled: list[Delivery] = []
        self._is_filled = asyncio.Event()
        self._is_sending = asyncio.Lock()

    def put(self, body: bytes | None, delivery: Delivery | None) -> None:
        """Add something to publish, and the task that it settles; either may be missing."""
        if body is not None:
            self._bodies.append(body)
        if delivery is not None:
            self._settled.append(delivery)
        self._is_filled.set()

    async def run(self) -> None:
        """Send what comes until cancelled; raises `BrokerError` when the broker is gone."""
        while True:
            await self._is_filled.wait()
            # Cancelled now, a batch would be published again by the last flush.
            sending = asyncio.create_task(self.flush())
            sending.add_done_callback(_take_note)
            await asyncio.shield(sending)

    async def flush(self) -> None:
        """Send all that is there."""
        async with self._is_sending:
            self._is_filled.clear()
            bodies, settled = self._bodies, self._settled
            self._bodies, self._settled = [], []
            try:
                if bodies:
                    await self._broker.publish(self._queue, bodies)
            except BaseException:
                # Whoever flushes next publishes again, which is allowed.
                self._bodies[:0], self._settled[:0] = bodies, settled
                raise
            if settled:
                await self._consumer.ack(settled)


def _take_note(sending: asyncio.Task[None]) -> None:
    """Look at the exception of a task that nobody may be waiting for any more."""
    if not sending.cancelled():
        sending.exception()
