"""A scan on this machine: the server in this process, one client with all workers beside it."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.cli.display import choose_reporter
from skymap_scanner.cli.local_clients import LocalClient
from skymap_scanner.cli.pictures import draw_map
from skymap_scanner.cli.rehearsal import Rehearsal
from skymap_scanner.cli.summary import as_json, as_text
from skymap_scanner.logs import configure_logging
from skymap_scanner.server.arguments import request_from
from skymap_scanner.server.preparation import prepare_scan
from skymap_scanner.server.session import ScanSession

if TYPE_CHECKING:
    import argparse

    from skymap_scanner.config import Settings
    from skymap_scanner.server.preparation import ScanPlan
    from skymap_scanner.server.reports import Reporter

__all__ = ["n_cores", "scan_here"]


def scan_here(arguments: argparse.Namespace, settings: Settings) -> int:
    """Scan an event as the command line says and return the exit code.

    Raises
    ------
    SkymapScannerError
        When there is no complete map, or it could not be saved.
    """
    started_s = time.monotonic()
    reporter, log_stream = choose_reporter(
        quiet=arguments.quiet, interval_s=settings.SKYSCAN_PROGRESS_INTERVAL_SEC
    )
    # Progress has a display of its own; what is logged is for those who look for a fault.
    configure_logging(
        settings.SKYSCAN_LOG if arguments.debug else "WARNING",
        settings.SKYSCAN_LOG_THIRD_PARTY,
        stream=log_stream,
    )
    # The startup JSON is for our own client only, so it goes where nobody else looks.
    with tempfile.TemporaryDirectory(prefix="skymap-scanner-") as private:
        plan = prepare_scan(
            request_from(
                arguments,
                event_file=arguments.event_file,
                cache_dir=arguments.cache_dir or arguments.output_dir / "cache",
                output_dir=arguments.output_dir,
                client_startup_json=Path(private) / "client-startup.json",
            ),
            settings,
            now=datetime.now(UTC),
            suffix=secrets.token_hex(3),
        )
        session = _session(
            plan, reporter, n_workers=arguments.workers or n_cores(), started_s=started_s
        )
        outcome = asyncio.run(session.run())
    if outcome.error is not None:
        for kind, path in outcome.files.items():
            reporter.say(f"{kind}: {path}")
        raise outcome.error
    if not arguments.debug:
        _client_log(plan).unlink(missing_ok=True)
    if not arguments.no_plots:
        outcome = session.conclude_again(outcome, draw_map(plan, outcome))
    print(as_json(plan, outcome) if arguments.json else as_text(plan, outcome))
    return 0


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _session(
    plan: ScanPlan, reporter: Reporter, *, n_workers: int, started_s: float
) -> ScanSession:
    log_file = _client_log(plan)
    rehearsal = Rehearsal(
        plan.reco,
        plan.request.reco_options,
        cache=plan.request.cache_dir,
        log_file=log_file,
        announce=reporter.say,
    )
    client = LocalClient(
        n_workers=n_workers,
        log_file=log_file,
        count_fits=lambda: session.state.n_done,
        before=rehearsal.compile_kernels,
        find_fault=rehearsal.run,
    )
    session = ScanSession(plan, reporter=reporter, companion=client, started_s=started_s)
    return session


def _client_log(plan: ScanPlan) -> Path:
    """Return where the client's words go; kept when the scan did not end well."""
    return plan.folders.cache / f"client-{plan.scan_id}.log"
