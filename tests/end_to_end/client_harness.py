"""The server's part in the client tests: a broker, a startup JSON, tasks out and outcomes in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from client_toy import toy_fit

from skymap_scanner.broker.embedded import EmbeddedBroker, EmbeddedServer
from skymap_scanner.client.startup import (
    BrokerPlace,
    StartupFile,
    end_topic,
    queue_from_clients,
    queue_to_clients,
)
from skymap_scanner.exceptions import BrokerTimeoutError
from skymap_scanner.pixels import Seed, TaskKey
from skymap_scanner.scan.messages import (
    EndOfScan,
    Message,
    Task,
    TaskDone,
    TaskFailed,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from skymap_scanner.broker import Consumer

SCAN_ID = "scan-1"
HERE = Path(__file__).parent
#: Long enough for a client to start on a busy machine [s].
WAIT_S = 60.0


def key_of(ipix: int) -> TaskKey:
    return (8, ipix, 0)


def task(ipix: int, attempt: int = 1) -> bytes:
    seed = Seed(8, 0, 1.0, 2.0, (0.0, 0.0, 0.0), 0.0, float(attempt))
    return encode(Task(SCAN_ID, key_of(ipix), attempt, seed))


@dataclass
class Scan:
    """One scan that clients can join."""

    server: EmbeddedServer
    folder: Path
    broker: EmbeddedBroker
    consumer: Consumer
    clients: list[subprocess.Popen[str]] = field(default_factory=list)
    #: Everything that clients have said, in order.
    heard: list[Message] = field(default_factory=list)

    @property
    def done(self) -> dict[TaskKey, TaskDone]:
        return {m.key: m for m in self.heard if isinstance(m, TaskDone)}

    @property
    def failed(self) -> list[TaskFailed]:
        return [m for m in self.heard if isinstance(m, TaskFailed)]

    @property
    def hellos(self) -> list[WorkerHello]:
        return [m for m in self.heard if isinstance(m, WorkerHello)]

    @property
    def byes(self) -> list[WorkerBye]:
        return [m for m in self.heard if isinstance(m, WorkerBye)]

    def start_client(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a real client process that runs the toy."""
        client = subprocess.Popen(
            [
                *(sys.executable, str(HERE / "client_toy.py")),
                *("--client-startup-json", str(self.folder / "startup.json")),
                *arguments,
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(HERE),
                "SKYSCAN_BROKER_CONNECT_TIMEOUT": "5",
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        self.clients.append(client)
        return client

    async def publish(self, *bodies: bytes) -> None:
        await self.broker.publish(queue_to_clients(SCAN_ID), bodies)

    async def listen_until(self, n_outcomes: int) -> None:
        """Hear clients until there are so many outcomes, repeated ones not counted."""
        await self.listen_for(lambda: len(self.done) + len(self.failed) >= n_outcomes)

    async def listen_for(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            deliveries = await self.consumer.get(max_n=100, timeout_s=WAIT_S)
            self.heard += [decode(d.body, scan_id=SCAN_ID) for d in deliveries]
            await self.consumer.ack(deliveries)

    async def listen_to_the_last(self) -> None:
        """Hear whatever is still in the queue."""
        with contextlib.suppress(BrokerTimeoutError):
            while True:
                (delivery,) = await self.consumer.get(timeout_s=0.2)
                self.heard.append(decode(delivery.body, scan_id=SCAN_ID))
                await self.consumer.ack([delivery])

    async def end(self) -> None:
        message = EndOfScan(SCAN_ID, "the test is over")
        await self.broker.broadcast(end_topic(SCAN_ID), encode(message))

    def assert_done(self, pixels: Iterable[int]) -> None:
        """Check that exactly these pixels have the fits that they must have."""
        wanted = {key_of(ipix) for ipix in pixels}
        assert self.done.keys() == wanted
        for key in wanted:
            assert self.done[key].fit.nll == toy_fit(key).nll

    def n_open_tasks(self) -> int:
        queue = queue_to_clients(SCAN_ID)
        figures = self.server.figures(queue)
        return figures.n_ready[queue] + figures.n_unsettled[queue]


@contextlib.asynccontextmanager
async def running_scan(
    folder: Path, reco_options: Mapping[str, str] | None = None, *, lease_s: float = 30.0
) -> AsyncIterator[Scan]:
    """Serve a scan; whatever clients are left at the end are killed."""
    with EmbeddedServer(folder / "token", lease_s=lease_s) as server:
        StartupFile(
            scan_id=SCAN_ID,
            gcdqp_packet={"frames": []},
            reco_name="toy",
            reco_options=reco_options or {},
            broker=BrokerPlace("embedded", server.address, server.token_file),
        ).write(folder / "startup.json")
        async with EmbeddedBroker(server.address, token_file=server.token_file) as broker:
            consumer = await broker.consume(queue_from_clients(SCAN_ID), prefetch=1000)
            scan = Scan(server, folder, broker, consumer)
            try:
                yield scan
            finally:
                for client in scan.clients:
                    client.kill()
                    client.communicate()
