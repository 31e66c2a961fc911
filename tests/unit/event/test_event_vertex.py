"""First guesses of vertex and time on pulses made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.event.detector import Detector, built_in_detector
from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.event.vertex import barycentre, refine_time, veto_vertex
from skymap_scanner.units import LIGHT_SPEED

DETECTOR = Detector(
    om_key=np.array([[1, 1], [1, 2], [2, 1]]),
    om_xyz=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -17.0], [100.0, 0.0, 0.0]]),
    rel_efficiency=np.ones(3),
    is_alive=np.ones(3, dtype=np.bool_),
    source="three modules",
)


def _pulses(*rows: tuple[int, float, float, int]) -> PulseSeries:
    om, time, charge, flags = zip(*rows, strict=True)
    return PulseSeries.from_columns(om, time, charge, np.zeros(len(om)), flags)


def test_the_vertex_is_where_the_charge_of_three_microseconds_is_reached() -> None:
    series = _pulses(
        (0, 0.0, 9.0, 1), (0, 3500.0, 1.0, 1), (2, 4000.0, 3.0, 1), (2, 4100.0, 9.0, 1)
    )
    guess = veto_vertex(series, DETECTOR, 4.0)
    assert guess is not None
    assert guess.vertex_time == 0.0  # the very first pulse is enough
    guess = veto_vertex(series, DETECTOR, 12.0)
    assert guess is not None
    assert guess.vertex_time == 4100.0  # 9 + 1 + 3 never are within 3000 ns
    assert guess.vertex == pytest.approx((100.0 * 12 / 13, 0.0, 0.0))


def test_the_window_holds_a_pulse_exactly_three_microseconds_old() -> None:
    series = _pulses((0, 0.0, 2.0, 1), (2, 3000.0, 2.0, 1))
    guess = veto_vertex(series, DETECTOR, 4.0)
    assert guess is not None
    assert guess.vertex == (50.0, 0.0, 0.0)
    late = _pulses((0, 0.0, 2.0, 1), (2, 3000.5, 2.0, 1))
    assert veto_vertex(late, DETECTOR, 4.0) is None


def test_pulses_without_local_coincidence_do_not_count() -> None:
    assert veto_vertex(_pulses((0, 0.0, 100.0, 4)), DETECTOR, 5.0) is None


def test_the_barycentre_weighs_by_charge() -> None:
    guess = barycentre(_pulses((0, 10.0, 3.0, 0), (2, 20.0, 1.0, 0)), DETECTOR)
    assert guess.vertex == (25.0, 0.0, 0.0)
    assert guess.vertex_time == 10.0


def test_light_emitted_at_the_refined_time_reaches_the_closest_module_at_its_first_pulse() -> None:
    # Straight up along z, 10 m beside string 1; module (1, 2) is as close as (1, 1): first wins.
    series = _pulses((0, 500.0, 1.0, 1), (0, 400.0, 1.0, 1), (2, 0.0, 1.0, 1))
    vertex, direction = np.array([-10.0, 0.0, -30.0]), np.array([0.0, 0.0, 1.0])
    (time,) = refine_time(series, DETECTOR, direction=direction, vertex=vertex, vertex_time=np.nan)
    angle = np.arccos(1.0 / 1.3195)
    emission = 30.0 - 10.0 / np.tan(angle)  # path along the track to where the light leaves
    light = 10.0 / np.sin(angle) * 1.3195
    assert time + (emission + light) / LIGHT_SPEED == pytest.approx(400.0, abs=1e-9)


def test_without_local_coincidence_the_given_time_stays() -> None:
    series = _pulses((0, 500.0, 1.0, 4))
    times = refine_time(
        series, DETECTOR, direction=np.eye(3), vertex=np.zeros(3), vertex_time=[1.0, 2.0, 3.0]
    )
    assert times.tolist() == [1.0, 2.0, 3.0]


def test_many_tracks_at_once_give_the_same_bits_as_one_by_one() -> None:
    rng = np.random.default_rng(5)
    detector = built_in_detector()
    series = PulseSeries.from_columns(
        rng.integers(0, detector.n_om, 400),
        rng.uniform(9000.0, 12000.0, 400),
        rng.exponential(1.0, 400),
        flags=np.ones(400, np.uint8),
    )
    n_tracks = 5000  # more than one chunk
    direction = direction_vector(rng.uniform(0, np.pi, n_tracks), rng.uniform(0, 6.28, n_tracks))
    vertex = rng.uniform(-500.0, 500.0, (n_tracks, 3))
    many = refine_time(series, detector, direction=direction, vertex=vertex, vertex_time=0.0)
    for row in (0, 1, 2499, 2500, 4999):
        one = refine_time(
            series, detector, direction=direction[row], vertex=vertex[row], vertex_time=0.0
        )
        assert one[0] == many[row]
