"""A set of simulated sources all over the detector: what the light model is trained on.

Sources are drawn from a Sobol sequence, so that any number of them covers places and directions
evenly. They are simulated in chunks, each a file of its own: a production that was stopped goes on
where it was.
"""

from __future__ import annotations

import io
import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import qmc

from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.cells import unit_vectors
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.propagation import SHELLS, SIMULATION, choose_splits, propagate
from skymap_scanner.light.work_folder import claim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from skymap_scanner.light.medium import Medium
    from skymap_scanner.units import FloatArray

__all__ = ["COLUMNS", "ProductionSettings", "Sources", "draw_sources", "produce"]

#: Heights between which sources are uniform [m], and quantiles of these heights: more of them in
#: and about the dust layer, where the light is hardest to learn.
_Z_NODES: Final = (-800.0, -620.0, -280.0, 120.0, 620.0, 800.0)
_Z_QUANTILES: Final = (0.0, 0.07, 0.32, 0.68, 0.93, 1.0)
#: Sources lie in a disc of this radius [m]: beyond the outermost strings, where tilt is known.
_DISC_RADIUS: Final = 600.0
#: Sources per file.
CHUNK: Final = 32
#: Arrays of a file: a row per cell with light, and a row per source.
_RECORD: Final = ("source", "cell", "total", "squared", "place", "delay")
COLUMNS: Final = (*_RECORD, "xyz", "direction", "splits")


@dataclass(frozen=True, slots=True)
class ProductionSettings:
    """What makes one production different from another.

    Attributes
    ----------
    ice : str
        Ice model.
    n_photons : int
        Photons per source.
    kill : float
        Fraction of absorption that is sampled.
    share : float
        Photons that should cross a shell for each that crossed the one before: with 0.9 the
        variance of light at 200 m is a third of that with 0.8, at one and a half times the cost.
    seed : int
        Seed of places, directions and photons.
    """

    ice: str = "spice_bfr-v2"
    n_photons: int = 5_000
    kill: float = 0.5
    share: float = 0.9
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Places [m] and axes of sources, each of shape (n, 3)."""

    xyz: FloatArray
    direction: FloatArray


def draw_sources(first: int, n: int, seed: int) -> Sources:
    """Return sources number `first` to ``first + n - 1`` of an endless sequence.

    Parameters
    ----------
    first, n : int
        Where to start and how many.
    seed : int
        Seed of the sequence.

    Returns
    -------
    Sources
    """
    sequence = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(seed))
    if first:  # scipy cannot go forward by nothing
        sequence.fast_forward(first)
        u = sequence.random(n)
    else:  # and warns of a start with another number of points than a power of two
        u = sequence.random_base2((n - 1).bit_length())[:n]
    radius, angle = _DISC_RADIUS * np.sqrt(u[:, 0]), 2.0 * np.pi * u[:, 1]
    cos, azimuth = 2.0 * u[:, 3] - 1.0, 2.0 * np.pi * u[:, 4]
    return Sources(
        xyz=np.stack(
            [
                radius * np.cos(angle),
                radius * np.sin(angle),
                np.interp(u[:, 2], _Z_QUANTILES, _Z_NODES),
            ],
            axis=1,
        ),
        direction=unit_vectors(cos, azimuth),
    )


def produce(
    folder: Path,
    settings: ProductionSettings,
    n_sources: int,
    *,
    n_threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Simulate the chunks of a production that are missing.

    Parameters
    ----------
    folder : Path
        Where the files are; made if missing.
    settings : ProductionSettings
        What to simulate.
    n_sources : int
        Number of sources, rounded up to whole chunks of 32.
    n_threads : int, optional
        Threads; all cores by default.
    report : callable, optional
        Called with the numbers of chunks that are done and wanted.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UsageError
        When the folder holds another production, or files of one without its settings.
    """
    claim(folder, "production", asdict(settings) | {"simulation": SIMULATION})
    medium = make_medium(IceModel.load(settings.ice))
    paths = [folder / f"chunk-{k:06d}.npz" for k in range(-(-n_sources // CHUNK))]
    missing = [(k, path) for k, path in enumerate(paths) if not path.exists()]
    n_done = len(paths) - len(missing)
    if report is not None:
        report(n_done, len(paths))
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        try:
            running = {pool.submit(_make_chunk, k, path, settings, medium) for k, path in missing}
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    n_done += 1
                    if report is not None:
                        report(n_done, len(paths))
        finally:
            for future in running:
                future.cancel()
    return paths


def _make_chunk(number: int, path: Path, settings: ProductionSettings, medium: Medium) -> None:
    sources = draw_sources(number * CHUNK, CHUNK, settings.seed)
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _RECORD}
    splits = np.empty((CHUNK, SHELLS.size), np.int64)
    for k in range(CHUNK):
        seed = (settings.seed, number * CHUNK + k)
        source = sources.xyz[k], sources.direction[k], medium
        splits[k] = choose_splits(
            *source, seed=(*seed, 1), kill=settings.kill, share=settings.share
        )
        record = propagate(
            *source,
            n_photons=settings.n_photons,
            seed=(*seed, 2),
            kill=settings.kill,
            splits=splits[k],
        )
        cell = np.flatnonzero(record.total > 0)
        columns["source"].append(np.full(cell.size, k))
        columns["cell"].append(cell)
        for name in ("total", "squared", "place", "delay"):
            columns[name].append(getattr(record, name)[cell])
    arrays: dict[str, NDArray[Any]] = {
        name: np.concatenate(parts).astype(np.int16 if name in {"source", "cell"} else np.float32)
        for name, parts in columns.items()
    }
    buffer = io.BytesIO()
    arrays |= {"xyz": sources.xyz, "direction": sources.direction, "splits": splits}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # names are ours
    write_bytes_atomically(path, buffer.getvalue())
