"""Ctrl-C and SIGTERM end a scan in order: clients are told, what is known is kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from skymap_scanner.client.stopping import handle_stop_signals
from skymap_scanner.exceptions import ScanStoppedError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

__all__ = ["first_to_end", "stopped_by_signals"]

#: Signals that come together are one: ``timeout`` and some shells send theirs twice [s].
_TOGETHER_S = 2.0


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[asyncio.Future[None]]:
    """Yield a future that fails with `ScanStoppedError` at the first Ctrl-C or SIGTERM.

    A signal that comes more than two seconds after the first does what it does without us, so that
    nobody is ever stuck.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        name = "Ctrl-C" if number is signal.SIGINT else number.name
        if not stopped.done():
            stopped.set_exception(ScanStoppedError(f"the scan was stopped by {name}"))
            loop.call_later(_TOGETHER_S, step_aside)

    step_aside = handle_stop_signals(stop)
    try:
        yield stopped
    finally:
        step_aside()
        if not stopped.done():
            stopped.cancel()
        elif not stopped.cancelled():
            stopped.exception()  # seen, so that nobody warns that it was not


async def first_to_end(
    *works: Coroutine[object, object, None], stopped: asyncio.Future[None] | None = None
) -> None:
    """Run coroutines until the first of them ends or `stopped` is set; raise what it raised.

    The others are cancelled and waited for before this returns.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        watched = [*tasks] if stopped is None else [stopped, *tasks]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        ended = [work for work in watched if work.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for work in ended:
        work.result()
