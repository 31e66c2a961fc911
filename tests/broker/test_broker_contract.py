"""The broker contract (`skymap_scanner.broker.base`), the same tests for every driver."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from broker_services import SERVICES, Service

from skymap_scanner.broker import Broker, Consumer, Delivery, make_broker
from skymap_scanner.exceptions import (
    BrokerAuthError,
    BrokerError,
    BrokerTimeoutError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Long enough for any broker to deliver what it will deliver [s].
WAIT_S = 20.0
#: How long a test watches that nothing comes [s].
QUIET_S = 0.3


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with SERVICES[request.param](tmp_path) as running:
        yield running


async def take(consumer: Consumer, n: int) -> list[Delivery]:
    """Take exactly `n` deliveries."""
    taken: list[Delivery] = []
    while len(taken) < n:
        taken += await consumer.get(max_n=n - len(taken), timeout_s=WAIT_S)
    return taken


async def assert_nothing_comes(consumer: Consumer) -> None:
    with pytest.raises(BrokerTimeoutError):
        await consumer.get(timeout_s=QUIET_S)


def test_bodies_come_out_as_they_went_in(service: Service) -> None:
    bodies = [b"", b"\0", "ä".encode(), bytes(range(256)), b'{"v": 1}', os.urandom(5000)]

    async def scenario() -> list[bytes]:
        async with service.connect() as broker:
            await broker.publish(service.queue, bodies)
            consumer = await broker.consume(service.queue, prefetch=100)
            deliveries = await take(consumer, len(bodies))
            await consumer.ack(deliveries)
            assert {delivery.attempt for delivery in deliveries} == {1}
            await assert_nothing_comes(consumer)
            return [delivery.body for delivery in deliveries]

    taken = asyncio.run(scenario())
    assert sorted(taken) == sorted(bodies)


def test_order_is_kept_where_the_driver_says_so(service: Service) -> None:
    bodies = [b"%d" % i for i in range(3000)]

    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, bodies)
            consumer = await broker.consume(service.queue, prefetch=len(bodies))
            deliveries = await take(consumer, len(bodies))
            taken = [delivery.body for delivery in deliveries]
            assert taken == bodies if broker.keeps_order else sorted(taken) == sorted(bodies)

    asyncio.run(scenario())


def test_large_bodies_pass_and_larger_ones_are_refused(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            large = os.urandom(min(broker.max_body_bytes, 8 * 1024 * 1024))
            await broker.publish(service.queue, [large, b"small", large])
            consumer = await broker.consume(service.queue, prefetch=3)
            taken = await take(consumer, 3)
            assert sorted(len(delivery.body) for delivery in taken) == [5, len(large), len(large)]
            assert sum(delivery.body == large for delivery in taken) == 2
            await consumer.ack(taken)
            with pytest.raises(BrokerError):
                await broker.publish(service.queue, [b"x", bytes(broker.max_body_bytes + 1)])
            await assert_nothing_comes(consumer)

    asyncio.run(scenario())


def test_a_consumer_waits_for_what_is_published_later(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker, service.connect() as other:
            consumer = await broker.consume(service.queue, prefetch=1)
            waiting = asyncio.create_task(consumer.get(timeout_s=WAIT_S))
            await asyncio.sleep(0.05)
            await other.publish(service.queue, [b"late"])
            assert [delivery.body for delivery in await waiting] == [b"late"]

    asyncio.run(scenario())


def test_a_get_that_is_cancelled_loses_nothing(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            consumer = await broker.consume(service.queue, prefetch=10)
            for i in range(5):
                waiting = asyncio.create_task(consumer.get())
                await asyncio.sleep(0)
                publishing = asyncio.create_task(broker.publish(service.queue, [b"%d" % i]))
                await asyncio.sleep(0.002 * i)
                waiting.cancel()
                done, _ = await asyncio.wait([waiting])
                if not waiting.cancelled():
                    await consumer.nack(done.pop().result())
                await publishing
            taken = await take(consumer, 5)
            assert sorted(delivery.body for delivery in taken) == [b"%d" % i for i in range(5)]

    asyncio.run(scenario())


def test_prefetch_bounds_what_is_not_settled(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"%d" % i for i in range(10)])
            consumer = await broker.consume(service.queue, prefetch=3)
            first = await take(consumer, 3)
            await assert_nothing_comes(consumer)
            await consumer.ack(first[:1])
            first = first[1:] + await take(consumer, 1)
            await assert_nothing_comes(consumer)
            await consumer.ack(first)
            last = await take(consumer, 3)
            assert len({delivery.body for delivery in [*first, *last]}) == 6

    asyncio.run(scenario())


def test_what_one_consumer_holds_back_another_can_take(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as greedy, service.connect() as other:
            await greedy.publish(service.queue, [b"%d" % i for i in range(6)])
            held = await take(await greedy.consume(service.queue, prefetch=2), 2)
            consumer = await other.consume(service.queue, prefetch=10)
            rest = await take(consumer, 4)
            await assert_nothing_comes(consumer)
            bodies = {delivery.body for delivery in [*held, *rest]}
            assert bodies == {b"%d" % i for i in range(6)}

    asyncio.run(scenario())


def test_prefetch_can_be_changed_where_the_driver_says_so(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"%d" % i for i in range(8)])
            consumer = await broker.consume(service.queue, prefetch=2)
            taken = await take(consumer, 2)
            await consumer.set_prefetch(5)
            if broker.adjusts_prefetch:
                taken += await take(consumer, 3)
            await assert_nothing_comes(consumer)
            assert len({delivery.body for delivery in taken}) == len(taken)

    asyncio.run(scenario())


def test_nack_returns_a_delivery_at_once(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker, service.connect() as other:
            await broker.publish(service.queue, [b"hot"])
            consumer = await broker.consume(service.queue, prefetch=1)
            taken = await take(consumer, 1)
            await consumer.nack(taken)
            await consumer.close()
            (again,) = await take(await other.consume(service.queue, prefetch=1), 1)
            assert again.body == b"hot"
            assert again.attempt == 1 or broker.counts_nacks

    asyncio.run(scenario())


def test_closing_a_consumer_returns_what_it_holds(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"1", b"2"])
            first = await broker.consume(service.queue, prefetch=1)
            (held,) = await take(first, 1)
            await first.close()
            second = await broker.consume(service.queue, prefetch=2)
            taken = await take(second, 2)
            again = {d.body: d.attempt for d in taken}[held.body]
            assert again == 1 or broker.counts_nacks
            await second.ack(taken)
            await assert_nothing_comes(second)

    asyncio.run(scenario())


def test_closing_the_connection_returns_what_it_holds(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as other:
            async with service.connect() as broker:
                await broker.publish(service.queue, [b"held", b"settled"])
                consumer = await broker.consume(service.queue, prefetch=2)
                taken = await take(consumer, 2)
                await consumer.ack([d for d in taken if d.body == b"settled"])
            consumer = await other.consume(service.queue, prefetch=2)
            (again,) = await take(consumer, 1)
            assert again.body == b"held"
            assert again.attempt == 1 or other.counts_nacks
            await assert_nothing_comes(consumer)

    asyncio.run(scenario())


def test_killing_a_process_returns_what_it_holds(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"%d" % i for i in range(5)])
            victim = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [
                    sys.executable,
                    str(Path(__file__).with_name("broker_victim.py")),
                    service.kind,
                    service.address,
                    str(service.token_file or ""),
                    service.token,
                    service.queue,
                    "5",
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert victim.stdout is not None
                assert await asyncio.to_thread(victim.stdout.readline) == "taken\n"
                consumer = await broker.consume(service.queue, prefetch=10)
                await assert_nothing_comes(consumer)
            finally:
                victim.kill()
                victim.communicate()
            taken = await take(consumer, 5)
            assert {d.body for d in taken} == {b"%d" % i for i in range(5)}
            assert {d.attempt for d in taken} == {2}

    asyncio.run(scenario())


def test_a_cut_line_is_mended_and_deliveries_come_again(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker, service.connect() as other:
            await other.publish(service.queue, [b"a", b"b"])
            consumer = await broker.consume(service.queue, prefetch=2)
            listener = await broker.listen(service.topic)
            before = await take(consumer, 2)
            service.cut(broker)
            again = await take(consumer, 2)
            assert {d.attempt for d in again} == {2}
            await consumer.ack(before)  # of the old connection: must not settle the new deliveries
            await consumer.nack(again)
            once_more = await take(consumer, 2)
            assert {d.body for d in once_more} == {b"a", b"b"}
            await consumer.ack(once_more)
            await broker.publish(service.queue, [b"c"])
            assert (await take(consumer, 1))[0].body == b"c"
            await other.broadcast(service.topic, b"news")
            async with asyncio.timeout(WAIT_S):
                assert await anext(listener) == b"news"

    asyncio.run(scenario())


def test_publishing_over_a_cut_line_reaches_the_broker(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker, service.connect() as other:
            wanted = set()
            for i in range(5):
                publishing = asyncio.create_task(broker.publish(service.queue, [b"%d" % i]))
                await asyncio.sleep(0.001 * i)
                service.cut(broker)
                await publishing
                wanted.add(b"%d" % i)
                await broker.publish(service.queue, [b"mended"])
            consumer = await other.consume(service.queue, prefetch=100)
            seen: set[bytes] = set()
            while not wanted <= seen:
                deliveries = await consumer.get(max_n=100, timeout_s=WAIT_S)
                await consumer.ack(deliveries)
                seen |= {delivery.body for delivery in deliveries}

    asyncio.run(scenario())


def test_settling_twice_changes_nothing(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"1", b"2"])
            consumer = await broker.consume(service.queue, prefetch=1)
            first = await take(consumer, 1)
            await consumer.ack(first)
            await consumer.ack(first)
            second = await take(consumer, 1)
            assert first[0].body != second[0].body
            await consumer.ack(second)
            await assert_nothing_comes(consumer)

    asyncio.run(scenario())


def test_broadcasts_reach_all_and_late_listeners_get_the_last(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as one, service.connect() as two:
            listeners = [await one.listen(service.topic), await two.listen(service.topic)]
            other_topic = await two.listen(f"{service.topic}-other")
            await one.broadcast(service.topic, b"first")
            async with asyncio.timeout(WAIT_S):
                assert [await anext(listener) for listener in listeners] == [b"first", b"first"]
                await two.broadcast(service.topic, b"last")
                assert [await anext(listener) for listener in listeners] == [b"last", b"last"]
                assert await anext(await one.listen(service.topic)) == b"last"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await anext(other_topic)

    asyncio.run(scenario())


def test_a_deleted_queue_is_empty_and_can_be_used_again(service: Service) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            await broker.publish(service.queue, [b"old", b"older"])
            consumer = await broker.consume(service.queue, prefetch=1)
            held = await take(consumer, 1)
            await broker.delete(service.queue)
            await consumer.ack(held)
            await consumer.close()
            consumer = await broker.consume(service.queue, prefetch=5)
            await assert_nothing_comes(consumer)
            await broker.publish(service.queue, [b"new"])
            assert (await take(consumer, 1))[0].body == b"new"

    asyncio.run(scenario())


def test_calls_after_close_raise_our_error(service: Service) -> None:
    async def scenario() -> None:
        broker = service.connect()
        with pytest.raises(BrokerError):
            await broker.publish(service.queue, [b"too early"])
        await broker.open()
        consumer = await broker.consume(service.queue, prefetch=1)
        listener = await broker.listen(service.topic)
        waiting = asyncio.create_task(consumer.get())
        hearing = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0.01)
        await broker.close()
        await broker.close()
        for task in (waiting, hearing):
            with pytest.raises(BrokerError):
                await task
        with pytest.raises(BrokerError):
            await broker.publish(service.queue, [b"too late"])
        with pytest.raises(BrokerError):
            await consumer.get(timeout_s=1)

    asyncio.run(scenario())


def test_a_wrong_token_is_refused_at_once(service: Service) -> None:
    async def scenario() -> None:
        broker = make_broker(service.kind, service.address, token=service.wrong_token)
        async with asyncio.timeout(WAIT_S):  # far less than the connect timeout
            with pytest.raises(BrokerAuthError):
                await broker.open()

    asyncio.run(scenario())


def test_a_broker_that_is_not_there_ends_in_our_error(service: Service) -> None:
    async def scenario() -> None:
        broker = make_broker(
            service.kind,
            service.empty_address,
            token=service.token or "t",
            connect_timeout_s=0.3,
        )
        with pytest.raises(BrokerError, match="reach"):
            await broker.open()

    asyncio.run(scenario())


@pytest.mark.parametrize(("queue", "prefetch"), [("", 1), ("x" * 300, 1), ("queue", 0)])
def test_illegal_arguments_are_the_callers_fault(
    service: Service, queue: str, prefetch: int
) -> None:
    async def scenario() -> None:
        async with service.connect() as broker:
            with pytest.raises(UsageError):
                await broker.consume(queue, prefetch=prefetch)

    asyncio.run(scenario())


class Crowd:
    """Some connections that publish, take, settle and die at random; and the books of it."""

    def __init__(self, service: Service, seed: int) -> None:
        self.service = service
        self.random = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self.members: list[tuple[Broker, Consumer, list[Delivery]]] = []
        self.published: set[bytes] = set()
        self.settled: set[bytes] = set()

    async def join(self) -> None:
        broker = self.service.connect()
        await broker.open()
        prefetch = self.random.randint(1, 5)
        self.members.append(
            (broker, await broker.consume(self.service.queue, prefetch=prefetch), [])
        )

    async def act(self) -> None:
        broker, consumer, held = self.random.choice(self.members)
        action = self.random.choice(["publish", "get", "get", "ack", "ack", "nack", "cut", "leave"])
        if action == "publish":
            bodies = [b"%d" % (len(self.published) + i) for i in range(self.random.randint(1, 4))]
            await broker.publish(self.service.queue, bodies)
            self.published.update(bodies)
        elif action == "get":
            try:
                taken = await consumer.get(max_n=3, timeout_s=0.02)
            except BrokerTimeoutError:
                return
            again = {delivery.body for delivery in taken} & self.settled
            assert not again, f"settled already: {again}"
            held += taken
        elif action in {"ack", "nack"} and held:
            chosen = [held.pop(self.random.randrange(len(held)))]
            await (consumer.ack(chosen) if action == "ack" else consumer.nack(chosen))
            if action == "ack":
                # Only now is it sure that the broker has seen it.
                await broker.publish(f"{self.service.queue}-fence", [b"."])
                self.settled.add(chosen[0].body)
        elif action == "cut":
            # Acknowledgements over the old line are without effect, so the books forget them too.
            held.clear()
            self.service.cut(broker)
            await broker.publish(f"{self.service.queue}-fence", [b"."])
        elif action == "leave" and len(self.members) > 1:
            await broker.close()
            self.members = [member for member in self.members if member[0] is not broker]
            await self.join()


@pytest.mark.parametrize("seed", range(4))
def test_random_lives_and_deaths_lose_and_repeat_nothing(service: Service, seed: int) -> None:
    async def scenario() -> None:
        crowd = Crowd(service, seed)
        for _ in range(3):
            await crowd.join()
        for _ in range(120):
            await crowd.act()
        for broker, _, _ in crowd.members:
            await broker.close()
        async with service.connect() as broker:
            consumer = await broker.consume(service.queue, prefetch=1000)
            rest = await take(consumer, len(crowd.published - crowd.settled))
            await consumer.ack(rest)
            assert {delivery.body for delivery in rest} == crowd.published - crowd.settled
            await assert_nothing_comes(consumer)
        assert crowd.settled, "a test that settles nothing proves nothing"

    asyncio.run(scenario())
