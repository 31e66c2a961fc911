from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING

import pytest
from server_doubles import SCAN_ID, MemoryBroker, answer_with_fit, no_answer

from skymap_scanner.event import read_event
from skymap_scanner.exceptions import (
    NoWorkersError,
    TooManyFailuresError,
    WorkersGoneError,
)
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.scan.messages import (
    EndOfScan,
    Task,
    TaskFailed,
    WorkerBeat,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
)
from skymap_scanner.scan.state import ScanState
from skymap_scanner.server import loop as loop_module
from skymap_scanner.server.loop import Alarm, ScanLoop
from skymap_scanner.server.tasks import TaskMaker
from skymap_scanner.server.workers import WorkerRegistry
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.event import Event


@pytest.fixture(scope="module")
def event(root: Path) -> Event:
    return read_event(root / "examples" / "simulated_track.json")


class Clock:
    """A clock that goes on a little whenever somebody looks."""

    def __init__(self, step_s: float = 0.001) -> None:
        self._ticks = itertools.count(1)
        self._step_s = step_s

    def __call__(self) -> float:
        return next(self._ticks) * self._step_s


def make_loop(
    event: Event,
    broker: MemoryBroker,
    *,
    nsides: str = "1:0 2:4",
    silence_s: float = 1000.0,
    alarms: tuple[Alarm, ...] = (),
    clock: Clock | None = None,
    max_attempts: int = 3,
    level_done: Callable[[int], object] = str,
) -> tuple[ScanLoop, ScanState]:
    state = ScanState(NSideProgression.parse(nsides.split()), 1, max_attempts=max_attempts)
    loop = ScanLoop(
        state=state,
        tasks=TaskMaker(scan_id=SCAN_ID, reco=make_reco("dummy"), event=event),
        broker=broker,
        scan_id=SCAN_ID,
        workers=WorkerRegistry(silence_s, 0.0),
        alarms=alarms,
        level_done=level_done,
        clock=clock or Clock(),
    )
    return loop, state


def test_a_scan_comes_to_its_end(event: Event) -> None:
    broker = MemoryBroker()
    done: list[int] = []
    loop, state = make_loop(event, broker, level_done=done.append)
    asyncio.run(loop.run())
    assert state.is_complete
    state.check_invariants()
    assert state.n_done == sum(broker.batch_sizes)
    assert done[:2] == [1, 2]
    assert loop.fit_seconds == 0.5 * state.n_done
    assert broker.longest_task <= 800


