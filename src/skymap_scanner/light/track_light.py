r"""When the light of a long track arrives: the sum over its length, and a network that learned it.

A track that shines everywhere alike stands for a muon with all its secondaries and losses, in the
mean. A module sees light of every metre of it. The earliest is that which leaves where the line to
the module makes the angle :math:`\arccos(1/n)` with the track, n being the group index `N_REF` of
the fastest light; delays count from it and are never negative. That point is the *source* of a pair
of track and module, and the track's direction its axis: so the network of the track is told the
same numbers as those of a cascade (`skymap_scanner.light.inputs`), and answers, as the network of a
cascade's times does, with a mixture of logistic distributions (`skymap_scanner.light.mixture`).

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.inputs import Pairs, om_inputs, pair_inputs, source_inputs
from skymap_scanner.light.mixture import cumulative
from skymap_scanner.light.network import mixtures
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.trained_volume import MAX_RADIUS, OM_Z, SOURCE_Z, ExtrapolationWarning
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.network import Layers
    from skymap_scanner.units import FloatArray

__all__ = [
    "COS_EMISSION",
    "SIN_EMISSION",
    "TAN_EMISSION",
    "TrackPairs",
    "draw_track_pairs",
    "emission_points",
    "network_of_tracks",
    "summed_cdf",
    "track_cdf",
    "track_inputs",
    "track_mixtures",
]

#: Angle between a track and the fastest light of it that reaches a module.
COS_EMISSION: Final = 1.0 / N_REF
SIN_EMISSION: Final = math.sqrt(1.0 - COS_EMISSION**2)
TAN_EMISSION: Final = SIN_EMISSION / COS_EMISSION
#: Distances of direct light that are drawn [m]; the light model knows no more.
_DISTANCES: Final = (1.0, 480.0)
#: Sources of the sum, and how much of the track they cover before the point of emission and behind
#: the closest approach [m].
_N_SOURCES: Final = 96
_REACH: Final = 450.0
#: Steps of the sum at the point of emission: this share of the usual ones, in asinh(s/D).
_FINE: Final = 0.4
#: Tracks and modules whose sums are worked out at once.
_BLOCK: Final = 128


@dataclass(frozen=True, slots=True, eq=False)
class TrackPairs:
    """Pairs of a track and a module; all arrays of shape (n, 3).

    Attributes
    ----------
    emission : ndarray
        Where the fastest light to the module leaves the track [m].
    direction : ndarray
        Unit vectors along which the tracks go.
    om_xyz : ndarray
        Modules [m].
    """

    emission: FloatArray
    direction: FloatArray
    om_xyz: FloatArray

    def part(self, first: int, last: int) -> TrackPairs:
        """Return the pairs from number `first` to before number `last`."""
        rows = slice(first, last)
        return TrackPairs(self.emission[rows], self.direction[rows], self.om_xyz[rows])


def emission_points(point: FloatArray, direction: FloatArray, om_xyz: FloatArray) -> FloatArray:
    """Return where on tracks the fastest light to modules leaves them.

    Parameters
    ----------
    point, direction : ndarray, shape (..., 3)
        A point of each track [m] and the unit vector along which it goes.
    om_xyz : ndarray, shape (..., 3)
        Modules [m].

    Returns
    -------
    ndarray, shape (..., 3)
        Points [m].
    """
    relative = om_xyz - point
    along = np.sum(relative * direction, axis=-1, keepdims=True)
    rho = np.linalg.norm(relative - along * direction, axis=-1, keepdims=True)
    return np.asarray(point + (along - rho / TAN_EMISSION) * direction)


def draw_track_pairs(n: int, rng: np.random.Generator) -> TrackPairs:
    """Draw tracks of all directions and modules anywhere in the detector.

    Half of the distances of direct light are even in the logarithm, half of them in metres; points
    of emission lie at heights at which light models are trained.

    Parameters
    ----------
    n : int
        How many pairs.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    TrackPairs
    """
    low, high = _DISTANCES
    kept: list[FloatArray] = []
    n_kept = 0
    while n_kept < n:
        u = rng.random((2 * n, 8))
        distance = np.where(
            u[:, 0] < 0.5, low * (high / low) ** u[:, 1], low + (high - low) * u[:, 1]
        )
        radius, angle = MAX_RADIUS * np.sqrt(u[:, 2]), 2.0 * np.pi * u[:, 3]
        z = OM_Z[0] + (OM_Z[1] - OM_Z[0]) * u[:, 4]
        om_xyz = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
        direction = _unit(2.0 * u[:, 5] - 1.0, 2.0 * np.pi * u[:, 6])
        across = np.cross(direction, np.roll(direction, 1, axis=1))
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        turn = (2.0 * np.pi * u[:, 7])[:, None]
        normal = np.cos(turn) * across + np.sin(turn) * np.cross(direction, across)
        light = COS_EMISSION * direction + SIN_EMISSION * normal
        emission = om_xyz - distance[:, None] * light
        inside = (emission[:, 2] >= SOURCE_Z[0]) & (emission[:, 2] <= SOURCE_Z[1])
        kept.append(np.stack([emission, direction, om_xyz])[:, inside])
        n_kept += int(np.count_nonzero(inside))
    return TrackPairs(*np.concatenate(kept, axis=1)[:, :n])


def _unit(cosine: FloatArray, azimuth: FloatArray) -> FloatArray:
    sine = np.sqrt(1.0 - cosine**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)


def summed_cdf(
    model: LightModel, pairs: TrackPairs, edges: FloatArray, *, n_sources: int = _N_SOURCES
) -> FloatArray:
    """Fraction of a track's light that has come by some delays: the sum over sources along it.

    Sources lie close together where the fastest light leaves the track, for emission changes fast
    with the angle there.

    Parameters
    ----------
    model : LightModel
        Light of the sources.
    pairs : TrackPairs
        Tracks and modules.
    edges : ndarray, shape (n_edge,)
        Delays after the fastest light [ns].
    n_sources : int
        Sources per track.

    Returns
    -------
    ndarray, shape (n, n_edge)
        Fractions.
    """
    result = np.empty((len(pairs.emission), edges.size))
    y = (np.arange(n_sources) + 0.5) * 2.0 / n_sources - 1.0
    for first in range(0, len(result), _BLOCK):
        part = pairs.part(first, first + _BLOCK)
        distance = np.linalg.norm(part.om_xyz - part.emission, axis=1)[:, None]
        reach = np.where(y < 0.0, _REACH, _REACH + COS_EMISSION * distance)
        cubic = np.arcsinh(reach / distance) - _FINE
        x = y * (_FINE + cubic * y**2)
        place = distance * np.sinh(x)
        length = distance * np.cosh(x) * (_FINE + 3.0 * cubic * y**2)
        source = part.emission[:, None] + place[..., None] * part.direction[:, None]
        ways = np.linalg.norm(part.om_xyz[:, None] - source, axis=2) - distance
        later = (place + N_REF * ways) / LIGHT_SPEED
        towards = source, part.direction[:, None], part.om_xyz[:, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            charge = length * model.expected_charge(*towards)
            cdf = model.time_cdf(*towards, edges - later[..., None])
        result[first : first + _BLOCK] = np.einsum("ns,nse->ne", charge, cdf)
        result[first : first + _BLOCK] /= charge.sum(axis=1)[:, None]
    return result


def network_of_tracks(model: LightModel) -> Layers:
    """Return the network of a light model that knows when the light of a track arrives.

    Raises
    ------
    UsageError
        When the model has none.
    """
    if model.weights.track is None:
        raise UsageError(
            "the light model has no network of tracks",
            found=model.label,
            wanted="one that `skymap-scanner light make` of this version wrote",
        )
    return model.weights.track


def _as_pairs(model: LightModel, pairs: TrackPairs) -> Pairs:
    n = len(pairs.emission)
    effective = model.ice.effective_z
    return Pairs(
        np.column_stack([pairs.emission, effective(pairs.emission)]),
        np.column_stack([pairs.om_xyz, effective(pairs.om_xyz)]),
        np.ascontiguousarray(pairs.direction),
        np.arange(n),
        np.arange(n),
    )


def track_inputs(model: LightModel, pairs: TrackPairs) -> NDArray[np.float32]:
    """Return what the network of the track is told, shape (n, n_input)."""
    ends = _as_pairs(model, pairs)
    tables = model.tables
    return np.concatenate(
        [
            pair_inputs(ends, tables)[0],
            source_inputs(np.ascontiguousarray(ends.source[:, 3]), ends.direction, tables),
            om_inputs(np.ascontiguousarray(ends.om[:, 3]), tables),
        ],
        axis=1,
    )


def track_cdf(
    model: LightModel, pairs: TrackPairs, edges: FloatArray, layers: Layers | None = None
) -> FloatArray:
    """Fraction of a track's light that has come by some delays, from the network.

    Parameters
    ----------
    model : LightModel
        Light model with a network of tracks.
    pairs : TrackPairs
        Tracks and modules.
    edges : ndarray, shape (n_edge,)
        Delays after the fastest light [ns].
    layers : Layers, optional
        Another network than that of the model.

    Returns
    -------
    ndarray, shape (n, n_edge)
        Fractions, 0 for negative delays.

    Raises
    ------
    UsageError
        When the model has no network of tracks.
    """
    raw = track_mixtures(model, pairs, layers)
    result = np.empty((len(raw), edges.size), np.float32)
    log_time = np.log(np.maximum(edges, 0.0) + TIME_OFFSET).astype(np.float32)
    cumulative(raw, log_time[None], result)
    return np.where(edges < 0.0, 0.0, result.astype(np.float64))


def track_mixtures(
    model: LightModel, pairs: TrackPairs, layers: Layers | None = None
) -> NDArray[np.float32]:
    """Return the raw answers of the network of tracks, shape (n, 12); see `track_cdf`."""
    network = network_of_tracks(model) if layers is None else layers
    ends, tables = _as_pairs(model, pairs), model.tables
    source_in = source_inputs(np.ascontiguousarray(ends.source[:, 3]), ends.direction, tables)
    om_in = om_inputs(np.ascontiguousarray(ends.om[:, 3]), tables)
    raw = np.empty((len(ends.source), network.last_bias.size), np.float32)
    mixtures(ends, tables, network, source_in, om_in, raw)
    return raw
