"""The client's main process: it holds broker connection and children, and knows when to leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from skymap_scanner import __version__
from skymap_scanner.broker import Delivery, make_broker
from skymap_scanner.client.command import child_command, child_environment
from skymap_scanner.client.outbox import Outbox
from skymap_scanner.client.pipes import Reply, ReplyKind
from skymap_scanner.client.pool import Pool, PoolPlan
from skymap_scanner.client.startup import end_topic, queue_from_clients, queue_to_clients
from skymap_scanner.client.stopping import Ending
from skymap_scanner.client.tasks import decode_task
from skymap_scanner.exceptions import BrokerError, MessageError
from skymap_scanner.scan.messages import (
    EndOfScan,
    Message,
    TaskFailed,
    WorkerBeat,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
)

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Coroutine

    from skymap_scanner.broker import Broker, Consumer
    from skymap_scanner.client.command import ClientOptions
    from skymap_scanner.client.startup import StartupFile
    from skymap_scanner.config import Settings
    from skymap_scanner.scan.messages import FailureKind

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

_BEAT_S: Final = 10.0
#: Leaving never takes longer, whatever hangs [s].
_LEAVE_S: Final = 3.0


@dataclass(slots=True)
class _Tally:
    n_received: int = 0
    n_done: int = 0
    n_failed: int = 0
    #: When there was last something to do, on the loop's clock [s].
    last_busy: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Supervisor:
    """One client, from hello to bye.

    Parameters
    ----------
    options : ClientOptions
        Command line.
    settings : Settings
        Environment.
    startup : StartupFile
        What the server says.
    stop : future
        Holds the signal that tells the client to leave, once it has come.
    """

    def __init__(
        self,
        options: ClientOptions,
        settings: Settings,
        startup: StartupFile,
        stop: asyncio.Future[signal.Signals],
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._scan_id = startup.scan_id
        self._n_workers = options.n_workers
        host = socket.gethostname()
        self._worker = f"{host[:64]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._broker = _broker_for(startup, settings)
        self._queue = queue_from_clients(self._scan_id)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._tally = _Tally()
        self._consumer: Consumer | None = None
        self._outbox: Outbox | None = None
        self._pool = Pool(
            PoolPlan(
                n_children=options.n_workers,
                command=child_command(options, settings, self._worker),
                environment=child_environment(os.environ),
                task_timeout_s=settings.EWMS_PILOT_TASK_TIMEOUT,
                min_depth=settings.EWMS_PILOT_PREFETCH,
                startup=startup.to_json().encode(),
            ),
            self,
        )

    async def run(self) -> Ending:
        """Work until there is a reason to leave; the children are dead when this returns.

        Raises
        ------
        BrokerError
            When the broker is out of reach for good.
        """
        self._stop.add_done_callback(self._on_stop)
        work = asyncio.create_task(self._work())
        work.add_done_callback(self._on_work_ended)
        try:
            ending = await self._ending
            logger.info("leaving: %s", ending.reason)
        finally:
            await _cancel([work])
            await self._leave()
        return ending

    # ---- the works

    async def _work(self) -> None:
        """Run everything that a client does at the same time; ends by an exception only."""
        await self._broker.open()
        await self._tell(
            WorkerHello(
                self._scan_id,
                self._worker,
                socket.gethostname(),
                os.getpid(),
                self._n_workers,
                __version__,
            )
        )
        # Before the tasks: a client that comes after the end of the scan must not begin one.
        listener = await self._broker.listen(end_topic(self._scan_id))
        await _side_by_side(
            self._pool.run(),
            self._await_end_of_scan(listener),
            self._do_tasks(),
            self._watch(),
            self._beat(),
        )

    async def _do_tasks(self) -> None:
        """Take tasks and send outcomes while a child is fit for them; other clients may be else."""
        while True:
            await self._pool.is_fit.wait()
            await self._take_part()
            logger.warning("no child takes tasks: they were given back")

    async def _take_part(self) -> None:
        prefetch = self._pool.n_wanted
        if not self._broker.adjusts_prefetch:  # then it must do for all children from the start
            prefetch = self._n_workers * self._settings.EWMS_PILOT_PREFETCH
        consumer = await self._broker.consume(queue_to_clients(self._scan_id), prefetch=prefetch)
        outbox = Outbox(self._broker, consumer, self._queue)
        self._consumer, self._outbox = consumer, outbox
        self._note_busy()
        await _side_by_side(
            self._take_tasks(consumer),
            outbox.run(),
            self._pool.until_unfit(),
            until=asyncio.FIRST_COMPLETED,
        )
        await outbox.flush()
        await consumer.close()
        self._consumer = self._outbox = None

    async def _take_tasks(self, consumer: Consumer) -> None:
        while True:
            deliveries = await consumer.get(max_n=self._pool.n_wanted)
            self._tally.n_received += len(deliveries)
            self._note_busy()
            limit = self._settings.SKYSCAN_MAX_ATTEMPTS
            if any(delivery.attempt > limit for delivery in deliveries):
                for delivery in [d for d in deliveries if d.attempt > limit]:
                    reason = f"{delivery.attempt - 1} clients vanished while they held this task"
                    self.on_failure(delivery, "lost", reason)
                deliveries = [d for d in deliveries if d.attempt <= limit]
            self._pool.add(deliveries)

    async def _await_end_of_scan(self, listener: AsyncIterator[bytes]) -> None:
        async for body in listener:
            try:
                message = decode(body, scan_id=self._scan_id)
            except MessageError as error:
                logger.warning("the broadcast is not for us: %s", error)
                continue
            if isinstance(message, EndOfScan):
                self._end(Ending(0, f"the server says: {message.reason}"))

    async def _watch(self) -> None:
        """Look at the clock: tasks that take too long, silence, how many tasks to hold."""
        settings = self._settings
        limits_s = (
            settings.EWMS_PILOT_TASK_TIMEOUT,
            settings.SKYSCAN_MQ_TIMEOUT_TO_CLIENTS,
            settings.SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE,
        )
        pause_s = min(0.2, *(limit_s / 10 for limit_s in limits_s))
        prefetch = 0
        while True:
            await asyncio.sleep(pause_s)
            self._pool.check_time()
            self._check_silence()
            if self._consumer is not None and self._pool.n_wanted != prefetch:
                prefetch = self._pool.n_wanted
                await self._consumer.set_prefetch(prefetch)

    def _check_silence(self) -> None:
        """End when nothing has come for too long while we had nothing to do."""
        if self._pool.n_held or self._consumer is None:
            self._note_busy()
            return
        silent_s = asyncio.get_running_loop().time() - self._tally.last_busy
        name = "SKYSCAN_MQ_TIMEOUT_TO_CLIENTS"
        what = "no further task"
        if not self._tally.n_received:
            name = "SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE"
            what = "no task at all"
        limit_s = getattr(self._settings, name)
        if silent_s > limit_s:
            self._end(Ending(0, f"{what} came in {limit_s:g} s ({name}): the scan seems over"))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            await self._tell(WorkerBeat(self._scan_id, self._worker, self._tally.n_done))

    def _note_busy(self) -> None:
        self._tally.last_busy = asyncio.get_running_loop().time()

    # ---- what becomes of tasks

    def on_outcome(self, delivery: Delivery, reply: Reply) -> None:
        """Send an outcome to the server and settle its task."""
        self._note_busy()
        if reply.kind is ReplyKind.REFUSED:
            logger.error("dropped a message that is no task: %s", reply.body.decode())
            self._send(None, delivery)
            return
        self._send(reply.body, delivery)
        if reply.kind is ReplyKind.FAILED:
            self._note_failure()
        else:
            self._tally.n_done += 1

    def on_failure(self, delivery: Delivery, kind: FailureKind, reason: str) -> None:
        """Tell the server that a task failed here; whether to try again is its decision."""
        self._note_busy()
        try:
            task = decode_task(delivery.body, scan_id=self._scan_id)
        except MessageError as error:
            logger.warning("dropped a message that is no task: %s", error)
            self._send(None, delivery)
            return
        logger.warning("task %s failed (%s): %s", task.key, kind, reason)
        failed = TaskFailed(self._scan_id, task.key, task.attempt, kind, reason, self._worker)
        self._send(encode(failed), delivery)
        if kind == "lost":
            self._tally.n_failed += 1  # elsewhere, so it says nothing about this client
        else:
            self._note_failure()

    def on_hopeless(self, reason: str) -> None:
        """Leave: no child can be started."""
        self._end(Ending(1, reason, is_fatal=True))

    def _note_failure(self) -> None:
        self._tally.n_failed += 1
        if self._settings.EWMS_PILOT_STOP_LISTENING_ON_TASK_ERROR:
            reason = "a task failed, and EWMS_PILOT_STOP_LISTENING_ON_TASK_ERROR is set"
            self._end(Ending(1, reason, is_fatal=True))

    def _send(self, body: bytes | None, delivery: Delivery) -> None:
        if self._outbox is None:
            raise RuntimeError("an outcome before there was a task")
        self._outbox.put(body, delivery)

    async def _tell(self, message: Message) -> None:
        await self._broker.publish(self._queue, [encode(message)])

    # ---- the end

    def _on_stop(self, stop: asyncio.Future[signal.Signals]) -> None:
        if not stop.cancelled():
            self._end(Ending.by_signal(stop.result()))

    def _on_work_ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and not self._ending.done():
            error = work.exception() or RuntimeError("the client's work ended for no reason")
            self._ending.set_exception(error)

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    async def _leave(self) -> None:
        """Send finished outcomes, give the other tasks back, say bye, close; quickly."""
        reason = "the client failed"
        if self._ending.done() and self._ending.exception() is None:
            reason = self._ending.result().reason
        with contextlib.suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                if self._outbox is not None and self._consumer is not None:
                    await self._outbox.flush()
                    await self._consumer.close()
                tally = self._tally
                await self._tell(
                    WorkerBye(self._scan_id, self._worker, reason, tally.n_done, tally.n_failed)
                )
        with contextlib.suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._broker.close()


def _broker_for(startup: StartupFile, settings: Settings) -> Broker:
    """Return the broker that the server uses; its secrets come from our environment."""
    place = startup.broker
    is_embedded = place.kind == "embedded"
    return make_broker(
        place.kind,
        place.address if is_embedded else settings.SKYSCAN_BROKER_ADDRESS,
        token=settings.SKYSCAN_BROKER_AUTH,
        token_file=place.token_file,
        connect_timeout_s=settings.SKYSCAN_BROKER_CONNECT_TIMEOUT,
    )


async def _side_by_side(
    *works: Coroutine[None, None, None], until: str = asyncio.FIRST_EXCEPTION
) -> None:
    """Run coroutines together until the first of them fails (or ends); raise what it raises."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
        for task in done:
            task.result()
    finally:
        await _cancel(tasks)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
