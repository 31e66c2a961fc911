"""A muon on its way through ice: stochastic losses one by one, the rest continuously.

References
----------
.. [1] D. Chirkin, W. Rhode, *Muon Monte Carlo*, hep-ph/0407075.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.simulation.cross_sections import (
    ICE_DENSITY,
    PROCESSES,
    bremsstrahlung,
    knock_on,
    pair_production,
    photonuclear,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.units import FloatArray

__all__ = ["LOSS_CUT", "LossTable", "MuonPassage", "loss_table", "propagate_muon"]

#: Losses above this energy are drawn one by one, those below are continuous [GeV].
LOSS_CUT: Final = 0.5
#: Ionisation loss [GeV/m]: 0.26 GeV per metre of water equivalent (MMC).
_IONISATION: Final = 0.26 * ICE_DENSITY
#: A muon below this energy stops [GeV].
_STOP_ENERGY: Final = 1.0
_CM_PER_M = 100.0
_MAX_FRACTION = 1.0 - 1e-9

_DIFFERENTIAL: Final[tuple[Callable[[FloatArray, FloatArray], FloatArray], ...]] = (
    bremsstrahlung,
    pair_production,
    photonuclear,
    knock_on,
)


@dataclass(frozen=True, slots=True)
class LossTable:
    """Rates and cumulative distributions of losses above `LOSS_CUT` on a grid of muon energies.

    Attributes
    ----------
    log_energy : ndarray, shape (n_energy,)
        Natural logarithm of the muon energy [GeV].
    rates : ndarray, shape (n_energy, 4)
        Losses per metre of ice, in the order of `PROCESSES` [1/m].
    fraction_cdf : ndarray, shape (n_energy, 4, n_v)
        Probability that ln v is below each of the `n_v` nodes, equally spaced from
        ln(LOSS_CUT/E) to 0.
    """

    log_energy: FloatArray
    rates: FloatArray
    fraction_cdf: FloatArray

    def rates_at(self, energy: float) -> FloatArray:
        """Return the rates [1/m] of the four processes at a muon energy [GeV], shape (4,)."""
        low, weight = self._bracket(energy)
        return np.asarray((1 - weight) * self.rates[low] + weight * self.rates[low + 1])

    def sample_fraction(self, energy: float, process: int, u: float) -> float:
        """Return the energy fraction at the quantile `u` of one process."""
        low, weight = self._bracket(energy)
        cdf = (1 - weight) * self.fraction_cdf[low, process]
        cdf = cdf + weight * self.fraction_cdf[low + 1, process]
        start = np.log(LOSS_CUT / energy)
        nodes = np.linspace(start, 0.0, cdf.size)
        return float(min(np.exp(np.interp(u, cdf, nodes)), _MAX_FRACTION))

    def _bracket(self, energy: float) -> tuple[int, float]:
        step = self.log_energy[1] - self.log_energy[0]
        place = (np.log(energy) - self.log_energy[0]) / step
        low = int(np.clip(place, 0, self.log_energy.size - 2))
        return low, float(np.clip(place - low, 0.0, 1.0))


@cache
def loss_table(n_energy: int = 40, n_fraction: int = 160) -> LossTable:
    """Tabulate the losses from 1 GeV to 1 EeV (about a second, once per process)."""
    log_energy = np.linspace(0.0, np.log(1e9), n_energy)
    rates = np.zeros((n_energy, len(PROCESSES)))
    cdf = np.zeros((n_energy, len(PROCESSES), n_fraction))
    for row, energy in enumerate(np.exp(log_energy)):
        log_v = np.linspace(np.log(LOSS_CUT / energy), 0.0, n_fraction)
        v = np.minimum(np.exp(log_v), _MAX_FRACTION)
        for column, differential in enumerate(_DIFFERENTIAL):
            density = differential(v, np.full_like(v, energy)) * v * ICE_DENSITY * _CM_PER_M
            steps = 0.5 * (density[1:] + density[:-1]) * np.diff(log_v)
            total = steps.sum()
            rates[row, column] = total
            cdf[row, column, 1:] = np.cumsum(steps) / total if total > 0 else 1.0
    return LossTable(log_energy, rates, cdf)


@dataclass(frozen=True, slots=True)
class MuonPassage:
    """What a muon left behind on a straight path.

    Attributes
    ----------
    loss_distance : ndarray, shape (n,)
        Distance of each loss from the start [m], ascending.
    loss_energy : ndarray, shape (n,)
        Its energy [GeV].
    loss_process : ndarray of int, shape (n,)
        Index into `PROCESSES`.
    muon_energy : ndarray, shape (n,)
        Muon energy just before each loss [GeV].
    start_energy : float
        Muon energy at the start [GeV].
    length : float
        Path until it stopped or was no longer followed [m].
    """

    loss_distance: FloatArray
    loss_energy: FloatArray
    loss_process: FloatArray
    muon_energy: FloatArray
    start_energy: float
    length: float

    def energy_at(self, distance: FloatArray) -> FloatArray:
        """Return the muon energy [GeV] at distances from the start [m]; 0 beyond its end."""
        index = np.searchsorted(self.loss_distance, distance, side="right")
        anchor_distance = np.concatenate([[0.0], self.loss_distance])[index]
        anchor_energy = np.concatenate([[self.start_energy], self.muon_energy - self.loss_energy])
        left = anchor_energy[index] - _continuous_loss(anchor_energy[index]) * (
            distance - anchor_distance
        )
        return np.where(distance <= self.length, np.maximum(left, 0.0), 0.0)


def _continuous_loss(energy: FloatArray) -> FloatArray:
    """Ionisation and radiative losses below the cut [GeV/m]; the latter grow as ln E."""
    decades = np.log10(np.maximum(energy, 1.0) / 1e3)
    return np.asarray(_IONISATION + np.maximum(0.012 + 0.0077 * decades, 0.0))


def propagate_muon(energy: float, length: float, rng: np.random.Generator) -> MuonPassage:
    """Follow a muon along a straight line and draw its losses.

    Parameters
    ----------
    energy : float
        Muon energy at the start [GeV], at least 1.
    length : float
        Path after which it is no longer followed [m].
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    MuonPassage

    Notes
    -----
    Between losses the total rate is taken at the energy after the last one; it varies slowly, and
    steps are limited to 20 m so that continuous losses are followed.
    """
    table = loss_table()
    distance, current = 0.0, float(energy)
    rows: list[tuple[float, float, int, float]] = []
    while distance < length and current > _STOP_ENERGY:
        rates = table.rates_at(current)
        total = float(rates.sum())
        free = rng.exponential(1.0 / total) if total > 0 else np.inf
        step = min(free, 20.0, length - distance)
        distance += step
        current -= float(_continuous_loss(np.asarray(current))) * step
        if current <= _STOP_ENERGY or step < free:
            continue
        process = int(np.searchsorted(np.cumsum(rates), rng.random() * total))
        loss = current * table.sample_fraction(current, min(process, 3), rng.random())
        rows.append((distance, loss, min(process, 3), current))
        current -= loss
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return MuonPassage(
        loss_distance=columns[:, 0],
        loss_energy=columns[:, 1],
        loss_process=columns[:, 2],
        muon_energy=columns[:, 3],
        start_energy=float(energy),
        length=distance,
    )
