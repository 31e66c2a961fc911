"""The networks' fast evaluation against plain matrix products in double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from handmade_light import random_layers
from skymap_scanner.light import network as module
from skymap_scanner.light.angles import emission_table
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.inputs import (
    Pairs,
    om_inputs,
    pair_inputs,
    pair_tables,
    source_inputs,
)
from skymap_scanner.light.network import Layers, log_fluence, mixtures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

ICE = IceModel.load()
TABLES = pair_tables(ICE, emission_table())


def _pairs(n: int, seed: int = 1) -> Pairs:
    """Return `n` pairs of 40 sources and 70 modules in random order."""
    rng = np.random.default_rng(seed)
    source, om = rng.uniform(-400, 400, (40, 3)), rng.uniform(-400, 400, (70, 3))
    axis = rng.normal(size=(40, 3))
    return Pairs(
        np.column_stack([source, ICE.effective_z(source)]),
        np.column_stack([om, ICE.effective_z(om)]),
        axis / np.linalg.norm(axis, axis=1)[:, None],
        rng.integers(40, size=n),
        rng.integers(70, size=n),
    )


def _ends(pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return (
        source_inputs(pairs.source[:, 3].copy(), pairs.direction, TABLES),
        om_inputs(pairs.om[:, 3].copy(), TABLES),
    )


def _obvious(pairs: Pairs, layers: Layers) -> tuple[FloatArray, FloatArray]:
    """Return the outputs without the linear part, and the linear part with what distance takes."""
    exact = Layers(*(array.astype(np.float64) for array in layers))  # type: ignore[arg-type]  # double
    pair_in, falling = pair_inputs(pairs, TABLES)
    source_in, om_in = (
        part[index].astype(np.float64)
        for part, index in zip(_ends(pairs), (pairs.source_index, pairs.om_index), strict=True)
    )

    def activate(x: FloatArray) -> FloatArray:
        return 0.5 * x * (1.0 + x / np.sqrt(1.0 + x * x))

    first = pair_in @ exact.pair + source_in @ exact.source + om_in @ exact.om + exact.bias
    second = activate(first) @ exact.hidden + exact.hidden_bias
    output = activate(second) @ exact.last + exact.last_bias
    skip = pair_in @ exact.skip_pair + source_in @ exact.skip_source + om_in @ exact.skip_om
    return output, skip + falling


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 1000])
@pytest.mark.parametrize("n_hidden", [1, 24, 64])
def test_charge_is_that_of_plain_matrix_products(n: int, n_hidden: int) -> None:
    pairs, layers = _pairs(n), random_layers(2, 1, n_hidden)
    result = np.full(n, np.nan)
    log_fluence(pairs, TABLES, layers, *_ends(pairs), result)
    output, skip = _obvious(pairs, layers)
    np.testing.assert_allclose(result, output[:, 0] + skip, atol=3e-5)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 1000])
@pytest.mark.parametrize("n_hidden", [1, 24, 64])
def test_mixtures_are_those_of_plain_matrix_products(n: int, n_hidden: int) -> None:
    pairs, layers = _pairs(n), random_layers(3, 12, n_hidden)
    result = np.full((n, 12), np.nan, np.float32)
    mixtures(pairs, TABLES, layers, *_ends(pairs), result)
    np.testing.assert_allclose(result, _obvious(pairs, layers)[0], atol=3e-5)


def test_a_pair_does_not_depend_on_its_neighbours() -> None:
    pairs, layers = _pairs(600), random_layers(4, 1)
    together = np.empty(600)
    log_fluence(pairs, TABLES, layers, *_ends(pairs), together)
    for k in (0, 255, 256, 599):
        alone = np.empty(1)
        one = pairs._replace(
            source_index=pairs.source_index[k : k + 1], om_index=pairs.om_index[k : k + 1]
        )
        log_fluence(one, TABLES, layers, *_ends(pairs), alone)
        assert alone[0] == pytest.approx(together[k], abs=1e-5)


def test_fast_kernels_differ_from_the_functions_as_written_by_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs, charge, time = _pairs(300), random_layers(5, 1), random_layers(6, 12)
    fast, slow = np.empty(300), np.empty(300)
    fast_time, slow_time = np.empty((300, 12), np.float32), np.empty((300, 12), np.float32)
    log_fluence(pairs, TABLES, charge, *_ends(pairs), fast)
    mixtures(pairs, TABLES, time, *_ends(pairs), fast_time)
    for name in ("_hidden", "log_fluence_of_parts", "mixtures_of_parts"):
        monkeypatch.setattr(module, name, getattr(module, name).py_func)
    log_fluence.py_func(pairs, TABLES, charge, *_ends(pairs), slow)
    mixtures.py_func(pairs, TABLES, time, *_ends(pairs), slow_time)
    np.testing.assert_allclose(fast, slow, atol=1e-5)
    np.testing.assert_allclose(fast_time, slow_time, atol=1e-5)
