"""Training: losses, bookkeeping of recorded light, and a small closure from light to light."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.angles import emission_table
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    R_EDGES,
    axis_frame,
    find_cell,
)
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.inputs import (
    om_inputs,
    pair_inputs,
    pair_tables,
)
from skymap_scanner.light.mixture import density
from skymap_scanner.light.network import log_fluence, mixtures
from skymap_scanner.light.production import CHUNK, ProductionSettings, produce
from skymap_scanner.light.propagation import SHELLS
from skymap_scanner.light.trained_volume import OM_Z

if TYPE_CHECKING:
    from pathlib import Path

if importlib.util.find_spec("torch") is None:
    pytest.skip("needs torch: make train-env", allow_module_level=True)

import torch

from skymap_scanner.light import lightfall, training
from skymap_scanner.light.lightfall import Lightfall
from skymap_scanner.light.training import Fit, train_charge, train_times

ICE = IceModel.load()
TABLES = pair_tables(ICE, emission_table())
N_PHOTONS = 150


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("production")
    return produce(folder, ProductionSettings(n_photons=N_PHOTONS, seed=5), 2 * CHUNK)


@pytest.fixture(scope="module")
def light(paths: list[Path]) -> Lightfall:
    return Lightfall({paths[0]: N_PHOTONS, paths[1]: N_PHOTONS}, ICE, TABLES)


# --- recorded light ---


def test_records_are_found_by_source_and_cell(paths: list[Path], light: Lightfall) -> None:
    for number, path in enumerate(paths):
        with np.load(path) as file:
            rows = np.linspace(0, file["cell"].size - 1, 200).astype(int)
            source = number * CHUNK + file["source"][rows].astype(int)
            record = light.record[source * N_CELLS + file["cell"][rows]]
            np.testing.assert_array_equal(light.total[record], file["total"][rows])
            np.testing.assert_array_equal(light.place[record], file["place"][rows])
            np.testing.assert_array_equal(
                light.xyz[number * CHUNK : (number + 1) * CHUNK], file["xyz"]
            )
    assert np.count_nonzero(light.record >= 0) == light.total.size
    np.testing.assert_array_equal(light.record[light.slot], np.arange(light.total.size))


def test_photons_belong_to_their_file(paths: list[Path]) -> None:
    mixed = Lightfall({paths[0]: 100, paths[1]: 7}, ICE, TABLES)
    np.testing.assert_array_equal(mixed.n_photons, np.repeat([100.0, 7.0], CHUNK))


def test_random_places_lie_in_their_cells(light: Lightfall) -> None:
    rng = np.random.default_rng(1)
    source, cell = rng.integers(64, size=400), rng.integers(N_CELLS, size=400)
    relative = light.random_places(source, cell, rng) - light.xyz[source]
    for k in range(400):
        x, y, z = relative[k]
        assert find_cell(x, y, z, axis_frame(light.direction[source[k]])) == cell[k]


def test_inputs_are_those_of_the_run_time(light: Lightfall) -> None:
    source = np.array([3, 40, 3])
    om = light.xyz[source] + np.array([[30.0, 0, 0], [0, 10, 100], [-80, 3, 3]])
    found, falling = light.inputs(source, om)
    pairs = light.pairs(source, om)
    pair_in, expected_falling = pair_inputs(pairs, TABLES)
    np.testing.assert_array_equal(found[:, :21], pair_in)
    np.testing.assert_array_equal(found[:, 21:51], light.source_in[source])
    np.testing.assert_array_equal(found[:, 51:], om_inputs(pairs.om[:, 3].copy(), TABLES))
    np.testing.assert_array_equal(falling, expected_falling)


def test_copies_are_those_of_the_shells_inside_a_ring() -> None:
    splits = np.ones((2, SHELLS.size), int)
    splits[1, 0], splits[1, 3] = 2, 5
    copies = lightfall._copies(splits)
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    np.testing.assert_array_equal(copies[0], 1.0)
    expected = np.where(middle < SHELLS[0], 1, np.where(middle < SHELLS[3], 2, 10))
    np.testing.assert_array_equal(copies[1], expected)


def test_typical_score_is_positive_and_smaller_where_photons_were_split(light: Lightfall) -> None:
    assert np.all(light.score > 0)
    assert np.all(light.score[:, -1] <= light.score[:, 0])


def test_places_without_modules_do_not_count() -> None:
    z = np.array([OM_Z[0] - 0.1, OM_Z[0] + 0.1, 0.0, OM_Z[1] - 0.1, OM_Z[1] + 0.1])
    xyz = np.column_stack([np.zeros((5, 2)), z])
    np.testing.assert_array_equal(training._is_inside(xyz), [0, 1, 1, 1, 0])


# --- network and losses ---


def test_gradient_of_the_activation_is_right() -> None:
    x = torch.linspace(-30.0, 30.0, 301, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(training._Activation.apply, (x,))
    y = training._Activation.apply(x).detach().numpy()
    plain = x.detach().numpy()
    np.testing.assert_allclose(y, plain / 2 * (1 + plain / np.sqrt(1 + plain**2)), atol=1e-12)


def _network(n_out: int) -> Any:
    torch.manual_seed(1)
    mean, width = torch.randn(79), torch.rand(79) + 0.5
    network = training._Network(mean, width, 24, n_out)
    torch.nn.init.normal_(network.skip.weight, std=0.1)
    for layer in (network.first, network.hidden, network.last):
        torch.nn.init.normal_(layer.bias, std=0.5)
    return network


def test_exported_charge_is_that_of_the_trained_network(light: Lightfall) -> None:
    network = _network(1)
    source = np.arange(64).repeat(3)
    om = light.xyz[source] + np.random.default_rng(2).normal(0, 60, (source.size, 3))
    inputs, falling = light.inputs(source, om)
    with torch.no_grad():
        output, linear = network(torch.from_numpy(inputs))
        expected = output[:, 0] + linear + torch.from_numpy(falling)
    pairs = light.pairs(source, om)
    found = np.empty(source.size)
    om_in = om_inputs(pairs.om[:, 3].copy(), TABLES)
    log_fluence(pairs, TABLES, network.layers(), light.source_in, om_in, found)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4)


def test_exported_times_are_those_of_the_trained_network(light: Lightfall) -> None:
    network = _network(12)
    torch.nn.init.zeros_(network.skip.weight)  # times have no linear part
    source = np.arange(64).repeat(3)
    om = light.xyz[source] + np.random.default_rng(3).normal(0, 60, (source.size, 3))
    pairs = light.pairs(source, om)
    found = np.empty((source.size, 12), np.float32)
    om_in = om_inputs(pairs.om[:, 3].copy(), TABLES)
    mixtures(pairs, TABLES, network.layers(), light.source_in, om_in, found)
    with torch.no_grad():
        expected, _ = network(torch.from_numpy(light.inputs(source, om)[0]))
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4)


def test_loss_of_times_is_minus_the_logarithm_of_the_run_times_density() -> None:
    rng = np.random.default_rng(4)
    raw = np.concatenate(
        [rng.normal(0, 1, (50, 4)), rng.normal(4, 2, (50, 4)), rng.normal(-1, 2, (50, 4))], axis=1
    ).astype(np.float32)
    u = rng.uniform(0.7, 8.0, (50, 1)).astype(np.float32)
    expected = np.empty((50, 1), np.float32)
    density(raw, u, expected)
    found = training._mixture_nll(torch.from_numpy(raw), torch.from_numpy(u[:, 0])).numpy()
    likely = expected[:, 0] > 1e-20
    np.testing.assert_allclose(found[likely], -np.log(expected[likely, 0]), atol=2e-4, rtol=1e-4)


def test_every_record_comes_once_per_epoch() -> None:
    fit = Fit(n_epochs=3.0, batch=100)
    drawn = list(training.batches(1000, fit, np.random.default_rng(5)))
    assert len(drawn) == 30
    for epoch in range(3):
        seen = np.sort(np.concatenate(drawn[10 * epoch : 10 * epoch + 10]))
        np.testing.assert_array_equal(seen, np.arange(1000))
    assert not np.array_equal(drawn[0], drawn[10])
    assert all(batch.size == 100 for batch in training.batches(1050, fit, np.random.default_rng(5)))


# --- closure ---


def test_trained_charge_gives_back_the_recorded_light(light: Lightfall) -> None:
    seen: list[tuple[int, int, float]] = []
    fit = Fit(n_hidden=16, n_epochs=2.0, batch=2048, rate=1e-2, seed=1)
    layers = train_charge(light, fit, lambda *done: seen.append(done))
    assert seen[-1][:2] == (seen[-1][1], int(2 * light.record.size / 2048))
    assert seen[-1][2] < seen[0][2]
    rng = np.random.default_rng(6)
    slot = rng.permutation(light.record.size)[:40_000]
    source, cell = slot // N_CELLS, slot % N_CELLS
    om = light.random_places(source, cell, rng)
    inside = training._is_inside(om) > 0
    pairs = light.pairs(source, om)
    found = np.empty(slot.size)
    om_in = om_inputs(pairs.om[:, 3].copy(), TABLES)
    log_fluence(pairs, TABLES, layers, light.source_in, om_in, found)
    expected = np.exp(found) * CELL_VOLUMES[cell] * N_PHOTONS
    record = light.record[slot]
    recorded = np.where(record >= 0, light.total[np.maximum(record, 0)], 0.0)
    ring = cell // (N_COS * N_AZIMUTH)
    for first, last in ((4, 10), (10, 15), (15, 20)):
        chosen = inside & (ring >= first) & (ring < last)
        ratio = expected[chosen].sum() / recorded[chosen].sum()
        assert ratio == pytest.approx(1.0, abs=0.3), (first, last)


@pytest.mark.parametrize("train", [train_charge, train_times])
def test_less_than_a_step_of_training_is_refused(light: Lightfall, train: Any) -> None:
    with pytest.raises(UsageError, match="too few passes"):
        train(light, Fit(n_epochs=1e-6))


def test_same_seed_same_training(light: Lightfall) -> None:
    fit = Fit(n_hidden=8, n_epochs=0.2, batch=2048, seed=3)
    first = train_charge(light, fit)
    for a, b in zip(first, train_charge(light, fit), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    other = train_charge(light, Fit(n_hidden=8, n_epochs=0.2, batch=2048, seed=4))
    assert not np.allclose(other.pair, first.pair, atol=1e-2)


def test_trained_times_are_likelier_than_the_first_guess(light: Lightfall) -> None:
    fit = Fit(n_hidden=16, n_epochs=6.0, batch=2048, rate=1e-2, clip=5.0, seed=1)
    layers = train_times(light, fit)
    rows = np.random.default_rng(7).integers(light.total.size, size=5000)
    source = light.slot[rows] // N_CELLS
    pairs = light.pairs(source, light.xyz[source] + light.place[rows])
    raw = np.empty((rows.size, 12), np.float32)
    om_in = om_inputs(pairs.om[:, 3].copy(), TABLES)
    mixtures(pairs, TABLES, layers, light.source_in, om_in, raw)
    u = np.log(np.maximum(light.delay[rows], 0) + 2.0).astype(np.float32)
    trained = training._mixture_nll(torch.from_numpy(raw), torch.from_numpy(u)).numpy()
    guess = np.tile([0] * 4 + [2.0, 3.5, 5.0, 6.0] + [-0.7] * 4, (rows.size, 1)).astype(np.float32)
    first = training._mixture_nll(torch.from_numpy(guess), torch.from_numpy(u)).numpy()
    assert np.median(trained) < np.median(first) - 0.2
