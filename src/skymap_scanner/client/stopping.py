"""SIGTERM and Ctrl-C as a future that a client watches from its first task to its last moment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["stop_signal"]


@contextlib.contextmanager
def stop_signal() -> Iterator[asyncio.Future[signal.Signals]]:
    """Yield a future that holds the first SIGTERM or SIGINT once it has come.

    One handler serves all phases of the client: a signal that arrives between two phases would be
    lost if one removed its handler before the next has its own.
    """
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def note(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    installed = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread can handle signals; elsewhere (a notebook, a test) it goes without.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, note, number)
            installed.append(number)
    try:
        yield stop
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
