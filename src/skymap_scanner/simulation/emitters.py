r"""Where photons start: cascades with their longitudinal development, and stretches of bare muon.

These are the sources of `photon_by_photon`, in which light keeps its true geometry. `sources` has
the same light as points, for models that know only those.

References
----------
.. [1] L. Rädel and C. Wiebusch, Astropart. Phys. 38 (2012) 53 (muons) and 44 (2013) 102 (cascades)
.. [2] G. Marsaglia and W. W. Tsang, ACM Trans. Math. Softw. 26 (2000) 363,
   :doi:`10.1145/358407.358414`: gamma deviates
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.chance import normal_pair, uniform
from skymap_scanner.light.optics import (
    PHOTONS_PER_GEV,
    PHOTONS_PER_METRE,
    cascade_length,
)
from skymap_scanner.simulation.cross_sections import PROCESSES
from skymap_scanner.simulation.sources import draw_hadronic_light, muon_stretches
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from skymap_scanner.simulation.muon import MuonPassage
    from skymap_scanner.simulation.sources import Track
    from skymap_scanner.units import FloatArray

__all__ = ["Emitters", "cascade_emitters", "depth_of_emission", "muon_emitters"]

#: Directions may be this far from unit length.
_UNIT_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Emitters:
    """Pieces of an event that shine, in columns.

    Attributes
    ----------
    xyz : ndarray, shape (n, 3)
        Where each begins [m].
    time : ndarray, shape (n,)
        When the particle is there [ns].
    direction : ndarray, shape (n, 3)
        Unit vector of travel.
    n_photons : ndarray, shape (n,)
        Mean number of photons, weighted with the wavelength acceptance of modules, before their
        efficiency and angular acceptance.
    shape : ndarray, shape (n,)
        Shape of the gamma distribution of the distance at which a photon starts; 0 where photons
        start evenly over a length.
    scale : ndarray, shape (n,)
        Scale of that distribution, or the length [m].
    cascade_share : ndarray, shape (n,)
        Probability that a photon has the angles of a cascade's particles, and not those of the
        exact Cherenkov cone.

    Raises
    ------
    UsageError
        When numbers are not finite, negative where that has no meaning, or directions not of
        length 1.
    """

    xyz: FloatArray
    time: FloatArray
    direction: FloatArray
    n_photons: FloatArray
    shape: FloatArray
    scale: FloatArray
    cascade_share: FloatArray

    def __post_init__(self) -> None:
        n = len(self.time)
        for field in fields(self):
            column = getattr(self, field.name)
            wanted = (n, 3) if field.name in {"xyz", "direction"} else (n,)
            if column.shape != wanted:
                raise _illegal(field.name, column.shape, f"shape {wanted}")
            if not np.all(np.isfinite(column)):
                raise _illegal(field.name, "NaN or infinity", "finite numbers")
        checks = (
            ("n_photons", self.n_photons, self.n_photons >= 0.0, "0 or more"),
            ("shape", self.shape, (self.shape == 0.0) | (self.shape >= 1.0), "0, or 1 or more"),
            ("scale", self.scale, self.scale >= 0.0, "0 or more"),
            (
                "cascade_share",
                self.cascade_share,
                (self.cascade_share >= 0.0) & (self.cascade_share <= 1.0),
                "0 to 1",
            ),
        )
        for name, column, is_legal, wanted_values in checks:
            if not np.all(is_legal):
                raise _illegal(name, float(column[~is_legal][0]), wanted_values)
        lengths = np.linalg.norm(self.direction, axis=1)
        if np.any(np.abs(lengths - 1.0) > _UNIT_TOLERANCE):
            worst = lengths[np.argmax(np.abs(lengths - 1.0))]
            raise _illegal("direction", f"length {worst:g}", "unit vectors")

    @classmethod
    def joined(cls, parts: Iterable[Emitters]) -> Emitters:
        """Return the emitters of all parts, in their order."""
        listed = list(parts)
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in listed])
                for field in fields(cls)
            )
        )


def _illegal(name: str, found: object, wanted: str) -> UsageError:
    return UsageError("illegal value", place=f"emitters: {name}", found=found, wanted=wanted)


def cascade_emitters(
    track: Track, distance: FloatArray, energy: FloatArray, *, light: FloatArray | None = None
) -> Emitters:
    """Return cascades along a track.

    Parameters
    ----------
    track : Track
        Start, time and direction.
    distance : ndarray, shape (n,)
        Where each begins, from the start of the track [m].
    energy : ndarray, shape (n,)
        Its energy, which sets its length [GeV].
    light : ndarray, shape (n,), optional
        For hadronic cascades: the energy of an electromagnetic one with as much light [GeV].
        Without it cascades are electromagnetic.

    Returns
    -------
    Emitters
        Photons are spread along each by the gamma distribution of `optics.cascade_length`.
    """
    own = np.asarray(energy, dtype=np.float64)
    shape, scale = cascade_length(own, hadronic=light is not None)
    where = np.asarray(distance, dtype=np.float64)
    bright = own if light is None else np.asarray(light, dtype=np.float64)
    return Emitters(
        xyz=track.at(where),
        time=track.start_time + where / LIGHT_SPEED,
        direction=np.tile(track.direction, (len(where), 1)),
        n_photons=PHOTONS_PER_GEV * bright,
        shape=np.asarray(shape),
        scale=np.full(len(where), scale),
        cascade_share=np.ones(len(where)),
    )


def muon_emitters(track: Track, passage: MuonPassage, rng: np.random.Generator) -> Emitters:
    """Return a muon and all its losses.

    Parameters
    ----------
    track : Track
        Where the muon starts; distances in `passage` count from there.
    passage : MuonPassage
        Energies and losses along the way.
    rng : numpy.random.Generator
        Source of chance: hadronic cascades differ in their light. With a generator in the same
        state `sources.muon_sources` draws the same light.

    Returns
    -------
    Emitters
        Stretches of the muon itself (`sources.muon_stretches`), which shine evenly on the exact
        Cherenkov cone; the share of light that comes from its secondaries below 0.5 GeV has the
        angles of a cascade. Then the losses one by one.
    """
    edges, factor = muon_stretches(passage)
    length = np.diff(edges)
    bare = Emitters(
        xyz=track.at(edges[:-1]),
        time=track.start_time + edges[:-1] / LIGHT_SPEED,
        direction=np.tile(track.direction, (len(length), 1)),
        n_photons=PHOTONS_PER_METRE * factor * length,
        shape=np.zeros(len(length)),
        scale=length,
        cascade_share=1.0 - 1.0 / factor,
    )
    nuclear = passage.loss_process == PROCESSES.index("nuclear")
    hadrons = passage.loss_energy[nuclear]
    return Emitters.joined(
        [
            bare,
            cascade_emitters(track, passage.loss_distance[~nuclear], passage.loss_energy[~nuclear]),
            cascade_emitters(
                track,
                passage.loss_distance[nuclear],
                hadrons,
                light=draw_hadronic_light(hadrons, rng),
            ),
        ]
    )


_THIRD: Final = 1.0 / 3.0


@kernel
def depth_of_emission(shape: float, scale: float, state: NDArray[np.uint64]) -> float:
    """Draw how far along an emitter a photon starts [m]: gamma distribution, even for shape 0."""
    if shape == 0.0:
        return scale * uniform(state)
    d = shape - _THIRD
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, _ = normal_pair(state)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        if math.log(uniform(state)) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
            return scale * d * v
