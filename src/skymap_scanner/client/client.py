"""The client's command line: ``python -m skymap_scanner.client``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from skymap_scanner import __version__
from skymap_scanner.config import ENV
from skymap_scanner.exceptions import BrokerError, SkymapScannerError, UsageError, one_line
from skymap_scanner.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.client.command import ClientOptions
    from skymap_scanner.client.stopping import Ending

__all__ = ["main", "parser"]

logger = logging.getLogger(__name__)


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; see '{self.prog} --help'")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the client's command line."""
    result = _Parser(
        prog="python -m skymap_scanner.client",
        description="Take pixel variations of a scan from its queue, reconstruct them and send the "
        "fits back, until the scan is over.",
    )
    result.add_argument(
        "--client-startup-json",
        type=Path,
        required=True,
        metavar="PATH",
        help="file that the server writes; waited for (SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON) [s]",
    )
    result.add_argument(
        "--debug-directory",
        type=Path,
        metavar="DIR",
        help="keep input, output and log of each task here [nothing is kept]",
    )
    result.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="reconstructing processes, 0 for one per core [EWMS_PILOT_CONCURRENT_TASKS, else 1]",
    )
    result.add_argument("--debug", action="store_true", help="show the traceback of an error")
    result.add_argument("--version", action="version", version=__version__)
    return result


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = -1
    if count < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 0")
    return count


def main(argv: Sequence[str] | None = None, *, runner_factory: str | None = None) -> int:
    """Run a client.

    Parameters
    ----------
    argv : sequence of str, optional
        Command line; by default that of the process.
    runner_factory : str, optional
        What makes the function that fits, as ``module:function``; by default the reconstruction
        that the startup JSON names.

    Returns
    -------
    int
        Exit code: 0 at the end of the scan or after silence, 1 after a fatal error, 2 for bad
        usage, 13 when the broker is out of reach, 128 + signal number when stopped by a signal.
    """
    arguments = parser().parse_args(argv)
    try:
        configure_logging(
            ENV.SKYSCAN_LOG,
            ENV.SKYSCAN_LOG_THIRD_PARTY,
            levels={
                "skymap_scanner.broker": ENV.SKYSCAN_MQ_CLIENT_LOG,
                "skymap_scanner.client": ENV.SKYSCAN_EWMS_PILOT_LOG,
            },
        )
        options = _options(arguments, runner_factory)
        ending = asyncio.run(_run(options))
    except SkymapScannerError as error:
        _show(error, debug=arguments.debug)
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("stopped by Ctrl-C")
        return 130
    except Exception as error:  # noqa: BLE001 - the last handler: whatever it is, say it in a line
        _show(error, debug=arguments.debug)
        _complain(f"unexpected {type(error).__name__}: {error}; a bug of ours, see --debug")
        return 1
    if ending.exit_code:
        _complain(ending.reason)
    else:
        logger.info("done: %s", ending.reason)
    return ending.exit_code


async def _run(options: ClientOptions) -> Ending:
    from skymap_scanner.client.startup import is_over, wait_for_startup_file
    from skymap_scanner.client.stopping import Ending, stop_signal
    from skymap_scanner.client.supervisor import Supervisor

    startup = await wait_for_startup_file(
        options.startup_json, ENV.SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON
    )
    if startup.is_over:
        return Ending(0, f"the scan {startup.scan_id} is over")
    with stop_signal() as stop:
        try:
            ending = await Supervisor(options, ENV, startup, stop).run()
        except BrokerError as error:
            # We may have slept through the end.
            if not is_over(options.startup_json, startup.scan_id):
                raise
            ending = Ending(0, f"the scan is over; {error}")
        if ending.is_fatal and ENV.EWMS_PILOT_QUARANTINE_TIME and not stop.done():
            logger.warning(
                "%s; sleeping %g s (EWMS_PILOT_QUARANTINE_TIME)",
                ending.reason,
                ENV.EWMS_PILOT_QUARANTINE_TIME,
            )
            await asyncio.wait([stop], timeout=ENV.EWMS_PILOT_QUARANTINE_TIME)
        # A signal counts whenever it came, also while we were leaving for another reason.
        return Ending.by_signal(stop.result()) if stop.done() else ending


def _options(arguments: argparse.Namespace, runner_factory: str | None) -> ClientOptions:
    from skymap_scanner.client.command import ClientOptions
    from skymap_scanner.client.reconstruction import DEFAULT_FACTORY

    n_workers = arguments.workers
    if n_workers is None:
        n_workers = ENV.EWMS_PILOT_CONCURRENT_TASKS
    if n_workers == 0:
        n_workers = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    folder = arguments.debug_directory
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot make the folder: {error.strerror or error}",
                place="--debug-directory",
                found=str(folder),
            ) from error
    return ClientOptions(
        startup_json=arguments.client_startup_json,
        n_workers=n_workers,
        debug_directory=folder,
        runner_factory=runner_factory or DEFAULT_FACTORY,
    )


def _show(error: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)


def _complain(message: str) -> None:
    """Write the one line that says what happened, always the last on stderr."""
    print(f"skymap-scanner client: error: {one_line(message)}", file=sys.stderr, flush=True)  # noqa: T201 - the last word
