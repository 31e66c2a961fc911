"""Processes of clients as their tests see them: children, lives and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from client_harness import SCAN_ID, WAIT_S, Scan

from skymap_scanner.client.startup import queue_to_clients

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


async def wait_for_exit(client: subprocess.Popen[str]) -> int:
    return await asyncio.to_thread(client.wait, WAIT_S)


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - other processes set no events
            await asyncio.sleep(0.02)


async def until_begun(scan: Scan, n: int) -> None:
    """Wait until clients hold so many tasks."""
    queue = queue_to_clients(SCAN_ID)
    await until(lambda: scan.server.figures(queue).n_unsettled[queue] >= n)
