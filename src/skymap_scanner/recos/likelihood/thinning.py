"""Faint pairs of sources and dark modules: of each source some stand for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["FADING", "FEWER", "faint_weights"]

#: Of faint pairs one in so many is kept.
FEWER: Final = 4
#: Far away light fades about like exp(-r/30 m)/r [m].
FADING: Final = 30.0


@kernel
def faint_weights(
    source: IntArray, om: IntArray, apart: FloatArray, faint: float, n_bright: int
) -> FloatArray:
    """Return for how many pairs each stands.

    Parameters
    ----------
    source, om : ndarray of int, shape (n_pair,)
        Their numbers.
    apart : ndarray, shape (n_pair,)
        Their distances, not 0 [m].
    faint : float
        Pairs farther apart than this are faint [m].
    n_bright : int
        Pairs with the first so many modules are never faint.

    Returns
    -------
    ndarray, shape (n_pair,)
        1 for pairs that are not faint. Of the faint ones that a source has, those kept share as
        much light as all would have, were it a function of the distance alone; 0 for the others.
    """
    n_source = 0
    for one in source:
        n_source = max(n_source, one + 1)
    every, some = np.zeros(n_source), np.zeros(n_source)
    for i in range(source.size):
        if om[i] >= n_bright and apart[i] > faint:
            light = np.exp(-apart[i] / FADING) / apart[i]
            every[source[i]] += light
            if (source[i] + om[i]) % FEWER == 0:
                some[source[i]] += light
    weight = np.ones(source.size)
    for i in range(source.size):
        if om[i] >= n_bright and apart[i] > faint:
            is_kept = (source[i] + om[i]) % FEWER == 0
            weight[i] = every[source[i]] / some[source[i]] if is_kept else 0.0
    return weight
