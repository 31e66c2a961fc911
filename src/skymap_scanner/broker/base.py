"""The contract that every broker driver keeps, whatever product stands behind it.

1. **Bytes in, bytes out.** A body comes out as it went in; a driver never looks inside.
2. **At least once.** A published body is handed out until somebody acknowledges it. It may come
   twice (a lost connection, a repeated publish), so what is done with it must be idempotent.
3. **No order.** Bodies may come in any order, also where a driver happens to keep one.
4. **`publish` returns when the broker holds the bodies**; when it raises, some of them may be
   held, and publishing all of them again is right.
5. **Deliveries return.** What was delivered and neither acknowledged nor given back is handed out
   again: with `attempt` one higher when the connection breaks, the process is killed or the machine
   falls silent; as if given back when the consumer or the connection is closed.
6. **Prefetch is a bound**: a consumer never has more than `prefetch` deliveries that it has not
   acknowledged or given back, those waiting inside the driver included.
7. **Heartbeats run in the background** of the event loop; a driver needs the loop, not the caller's
   attention. A driver reconnects by itself; only when the broker stays away longer than the connect
   timeout do the pending calls fail.
8. **Broadcasts reach every listener of a topic**, and one who comes late gets the last of them;
   any may come twice.
9. **Only our errors**: `BrokerError` (out of reach), `BrokerTimeoutError` (nothing in time),
   `BrokerAuthError` (refused; at once, without retries), `UsageError` (an illegal address).

Where products differ, a class flag says so, and callers and the contract tests read the flags.
One object serves one event loop; several tasks may use it at the same time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = ["Broker", "Consumer", "Delivery", "Listener"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One body that waits to be acknowledged.

    Attributes
    ----------
    body : bytes
        What was published.
    attempt : int
        1 for the first delivery; one more for each time that whoever had it vanished.
    tag : object
        The driver's own handle.
    """

    body: bytes
    attempt: int
    tag: object


class Consumer(ABC):
    """Takes deliveries from one queue."""

    @abstractmethod
    async def get(self, *, max_n: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        """Take what is there, waiting until there is something.

        Cancelling the call loses nothing.

        Parameters
        ----------
        max_n : int
            At most so many deliveries.
        timeout_s : float, optional
            Longest wait [s]; None waits for ever.

        Returns
        -------
        list of Delivery
            Between one and `max_n`.

        Raises
        ------
        BrokerTimeoutError
            When nothing came in time.
        BrokerError
            When the broker is out of reach for good.
        """

    @abstractmethod
    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Settle deliveries: they never come again.

        An acknowledgement may be lost with the connection; the delivery then comes again.
        Acknowledging twice, or what came over an earlier connection, changes nothing.
        """

    @abstractmethod
    async def nack(self, deliveries: Sequence[Delivery]) -> None:
        """Give deliveries back at once, for anybody to take."""

    async def set_prefetch(self, prefetch: int) -> None:  # noqa: B027 - a driver may lack this
        """Change the bound; without effect where the driver's `adjusts_prefetch` is false."""

    @abstractmethod
    async def close(self) -> None:
        """Stop taking, and give back all that is not settled."""


class Listener(AsyncIterator[bytes]):
    """Yields the broadcasts of one topic for as long as the broker is open."""

    @abstractmethod
    async def close(self) -> None:
        """Stop listening; a pending ``__anext__`` ends the iteration."""


class Broker(ABC):
    """One connection to a broker, for one event loop (contract: module docstring)."""

    #: What `make_broker` calls it.
    kind: ClassVar[str]
    #: Bodies of one publisher come in the order of publication while nothing is given back.
    keeps_order: ClassVar[bool]
    #: Queues and their content outlive a restart of the broker.
    survives_restart: ClassVar[bool]
    #: `Consumer.nack` raises the `attempt` of the next delivery.
    counts_nacks: ClassVar[bool]
    #: `Consumer.set_prefetch` has an effect.
    adjusts_prefetch: ClassVar[bool]
    #: Longest body [bytes]; a longer one raises `BrokerError`.
    max_body_bytes: ClassVar[int]

    @abstractmethod
    async def open(self) -> None:
        """Connect, with retries and backoff up to the connect timeout.

        Raises
        ------
        BrokerError
            When the broker stays out of reach.
        BrokerAuthError
            When it refuses us; at once.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close all consumers and listeners, then the connection; closing twice is allowed."""

    @abstractmethod
    async def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Put bodies into a queue, which is made when it is new; return when the broker has them.

        Raises
        ------
        BrokerError
            When the broker is out of reach for good, or a body is longer than `max_body_bytes`
            (nothing is published then).
        """

    @abstractmethod
    async def consume(self, queue: str, *, prefetch: int) -> Consumer:
        """Start to take from a queue, which is made when it is new.

        Parameters
        ----------
        queue : str
            Name of the queue.
        prefetch : int
            Most deliveries that may be unsettled at a time; at least 1.
        """

    @abstractmethod
    async def broadcast(self, topic: str, body: bytes) -> None:
        """Send a body to all who listen to a topic, or will."""

    @abstractmethod
    async def listen(self, topic: str) -> Listener:
        """Start to listen to a topic, beginning with its last broadcast if there was one."""

    @abstractmethod
    async def delete(self, queue: str) -> None:
        """Forget a queue and all it holds; settling its old deliveries changes nothing."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
