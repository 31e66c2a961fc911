"""What modules without pulses see of a track from far: a sum that is interpolated.

It varies slowly along the track, the slower the farther they are, and is worked out at a few
places. It varies slowly across the track, too: while a track moves little (`MOVED`), linearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.event.pulses import BoolArray
    from skymap_scanner.units import FloatArray

__all__ = ["FAR", "MOVED", "FarLight", "places_of_rings"]

#: Unhit modules this far from the track share a sum with all as far, up to the next distance [m].
#: They see about exp(-s^2 / 2 d^2) of the light of a source s along the track, d^2 = rho x 30 m.
_RINGS: Final = (60.0, 110.0, 180.0, 300.0)
#: The sum is worked out at places 0.6 d apart: an error of 1 % [m].
_NODES: Final = tuple(0.6 * (rho * 30.0) ** 0.5 for rho in _RINGS)
#: A track that moved farther needs another `Sight`: far light of a source is off by 0.8 % rms [m].
MOVED: Final = 5.0
#: All places of a single source are one: their distance counts as this [m].
_LEAST_STEP: Final = 1e-6
#: Modules farther from a track than this may be far ones [m].
FAR: Final = _RINGS[0]


@dataclass(frozen=True, slots=True, eq=False)
class FarLight:
    """What far dark modules see of sources along a track and its neighbours.

    Attributes
    ----------
    at : ndarray, shape (3,)
        The track.
    is_far : ndarray of bool, shape (n_dark,)
        Which modules these are; to tracks beside, the others are near.
    rings : tuple of (nodes, seen)
        Places along the track, evenly spaced, shape (n_node,) [m]; what modules of one ring see of
        sources there [PE/GeV], and how that changes with the first two parameters of the track
        [PE/GeV/m], shape (n_node, 3).
    """

    at: FloatArray
    is_far: BoolArray
    rings: tuple[tuple[FloatArray, FloatArray], ...]

    def knows(self, along: FloatArray, at: FloatArray) -> bool:
        """Tell whether all sources of a track are between the places, and the track is near."""
        moved = np.hypot(at[0] - self.at[0], at[1] - self.at[1])
        first, last = self.rings[0][0][[0, -1]]
        return bool(moved <= MOVED and first <= along[0] and along[-1] <= last)

    def of_sources(self, along: FloatArray) -> FloatArray:
        """Return what all see of sources somewhere between the places, shape (n_source, 3)."""
        return np.asarray(sum(_interpolated(*ring, along) for ring in self.rings))


def places_of_rings(
    along: FloatArray, distance: FloatArray
) -> Iterator[tuple[BoolArray, FloatArray]]:
    """Yield which modules each ring has, and the places along a track where its sum is made.

    Parameters
    ----------
    along : ndarray, shape (n_source,)
        The sources along the track [m].
    distance : ndarray, shape (n_dark,)
        Of the modules from the track, 0 for those of no ring [m].

    Yields
    ------
    tuple of ndarray
        Booleans of shape (n_dark,); places, evenly spaced from the first source to the last [m].
    """
    for (inner, outer), apart in zip(pairwise((*_RINGS, np.inf)), _NODES, strict=True):
        yield (inner < distance) & (distance <= outer), _nodes(along, apart)


def _nodes(along: FloatArray, apart: float) -> FloatArray:
    """Return evenly spaced places from the first to the last of some sources, four at least."""
    n_node = max(4, int(np.ceil((along[-1] - along[0]) / apart)) + 1)
    return np.linspace(along[0], along[-1], n_node)


def _interpolated(nodes: FloatArray, seen: FloatArray, along: FloatArray) -> FloatArray:
    """Interpolate between places by the cubic polynomial through the four next to each source."""
    place = (along - nodes[0]) / max(nodes[1] - nodes[0], _LEAST_STEP)
    first = np.clip(np.floor(place).astype(np.int64) - 1, 0, len(nodes) - 4)
    t = place - first
    weights = (
        (t - 1.0) * (t - 2.0) * (t - 3.0) / -6.0,
        t * (t - 2.0) * (t - 3.0) / 2.0,
        t * (t - 1.0) * (t - 3.0) / -2.0,
        t * (t - 1.0) * (t - 2.0) / 6.0,
    )
    return np.asarray(
        sum(weight[:, np.newaxis] * seen[first + k] for k, weight in enumerate(weights))
    )
