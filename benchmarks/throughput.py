"""How many pixel variations per second are carried, with a reconstruction that does nothing.

Two scans of different size are timed from outside, real processes and all; the difference of their
sizes over the difference of their times is the rate once everything runs.

    python benchmarks/throughput.py [--workers 2] [--nside 64]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

EVENT = Path(__file__).parents[1] / "examples" / "simulated_track.json"
#: What the project promises on two cores [variations per second].
TARGET = 2000.0


def scan_idle(nside: int, workers: int) -> dict[str, float]:
    """Scan the whole sky with the idle reconstruction; return the figures of ``scan --json``."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable, "-m", "skymap_scanner.cli", "scan", str(EVENT),
                "--reco-algo", "dummy",
                "--reco-option", "sleep_min_s=0", "--reco-option", "sleep_max_s=0",
                "--nsides", f"{nside}:0", "--workers", str(workers), "--output-dir", folder,
                "--no-plots", "--quiet", "--json",
            ],
            check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(nside: int, workers: int) -> dict[str, float]:
    """Return rates [variations per second] and processor time per variation [s]."""
    small, large = scan_idle(max(1, nside // 4), workers), scan_idle(nside, workers)
    n_more = large["n_pixels"] - small["n_pixels"]
    return {
        "n_variations": large["n_pixels"],
        "rate_with_start": large["n_pixels"] / large["wall_s"],
        "rate": n_more / (large["wall_s"] - small["wall_s"]),
        "cpu_per_variation": (large["cpu_s"] - small["cpu_s"]) / n_more,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and return 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--nside", type=int, default=64, help="size, 12 nside^2 (default: 64)")
    arguments = parser.parse_args(argv)
    figures = measure(arguments.nside, arguments.workers)
    print(f"variations                  {figures['n_variations']:10.0f}")
    print(f"rate                        {figures['rate']:10.0f} /s (target {TARGET:.0f})")
    print(f"rate with start and files   {figures['rate_with_start']:10.0f} /s")
    print(f"processor time              {1e6 * figures['cpu_per_variation']:10.0f} us/variation")
    return 0 if figures["rate"] >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
