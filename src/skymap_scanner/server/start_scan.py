"""Serve the scan of one event to clients that are started by hand."""

from __future__ import annotations

import logging
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from skymap_scanner.server.arguments import parse_request, server_parser
from skymap_scanner.server.exits import run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a scan's server until the scan is over and return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Options; those of the command line when absent.
    """
    arguments = server_parser().parse_args(argv)
    return run_program(lambda: _serve(arguments), debug=arguments.debug)


def _serve(arguments: argparse.Namespace) -> int:
    import asyncio

    from skymap_scanner.config import ENV
    from skymap_scanner.logs import configure_logging
    from skymap_scanner.server.broker_place import check_broker
    from skymap_scanner.server.preparation import prepare_scan

    started_s = time.monotonic()
    configure_logging(
        ENV.SKYSCAN_LOG,
        ENV.SKYSCAN_LOG_THIRD_PARTY,
        levels={"skymap_scanner.broker": ENV.SKYSCAN_MQ_CLIENT_LOG},
    )
    request = parse_request(arguments, skydriver_address=ENV.SKYSCAN_SKYDRIVER_ADDRESS)
    check_broker(ENV)
    plan = prepare_scan(request, ENV, now=datetime.now(UTC), suffix=secrets.token_hex(3))

    from skymap_scanner.server.reports import LineReporter
    from skymap_scanner.server.session import ScanSession

    reporter = LineReporter(logger.info, interval_s=ENV.SKYSCAN_PROGRESS_INTERVAL_SEC)
    outcome = asyncio.run(ScanSession(plan, reporter=reporter, started_s=started_s).run())
    for kind, path in outcome.files.items():
        logger.info("%s: %s", kind, path)
    if outcome.error is not None:
        raise outcome.error
    return 0
