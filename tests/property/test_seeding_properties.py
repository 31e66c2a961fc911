"""Whatever the pixels: seeds are rigid rotations, in any order and any batch, and never add up."""

# ruff: noqa: ARG002  # recos keep the interface's parameters, used or not

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.pixels import Guess
from skymap_scanner.recos import RecoInterface
from skymap_scanner.recos.seeding import make_seeds, rotate_into_track_frame
from skymap_scanner.recos.variations import cylinder

if TYPE_CHECKING:
    from skymap_scanner.event.event import Event
    from skymap_scanner.pixels import Seed
    from skymap_scanner.units import FloatArray

zeniths = st.floats(0.0, np.pi)
azimuths = st.floats(0.0, 2.0 * np.pi)
coordinate = st.floats(-600.0, 600.0)
pixels = st.lists(
    st.tuples(zeniths, azimuths, st.one_of(st.none(), st.tuples(coordinate, coordinate))),
    min_size=1,
    max_size=6,
)


class Turned(RecoInterface):
    rotate_vertex: ClassVar[bool] = True
    refine_time: ClassVar[bool] = True
    add_fallback_position: ClassVar[bool] = True
    variation_sets: ClassVar[dict[str, FloatArray]] = {"classic": cylinder()}

    def base_vertex(self, event: Event) -> Guess:
        return Guess((10.0, -20.0, 30.0), 10_000.0)


class ToyEvent:
    """As much of an event as seeds need."""

    detector = built_in_detector()
    pulses = PulseSeries.from_columns(
        np.arange(100, 4000, 100),
        10_000.0 + 13.0 * np.arange(39),
        np.ones(39),
        flags=np.ones(39, np.uint8),
    )


def seeds_of(rows: list[tuple[float, float, tuple[float, float] | None]]) -> list[list[Seed]]:
    event: Any = ToyEvent()
    parents = [
        [np.nan] * 5 if parent is None else [*parent, 50.0, 10_300.0, 1e4] for *_, parent in rows
    ]
    return make_seeds(
        Turned(),
        event,
        nside=64,
        level=1,
        zenith=np.array([zenith for zenith, *_ in rows]),
        azimuth=np.array([azimuth for _, azimuth, _ in rows]),
        parents=np.array(parents),
    )


@given(zeniths, azimuths)
def test_rotation_keeps_lengths_and_angles_and_turns_z_to_the_direction(
    zenith: float, azimuth: float
) -> None:
    axes = np.eye(3)
    turned = rotate_into_track_frame(axes, np.array([zenith]), np.array([azimuth]))[0]
    np.testing.assert_allclose(turned @ turned.T, axes, atol=1e-14)
    assert np.linalg.det(turned) > 0.0
    travel = [
        -np.sin(zenith) * np.cos(azimuth),
        -np.sin(zenith) * np.sin(azimuth),
        -np.cos(zenith),
    ]
    np.testing.assert_allclose(turned[2], travel, atol=1e-14)


@given(pixels)
def test_a_pixels_seeds_do_not_depend_on_the_others(
    rows: list[tuple[float, float, tuple[float, float] | None]],
) -> None:
    together = repr(seeds_of(rows))
    alone = repr([seeds_of([row])[0] for row in rows])
    backwards = repr(seeds_of(rows[::-1])[::-1])
    again = repr(seeds_of(rows))
    assert together == alone == backwards == again


@given(pixels)
def test_every_seed_lies_on_its_circle_around_its_start(
    rows: list[tuple[float, float, tuple[float, float] | None]],
) -> None:
    radius = np.linalg.norm(cylinder(), axis=1)
    for row, seeds in zip(rows, seeds_of(rows), strict=True):
        start = (10.0, -20.0, 30.0) if row[2] is None else (*row[2], 50.0)
        vertices = np.array([seed.vertex for seed in seeds])
        np.testing.assert_allclose(np.linalg.norm(vertices - start, axis=1), radius, atol=1e-9)
        assert all(np.isfinite(seed.vertex_time) for seed in seeds)
