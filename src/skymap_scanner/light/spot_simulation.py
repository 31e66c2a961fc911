"""Monte Carlo of a few sources, made to be laid beside what a light model gives for them.

Photons are followed in many equal parts with other random numbers: the differences between the
parts are the statistical errors, which scores of one photon in several cells make larger than a
count of scores suggests.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import CELL_VOLUMES, N_AZIMUTH, N_COS, N_R
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import propagate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.medium import Medium
    from skymap_scanner.light.spots import Spot
    from skymap_scanner.units import FloatArray

__all__ = ["MIN_PHOTONS", "SimulatedLight", "simulate_spots"]

#: Parts into which the photons of a source are divided, at least and at most.
_MIN_PARTS, _MAX_PARTS = 10, 200
#: Photons of a part, unless there would be too many parts.
_PART: Final = 20_000
#: Fewer photons per source give no errors worth drawing.
MIN_PHOTONS: Final = 10 * _MIN_PARTS
#: Fraction of absorption that is sampled; the rest is a weight.
_KILL: Final = 0.4
#: Sets these random numbers apart from those that models are trained on and validated with, whose
#: seeds are three or four numbers; numbers that are not there count as zeros.
_STREAM: Final = 20_541


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedLight:
    """What a spot's photons left in its views, in the cells of distance `cells.R_EDGES`.

    Attributes
    ----------
    n_photons : int
        Photons that were followed.
    charge, charge_error : ndarray, shape (n_view, n_r)
        Mean charge of a standard module per energy, and its statistical error [PE/GeV].
    times, times_error : ndarray, shape (n_view, n_r, n_bins)
        Fractions of the charge per bin of delay (`propagation.TIME_EDGES`); 0 without any.
    """

    n_photons: int
    charge: FloatArray
    charge_error: FloatArray
    times: FloatArray
    times_error: FloatArray


def simulate_spots(
    spots: Sequence[Spot],
    ice: IceModel,
    *,
    n_photons: int,
    seed: int,
    n_threads: int,
    report: Callable[[int, int], None] | None = None,
) -> list[SimulatedLight]:
    """Follow photons of some sources; the number of threads changes nothing but the time.

    Parameters
    ----------
    spots : sequence of Spot
        Sources.
    ice : IceModel
        The ice.
    n_photons : int
        Photons per source, at least `MIN_PHOTONS`; rounded up to whole parts.
    seed : int
        Seed of all chance, not negative; never the random numbers of a production.
    n_threads : int
        Threads.
    report : callable, optional
        Called with the numbers of parts that are done and wanted.

    Returns
    -------
    list of SimulatedLight
        One per spot.

    Raises
    ------
    UsageError
        When there are too few photons, or the seed is negative.
    """
    if n_photons < MIN_PHOTONS:
        raise UsageError(
            "too few photons per source", found=n_photons, wanted=f"at least {MIN_PHOTONS}"
        )
    if seed < 0:
        raise UsageError("negative seed", found=seed, wanted="0 or more")
    medium = make_medium(ice)
    n_parts = min(max(_MIN_PARTS, -(-n_photons // _PART)), _MAX_PARTS)
    n_each = -(-n_photons // n_parts)
    n_wanted = len(spots) * n_parts
    if report is not None:
        report(0, n_wanted)
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [
            [
                pool.submit(_follow, spot, medium, n_each, (seed, _STREAM, number + 1, part + 1))
                for part in range(n_parts)
            ]
            for number, spot in enumerate(spots)
        ]
        running: set[Future[_Part]] = {future for row in futures for future in row}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if report is not None:
                    report(n_wanted - len(running), n_wanted)
        finally:
            for future in running:
                future.cancel()
    return [_join([future.result() for future in row], n_each) for row in futures]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Scores in the views: totals, shape (n_view, n_r), and per delay, (n_view, n_r, n_bins)."""

    total: FloatArray
    times: FloatArray


def _follow(spot: Spot, medium: Medium, n_photons: int, seed: tuple[int, ...]) -> _Part:
    record = propagate(
        spot.xyz,
        spot.direction,
        medium,
        n_photons=n_photons,
        seed=seed,
        kill=_KILL,
        record_times=True,
    )
    light = n_photons * _views(spot, CELL_VOLUMES)
    return _Part(_views(spot, record.total) / light, _views(spot, record.times) / light[..., None])


def _views(spot: Spot, cells: FloatArray) -> FloatArray:
    """Sum over the cells of each view: (n_cells, ...) becomes (n_view, n_r, ...)."""
    table = cells.reshape(N_R, N_COS, N_AZIMUTH, *cells.shape[1:])
    return np.stack([table[:, v.cosine, list(v.octants)].sum(axis=1) for v in spot.views])


def _join(parts: list[_Part], n_each: int) -> SimulatedLight:
    """Average over parts; errors are those of means, of fractions to first order."""
    n = len(parts)
    total = np.stack([part.total for part in parts])
    times = np.stack([part.times for part in parts])
    light = total.mean(axis=0)
    known = np.where(light > 0.0, light, 1.0)[..., None]
    fractions = times.mean(axis=0) / known
    deviations = (times - fractions * total[..., None]) / known
    per_gev = PHOTONS_PER_GEV * MODULE_AREA
    return SimulatedLight(
        n_photons=n * n_each,
        charge=per_gev * light,
        charge_error=per_gev * total.std(axis=0, ddof=1) / n**0.5,
        times=fractions,
        times_error=np.sqrt((deviations**2).sum(axis=0) / (n * (n - 1))),
    )
