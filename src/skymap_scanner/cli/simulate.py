"""Simulate tracks or cascades and write them as real events come, with their truth beside them.

Stochastic losses of muons are drawn one by one; the photomultipliers' response has late pulses,
afterpulses, noise and saturation; local coincidence, trigger and readout are those of the detector.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skymap_scanner.cli.progress_line import ProgressLine
from skymap_scanner.cli.simulate_options import plan_from, simulate_parser
from skymap_scanner.server.exits import run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from skymap_scanner.simulation.series import EventFile

__all__ = ["main", "parser"]


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
        light=load_light(arguments.light, arguments.ice),
        path=arguments.output,
        n_events=arguments.n_events,
        first=EventNames(arguments.run_id, arguments.event_id, arguments.mjd),
        overwrites=arguments.overwrite,
    )
    series.prepare()
    make_folder(arguments.output.absolute().parent, option="--output")
    progress, n_kept = ProgressLine(), 0
    truths: list[dict[str, Any]] = []
    for n_done, made in enumerate(series.make(built_in_detector()), start=1):
        if arguments.json:
            truths.append(made.truth)
        else:
            print(_line(made), flush=True)
        n_kept += made.is_kept
        if arguments.n_events > 1:
            progress("events", n_done, arguments.n_events, f"{n_kept} kept")
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
