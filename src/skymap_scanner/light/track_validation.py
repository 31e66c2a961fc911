"""Compare the network of tracks with sums along tracks that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.track_light import draw_track_pairs, summed_cdf, track_cdf
from skymap_scanner.light.validation import DUST, RANGES

if TYPE_CHECKING:
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.network import Layers

__all__ = ["TrackAgreement", "compare_tracks"]

#: Seed of the pairs; those of the training come from other ones.
_SEED: Final = 8191
#: Delays at which distributions are compared [ns].
_DELAYS: Final = np.exp(np.linspace(np.log(TIME_OFFSET), np.log(8000.0), 97)[1:]) - TIME_OFFSET
#: Sources per track, twice as many as are learned from.
_N_SOURCES: Final = 192


@dataclass(frozen=True, slots=True)
class TrackAgreement:
    """Largest distances of cumulative distributions, in one range of distance and kind of ice.

    Attributes
    ----------
    r_low, r_high : float
        Range of the distance of direct light [m].
    is_dust : bool
        Whether an end lies in the dust layer, or the line crosses its lower edge.
    n_pairs : int
        Pairs of a track and a module.
    median, upper : float
        Median and 90 % quantile of the largest distance between the distributions of a pair.
    """

    r_low: float
    r_high: float
    is_dust: bool
    n_pairs: int
    median: float
    upper: float


def compare_tracks(
    model: LightModel, layers: Layers | None = None, *, n_pairs: int = 4000, seed: int = _SEED
) -> list[TrackAgreement]:
    """Compare the network of tracks with sums of the light of cascades along them.

    Parameters
    ----------
    model : LightModel
        Light of cascades; without `layers`, the network of tracks too.
    layers : Layers, optional
        Another network of tracks.
    n_pairs : int
        Pairs of a track and a module to compare.
    seed : int
        Seed of the pairs.

    Returns
    -------
    list of TrackAgreement
        By distance, in clean ice and in the dust layer; ranges with less than ten pairs are left
        out.
    """
    pairs = draw_track_pairs(n_pairs, np.random.default_rng(seed))
    summed = summed_cdf(model, pairs, _DELAYS, n_sources=_N_SOURCES)
    off = np.abs(track_cdf(model, pairs, _DELAYS, layers) - summed).max(axis=1)
    r = np.linalg.norm(pairs.om_xyz - pairs.emission, axis=1)
    ends = np.stack([pairs.emission[:, 2], pairs.om_xyz[:, 2]])
    crosses = (ends.min(axis=0) < DUST[0]) & (ends.max(axis=0) > DUST[0])
    dusty = crosses | ((ends > DUST[0]) & (ends < DUST[1])).any(axis=0)
    found = []
    for is_dust in (False, True):
        for low, high in pairwise(RANGES):
            rows = (r >= low) & (r < high) & (dusty == is_dust)
            if rows.sum() >= 10:
                median, upper = np.quantile(off[rows], (0.5, 0.9)).round(5).tolist()
                found.append(TrackAgreement(low, high, is_dust, int(rows.sum()), median, upper))
    return found
