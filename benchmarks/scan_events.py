"""Default scans of event files: wall and processor time, best fit, areas; published values beside.

    python benchmarks/scan_events.py EVENT ... [--published published.csv] [--workers 0]

The first scan of a fresh checkout compiles kernels; scan one event before you measure. The table of
published values has columns name, run, event, source, ra_deg, dec_deg, ra_plus, ra_minus, dec_plus,
dec_minus (rectangle of 90 %, degrees).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: What the project promises for an alert track on two cores [s].
TARGET_S = 90.0


def scan(event: Path, output: Path, workers: int, more: list[str]) -> dict[str, Any]:
    """Scan one event with the command that users have; return its figures and the time outside."""
    begin = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable, "-m", "skymap_scanner.cli", "scan", str(event), "--json",
            "--output-dir", str(output), "--workers", str(workers), *more,
        ],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures | {"outside_s": time.perf_counter() - begin}


def identity(event: Path) -> tuple[str, str]:
    """Return run and event number of a file."""
    done = subprocess.run(
        [sys.executable, "-m", "skymap_scanner.cli", "info", str(event), "--json"],
        check=True,
        stdout=subprocess.PIPE,
    )
    about = json.loads(done.stdout)
    return str(about["run_id"]), str(about["event_id"])


def published_of(path: Path | None, event: Path) -> list[dict[str, str]]:
    """Return the rows of the table of published values for an event."""
    if path is None:
        return []
    run_id, event_id = identity(event)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [row for row in rows if (row.get("run"), row.get("event")) == (run_id, event_id)]


def distance_deg(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Return the angle between two directions [deg]."""
    a1, d1, a2, d2 = map(math.radians, (ra1, dec1, ra2, dec2))
    half = math.sin((d1 - d2) / 2) ** 2 + math.cos(d1) * math.cos(d2) * math.sin((a1 - a2) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def compare(figures: dict[str, Any], row: dict[str, str]) -> str:
    """Say how far a best fit is from a published one, and whether inside its rectangle."""
    ra, dec = float(row["ra_deg"]), float(row["dec_deg"])
    away = distance_deg(figures["ra_deg"], figures["dec_deg"], ra, dec)
    text = f"    {row['source']:10} RA {ra:8.3f} Dec {dec:+8.3f}  {away:6.2f} deg away"
    if row.get("ra_plus"):
        d_ra = (figures["ra_deg"] - ra + 180.0) % 360.0 - 180.0
        d_dec = figures["dec_deg"] - dec
        inside = -float(row["ra_minus"]) <= d_ra <= float(row["ra_plus"]) and -float(
            row["dec_minus"]
        ) <= d_dec <= float(row["dec_plus"])
        text += ", inside its 90 % rectangle" if inside else ", OUTSIDE its 90 % rectangle"
    return text


def main(argv: list[str] | None = None) -> int:
    """Scan, print, and return 1 when a scan took longer than promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("events", nargs="+", type=Path, metavar="EVENT")
    parser.add_argument("--published", type=Path, help="table of published values (default: none)")
    parser.add_argument("--output-dir", type=Path, default=Path("scan-output"))
    parser.add_argument("--workers", type=int, default=0, help="processes (default: 0, all cores)")
    arguments, more = parser.parse_known_args(argv)
    slowest = 0.0
    for event in arguments.events:
        figures = scan(event, arguments.output_dir, arguments.workers, more)
        slowest = max(slowest, figures["outside_s"])
        print(
            f"{event.name}: {figures['outside_s']:.1f} s wall, {figures['cpu_s']:.1f} s CPU, "
            f"RA {figures['ra_deg']:.3f} Dec {figures['dec_deg']:+.3f}, 90 % "
            f"{figures['area90_deg2']:.2f} deg^2, 50 % {figures['area50_deg2']:.2f} deg^2, "
            f"{figures['n_pixels']} pixels, {figures['n_failed']} failed"
        )
        for row in published_of(arguments.published, event):
            print(compare(figures, row))
    print(f"slowest {slowest:.1f} s (target {TARGET_S:.0f} s on two cores)")
    return 0 if slowest <= TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
