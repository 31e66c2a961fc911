from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.cli.display import LiveReporter, SilentReporter, choose_reporter
from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.scan.messages import WorkerHello
from skymap_scanner.scan.state import FitReceived, ScanStarted, ScanState
from skymap_scanner.server.reports import LineReporter
from skymap_scanner.server.workers import WorkerRegistry
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from skymap_scanner.server.reports import Reporter


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def fit(nll: float) -> Fit:
    return Fit(FitStatus.OK, "", nll, (0.0, 0.0, 0.0), 0.0, 1.0, 1.0, 1.0, 1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run_a_little(reporter: Reporter, clock: Clock) -> None:
    """Scan twelve pixels, two of them without a fit, one in half a second."""
    state = ScanState(NSideProgression.parse(["1:0"]), 1, max_failed_fraction=1.0)
    workers = WorkerRegistry(100.0, 0.0)
    reporter.start(state, workers)
    state.handle(ScanStarted())
    workers.hello(WorkerHello("scan", "w", "h", 1, 3, "0"), 0.0)
    for ipix in range(12):
        clock.now_s += 0.5
        state.handle(FitReceived((1, ipix, 0), fit(5.0 - ipix) if ipix < 10 else Fit.failed("x")))
        if ipix == 5:
            reporter.report()
    reporter.level_done(1)
    reporter.say("hello")
    reporter.stop()


def test_lines_say_how_far_how_fast_and_where(clock: Clock) -> None:
    lines: list[str] = []
    run_a_little(LineReporter(lines.append, interval_s=60.0, clock=clock), clock)
    progress, level, said = lines
    assert progress.startswith(
        "50 % of about 12 fits; nside 1: 6/12; 2/s with 3 workers; about 3 s"
    )
    assert "best so far RA 90.00 Dec +0.00 deg (llh 0.00)" in progress
    assert level.startswith("nside 1: 12 pixels collected (2 without a fit), best so far")
    assert said == "hello"


def test_live_display_shows_the_same_on_a_terminal(clock: Clock) -> None:
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    run_a_little(LiveReporter(console, clock=clock), clock)
    shown = screen.getvalue()
    for words in (
        "nside 1",
        "6/12 pixels",
        "12/12 pixels",
        "2 without a fit",
        "3 workers",
        "hello",
    ):
        assert words in shown


def test_the_last_picture_says_what_it_came_to(clock: Clock) -> None:
    from rich.console import Console

    screen = io.StringIO()
    run_a_little(LiveReporter(Console(file=screen, force_terminal=True), clock=clock), clock)
    _, _, last = screen.getvalue().rpartition("12/12 pixels")
    assert "12 fits in 6 s" in last
    assert "worker" not in last
    assert "left" not in last


def test_a_path_is_not_broken_on_a_narrow_terminal(clock: Clock) -> None:
    from rich.console import Console

    screen = io.StringIO()
    line = "npz: /somewhere/run00127907.evt000020178442.HESE_8_64_512.npz"
    LiveReporter(Console(file=screen, width=30), clock=clock).say(line)
    assert screen.getvalue() == f"{line}\n"


@pytest.mark.parametrize("kind", ["line", "live", "silent"])
def test_a_reporter_may_be_stopped_before_it_started(kind: str, clock: Clock) -> None:
    from rich.console import Console

    reporters: dict[str, Reporter] = {
        "line": LineReporter(print, interval_s=1.0, clock=clock),
        "live": LiveReporter(Console(file=io.StringIO()), clock=clock),
        "silent": SilentReporter(),
    }
    reporters[kind].say("compiling")
    reporters[kind].stop()


def test_a_file_gets_lines_and_quiet_gets_nothing() -> None:
    reporter, _ = choose_reporter(quiet=False, interval_s=7.0)
    assert isinstance(reporter, LineReporter)
    assert reporter.interval_s == 7.0
    assert isinstance(choose_reporter(quiet=True, interval_s=7.0)[0], SilentReporter)


def test_log_lines_stand_above_the_live_display(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    reporter, log_stream = choose_reporter(quiet=False, interval_s=7.0)
    assert isinstance(reporter, LiveReporter)
    log_stream.write("WARNING [not markup] something\n")
    assert "WARNING [not markup] something\n" in screen.getvalue()
