r"""Events photon by photon: every photon is followed through the full ice, module by module.

The slow and true way from light to hits, against which models of the light are tested. Photons
start along cascades and on the cone of a muon (`emitters`), go through layers, tilt, birefringence
and anisotropic absorption (`skymap_scanner.light.photons`), and every straight leg of their paths
is tested against the modules (`module_search`). What hits is kept with the probability of the
angular acceptance for its direction and of the module's efficiency, both relative to the largest
there is; photons are emitted that much rarer:

.. math:: \langle n\rangle = 13065.87\,\mathrm{GeV}^{-1}\; E\; f_\mathrm{max}\,
   \epsilon_\mathrm{max} / o^2

for a cascade of energy E and discs enlarged by the factor o. Each hit is then one photo-electron.
A photon goes on after a hit: modules cast no shadow, as in the models that are tested.

Birefringence bends the path between two scatters. The propagation moves its end as if the first
half went in the old direction and the second half in a turned one; those two straight legs are what
is tested, so that the path that can hit is as long as the path that takes time and is absorbed (a
chord would be shorter: by 1.4 % in the mean, by 5 % along the flow).

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`
.. [3] PPC, the public photon propagation code of the IceCube Collaboration: enlarged modules
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.chance import make_state, uniform
from skymap_scanner.light.optics import angular_acceptance
from skymap_scanner.light.photons import ABSORBED, emit, fly, scatter
from skymap_scanner.light.propagation import MAX_TIME, accept
from skymap_scanner.simulation.emitters import depth_of_emission
from skymap_scanner.simulation.module_search import is_far, leg_hits, make_module_map
from skymap_scanner.simulation.photons import PhotoElectrons
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from skymap_scanner.event import Detector
    from skymap_scanner.light.medium import Medium
    from skymap_scanner.simulation.emitters import Emitters
    from skymap_scanner.simulation.module_search import ModuleMap
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["DEFAULT_OVERSIZE", "PhotonHits", "follow_photons"]

#: Enlargement of modules when nobody chooses, as usual in the field.
DEFAULT_OVERSIZE: Final = 5.0
#: Photons that one thread follows at a time; they share one stream of random numbers.
_PIECE: Final = 100_000
_MAX_OVERSIZE: Final = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class PhotonHits:
    """What arrives at the modules.

    Attributes
    ----------
    seen : PhotoElectrons
        Hits in the order in which they were simulated.
    n_photons : int
        Photons that were followed.
    """

    seen: PhotoElectrons
    n_photons: int

    def charge(self, n_om: int) -> FloatArray:
        """Return the sum of the hits' weights per module [PE], shape (n_om,)."""
        return np.bincount(self.seen.om_index, self.seen.weight, minlength=n_om).astype(np.float64)


