"""Simulate tracks or cascades and write them as real events come, with their truth beside them.

Stochastic losses of muons are drawn one by one; the photomultipliers' response has late pulses,
afterpulses, noise and saturation; local coincidence, trigger and readout are those of the detector.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from skymap_scanner.cli.simulate_options import plan_from, simulate_parser
from skymap_scanner.server.exits import run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from skymap_scanner.simulation.series import EventFile

__all__ = ["main", "parser"]

#: Seconds between progress lines where stderr is no terminal.
_LINE_EVERY_S = 10.0


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner simulate``."""
    return simulate_parser(__doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, write, say what was written; return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _simulate(arguments), debug=arguments.debug)


def _simulate(arguments: argparse.Namespace) -> int:
    from skymap_scanner.event.detector import built_in_detector
    from skymap_scanner.server.folders import make_folder
    from skymap_scanner.simulation.frames import EventNames
    from skymap_scanner.simulation.light import load_light
    from skymap_scanner.simulation.series import EventSeries

    series = EventSeries(
        plan=plan_from(arguments),
        path=arguments.output,
        n_events=arguments.n_events,
        first=EventNames(arguments.run_id, arguments.event_id, arguments.mjd),
        overwrites=arguments.overwrite,
    )
    light = load_light(arguments.light, arguments.ice)
    series.prepare()
    make_folder(arguments.output.absolute().parent, option="--output")
    progress = _Progress(arguments.n_events)
    truths: list[dict[str, Any]] = []
    for made in series.make(built_in_detector(), light):
        if arguments.json:
            truths.append(made.truth)
        else:
            print(_line(made), flush=True)
        progress.show(made)
    if arguments.json:
        print(json.dumps(truths[0] if arguments.n_events == 1 else truths))
    return 0


def _line(made: EventFile) -> str:
    size = made.truth["size"]
    return (
        f"{made.path}: {size['n_doms']} modules, {size['n_pulses']} pulses, "
        f"{size['charge_pe']:.1f} PE; truth RA {made.truth['ra_deg']:.3f} deg, "
        f"Dec {made.truth['dec_deg']:+.3f} deg{' (kept)' if made.is_kept else ''}"
    )


class _Progress:
    """How far several events are, on stderr: one changing line on a terminal, else now and then."""

    def __init__(self, n_events: int) -> None:
        self._n_events = n_events
        self._n_done = self._n_kept = 0
        self._start = self._shown = time.monotonic()

    def show(self, made: EventFile) -> None:
        """Count an event."""
        self._n_done += 1
        self._n_kept += made.is_kept
        now = time.monotonic()
        is_last = self._n_done == self._n_events
        is_terminal = sys.stderr.isatty()
        if self._n_events == 1 or not (is_terminal or is_last or now - self._shown > _LINE_EVERY_S):
            return
        self._shown = now
        n_made = self._n_done - self._n_kept
        each = (now - self._start) / max(n_made, 1)
        left = each * (self._n_events - self._n_done)
        text = f"{self._n_done} of {self._n_events} events ({self._n_kept} kept), "
        text += f"{each:.2f} s each, {left:.0f} s left"
        end = "\n" if is_last or not is_terminal else ""
        print(f"\r{text}\033[K" if is_terminal else text, end=end, file=sys.stderr, flush=True)
