"""Who works for this scan: signs of life of the clients, and when their silence ends it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import NoWorkersError, WorkersGoneError

if TYPE_CHECKING:
    from skymap_scanner.scan.messages import WorkerBye, WorkerHello

__all__ = ["WorkerRegistry"]

logger = logging.getLogger(__name__)

#: A client that was not heard of for so long is not counted any more; beats come every 10 s.
_COUNTED_S: Final = 35.0


@dataclass(slots=True)
class _Client:
    n_processes: int
    last_sign_s: float
    is_here: bool = True


@dataclass(slots=True)
class WorkerRegistry:
    """The clients that said hello, and when any client was last heard of.

    Parameters
    ----------
    silence_s : float
        How long nobody may be heard of [s].
    now_s : float
        Start of the scan on a monotonic clock [s]; every method takes the time on that clock.
    """

    silence_s: float
    now_s: float
    #: Time of the last sign of life, or the start.
    last_sign_s: float = field(init=False)
    #: Whether any client was ever heard of.
    has_heard: bool = field(init=False, default=False)
    _clients: dict[str, _Client] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.last_sign_s = self.now_s

    def n_clients(self, now_s: float) -> int:
        """Count the clients that said hello and not yet bye, and were heard of lately."""
        return len(self._here(now_s))

    def n_processes(self, now_s: float) -> int:
        """Count the reconstructing processes of those clients."""
        return sum(client.n_processes for client in self._here(now_s))

    def _here(self, now_s: float) -> list[_Client]:
        return [
            client
            for client in self._clients.values()
            if client.is_here and now_s - client.last_sign_s < _COUNTED_S
        ]

    @property
    def deadline_s(self) -> float:
        """When the scan ends if nobody is heard of until then."""
        return self.last_sign_s + self.silence_s

    def heard(self, worker: str, now_s: float) -> None:
        """Note a sign of life, such as a beat or a result."""
        self.last_sign_s = now_s
        self.has_heard = True
        client = self._clients.get(worker)
        if client is not None:
            client.last_sign_s = now_s

    def hello(self, message: WorkerHello, now_s: float) -> None:
        """Note a client that starts, or says hello again after it lost the broker."""
        self.heard(message.worker, now_s)
        if message.worker not in self._clients:
            logger.info(
                "client %s joined: %d process(es) on %s, version %s",
                message.worker,
                message.n_processes,
                message.host,
                message.version,
            )
        self._clients[message.worker] = _Client(message.n_processes, now_s)

    def bye(self, message: WorkerBye, now_s: float) -> None:
        """Note a client that leaves."""
        self.heard(message.worker, now_s)
        client = self._clients.get(message.worker)
        if client is not None and client.is_here:
            client.is_here = False
            logger.info(
                "client %s left (%s): %d done, %d failed",
                message.worker,
                message.reason,
                message.n_done,
                message.n_failed,
            )

    def check_silence(self, now_s: float) -> None:
        """Raise when nobody has been heard of for too long.

        Raises
        ------
        NoWorkersError
            No client ever came.
        WorkersGoneError
            Clients came, and all are silent.
        """
        if now_s < self.deadline_s:
            return
        waited = f"{self.silence_s:g} s (SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS)"
        if not self.has_heard:
            raise NoWorkersError(
                f"no client came within {waited}; start clients with the startup JSON, or check "
                "that they reach the broker"
            )
        raise WorkersGoneError(
            f"no sign of life of any client for {waited}; see the clients' logs for why they left"
        )
