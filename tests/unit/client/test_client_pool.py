"""How a client deals out its tasks, with children that only pretend; and what leaves it when."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, cast

import pytest

from skymap_scanner.broker import Broker, Consumer, Delivery
from skymap_scanner.client.outbox import Outbox
from skymap_scanner.client.pipes import Reply, ReplyKind
from skymap_scanner.client.pool import Pool, PoolPlan
from skymap_scanner.client.slot import Death, Slot
from skymap_scanner.exceptions import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.scan.messages import FailureKind


class FakeSlot:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.number = 0
        self.is_ready = True
        self.tasks: list[Delivery] = []

    @property
    def n_tasks(self) -> int:
        return len(self.tasks)

    def send(self, deliveries: Sequence[Delivery]) -> None:
        assert self.is_ready
        self.tasks += deliveries


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: list[Delivery] = []
        self.failures: list[tuple[Delivery, str, str]] = []
        self.hopeless: list[str] = []

    def on_outcome(self, delivery: Delivery, reply: Reply) -> None:  # noqa: ARG002 - as asked for
        self.outcomes.append(delivery)

    def on_failure(self, delivery: Delivery, kind: FailureKind, reason: str) -> None:
        self.failures.append((delivery, kind, reason))

    def on_hopeless(self, reason: str) -> None:
        self.hopeless.append(reason)


_tags = itertools.count()


def deliveries(n: int) -> list[Delivery]:
    return [Delivery(b"%d" % i, 1, next(_tags)) for i in range(n)]


def make_pool(n_children: int, min_depth: int = 1) -> tuple[Pool, Owner, list[FakeSlot]]:
    owner = Owner()
    pool = Pool(PoolPlan(n_children, ["false"], {}, 10.0, min_depth), owner)
    slots = [FakeSlot() for _ in range(n_children)]
    pool._slots = cast("list[Slot]", slots)
    return pool, owner, slots


def as_slot(slot: FakeSlot) -> Slot:
    return cast("Slot", slot)


def finish_one(pool: Pool, slot: FakeSlot, runtime_s: float) -> None:
    pool.on_reply(as_slot(slot), slot.tasks.pop(0), Reply(ReplyKind.DONE, runtime_s, b""))
    pool.on_pause(as_slot(slot))


def test_long_tasks_are_dealt_one_by_one() -> None:
    pool, owner, slots = make_pool(3)
    pool.add(deliveries(5))
    assert [slot.n_tasks for slot in slots] == [1, 1, 1]
    assert (pool.n_wanted, pool.n_held) == (3, 5)
    finish_one(pool, slots[1], 20.0)
    assert [slot.n_tasks for slot in slots] == [1, 1, 1]
    assert (pool.n_wanted, pool.n_held) == (3, 4)
    assert len(owner.outcomes) == 1


def test_short_tasks_are_dealt_in_heaps_of_about_the_same_height() -> None:
    pool, _, slots = make_pool(2)
    pool.add(deliveries(200))
    for _ in range(100):
        finish_one(pool, slots[0], 0.0001)
    assert pool.depth == 64
    heights = [slot.n_tasks for slot in slots]
    assert sum(heights) == 100
    assert abs(heights[0] - heights[1]) <= 1 or max(heights) == pool.depth


def test_the_depth_follows_the_time_per_task() -> None:
    pool, _, (slot,) = make_pool(1)
    for runtime_s, depth in ((0.01, 5), (0.0, 64), (3.0, 1)):
        pool._mean_runtime_s = float("nan")
        pool.add(deliveries(1))
        finish_one(pool, slot, runtime_s)
        assert pool.depth == depth


def test_users_may_hold_more() -> None:
    pool, _, slots = make_pool(2, min_depth=4)
    pool.add(deliveries(10))
    assert [slot.n_tasks for slot in slots] == [4, 4]


def test_only_the_task_in_progress_is_blamed_for_a_death() -> None:
    pool, owner, slots = make_pool(2, min_depth=3)
    pool.add(deliveries(7))
    victim, other = slots
    in_progress, *queued = victim.tasks
    victim.tasks.clear()
    victim.is_ready = False
    pool.on_death(as_slot(victim), Death("crash", "exit code 1", in_progress, queued))
    assert owner.failures == [(in_progress, "crash", "exit code 1")]
    assert pool.n_held == 6
    seen = list(other.tasks)
    for _ in range(6):
        finish_one(pool, other, 1.0)
    # What the dead child had not begun comes before what nobody had.
    assert owner.outcomes[3:5] == queued
    assert owner.outcomes[:3] == seen


def test_children_that_never_start_end_the_client_once() -> None:
    pool, owner, (slot,) = make_pool(1)
    slot.is_ready = False
    for _ in range(2):
        pool.on_start_failure(as_slot(slot), "no such module")
    slot.is_ready = True
    pool.on_ready(as_slot(slot))
    slot.is_ready = False
    for n in range(1, 5):
        pool.on_start_failure(as_slot(slot), "no such module")
        assert bool(owner.hopeless) is (n >= 3)
    assert "no such module" in owner.hopeless[0]


def test_a_child_that_never_starts_does_not_end_a_client_whose_other_child_works() -> None:
    pool, owner, (slot, _) = make_pool(2)
    slot.is_ready = False
    for _ in range(9):
        pool.on_start_failure(as_slot(slot), "out of memory")
    assert not owner.hopeless
    assert pool.n_wanted == 1  # none is held for the child that is not there


def test_children_that_may_yet_start_are_waited_for() -> None:
    pool, owner, slots = make_pool(3)
    for number, slot in enumerate(slots):
        slot.number, slot.is_ready = number, False
    for slot in (slots[0], slots[1], slots[0], slots[1]):
        pool.on_start_failure(as_slot(slot), "out of memory")
        assert not owner.hopeless
    pool.on_start_failure(as_slot(slots[2]), "out of memory")
    assert owner.hopeless


class RecordingBroker:
    """Says what was published and settled, in order; may be out of reach."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[bytes]]] = []
        self.is_gone = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        if self.is_gone:
            raise BrokerError("gone")
        await self.may_go_on.wait()
        self.events.append((f"publish {queue}", list(bodies)))

    async def ack(self, settled: Sequence[Delivery]) -> None:
        self.events.append(("ack", [delivery.body for delivery in settled]))


