"""Does more work give another map? Scans of a cone by a millipede as it is, and with more work.

    python benchmarks/least_work.py EVENT ... --around RA,DEC,RADIUS ... [--reco-algo NAME]

Compared with the defaults: the effort of the finest pixels at all resolutions (`fine everywhere`),
and the classic seven vertex seeds per pixel (`classic seeds`, millipede_original alone). All is
done in this process by the decisions of a real scan. The finest pixels that both maps have and
whose TS is below 30 are compared one by one.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.calibration.cone_scan import ConeScanner
from skymap_scanner.event import read_event
from skymap_scanner.recos import make_reco
from skymap_scanner.result import EventMetadata, from_nsides_dict
from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import find_regions
from skymap_scanner.sky.healpix import angular_distance
from skymap_scanner.sky.progression import DEFAULT_PROGRESSION
from skymap_scanner.sky.region import Cone
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.event import Event
    from skymap_scanner.result import SkyScanResult

#: Pixels beyond this TS are in no region of interest.
_TS: Final = 30.0
_FINEST: Final = DEFAULT_PROGRESSION.nsides[-1]


@dataclass(frozen=True, slots=True)
class Scanned:
    """A map, and what it cost.

    Attributes
    ----------
    name : str
        How it was made.
    result : SkyScanResult
        The map.
    cpu_s : float
        Processor time [s].
    """

    name: str
    result: SkyScanResult
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Scan, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("events", nargs="+", type=Path, metavar="EVENT")
    parser.add_argument("--reco-algo", default="millipede_original")
    parser.add_argument(
        "--around", required=True, nargs="+", metavar="RA,DEC,RADIUS", help="one per event [deg]"
    )
    arguments = parser.parse_args(argv)
    if len(arguments.events) != len(arguments.around):
        parser.error("as many cones as events, please")
    for path, around in zip(arguments.events, arguments.around, strict=True):
        event = read_event(path)
        cone = Cone(*(float(part) * DEG for part in around.split(",")))
        print(f"{event.name}, {arguments.reco_algo}, around {around}", flush=True)
        default: Scanned | None = None
        for name in names_of(arguments.reco_algo):
            scanned = scan(event, arguments.reco_algo, cone, name)
            default = default or scanned
            print(f"  {line(scanned, default)}", flush=True)
    return 0


def names_of(reco_algo: str) -> list[str]:
    """Return the ways to scan, the default first."""
    names = ["default", "fine everywhere"]
    return [*names, "classic seeds"] if reco_algo == "millipede_original" else names


def scan(event: Event, reco_algo: str, cone: Cone, name: str) -> Scanned:
    """Scan a cone in one of the ways of `names_of`."""
    reco: Any = make_reco(reco_algo, {"variations": "classic"} if name == "classic seeds" else {})
    if name == "fine everywhere":
        finest = reco.effort(_FINEST)
        reco.effort = lambda _nside: finest
    reco.warm_up()
    begin = time.process_time()
    state = ConeScanner(reco, event, DEFAULT_PROGRESSION).scan(cone)
    cpu_s = time.process_time() - begin
    metadata = EventMetadata(0, 0, None, event.mjd, is_real_event=False)
    return Scanned(name, from_nsides_dict(state.nsides_dict(), True, metadata), cpu_s)


def line(scanned: Scanned, default: Scanned) -> str:
    """Say what a map is like, and how it differs from that of the defaults."""
    ra, dec = scanned.result.best_dir
    there = default.result.best_dir
    separation = float(angular_distance(ra, dec, *there)) / DEG
    area = find_regions(scanned.result, WILKS).area(0.9) / DEG**2
    text = (
        f"{scanned.name:16s} {scanned.cpu_s:6.0f} CPU s, best {ra / DEG:.2f} {dec / DEG:+.2f} "
        f"({separation:.2f} deg off), llh {scanned.result.min_llh:.2f}, "
        f"90 % by Wilks {area:.2f} deg^2"
    )
    if scanned is default:
        return text
    ours, theirs = (one.result.get_results_per_nside(_FINEST) for one in (default, scanned))
    _, a, b = np.intersect1d(ours["index"], theirs["index"], return_indices=True)
    above = [x["llh"] - one.result.min_llh for x, one in ((ours[a], default), (theirs[b], scanned))]
    is_near = 2.0 * above[0] < _TS
    difference = (above[1] - above[0])[is_near]
    return (
        f"{text}; llh above the minimum over that of the defaults in {is_near.sum()} pixels: "
        f"median {np.median(difference):+.2f}, rms about it {difference.std():.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
