"""How an event's modules see tracks: which sources and modules are paired, and their light.

The light model's networks are the expensive part. They are evaluated once for each position of the
track (`Viewer.see`); a shift in time only moves the bins (`Viewer.fill`). Modules without pulses
are most of the pairs and need no times; those far from the track share a sum that varies slowly
along it, which is worked out at a few places and interpolated. Most pairs are so far apart that
hardly any light gets from one to the other; some of them may stand for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.light.inputs import Pairs, source_inputs
from skymap_scanner.light.mixture import N_COMPONENTS
from skymap_scanner.light.network import log_fluence_of_parts, mixtures_of_parts, source_part
from skymap_scanner.recos.likelihood.response import (
    CHARGE,
    SOFTENING,
    Modules,
    SeenLight,
    fill_response,
    reach_pairs,
)
from skymap_scanner.recos.likelihood.thinning import faint_weights
from skymap_scanner.recos.minimise.products import matrix_vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.event.pulses import BoolArray
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.recos.likelihood.segments import SegmentedLine
    from skymap_scanner.recos.likelihood.time_bins import TimedModules
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = ["LineLight", "Sight", "Viewer"]

#: Light counts so far at least [m], and as far as one cascade with all light of the event, shining
#: to all sides, is expected to give a module this much [PE]; noise gives 0.003 PE in a readout.
REACH: Final = 300.0
_LEAST_SEEN: Final = 0.03
#: Unhit modules farther from the track than this share a sum ...
_FAR: Final = 60.0
#: ... that is worked out at places this far apart, or at every source [m].
_NODES: Final = 25.0


class DarkPairs(NamedTuple):
    """Sources, or places, and dark modules.

    Attributes
    ----------
    source, om : ndarray of int, shape (n_pair,)
        Their numbers.
    weight : ndarray, shape (n_pair,)
        How much more light than its own each stands for.
    """

    source: IntArray
    om: IntArray
    weight: FloatArray

    def only(self, chosen: IntArray, n_source: int) -> DarkPairs:
        """Return the pairs of some of the sources, renumbered; `chosen` ascends."""
        pairs, is_kept = _renumbered((self.source, self.om), chosen, n_source)
        return DarkPairs(*pairs, self.weight[is_kept])


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Which sources and modules are paired while a track of one direction is fitted.

    Attributes
    ----------
    timed : tuple of ndarray
        Sources and timed modules.
    near, far : DarkPairs
        Sources and near dark modules, places and far ones.
    nodes : ndarray, shape (n_node,)
        Those places along the track [m].
    spread : ndarray, shape (n_source, n_node)
        Matrix that interpolates from there to the sources.
    """

    timed: tuple[IntArray, IntArray]
    near: DarkPairs
    far: DarkPairs
    nodes: FloatArray
    spread: FloatArray

    def only(self, chosen: IntArray) -> Sight:
        """Return the pairs of some of the sources, renumbered; `chosen` ascends."""
        n_source, n_node = self.spread.shape
        timed, _ = _renumbered(self.timed, chosen, n_source)
        needed = np.flatnonzero(self.spread[chosen].any(axis=0))
        near, far = self.near.only(chosen, n_source), self.far.only(needed, n_node)
        spread = self.spread[np.ix_(chosen, needed)]
        return Sight(timed, near, far, self.nodes[needed], spread)