def follow_photons(
    emitters: Emitters,
    detector: Detector,
    medium: Medium,
    *,
    seed: int,
    oversize: float = DEFAULT_OVERSIZE,
    exposure: float = 1.0,
    n_threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> PhotonHits:
    """Follow all photons of an event and return the photo-electrons that they make.

    Parameters
    ----------
    emitters : Emitters
        Where photons start, and how many.
    detector : Detector
        Geometry and efficiencies; dead modules see nothing.
    medium : Medium
        The ice.
    seed : int
        Seed of all chance. The same one gives the same hits, whatever the number of threads.
    oversize : float
        Factor by which modules are enlarged across the photons, 1 to 50. Light within some metres
        of an emitter is smeared by as much as the enlarged radius (0.83 m for 5).
    exposure : float
        So many times more photons than in an event, with weights so many times less: for mean
        charges.
    n_threads : int, optional
        Threads; all cores by default.
    report : callable, optional
        Called now and then with the numbers of photons that are done and wanted.

    Returns
    -------
    PhotonHits
        Numbers of photons are Poisson. Each hit is one photo-electron (weight 1 / `exposure`).

    Raises
    ------
    UsageError
        When a value is illegal, or no module is alive.
    """
    _check(detector, seed, oversize, exposure, n_threads)
    efficiency = np.where(detector.is_alive, detector.rel_efficiency, 0.0)
    f_max = float(angular_acceptance(np.linspace(-1.0, 1.0, 201), medium.acceptance).max())
    best = float(efficiency.max())
    mean = emitters.n_photons * (best * f_max * exposure / oversize**2)
    numbers = np.random.default_rng((seed, 1)).poisson(mean)
    modules = make_module_map(detector, oversize)
    chances = efficiency[modules.om_index] / (best * f_max)
    tasks = list(_tasks(numbers, seed))
    n_total = int(numbers.sum())
    n_done = 0
    parts: list[tuple[IntArray, FloatArray]] = []
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        columns = (emitters.xyz, emitters.direction, emitters.time)
        profile = (emitters.shape, emitters.scale, emitters.cascade_share)
        futures = [
            pool.submit(_follow, *columns, *profile, *task, medium, modules, chances)
            for task in tasks
        ]
        try:
            for task, future in zip(tasks, futures, strict=True):
                parts.append(future.result())
                n_done += int(task[1].sum())
                if report is not None:
                    report(n_done, n_total)
        finally:
            for future in futures:
                future.cancel()
    om_index = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    time = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    weight = np.full(len(time), 1.0 / exposure)
    return PhotonHits(PhotoElectrons(om_index, time, weight), n_total)


def _check(
    detector: Detector, seed: int, oversize: float, exposure: float, n_threads: int | None
) -> None:
    checks: tuple[tuple[bool, str, object, str], ...] = (
        (seed >= 0, "seed", seed, "0 or more"),
        (1.0 <= oversize <= _MAX_OVERSIZE, "oversize", oversize, f"1 to {_MAX_OVERSIZE:g}"),
        (0.0 < exposure < math.inf, "exposure", exposure, "more than 0"),
        (n_threads is None or n_threads >= 1, "threads", n_threads, "1 or more"),
        (
            bool(np.any(detector.is_alive & (detector.rel_efficiency > 0.0))),
            "detector",
            "no module that sees",
            "at least one",
        ),
    )
    for legal, place, found, wanted in checks:
        if not legal:
            raise UsageError("illegal value", place=place, found=found, wanted=wanted)


def _tasks(numbers: IntArray, seed: int) -> Iterator[tuple[IntArray, IntArray, NDArray[np.uint64]]]:
    """Split photons among calls of the kernel: emitters, photons of each, states of chance."""
    rows: list[int] = []
    counts: list[int] = []
    states: list[NDArray[np.uint64]] = []
    for row in np.flatnonzero(numbers):
        left, piece = int(numbers[row]), 0
        while left > 0:
            n = min(left, _PIECE)
            rows.append(int(row))
            counts.append(n)
            states.append(make_state(seed, 0, int(row), piece))
            left, piece = left - n, piece + 1
            if sum(counts) >= _PIECE:
                yield np.array(rows), np.array(counts), np.array(states)
                rows, counts, states = [], [], []
    if rows:
        yield np.array(rows), np.array(counts), np.array(states)


@kernel
def _follow(
    xyz: FloatArray,
    axis: FloatArray,
    start_time: FloatArray,
    shape: FloatArray,
    scale: FloatArray,
    cascade_share: FloatArray,
    rows: IntArray,
    numbers: IntArray,
    states: NDArray[np.uint64],
    medium: Medium,
    modules: ModuleMap,
    chances: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """Follow the photons of some emitters; return modules and times of the hits."""
    om_index, time = np.empty(256, np.int64), np.empty(256)
    n_hits = 0
    n, at, left = np.empty(3), np.empty(4), np.empty(1)
    before, old = np.empty(4), np.empty(3)
    found, seen = np.empty((modules.om_index.size, 2)), np.empty((2 * modules.om_index.size, 2))
    for k in range(rows.size):
        row, state = rows[k], states[k]
        for _ in range(numbers[k]):
            w = int(uniform(state) * medium.slices.shape[0])
            depth = depth_of_emission(shape[row], scale[row], state)
            is_bare = uniform(state) >= cascade_share[row]
            emit(n, axis[row], medium.slices[w, 1], is_bare, state)
            for i in range(3):
                at[i] = xyz[row, i] + depth * axis[row, i]
            at[3] = start_time[row] + depth / LIGHT_SPEED
            latest = at[3] + MAX_TIME
            left[0] = -math.log(uniform(state))
            while True:
                before[:] = at
                old[:] = n
                end, _ = fly(at, n, w, 1.0, left, medium, state)
                n_seen = _look(
                    before, at, old, medium.slices[w, 0], medium.acceptance, modules, chances,
                    found, seen, state,
                )  # fmt: skip
                for hit in range(n_seen):
                    if n_hits == time.size:
                        om_index = np.concatenate((om_index, om_index))
                        time = np.concatenate((time, time))
                    om_index[n_hits], time[n_hits] = int(seen[hit, 0]), seen[hit, 1]
                    n_hits += 1
                if end == ABSORBED or at[3] > latest:
                    break
                scatter(n, medium.f_liu, state)
    return om_index[:n_hits].copy(), time[:n_hits].copy()


@kernel
def _look(
    start: FloatArray,
    end: FloatArray,
    direction: FloatArray,
    slowness: float,
    acceptance: FloatArray,
    modules: ModuleMap,
    chances: FloatArray,
    found: FloatArray,
    seen: FloatArray,
    state: NDArray[np.uint64],
) -> int:
    """Let modules see a photon between two scatters.

    Parameters
    ----------
    start, end : ndarray, shape (4,)
        Places [m] and times [ns]; `start` is used up.
    direction : ndarray, shape (3,)
        Direction at the start; used up.
    slowness : float
        Inverse of the group velocity [ns/m].
    acceptance : ndarray
        Angular acceptance of modules.
    modules : ModuleMap
        The modules.
    chances : ndarray, shape (n,)
        Probability per module and unit of angular acceptance that a hit counts.
    found, seen : ndarray, shape (n, 2)
        Scratch; written: rows of modules in the detector and times [ns].
    state : ndarray of uint64, shape (4,)
        Random numbers.

    Returns
    -------
    int
        How many saw it.
    """
    half = 0.5 * (end[3] - start[3]) / slowness
    x, y, z = 0.5 * (start[0] + end[0]), 0.5 * (start[1] + end[1]), 0.5 * (start[2] + end[2])
    if half <= 0.0 or is_far(x, y, z, half, modules):
        return 0
    n_seen = 0
    for _ in range(2):
        n_found = leg_hits(start, direction, half, modules, found)
        for hit in range(n_found):
            module = int(found[hit, 0])
            if uniform(state) < accept(direction[2], acceptance) * chances[module]:
                seen[n_seen, 0] = modules.om_index[module]
                seen[n_seen, 1] = start[3] + found[hit, 1] * slowness
                n_seen += 1
        # The second leg goes from the middle of the path to where the photon ends up.
        for i in range(3):
            start[i] += half * direction[i]
            direction[i] = (end[i] - start[i]) / half
        start[3] += half * slowness
    return n_seen
