"""What the embedded broker holds and who gets it: queues, credit and redelivery, without any I/O.

`QueueBoard` is told what happened and says what may go out; the server around it moves the bytes.
Consumers are known by any hashable key.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

__all__ = ["Held", "QueueBoard"]

#: Most deliveries, and about most bytes, handed to one consumer in one turn: others get theirs in
#: between, and a turn fits a frame.
_MAX_TURN = 256
_MAX_TURN_BYTES = 256 * 1024


class Held(NamedTuple):
    """One body in a queue."""

    body: bytes
    attempt: int  #: of its next delivery, from 1


@dataclass(slots=True)
class _Consumer:
    queue: str
    prefetch: int
    #: Delivered and not settled, by tag; never more than `prefetch` unless that was lowered later.
    unsettled: dict[int, Held] = field(default_factory=dict)


@dataclass(slots=True)
class _Queue:
    ready: deque[Held] = field(default_factory=deque)
    #: Keys of the consumers; the first is served next.
    consumers: deque[Hashable] = field(default_factory=deque)


class QueueBoard:
    """All queues of one broker.

    Every body is at any time in exactly one place: ready in its queue, unsettled with one consumer,
    or settled and forgotten.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._consumers: dict[Hashable, _Consumer] = {}
        self._next_tag = 1

    def publish(self, queue: str, bodies: Iterable[bytes]) -> None:
        """Add bodies to a queue, which is made when it is new."""
        self._queue(queue).ready.extend(Held(body, 1) for body in bodies)

    def attach(self, key: Hashable, queue: str, prefetch: int) -> None:
        """Add a consumer under a key that is new."""
        if key in self._consumers:
            raise KeyError(key)
        self._consumers[key] = _Consumer(queue, prefetch)
        self._queue(queue).consumers.append(key)

    def detach(self, key: Hashable, *, is_lost: bool) -> str | None:
        """Remove a consumer; what it has not settled returns, as an attempt more if it was lost.

        Returns
        -------
        str or None
            The queue it was taking from; None when the key is unknown.
        """
        consumer = self._consumers.pop(key, None)
        if consumer is None:
            return None
        queue = self._queue(consumer.queue)
        queue.consumers.remove(key)
        returned = [Held(held.body, held.attempt + is_lost) for held in consumer.unsettled.values()]
        # To the front: what was taken first should not wait behind everything else again.
        queue.ready.extendleft(reversed(returned))
        self._forget_if_unused(consumer.queue)
        return consumer.queue

    def set_prefetch(self, key: Hashable, prefetch: int) -> str | None:
        """Change a consumer's bound; return its queue, None when the key is unknown."""
        consumer = self._consumers.get(key)
        if consumer is None:
            return None
        consumer.prefetch = prefetch
        return consumer.queue

    def ack(self, key: Hashable, tags: Iterable[int]) -> str | None:
        """Settle deliveries, unknown tags being ignored; return the consumer's queue."""
        consumer = self._consumers.get(key)
        if consumer is None:
            return None
        for tag in tags:
            consumer.unsettled.pop(tag, None)
        return consumer.queue

    def nack(self, key: Hashable, tags: Sequence[int]) -> str | None:
        """Put deliveries back to the front, no attempt being counted; return the queue."""
        consumer = self._consumers.get(key)
        if consumer is None:
            return None
        ready = self._queue(consumer.queue).ready
        for tag in reversed(tags):
            held = consumer.unsettled.pop(tag, None)
            if held is not None:
                ready.appendleft(held)
        return consumer.queue

    def delete(self, queue: str) -> None:
        """Forget a queue's bodies, the unsettled ones too; its consumers stay."""
        found = self._queues.get(queue)
        if found is None:
            return
        found.ready.clear()
        for key in found.consumers:
            self._consumers[key].unsettled.clear()
        self._forget_if_unused(queue)

    def take(
        self, queue: str, is_writable: Callable[[Hashable], bool]
    ) -> Iterator[tuple[Hashable, list[tuple[int, Held]]]]:
        """Hand out what is ready, in turns, to consumers that have credit and can be written to.

        Parameters
        ----------
        queue : str
            Name of the queue.
        is_writable : callable
            Tells for a consumer's key whether its line takes more now.

        Yields
        ------
        key, deliveries
            A consumer and the (tag, body) pairs that are now its own.
        """
        found = self._queues.get(queue)
        if found is None:
            return
        skipped = 0
        while found.ready and skipped < len(found.consumers):
            key = found.consumers[0]
            found.consumers.rotate(-1)
            consumer = self._consumers[key]
            credit = consumer.prefetch - len(consumer.unsettled)
            if credit <= 0 or not is_writable(key):
                skipped += 1
                continue
            skipped = 0
            # Near the end of a level everybody gets a share of the few that are left.
            share = -(-len(found.ready) // len(found.consumers))
            yield key, self._hand_out(found, consumer, min(credit, share, _MAX_TURN))

    def n_ready(self, queue: str) -> int:
        """Return how many bodies wait in a queue."""
        found = self._queues.get(queue)
        return len(found.ready) if found is not None else 0

    def n_unsettled(self, queue: str) -> int:
        """Return how many bodies of a queue are with consumers."""
        found = self._queues.get(queue)
        keys = found.consumers if found is not None else ()
        return sum(len(self._consumers[key].unsettled) for key in keys)

    def n_consumers(self, queue: str) -> int:
        """Return how many consumers take from a queue."""
        found = self._queues.get(queue)
        return len(found.consumers) if found is not None else 0

    def _hand_out(self, queue: _Queue, consumer: _Consumer, n: int) -> list[tuple[int, Held]]:
        deliveries: list[tuple[int, Held]] = []
        n_bytes = 0
        while queue.ready and len(deliveries) < n:
            n_bytes += len(queue.ready[0].body)
            if deliveries and n_bytes > _MAX_TURN_BYTES:
                break
            held = queue.ready.popleft()
            consumer.unsettled[self._next_tag] = held
            deliveries.append((self._next_tag, held))
            self._next_tag += 1
        return deliveries

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue()
        return queue

    def _forget_if_unused(self, name: str) -> None:
        queue = self._queues[name]
        if not queue.ready and not queue.consumers:
            del self._queues[name]