@dataclass(frozen=True, slots=True, eq=False)
class LineLight:
    """Light of a track at some position, whatever its time."""

    light: SeenLight
    pairs: Pairs
    response: FloatArray
    column: FloatArray

    def only(self, chosen: IntArray) -> LineLight:
        """Return the light of some of the sources, renumbered; `chosen` ascends."""
        pairs = self.pairs
        (source, om), is_kept = _renumbered(
            (pairs.source_index, pairs.om_index), chosen, len(self.column)
        )
        return LineLight(
            SeenLight(self.light.log_fluence[is_kept], self.light.mixture[is_kept]),
            Pairs(pairs.source[chosen], pairs.om, pairs.direction[chosen], source, om),
            self.response[chosen],
            self.column[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """The modules of an event, and what tracks give to their bins.

    Attributes
    ----------
    model : LightModel
        Light of the sources.
    timed, dark : Modules
        Modules with bins, and those that count but have no pulse.
    bins : TimedModules
        Bins of the timed ones.
    n_row : int
        Rows of the matrix.
    n_dark_rows : int
        So many dark modules, the first, have rows of their own, the last ones of the matrix; the
        others only add to the column sums.
    faint : float
        Pairs of sources and dark modules without rows are faint if they are farther apart [m].
    softening : float
        Width within which delays go to zero [ns].
    reach : float
        No light from sources farther than this [m].
    """

    model: LightModel
    timed: Modules
    dark: Modules
    bins: TimedModules
    n_row: int
    n_dark_rows: int = 0
    faint: float = math.inf
    softening: float = SOFTENING
    reach: float = REACH

    def reach_for(self, centre: FloatArray, charge: float) -> float:
        """Return how far light counts in an event [m].

        Parameters
        ----------
        centre : ndarray, shape (3,)
            Where its light comes from [m].
        charge : float
            Charge of all modules [PE].
        """
        distance, light = [], []
        for modules in (self.timed, self.dark):
            om = np.arange(len(modules.efficiency))
            chosen = (np.zeros(len(om), np.int64), om)
            fluence = np.zeros(len(om))
            for direction in np.vstack([np.eye(3), -np.eye(3)]):
                source = _Sources(self.model, centre[np.newaxis], direction)
                fluence += np.exp(source.log_fluence(source.pairs(modules, chosen), modules))
            light.append(modules.efficiency * fluence)
            distance.append(np.linalg.norm(modules.place[:, :3] - centre, axis=1))
        part = np.concatenate(light)
        is_seen = charge * part >= _LEAST_SEEN * part.sum()
        return max(REACH, float(np.concatenate(distance)[is_seen].max(initial=0.0)))

    def sight(self, line: SegmentedLine, at: FloatArray) -> Sight:
        """Pair sources and modules for tracks near one.

        Parameters
        ----------
        line : SegmentedLine
            The sources.
        at : ndarray, shape (3,)
            The track.

        Returns
        -------
        Sight
        """
        foot = line.point(at, 0.0)[0]
        timed_along, timed_distance = _from_line(self.timed.place, foot, line.direction)
        timed = reach_pairs(line.along, timed_along, timed_distance, self.reach)
        along, distance = _from_line(self.dark.place, foot, line.direction)
        nodes, spread = _nodes(line.along)
        is_far = distance > _FAR
        is_far[: self.n_dark_rows] = False
        # a distance beyond reach leaves a module out
        near = self._thinned(line.along, along, np.where(is_far, np.inf, distance))
        far = self._thinned(nodes, along, np.where(is_far, distance, np.inf))
        return Sight(timed, near, far, nodes, spread)

    def _thinned(self, along: FloatArray, om_along: FloatArray, distance: FloatArray) -> DarkPairs:
        """Pair places along a track with dark modules; of faint pairs some stand for all."""
        source, om = reach_pairs(along, om_along, distance, self.reach)
        if self.faint >= self.reach:
            return DarkPairs(source, om, np.ones(len(source)))
        offset = along[source] - om_along[om]
        apart = np.sqrt(offset**2 + distance[om] ** 2)
        weight = faint_weights(source, om, apart, self.faint, self.n_dark_rows)
        is_kept = weight > 0.0
        return DarkPairs(source[is_kept], om[is_kept], weight[is_kept])

    def see(self, line: SegmentedLine, at: FloatArray, sight: Sight) -> LineLight:
        """Evaluate the networks for one position of the track (its time does not matter).

        Parameters
        ----------
        line : SegmentedLine
            The sources.
        at : ndarray, shape (3,)
            The track.
        sight : Sight
            The pairs, those of this or a near track.

        Returns
        -------
        LineLight
        """
        ends = _Sources(self.model, line.xyz(at), line.direction)
        pairs = ends.pairs(self.timed, sight.timed)
        light = SeenLight(ends.log_fluence(pairs, self.timed), ends.mixtures(pairs, self.timed))

        response = np.zeros((len(line.along), self.n_row))
        charge = self._dark_charge(ends, sight.near)
        source, dark, _ = sight.near
        has_row = dark < self.n_dark_rows
        first = self.n_row - self.n_dark_rows
        response[source[has_row], first + dark[has_row]] = charge[has_row]
        column = _sums(source[~has_row], charge[~has_row], len(line.along))
        foot = line.point(at, 0.0)[0]
        places = foot + sight.nodes[:, np.newaxis] * line.direction
        at_nodes = _Sources(self.model, places, line.direction)
        charge = self._dark_charge(at_nodes, sight.far)
        total = _sums(sight.far.source, charge, len(sight.nodes))
        column += np.maximum(matrix_vector(sight.spread, total), 0.0)
        return LineLight(light, pairs, response, column)

    def fill(
        self, seen: LineLight, line: SegmentedLine, at: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return response (n_source, n_row) and column sums (n_source,) at one time [PE/GeV]."""
        response, column = seen.response.copy(), seen.column.copy()
        fill_response(
            seen.light,
            seen.pairs,
            line.times(at),
            self.timed.efficiency,
            self.bins,
            self.softening,
            response,
            column,
        )
        return response, column

    def _dark_charge(self, sources: _Sources, chosen: DarkPairs) -> FloatArray:
        """Return the expected charge of pairs with dark modules, and of what they stand for."""
        pairs = sources.pairs(self.dark, (chosen.source, chosen.om))
        fluence = np.exp(sources.log_fluence(pairs, self.dark))
        return np.asarray(CHARGE * chosen.weight * self.dark.efficiency[chosen.om] * fluence)


class _Sources:
    """Sources of one direction, with what the networks want to know of them alone."""

    def __init__(self, model: LightModel, xyz: FloatArray, direction: FloatArray) -> None:
        self._model = model
        height = model.ice.effective_z(xyz)
        self._place = np.ascontiguousarray(np.column_stack([xyz, height]))
        # a copy: for an array that cannot be written to kernels would be compiled once more
        self._direction = np.array(np.broadcast_to(direction, xyz.shape))
        self._inputs = source_inputs(height, self._direction, model.tables)
        self._charge = source_part(model.weights.charge, self._inputs)

    def pairs(self, modules: Modules, chosen: tuple[IntArray, IntArray]) -> Pairs:
        """Return pairs of these sources with modules."""
        return Pairs(self._place, modules.place, self._direction, *chosen)

    def log_fluence(self, pairs: Pairs, modules: Modules) -> FloatArray:
        """Return the logarithm of the accepted fluence per photon of some pairs [1/m^2]."""
        result = np.empty(len(pairs.source_index))
        tables, layers = self._model.tables, self._model.weights.charge
        log_fluence_of_parts(pairs, tables, layers, self._charge, modules.charge, result)
        return result

    def mixtures(self, pairs: Pairs, modules: Modules) -> Float32Array:
        """Return the raw mixtures of delays of some pairs, shape (n_pair, 12)."""
        result = np.empty((len(pairs.source_index), 3 * N_COMPONENTS), np.float32)
        tables, layers = self._model.tables, self._model.weights.time
        parts = (source_part(layers, self._inputs).hidden, modules.time.hidden)
        mixtures_of_parts(pairs, tables, layers, parts, result)
        return result


def _nodes(along: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return places along a track, and the matrix that interpolates from there to its sources.

    Each source takes the cubic polynomial through the four places next to it: some of the sources
    need some of the places only.
    """
    n_node = int(np.ceil((along[-1] - along[0]) / _NODES)) + 1
    if not 4 <= n_node < len(along):
        return along, np.eye(len(along))
    nodes = np.linspace(along[0], along[-1], n_node)
    place = (along - nodes[0]) / (nodes[1] - nodes[0])
    first = np.clip(np.floor(place).astype(np.int64) - 1, 0, n_node - 4)
    t = place - first
    weights = np.array(
        [
            (t - 1.0) * (t - 2.0) * (t - 3.0) / -6.0,
            t * (t - 2.0) * (t - 3.0) / 2.0,
            t * (t - 1.0) * (t - 3.0) / -2.0,
            t * (t - 1.0) * (t - 2.0) / 6.0,
        ]
    )
    spread = np.zeros((len(along), n_node))
    spread[np.arange(len(along)), first + np.arange(4)[:, np.newaxis]] = weights
    return nodes, spread


def _sums(number: IntArray, charge: FloatArray, n: int) -> FloatArray:
    """Return the charge of each of n sources, 0 without pairs."""
    return np.asarray(np.bincount(number, charge, n), dtype=np.float64)


def _renumbered(
    pairs: tuple[IntArray, IntArray], chosen: IntArray, n_source: int
) -> tuple[tuple[IntArray, IntArray], BoolArray]:
    """Return the pairs of some of the sources, these renumbered, and which pairs they are."""
    number = np.full(n_source, -1, dtype=np.int64)
    number[chosen] = np.arange(len(chosen))
    source = number[pairs[0]]
    is_kept = source >= 0
    return (source[is_kept], pairs[1][is_kept]), is_kept


def _from_line(
    place: FloatArray, foot: FloatArray, direction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far along a line modules are from its foot, and how far from the line [m]."""
    x, y, z = (place[:, :3] - foot).T
    along = x * direction[0] + y * direction[1] + z * direction[2]
    return along, np.sqrt(np.maximum(x * x + y * y + z * z - along**2, 0.0))
