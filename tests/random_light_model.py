"""A light model of random numbers: right are only its shapes, and that light falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.light.inputs import N_OM_INPUTS, N_PAIR_INPUTS, N_SOURCE_INPUTS
from skymap_scanner.light.network import Layers
from skymap_scanner.light.weights import Weights, write_weights

if TYPE_CHECKING:
    from pathlib import Path

N_HIDDEN = 8


def _layers(rng: np.random.Generator, last_bias: list[float]) -> Layers:
    def draw(*shape: int) -> Any:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    n_pair, n_source, n_om = N_PAIR_INPUTS, N_SOURCE_INPUTS, N_OM_INPUTS
    return Layers(
        pair=draw(n_pair, N_HIDDEN),
        source=draw(n_source, N_HIDDEN),
        om=draw(n_om, N_HIDDEN),
        bias=draw(N_HIDDEN),
        hidden=draw(N_HIDDEN, N_HIDDEN),
        hidden_bias=draw(N_HIDDEN),
        last=0.1 * draw(N_HIDDEN, len(last_bias)),
        last_bias=np.array(last_bias, np.float32),
        skip_pair=np.zeros(n_pair, np.float32),
        skip_source=np.zeros(n_source, np.float32),
        skip_om=np.zeros(n_om, np.float32),
    )


def random_weights(seed: int = 1) -> Weights:
    """Charge about 1 PE/GeV at 33 m, and delays about 4 to 80 ns."""
    rng = np.random.default_rng(seed)
    times = [0.0] * 4 + [1.5, 2.5, 3.5, 4.5] + [-1.0] * 4
    return Weights(
        {"ice": "spice_bfr-v2"},
        np.zeros((2049, 3), np.float32),
        _layers(rng, [0.0]),
        _layers(rng, times),
    )


def write_random_model(path: Path, **changes: Any) -> Path:
    """Write weights with some fields replaced."""
    weights = random_weights()
    fields = {name: getattr(weights, name) for name in ("card", "emission", "charge", "time")}
    write_weights(path, Weights(**{**fields, **changes}))
    return path
