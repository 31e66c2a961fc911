"""The fast search of a cell against the obvious one, at random places around random axes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from skymap_scanner.light.cells import (
    COS_EDGES,
    N_AZIMUTH,
    N_COS,
    R_EDGES,
    axis_frame,
    find_cell,
)

COORDINATE = st.floats(-600.0, 600.0)


def _obvious(local: tuple[float, float, float]) -> tuple[int, float]:
    """Return the cell of a place in the source's frame, and how near an edge it is."""
    r = math.dist(local, (0, 0, 0))
    cosine = local[2] / r
    turns = (math.atan2(local[1], local[0]) / (2 * math.pi)) % 1.0
    i = int(np.searchsorted(R_EDGES, r, side="right")) - 1
    j = min(int(np.searchsorted(COS_EDGES, cosine, side="right")) - 1, N_COS - 1)
    octant = int(turns * N_AZIMUTH)
    margin = min(
        np.abs(R_EDGES - r).min() / r,
        np.abs(COS_EDGES - cosine).min(),
        abs(turns * N_AZIMUTH - round(turns * N_AZIMUTH)),
    )
    if not R_EDGES[0] <= r < R_EDGES[-1]:
        return -1, margin
    return (i * N_COS + j) * N_AZIMUTH + octant, margin


@given(
    place=st.tuples(COORDINATE, COORDINATE, COORDINATE),
    scale=st.sampled_from([1.0, 0.1, 0.01]),
    polar=st.floats(0.0, math.pi),
    azimuth=st.floats(0.0, 2 * math.pi),
)
@example(place=(3.0, 0.1, 0.0), scale=1.0, polar=math.pi, azimuth=0.0)
@example(place=(3.0, 0.1, -200.0), scale=1.0, polar=math.pi / 2, azimuth=1.0)
def test_cell_is_that_of_the_obvious_search(
    place: tuple[float, float, float], scale: float, polar: float, azimuth: float
) -> None:
    axis = np.array(
        [
            math.sin(polar) * math.cos(azimuth),
            math.sin(polar) * math.sin(azimuth),
            math.cos(polar),
        ]
    )
    frame = axis_frame(axis)
    xyz = scale * np.array(place)
    assume(np.linalg.norm(xyz) > 1e-6)
    x, y, z = (float(value) for value in frame @ xyz)
    cell, margin = _obvious((x, y, z))
    found = find_cell(xyz[0], xyz[1], xyz[2], frame)
    assert found == find_cell.py_func(xyz[0], xyz[1], xyz[2], frame)
    assert found == cell or margin < 1e-9
