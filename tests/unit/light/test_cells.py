"""Cells around a source: no gap, no overlap, the volume of a sphere."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    COS_EDGES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    N_R,
    R_EDGES,
    axis_frame,
    cell_points,
    cell_shape,
    find_cell,
)
from skymap_scanner.light.inputs import MAX_DISTANCE

AXES = np.array(
    [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 0], [0.48, -0.6, 0.64], [0.6, 0.0, -0.8], [0, -1, 0]],
    dtype=np.float64,
)


def test_volumes_fill_the_shell() -> None:
    shell = 4 / 3 * np.pi * (R_EDGES[-1] ** 3 - R_EDGES[0] ** 3)
    assert CELL_VOLUMES.shape == (N_CELLS,)
    assert CELL_VOLUMES.sum() == pytest.approx(shell, rel=1e-12)
    rings = CELL_VOLUMES.reshape(cell_shape()).sum(axis=(1, 2))
    np.testing.assert_allclose(rings, 4 / 3 * np.pi * np.diff(R_EDGES**3), rtol=1e-12)


def test_cells_reach_from_one_metre_to_the_range_of_the_model() -> None:
    assert R_EDGES[0] == 1.0
    assert R_EDGES[-2] < MAX_DISTANCE <= R_EDGES[-1]
    assert np.all(np.diff(R_EDGES) > 0)
    np.testing.assert_allclose(COS_EDGES[[0, -1]], [-1.0, 1.0], atol=0)
    assert np.all(np.diff(COS_EDGES) > 0)
    assert cell_shape() == (N_R, N_COS, N_AZIMUTH)
    assert np.iinfo(np.int16).max > N_CELLS  # files of a production hold 16 bits


@pytest.mark.parametrize("axis", AXES)
def test_frame_is_right_handed_and_orthonormal(axis: np.ndarray) -> None:
    frame = axis_frame(axis)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    np.testing.assert_array_equal(frame[2], axis)


@pytest.mark.parametrize("axis", AXES)
def test_points_of_a_cell_lie_in_it(axis: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    cells = np.arange(N_CELLS)
    # from corner to corner, less a rounding error
    uniform = rng.choice([1e-9, 0.3, 0.7, 1 - 1e-9], (N_CELLS, 3))
    r, cosine, azimuth = cell_points(cells, uniform)
    sine = np.sqrt(1 - cosine**2)
    local = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    xyz = r[:, None] * local @ axis_frame(axis)
    frame = axis_frame(axis)
    found = np.array([find_cell(x, y, z, frame) for x, y, z in xyz])
    wrong = np.flatnonzero(found != cells)
    # at the poles an azimuth has no digits left
    assert np.all(np.abs(cosine[wrong]) > 1 - 1e-6)
    assert wrong.size < 0.02 * N_CELLS


def test_points_are_uniform_in_volume() -> None:
    cell = np.full(200_000, N_CELLS // 2 + 3)
    r, cosine, azimuth = cell_points(cell, np.random.default_rng(2).random((cell.size, 3)))
    i, j, k = np.unravel_index(cell[0], cell_shape())
    low, high = R_EDGES[i], R_EDGES[i + 1]
    mean = 0.75 * (high**4 - low**4) / (high**3 - low**3)
    assert r.mean() == pytest.approx(mean, abs=4.5 * r.std() / cell.size**0.5)
    error = 4.5 * cosine.std() / cell.size**0.5
    assert cosine.mean() == pytest.approx(COS_EDGES[j : j + 2].mean(), abs=error)
    assert azimuth.min() >= k * np.pi / 4
    assert azimuth.max() <= (k + 1) * np.pi / 4


@pytest.mark.parametrize("r", [0.0, 0.5, 1 - 1e-12, float(R_EDGES[-1]), 1e4, 1e200, np.inf, np.nan])
def test_places_outside_have_no_cell(r: float) -> None:
    assert find_cell(r, 0.0, 0.0, np.eye(3)) == -1
    assert find_cell.py_func(r, 0.0, 0.0, np.eye(3)) == -1


def test_places_on_the_axis_have_a_cell() -> None:
    for z, j in ((5.0, N_COS - 1), (-5.0, 0)):
        cell = find_cell(0.0, 0.0, z, np.eye(3))
        assert cell // N_AZIMUTH % N_COS == j


def test_edges_belong_to_the_outer_cell() -> None:
    for i, r in enumerate(R_EDGES[:-1]):
        assert find_cell(float(r), 0.0, 0.0, np.eye(3)) // (N_COS * N_AZIMUTH) == i
        below = float(np.nextafter(R_EDGES[i + 1], 0))
        assert find_cell(below, 0.0, 0.0, np.eye(3)) // (N_COS * N_AZIMUTH) == i
