"""Real clients with real children: how they work, when they leave, and whom they refuse."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from client_harness import SCAN_ID, WAIT_S, key_of, running_scan, task
from client_processes import children_of, is_alive, until, until_begun, wait_for_exit

from skymap_scanner.broker.embedded import EmbeddedServer
from skymap_scanner.client.startup import queue_to_clients
from skymap_scanner.pixels import Seed
from skymap_scanner.scan.messages import Task, TaskDone, TaskFailed, encode

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.broker import Delivery


def test_a_client_works_until_the_end_of_the_scan(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            client = scan.start_client("--workers", "2")
            await scan.publish(*map(task, range(300)))
            await scan.listen_until(300)
            assert scan.hellos[0].n_processes == 2
            assert scan.hellos[0].pid == client.pid
            await scan.end()
            assert await wait_for_exit(client) == 0
            await scan.listen_to_the_last()
            scan.assert_done(range(300))
            assert [(bye.n_done, bye.n_failed) for bye in scan.byes] == [(300, 0)]
            assert scan.byes[0].worker == scan.hellos[0].worker
            await until(lambda: scan.n_open_tasks() == 0)  # acknowledged a moment later
            assert len(scan.heard) == 302  # no outcome came twice

    asyncio.run(scenario())


def test_two_clients_share_the_work(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"delay_s": "0.02"}) as scan:
            clients = [scan.start_client(), scan.start_client()]
            await scan.listen_for(lambda: len(scan.hellos) == 2)
            await scan.publish(*map(task, range(100)))
            await scan.listen_until(100)
            scan.assert_done(range(100))
            assert {done.worker for done in scan.done.values()} == {h.worker for h in scan.hellos}
            await scan.end()
            assert [await wait_for_exit(client) for client in clients] == [0, 0]

    asyncio.run(scenario())


def test_a_fit_that_forks_answers_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"fork": "1 2 3"}) as scan:
            scan.start_client(EWMS_PILOT_PREFETCH="4")
            await scan.publish(*map(task, range(8)))
            await scan.listen_until(8)
            scan.assert_done(range(8))
            await scan.listen_to_the_last()
            assert sum(isinstance(message, TaskDone) for message in scan.heard) == 8

    asyncio.run(scenario())


def test_a_client_that_is_not_ready_takes_no_tasks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"start": "hang"}) as scan:
            await scan.publish(*map(task, range(20)))
            scan.start_client("--workers", "2")
            await scan.listen_for(lambda: len(scan.hellos) == 1)
            scan.start_client(TOY_IS_WELL="yes")
            await scan.listen_until(20)
            scan.assert_done(range(20))

    asyncio.run(scenario())


def test_chatter_of_a_reconstruction_does_not_reach_the_pipes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"talk": "0 1 2 3"}) as scan:
            scan.start_client()
            await scan.publish(*map(task, range(8)))
            await scan.listen_until(8)
            scan.assert_done(range(8))

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_gives_the_tasks_back_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"hang": "1 2 3 4"}) as scan:
            client = scan.start_client("--workers", "2", EWMS_PILOT_PREFETCH="2")
            await scan.publish(*map(task, range(1, 5)))
            await until_begun(scan, 4)
            await until(lambda: len(children_of(client.pid)) == 2)
            children = children_of(client.pid)
            begin = time.monotonic()
            client.send_signal(number)
            assert await wait_for_exit(client) == 128 + number
            assert time.monotonic() - begin < 5  # what users are promised
            assert not any(is_alive(child) for child in children)
            taker = await scan.broker.consume(queue_to_clients(SCAN_ID), prefetch=10)
            returned: list[Delivery] = []
            while len(returned) < 4:
                returned += await taker.get(max_n=4, timeout_s=WAIT_S)
            assert {delivery.attempt for delivery in returned} == {1}
            await scan.listen_to_the_last()
            assert [number.name in bye.reason for bye in scan.byes] == [True]
            assert not scan.failed

    asyncio.run(scenario())


def test_clients_leave_when_nothing_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            never = scan.start_client(SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE="0.5")
            assert await wait_for_exit(never) == 0
            await scan.publish(task(1))
            once = scan.start_client(SKYSCAN_MQ_TIMEOUT_TO_CLIENTS="0.5")
            assert await wait_for_exit(once) == 0
            await scan.listen_to_the_last()
            reasons = [bye.reason for bye in scan.byes]
            assert "no task at all" in reasons[0]
            assert "no further task" in reasons[1]
            scan.assert_done([1])

    asyncio.run(scenario())


def test_a_client_that_comes_after_the_end_leaves_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            await scan.end()
            assert await wait_for_exit(scan.start_client()) == 0

    asyncio.run(scenario())


def test_a_quarantined_client_gives_its_tasks_back_and_can_be_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"start": "exit"}) as scan:
            client = scan.start_client(EWMS_PILOT_QUARANTINE_TIME="600")
            await scan.publish(task(1))
            await scan.listen_for(lambda: bool(scan.byes))
            queue = queue_to_clients(SCAN_ID)
            await until(lambda: scan.server.figures(queue).n_ready[queue] == 1)
            assert client.poll() is None
            client.terminate()
            # Not the operating system's -SIGTERM: our handler is never away, so none is lost.
            assert await wait_for_exit(client) == 128 + signal.SIGTERM

    asyncio.run(scenario())


def test_messages_that_are_no_tasks_of_this_scan_are_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            client = scan.start_client()
            seed = Seed(8, 0, 1.0, 2.0, (0.0, 0.0, 0.0), 0.0, 1.0)
            foreign = encode(Task("another-scan", key_of(1), 1, seed))
            failed = encode(TaskFailed(SCAN_ID, key_of(1), 1, "error", "", ""))
            await scan.publish(b"garbage", foreign, failed, b"", task(2))
            await scan.listen_until(1)
            scan.assert_done([2])
            await scan.end()
            assert await wait_for_exit(client) == 0
            await until(lambda: scan.n_open_tasks() == 0)  # acknowledged a moment later

    asyncio.run(scenario())


def test_the_debug_directory_keeps_input_output_and_log(tmp_path: Path) -> None:
    folder = tmp_path / "debug"

    async def scenario() -> None:
        async with running_scan(tmp_path, {"log": "1", "exit": "2"}) as scan:
            scan.start_client("--debug-directory", str(folder))
            await scan.publish(task(1), task(2))
            await scan.listen_until(2)

    asyncio.run(scenario())
    stem = f"{SCAN_ID}-nside0008-ipix{{:08d}}-variation0-attempt1"
    good, bad = stem.format(1), stem.format(2)
    assert (folder / f"{good}.in.json").read_bytes() == task(1)
    assert b'"done"' in (folder / f"{good}.out.json").read_bytes()
    assert "a word from the toy" in (folder / f"{good}.log").read_text()
    assert (folder / f"{bad}.in.json").read_bytes() == task(2)
    assert not (folder / f"{bad}.out.json").exists()
    assert "about to die" in (folder / f"{bad}.log").read_text()


def test_a_client_whose_server_dies_ends_with_the_broker_exit_code(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running_scan(tmp_path) as scan:
            client = scan.start_client(SKYSCAN_BROKER_CONNECT_TIMEOUT="0.5")
            await scan.listen_for(lambda: bool(scan.hellos))
            await asyncio.to_thread(scan.server.stop)
            return await wait_for_exit(client)

    assert asyncio.run(scenario()) == 13


def test_a_client_with_a_wrong_token_ends_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            with EmbeddedServer(scan.server.token_file):  # writes another token to the same file
                client = scan.start_client(SKYSCAN_BROKER_CONNECT_TIMEOUT="600")
                assert await wait_for_exit(client) == 13
                assert client.stderr is not None
                assert "token" in client.stderr.read().splitlines()[-1]

    asyncio.run(scenario())
