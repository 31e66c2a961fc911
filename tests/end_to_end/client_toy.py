"""A toy reconstruction whose settings say which pixel does what; and a client that runs it.

The settings (``reco_options``) map a behaviour to pixels: ``{"exit": "3 7", "hang": "5"}``; a pixel
that misbehaves does so on the first ``times`` attempts (default: always). ``delay_s`` makes every
fit slower, ``start`` makes the start fail.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.client.client import main
from skymap_scanner.pixels import Fit, FitStatus, Seed, TaskKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.client.startup import StartupFile

NAN = float("nan")


def toy_fit(key: TaskKey) -> Fit:
    """Return what the toy gives for a pixel that behaves."""
    nside, ipix, variation = key
    return Fit(
        FitStatus.OK,
        "",
        1000.0 / (1 + ipix) + variation,
        (1.0, 2.0, 3.0),
        4.0,
        NAN,
        NAN,
        NAN,
        nside,
    )


def _raise() -> None:
    raise ValueError("this pixel is unlucky")


def _talk() -> None:
    os.write(1, b"\0\1 not a reply\n" * 100)
    print("chatter on stdout")  # noqa: T201 - that is the point
    assert sys.stdin.read() == ""


def _exit() -> None:
    print("about to die", file=sys.stderr, flush=True)  # noqa: T201 - becomes the last words
    os._exit(37)


def _leave_a_grandchild() -> None:
    """Hang with a process beside us that holds our pipes."""
    subprocess.run(["/bin/sleep", "1000"], check=False)


def _leave_a_daemon() -> None:
    """Die, while a process that left our group holds our pipes."""
    subprocess.Popen(["/bin/sleep", "20"], start_new_session=True)
    os._exit(38)


BEHAVIOURS: dict[str, Callable[[], object]] = {
    "exit": _exit,
    "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "kill_client": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "hang": lambda: time.sleep(1000),
    "raise": _raise,
    "talk": _talk,
    "fork": os.fork,
    "grandchild": _leave_a_grandchild,
    "daemon": _leave_a_daemon,
    "log": lambda: logging.getLogger("skymap_scanner.toy").warning("a word from the toy"),
}


def make(startup: StartupFile) -> Callable[[Seed, TaskKey], Fit]:
    """Make the toy (called in the child process)."""
    options = startup.reco_options
    if options.get("start") == "raise":
        raise RuntimeError("the toy does not start")
    if options.get("start") == "exit":
        os._exit(5)
    if options.get("start") == "hang" and "TOY_IS_WELL" not in os.environ:
        time.sleep(1000)
    if options.get("start") == "hang the second time" and "TOY_IS_WELL" not in os.environ:
        marker = Path(options["marker"])
        if marker.exists():
            time.sleep(1000)
        marker.touch()
    behaviour_of = {
        int(ipix): name for name in BEHAVIOURS for ipix in options.get(name, "").split()
    }
    delay_s = float(options.get("delay_s", "0"))

    def run(seed: Seed, key: TaskKey) -> Fit:
        # The first guess of the energy carries the number of the attempt.
        name = behaviour_of.get(key[1])
        if name is not None and seed.energy <= float(options.get("times", "inf")):
            BEHAVIOURS[name]()
        if delay_s:
            time.sleep(delay_s)
        return toy_fit(key)

    return run


if __name__ == "__main__":
    sys.exit(main(runner_factory="client_toy:make"))
