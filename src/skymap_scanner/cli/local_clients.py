"""The client process that ``skymap-scanner scan`` starts beside the server, and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import WorkersGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

__all__ = ["LocalClient", "ending", "has_left", "last_line"]

logger = logging.getLogger(__name__)

#: So many deaths of the client in a row, without a single fit in between, end the scan.
_MAX_FRUITLESS_DEATHS: Final = 3
#: How long a client may take to leave after the end of the scan was broadcast [s].
_LEAVE_S: Final = 5.0
#: How long it may take after SIGTERM, which gives its tasks back, before SIGKILL [s].
_TERMINATE_S: Final = 5.0


class LocalClient:
    """One client with all its workers, kept alive for as long as the scan runs.

    Parameters
    ----------
    n_workers : int
        Reconstructing processes.
    log_file : Path
        Where what the client says goes.
    count_fits : callable
        Returns how many fits have come back so far; tells deaths from bad luck.
    before : callable
        Awaited with the startup JSON before the first client starts.
    find_fault : callable
        Awaited with it when a client ended without any fit; raises when it knows why.
    """

    def __init__(
        self,
        *,
        n_workers: int,
        log_file: Path,
        count_fits: Callable[[], int],
        before: Callable[[Path], Awaitable[None]],
        find_fault: Callable[[Path], Awaitable[None]],
    ) -> None:
        self._n_workers = n_workers
        self._log_file = log_file
        self._count_fits = count_fits
        self._before = before
        self._find_fault = find_fault
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, startup_json: Path) -> None:
        """Keep a client running until cancelled.

        Raises
        ------
        WorkersGoneError
            The client died several times without a fit in between; says its last words.
        SkymapScannerError
            What `before` or `find_fault` raise.
        """
        await self._before(startup_json)
        n_fruitless, n_fits = 0, -1
        while True:
            code = await self._run_once(startup_json)
            n_fits_now = self._count_fits()
            n_fruitless = n_fruitless + 1 if n_fits_now == n_fits else 1
            n_fits = n_fits_now
            if n_fruitless >= _MAX_FRUITLESS_DEATHS:
                raise WorkersGoneError(
                    f"the client ended {n_fruitless} times without a single fit in between "
                    f"({ending(code)}); its last words: {self._last_words()} "
                    f"(everything it said: {self._log_file})"
                )
            logger.warning("the client ended (%s) and is started again", ending(code))
            if code > 0 and n_fits == 0:
                await self._find_fault(startup_json)

    async def stop(self) -> None:
        """Let the client leave by itself after the end of the scan, else make it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if await has_left(process, _LEAVE_S):
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        if await has_left(process, _TERMINATE_S):
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _run_once(self, startup_json: Path) -> int:
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "skymap_scanner.client",
                "--client-startup-json",
                str(startup_json),
                "--workers",
                str(self._n_workers),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_client_environment(os.environ),
                # A Ctrl-C in the terminal is for the server, which then tells the client.
                start_new_session=True,
            )
        return await self._process.wait()

    def _last_words(self) -> str:
        return last_line(self._log_file) or "none"


async def has_left(process: asyncio.subprocess.Process, timeout_s: float) -> bool:
    """Wait for the end of a process; False when it still runs after `timeout_s`."""
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        return False
    return True


def _client_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a local client: our broker, which, once gone, is gone for good."""
    return {
        **environment,
        "SKYSCAN_BROKER_CLIENT": "embedded",
        "SKYSCAN_BROKER_ADDRESS": "",
        "SKYSCAN_BROKER_CONNECT_TIMEOUT": "10",
    }


def ending(code: int) -> str:
    """Say how a process ended."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def last_line(path: Path) -> str:
    """Return the last line with text of a log file, at most 500 characters of it."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")
