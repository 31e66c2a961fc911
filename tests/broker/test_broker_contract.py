"""The broker contract (`skymap_scanner.broker.base`), the same tests for every driver."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from deliveries import QUIET_S, WAIT_S, assert_nothing_comes, take

from skymap_scanner.broker import make_broker
from skymap_scanner.exceptions import BrokerAuthError, BrokerError, UsageError

if TYPE_CHECKING:
    from broker_services import Service


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
