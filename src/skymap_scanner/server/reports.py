"""What a person waiting wants to know, as lines: how far the scan is, how fast, the best fit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from skymap_scanner.scan.progress import RateMeter, take_progress
from skymap_scanner.sky.healpix import pixel_centers
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.scan.progress import Progress
    from skymap_scanner.scan.state import ScanState
    from skymap_scanner.server.workers import WorkerRegistry

__all__ = [
    "LineReporter",
    "Reporter",
    "best_direction",
    "progress_line",
    "show_duration",
    "show_workers",
]


class Reporter(Protocol):
    """Told what happens in a scan; shows it to somebody."""

    @property
    def interval_s(self) -> float:
        """Pause between two calls of `report` [s]."""

    def start(self, state: ScanState, workers: WorkerRegistry) -> None:
        """Begin: the scan and its clients can be looked at from now on."""

    def report(self) -> None:
        """Show how far the scan is."""

    def level_done(self, nside: int) -> None:
        """Show that everything sent so far with this nside is collected."""

    def say(self, line: str) -> None:
        """Show something else."""

    def stop(self) -> None:
        """End; nothing is shown after it. Called in any case, also without `start`."""


class LineReporter:
    """Writes a line now and then.

    Parameters
    ----------
    write : callable
        Takes a line, for example a logger's ``info``.
    interval_s : float
        Pause between two lines of progress [s].
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._interval_s = interval_s
        self._clock = clock
        self._state: ScanState | None = None
        self._workers: WorkerRegistry | None = None
        self._meter = RateMeter(clock())

    @property
    def interval_s(self) -> float:
        """Pause between two lines [s]."""
        return self._interval_s

    def start(self, state: ScanState, workers: WorkerRegistry) -> None:
        """Begin to measure."""
        self._state, self._workers = state, workers
        self._meter = RateMeter(self._clock())

    def report(self) -> None:
        """Write a line of progress."""
        if self._state is not None and self._workers is not None:
            now_s = self._clock()
            progress = take_progress(self._state, self._meter, now_s)
            self._write(progress_line(progress, self._workers.n_processes(now_s)))

    def level_done(self, nside: int) -> None:
        """Write how many pixels of the level are collected, and the best fit so far."""
        if self._state is None:
            return
        progress = take_progress(self._state, self._meter, self._clock())
        level = next(level for level in progress.levels if level.nside == nside)
        failed = f" ({level.n_failed} without a fit)" if level.n_failed else ""
        best = best_direction(progress)
        self._write(
            f"nside {nside}: {level.n_done} pixels collected{failed}{', ' if best else ''}{best}"
        )

    def say(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def stop(self) -> None:
        """Write nothing."""


def progress_line(progress: Progress, n_processes: int) -> str:
    """Say in a line how far a scan is.

    Parameters
    ----------
    progress : Progress
        The figures.
    n_processes : int
        Reconstructing processes at work.
    """
    levels = ", ".join(
        f"nside {level.nside}: {level.n_done}/{level.n_sent or level.n_expected}"
        for level in progress.levels
    )
    parts = [
        f"{100 * progress.fraction:.0f} % of about {progress.n_expected} fits",
        levels,
        f"{progress.rate:.3g}/s with {show_workers(n_processes)}",
    ]
    if progress.time_left_s is not None:
        parts.append(f"about {show_duration(progress.time_left_s)} left")
    parts.append(best_direction(progress))
    return "; ".join(part for part in parts if part)


def show_workers(n_processes: int) -> str:
    """Say how many processes are at work.

    Examples
    --------
    >>> show_workers(0), show_workers(1), show_workers(8)
    ('no workers', '1 worker', '8 workers')
    """
    return f"{n_processes or 'no'} worker{'' if n_processes == 1 else 's'}"


def best_direction(progress: Progress) -> str:
    """Say where the best fit so far is; empty when there is none."""
    if progress.best is None:
        return ""
    nside, ipix, nll = progress.best
    ra, dec = pixel_centers(nside, [ipix])
    return f"best so far RA {ra[0] / DEG:.2f} Dec {dec[0] / DEG:+.2f} deg (llh {nll:.2f})"


def show_duration(seconds: float) -> str:
    """Write a duration as people say it.

    Examples
    --------
    >>> show_duration(42.3), show_duration(90), show_duration(7260)
    ('42 s', '1 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
