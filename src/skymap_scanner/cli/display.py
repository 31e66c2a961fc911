"""The live display of a scan on a terminal, and what stands in for it elsewhere."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO, cast

from skymap_scanner.scan.progress import RateMeter, take_progress
from skymap_scanner.server.reports import (
    LineReporter,
    best_direction,
    show_duration,
    show_workers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from skymap_scanner.scan.progress import LevelProgress, Progress
    from skymap_scanner.scan.state import ScanState
    from skymap_scanner.server.reports import Reporter
    from skymap_scanner.server.workers import WorkerRegistry

__all__ = ["LiveReporter", "SilentReporter", "choose_reporter"]

#: Pause between two pictures of the live display [s].
_LIVE_INTERVAL_S: Final = 0.5
#: Width of a level's bar [characters].
_BAR_WIDTH: Final = 30


def choose_reporter(*, quiet: bool, interval_s: float) -> tuple[Reporter, TextIO]:
    """Return the reporter that suits where stderr goes, and where log lines go beside it."""
    if quiet:
        return SilentReporter(), sys.stderr
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        return LiveReporter(console), cast("TextIO", _ConsoleStream(console))
    return LineReporter(_to_stderr, interval_s=interval_s), sys.stderr


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class SilentReporter:
    """Shows nothing."""

    interval_s: float = 3600.0

    def start(self, state: ScanState, workers: WorkerRegistry) -> None:
        """Do nothing."""

    def report(self) -> None:
        """Do nothing."""

    def level_done(self, nside: int) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class LiveReporter:
    """Draws bars that grow: pixels done per nside, rate, best fit so far, time left.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    clock : callable
        Monotonic seconds.
    """

    interval_s: float = _LIVE_INTERVAL_S

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.live import Live

        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._state: ScanState | None = None
        self._workers: WorkerRegistry | None = None
        self._meter = RateMeter(clock())

    def start(self, state: ScanState, workers: WorkerRegistry) -> None:
        """Draw the first picture."""
        self._state, self._workers = state, workers
        self._meter = RateMeter(self._clock())
        self._live.start()
        self.report()

    def report(self) -> None:
        """Draw the picture anew."""
        if self._state is not None and self._workers is not None:
            now_s = self._clock()
            progress = take_progress(self._state, self._meter, now_s)
            speed = _speed(progress, self._workers.n_processes(now_s))
            self._live.update(draw(progress, speed), refresh=True)

    def level_done(self, nside: int) -> None:
        """Draw the picture anew; the full bar says it."""
        del nside
        self.report()

    def say(self, line: str) -> None:
        """Write a line above the picture."""
        # a path stays in one piece, however narrow the terminal
        self._console.print(line, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Draw what it came to, and leave that picture where it is."""
        if self._live.is_started:
            if self._state is not None:
                progress = take_progress(self._state, self._meter, self._clock())
                total = f"{progress.n_done} fits in {show_duration(progress.elapsed_s)}"
                self._live.update(draw(progress, total), refresh=True)
            self._live.stop()


def draw(progress: Progress, speed: str) -> RenderableType:
    """Return the picture of a scan's progress for a terminal; `speed` is a line in it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for level in progress.levels:
        table.add_row(
            f"nside {level.nside}",
            _bar(level),
            f"{level.n_done}/{level.n_sent or level.n_expected} pixels",
            f"{level.n_failed} without a fit" if level.n_failed else "",
        )
    return Group(table, Text(speed), Text(best_direction(progress) or "no fit yet"))


def _speed(progress: Progress, n_processes: int) -> str:
    left = (
        ""
        if progress.time_left_s is None
        else f", about {show_duration(progress.time_left_s)} left"
    )
    return (
        f"{progress.rate:.3g} fits/s with {show_workers(n_processes)}, "
        f"{show_duration(progress.elapsed_s)} so far{left}"
    )


def _bar(level: LevelProgress) -> RenderableType:
    from rich.progress_bar import ProgressBar

    total = max(level.n_sent or level.n_expected, 1)
    return ProgressBar(total=total, completed=level.n_done, width=_BAR_WIDTH)


class _ConsoleStream(io.TextIOBase):
    """A text file whose lines appear above the live picture instead of in it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        """Show the lines of `text`."""
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, soft_wrap=True)
        return len(text)
