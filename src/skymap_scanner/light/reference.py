"""Light of sources never trained on, simulated with other random numbers: what models are held to.

Sources are simulated several times over: the differences between the repeats are the true
statistical errors, which scores of one photon in several cells make larger than a count of scores
suggests.
"""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.cells import N_CELLS
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.propagation import SIMULATION, TIME_EDGES, propagate
from skymap_scanner.light.work_folder import claim, read_stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.production import Sources
    from skymap_scanner.units import FloatArray

__all__ = ["ReferenceLight", "simulate_reference"]

#: Fraction of absorption that is sampled.
_KILL: Final = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceLight:
    """Simulated light of one source.

    Attributes
    ----------
    xyz, direction : ndarray, shape (3,)
        The source.
    halves : ndarray, shape (2, n_cells)
        Accepted light per photon and area [1/m^2], of each half of the repeats.
    error : ndarray, shape (n_cells,)
        Statistical error of their mean [1/m^2].
    times : ndarray, shape (n_cells, n_bins)
        Fractions of light per bin of delay.
    n_times : ndarray, shape (n_cells,)
        Scores that the times are worth.
    """

    xyz: FloatArray
    direction: FloatArray
    halves: FloatArray
    error: FloatArray
    times: FloatArray
    n_times: FloatArray

    @property
    def fluence(self) -> FloatArray:
        """Accepted light per photon and area [1/m^2], shape (n_cells,)."""
        return np.asarray(self.halves.mean(axis=0))

    @classmethod
    def read(cls, path: Path) -> ReferenceLight:
        """Read a file of `simulate_reference`.

        Raises
        ------
        FormatError
            When it is damaged.
        """
        arrays = read_stage(path, cls.__slots__)
        return cls(*(arrays[name].astype(np.float64) for name in cls.__slots__))


def simulate_reference(
    folder: Path,
    sources: Sources,
    ice: IceModel,
    *,
    n_photons: int,
    n_repeats: int = 10,
    seed: int,
    n_threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> list[ReferenceLight]:
    """Simulate sources, one file each; files that exist are kept.

    Parameters
    ----------
    folder : Path
        Where the files are.
    sources : Sources
        What to simulate.
    ice : IceModel
        The ice.
    n_photons, n_repeats : int
        Photons per repeat, and repeats, an even number: their differences are the errors.
    seed : int
        Seed, another one than that of the training.
    n_threads : int, optional
        Threads; all cores by default.
    report : callable, optional
        Called with the numbers of sources done and wanted.

    Returns
    -------
    list of ReferenceLight

    Raises
    ------
    UsageError
        When the repeats are not an even number, or the folder has files of other sources or
        settings.
    """
    if n_repeats < 2 or n_repeats % 2:
        raise UsageError("illegal number of repeats", found=n_repeats, wanted="2, 4, 6 ...")
    settings = {"ice": ice.name, "n_photons": n_photons, "n_repeats": n_repeats}
    claim(folder, "reference", settings | {"kill": _KILL, "seed": seed, "simulation": SIMULATION})
    medium = make_medium(ice)
    n_sources = len(sources.xyz)

    def simulate(k: int) -> Path:
        path = folder / f"source-{k:04d}.npz"
        if path.exists():
            return path
        total, squared = np.zeros((n_repeats, N_CELLS)), np.zeros(N_CELLS)
        times = np.zeros((N_CELLS, TIME_EDGES.size - 1))
        for repeat in range(n_repeats):
            record = propagate(
                sources.xyz[k],
                sources.direction[k],
                medium,
                n_photons=n_photons,
                seed=(seed, k, repeat),
                kill=_KILL,
                record_times=True,
            )
            total[repeat] = record.fluence
            squared += record.squared
            times += record.times
        light = times.sum(axis=1)
        known = np.where(light > 0, light, 1.0)
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            xyz=sources.xyz[k],
            direction=sources.direction[k],
            halves=total.reshape(2, n_repeats // 2, N_CELLS).mean(axis=1),
            error=total.std(axis=0, ddof=1) / n_repeats**0.5,
            times=(times / known[:, None]).astype(np.float32),
            n_times=light**2 / np.where(squared > 0, squared, 1.0),
        )
        write_bytes_atomically(path, buffer.getvalue())
        return path

    made: list[ReferenceLight] = []
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        for k, path in enumerate(pool.map(simulate, range(n_sources))):
            made.append(_read_own(path, sources, k))
            if report is not None:
                report(len(made), n_sources)
    return made


def _read_own(path: Path, sources: Sources, k: int) -> ReferenceLight:
    """Read a file and make sure that it is of source number `k`."""
    light = ReferenceLight.read(path)
    found, wanted = (light.xyz, light.direction), (sources.xyz[k], sources.direction[k])
    if not np.array_equal(found, wanted):
        raise UsageError(
            "reference of another source", place=str(path), found=f"{found}", wanted=f"{wanted}"
        )
    return light
