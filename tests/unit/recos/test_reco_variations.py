"""Vertex variations: the three classic sets, and what a plug-in may return."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from skymap_scanner.exceptions import PluginError
from skymap_scanner.recos.variations import as_offsets, cylinder, octahedron, point


def test_point_is_the_origin() -> None:
    np.testing.assert_array_equal(point(), [[0.0, 0.0, 0.0]])


def test_octahedron_has_the_negative_corner_first() -> None:
    expected = [
        [0, 0, 0],
        [-20, 0, 0],
        [20, 0, 0],
        [0, -20, 0],
        [0, 20, 0],
        [0, 0, -20],
        [0, 0, 20],
    ]
    np.testing.assert_array_equal(octahedron(20.0), expected)


def test_cylinder_rings_are_turned_by_60_degrees() -> None:
    half = 150.0 * np.sqrt(3.0) / 2.0
    expected = [
        [0, 0, 0],
        [150, 0, -40],
        [-75, half, -40],
        [-75, -half, -40],
        [75, half, 40],
        [-150, 0, 40],
        [75, -half, 40],
    ]
    np.testing.assert_allclose(cylinder(), expected, atol=1e-12)


def test_positions_of_icetray_become_an_array() -> None:
    positions = [SimpleNamespace(x=1.0, y=2.0, z=3.0), SimpleNamespace(x=4, y=5, z=6)]
    np.testing.assert_array_equal(as_offsets(positions, "r"), [[1, 2, 3], [4, 5, 6]])


def test_what_is_returned_is_a_copy() -> None:
    given = point()
    as_offsets(given, "r")[0, 0] = 7.0
    assert given[0, 0] == 0.0


@pytest.mark.parametrize(
    "positions",
    [[], [1.0, 2.0, 3.0], [[0.0, 0.0]], [[0, 0, np.nan]], ["abc"], [[0, 0, 0], [1, 2]]],
)
def test_no_positions_name_the_reco(positions: list[object]) -> None:
    with pytest.raises(PluginError, match="reco my_reco"):
        as_offsets(positions, "my_reco")
