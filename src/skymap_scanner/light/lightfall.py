"""Light that a production recorded, in memory, ready to be drawn from at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.light.cells import (
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    N_R,
    R_EDGES,
    axis_frame,
    cell_points,
    unit_vectors,
)
from skymap_scanner.light.inputs import Pairs, om_inputs, pair_inputs, source_inputs
from skymap_scanner.light.production import COLUMNS
from skymap_scanner.light.propagation import SHELLS
from skymap_scanner.light.work_folder import read_stage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.inputs import PairTables
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = ["Lightfall"]


class Lightfall:
    """Recorded light of a production, ready to be drawn from at random.

    Parameters
    ----------
    paths : dict
        Files of `production.produce` -> photons per source.
    ice : IceModel
        The ice in which it was made.
    tables : PairTables
        Tables for the inputs.
    """

    def __init__(self, paths: dict[Path, int], ice: IceModel, tables: PairTables) -> None:
        self.ice, self.tables = ice, tables
        parts: dict[str, list[NDArray[Any]]] = {}
        n_before = 0
        n_photons: list[FloatArray] = []
        for path, photons in paths.items():
            chunk = read_stage(path, COLUMNS)
            for name in COLUMNS:
                value = chunk[name]
                if name == "source":
                    value = value.astype(np.int32) + n_before
                parts.setdefault(name, []).append(value)
            n_before += len(chunk["xyz"])
            n_photons.append(np.full(len(chunk["xyz"]), float(photons)))
        #: Photons of each source.
        self.n_photons = np.concatenate(n_photons)
        columns = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
        self.xyz, self.direction = columns["xyz"], columns["direction"]
        self.frames = np.stack([axis_frame(axis) for axis in self.direction])
        #: Record of each source's cell, flat; -1 where nothing came.
        self.record = np.full(n_before * N_CELLS, -1, np.int32)
        slot: IntArray = columns["source"].astype(np.int64) * N_CELLS + columns["cell"]
        self.record[slot] = np.arange(slot.size, dtype=np.int32)
        self.slot = slot
        self.total, self.place, self.delay = columns["total"], columns["place"], columns["delay"]
        ring = columns["cell"] // (N_AZIMUTH * N_COS)
        typical = columns["squared"] / columns["total"]
        copies = _copies(columns["splits"])
        source = columns["source"].astype(np.int64)
        typical = typical * copies[source, ring]
        per_ring = np.array([np.median(typical[ring == k]) for k in range(N_R)])
        #: Size of a typical score [m] per source and ring of distance.
        self.score = per_ring / copies
        self.source = np.column_stack([self.xyz, ice.effective_z(self.xyz)])
        self.source_in = source_inputs(self.source[:, 3], self.direction, tables)

    def pairs(self, source: IntArray, om_xyz: FloatArray) -> Pairs:
        """Pair sources with as many places."""
        om = np.column_stack([om_xyz, self.ice.effective_z(om_xyz)])
        return Pairs(self.source, om, self.direction, source, np.arange(source.size))

    def inputs(self, source: IntArray, om_xyz: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Return inputs of pairs and logarithms of light lost to distance, (n, n_inputs), (n,)."""
        pairs = self.pairs(source, om_xyz)
        pair_in, falling = pair_inputs(pairs, self.tables)
        om_in = om_inputs(np.ascontiguousarray(pairs.om[:, 3]), self.tables)
        return np.concatenate([pair_in, self.source_in[source], om_in], axis=1), falling

    def random_places(
        self, source: IntArray, cell: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw places uniform in cells, in detector coordinates [m], shape (n, 3)."""
        r, cosine, azimuth = cell_points(cell, rng.random((cell.size, 3)))
        local = unit_vectors(cosine, azimuth)
        relative = np.einsum("nk,nkj->nj", local, self.frames[source])
        return np.asarray(self.xyz[source] + r[:, None] * relative)


def _copies(splits: IntArray) -> FloatArray:
    """Return how many copies of a photon there are in each ring, shape (n_source, n_r)."""
    made = np.cumprod(np.column_stack([np.ones(len(splits)), splits]), axis=1)
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    return np.asarray(made[:, np.searchsorted(SHELLS, middle)])