def make_outbox(broker: RecordingBroker) -> Outbox:
    return Outbox(cast("Broker", broker), cast("Consumer", broker), "q")


def test_outcomes_are_published_before_their_tasks_are_settled() -> None:
    async def scenario() -> list[tuple[str, list[bytes]]]:
        broker = RecordingBroker()
        broker.may_go_on.clear()
        outbox = make_outbox(broker)
        running = asyncio.create_task(outbox.run())
        one, two, three = deliveries(3)
        outbox.put(b"A", one)
        await asyncio.sleep(0.01)
        outbox.put(b"B", two)
        outbox.put(None, three)
        await asyncio.sleep(0.01)
        assert broker.events == []
        broker.may_go_on.set()
        await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        return broker.events

    assert asyncio.run(scenario()) == [
        ("publish q", [b"A"]),
        ("ack", [b"0"]),
        ("publish q", [b"B"]),
        ("ack", [b"1", b"2"]),
    ]


def test_a_cancelled_outbox_finishes_its_batch_and_publishes_nothing_twice() -> None:
    async def scenario() -> list[tuple[str, list[bytes]]]:
        broker = RecordingBroker()
        broker.may_go_on.clear()
        outbox = make_outbox(broker)
        running = asyncio.create_task(outbox.run())
        one, two = deliveries(2)
        outbox.put(b"A", one)
        await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        outbox.put(b"B", two)
        flushing = asyncio.create_task(outbox.flush())
        await asyncio.sleep(0.01)
        broker.may_go_on.set()
        await flushing
        return broker.events

    assert asyncio.run(scenario()) == [
        ("publish q", [b"A"]),
        ("ack", [b"0"]),
        ("publish q", [b"B"]),
        ("ack", [b"1"]),
    ]


def test_what_could_not_be_published_is_kept() -> None:
    async def scenario() -> list[tuple[str, list[bytes]]]:
        broker = RecordingBroker()
        outbox = make_outbox(broker)
        (one,) = deliveries(1)
        outbox.put(b"A", one)
        broker.is_gone = True
        with pytest.raises(BrokerError):
            await outbox.run()
        assert broker.events == []
        broker.is_gone = False
        await outbox.flush()
        return broker.events

    assert asyncio.run(scenario()) == [("publish q", [b"A"]), ("ack", [b"0"])]
