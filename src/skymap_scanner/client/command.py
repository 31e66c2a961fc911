"""What a client is told on its command line, and how it starts its children."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.client.reconstruction import DEFAULT_FACTORY
from skymap_scanner.config import ONE_THREAD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from skymap_scanner.config import Settings

__all__ = ["ClientOptions", "child_command", "child_environment"]


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client is told on its command line.

    Attributes
    ----------
    startup_json : Path
        Where the startup JSON is.
    n_workers : int
        Child processes.
    debug_directory : Path, optional
        Where input, output and log of each task are kept.
    runner_factory : str
        What makes the function that fits, as ``module:function``.
    """

    startup_json: Path
    n_workers: int = 1
    debug_directory: Path | None = None
    runner_factory: str = DEFAULT_FACTORY


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without tokens, which no reconstruction needs, and with one thread."""
    kept = {
        name: value
        for name, value in environment.items()
        if not (name.startswith("SKYSCAN_") and name.endswith("_AUTH"))
    }
    return {**kept, **ONE_THREAD}


def child_command(options: ClientOptions, settings: Settings, worker: str) -> list[str]:
    """Return the command of a child of the client that messages call `worker`."""
    command = [
        *(sys.executable, "-m", "skymap_scanner.client.child"),
        str(options.startup_json),
        *("--worker", worker),
        *("--supervisor", str(os.getpid())),
        *("--runner-factory", options.runner_factory),
        *("--log-level", settings.SKYSCAN_LOG),
        *("--third-party-log-level", settings.SKYSCAN_LOG_THIRD_PARTY),
    ]
    if options.debug_directory is not None:
        command += ["--debug-directory", str(options.debug_directory)]
    return command
