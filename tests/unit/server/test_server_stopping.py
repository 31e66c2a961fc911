from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.exceptions import ScanStoppedError
from skymap_scanner.server.stopping import first_to_end, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


async def for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("tidied up")


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("mine")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in the foreground: a shell's background jobs begin with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, "by Ctrl-C"), (signal.SIGTERM, "by SIGTERM")]
)
def test_signal_ends_the_work_in_order(number: signal.Signals, words: str) -> None:
    ended: list[str] = []

    async def main() -> None:
        with stopped_by_signals() as stopped:
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), number)
            await first_to_end(for_ever(ended), stopped=stopped)

    before = signal.getsignal(number)
    with pytest.raises(ScanStoppedError, match=words):
        asyncio.run(main())
    assert ended == ["tidied up"]
    assert signal.getsignal(number) == before


def test_a_signal_that_is_sent_twice_is_one() -> None:
    ended: list[str] = []

    async def main() -> None:
        with stopped_by_signals() as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(ScanStoppedError):
                await first_to_end(for_ever(ended), stopped=stopped)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)
            ended.append("files written")

    asyncio.run(main())
    assert ended == ["tidied up", "files written"]


def test_a_later_signal_does_what_it_does_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymap_scanner.server.stopping._TOGETHER_S", 0.05)
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        with stopped_by_signals() as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(ScanStoppedError):
                await stopped
            assert signal.getsignal(signal.SIGTERM) != before
            await asyncio.sleep(0.2)
            assert signal.getsignal(signal.SIGTERM) == before

    asyncio.run(main())


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_was_ignored_is_ignored_again(number: signal.Signals) -> None:
    """As SIGINT is in a shell's background job."""

    async def main() -> None:
        with stopped_by_signals():
            assert signal.getsignal(number) is not signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN

    before = signal.signal(number, signal.SIG_IGN)
    try:
        asyncio.run(main())
    finally:
        signal.signal(number, before)


def test_failure_of_one_cancels_the_others() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match="mine"):
        asyncio.run(first_to_end(for_ever(ended), fail()))
    assert ended == ["tidied up"]


def test_end_of_one_is_the_end() -> None:
    ended: list[str] = []
    asyncio.run(first_to_end(for_ever(ended), asyncio.sleep(0)))
    assert ended == ["tidied up"]


def test_without_a_signal_nothing_is_left_over() -> None:
    async def main() -> None:
        with stopped_by_signals() as stopped:
            await first_to_end(asyncio.sleep(0), stopped=stopped)

    asyncio.run(main())