def test_repeated_and_foreign_messages_change_nothing(
    event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    quiet, quiet_state = make_loop(event, MemoryBroker())
    asyncio.run(quiet.run())

    def answer(task: Task) -> list[bytes]:
        strange = [b"not JSON", encode(EndOfScan("another-scan", "")), encode(task)]
        return strange + 2 * answer_with_fit(task)

    loop, state = make_loop(event, MemoryBroker(answer))
    with caplog.at_level(logging.WARNING):
        asyncio.run(loop.run())
    assert state.nsides_dict() == quiet_state.nsides_dict()
    assert state.n_duplicates > 0
    assert "a message is dropped" in caplog.text


def test_failed_tasks_are_sent_again_from_the_same_seed(event: Event) -> None:
    seeds: dict[tuple[int, int, int], list[object]] = {}

    def answer(task: Task) -> list[bytes]:
        seeds.setdefault(task.key, []).append(task.seed)
        if task.attempt == 1:
            return [encode(TaskFailed(SCAN_ID, task.key, 1, "crash", "died", "w"))]
        assert task.attempt == 2
        return answer_with_fit(task)

    loop, state = make_loop(event, MemoryBroker(answer))
    asyncio.run(loop.run())
    assert state.is_complete
    assert state.n_failed == 0
    assert all(first == second or repr(first) == repr(second) for first, second in seeds.values())


def test_too_many_failures_end_the_scan(event: Event) -> None:
    def answer(task: Task) -> list[bytes]:
        return [encode(TaskFailed(SCAN_ID, task.key, task.attempt, "timeout", "slow", "w"))]

    loop, state = make_loop(event, MemoryBroker(answer))
    with pytest.raises(TooManyFailuresError, match="timeout: slow") as caught:
        asyncio.run(loop.run())
    assert caught.value.exit_code == 12
    assert not state.is_complete


@pytest.mark.parametrize(
    ("words", "error"),
    [([], NoWorkersError), ([encode(WorkerHello(SCAN_ID, "w", "h", 1, 1, "0"))], WorkersGoneError)],
)
def test_silence_ends_the_scan(event: Event, words: list[bytes], error: type[Exception]) -> None:
    broker = MemoryBroker(no_answer)
    broker.answers.extend(words)
    loop, _ = make_loop(event, broker, silence_s=5.0, clock=Clock(0.1))
    with pytest.raises(error):
        asyncio.run(loop.run())


def test_beats_keep_the_scan_alive(event: Event) -> None:
    """A fit may take longer than the silence allowed, as long as its client beats."""
    beats = iter(range(100))

    class Beating(MemoryBroker):
        async def consume(self, queue: str, *, prefetch: int):  # type: ignore[no-untyped-def]
            consumer = await super().consume(queue, prefetch=prefetch)
            get = consumer.get

            async def beat_first(**kwargs: object):  # type: ignore[no-untyped-def]
                if not self.answers and next(beats, None) is not None:
                    self.answers.append(encode(WorkerBeat(SCAN_ID, "w", 0)))
                return await get(**kwargs)  # type: ignore[arg-type]

            consumer.get = beat_first  # type: ignore[method-assign]
            return consumer

    loop, _ = make_loop(event, Beating(no_answer), silence_s=2.0, clock=Clock(0.1))
    with pytest.raises(WorkersGoneError):
        asyncio.run(loop.run())
    assert next(beats, None) is None


def test_alarms_ring_by_the_clock_whether_results_come_or_not(event: Event) -> None:
    rung = []
    alarm = Alarm(1.0, lambda: rung.append(1))
    broker = MemoryBroker(no_answer)
    loop, _ = make_loop(event, broker, silence_s=10.0, alarms=(alarm,), clock=Clock(0.01))
    with pytest.raises(NoWorkersError):
        asyncio.run(loop.run())
    assert 8 <= len(rung) <= 10


def test_only_so_many_tasks_are_outstanding(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "_MAX_OUTSTANDING", 100)
    broker = MemoryBroker()
    loop, state = make_loop(event, broker, nsides="16:0")
    asyncio.run(loop.run())
    assert state.n_done == 12 * 16**2
    assert broker.most_waiting <= 100 + max(broker.batch_sizes)


def test_further_attempts_need_no_room(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tasks that fit into the queue have failed once: they go on, or the scan never does."""
    monkeypatch.setattr(loop_module, "_MAX_OUTSTANDING", 100)

    def answer(task: Task) -> list[bytes]:
        if task.attempt < 3:
            return [encode(TaskFailed(SCAN_ID, task.key, task.attempt, "error", "broken", "w"))]
        return answer_with_fit(task)

    # The silence is measured by a clock that moves when it is looked at: a hang ends soon.
    loop, state = make_loop(event, MemoryBroker(answer), nsides="16:0", silence_s=50.0)
    asyncio.run(loop.run())
    assert state.is_complete
    assert state.n_done == 12 * 16**2


def test_tasks_that_may_kill_their_clients_go_one_at_a_time(event: Event) -> None:
    """Twelve tasks were held by the same clients that vanished; one of them is to blame."""
    order: list[tuple[int, int]] = []

    def answer(task: Task) -> list[bytes]:
        order.append((task.key[1], task.attempt))
        if task.attempt == 1 or task.key[1] == 7:
            return [encode(TaskFailed(SCAN_ID, task.key, task.attempt, "lost", "vanished", "w"))]
        return answer_with_fit(task)

    broker = MemoryBroker(answer)
    loop, state = make_loop(event, broker, nsides="1:0")
    asyncio.run(loop.run())
    assert state.is_complete
    assert [failed.ipix for failed in state.failed_pixels()] == [7]
    assert order == [(ipix, 1) for ipix in range(12)] + [(ipix, 3) for ipix in range(12)]
    assert broker.batch_sizes == [12] + 12 * [1]


def test_the_end_is_broadcast_and_byes_are_waited_for(event: Event) -> None:
    broker = MemoryBroker()
    broker.answers.append(encode(WorkerHello(SCAN_ID, "w", "h", 1, 1, "0")))
    loop, _ = make_loop(event, broker)

    async def scan() -> None:
        await loop.run()
        await loop.broadcast_end("complete")
        broker.answers.append(encode(WorkerBye(SCAN_ID, "w", "end", 1, 0)))
        await loop.wait_for_byes()

    asyncio.run(scan())
    [(topic, body)] = broker.broadcasts
    assert topic == f"end-{SCAN_ID}"
    assert decode(body, scan_id=SCAN_ID) == EndOfScan(SCAN_ID, "complete")
    assert not broker.answers
    assert set(broker.deleted) == {f"to-clients-{SCAN_ID}", f"from-clients-{SCAN_ID}"}
