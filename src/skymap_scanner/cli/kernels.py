"""Compiled kernels of a reconstruction: made once, before many workers would make them at once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import json
import logging
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skymap_scanner.cli.local_clients import ending, has_left, last_line
from skymap_scanner.exceptions import PluginError
from skymap_scanner.recos import RecoInterface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Kernels"]

logger = logging.getLogger(__name__)

#: A process that is ready sooner had nothing to compile; the user need not hear of it [s].
_SILENT_S: Final = 3.0


class Kernels:
    """Makes the kernels of one reconstruction ready, unless an earlier scan did.

    Parameters
    ----------
    reco : RecoInterface
        Of which `warm_up` is called, in a process of its own.
    options : mapping
        Its settings as the user gave them.
    cache : Path
        Cache directory; a small file in it remembers that the kernels were made.
    log_file : Path
        Where the process's words go.
    announce : callable
        Tells the user something in a line.
    """

    def __init__(
        self,
        reco: RecoInterface,
        options: Mapping[str, str],
        *,
        cache: Path,
        log_file: Path,
        announce: Callable[[str], None],
    ) -> None:
        self._name = reco.name
        self._options = dict(options)
        self._log_file = log_file
        self._announce = announce
        self._marker = cache / f"kernels-{_state_of_code(reco, self._options)}.ready"
        self._has_any = type(reco).warm_up is not RecoInterface.warm_up

    async def make_ready(self) -> None:
        """Compile what is not compiled yet.

        Raises
        ------
        PluginError
            When that fails.
        """
        if not self._has_any or self._marker.exists():  # one look at a local file
            return
        process = await self._start()
        started_s = time.monotonic()
        try:
            if not await has_left(process, _SILENT_S):
                self._announce("compiling kernels (first run only)")
                await process.wait()
                logger.info("kernels compiled in %.0f s", time.monotonic() - started_s)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            raise PluginError(
                f"reconstruction {self._name} cannot be made ready "
                f"({ending(process.returncode)}): {last_line(self._log_file) or 'no last words'} "
                f"(everything it said: {self._log_file})"
            )
        with contextlib.suppress(OSError):
            self._marker.touch()

    async def _start(self) -> asyncio.subprocess.Process:
        with self._log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "skymap_scanner.cli.warm_up",
                self._name,
                json.dumps(self._options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is for us; this process is then killed above.
                start_new_session=True,
            )


def _state_of_code(reco: RecoInterface, options: Mapping[str, str]) -> str:
    """Return a key that changes when kernels must be compiled anew, as numba sees it."""
    package = Path(__file__).parents[1]
    sources = sorted((package / "recos").rglob("*.py")) + sorted((package / "light").rglob("*.py"))
    facts = [
        reco.name,
        json.dumps(dict(options), sort_keys=True),
        sys.executable,
        platform.machine(),
        platform.python_version(),
        importlib.metadata.version("numba"),
        *(f"{source.name}:{source.stat().st_mtime_ns}" for source in sources),
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
