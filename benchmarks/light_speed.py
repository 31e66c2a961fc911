"""How fast the light model and the photon propagation are on one core, and what loading costs.

    python benchmarks/light_speed.py [--photons N] [--json]

Prints nanoseconds per pair of source and module for the expected charge and for the cumulative
distribution of times at 10 edges, beside a plain numpy evaluation of the same networks on the same
pairs in the same run; photons per second of the propagation (analogue, z = -350 m, full ice);
seconds to load the model once its kernels are compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.inputs import om_inputs, pair_inputs, source_inputs
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.model import CHARGE_PER_FLUENCE, LightModel
from skymap_scanner.light.propagation import propagate
from skymap_scanner.light.trained_volume import ExtrapolationWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skymap_scanner.light.network import Layers
    from skymap_scanner.units import FloatArray

N_SOURCES, N_OMS = 40, 5000
EDGES = np.geomspace(2.0, 2000.0, 10)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOAD = """
import time
import numpy as np
from skymap_scanner.light.model import LightModel
start = time.perf_counter()
model = LightModel.load()
loaded = time.perf_counter()
model.expected_charge([0.0, 0.0, -350.0], [0.0, 0.0, 1.0], [0.0, 30.0, -350.0], 1.0)
print(loaded - start, time.perf_counter() - loaded)
"""


def plain_network(layers: Layers, inputs: NDArray[np.float32]) -> FloatArray:
    """Evaluate a network with numpy alone, inputs of shape (n, 79), the parts one after another."""
    first = np.concatenate([layers.pair, layers.source, layers.om])
    hidden = _activate(inputs @ first + layers.bias)
    hidden = _activate(hidden @ layers.hidden + layers.hidden_bias)
    return np.asarray(hidden @ layers.last + layers.last_bias)


def _activate(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * x * (1.0 + x / np.sqrt(1.0 + x * x)))


def _difference(ours: FloatArray, plain: FloatArray) -> float:
    """Return the largest relative difference where there is light at all."""
    lit = plain > 1e-30
    return float(np.abs(ours[lit] / plain[lit] - 1.0).max())


def _best(work: Callable[[], object], repeats: int = 7) -> float:
    """Return the shortest of several run times [s]; the machine is shared."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_model(model: LightModel) -> dict[str, float]:
    """Return nanoseconds per pair, ours and plain, and the largest difference between them."""
    rng = np.random.default_rng(1)
    source = rng.uniform((-400, -400, -450), (400, 400, 450), (N_SOURCES, 1, 3))
    direction = rng.normal(size=(N_SOURCES, 1, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    om = rng.uniform((-500, -500, -500), (500, 500, 500), (N_OMS, 3))
    n_pairs = N_SOURCES * N_OMS

    def inputs() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pairs, _ = model.pairs(source, direction, om)
        pair_in, falling = pair_inputs(pairs, model.tables)
        source_in = source_inputs(pairs.source[:, 3].copy(), pairs.direction, model.tables)
        om_in = om_inputs(pairs.om[:, 3].copy(), model.tables)
        rows = [pair_in, source_in[pairs.source_index], om_in[pairs.om_index]]
        return np.concatenate(rows, axis=1), falling

    def plain_charge() -> FloatArray:
        x, falling = inputs()
        layers = model.weights.charge
        skip = np.concatenate([layers.skip_pair, layers.skip_source, layers.skip_om])
        return np.asarray(
            CHARGE_PER_FLUENCE * np.exp(plain_network(layers, x)[:, 0] + x @ skip + falling)
        )

    def plain_cdf() -> FloatArray:
        logit, mean, log_width = np.split(plain_network(model.weights.time, inputs()[0]), 3, axis=1)
        weight = np.exp(logit - logit.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        y = (np.log(EDGES + 2.0)[:, None] - mean[:, None]) / np.exp(log_width)[:, None]
        return np.asarray((weight[:, None] / (1.0 + np.exp(-y))).sum(axis=2))

    def charge() -> FloatArray:
        return model.expected_charge(source, direction, om, 1.0)

    def cdf() -> FloatArray:
        return model.time_cdf(source, direction, om, EDGES)

    to_ns = 1e9 / n_pairs
    return {
        "charge_difference": _difference(charge().ravel(), plain_charge()),
        "cdf_difference": float(np.abs(cdf().reshape(n_pairs, -1) - plain_cdf()).max()),
        "charge_ns": _best(charge) * to_ns,
        "charge_plain_ns": _best(plain_charge, 3) * to_ns,
        "cdf10_ns": _best(cdf) * to_ns,
        "cdf10_plain_ns": _best(plain_cdf, 3) * to_ns,
    }


def measure_propagation(n_photons: int) -> dict[str, float]:
    """Return photons per second and core, analogue and with absorption sampled at 0.4."""
    medium = make_medium(IceModel.load())
    source, direction = np.array([0.0, 0.0, -350.0]), np.array([0.954, 0.0, 0.3])
    direction /= np.linalg.norm(direction)
    propagate(source, direction, medium, n_photons=10, seed=(1,))
    rates = {}
    for name, kill in (("photons_per_s", 1.0), ("photons_per_s_kill_0.4", 0.4)):
        work = partial(
            propagate, source, direction, medium, n_photons=n_photons, seed=(1,), kill=kill
        )
        rates[name] = n_photons / _best(work, 3)
    return rates


def measure_load() -> dict[str, float]:
    """Return seconds to load the model and to answer once, in a new process, kernels compiled."""
    times = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True
        )
        times.append([float(part) for part in done.stdout.split()])
    load_s, first_s = np.min(times, axis=0)
    return {"load_s": float(load_s), "first_answer_s": float(first_s)}


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photons", type=int, default=100_000, help="photons to follow")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in _THREADS):
        # One core: the matrix library reads this when it is loaded, so in a new process.
        again = [sys.executable, __file__, *(sys.argv[1:] if argv is None else argv)]
        environment = os.environ | dict.fromkeys(_THREADS, "1")
        return subprocess.run(again, check=False, env=environment).returncode
    warnings.simplefilter("ignore", ExtrapolationWarning)
    figures: dict[str, Any] = measure_model(LightModel.load())
    figures |= measure_propagation(arguments.photons) | measure_load()
    if arguments.json:
        print(json.dumps(figures))
        return 0
    for what, ours, plain in (
        ("expected charge", "charge_ns", "charge_plain_ns"),
        ("time CDF, 10 edges", "cdf10_ns", "cdf10_plain_ns"),
    ):
        print(
            f"{what}: {figures[ours]:.0f} ns per pair; plain numpy {figures[plain]:.0f} ns, "
            f"{figures[plain] / figures[ours]:.1f} times as long"
        )
    print(
        f"largest differences: charge {figures['charge_difference']:.1e} relative, "
        f"CDF {figures['cdf_difference']:.1e}"
    )
    print(
        f"propagation: {figures['photons_per_s']:.0f} photons/s analogue, "
        f"{figures['photons_per_s_kill_0.4']:.0f} with 0.4 of the absorption sampled"
    )
    print(
        f"loading the model: {figures['load_s']:.3f} s; first answer, which loads the machine "
        f"code: {figures['first_answer_s']:.3f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
