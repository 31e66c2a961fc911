"""The server's loop: instructions of the scan state become messages, messages become its events.

Nothing is decided here: `skymap_scanner.scan.state` says what is sent when and what a result means.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

from skymap_scanner.client.startup import end_topic, queue_from_clients, queue_to_clients
from skymap_scanner.exceptions import BrokerTimeoutError, MessageError, TooManyFailuresError
from skymap_scanner.scan.messages import (
    EndOfScan,
    TaskDone,
    TaskFailed,
    WorkerBeat,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
)
from skymap_scanner.scan.state import (
    FitReceived,
    Ignored,
    LevelDone,
    Resend,
    ScanAborted,
    ScanFinished,
    ScanStarted,
    SendPixels,
    TaskFailedReceived,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from skymap_scanner.broker.base import Broker, Consumer
    from skymap_scanner.scan.state import Instruction, ScanState
    from skymap_scanner.server.tasks import TaskMaker
    from skymap_scanner.server.workers import WorkerRegistry

__all__ = ["Alarm", "ScanLoop"]

logger = logging.getLogger(__name__)

#: Tasks that may lie in the queue or be worked on at a time: enough for thousands of workers, and a
#: bound of the broker's memory (about 0.7 kB each) however large the sky map is.
_MAX_OUTSTANDING: Final = 20_000
#: Tasks sent again at once; results do not wait for more.
_MAX_RESENDS: Final = 200
#: Results taken from the broker at once.
_MAX_DELIVERIES: Final = 500
#: How long to listen for byes after the end of the scan was broadcast [s].
_BYE_WAIT_S: Final = 5.0


@dataclass(slots=True)
class Alarm:
    """Something to be done again and again.

    Attributes
    ----------
    interval_s : float
        Pause between two times [s].
    ring : callable
        What to do.
    """

    interval_s: float
    ring: Callable[[], None]
    next_s: float = field(default=0.0, init=False)


class ScanLoop:
    """Runs one scan over one broker until the state says that it is over.

    Parameters
    ----------
    state : ScanState
        Decides.
    tasks : TaskMaker
        Turns pixels into task messages.
    broker : Broker
        Open.
    scan_id : str
        Names the queues; messages of other scans are dropped.
    workers : WorkerRegistry
        Keeps the signs of life.
    alarms : sequence of Alarm
        Reports and files that are due by the clock.
    level_done : callable
        Told the nside of each level that is complete.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        *,
        state: ScanState,
        tasks: TaskMaker,
        broker: Broker,
        scan_id: str,
        workers: WorkerRegistry,
        alarms: Sequence[Alarm],
        level_done: Callable[[int], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._tasks = tasks
        self._broker = broker
        self._scan_id = scan_id
        self._workers = workers
        self._alarms = list(alarms)
        self._level_done = level_done
        self._clock = clock
        #: Batches that are not published yet, made when their turn comes.
        self._backlog: deque[Iterator[list[bytes]]] = deque()
        #: Further attempts; they go before the backlog, which waits for them when it is full.
        self._resends: deque[Resend] = deque()
        #: Tasks that may take their clients along; the first of them is on its way.
        self._suspects: deque[Resend] = deque()
        self._is_finished = False
        self._aborted_because = ""
        #: Seconds that clients spent on fits, as they report it.
        self.fit_seconds = 0.0

    async def run(self) -> None:
        """Scan.

        Raises
        ------
        NoWorkersError, WorkersGoneError
            Nobody works.
        TooManyFailuresError
            Too many pixels of a level have no finite fit.
        BrokerError
            The broker is out of reach.
        """
        consumer = await self._broker.consume(
            queue_from_clients(self._scan_id), prefetch=2 * _MAX_DELIVERIES
        )
        try:
            now_s = self._clock()
            for alarm in self._alarms:
                alarm.next_s = now_s + alarm.interval_s
            self._follow(self._state.handle(ScanStarted()))
            while not (self._is_finished or self._aborted_because):
                await self._publish_batch()
                await self._collect(consumer)
                self._look_at_clock()
        finally:
            await consumer.close()
        if self._aborted_because:
            raise TooManyFailuresError(self._aborted_because)

    async def broadcast_end(self, reason: str) -> None:
        """Tell all clients, also those that start late, that nothing more will come."""
        await self._broker.broadcast(
            end_topic(self._scan_id), encode(EndOfScan(self._scan_id, reason))
        )
        await self._broker.delete(queue_to_clients(self._scan_id))

    async def wait_for_byes(self) -> None:
        """Wait a little for the clients to say bye, then drop their queue."""
        consumer = await self._broker.consume(
            queue_from_clients(self._scan_id), prefetch=2 * _MAX_DELIVERIES
        )
        deadline_s = self._clock() + _BYE_WAIT_S
        try:
            while (left_s := deadline_s - self._clock()) > 0:
                if not self._workers.n_clients(self._clock()):
                    break
                for body in await _take(consumer, left_s):
                    self._hear(body)
        finally:
            await consumer.close()
        await self._broker.delete(queue_from_clients(self._scan_id))

    def _follow(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case SendPixels():
                    self._backlog.append(self._tasks.batches(instruction))
                case Resend(alone=True):
                    self._suspects.append(instruction)
                    if len(self._suspects) == 1:
                        self._resends.append(instruction)
                case Resend():
                    self._resends.append(instruction)
                case LevelDone(nside=nside):
                    self._level_done(nside)
                case ScanFinished():
                    self._is_finished = True
                case ScanAborted(reason=reason):
                    self._aborted_because = reason
                case Ignored(key=key, reason=reason):
                    logger.warning("a result is dropped: %s: %s", key, reason)
                case _:
                    assert_never(instruction)

    @property
    def _has_room(self) -> bool:
        return bool(self._backlog) and self._n_outstanding < _MAX_OUTSTANDING

    @property
    def _n_outstanding(self) -> int:
        return self._tasks.n_made - self._state.n_done

    async def _publish_batch(self) -> None:
        while self._suspects and self._state.has_outcome(self._suspects[0].key):
            self._suspects.popleft()
            if self._suspects:
                self._resends.append(self._suspects[0])
        if self._resends:
            n = min(len(self._resends), _MAX_RESENDS)
            again = [self._tasks.again(self._resends.popleft()) for _ in range(n)]
            await self._broker.publish(queue_to_clients(self._scan_id), again)
            return
        while self._has_room:
            batch = next(self._backlog[0], None)
            if batch is not None:
                await self._broker.publish(queue_to_clients(self._scan_id), batch)
                return
            self._backlog.popleft()

    async def _collect(self, consumer: Consumer) -> None:
        """Take what has come, waiting until the next alarm unless there is something to publish."""
        has_work = self._has_room or self._resends
        wait_s = 0.0 if has_work else max(0.0, self._next_alarm_s() - self._clock())
        try:
            deliveries = await consumer.get(max_n=_MAX_DELIVERIES, timeout_s=wait_s)
        except BrokerTimeoutError:
            return
        for delivery in deliveries:
            self._hear(delivery.body)
        await consumer.ack(deliveries)

    def _hear(self, body: bytes) -> None:
        try:
            message = decode(body, scan_id=self._scan_id)
        except MessageError as error:
            logger.warning("a message is dropped: %s", error)
            return
        now_s = self._clock()
        match message:
            case TaskDone():
                self._workers.heard(message.worker, now_s)
                self.fit_seconds += message.runtime_s
                self._follow(self._state.handle(FitReceived(message.key, message.fit)))
            case TaskFailed():
                self._workers.heard(message.worker, now_s)
                self._follow(
                    self._state.handle(
                        TaskFailedReceived(
                            message.key, message.attempt, message.kind, message.reason
                        )
                    )
                )
            case WorkerHello():
                self._workers.hello(message, now_s)
            case WorkerBeat():
                self._workers.heard(message.worker, now_s)
            case WorkerBye():
                self._workers.bye(message, now_s)
            case _:
                logger.warning("a message is dropped: %s is not for the server", type(message))

    def _next_alarm_s(self) -> float:
        return min([alarm.next_s for alarm in self._alarms] + [self._workers.deadline_s])

    def _look_at_clock(self) -> None:
        now_s = self._clock()
        for alarm in self._alarms:
            if now_s >= alarm.next_s:
                alarm.ring()
                alarm.next_s = now_s + alarm.interval_s
        self._workers.check_silence(now_s)


async def _take(consumer: Consumer, wait_s: float) -> list[bytes]:
    try:
        deliveries = await consumer.get(max_n=_MAX_DELIVERIES, timeout_s=wait_s)
    except BrokerTimeoutError:
        return []
    await consumer.ack(deliveries)
    return [delivery.body for delivery in deliveries]
