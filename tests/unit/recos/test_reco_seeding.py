"""Seeds: rotation and times against known numbers, parents, fallbacks, pointing."""

# ruff: noqa: ARG002  # recos keep the interface's parameters, used or not

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.event import TrackFit
from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.exceptions import EventError
from skymap_scanner.pixels import Guess, Seed
from skymap_scanner.recos import RecoInterface
from skymap_scanner.recos.seeding import make_seeds, pointing_direction, rotate_into_track_frame
from skymap_scanner.recos.variations import cylinder, octahedron

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event.event import Event
    from skymap_scanner.units import FloatArray

BASE = Guess((22.11, 509.5, 199.66206), 31674.0)
NO_PARENT = np.full((1, 5), np.nan)


class Turned(RecoInterface):
    """As splinempe: cylinder, rotated, refined, with fallback."""

    rotate_vertex: ClassVar[bool] = True
    refine_time: ClassVar[bool] = True
    add_fallback_position: ClassVar[bool] = True
    variation_sets: ClassVar[dict[str, FloatArray]] = {"classic": cylinder()}

    def base_vertex(self, event: Event) -> Guess:
        return BASE


class Plain(Turned):
    """As millipede_original: octahedron, neither rotated nor refined."""

    rotate_vertex: ClassVar[bool] = False
    refine_time: ClassVar[bool] = False
    add_fallback_position: ClassVar[bool] = False
    variation_sets: ClassVar[dict[str, FloatArray]] = {"classic": octahedron(20.0)}


def seeds_at(
    reco: RecoInterface, event: Event, parents: FloatArray = NO_PARENT, **changes: Any
) -> list[Seed]:
    arguments: dict[str, Any] = {
        "nside": 8,
        "level": 0,
        "zenith": np.array([0.8395827054805893]),
        "azimuth": np.array([5.446713762627699]),
    }
    (seeds,) = make_seeds(reco, event, parents=parents, **{**arguments, **changes})
    return seeds


def test_rotation_reproduces_known_offsets() -> None:
    offsets = np.array([[150.0, 0.0, -40.0], [75.0, 75.0 * math.sqrt(3.0), 40.0], [0.0, 0.0, 1.0]])
    turned = rotate_into_track_frame(
        offsets, np.array([0.8395827054805893]), np.array([5.446713762627699])
    )
    np.testing.assert_allclose(turned[0, 0], (87.0714, -96.4528, -84.9437), atol=1e-4)
    np.testing.assert_allclose(turned[0, 1], (-82.817, -102.1213, -82.5383), atol=1e-4)
    zenith, azimuth = 0.8395827054805893, 5.446713762627699
    travel = [
        -math.sin(zenith) * math.cos(azimuth),
        -math.sin(zenith) * math.sin(azimuth),
        -math.cos(zenith),
    ]
    np.testing.assert_allclose(turned[0, 2], travel, atol=1e-14)


@pytest.mark.parametrize(
    ("first_hit", "vertex", "angles", "expected"),
    [
        (
            (78, 19, 31644.0),
            (22.11, 509.5, 199.66206031883416),
            (1.5728862491064888, 1.5183165926721793),
            31640.06967425263,
        ),
        (
            (23, 9, 9962.0),
            (-369.27904878670887, -210.2863252098095, 358.0817810577582),
            (2.301578215431409, 4.090861654043621),
            9934.392755519,
        ),
        (
            (77, 14, 32549.0),
            (-122.81339799171094, 508.4229750779436, 255.30420919766),
            (0.8395827054805893, 5.446713762627699),
            32662.882902315767,
        ),
    ],
)
def test_seed_times_reproduce_reference_seeds(
    make_toy_event: Callable[..., Event],
    first_hit: tuple[int, int, float],
    vertex: tuple[float, float, float],
    angles: tuple[float, float],
    expected: float,
) -> None:
    # The reference scan's closest module and its first HLC pulse, and a far one that must not win.
    string, om, first_time = first_hit
    detector = built_in_detector()
    closest = detector.index_of(string, om)
    pulses = PulseSeries.from_columns(
        [closest, closest, detector.index_of(1, 60)],
        [first_time, first_time + 50.0, 20_000.0],
        [1.0, 1.0, 1.0],
        flags=[1, 1, 1],
    )
    (seed, *_) = seeds_at(
        Turned(),
        make_toy_event(pulses=pulses),
        np.array([[*vertex, 0.0, np.nan]]),
        zenith=np.array(angles[:1]),
        azimuth=np.array(angles[1:]),
    )
    assert seed.vertex == vertex
    assert seed.vertex_time == pytest.approx(expected, abs=2e-5)


def test_without_a_parent_a_pixel_starts_from_the_base_vertex(toy_event: Event) -> None:
    seeds = seeds_at(Turned(), toy_event)
    assert len(seeds) == 7
    assert seeds[0].vertex == BASE.vertex
    np.testing.assert_allclose(
        np.subtract(seeds[1].vertex, BASE.vertex), (87.0714, -96.4528, -84.9437), atol=1e-4
    )
    assert all(math.isnan(seed.energy) and seed.fallback is None for seed in seeds)
    assert (seeds[0].nside, seeds[0].level) == (8, 0)


