"""One scan from its plan to its files: broker, startup JSON, loop, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from skymap_scanner.client.startup import StartupFile, mark_as_over
from skymap_scanner.exceptions import BrokerError, SkymapScannerError
from skymap_scanner.i3 import packet_to_json
from skymap_scanner.result.regions import region_summary
from skymap_scanner.scan.state import ScanState
from skymap_scanner.server.broker_place import served_broker
from skymap_scanner.server.loop import Alarm, ScanLoop
from skymap_scanner.server.manifest import make_manifest
from skymap_scanner.server.results import ResultFiles
from skymap_scanner.server.stopping import first_to_end, stopped_by_signals
from skymap_scanner.server.tasks import TaskMaker
from skymap_scanner.server.workers import WorkerRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from skymap_scanner.broker.base import Broker
    from skymap_scanner.client.startup import BrokerPlace
    from skymap_scanner.result import SkyScanResult
    from skymap_scanner.result.manifest import ScanManifest
    from skymap_scanner.result.regions import RegionSummary
    from skymap_scanner.server.preparation import ScanPlan
    from skymap_scanner.server.reports import Reporter

__all__ = ["Companion", "Outcome", "ScanSession"]

logger = logging.getLogger(__name__)


class Companion(Protocol):
    """Something that works for the scan while it runs: the clients of ``skymap-scanner scan``."""

    async def run(self, startup_json: Path) -> None:
        """Work until cancelled; an exception ends the scan."""

    async def stop(self) -> None:
        """Leave; called after the clients were told of the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scan came to.

    Attributes
    ----------
    result : SkyScanResult
        The map, whole or as far as it came.
    region : RegionSummary, optional
        Best fit and areas; None when no pixel has a fit.
    n_failed : int
        Pixels without a finite fit.
    files : dict
        Kind -> path of every file written.
    error : SkymapScannerError, optional
        Why the map is not whole, or not saved.
    times : dict
        ``wall_s`` of the scan, ``cpu_s`` of this process and those it started, and ``fit_s`` that
        clients, wherever they are, report to have spent on fits [s].
    """

    result: SkyScanResult
    region: RegionSummary | None
    n_failed: int
    files: dict[str, Path]
    error: SkymapScannerError | None
    times: dict[str, float]


class ScanSession:
    """Carries out a plan, once.

    Parameters
    ----------
    plan : ScanPlan
        What is scanned, and where everything goes.
    reporter : Reporter
        Told how far the scan is.
    companion : Companion, optional
        Works beside the server.
    started_s : float
        When the program began its work, on the monotonic clock [s].
    """

    def __init__(
        self,
        plan: ScanPlan,
        *,
        reporter: Reporter,
        started_s: float,
        companion: Companion | None = None,
    ) -> None:
        self.plan = plan
        self.state = ScanState(
            plan.progression,
            plan.n_variations,
            threshold=plan.request.threshold,
            first_pixels=(
                None if plan.pointing is None else plan.pointing.pixels(plan.progression.nsides[0])
            ),
            region=plan.region,
            max_attempts=plan.settings.SKYSCAN_MAX_ATTEMPTS,
            max_failed_fraction=plan.settings.SKYSCAN_MAX_FAILED_PIXELS,
        )
        self._reporter = reporter
        self._companion = companion
        self._files = ResultFiles(plan)
        self._started_s = started_s
        self._loop: ScanLoop | None = None
        #: Files of the complete map, once they are written.
        self._saved: dict[str, Path] = {}

    async def run(self) -> Outcome:
        """Scan and write the files; when the scan ends early, the map as far as it came."""
        error: SkymapScannerError | None = None
        # The files are written before a repeated signal can end us.
        with stopped_by_signals() as stopped:
            try:
                await first_to_end(self._serve(), stopped=stopped)
            except SkymapScannerError as caught:
                error = caught
            except Exception as caught:  # noqa: BLE001 - what is known must be saved, whatever it is
                error = SkymapScannerError(f"unexpected {type(caught).__name__}: {caught}")
                error.__cause__ = caught
            finally:
                self._reporter.stop()
            if error is not None and self.state.is_complete:
                logger.warning("the map is complete all the same: %s", error)
                error = None
            return self._conclude(error)

    async def _serve(self) -> None:
        plan = self.plan
        token_file = plan.folders.cache / f"broker-token-{plan.scan_id}"
        with served_broker(plan.settings, token_file) as (place, broker):
            async with broker:
                loop = self._loop = self._make_loop(broker)
                self._startup(place).write(plan.request.client_startup_json)
                works = [loop.run()]
                if self._companion is not None:
                    works.append(self._companion.run(plan.request.client_startup_json))
                reason = "the scan was stopped"
                try:
                    await first_to_end(*works)
                    reason = "the scan is complete"
                except SkymapScannerError as error:
                    reason = str(error)
                    raise
                finally:
                    self._save_early()
                    await self._part_from_clients(loop, reason)

    def _save_early(self) -> None:
        """Write the map before the farewells, which may take seconds: kill us, it is there."""
        result = self._files.result_of(self.state.nsides_dict(), is_complete=self.state.is_complete)
        with contextlib.suppress(SkymapScannerError):  # said when it is written again
            if result.n_pixels:
                files = self._files.write_final(result)
                self._saved = files if self.state.is_complete else {}

    def _startup(self, place: BrokerPlace) -> StartupFile:
        plan, event = self.plan, self.plan.event
        return StartupFile(
            scan_id=plan.scan_id,
            gcdqp_packet=packet_to_json(event.frames),
            reco_name=plan.reco.name,
            reco_options=plan.request.reco_options,
            baseline_gcd_file=event.baseline_gcd,
            broker=place,
            event_version=event.version,
            event_type=event.event_type,
            is_real=plan.is_real,
        )

    def _make_loop(self, broker: Broker) -> ScanLoop:
        plan, settings = self.plan, self.plan.settings
        workers = WorkerRegistry(settings.SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS, time.monotonic())
        self._reporter.start(self.state, workers)
        return ScanLoop(
            state=self.state,
            tasks=TaskMaker(scan_id=plan.scan_id, reco=plan.reco, event=plan.event),
            broker=broker,
            scan_id=plan.scan_id,
            workers=workers,
            alarms=[
                Alarm(self._reporter.interval_s, self._reporter.report),
                Alarm(settings.SKYSCAN_RESULT_INTERVAL_SEC, self._write_partial),
            ],
            level_done=self._reporter.level_done,
        )

    async def _part_from_clients(self, loop: ScanLoop, reason: str) -> None:
        """Tell the clients of the end and wait a little for them to leave."""
        mark_as_over(self.plan.request.client_startup_json, self.plan.scan_id)
        with contextlib.suppress(BrokerError):
            await loop.broadcast_end(reason)
        farewells = [loop.wait_for_byes()]
        if self._companion is not None:
            farewells.append(self._companion.stop())
        for failure in await asyncio.gather(*farewells, return_exceptions=True):
            if isinstance(failure, Exception):
                logger.warning("while parting from the clients: %s", failure)

    def _write_partial(self) -> None:
        result = self._files.result_of(self.state.nsides_dict(), is_complete=False)
        self._files.write_partial(result, self._manifest_of(result))

    def _manifest_of(
        self,
        result: SkyScanResult,
        *,
        end: str = "",
        region: RegionSummary | None = None,
        files: Mapping[str, Path] | None = None,
    ) -> ScanManifest:
        return make_manifest(
            self.plan,
            self.state,
            result,
            times=self._times(),
            end=end,
            region=region,
            files=files,
        )

    def _times(self) -> dict[str, float]:
        return {
            "wall_s": time.monotonic() - self._started_s,
            "cpu_s": _cpu_seconds(),
            "fit_s": self._loop.fit_seconds if self._loop is not None else 0.0,
        }

    def _conclude(self, error: SkymapScannerError | None) -> Outcome:
        """Write the files, whatever the end was."""
        result = self._files.result_of(self.state.nsides_dict(), is_complete=error is None)
        times = self._times()
        files: dict[str, Path] = {}
        region: RegionSummary | None = None
        try:
            if result.n_pixels:
                files = dict(self._saved) or self._files.write_final(result)
                region = region_summary(result)
            # A scan that came to nothing leaves alone what is there.
            if self._loop is not None and (result.n_pixels or not self._files.has_complete_map()):
                files["manifest"] = self.plan.folders.manifest
                self._manifest_of(
                    result, end=str(error or "complete"), region=region, files=files
                ).write(self.plan.folders.output)
        except SkymapScannerError as lost:
            if error is not None:
                logger.warning("%s", lost)
            error = error or lost
        return Outcome(
            result=result,
            region=region,
            n_failed=len(self.state.failed_pixels()),
            files=files,
            error=error,
            times=times,
        )

    def conclude_again(self, outcome: Outcome, more_files: Mapping[str, Path]) -> Outcome:
        """Return the outcome with files that were made of it, and record them in the manifest.

        Raises
        ------
        OutputError
            When the manifest cannot be written.
        """
        files = {**outcome.files, **more_files}
        self._manifest_of(outcome.result, end="complete", region=outcome.region, files=files).write(
            self.plan.folders.output
        )
        return replace(outcome, files=files, times=self._times())


def _cpu_seconds() -> float:
    """Return the processor time of this process and of those it has started and waited for [s]."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
