r"""Fit jitter and softening of splinempe with the light model to simulated muons.

    python benchmarks/fit_track_light.py --tracks 1200 --sample tracks.npz

Made the defaults of `TrackConstants`. Muons of 5 TeV to 5 PeV, half of them starting in the
detector, are simulated with the light model in ice that differs in every event by what is not known
of the real ice (`track_sample.py`). At the true tracks the constants are those of the largest
likelihood on half of them; the other half tests them. The pull of first photons, the probability
:math:`S(t_1)^n` that none of n photons has come by then, should be even between 0 and 1: how far it
is from that is printed in bins of distance and charge.

No measured event takes part. About a second per muon for the simulation, ten minutes for the fit,
on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, astuple, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numba as nb
import numpy as np
from scipy.optimize import minimize

from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.track_light import (
    TrackPairs,
    emission_points,
    track_mixtures,
)
from skymap_scanner.recos.likelihood.log_logistic import load_log_logistic_table
from skymap_scanner.recos.likelihood.track_light import smeared
from skymap_scanner.recos.likelihood.track_model import (
    Noise,
    TrackConstants,
    brightness,
)
from skymap_scanner.units import LIGHT_SPEED
from track_sample import SimulatedTrack, load_or_make

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.recos.likelihood.pandel import PandelTable
    from skymap_scanner.units import FloatArray

_NAMES: Final = tuple(field.name for field in fields(TrackConstants))
#: First steps of the fit.
_STEPS: Final = (0.5, 0.03, 0.2, 0.03, 0.03)
_PATHS: Final = (0.0, 20.0, 50.0, 100.0, 500.0)
_CHARGES: Final = (0.0, 2.0, 10.0, 100.0, 1e9)


class Sample(NamedTuple):
    """Hit modules of many tracks, as they see the true ones.

    Attributes
    ----------
    raw : ndarray of float32, shape (n, 12)
        Mixtures.
    facts : ndarray, shape (n, 5)
        Distance of direct light [m], delay [ns], charge [PE], brightness of the event, its number.
    """

    raw: NDArray[np.float32]
    facts: FloatArray

    def of(self, rows: NDArray[np.bool_]) -> Sample:
        """Return some of the modules."""
        return Sample(self.raw[rows], self.facts[rows])


def look(tracks: list[SimulatedTrack], model: LightModel) -> Sample:
    """Return the hit modules of tracks."""
    raw, facts = [], []
    for number, track in enumerate(tracks):
        point = emission_points(track.vertex, track.direction, track.om_xyz)
        direction = np.broadcast_to(track.direction, track.om_xyz.shape)
        raw.append(track_mixtures(model, TrackPairs(point, direction, track.om_xyz)))
        path = np.linalg.norm(track.om_xyz - point, axis=1)
        emitted = track.vertex_time + (point - track.vertex) @ track.direction / LIGHT_SPEED
        late = track.time - emitted - path * N_REF / LIGHT_SPEED
        same = np.full((2, path.size), [[brightness(track.charge)], [number]])
        facts.append(np.column_stack([path, late, track.charge, *same]))
    return Sample(np.concatenate(raw), np.concatenate(facts))


@nb.njit(error_model="numpy", nogil=True)
def _likelihoods(  # noqa: PLR0917  # kernels take no keywords
    raw: NDArray[np.float32],
    facts: FloatArray,
    log_sigma: FloatArray,
    n_photons: FloatArray,
    noise: FloatArray,
    table: PandelTable,
) -> FloatArray:
    """Negative log-likelihood and survival of the first photon of each module, shape (n, 2)."""
    work, slopes = np.empty((6, 4)), np.empty((2, 14))
    result = np.empty((len(raw), 2))
    for i in range(len(raw)):
        p, s = smeared(raw[i], facts[i, 1], log_sigma[i], table, work, slopes)
        p = (1.0 - noise[i, 0]) * p + noise[i, 1]
        s = (1.0 - noise[i, 0]) * s + 0.5 * noise[i, 0]
        result[i, 0] = -np.log(n_photons[i] * p) - (n_photons[i] - 1.0) * np.log(s)
        result[i, 1] = s
    return result


def evaluate(sample: Sample, constants: TrackConstants) -> tuple[FloatArray, FloatArray]:
    """Return negative log-likelihoods and pulls of the modules, each of shape (n,)."""
    path, _, charge, bright, _ = sample.facts.T
    growth = constants.path_jitter * 10.0 ** (constants.path_power * bright)
    log_sigma = 0.5 * np.log(constants.near_jitter**2 + (growth * path) ** 2)
    softening = np.maximum(0.0, constants.softening + constants.softening_slope * bright)
    log_n = np.log(np.maximum(charge, 1.0))
    n_photons = np.exp(log_n / (1.0 + softening * log_n))
    fraction = np.minimum(Noise().rate * Noise().window / np.maximum(charge, 1.0), 0.5)
    noise = np.stack([fraction, fraction / Noise().window], axis=1)
    table = load_log_logistic_table()
    found = _likelihoods(sample.raw, sample.facts, log_sigma, n_photons, noise, table)
    return found[:, 0], found[:, 1] ** n_photons


def fit(sample: Sample, start: TrackConstants, n_evaluations: int) -> TrackConstants:
    """Return the constants of the largest likelihood."""

    def objective(x: FloatArray) -> float:
        if x[0] < 0.5 or x[1] < 0.0 or x[3] < 0.0:
            return 1e9
        return float(evaluate(sample, TrackConstants(*x.tolist()))[0].mean())

    x = np.array(astuple(start))
    for scale in (1.0, 0.4):
        simplex = np.vstack([x, x + scale * np.diag(_STEPS)])
        found = minimize(
            objective,
            x,
            method="Nelder-Mead",
            options={
                "initial_simplex": simplex,
                "maxfev": n_evaluations,
                "xatol": 1e-4,
                "fatol": 1e-5,
            },
        )
        x = np.asarray(found.x)
    return TrackConstants(*x.tolist())


def print_pulls(sample: Sample, constants: TrackConstants) -> None:
    """Print mean and spread of the pull, 0.5 and 0.289 when all is right, in bins."""
    _, pull = evaluate(sample, constants)
    print("pull of the first photon: mean +- spread (number of modules)")
    for low, high in pairwise(_PATHS):
        line = f"  {low:3.0f} to {high:3.0f} m:"
        for least, most in pairwise(_CHARGES):
            path, charge = sample.facts[:, 0], sample.facts[:, 2]
            rows = (path >= low) & (path < high) & (charge >= least) & (charge < most)
            if rows.sum() > 30:
                line += f"   {pull[rows].mean():.2f} +- {pull[rows].std():.2f} ({rows.sum()})"
        print(line)


def main() -> None:
    """Simulate, fit, test, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracks", type=int, default=1200, help="muons")
    parser.add_argument("--sample", type=Path, required=True, help="where they are kept (.npz)")
    parser.add_argument("--evaluations", type=int, default=250, help="of the likelihood, twice")
    parser.add_argument("--seed", type=int, default=3, help="seed of all chance")
    arguments = parser.parse_args()
    tracks = load_or_make(arguments.sample, arguments.tracks, arguments.seed)
    sample = look(tracks, LightModel.load())
    is_test = sample.facts[:, 4] % 2 == 1
    training, test = sample.of(~is_test), sample.of(is_test)
    print(f"{len(tracks)} muons with {len(sample.raw)} hit modules")
    default = TrackConstants()
    found = fit(training, default, arguments.evaluations)
    for name, value in asdict(found).items():
        print(f"{name:16} {value:.4g}   (default {getattr(default, name):g})")
    print("mean negative log-likelihood per module, independent muons:")
    print(f"  fitted    {evaluate(test, found)[0].mean():.4f}")
    print(f"  defaults  {evaluate(test, default)[0].mean():.4f}")
    print_pulls(test, found)


if __name__ == "__main__":
    main()
