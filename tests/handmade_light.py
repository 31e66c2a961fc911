"""Light models with weights of chance, small and smooth, for tests that need no trained one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.light.angles import emission_table
from skymap_scanner.light.inputs import (
    N_OM_INPUTS,
    N_PAIR_INPUTS,
    N_SOURCE_INPUTS,
)
from skymap_scanner.light.network import Layers
from skymap_scanner.light.weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_layers(seed: int, n_out: int, n_hidden: int = 24) -> Layers:
    """Return a network whose outputs are of the order of one."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, width: float) -> NDArray[np.float32]:
        return rng.normal(0.0, width, shape).astype(np.float32)

    n_inputs = (N_PAIR_INPUTS, N_SOURCE_INPUTS, N_OM_INPUTS)
    pair, source, om = (draw(n, n_hidden, width=0.15) for n in n_inputs)
    skip_pair, skip_source, skip_om = (draw(n, width=0.1) for n in n_inputs)
    return Layers(
        pair=pair,
        source=source,
        om=om,
        bias=draw(n_hidden, width=0.3),
        hidden=draw(n_hidden, n_hidden, width=n_hidden**-0.5),
        hidden_bias=draw(n_hidden, width=0.3),
        last=draw(n_hidden, n_out, width=n_hidden**-0.5),
        last_bias=draw(n_out, width=0.3),
        skip_pair=skip_pair,
        skip_source=skip_source,
        skip_om=skip_om,
    )


def handmade_weights(seed: int = 1) -> Weights:
    """Return weights of a model that answers roughly what a trained one does."""
    charge, time = random_layers(seed, 1), random_layers(seed + 1, 12)
    # light falls as with a = 0.01 /m; delays of 5 to 500 ns; widths of 0.5
    charge.skip_pair[:] = 0.0
    charge.skip_pair[1] = -1.5
    charge.last_bias[:] = -3.0
    time.last_bias[:] = [0, 0.5, 0, -0.5, 2.0, 3.0, 4.5, 6.0, -0.7, -0.7, -0.7, -0.7]
    return Weights({"ice": "spice_bfr-v2", "made_by": "hand"}, emission_table(), charge, time)
