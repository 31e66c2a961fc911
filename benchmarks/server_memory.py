"""How much the server's memory grows per pixel variation that is sent and received.

The real loop, state, task and message code run with clients that answer at once, in one process.

    python benchmarks/server_memory.py [--nside 128]      # 1.4 million variations, some minutes
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skymap_scanner.broker.base import Broker, Consumer, Delivery, Listener
from skymap_scanner.event import read_event
from skymap_scanner.exceptions import BrokerTimeoutError
from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.recos import RecoInterface
from skymap_scanner.recos.variations import octahedron
from skymap_scanner.scan.messages import Task, TaskDone, decode, encode
from skymap_scanner.scan.state import ScanState
from skymap_scanner.server.loop import ScanLoop
from skymap_scanner.server.tasks import TaskMaker
from skymap_scanner.server.workers import WorkerRegistry
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENT = Path(__file__).parents[1] / "examples" / "simulated_track.json"
SCAN_ID = "memory-benchmark"
#: What the project promises [bytes per variation].
TARGET = 150.0


class SevenVariations(RecoInterface):
    """Only its seeds are used."""

    variation_sets: ClassVar = {"classic": octahedron(20.0)}


class InstantClients(Broker, Consumer):
    """A broker whose clients answer every task at once."""

    kind = "instant"
    keeps_order = True
    survives_restart = False
    counts_nacks = False
    adjusts_prefetch = False
    max_body_bytes = 1 << 20

    def __init__(self) -> None:
        self.answers: deque[bytes] = deque()

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Answer tasks."""
        del queue
        for body in bodies:
            task = decode(body, scan_id=SCAN_ID)
            assert isinstance(task, Task)
            vertex = task.seed.vertex
            nll = 1e3 + (task.key[1] * 7919 % 1009) + task.key[2]
            fit = Fit(FitStatus.OK, "", nll, vertex, task.seed.vertex_time, 1e5, 1e4, 1e5, 50)
            done = TaskDone(SCAN_ID, task.key, task.attempt, fit, 0.01, "worker")
            self.answers.append(encode(done))

    async def consume(self, queue: str, *, prefetch: int) -> InstantClients:
        """Return itself."""
        del queue, prefetch
        return self

    async def get(self, *, max_n: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        """Hand out answers."""
        del timeout_s
        if not self.answers:
            raise BrokerTimeoutError("no answers")
        n = min(max_n, len(self.answers))
        return [Delivery(self.answers.popleft(), 1, None) for _ in range(n)]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Do nothing."""

    async def nack(self, deliveries: Sequence[Delivery]) -> None:
        """Do nothing."""

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Do nothing."""

    async def listen(self, topic: str) -> Listener:
        """Not needed here."""
        raise NotImplementedError(topic)

    async def delete(self, queue: str) -> None:
        """Do nothing."""


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def scan(nside: int) -> ScanState:
    """Scan the whole sky at one resolution, seven variations per pixel, and return the state."""
    reco = SevenVariations()
    state = ScanState(NSideProgression(((nside, 0),)), len(reco.get_vertex_variations()))
    loop = ScanLoop(
        state=state,
        tasks=TaskMaker(scan_id=SCAN_ID, reco=reco, event=read_event(EVENT)),
        broker=InstantClients(),
        scan_id=SCAN_ID,
        workers=WorkerRegistry(1e9, time.monotonic()),
        alarms=(),
        level_done=str,
    )
    asyncio.run(loop.run())
    return state


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and return 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nside", type=int, default=128, help="84 nside^2 variations")
    arguments = parser.parse_args(argv)
    scan(4)  # what is loaded and cached once is not growth
    before, begin = resident_bytes(), time.perf_counter()
    state = scan(arguments.nside)
    grown, seconds = resident_bytes() - before, time.perf_counter() - begin
    per_variation = grown / state.n_done
    print(f"variations        {state.n_done:12d} in {seconds:.0f} s")
    print(f"memory            {grown / 2**20:12.1f} MiB more")
    print(f"per variation     {per_variation:12.1f} bytes (target {TARGET:.0f})")
    return 0 if per_variation <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