def test_offsets_and_times_stay_as_they_are_where_the_reco_says_so(toy_event: Event) -> None:
    parents = np.array([[1.0, 2.0, 3.0, 4.0, 5e4]])
    seeds = seeds_at(Plain(), toy_event, parents, level=1)
    np.testing.assert_array_equal(
        [seed.vertex for seed in seeds], octahedron(20.0) + np.array([1.0, 2.0, 3.0])
    )
    assert {seed.vertex_time for seed in seeds} == {4.0}
    assert {seed.energy for seed in seeds} == {5e4}
    assert {seed.fallback for seed in seeds} == {None}


def test_a_fallback_is_the_seed_that_a_pixel_without_parent_has(toy_event: Event) -> None:
    reco = Turned()
    from_base = seeds_at(reco, toy_event)
    seeds = seeds_at(reco, toy_event, np.array([[100.0, 0.0, 0.0, 10_500.0, 1e5]]), level=1)
    assert [seed.fallback for seed in seeds] == [
        Guess(seed.vertex, seed.vertex_time) for seed in from_base
    ]
    assert seeds[0].vertex == (100.0, 0.0, 0.0)


def test_a_parent_at_the_base_vertex_needs_no_fallback(toy_event: Event) -> None:
    seeds = seeds_at(Turned(), toy_event, np.array([[*BASE.vertex, 1.0, 1e5]]), level=1)
    assert {seed.fallback for seed in seeds} == {None}
    assert {seed.energy for seed in seeds} == {1e5}


def test_a_parent_that_is_not_finite_counts_as_none(toy_event: Event) -> None:
    half = np.array([[100.0, 0.0, np.nan, 10_500.0, 1e5]])
    seeds, without = seeds_at(Turned(), toy_event, half), seeds_at(Turned(), toy_event)
    assert [seed.vertex for seed in seeds] == [seed.vertex for seed in without]
    assert all(math.isnan(seed.energy) for seed in seeds)


def test_the_base_vertex_may_be_given(toy_event: Event) -> None:
    (seed, *_) = seeds_at(Turned(), toy_event, base=Guess((1.0, 2.0, 3.0), 4.0))
    assert seed.vertex == (1.0, 2.0, 3.0)


def test_no_pixel_gives_no_seed(toy_event: Event) -> None:
    none = make_seeds(
        Turned(),
        toy_event,
        nside=8,
        level=0,
        zenith=np.zeros(0),
        azimuth=np.zeros(0),
        parents=np.zeros((0, 5)),
    )
    assert none == []


def test_arrays_of_other_pixels_are_a_bug(toy_event: Event) -> None:
    with pytest.raises(ValueError, match="1 zeniths"):
        seeds_at(Turned(), toy_event, np.full((2, 5), np.nan))


class Pointed(Turned):
    pointing_dir_name: ClassVar[str | None] = "online"


class PointedElsewhere(Turned):
    pointing_dir_name: ClassVar[str | None] = "MyFit"


def _fit(name: str, zenith: float, *, ok: bool = True) -> TrackFit:
    return TrackFit(name, zenith, 2.0, (0.0, 0.0, 0.0), 0.0, 1.0, 0 if ok else 10, ok=ok)


def test_a_pointed_reco_looks_at_the_online_track(toy_event: Event) -> None:
    assert pointing_direction(toy_event, Pointed()) == (1.1, 2.2)


def test_where_the_online_track_failed_the_best_fit_is_taken(
    make_toy_event: Callable[..., Event],
) -> None:
    fits = {
        "OnlineL2_SplineMPE": _fit("OnlineL2_SplineMPE", 1.0, ok=False),
        "OnlineL2_BestFit": _fit("OnlineL2_BestFit", 1.5),
    }
    assert pointing_direction(make_toy_event(fits=fits), Pointed()) == (1.5, 2.0)


def test_without_an_online_fit_the_error_lists_what_is_there(
    make_toy_event: Callable[..., Event],
) -> None:
    event = make_toy_event(fits={"MyFit": _fit("MyFit", 1.0)})
    with pytest.raises(EventError, match="MyFit"):
        pointing_direction(event, Pointed())


def test_a_reco_may_point_at_a_fit_by_name(make_toy_event: Callable[..., Event]) -> None:
    good = make_toy_event(fits={"MyFit": _fit("MyFit", 0.5)})
    assert pointing_direction(good, PointedElsewhere()) == (0.5, 2.0)
    bad = make_toy_event(fits={"MyFit": _fit("MyFit", 0.5, ok=False)})
    with pytest.raises(EventError, match=r"MyFit \(failed\)"):
        pointing_direction(bad, PointedElsewhere())
    with pytest.raises(EventError, match="no fit at all"):
        pointing_direction(make_toy_event(fits={}), PointedElsewhere())


def test_a_reco_of_the_whole_sky_points_nowhere(toy_event: Event) -> None:
    with pytest.raises(ValueError, match="whole sky"):
        pointing_direction(toy_event, Turned())
