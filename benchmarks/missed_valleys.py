"""How many fine pixels of a splinempe map miss a lower valley that a neighbour has found.

Every pixel of the finest nside near the best one is fitted again from the fits of the pixels around
it. Where that ends lower than what the map has, the scan has missed a valley.

    python benchmarks/missed_valleys.py EVENT RESULT.npz [--radius-deg 1.5]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.event import equatorial_to_detector, read_event
from skymap_scanner.pixels import Seed
from skymap_scanner.recos import make_reco
from skymap_scanner.sky.healpix import angular_distance, pixel_area, pixel_centers
from skymap_scanner.utils.scan_result import SkyScanResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.units import FloatArray


def find_missed(event_file: Path, result_file: Path, radius_deg: float) -> FloatArray:
    """Return, per pixel near the best one, what the map has and what its neighbours lead to.

    Returns
    -------
    ndarray, shape (n, 2)
        Negative log-likelihoods above that of the best pixel.
    """
    event = read_event(event_file)
    reco = make_reco("splinempe")
    prepared = reco.prepare(event)
    result = SkyScanResult.read_npz(result_file)
    nside = max(result.nsides)
    pixels: Any = result.get_results_per_nside(nside)
    ra, dec = pixel_centers(nside, pixels["index"])
    best = int(np.argmin(pixels["llh"]))
    distance = angular_distance(ra, dec, ra[best], dec[best])
    zenith, azimuth = equatorial_to_detector(ra, dec, event.mjd)
    reach = 1.6 * np.sqrt(pixel_area(nside))  # the eight pixels around one
    rows = []
    for row in np.flatnonzero(distance < np.radians(radius_deg)):
        away = angular_distance(ra, dec, ra[row], dec[row])
        lowest = pixels["llh"][row]
        for neighbour in pixels[(away < reach) & (away > 0)]:
            vertex = tuple(float(neighbour[name]) for name in ("X", "Y", "Z"))
            seed = Seed(
                nside, 2, float(zenith[row]), float(azimuth[row]), vertex,  # type: ignore[arg-type]  # three
                float(neighbour["T"]), float("nan"),
            )  # fmt: skip
            lowest = min(lowest, reco.fit(prepared, seed).nll)
        rows.append((pixels["llh"][row], lowest))
    return np.array(rows) - float(pixels["llh"][best])


def main(argv: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("event", type=Path, help="event file")
    parser.add_argument("result", type=Path, help="splinempe map of it (.npz)")
    parser.add_argument("--radius-deg", type=float, default=1.5, help="around the best pixel")
    arguments = parser.parse_args(argv)
    found, possible = find_missed(arguments.event, arguments.result, arguments.radius_deg).T
    for limit in (0.1, 1.0):
        is_missed = found - possible > limit
        print(
            f"{np.count_nonzero(is_missed)} of {len(found)} pixels are too high by more than "
            f"{limit:g}, {np.count_nonzero(is_missed & (possible < 3.0))} of them belong within 3 "
            "of the minimum"
        )


if __name__ == "__main__":
    main()
