"""How much memory and time the scan state takes for a million pixel variations.

For one and for seven variations per pixel: bytes that the state has grown by per variation that was
sent and received (traced allocations, story of the failures included), the highest use while the
next round was chosen, CPU time per result, and CPU time to choose the next round.

    python benchmarks/state_memory.py [--variations N] [--check]

With ``--check`` it ends with 1 when a variation takes more than 150 bytes.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from dataclasses import dataclass

import numpy as np

from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.scan.state import FitReceived, ScanStarted, ScanState, SendPixels
from skymap_scanner.sky.healpix import angular_distance, n_pixels, pixel_centers
from skymap_scanner.sky.progression import NSideProgression

LIMIT = 150.0  # bytes per variation that was sent and received
FAILED_FRACTION = 0.01  # of the variations


@dataclass
class Figures:
    """What one scan cost."""

    n_variations: int = 0
    kept: float = 0.0  # bytes per variation, at the end
    peak: float = 0.0  # bytes per variation, at the highest while a round was chosen
    handle_us: float = 0.0  # per result
    rounds_s: float = 0.0  # longest choice of the next round


def first_nside(n_variations: int, per_pixel: int) -> int:
    """Return the nside whose whole sky has about so many variations, or up to thrice as many."""
    nside = 1
    while n_pixels(nside) * per_pixel < 0.75 * n_variations:
        nside *= 2
    return nside


def deliver(state: ScanState, send: SendPixels, rng: np.random.Generator) -> Figures:
    """Answer everything that was sent but one variation, in random order; return the time taken."""
    per_pixel = state.n_variations
    nll = 1000.0 * angular_distance(*pixel_centers(send.nside, send.ipix), 1.0, 0.5)
    order = rng.permutation(len(nll) * per_pixel)[:-1]
    failed = rng.random(len(order)) < FAILED_FRACTION
    started = time.process_time()
    for task, is_failed in zip(order.tolist(), failed.tolist(), strict=True):
        pixel, variation = divmod(task, per_pixel)
        value = float(nll[pixel]) + variation
        fit = Fit(FitStatus.OK, "", value, (value, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)
        key = (send.nside, int(send.ipix[pixel]), variation)
        state.handle(FitReceived(key, Fit.failed("no light") if is_failed else fit))
    elapsed_us = 1e6 * (time.process_time() - started)
    return Figures(n_variations=len(order), handle_us=elapsed_us / max(len(order), 1))


def last_task(state: ScanState, send: SendPixels) -> FitReceived:
    """Make the one answer that `deliver` left out, which ends the round."""
    for ipix in map(int, send.ipix):  # a list of all would count as memory of the state
        for variation in range(state.n_variations):
            if not state.has_outcome((send.nside, ipix, variation)):
                fit = Fit(FitStatus.OK, "", 900.0, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)
                return FitReceived((send.nside, ipix, variation), fit)
    raise AssertionError("nothing was left out")


def scan(n_variations: int, per_pixel: int) -> Figures:
    """Scan until nothing is left to do and return the figures."""
    nside = first_nside(n_variations, per_pixel)
    progression = NSideProgression.parse([f"{nside}:0", f"{4 * nside}:12", f"{16 * nside}:24"])
    rng = np.random.default_rng(1)
    figures = Figures()
    pixel_centers(1, [0])  # the first call loads astropy, which is not a cost of the state
    before = tracemalloc.get_traced_memory()[0]
    state = ScanState(progression, per_pixel, max_failed_fraction=0.5)
    instructions = state.handle(ScanStarted())
    while sends := [send for send in instructions if isinstance(send, SendPixels)]:
        instructions = []
        for send in sends:
            done = deliver(state, send, rng)
            if done.n_variations > figures.n_variations:
                figures.n_variations, figures.handle_us = done.n_variations, done.handle_us
        last_answers = [last_task(state, send) for send in sends]
        tracemalloc.reset_peak()
        started = time.process_time()
        for answer in last_answers:
            instructions += state.handle(answer)
        figures.rounds_s = max(figures.rounds_s, time.process_time() - started)
        peak = (tracemalloc.get_traced_memory()[1] - before) / state.n_sent
        figures.peak = max(figures.peak, peak)
        del sends, send, last_answers
    figures.kept = (tracemalloc.get_traced_memory()[0] - before) / state.n_done
    figures.n_variations = state.n_done
    state.check_invariants()
    return figures


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--variations", type=int, default=1_000_000, help="about how many [count]")
    parser.add_argument("--check", action="store_true", help="end with 1 above the limit")
    arguments = parser.parse_args(argv)
    worst = 0.0
    for per_pixel in (1, 7):
        timed = scan(arguments.variations, per_pixel)
        tracemalloc.start()
        traced = scan(arguments.variations, per_pixel)
        tracemalloc.stop()
        worst = max(worst, traced.kept, traced.peak)
        print(
            f"{per_pixel} per pixel, {traced.n_variations} variations: "
            f"{traced.kept:.1f} bytes kept and {traced.peak:.1f} at the peak per variation, "
            f"{timed.handle_us:.1f} us per result, next round chosen in {timed.rounds_s:.3f} s"
        )
    print(f"limit: {LIMIT:.0f} bytes per variation")
    return int(arguments.check and worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
