"""Where the sources of a track are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.recos.likelihood.segments import SegmentedLine, place_segments
from skymap_scanner.recos.millipede_wilks import MillipedeWilks
from skymap_scanner.units import LIGHT_SPEED

MODULES = np.random.default_rng(1).uniform(-300.0, 300.0, (40, 3))
REFERENCE = np.array([10.0, -20.0, 30.0])
AT = np.array([3.0, -4.0, 2500.0])
ANGLES = st.tuples(st.floats(0.0, np.pi), st.floats(0.0, 2 * np.pi))


def _line(
    zenith: float = 1.1, azimuth: float = 0.7, *, spacing: float = 15.0, shift: float = 0.0
) -> SegmentedLine:
    return place_segments(
        MODULES,
        REFERENCE,
        direction_vector(zenith, azimuth),
        spacing=spacing,
        boundary=650.0,
        shift=shift,
    )


@given(angles=ANGLES)
def test_sources_lie_on_the_track_at_the_speed_of_light(angles: tuple[float, float]) -> None:
    line = _line(*angles)
    np.testing.assert_allclose(line.basis @ line.basis.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(line.basis @ line.direction, 0.0, atol=1e-12)
    xyz, times = line.xyz(AT), line.times(AT)
    steps = np.diff(line.along)[:, None] * line.direction
    np.testing.assert_allclose(np.diff(xyz, axis=0), steps, atol=1e-9)
    np.testing.assert_allclose(np.diff(times), np.diff(line.along) / LIGHT_SPEED)
    np.testing.assert_allclose(
        (xyz - REFERENCE) @ line.basis.T, np.tile(AT[:2], (len(xyz), 1)), atol=1e-9
    )


@given(
    angles=ANGLES,
    at=st.tuples(*[st.floats(-300.0, 300.0)] * 2, st.floats(-1e4, 1e4)),
    distance=st.floats(-500.0, 500.0),
)
def test_a_track_goes_through_its_points(
    angles: tuple[float, float], at: tuple[float, float, float], distance: float
) -> None:
    line = _line(*angles)
    point, time = line.point(np.array(at), distance)
    np.testing.assert_allclose(line.through(point, time), at, atol=1e-8)


def test_sources_are_points_of_the_track() -> None:
    line = _line()
    for k in (0, 3, -1):
        point, time = line.point(AT, float(line.along[k]))
        np.testing.assert_allclose(point, line.xyz(AT)[k])
        assert time == pytest.approx(line.times(AT)[k])


def test_a_shift_of_the_track_moves_all_sources_and_no_time() -> None:
    line, moved = _line(), AT + np.array([5.0, 0.0, 0.0])
    for step in line.xyz(moved) - line.xyz(AT):
        np.testing.assert_allclose(step, 5.0 * line.basis[0], atol=1e-9)
    assert np.array_equal(line.times(moved), line.times(AT))
    later = AT + np.array([0.0, 0.0, 3.0])
    assert np.array_equal(line.xyz(later), line.xyz(AT))
    np.testing.assert_allclose(line.times(later) - line.times(AT), 3.0 / LIGHT_SPEED)


@given(angles=ANGLES, spacing=st.sampled_from([5.0, 15.0, 30.0]), shift=st.floats(-1.0, 1.0))
def test_sources_are_evenly_spaced_around_all_light(
    angles: tuple[float, float], spacing: float, shift: float
) -> None:
    line = _line(*angles, spacing=spacing, shift=shift)
    np.testing.assert_allclose(np.diff(line.along), spacing)
    seen = (MODULES - REFERENCE) @ line.direction
    assert line.along[0] < seen.min()
    assert line.along[-1] > seen.max()


def test_a_shift_of_the_grid_is_in_units_of_the_spacing() -> None:
    plain, half = _line(), _line(shift=0.5)
    assert np.min(np.abs(half.along[5] - plain.along)) == pytest.approx(7.5)
    whole = _line(shift=1.0)
    np.testing.assert_allclose(whole.along, plain.along)


def test_the_grid_does_not_jump_when_a_module_is_added() -> None:
    direction = direction_vector(1.1, 0.7)
    more = np.vstack([MODULES, REFERENCE + 403.0 * direction])
    wider = place_segments(more, REFERENCE, direction, spacing=15.0, boundary=650.0)
    assert set(_line().along) <= set(wider.along)


def test_sources_beyond_the_boundary_are_left_out() -> None:
    direction = np.array([0.0, 0.0, -1.0])
    line = place_segments(MODULES, REFERENCE, direction, spacing=10.0, boundary=200.0)
    height = REFERENCE[2] + line.along * direction[2]
    assert np.abs(height).max() <= 200.0
    assert np.abs(height).max() > 185.0


@pytest.mark.parametrize("number", range(30))
def test_the_boundary_is_a_cylinder_around_the_origin(number: int) -> None:
    rng = np.random.default_rng(number)
    reference, direction = rng.uniform(-500.0, 500.0, 3), rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    ends = reference + np.array([-5000.0, 5000.0])[:, np.newaxis] * direction
    spacing, size = 1.0, 600.0
    every = place_segments(ends, reference, direction, spacing=spacing, boundary=np.inf)
    line = place_segments(ends, reference, direction, spacing=spacing, boundary=size)
    xyz = every.xyz(np.zeros(3))
    is_inside = (np.hypot(xyz[:, 0], xyz[:, 1]) <= size) & (np.abs(xyz[:, 2]) <= size)
    if is_inside.any():
        np.testing.assert_array_equal(line.along, every.along[is_inside])
    else:
        assert len(line.along) == 1


@pytest.mark.parametrize("tilt", [0.0, 1e-200, 1e-16, 1e-9])
def test_an_upright_track_stays_between_the_ends_of_the_cylinder(tilt: float) -> None:
    direction = np.array([tilt, 0.0, -1.0])
    line = place_segments(MODULES, REFERENCE, direction, spacing=10.0, boundary=150.0)
    assert 140.0 < np.abs(REFERENCE[2] - line.along).max() <= 150.0


def test_sources_are_wherever_modules_at_the_rim_see_light_from() -> None:
    detector = built_in_detector()
    xyz = detector.om_xyz[~detector.is_deepcore]
    corner = xyz[np.linalg.norm(xyz, axis=1).argmax()]
    direction = -corner / np.linalg.norm(corner)
    # the track comes in beside the module that is the farthest out
    ends, boundary = np.array([corner, -corner]), MillipedeWilks.boundary
    line = place_segments(ends, 0.9 * corner, direction, spacing=10.0, boundary=boundary)
    assert (line.xyz(np.zeros(3)) @ direction).min() < corner @ direction - 140.0


def test_there_is_always_a_source() -> None:
    far = np.array([[0.0, 0.0, 5000.0]])
    line = place_segments(far, far[0], np.array([0.0, 0.0, 1.0]), spacing=30.0, boundary=650.0)
    assert len(line.along) >= 1
    assert len(_line(spacing=1e4).along) == 1


def test_some_sources_of_a_track_are_where_they_were() -> None:
    line, chosen = _line(), np.array([2, 5, 6])
    assert np.array_equal(line.only(chosen).xyz(AT), line.xyz(AT)[chosen])
    assert len(line.only(np.zeros(0, np.int64)).along) == 0


@pytest.mark.parametrize("n_parts", [1, 2, 4])
@pytest.mark.parametrize("chosen", [[0], [7], [7, 8], [-1], [0, 3, 9]])
def test_sources_with_energy_get_neighbours(chosen: list[int], n_parts: int) -> None:
    line = _line()
    n = len(line.along)
    rows = np.array(sorted(c % n for c in chosen), dtype=np.int64)
    fine = line.refined(rows, n_parts)
    gaps = {c for c in rows.tolist() if c < n - 1} | {c - 1 for c in rows.tolist() if c > 0}
    new = [line.along[gap] + 15.0 * part / n_parts for gap in gaps for part in range(1, n_parts)]
    np.testing.assert_allclose(fine.along, sorted([*line.along, *new]))
    assert set(line.along) <= set(fine.along)


def test_a_single_source_has_no_neighbours() -> None:
    line = _line(spacing=1e4)
    fine = line.refined(np.array([0]), 4)
    np.testing.assert_array_equal(fine.along, line.along)


@pytest.mark.parametrize("spacing", [1.0, 15.0, 16.0, 30.0, 1e5])
def test_coarser_sources_span_the_same_track(spacing: float) -> None:
    line = _line()
    coarse = line.coarser(spacing)
    assert 1 <= len(coarse.along) <= len(line.along)
    assert coarse.along[0] == line.along[0]
    if len(coarse.along) > 1:
        assert coarse.along[-1] == line.along[-1]
        assert np.diff(coarse.along).min() >= min(spacing, 15.0) - 1e-9
