from __future__ import annotations

import pytest

from skymap_scanner.exceptions import NoWorkersError, WorkersGoneError
from skymap_scanner.scan.messages import WorkerBye, WorkerHello
from skymap_scanner.server.workers import WorkerRegistry


def hello(worker: str = "w1", n_processes: int = 2) -> WorkerHello:
    return WorkerHello("scan", worker, "host", 1, n_processes, "0.1.0")


def counts(registry: WorkerRegistry, now_s: float) -> tuple[int, int]:
    return registry.n_clients(now_s), registry.n_processes(now_s)


@pytest.fixture
def registry() -> WorkerRegistry:
    return WorkerRegistry(silence_s=10.0, now_s=100.0)


def test_silence_from_the_start_means_no_workers(registry: WorkerRegistry) -> None:
    registry.check_silence(109.9)
    with pytest.raises(NoWorkersError, match="SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS") as caught:
        registry.check_silence(110.0)
    assert caught.value.exit_code == 10


def test_silence_after_a_sign_of_life_means_workers_gone(registry: WorkerRegistry) -> None:
    registry.hello(hello(), 105.0)
    registry.check_silence(114.9)
    with pytest.raises(WorkersGoneError) as caught:
        registry.check_silence(115.0)
    assert caught.value.exit_code == 11


def test_every_sign_of_life_moves_the_deadline(registry: WorkerRegistry) -> None:
    registry.heard("anybody", 104.0)
    assert registry.deadline_s == 114.0
    registry.hello(hello(), 105.0)
    registry.heard("w1", 106.0)
    registry.bye(WorkerBye("scan", "w1", "done", 7, 0), 107.0)
    assert registry.deadline_s == 117.0


def test_clients_are_counted_until_they_leave(registry: WorkerRegistry) -> None:
    registry.hello(hello("w1", 2), 100.0)
    registry.hello(hello("w2", 3), 100.0)
    assert counts(registry, 102.0) == (2, 5)
    registry.hello(hello("w1", 2), 101.0)
    assert counts(registry, 102.0) == (2, 5)
    registry.bye(WorkerBye("scan", "w1", "", 0, 0), 102.0)
    registry.bye(WorkerBye("scan", "w1", "", 0, 0), 102.0)
    registry.bye(WorkerBye("scan", "unknown", "", 0, 0), 102.0)
    assert counts(registry, 102.0) == (1, 3)


def test_a_client_that_fell_silent_is_not_counted_until_it_is_heard_again(
    registry: WorkerRegistry,
) -> None:
    registry.hello(hello("w1", 2), 100.0)
    registry.hello(hello("w2", 3), 100.0)
    registry.heard("w2", 130.0)
    assert counts(registry, 140.0) == (1, 3)
    registry.heard("w1", 141.0)
    assert counts(registry, 142.0) == (2, 5)
