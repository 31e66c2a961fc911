"""How far off splinempe is on simulated through-going tracks, and how often its regions hold them.

    python benchmarks/track_resolution.py --tracks 120 --sample t.npz [--reco-option light=pandel]

The likelihood is minimised over the direction from two starts around the truth, each value being
a fit of the position and time of the track as a scan does it; no scan, so that a track takes
seconds. Muons are those of `track_sample.py`: 10 to 500 TeV, isotropic, in ice that differs from
that of the light model by what is not known of the real one (``--same-ice``: in the same).
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.pixels import Seed
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.likelihood.mpe import track_basis
from track_sample import Kind, SimulatedTrack, load_or_make

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: Starts around the truth [deg].
_STARTS: Final = ((0.0, 0.0), (0.8, -0.6))
#: Half and nine tenths of a chi-squared distribution with two degrees of freedom.
_LEVELS: Final = {0.5: 1.386, 0.9: 4.605}


class Likelihood:
    """The likelihood of a direction near the true one.

    Parameters
    ----------
    reco : SplineMPE
        Reconstruction.
    track : SimulatedTrack
        Event.
    """

    def __init__(self, reco: Any, track: SimulatedTrack) -> None:
        self._reco, self._track = reco, track
        self._prepared = reco.prepare_arrays(track.om_xyz, track.time, track.charge)
        self._basis = track_basis(track.direction)
        middle = self._prepared.reference - track.vertex
        along = float(middle @ track.direction)
        point = track.vertex + along * track.direction
        self._start = (*point.tolist(), track.vertex_time + along / 0.299792458)

    def __call__(self, offset: FloatArray) -> float:
        """Return the negative log-likelihood at an offset from the truth [deg]."""
        direction = self._track.direction + np.radians(offset) @ self._basis
        x, y, z = -direction / np.linalg.norm(direction)
        zenith, azimuth = math.acos(z), math.atan2(y, x) % (2.0 * math.pi)
        assert np.allclose(direction_vector(zenith, azimuth), (-x, -y, -z))
        seed = Seed(512, 2, zenith, azimuth, self._start[:3], self._start[3], math.nan)
        return float(self._reco.fit(self._prepared, seed).nll)

    def minimum(self) -> tuple[float, float]:
        """Return angle from the truth to the minimum [deg], and its depth below the truth."""
        ends = []
        for start in _STARTS:
            simplex = np.array(start) + np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])
            found = minimize(
                self.__call__,
                np.array(start),
                method="Nelder-Mead",
                options={"initial_simplex": simplex, "maxfev": 45, "xatol": 0.01, "fatol": 0.01},
            )
            ends.append(found)
        best = min(ends, key=lambda end: float(end.fun))
        return float(np.hypot(*best.x)), float(self(np.zeros(2)) - best.fun)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracks", type=int, default=120, help="muons")
    parser.add_argument("--sample", type=Path, required=True, help="where they are kept (.npz)")
    parser.add_argument("--same-ice", action="store_true", help="ice is that of the model")
    parser.add_argument("--reco-option", action="append", default=[], metavar="K=V")
    parser.add_argument("--seed", type=int, default=11, help="seed of all chance")
    arguments = parser.parse_args()
    kind = Kind(starting_share=0.0, energies=(1e4, 5e5), varies=not arguments.same_ice)
    tracks = load_or_make(arguments.sample, arguments.tracks, arguments.seed, kind)
    reco = make_reco("splinempe", dict(text.split("=", 1) for text in arguments.reco_option))
    reco.warm_up()
    begin = time.process_time()
    found = np.array([Likelihood(reco, track).minimum() for track in tracks])
    angle, depth = found.T
    print(f"{len(tracks)} tracks, {time.process_time() - begin:.0f} s of CPU")
    for quantile in (0.5, 0.68, 0.9):
        print(f"  {100 * quantile:.0f} % within {np.quantile(angle, quantile):.2f} deg")
    for level, limit in _LEVELS.items():
        print(f"  Wilks region of {100 * level:.0f} % holds {np.mean(2 * depth < limit):.0%}")


if __name__ == "__main__":
    main()
