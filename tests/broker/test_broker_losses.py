"""The broker contract where connections break and processes die: nothing is lost or repeated."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import WAIT_S, assert_nothing_comes, take

from skymap_scanner.exceptions import BrokerTimeoutError

if TYPE_CHECKING:
    from broker_services import Service

    from skymap_scanner.broker import Broker, Consumer, Delivery


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
