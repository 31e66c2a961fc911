"""Stand-ins for what is around the server's loop: a broker in memory with instant clients."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from skymap_scanner.broker.base import Broker, Consumer, Delivery, Listener
from skymap_scanner.client.startup import queue_from_clients, queue_to_clients
from skymap_scanner.exceptions import BrokerTimeoutError
from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.scan.messages import Task, TaskDone, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCAN_ID = "1-2-8-1700000000-abc"


def good_fit(task: Task) -> Fit:
    """A fit whose nll depends on the task only."""
    nside, ipix, variation = task.key
    nll = ((ipix * 7919 + variation * 104729) % 10007) / nside
    return Fit(FitStatus.OK, "", nll, (0.0, 0.0, 0.0), 0.0, 1.0, 1.0, 1.0, 1)


def answer_with_fit(task: Task) -> list[bytes]:
    """What a client says about a task that ends well."""
    return [encode(TaskDone(task.scan_id, task.key, task.attempt, good_fit(task), 0.5, "w"))]


def no_answer(task: Task) -> list[bytes]:
    """What a client says that never ends a task."""
    del task
    return []


class MemoryConsumer(Consumer):
    """Takes from a queue of a `MemoryBroker`."""

    def __init__(self, queue: deque[bytes]) -> None:
        self._queue = queue
        self.n_acked = 0

    async def get(self, *, max_n: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        await asyncio.sleep(0)
        if not self._queue:
            await asyncio.sleep(min(timeout_s or 0.0, 0.001))
            raise BrokerTimeoutError("nothing came")
        bodies = [self._queue.popleft() for _ in range(min(max_n, len(self._queue)))]
        return [Delivery(body, 1, None) for body in bodies]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.n_acked += len(deliveries)

    async def nack(self, deliveries: Sequence[Delivery]) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class MemoryBroker(Broker):
    """Whatever is published as a task comes back answered at once."""

    kind = "memory"
    keeps_order = True
    survives_restart = False
    counts_nacks = False
    adjusts_prefetch = False
    max_body_bytes = 1 << 20

    def __init__(
        self, answer: Callable[[Task], list[bytes]] = answer_with_fit, scan_id: str = SCAN_ID
    ) -> None:
        self.answers: deque[bytes] = deque()
        self.broadcasts: list[tuple[str, bytes]] = []
        self.deleted: list[str] = []
        self.batch_sizes: list[int] = []
        self.longest_task = 0
        self.most_waiting = 0
        self._answer = answer
        self._scan_id = scan_id

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        assert queue == queue_to_clients(self._scan_id)
        self.batch_sizes.append(len(bodies))
        for body in bodies:
            self.longest_task = max(self.longest_task, len(body))
            task = decode(body, scan_id=self._scan_id)
            assert isinstance(task, Task)
            self.answers.extend(self._answer(task))
        self.most_waiting = max(self.most_waiting, len(self.answers))

    async def consume(self, queue: str, *, prefetch: int) -> MemoryConsumer:
        assert queue == queue_from_clients(self._scan_id)
        assert prefetch > 0
        return MemoryConsumer(self.answers)

    async def broadcast(self, topic: str, body: bytes) -> None:
        self.broadcasts.append((topic, body))

    async def listen(self, topic: str) -> Listener:
        raise NotImplementedError

    async def delete(self, queue: str) -> None:
        self.deleted.append(queue)
