"""Real processes: the command, a server, clients; and a look at who is running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest that any program of a test may take [s].
LIMIT_S = 120.0

#: A reconstruction that takes no time.
IDLE = ("--reco-algo", "dummy", "--reco-option", "sleep_min_s=0", "--reco-option", "sleep_max_s=0")
#: A reconstruction that takes long enough for something to happen meanwhile.
SLOW = (
    "--reco-algo", "dummy",
    "--reco-option", "sleep_min_s=0.03", "--reco-option", "sleep_max_s=0.05",
)  # fmt: skip


@dataclass
class Programs:
    """Starts our programs in a folder of their own and ends those that are left."""

    folder: Path
    environment: dict[str, str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, module: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start ``python -m skymap_scanner.MODULE ARGUMENTS``."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"skymap_scanner.{module}", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(
        self, module: str, *arguments: object, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Start a program and wait for its end."""
        return finish(self.start(module, *arguments, **environment))

    def scan(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``skymap-scanner scan ARGUMENTS``."""
        return self.run("cli", "scan", *arguments, **environment)

    def end_all(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a program and return what it said."""
    out, err = process.communicate(timeout=LIMIT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def processes_with(*words: str) -> list[int]:
    """Return the ids of running processes whose command line has all `words`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and all(word in command for word in words):
            found.append(int(entry.name))
    return sorted(found)


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    """Wait until `condition` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {limit_s:g} s")
        time.sleep(0.02)


def kill(process_id: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, number)
