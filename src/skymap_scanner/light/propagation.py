r"""Monte Carlo propagation of the photons of a point-like source through the ice.

Photons are followed until they are absorbed, far away or old. At each scatter the photon scores in
the cell where it is: one over the scattering coefficient is an unbiased estimate of the path
length between collisions, and path length over volume is the fluence that an optical module sees
there [1]_. Absorption may be sampled with a fraction of its strength, the rest is carried as a
weight [1]_, which sends more photons far.

References
----------
.. [1] I. Lux and L. Koblinger, *Monte Carlo Particle Transport Methods*, CRC Press 1991: collision
   estimator, survival biasing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.cells import CELL_VOLUMES, N_CELLS, R_EDGES, axis_frame, find_cell
from skymap_scanner.light.chance import make_state, uniform
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.photons import ABSORBED, emit, fly, scatter
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.medium import Medium
    from skymap_scanner.units import FloatArray

__all__ = ["MAX_TIME", "LightRecord", "propagate"]

#: Photons older than this are not followed any more [ns].
MAX_TIME: Final = 12_000.0
#: Histograms of delays have equal bins in the logarithm of delay plus this [ns].
TIME_OFFSET: Final = 2.0
#: Their edges [ns]; the last bin takes what is later.
TIME_EDGES: Final = np.exp(np.linspace(np.log(TIME_OFFSET), np.log(6000.0 + TIME_OFFSET), 41)) - 2.0
_TIME_FIRST: Final = math.log(TIME_OFFSET)
_TIME_INVERSE_STEP: Final = 40.0 / (math.log(6000.0 + TIME_OFFSET) - math.log(TIME_OFFSET))
_MAX_R2: Final = float((2.0 * R_EDGES[-1]) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class LightRecord:
    """What a source's photons left in the cells around it.

    Attributes
    ----------
    n_photons : int
        Photons that were followed.
    total, squared : ndarray, shape (n_cells,)
        Sum of the scores, accepted path lengths [m], and of their squares [m^2].
    place : ndarray, shape (n_cells, 3)
        Place of one score, drawn with probability proportional to its size, from the source [m].
    delay : ndarray, shape (n_cells,)
        Its time after the fastest light on the straight line [ns].
    times : ndarray, shape (n_cells, n_bins) or (0, n_bins)
        Histogram of the delays in `TIME_EDGES`, where it was asked for [m].
    path : float
        Summed path lengths of all photons, with their weights [m].
    n_scatters : int
        Scatters of all photons.
    """

    n_photons: int
    total: FloatArray
    squared: FloatArray
    place: FloatArray
    delay: FloatArray
    times: FloatArray
    path: float
    n_scatters: int

    @property
    def fluence(self) -> FloatArray:
        """Accepted light per photon and area in each cell [1/m^2], shape (n_cells,)."""
        return np.asarray(self.total / (self.n_photons * CELL_VOLUMES))


def propagate(
    source_xyz: FloatArray,
    source_direction: FloatArray,
    medium: Medium,
    *,
    n_photons: int,
    seed: tuple[int, ...],
    kill: float = 1.0,
    is_bare_track: bool = False,
    record_times: bool = False,
) -> LightRecord:
    """Follow the photons of one source and record them.

    Parameters
    ----------
    source_xyz, source_direction : ndarray, shape (3,)
        Place [m] and axis (unit vector) of a point-like cascade.
    medium : Medium
        The ice.
    n_photons : int
        Photons.
    seed : tuple of int
        Seed of all chance; the same one gives the same record.
    kill : float
        Fraction of absorption that is sampled; 1 is the analogue simulation.
    is_bare_track : bool
        Emit on the exact Cherenkov cone.
    record_times : bool
        Fill the histogram of delays, too.

    Returns
    -------
    LightRecord
    """
    total, squared = np.zeros(N_CELLS), np.zeros(N_CELLS)
    sample = np.zeros((N_CELLS, 4))
    times = np.zeros((N_CELLS if record_times else 0, TIME_EDGES.size - 1))
    path, n_scatters = _follow(
        np.asarray(source_xyz, dtype=np.float64),
        np.asarray(source_direction, dtype=np.float64),
        axis_frame(source_direction),
        medium,
        n_photons,
        kill,
        is_bare_track,
        make_state(*seed),
        (total, squared, sample, times),
    )
    return LightRecord(
        n_photons, total, squared, sample[:, :3], sample[:, 3], times, float(path), int(n_scatters)
    )


@kernel
def _follow(
    source: FloatArray,
    axis: FloatArray,
    frame: FloatArray,
    medium: Medium,
    n_photons: int,
    kill: float,
    is_bare_track: bool,
    state: NDArray[np.uint64],
    record: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> tuple[float, int]:
    n, at, left = np.empty(3), np.empty(4), np.empty(1)
    carried = (1.0 - kill) / kill
    path, n_scatters = 0.0, 0
    for _ in range(n_photons):
        w = int(uniform(state) * medium.slices.shape[0])
        emit(n, axis, medium.slices[w, 1], is_bare_track, state)
        at[0], at[1], at[2], at[3] = source[0], source[1], source[2], 0.0
        budget = -math.log(uniform(state))
        left[0] = budget
        while True:
            before = at[3]
            end, b = fly(at, n, w, kill, left, medium, state)
            weight = math.exp(-carried * (budget - left[0])) if carried > 0.0 else 1.0
            path += weight * (at[3] - before)
            x, y, z = at[0] - source[0], at[1] - source[1], at[2] - source[2]
            if end == ABSORBED or at[3] > MAX_TIME or x * x + y * y + z * z > _MAX_R2:
                break
            value = weight / b * accept(n[2], medium.acceptance)
            _score(x, y, z, at[3], value, frame, record, uniform(state))
            n_scatters += 1
            scatter(n, medium.f_liu, state)
    return path, n_scatters


@kernel
def accept(n_z: float, coefficients: FloatArray) -> float:
    """Return the angular acceptance of a module for a photon that travels with `n_z`."""
    value = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        value = value * n_z + coefficients[k]
    return max(value, 0.0)


@kernel
def _score(
    x: float,
    y: float,
    z: float,
    time: float,
    value: float,
    frame: FloatArray,
    record: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    chance: float,
) -> None:
    """Add a score to its cell and keep its place and delay with the right probability."""
    total, squared, sample, times = record
    cell = find_cell(x, y, z, frame)
    if cell < 0 or value <= 0.0:
        return
    total[cell] += value
    squared[cell] += value * value
    is_kept = chance * total[cell] < value
    if not is_kept and times.shape[0] == 0:
        return
    delay = time - math.sqrt(x * x + y * y + z * z) * N_REF / LIGHT_SPEED
    if times.shape[0] > 0:
        place = (math.log(max(delay, 0.0) + TIME_OFFSET) - _TIME_FIRST) * _TIME_INVERSE_STEP
        times[cell, min(int(place), times.shape[1] - 1)] += value
    if is_kept:
        sample[cell, 0], sample[cell, 1], sample[cell, 2] = x, y, z
        sample[cell, 3] = delay
