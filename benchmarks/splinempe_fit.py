"""How long splinempe takes per fit and how near its best fits are, without server and queue.

Scans events in this process with the default progression and prints, per level, the number of fits,
milliseconds and likelihood evaluations per fit, then the best fit. With ``--published`` a CSV of
published directions (columns name, source, ra_deg, dec_deg) adds the distances to them.

    python benchmarks/splinempe_fit.py EVENT [EVENT ...] [--published FILE] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.event import equatorial_to_detector, read_event
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.scan.events import FitReceived, Instruction, ScanStarted, SendPixels
from skymap_scanner.scan.state import ScanState
from skymap_scanner.sky.healpix import angular_distance, pixel_centers
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.recos import RecoInterface

DEFAULT_NSIDES = ("8:0", "64:12", "512:24")


class InProcessScan:
    """A scan whose tasks are done at once, one after the other.

    Parameters
    ----------
    event : Event
        What to scan.
    reco : RecoInterface
        With what.
    nsides : sequence of str
        Progression.
    """

    def __init__(self, event: Event, reco: RecoInterface, nsides: tuple[str, ...]) -> None:
        self._event = event
        self._reco = reco
        self._prepared = reco.prepare(event)
        self.state = ScanState(NSideProgression.parse(nsides), len(reco.get_vertex_variations()))
        self.n_fits: Counter[int] = Counter()
        self.n_evaluations: Counter[int] = Counter()
        self.cpu_s: defaultdict[int, float] = defaultdict(float)

    def run(self) -> None:
        """Scan to the end."""
        todo: deque[Instruction] = deque(self.state.handle(ScanStarted()))
        while todo:
            instruction = todo.popleft()
            if isinstance(instruction, SendPixels):
                todo.extend(self._do(instruction))

    def _do(self, pixels: SendPixels) -> list[Instruction]:
        ra, dec = pixel_centers(pixels.nside, pixels.ipix)
        zenith, azimuth = equatorial_to_detector(ra, dec, self._event.mjd)
        seeds = make_seeds(
            self._reco,
            self._event,
            nside=pixels.nside,
            level=pixels.level,
            zenith=zenith,
            azimuth=azimuth,
            parents=pixels.parents,
        )
        started = time.process_time()
        fits = [[self._reco.fit(self._prepared, seed) for seed in row] for row in seeds]
        self.cpu_s[pixels.nside] += time.process_time() - started
        answers: list[Instruction] = []
        for ipix, row in zip(pixels.ipix.tolist(), fits, strict=True):
            for variation, fit in enumerate(row):
                self.n_fits[pixels.nside] += 1
                self.n_evaluations[pixels.nside] += fit.n_evaluations
                key = (pixels.nside, ipix, variation)
                answers += self.state.handle(FitReceived(key, fit))
        return answers


def measure(path: Path, reco: RecoInterface, nsides: tuple[str, ...]) -> dict[str, Any]:
    """Scan one event and return the figures."""
    event = read_event(path)
    scan = InProcessScan(event, reco, nsides)
    scan.run()
    best = scan.state.best
    if best is None:
        raise SystemExit(f"{path}: no fit at all")
    nside, ipix, nll = best
    ra, dec = pixel_centers(nside, np.array([ipix]))
    levels = {
        str(n): {
            "n_fits": scan.n_fits[n],
            "ms_per_fit": round(1e3 * scan.cpu_s[n] / scan.n_fits[n], 3),
            "evaluations_per_fit": round(scan.n_evaluations[n] / scan.n_fits[n], 1),
        }
        for n in scan.n_fits
    }
    return {
        "event": path.name,
        "levels": levels,
        "cpu_s": round(sum(scan.cpu_s.values()), 2),
        "ra_deg": round(float(np.degrees(ra[0])), 3),
        "dec_deg": round(float(np.degrees(dec[0])), 3),
        "nll": round(nll, 3),
    }


def distances(figures: dict[str, Any], published: Path) -> dict[str, float]:
    """Return the distance from the best fit to each published direction of the event [deg]."""
    lines = [line for line in published.read_text().splitlines() if not line.startswith("#")]
    here = np.radians([figures["ra_deg"], figures["dec_deg"]])
    found = {}
    for row in csv.DictReader(lines):
        if figures["event"].startswith(row["name"]):
            there = np.radians([float(row["ra_deg"]), float(row["dec_deg"])])
            separation = angular_distance(here[0], here[1], there[0], there[1])
            found[row["source"]] = round(float(np.degrees(separation)), 3)
    return found


def main() -> None:
    """Scan and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=Path, nargs="+", metavar="EVENT", help="event files")
    parser.add_argument("--published", type=Path, help="CSV of published directions")
    parser.add_argument("--nsides", nargs="+", default=DEFAULT_NSIDES, help="progression")
    parser.add_argument("--reco-option", action="append", default=[], metavar="K=V")
    parser.add_argument("--json", action="store_true", help="one JSON object per event")
    arguments = parser.parse_args()
    options = dict(option.split("=", 1) for option in arguments.reco_option)
    reco = make_reco("splinempe", options)
    reco.warm_up()
    for path in arguments.events:
        figures = measure(path, reco, tuple(arguments.nsides))
        if arguments.published:
            figures["distance_deg"] = distances(figures, arguments.published)
        if arguments.json:
            print(json.dumps(figures))
            continue
        print(f"{figures['event']}: {figures['cpu_s']} s of CPU in fits")
        for nside, level in figures["levels"].items():
            print(f"  nside {nside:>4}: " + ", ".join(f"{k} {v}" for k, v in level.items()))
        print(f"  best fit ra {figures['ra_deg']}, dec {figures['dec_deg']}, llh {figures['nll']}")
        for source, separation in figures.get("distance_deg", {}).items():
            print(f"  {separation} deg from {source}")


if __name__ == "__main__":
    main()
