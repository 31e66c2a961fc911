"""How an event's modules see tracks: which sources and modules are paired, and their light.

The light model's networks are the expensive part. They are evaluated once for each position of the
track (`Viewer.see`); a shift in time only moves the bins (`Viewer.fill`). Modules without pulses
are most of the pairs and need no times; those far from the track share a sum (`far_light`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.inputs import Pairs, source_inputs
from skymap_scanner.light.mixture import N_COMPONENTS
from skymap_scanner.light.network import log_fluence_of_parts, mixtures_of_parts, source_part
from skymap_scanner.recos.likelihood.far_light import FAR, FarLight, places_of_rings
from skymap_scanner.recos.likelihood.response import (
    CHARGE,
    SOFTENING,
    Modules,
    SeenLight,
    fill_response,
    reach_pairs,
)
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
#: Step of the derivatives of far light [m].
_STEP: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Which sources and modules are paired while a track of one direction moves little.

    Attributes
    ----------
    timed, near : tuple of ndarray
        Sources and timed modules, sources and near dark ones.
    far_light : FarLight
        What far dark ones see.
    far : ndarray, shape (n_source, 3)
        The same of the sources.
    """

    timed: tuple[IntArray, IntArray]
    near: tuple[IntArray, IntArray]
    far_light: FarLight
    far: FloatArray

    def only(self, chosen: IntArray) -> Sight:
        """Return the pairs of some of the sources, renumbered; `chosen` ascends."""
        n_source = len(self.far)
        timed, _ = _renumbered(self.timed, chosen, n_source)
        near, _ = _renumbered(self.near, chosen, n_source)
        return Sight(timed, near, self.far_light, self.far[chosen])

    def far_column(self, at: FloatArray) -> FloatArray:
        """Return what far dark modules see of each source of a track near by [PE/GeV]."""
        u, v = at[:2] - self.far_light.at[:2]
        return np.maximum(matrix_vector(self.far, np.array([1.0, u, v])), 0.0)


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

    def sight(
        self,
        line: SegmentedLine,
        at: FloatArray,
        *,
        moves: bool = True,
        known: FarLight | None = None,
    ) -> Sight:
        """Pair sources and modules for tracks near one.

        Parameters
        ----------
        line : SegmentedLine
            The sources.
        at : ndarray, shape (3,)
            The track.
        moves : bool
            Whether others than this are to be seen.
        known : FarLight, optional
            Of the same direction; taken if it knows this track.

        Returns
        -------
        Sight
        """
        foot = line.point(at, 0.0)[0]
        along, distance = _from_line(self.timed.place, foot, line.direction)
        timed = reach_pairs(line.along, along, distance, self.reach)
        along, distance = _from_line(self.dark.place, foot, line.direction)
        if known is None or not known.knows(line.along, at):
            known = self._far_light(line, at, (along, distance), moves)
        # a distance beyond reach leaves a module out
        near_distance = np.where(known.is_far, np.inf, distance)
        near = reach_pairs(line.along, along, near_distance, self.reach)
        return Sight(timed, near, known, known.of_sources(line.along))

    def _far_light(
        self,
        line: SegmentedLine,
        at: FloatArray,
        where: tuple[FloatArray, FloatArray],
        moves: bool,
    ) -> FarLight:
        """Return what those dark modules see that are far from a track and have no rows.

        All of them are `where` along the track and away from it.
        """
        om_along, distance = where
        is_far = distance > FAR
        is_far[: self.n_dark_rows] = False
        rings = []
        for is_here, nodes in places_of_rings(line.along, np.where(is_far, distance, 0.0)):
            places = replace(line, along=nodes)
            pairs = reach_pairs(nodes, om_along, np.where(is_here, distance, np.inf), self.reach)
            seen = np.zeros((len(nodes), 3))
            seen[:, 0] = self._seen_of_places(places, at, pairs)
            for k in range(2 * moves):
                beside = at + _STEP * np.eye(3)[k]
                there = self._seen_of_places(places, beside, pairs)
                seen[:, 1 + k] = (there - seen[:, 0]) / _STEP
            rings.append((nodes, seen))
        return FarLight(at, is_far, tuple(rings))

    def _seen_of_places(
        self, places: SegmentedLine, at: FloatArray, pairs: tuple[IntArray, IntArray]
    ) -> FloatArray:
        """Return what dark modules see of sources at places along a track [PE/GeV]."""
        sources = _Sources(self.model, places.xyz(at), places.direction)
        return _sums(pairs[0], self._dark_charge(sources, pairs), len(places.along))

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
        source, dark = sight.near
        has_row = dark < self.n_dark_rows
        first = self.n_row - self.n_dark_rows
        response[source[has_row], first + dark[has_row]] = charge[has_row]
        column = _sums(source[~has_row], charge[~has_row], len(line.along))
        column += sight.far_column(at)
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

    def _dark_charge(self, sources: _Sources, chosen: tuple[IntArray, IntArray]) -> FloatArray:
        """Return the expected charge of pairs with dark modules."""
        pairs = sources.pairs(self.dark, chosen)
        fluence = np.exp(sources.log_fluence(pairs, self.dark))
        return np.asarray(CHARGE * self.dark.efficiency[chosen[1]] * fluence)


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
