"""Sizes of one pixel on its way, on the wire and in memory (docs/reference/data-types.md).

Run: ``python benchmarks/data_sizes.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from skymap_scanner.event import equatorial_to_detector, read_event
from skymap_scanner.pixels import PIXEL_DTYPE, SentPixelVariation
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.scan.messages import Task, TaskDone, encode
from skymap_scanner.sky.healpix import pixel_centers

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "simulated_track.json"


def main() -> int:
    """Print the sizes of the messages of 100 pixels of the example event."""
    event = read_event(EXAMPLE)
    reco = make_reco("splinempe", {})
    prepared = reco.prepare(event)
    ipix = np.linspace(0, 12 * 512**2 - 1, 100).astype(np.int64)
    zenith, azimuth = equatorial_to_detector(*pixel_centers(512, ipix), event.mjd)
    parents = np.tile([10.5, -20.25, 30.125, 11_000.0, np.nan], (len(ipix), 1))
    seeds = make_seeds(
        reco, event, nside=512, level=2, zenith=zenith, azimuth=azimuth, parents=parents
    )
    scan_id = f"{event.run_id}-{event.event_id}-8-64-512-1795340000-1a2b3c"
    keys = [(512, int(pixel), variation) for pixel in ipix for variation in range(len(seeds[0]))]
    flat = [seed for of_pixel in seeds for seed in of_pixel]
    tasks = [len(encode(Task(scan_id, key, 1, seed))) for key, seed in zip(keys, flat, strict=True)]
    fit = reco.fit(prepared, flat[0])
    done = encode(TaskDone(scan_id, keys[0], 1, fit, 0.0123, "worker-node-0123:45678"))
    print(f"task message      {np.mean(tasks):.0f} bytes on average, {max(tasks)} at most")
    print(f"result message    {len(done)} bytes")
    print(f"SentPixelVariation object  {sys.getsizeof(SentPixelVariation(512, 1, 0))} bytes")
    print(f"pixel in a table or file   {PIXEL_DTYPE.itemsize} bytes")
    print("per variation on the server's books: benchmarks/state_memory.py")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
