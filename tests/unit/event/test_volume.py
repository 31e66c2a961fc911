"""What lies in the instrumented volume, and where lines cross it: against many points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from skymap_scanner.event.detector import Detector, built_in_detector
from skymap_scanner.event.volume import Prism, instrumented_volume

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

SQUARE = Prism(np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), -2.0, 2.0)
#: An L: the corner at (1, 1) is concave.
ANGLE = Prism(np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 3], [0, 3]], np.float64), -1.0, 1.0)
STEP = 0.25  # [m]


def _sampled(prism: Prism, point: FloatArray, direction: FloatArray) -> FloatArray:
    """Distances along a line, on a grid, at which it is inside."""
    along = np.arange(-2500.0, 2500.0, STEP)
    xyz = point + along[:, None] * direction
    is_inside = Outline(prism.corners).contains_points(xyz[:, :2])
    is_inside &= (xyz[:, 2] > prism.bottom) & (xyz[:, 2] < prism.top)
    return np.asarray(along[is_inside])


def _unit(theta: float, phi: float) -> FloatArray:
    return np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])


def test_the_area_of_the_detector_is_that_of_its_outline() -> None:
    volume = instrumented_volume(built_in_detector())
    x, y = volume.corners.T
    area = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    assert area == pytest.approx(850_210, abs=1)
    assert (volume.bottom, volume.top) == pytest.approx((-512.82, 524.56))


COORDINATE = st.floats(-700.0, 700.0)


@given(
    point=st.tuples(COORDINATE, COORDINATE, COORDINATE),
    theta=st.floats(0.0, np.pi),
    phi=st.floats(0.0, 2 * np.pi),
)
@example(point=(0.0, 0.0, 0.0), theta=0.0, phi=0.0)
@example(point=(0.0, 0.0, 0.0), theta=np.pi / 2, phi=0.0)
@example(point=(600.0, 600.0, 0.0), theta=np.pi / 2, phi=2.35)
def test_crossings_of_the_detector_are_those_of_many_points(
    point: tuple[float, float, float], theta: float, phi: float
) -> None:
    volume = instrumented_volume(built_in_detector())
    start, direction = np.array(point), _unit(theta, phi)
    found = volume.crossing(start, direction)
    inside = _sampled(volume, start, direction)
    if len(inside) == 0:
        assert found is None or found[1] - found[0] < 2 * STEP
    else:
        assert found == pytest.approx((inside[0], inside[-1]), abs=1.01 * STEP)


def test_inside_is_between_the_outer_strings() -> None:
    detector = built_in_detector()
    volume = instrumented_volume(detector)
    points = np.array([[0.0, 0, 0], [0, 0, 600], [0, 0, -600], [560, -500, 0], [400, 300, 100]])
    assert volume.contains(points).tolist() == [True, False, False, False, True]
    # strings between the corners stand up to 9 m outside of the straight line
    assert volume.contains(0.98 * detector.om_xyz).all()


def test_points_are_inside_where_another_implementation_says_so() -> None:
    for prism in (instrumented_volume(built_in_detector()), ANGLE):
        reach = 1.1 * np.abs(prism.corners).max()
        xyz = np.random.default_rng(4).uniform(-reach, reach, (2000, 3))
        wanted = Outline(prism.corners).contains_points(xyz[:, :2])
        wanted &= (xyz[:, 2] >= prism.bottom) & (xyz[:, 2] <= prism.top)
        assert 20 < wanted.sum() < 1800
        np.testing.assert_array_equal(prism.contains(xyz), wanted)


def test_a_line_across_the_notch_of_the_detector_is_inside_from_end_to_end() -> None:
    """Strings 74, 72 and 78: the outline is concave at 72."""
    volume = instrumented_volume(built_in_detector())
    before, notch, behind = volume.corners[3], volume.corners[4], volume.corners[5]
    middle = 0.5 * (before + behind)
    assert not Outline(volume.corners).contains_point(0.5 * (middle + notch) + 1e-3)
    shift = np.array([0.0, -5.0])  # a little inside the two outer corners
    along = (behind - before) / np.linalg.norm(behind - before)
    point, direction = np.array([*(middle + shift), 0.0]), np.array([*along, 0.0])
    found = volume.crossing(point, direction)
    inside = _sampled(volume, point, direction)
    assert np.diff(inside).max() > 10.0  # it leaves and comes back
    assert found == pytest.approx((inside[0], inside[-1]), abs=1.01 * STEP)


def test_a_concave_outline_counts_from_the_first_to_the_last_crossing() -> None:
    diagonal = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    found = ANGLE.crossing(np.array([1.5, 1.5, 0.0]), diagonal)
    assert found == pytest.approx((-1.5 * np.sqrt(2), 1.5 * np.sqrt(2)))
    assert ANGLE.crossing(np.array([2.5, 2.5, 0.0]), diagonal) is None


def test_vertical_lines_go_from_bottom_to_top() -> None:
    up, inside, outside = np.array([0.0, 0.0, 1.0]), np.array([0.3, 0.2, 1.0]), np.full(3, 5.0)
    assert SQUARE.crossing(inside, up) == (-3.0, 1.0)
    assert SQUARE.crossing(inside, -up) == (-1.0, 3.0)
    assert SQUARE.crossing(outside, up) is None


def test_level_lines_are_inside_between_bottom_and_top_only() -> None:
    ahead = np.array([1.0, 0.0, 0.0])
    assert SQUARE.crossing(np.array([5.0, 0.5, 1.9]), ahead) == (-6.0, -4.0)
    for z in (2.1, -2.1):
        assert SQUARE.crossing(np.array([0.0, 0.0, z]), ahead) is None
    assert SQUARE.crossing(np.array([0.0, 1.5, 0.0]), ahead) is None


def test_lines_through_corners_are_found() -> None:
    diagonal = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    assert SQUARE.crossing(np.zeros(3), diagonal) == pytest.approx((-np.sqrt(2), np.sqrt(2)))


def test_a_line_that_meets_the_sides_only_above_the_top_misses() -> None:
    steep = np.array([0.01, 0.0, np.sqrt(1 - 1e-4)])
    assert SQUARE.crossing(np.array([-1.5, 0.0, 0.0]), steep) is None


def test_going_backwards_swaps_the_ends() -> None:
    rng = np.random.default_rng(3)
    volume = instrumented_volume(built_in_detector())
    for _ in range(20):
        point, direction = rng.uniform(-400, 400, 3), _unit(*rng.uniform(0, np.pi, 2))
        forth, back = volume.crossing(point, direction), volume.crossing(point, -direction)
        assert forth is not None
        assert back is not None
        assert back == pytest.approx((-forth[1], -forth[0]))


def test_a_detector_without_the_corner_strings_has_its_convex_hull() -> None:
    corners = [[0, 0], [10, 0], [10, 10], [0, 10], [5, 5], [5, 9]]
    xyz = np.array([[x, y, z] for x, y in corners for z in (-3.0, 4.0)], np.float64)
    detector = Detector(
        om_key=np.array([[string, om] for string in range(1, 7) for om in (1, 2)]),
        om_xyz=xyz,
        rel_efficiency=np.ones(12),
        is_alive=np.ones(12, np.bool_),
        source="six strings",
    )
    volume = instrumented_volume(detector)
    assert len(volume.corners) == 4
    assert volume.crossing(np.array([5.0, 5.0, 0.0]), np.array([1.0, 0.0, 0.0])) == (-5.0, 5.0)
    assert (volume.bottom, volume.top) == (-3.0, 4.0)
