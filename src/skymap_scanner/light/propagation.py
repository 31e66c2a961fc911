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
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import CELL_VOLUMES, N_CELLS, R_EDGES, axis_frame, find_cell
from skymap_scanner.light.chance import make_state, uniform
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.photons import ABSORBED, emit, fly, scatter
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.medium import Medium
    from skymap_scanner.units import FloatArray

__all__ = ["MAX_TIME", "SHELLS", "SIMULATION", "LightRecord", "choose_splits", "propagate"]

#: Distances from the source at which photons may be split [m].
SHELLS: Final = np.array(
    [20, 35, 50, 70, 90, 110, 130, 155, 180, 210, 240, 275, 310, 350, 390, 430.0]
)
#: Copies of one photon that wait at a time; a photon for which there is no room is not split.
_MAX_COPIES: Final = 100_000
#: Version of what is simulated and recorded: kept files of another one are not gone on with.
SIMULATION: Final = 1
#: Photons become at most this many copies at a shell.
_MAX_SPLIT: Final = 6
#: Photons, and rounds, to find out how many to split into.
_PILOT, _ROUNDS = 200, 5
#: Photons older than this are not followed any more [ns].
MAX_TIME: Final = 12_000.0
#: Histograms of delays have equal bins in the logarithm of delay plus this [ns].
TIME_OFFSET: Final = 2.0
#: Their edges [ns]; the last bin takes what is later.
TIME_EDGES: Final = np.geomspace(TIME_OFFSET, 6000.0 + TIME_OFFSET, 41) - TIME_OFFSET
_TIME_FIRST: Final = math.log(TIME_OFFSET)
_TIME_INVERSE_STEP: Final = 40.0 / (math.log(6000.0 + TIME_OFFSET) - math.log(TIME_OFFSET))
#: Axes may be this far from unit length.
_UNIT_TOLERANCE: Final = 1e-6
_MAX_R2: Final = float((2.0 * R_EDGES[-1]) ** 2)


