from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event import Detector, built_in_detector
from skymap_scanner.exceptions import EventError
from skymap_scanner.plot.detector_views import (
    MARGIN,
    DrawnTrack,
    View3D,
    beside,
    outline,
    string_lines,
    visible_part,
)
from skymap_scanner.units import DEG

ALONG_X = DrawnTrack(0.5 * np.pi, np.pi, (0.0, 0.0, 0.0), "along x")


def line_of_strings(n: int) -> Detector:
    """Strings of two modules side by side."""
    key = np.array([[string, om] for string in range(1, n + 1) for om in (1, 2)])
    xyz = np.array([[100.0 * s, 50.0 * s, -100.0 * om] for s, om in key])
    ones = np.ones(2 * n)
    return Detector(key, xyz, ones, ones.astype(bool), "made by hand")


@pytest.mark.parametrize("elevation", [-1.5, 0.0, 0.7])
@pytest.mark.parametrize("azimuth", [-2.0, 0.0, 4.0])
def test_a_projection_turns_and_nothing_else(elevation: float, azimuth: float) -> None:
    axes = View3D(elevation, azimuth).project(np.eye(3))
    assert np.allclose(axes @ axes.T, np.eye(3))
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_the_eye_sees_what_is_in_front_of_it() -> None:
    eye = np.array([np.cos(0.3) * np.cos(2.0), np.cos(0.3) * np.sin(2.0), np.sin(0.3)])
    assert np.allclose(View3D(0.3, 2.0).project(eye), [0.0, 0.0, 1.0])


@pytest.mark.parametrize("azimuth_deg", range(0, 360, 15))
@pytest.mark.parametrize("zenith_deg", [40.0, 90.0, 150.0])
def test_a_track_runs_from_left_to_right(zenith_deg: float, azimuth_deg: float) -> None:
    track = DrawnTrack(zenith_deg * DEG, azimuth_deg * DEG, (0.0, 0.0, 0.0), "t")
    view = beside(track, built_in_detector())
    right, _, nearer = view.project(track.direction)
    assert right > 0.85 * np.sin(track.zenith)
    # from below the horizon nobody looks
    assert 0.0 < view.elevation < 30.0 * DEG
    assert abs(nearer) < 0.75


def test_strings_do_not_hide_behind_each_other() -> None:
    detector = built_in_detector()
    tops = np.array([line[0] for line in string_lines(detector)])
    row = tops[1] - tops[0]
    along = DrawnTrack(0.5 * np.pi, float(np.arctan2(row[1], row[0])), (0.0, 0.0, 0.0), "t")
    across = np.sort(beside(along, detector).project(tops)[:, 0])
    # seen along a row, ten places would hold all the strings of the array
    assert np.count_nonzero(np.diff(across) > 2.0) > 55


def test_without_a_track_there_is_a_view_too() -> None:
    assert beside(None, built_in_detector()).elevation > 0.0
    assert beside(ALONG_X, line_of_strings(1)) is not None


def test_a_track_is_seen_as_far_as_the_box_around_the_detector() -> None:
    xyz = built_in_detector().om_xyz
    part = visible_part(ALONG_X, xyz)
    assert part is not None
    assert part[:, 0] == pytest.approx([xyz[:, 0].min() - MARGIN, xyz[:, 0].max() + MARGIN])
    assert np.allclose(part[:, 1:], 0.0, atol=1e-9)


def test_what_is_seen_does_not_depend_on_which_point_is_called_the_vertex() -> None:
    xyz = built_in_detector().om_xyz
    here = DrawnTrack(1.1, 0.4, (30.0, -40.0, 50.0), "here")
    far = np.array(here.vertex) + 5000.0 * here.direction
    there = DrawnTrack(1.1, 0.4, (far[0], far[1], far[2]), "there")
    parts = visible_part(here, xyz), visible_part(there, xyz)
    assert parts[0] is not None
    assert parts[1] is not None
    assert np.allclose(parts[0], parts[1])
    assert np.dot(parts[0][1] - parts[0][0], here.direction) > 1000.0


def test_a_track_that_misses_the_detector_is_not_seen() -> None:
    xyz = built_in_detector().om_xyz
    for vertex in ((0.0, 0.0, 2000.0), (0.0, 5000.0, 0.0)):
        assert visible_part(DrawnTrack(0.5 * np.pi, np.pi, vertex, "far"), xyz) is None


def test_a_track_in_a_face_of_the_box_is_seen() -> None:
    xyz = np.array([[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]])
    straight_down = DrawnTrack(0.0, 0.0, (-MARGIN, 50.0, 3000.0), "down")
    part = visible_part(straight_down, xyz)
    assert part is not None
    assert part[:, 2] == pytest.approx([100.0 + MARGIN, -MARGIN])


@pytest.mark.parametrize(
    ("zenith", "azimuth", "x"), [(np.nan, 0.0, 0.0), (1.0, np.inf, 0.0), (1.0, 0.0, np.nan)]
)
def test_a_track_without_a_direction_or_place_is_refused(
    zenith: float, azimuth: float, x: float
) -> None:
    with pytest.raises(EventError, match=r"online fit X: a track that cannot be drawn .*wanted"):
        DrawnTrack(zenith, azimuth, (x, 0.0, 0.0), "online fit X")


def test_the_outline_is_closed_and_around_every_string() -> None:
    detector = built_in_detector()
    lid, floor = outline(detector)
    assert np.array_equal(lid[0], lid[-1])
    assert np.array_equal(lid[:, :2], floor[:, :2])
    edges = np.diff(lid[:, :2], axis=0)
    for corner, edge in zip(lid[:-1, :2], edges, strict=True):
        away = detector.om_xyz[:, :2] - corner
        assert np.all(edge[0] * away[:, 1] - edge[1] * away[:, 0] > -1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_strings_in_a_row_have_no_outline(n: int) -> None:
    assert outline(line_of_strings(n)) == []
    assert len(string_lines(line_of_strings(n))) == n
