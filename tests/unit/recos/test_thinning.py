"""Which faint pairs stand for all, against the same written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.recos.likelihood.thinning import FADING, FEWER, faint_weights

PAIR = st.tuples(st.integers(0, 5), st.integers(0, 30), st.floats(1.0, 300.0))


def _light(apart: float) -> float:
    return math.exp(-apart / FADING) / apart


@given(pairs=st.lists(PAIR, max_size=60), faint=st.floats(0.0, 300.0), n_bright=st.integers(0, 10))
def test_weights_are_those_of_the_definition(
    pairs: list[tuple[int, int, float]], faint: float, n_bright: int
) -> None:
    source, om = (np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    apart = np.array([pair[2] for pair in pairs], dtype=np.float64)
    weight = faint_weights(source, om, apart, faint, n_bright)
    for (j, k, r), found in zip(pairs, weight, strict=True):
        if k < n_bright or r <= faint:
            assert found == 1.0
        elif (j + k) % FEWER:
            assert found == 0.0
        else:
            of_source = [
                (one, far) for i, one, far in pairs if i == j and one >= n_bright and far > faint
            ]
            every = sum(_light(far) for _, far in of_source)
            kept = sum(_light(far) for one, far in of_source if (j + one) % FEWER == 0)
            assert found == pytest.approx(every / kept)
            assert found >= 1.0
