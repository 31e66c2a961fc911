"""What a worker does before its first fit, done once by a process that then ends.

Kernels are compiled by it before many workers would do so at once; and when no worker can begin, it
says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import inspect
import json
import logging
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skymap_scanner.cli.local_clients import ending, has_left, last_line
from skymap_scanner.exceptions import InputError, PluginError
from skymap_scanner.recos import RecoInterface
from skymap_scanner.server.exits import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Rehearsal"]

logger = logging.getLogger(__name__)

#: A process that is ready sooner had nothing to compile; the user need not hear of it [s].
_SILENT_S: Final = 4.0


class Rehearsal:
    """Prepares one reconstruction of one event as a worker would.

    Parameters
    ----------
    reco : RecoInterface
        The reconstruction.
    options : mapping
        Its settings as the user gave them.
    cache : Path
        Cache directory, where a small file may be kept that says that kernels are compiled.
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
        self._log_file = log_file
        self._announce = announce
        self._marker = _marker(reco, options, cache)
        self._has_kernels = type(reco).warm_up is not RecoInterface.warm_up

    async def compile_kernels(self, startup_json: Path) -> None:
        """Compile what is not compiled yet.

        Raises
        ------
        InputError
            When the reconstruction cannot work on this event.
        PluginError
            When it cannot be made ready for another reason.
        """
        if self._has_kernels and not self._marker.exists():
            await self.run(startup_json)
            with contextlib.suppress(OSError):
                self._marker.touch()

    async def run(self, startup_json: Path) -> None:
        """Do as a worker does until its first fit; raises as `compile_kernels` does."""
        process = await self._start(startup_json)
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
            self._complain(process.returncode)

    def _complain(self, code: int) -> None:
        last = last_line(self._log_file).removeprefix(f"{PROGRAM}: error: ")
        if code == InputError.exit_code:
            raise InputError(last)
        raise PluginError(
            f"reconstruction {self._name} cannot be made ready ({ending(code)}): "
            f"{last or 'no last words'} (everything it said: {self._log_file})"
        )

    async def _start(self, startup_json: Path) -> asyncio.subprocess.Process:
        with self._log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "skymap_scanner.cli.rehearse",
                str(startup_json),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is for us; this process is then killed above.
                start_new_session=True,
            )


def _marker(reco: RecoInterface, options: Mapping[str, str], cache: Path) -> Path:
    """Return the file that says that the kernels of this state of the code are compiled.

    It lies where numba keeps them, so that both are thrown away together; where that is not
    writable, in the cache directory.
    """
    recos = Path(__file__).parents[1] / "recos"
    digest = hashlib.sha256()
    facts = [
        reco.name,
        json.dumps(dict(options), sort_keys=True),
        os.environ.get("NUMBA_CACHE_DIR", ""),
        platform.machine(),
        platform.python_version(),
        importlib.metadata.version("numba"),
    ]
    digest.update("\n".join(facts).encode())
    sources = [*recos.rglob("*.py"), *(recos.parent / "light").rglob("*.py")]
    for source in [*sorted(sources), Path(inspect.getfile(type(reco)))]:
        digest.update(source.read_bytes())
    compiled = recos / "__pycache__"
    folder = compiled if os.access(compiled, os.W_OK) else cache
    return folder / f"rehearsed-{digest.hexdigest()[:16]}"
