"""Fits that fail, children and clients that die or fall silent: who hears of it, who takes over."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from client_harness import key_of, running_scan, task
from client_processes import children_of, is_alive, until, until_begun, wait_for_exit

from skymap_scanner.scan.messages import TaskDone

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        ("exit", "crash", "exit code 37; last words: about to die"),
        ("segv", "crash", "SIGSEGV"),
        ("raise", "error", "ValueError: this pixel is unlucky"),
        ("hang", "timeout", "no outcome after 1 s"),
        ("grandchild", "timeout", "no outcome after 1 s"),
        ("daemon", "crash", "exit code 38"),
    ],
)
def test_a_task_that_fails_is_reported_and_the_others_are_not_harmed(
    tmp_path: Path, behaviour: str, kind: str, words: str
) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {behaviour: "5 17"}) as scan:
            scan.start_client("--workers", "2", EWMS_PILOT_TASK_TIMEOUT="1")
            await scan.publish(*map(task, range(40)))
            await scan.listen_until(40)
            scan.assert_done(set(range(40)) - {5, 17})
            assert {failed.key for failed in scan.failed} == {key_of(5), key_of(17)}
            assert {failed.kind for failed in scan.failed} == {kind}
            assert all(words in failed.reason for failed in scan.failed)
            await scan.publish(task(50))
            await scan.listen_until(41)  # the client is as good as before
            assert key_of(50) in scan.done

    asyncio.run(scenario())


def test_what_a_killed_child_has_started_is_killed_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"grandchild": "1"}) as scan:
            client = scan.start_client(EWMS_PILOT_TASK_TIMEOUT="1")
            await scan.publish(task(1))
            await until_begun(scan, 1)
            (child,) = children_of(client.pid)
            await until(lambda: bool(children_of(child)))
            (grandchild,) = children_of(child)
            await scan.listen_until(1)
            await until(lambda: not is_alive(grandchild))
            await scan.end()
            assert await wait_for_exit(client) == 0

    asyncio.run(scenario())


def test_a_client_whose_child_does_not_come_back_gives_its_tasks_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        marker = str(tmp_path / "marker")
        options = {"start": "hang the second time", "marker": marker, "exit": "0"}
        async with running_scan(tmp_path, options) as scan:
            await scan.publish(*map(task, range(6)))
            first = scan.start_client(EWMS_PILOT_PREFETCH="4")
            await scan.listen_until(1)  # its child has died and hangs now while it starts
            assert [failed.key for failed in scan.failed] == [key_of(0)]
            scan.start_client(TOY_IS_WELL="yes")
            await scan.listen_until(6)
            scan.assert_done(range(1, 6))
            assert first.poll() is None

    asyncio.run(scenario())


def test_a_second_attempt_can_succeed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"exit": "1", "times": "1"}) as scan:
            scan.start_client()
            await scan.publish(task(1))
            await scan.listen_until(1)
            assert [failed.attempt for failed in scan.failed] == [1]
            await scan.publish(task(1, attempt=2))
            await scan.listen_until(2)
            assert scan.done[key_of(1)].attempt == 2

    asyncio.run(scenario())


def test_killed_children_are_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"delay_s": "0.01"}) as scan:
            client = scan.start_client("--workers", "2")
            await scan.publish(*map(task, range(200)))
            for n_wanted in (20, 60, 100):
                await scan.listen_until(n_wanted)
                os.kill(children_of(client.pid)[0], signal.SIGKILL)
            await scan.listen_until(200)
            lost = {failed.key[1] for failed in scan.failed}
            assert len(lost) <= 3
            assert all(failed.kind == "crash" for failed in scan.failed)
            assert all("SIGKILL" in failed.reason for failed in scan.failed)
            scan.assert_done(set(range(200)) - lost)
            await until(lambda: scan.n_open_tasks() == 0)  # acknowledged a moment later

    asyncio.run(scenario())


def test_a_client_goes_on_with_its_scan_when_another_takes_its_startup_json(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path) as scan:
            client = scan.start_client()
            await scan.publish(task(1))
            await scan.listen_until(1)
            (tmp_path / "startup.json").write_text("{}")
            (child,) = children_of(client.pid)
            os.kill(child, signal.SIGKILL)
            await until(lambda: children_of(client.pid) not in ([], [child]))
            await scan.publish(task(2), task(3))
            await scan.listen_until(3)
            scan.assert_done([1, 2, 3])

    asyncio.run(scenario())


def test_tasks_of_a_killed_client_go_to_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"delay_s": "0.05"}) as scan:
            victim = scan.start_client("--workers", "2", EWMS_PILOT_PREFETCH="5")
            await scan.publish(*map(task, range(60)))
            await scan.listen_until(5)
            children = children_of(victim.pid)
            assert len(children) == 2
            victim.kill()
            await until(lambda: not any(is_alive(child) for child in children))
            scan.start_client("--workers", "2")
            await scan.listen_until(60)
            scan.assert_done(range(60))
            assert not scan.failed
            await until(lambda: scan.n_open_tasks() == 0)  # acknowledged a moment later

    asyncio.run(scenario())


def test_tasks_of_a_silent_client_go_to_another_until_it_wakes_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"delay_s": "0.05"}, lease_s=1.0) as scan:
            sleeper = scan.start_client(EWMS_PILOT_PREFETCH="5")
            await scan.publish(*map(task, range(60)))
            await scan.listen_until(3)
            sleeper.send_signal(signal.SIGSTOP)
            scan.start_client()
            await scan.listen_until(60)
            scan.assert_done(range(60))
            sleeper.send_signal(signal.SIGCONT)
            await scan.publish(*map(task, range(60, 100)))
            await scan.listen_until(100)
            scan.assert_done(range(100))
            assert not scan.failed
            assert {done.worker for done in scan.heard[-30:] if isinstance(done, TaskDone)} == {
                hello.worker for hello in scan.hellos
            }

    asyncio.run(scenario())


def test_a_task_that_kills_its_clients_is_reported_as_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"kill_client": "7"}) as scan:
            await scan.publish(task(7))
            for _ in range(2):
                client = scan.start_client(SKYSCAN_MAX_ATTEMPTS="2")
                assert await wait_for_exit(client) == -signal.SIGKILL
            scan.start_client(SKYSCAN_MAX_ATTEMPTS="2")
            await scan.publish(task(8))
            await scan.listen_until(2)
            assert [(failed.key, failed.kind) for failed in scan.failed] == [(key_of(7), "lost")]
            scan.assert_done([8])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("start", "words"), [("raise", "the toy does not start"), ("exit", "exit code 5")]
)
def test_children_that_cannot_start_end_the_client(tmp_path: Path, start: str, words: str) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"start": start}) as scan:
            await scan.publish(task(1))
            client = scan.start_client()
            assert await wait_for_exit(client) == 1
            await scan.listen_to_the_last()
            assert words in scan.byes[0].reason
            assert scan.n_open_tasks() == 1
            assert client.stderr is not None
            last_line = client.stderr.read().splitlines()[-1]
            assert "error: " in last_line
            assert words in last_line

    asyncio.run(scenario())


def test_a_client_may_stop_at_the_first_failure(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_scan(tmp_path, {"raise": "3"}) as scan:
            client = scan.start_client(EWMS_PILOT_STOP_LISTENING_ON_TASK_ERROR="true")
            await scan.publish(*map(task, range(10)))
            assert await wait_for_exit(client) == 1
            await scan.listen_to_the_last()
            assert [failed.key for failed in scan.failed] == [key_of(3)]
            assert scan.n_open_tasks() == 10 - len(scan.done) - 1

    asyncio.run(scenario())
