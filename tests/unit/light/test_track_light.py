"""Light of long tracks: the sum over their length, and the network that learned it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from handmade_light import handmade_weights, random_layers
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.track_light import (
    COS_EMISSION,
    TrackPairs,
    draw_track_pairs,
    emission_points,
    network_of_tracks,
    summed_cdf,
    track_cdf,
    track_inputs,
)
from skymap_scanner.light.trained_volume import OM_Z, SOURCE_Z, ExtrapolationWarning
from skymap_scanner.light.weights import read_weights, write_weights
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.units import FloatArray

EDGES = np.array([1.0, 5.0, 20.0, 60.0, 200.0, 600.0, 2000.0])


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel.load()


@pytest.fixture(scope="module")
def pairs() -> TrackPairs:
    return draw_track_pairs(400, np.random.default_rng(5))


def _slow_sum(model: LightModel, pairs: TrackPairs, row: int) -> FloatArray:
    """Sum the light of cascades every quarter of a metre, one track and module."""
    emission, direction, om = (
        array[row] for array in (pairs.emission, pairs.direction, pairs.om_xyz)
    )
    distance = float(np.linalg.norm(om - emission))
    place = np.arange(-450.0, 450.0 + distance, 0.25) + 0.125
    source = emission + place[:, None] * direction
    arrives = (place + np.linalg.norm(om - source, axis=1) * N_REF) / LIGHT_SPEED
    first = distance * N_REF / LIGHT_SPEED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        charge = model.expected_charge(source, direction, om)
        come = model.time_cdf(source, direction, om, EDGES + first - arrives[:, None])
    return np.asarray(charge @ come / charge.sum())


def test_sum_is_that_of_many_cascades_in_a_row(model: LightModel, pairs: TrackPairs) -> None:
    distance = np.linalg.norm(pairs.om_xyz - pairs.emission, axis=1)
    rows = np.flatnonzero(distance > 15.0)[:8]
    part = TrackPairs(pairs.emission[rows], pairs.direction[rows], pairs.om_xyz[rows])
    found = summed_cdf(model, part, EDGES)
    for k, row in enumerate(rows):
        np.testing.assert_allclose(found[k], _slow_sum(model, pairs, int(row)), atol=0.006)


def test_no_light_comes_before_that_of_the_point_of_emission(pairs: TrackPairs) -> None:
    def arrival(moved: float) -> FloatArray:
        source = pairs.emission + moved * pairs.direction
        way = np.linalg.norm(pairs.om_xyz - source, axis=1)
        return np.asarray((moved + way * N_REF) / LIGHT_SPEED)

    for moved in (-30.0, -1.0, 1.0, 30.0):
        assert (arrival(moved) >= arrival(0.0)).all()


def test_points_of_emission_are_found_from_any_point_of_the_track(pairs: TrackPairs) -> None:
    point = pairs.emission + 123.0 * pairs.direction
    found = emission_points(point, pairs.direction, pairs.om_xyz)
    np.testing.assert_allclose(found, pairs.emission, atol=1e-6)


def test_pairs_lie_where_light_models_are_trained(pairs: TrackPairs) -> None:
    assert len(pairs.emission) == 400
    assert np.all((pairs.emission[:, 2] >= SOURCE_Z[0]) & (pairs.emission[:, 2] <= SOURCE_Z[1]))
    assert np.all((pairs.om_xyz[:, 2] >= OM_Z[0]) & (pairs.om_xyz[:, 2] <= OM_Z[1]))
    line = pairs.om_xyz - pairs.emission
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    np.testing.assert_allclose(np.sum(line * pairs.direction, axis=1), COS_EMISSION, atol=1e-9)


def test_fractions_rise_from_zero_to_one(model: LightModel, pairs: TrackPairs) -> None:
    edges = np.concatenate([[-5.0], EDGES, [1e6]])
    for cdf in (summed_cdf(model, pairs.part(0, 40), edges), track_cdf(model, pairs, edges)):
        assert (cdf[:, 0] == 0.0).all()
        assert (np.diff(cdf, axis=1) >= 0.0).all()
        np.testing.assert_allclose(cdf[:, -1], 1.0, atol=1e-3)


def test_network_does_not_listen_to_the_angle_that_is_always_the_same(model: LightModel) -> None:
    """A likelihood that softens the closest approach has it a little off."""
    pairs = draw_track_pairs(300, np.random.default_rng(8))
    constant = np.flatnonzero(track_inputs(model, pairs).std(axis=0) < 1e-3)
    assert constant.tolist() == [7, 8, 9, 10]
    assert (network_of_tracks(model).pair[constant] == 0.0).all()


# --- files ---


def test_a_network_of_tracks_comes_back_and_changes_no_name(tmp_path: Path) -> None:
    without = handmade_weights()
    weights = replace(without, track=random_layers(9, 12))
    write_weights(tmp_path / "light.npz", weights)
    found = read_weights(tmp_path / "light.npz")
    assert found.track is not None
    assert weights.track is not None
    for ours, theirs in zip(found.track, weights.track, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found.digest == without.digest


def test_a_model_without_a_network_of_tracks_says_so(tmp_path: Path) -> None:
    write_weights(tmp_path / "light.npz", handmade_weights())
    model = LightModel.load(tmp_path / "light.npz")
    with pytest.raises(UsageError, match="no network of tracks"):
        network_of_tracks(model)