def choose_splits(
    source_xyz: FloatArray,
    source_direction: FloatArray,
    medium: Medium,
    *,
    seed: tuple[int, ...],
    kill: float = 1.0,
    share: float = 0.8,
) -> NDArray[np.int64]:
    """Find out by a few photons how many copies make up for those lost between shells.

    Parameters
    ----------
    source_xyz, source_direction : ndarray, shape (3,)
        Place [m] and axis (unit vector) of a point-like cascade.
    medium : Medium
        The ice.
    seed : tuple of int
        Seed of all chance.
    kill : float
        Fraction of absorption that is sampled.
    share : float
        Photons that should cross a shell for each that crossed the one before.

    Returns
    -------
    ndarray of int, shape (n_shells,)
        Copies at each of `SHELLS`.
    """
    splits = np.ones(SHELLS.size, np.int64)
    unused = np.zeros(N_CELLS), np.zeros(N_CELLS), np.zeros((N_CELLS, 4)), np.zeros((0, 40))
    for number in range(_ROUNDS):
        crossings = np.zeros(SHELLS.size, np.int64)
        _follow(
            np.asarray(source_xyz, dtype=np.float64),
            np.asarray(source_direction, dtype=np.float64),
            axis_frame(source_direction),
            medium,
            _PILOT,
            kill,
            False,
            make_state(*seed, number),
            splits,
            np.empty((_MAX_COPIES, 9)),
            unused,
            crossings,
        )
        # Of the copies made at one shell, those that reach the next.
        made = crossings[:-1] * splits[:-1]
        reached = np.maximum(crossings[1:], 1) / np.maximum(made, 1)
        known = crossings[:-1] >= 5
        wanted = np.where(known, share / reached, 2.0)
        splits[:-1] = np.clip(np.rint(wanted), 1, _MAX_SPLIT)
    return splits


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
    splits: NDArray[np.int64] | None = None,
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
    splits : ndarray of int, shape (n_shells,), optional
        Copies that a photon becomes at each of `SHELLS` (see `choose_splits`).

    Returns
    -------
    LightRecord

    Raises
    ------
    UsageError
        When there is no photon to follow, the place is not finite, the axis no unit vector, the
        fraction of absorption not above 0 and at most 1, or the splits no numbers of copies.
    """
    if n_photons < 1 or not 0.0 < kill <= 1.0:
        raise UsageError(
            "nothing to follow",
            found=f"{n_photons} photons, kill {kill}",
            wanted="photons, and kill above 0 and at most 1",
        )
    length = float(np.linalg.norm(source_direction))
    if not (np.all(np.isfinite(source_xyz)) and abs(length - 1.0) < _UNIT_TOLERANCE):
        raise UsageError(
            "illegal source",
            found=f"place {source_xyz}, axis of length {length:g}",
            wanted="a finite place and a unit vector",
        )
    total, squared = np.zeros(N_CELLS), np.zeros(N_CELLS)
    sample = np.zeros((N_CELLS, 4))
    times = np.zeros((N_CELLS if record_times else 0, TIME_EDGES.size - 1))
    wanted = np.ones(SHELLS.size, np.int64) if splits is None else np.asarray(splits)
    if wanted.shape != SHELLS.shape or wanted.dtype.kind != "i" or wanted.min() < 1:
        raise UsageError(
            "illegal splits",
            found=f"{wanted}",
            wanted=f"{SHELLS.size} whole numbers of at least 1",
        )
    path, n_scatters = _follow(
        np.asarray(source_xyz, dtype=np.float64),
        np.asarray(source_direction, dtype=np.float64),
        axis_frame(source_direction),
        medium,
        n_photons,
        kill,
        is_bare_track,
        make_state(*seed),
        wanted,
        np.empty((_MAX_COPIES, 9)),
        (total, squared, sample, times),
        np.zeros(SHELLS.size, np.int64),
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
    splits: NDArray[np.int64],
    stack: FloatArray,
    record: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    crossings: NDArray[np.int64],
) -> tuple[float, int]:
    n, at, left = np.empty(3), np.empty(4), np.empty(1)
    carried = (1.0 - kill) / kill
    path, n_scatters = 0.0, 0
    for _ in range(n_photons):
        w = int(uniform(state) * medium.slices.shape[0])
        emit(n, axis, medium.slices[w, 1], is_bare_track, state)
        at[0], at[1], at[2], at[3] = source[0], source[1], source[2], 0.0
        weight, level, depth = 1.0, 0, 0
        left[0] = -math.log(uniform(state))
        while True:
            before, left_before = at[3], left[0]
            end, b = fly(at, n, w, kill, left, medium, state)
            lost = carried * (left_before - left[0])
            mean_weight = weight * (-math.expm1(-lost) / lost if lost > 1e-9 else 1.0)
            weight *= math.exp(-lost)
            path += mean_weight * (at[3] - before) / medium.slices[w, 0]
            x, y, z = at[0] - source[0], at[1] - source[1], at[2] - source[2]
            squared = x * x + y * y + z * z
            if end == ABSORBED or at[3] > MAX_TIME or squared > _MAX_R2:
                if depth == 0:
                    break
                depth -= 1
                weight, level = _recall(stack[depth], at, n)
                left[0] = -math.log(uniform(state))
                scatter(n, medium.f_liu, state)
                continue
            value = weight / b * accept(n[2], medium.acceptance)
            _score(x, y, z, at[3], value, frame, record, uniform(state))
            n_scatters += 1
            while level < splits.size and squared > SHELLS[level] * SHELLS[level]:
                copies = splits[level] if depth + splits[level] <= stack.shape[0] else 1
                crossings[level] += 1
                level += 1
                weight /= copies
                for _copy in range(copies - 1):
                    _remember(stack[depth], at, n, weight, level)
                    depth += 1
                if copies > 1:
                    left[0] = -math.log(uniform(state))
            scatter(n, medium.f_liu, state)
    return path, n_scatters


@kernel
def _remember(place: FloatArray, at: FloatArray, n: FloatArray, weight: float, level: int) -> None:
    """Put a copy of a photon aside."""
    place[0:4] = at
    place[4:7] = n
    place[7], place[8] = weight, level


@kernel
def _recall(place: FloatArray, at: FloatArray, n: FloatArray) -> tuple[float, int]:
    """Take a copy of a photon up again; return its weight and the shells that it has crossed."""
    at[:] = place[0:4]
    n[:] = place[4:7]
    return place[7], int(place[8])


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
