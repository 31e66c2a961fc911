r"""Fit the constants of the track likelihood to simulated first photons.

    python benchmarks/fit_light_model.py --photons 1500000 --tracks 600

Second of the two scripts that made the defaults of `PandelConstants` and ``charge_softening``.
Muons of 5 TeV to 5 PeV (uniform in ln E) lose energy as our simulation lets them; modules at random
places around the track draw their photo-electrons from the histograms of `photon_histograms.py`:
light of the bare track and of every single loss, so that the photons of one module are as unequal
as real ones. The time of the first one, smeared by 2 ns and rounded to 1 ns, and the charge of all
enter the likelihood, whose ice is off by 10 % per module, about what is known of the real one. The
constants are those of the largest likelihood on half of the tracks; the other half tests them.

No measured event takes part. About 15 minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import numba as nb
import numpy as np
from scipy.optimize import minimize

from photon_histograms import (
    ALONG_FIRST,
    ALONG_STEP,
    COS_ETA,
    DELAY_EDGES,
    N_ALONG,
    N_DELAY,
    RHO_EDGES,
    Ice,
    make_histograms,
)
from skymap_scanner.light.optics import (
    MODULE_AREA,
    PHOTONS_PER_GEV,
    PHOTONS_PER_METRE,
    SIN_CHERENKOV,
    cascade_length,
    hadronic_light_factor,
    muon_light_factor,
)
from skymap_scanner.recos.likelihood.mpe import Light, light_parameters
from skymap_scanner.recos.likelihood.pandel import load_pandel_table, lookup
from skymap_scanner.recos.likelihood.track_model import Noise, PandelConstants, effective_photons
from skymap_scanner.simulation.cross_sections import PROCESSES
from skymap_scanner.simulation.muon import MuonPassage, propagate_muon

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: Columns of a sample: track, ice, rho [m], cos eta, charge [PE], delay of the first photon [ns].
N_FACTS: Final = 6
#: Relative error of scattering and absorption between track and module.
_ICE_ERROR: Final = 0.1
_FREE: Final = tuple(asdict(PandelConstants()))
#: Spread of a photo-electron's time in the photomultiplier [ns].
_JITTER: Final = 2.0


def _losses_by_cell(passage: MuonPassage, along: float, rng: np.random.Generator) -> FloatArray:
    """Return the light of the losses as energy [GeV] per cell of distance to `along`."""
    hadronic = passage.loss_process == PROCESSES.index("nuclear")
    mean, spread = hadronic_light_factor(passage.loss_energy)
    light = np.where(hadronic, np.clip(rng.normal(mean, spread), 0.05, 1.0), 1.0)
    shape, scale = cascade_length(passage.loss_energy)
    place = passage.loss_distance + shape * scale
    cell = np.floor((along - place - ALONG_FIRST) / ALONG_STEP).astype(np.int64)
    inside = (cell >= 0) & (cell < N_ALONG)
    weights = (passage.loss_energy * light)[inside]
    return np.asarray(
        np.bincount(cell[inside], weights=weights, minlength=N_ALONG), dtype=np.float64
    )


def _expected(
    ice: Ice, total: FloatArray, where: tuple[int, int], energy: float, losses: FloatArray
) -> FloatArray:
    """Compute the expected photo-electrons per bin of delay, shape (n_delay,)."""
    ring, orientation = where
    extra = float(muon_light_factor(energy)) - 1.0
    light = PHOTONS_PER_METRE * (
        ice.track[ring, orientation] + extra * total[ring, orientation]
    ) + PHOTONS_PER_GEV * (losses @ ice.cascade[ring, :, orientation])
    return np.asarray(MODULE_AREA * light)


def _first_photon(expected: FloatArray, rng: np.random.Generator) -> tuple[float, float] | None:
    """Draw charge [PE] and delay of the first photo-electron [ns]; None when there is no light."""
    mean = expected.sum()
    n = int(rng.poisson(mean)) if mean > 0 else 0
    if n == 0:
        return None
    cumulative = np.concatenate(([0.0], np.cumsum(expected))) / mean
    # Beyond a few thousand photons the first one is at the edge of the first bins anyway.
    delays = np.interp(rng.random(min(n, 3000)), cumulative, DELAY_EDGES)
    first = (delays + rng.normal(0.0, _JITTER, delays.size)).min()
    return max(0.05, float(rng.normal(n, 0.4 * np.sqrt(n)))), float(np.rint(first))


def draw_sample(
    n_tracks: int, n_modules: int, ices: list[Ice], rng: np.random.Generator
) -> FloatArray:
    """Simulate first photons of modules around tracks.

    Parameters
    ----------
    n_tracks, n_modules : int
        Muons, and modules tried around each (uniform over the area within 180 m).
    ices : list of Ice
        Histograms of light.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ndarray, shape (n, N_FACTS)
        Modules with light.
    """
    totals = [ice.cascade.sum(axis=1) * ALONG_STEP for ice in ices]
    rows = []
    for track in range(n_tracks):
        energy = float(np.exp(rng.uniform(np.log(5e3), np.log(5e6))))
        passage = propagate_muon(energy, 1400.0, rng)
        for _ in range(n_modules):
            kind, orientation = int(rng.integers(len(ices))), int(rng.integers(COS_ETA.size))
            rho = float(np.sqrt(rng.uniform(RHO_EDGES[0] ** 2, RHO_EDGES[-1] ** 2)))
            along = float(rng.uniform(400.0, 1000.0))
            muon = float(passage.energy_at(np.array([along]))[0])
            if muon <= 0:
                continue
            ring = int(np.searchsorted(RHO_EDGES, rho, side="right") - 1)
            losses = _losses_by_cell(passage, along, rng)
            drawn = _first_photon(
                _expected(ices[kind], totals[kind], (ring, orientation), muon, losses), rng
            )
            if drawn is not None:
                rows.append((track, kind, rho, COS_ETA[orientation], *drawn))
    return np.array(rows)


@nb.njit(error_model="numpy", nogil=True)
def _nll(
    sample: FloatArray, layers: FloatArray, n_photons: FloatArray, noise: FloatArray, light: Light
) -> float:
    """Mean of the negative log-likelihood of first photons; each row has its own uniform ice."""
    parameters, work = np.empty((3, 3)), np.empty((6, 4))
    total = 0.0
    for i in range(sample.shape[0]):
        rho, cos_eta, late = sample[i, 2], sample[i, 3], sample[i, 5]
        own = Light(layers[i], light.layer_grid, light.model, light.table)
        light_parameters(rho, -cos_eta * rho / SIN_CHERENKOV, 0.0, own, parameters)
        n, fraction = n_photons[i], noise[i, 0]
        p = s = 1.0 - fraction
        x = late / np.exp(parameters[2, 0])
        if x < -8.0:
            p = 0.0
        else:
            lookup(light.table, parameters[0, 0], parameters[1, 0], x, work)
            p *= np.exp(work[4, 0] - parameters[2, 0])
            s *= np.exp(work[5, 0])
        total -= np.log(n * (p + noise[i, 1])) + (n - 1.0) * np.log(s + 0.5 * fraction)
    return float(total / sample.shape[0])


class Problem:
    """The likelihood of a sample as a function of the constants.

    Parameters
    ----------
    sample : ndarray, shape (n, N_FACTS)
        First photons.
    ices : list of Ice
        Which ice they travelled through.
    rng : numpy.random.Generator
        Draws by how much the likelihood errs about it.
    """

    def __init__(self, sample: FloatArray, ices: list[Ice], rng: np.random.Generator) -> None:
        kind = sample[:, 1].astype(np.int64)
        error = np.exp(_ICE_ERROR * rng.normal(size=(2, len(sample))))
        b = np.array([ice.scattering for ice in ices])[kind] * error[0]
        a = np.array([ice.absorption for ice in ices])[kind] * error[1]
        # Uniform ice as two layer centres, 2 km apart.
        zero = np.zeros_like(b)
        self._layers = np.stack(
            [np.stack([b, zero, a, zero], 1), np.stack([b, 2000 * b, a, 2000 * a], 1)], axis=1
        )
        self._sample = sample
        self._grid = np.array([-1000.0, 2000.0])
        fraction = np.minimum(Noise().rate * Noise().window / np.maximum(sample[:, 4], 1.0), 0.5)
        self._noise = np.stack([fraction, fraction / Noise().window], axis=1)

    def nll(self, model: PandelConstants, softening: float) -> float:
        """Return the mean negative log-likelihood per module."""
        n_photons = effective_photons(self._sample[:, 4], softening)
        light = Light(self._layers[0], self._grid, model.as_array(), load_pandel_table())
        return float(_nll(self._sample, self._layers, n_photons, self._noise, light))

    def fit(
        self, model: PandelConstants, softening: float, *, n_evaluations: int = 2500
    ) -> tuple[PandelConstants, float]:
        """Return the constants of the largest likelihood, from a first guess.

        All are positive, so that their logarithms are fitted.
        """

        def unpack(x: FloatArray) -> tuple[PandelConstants, float]:
            values = np.exp(x)
            changes = dict(zip(_FREE, values[:-1].tolist(), strict=True))
            return replace(model, **changes), float(values[-1])

        def objective(x: FloatArray) -> float:
            value = self.nll(*unpack(x))
            return value if np.isfinite(value) else 1e9

        x = np.log([*model.as_array(), softening])
        for spread in (0.15, 0.08):
            simplex = np.vstack([x, x + spread * np.eye(x.size)])
            found = minimize(
                objective,
                x,
                method="Nelder-Mead",
                options={
                    "initial_simplex": simplex,
                    "maxfev": n_evaluations,
                    "xatol": 1e-3,
                    "fatol": 3e-6,
                    "adaptive": True,
                },
            )
            x = np.asarray(found.x)
        return unpack(x)


def main() -> None:
    """Simulate, fit, test, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photons", type=int, default=1_500_000, help="per ice and kind of source")
    parser.add_argument("--tracks", type=int, default=600, help="muons")
    parser.add_argument("--modules", type=int, default=200, help="modules tried per muon")
    parser.add_argument("--evaluations", type=int, default=2500, help="of the likelihood, twice")
    parser.add_argument("--seed", type=int, default=1, help="seed of all chance")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    ices = make_histograms(arguments.photons, seed=arguments.seed)
    sample = draw_sample(arguments.tracks, arguments.modules, ices, rng)
    is_test = sample[:, 0] % 2 == 1
    training = Problem(sample[~is_test], ices, rng)
    test = Problem(sample[is_test], ices, rng)
    print(f"{len(sample)} modules with light, {N_DELAY} bins of delay")
    default = PandelConstants()
    model, softening = training.fit(default, 0.1, n_evaluations=arguments.evaluations)
    for name, value in asdict(model).items():
        print(f"{name:18} {value:.5g}   (default {getattr(default, name):g})")
    print(f"{'charge_softening':18} {softening:.4g}")
    print("mean negative log-likelihood per module, independent tracks:")
    print(f"  fitted                {test.nll(model, softening):.4f}")
    print(f"  defaults              {test.nll(default, 0.08):.4f}")
    print(f"  fitted, no softening  {test.nll(model, 0.0):.4f}")


if __name__ == "__main__":
    main()
