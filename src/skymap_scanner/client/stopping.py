"""Why a client ends; SIGTERM and Ctrl-C as a future that it watches to its last moment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Ending", "handle_stop_signals", "stop_signal"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a client leaves, and its exit code."""

    exit_code: int
    reason: str
    #: Something is wrong with this machine; better sleep than come back at once.
    is_fatal: bool = False

    @classmethod
    def by_signal(cls, number: signal.Signals) -> Ending:
        """Return how a client ends that was told to stop."""
        return cls(128 + number, f"stopped by {number.name}")


def handle_stop_signals(handle: Callable[[signal.Signals], None]) -> Callable[[], None]:
    """Call `handle` at each SIGTERM and SIGINT; return what ends that, if need be again.

    Then a signal does what it did before: a shell's background job ignores SIGINT, for example.
    """
    loop = asyncio.get_running_loop()
    found: dict[signal.Signals, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread can handle signals; elsewhere (a notebook, a test) it goes without.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            before = signal.getsignal(number)
            loop.add_signal_handler(number, handle, number)
            found[number] = before

    def step_aside() -> None:
        while found:
            number, before = found.popitem()
            loop.remove_signal_handler(number)
            if before is not None:  # a handler that is not Python's cannot be put back
                signal.signal(number, before)

    return step_aside


@contextlib.contextmanager
def stop_signal() -> Iterator[asyncio.Future[signal.Signals]]:
    """Yield a future that holds the first SIGTERM or SIGINT once it has come.

    One handler serves all phases of the client: a signal that arrives between two phases would be
    lost if one removed its handler before the next has its own.
    """
    stop: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()

    def note(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    step_aside = handle_stop_signals(note)
    try:
        yield stop
    finally:
        step_aside()
