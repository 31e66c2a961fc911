r"""Evaluation of the light model's two small networks, a few hundred nanoseconds a pair.

Both have two hidden layers with the activation :math:`x/2\,(1 + x/\sqrt{1 + x^2})`, smooth and
without exponentials. The first layer's part of source and module alone is worked out once per
source and module; the rest goes through matrix products in blocks, in single precision.

* Charge: the logarithm of the accepted fluence per photon is
  :math:`-2 \ln r` + a linear function of the inputs + the network's output.
* Time: logits, means and log-widths of a mixture of logistic distributions in
  the logarithm of the delay after the fastest direct light (see `mixture`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import fast_kernel, kernel
from skymap_scanner.light.inputs import N_PAIR_INPUTS, fill_pair_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.inputs import Pairs, PairTables
    from skymap_scanner.units import FloatArray

    Float32Array = NDArray[np.float32]

__all__ = [
    "EndPart",
    "Layers",
    "log_fluence",
    "log_fluence_of_parts",
    "mixtures",
    "mixtures_of_parts",
    "om_part",
    "source_part",
]

#: Pairs per matrix product: big enough for the library, small enough for the cache.
_BLOCK: Final = 512
_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1.0)


class Layers(NamedTuple):
    """Weights of one network, all float32.

    Attributes
    ----------
    pair, source, om : ndarray, shape (21, n_hidden), (30, n_hidden), (28, n_hidden)
        First layer, standardisation folded in, for the inputs of pairs, sources, modules.
    bias : ndarray, shape (n_hidden,)
        Its bias.
    hidden, hidden_bias : ndarray, shape (n_hidden, n_hidden), (n_hidden,)
        Second layer.
    last, last_bias : ndarray, shape (n_hidden, n_out), (n_out,)
        Last layer.
    skip_pair, skip_source, skip_om : ndarray, shape (21,), (30,), (28,)
        Linear function of the inputs, added to the logarithm of the charge; not used for times.
    """

    pair: Float32Array
    source: Float32Array
    om: Float32Array
    bias: Float32Array
    hidden: Float32Array
    hidden_bias: Float32Array
    last: Float32Array
    last_bias: Float32Array
    skip_pair: Float32Array
    skip_source: Float32Array
    skip_om: Float32Array


@fast_kernel
def _hidden(
    first: int,
    pairs: Pairs,
    tables: PairTables,
    layers: Layers,
    parts: tuple[Float32Array, Float32Array],
    work: tuple[Float32Array, Float32Array, Float32Array, Float32Array],
) -> None:
    """Run a block of pairs up to the second hidden layer, from pair number `first` on.

    `work` is written: inputs, first and second layer, logarithm of light lost to distance.
    """
    inputs, one, two, falling = work
    source_part, om_part = parts
    n = one.shape[0]
    fill_pair_inputs(first, pairs, tables, inputs, falling)
    np.dot(inputs.T, layers.pair, one)
    for row in range(n):
        i, j = pairs.source_index[first + row], pairs.om_index[first + row]
        for k in range(one.shape[1]):
            value = one[row, k] + source_part[i, k] + om_part[j, k]
            one[row, k] = _HALF * value * (_ONE + value / np.sqrt(_ONE + value * value))
    np.dot(one, layers.hidden, two)
    for row in range(n):
        for k in range(two.shape[1]):
            value = two[row, k] + layers.hidden_bias[k]
            two[row, k] = _HALF * value * (_ONE + value / np.sqrt(_ONE + value * value))


@kernel
def _along(inputs: Float32Array, weights: Float32Array) -> Float32Array:
    """Return ``inputs @ weights``, summed in order wherever the arrays lie in memory."""
    result = np.zeros(inputs.shape[0], np.float32)
    for row in range(inputs.shape[0]):
        for k in range(weights.size):
            result[row] += inputs[row, k] * weights[k]
    return result


class EndPart(NamedTuple):
    """What sources alone, or modules alone, add in a network.

    Attributes
    ----------
    hidden : ndarray of float32, shape (n, n_hidden)
        To its first layer; the part of sources has the bias.
    skip : ndarray of float32, shape (n,)
        To the linear function.
    """

    hidden: Float32Array
    skip: Float32Array


@kernel
def source_part(layers: Layers, source_in: Float32Array) -> EndPart:
    """Return what sources alone add; `source_in` has shape (n_source, 30)."""
    hidden = np.dot(source_in, layers.source) + layers.bias
    return EndPart(hidden, _along(source_in, layers.skip_source))


@kernel
def om_part(layers: Layers, om_in: Float32Array) -> EndPart:
    """Return what modules alone add; `om_in` has shape (n_om, 28)."""
    return EndPart(np.dot(om_in, layers.om), _along(om_in, layers.skip_om))


@fast_kernel
def log_fluence(
    pairs: Pairs,
    tables: PairTables,
    layers: Layers,
    source_in: Float32Array,
    om_in: Float32Array,
    result: FloatArray,
) -> None:
    """Natural logarithm of the accepted fluence per photon [1/m^2].

    Parameters
    ----------
    pairs : Pairs
        What to evaluate.
    tables : PairTables
        The ice.
    layers : Layers
        The network of the charge.
    source_in, om_in : ndarray of float32, shape (n_source, 30), (n_om, 28)
        Inputs of sources and modules.
    result : ndarray, shape (n_pair,)
        Written.
    """
    sources, oms = source_part(layers, source_in), om_part(layers, om_in)
    log_fluence_of_parts(pairs, tables, layers, sources, oms, result)


@fast_kernel
def log_fluence_of_parts(
    pairs: Pairs,
    tables: PairTables,
    layers: Layers,
    sources: EndPart,
    oms: EndPart,
    result: FloatArray,
) -> None:
    """Natural logarithm of the accepted fluence, when what the ends add is known.

    Parameters
    ----------
    pairs, tables, layers, result
        As `log_fluence` takes them.
    sources, oms : EndPart
        What sources and modules alone add.
    """
    n_hidden = layers.hidden.shape[0]
    parts = (sources.hidden, oms.hidden)
    inputs = np.empty(N_PAIR_INPUTS * _BLOCK, np.float32)
    one, two = np.empty((_BLOCK, n_hidden), np.float32), np.empty((_BLOCK, n_hidden), np.float32)
    falling = np.empty(_BLOCK, np.float32)
    for first in range(0, result.size, _BLOCK):
        n = min(_BLOCK, result.size - first)
        block = inputs[: N_PAIR_INPUTS * n].reshape((N_PAIR_INPUTS, n))
        work = (block, one[:n], two[:n], falling[:n])
        _hidden(first, pairs, tables, layers, parts, work)
        for row in range(n):
            i, j = pairs.source_index[first + row], pairs.om_index[first + row]
            value = sources.skip[i] + oms.skip[j] + layers.last_bias[0]
            for k in range(n_hidden):
                value += two[row, k] * layers.last[k, 0]
            result[first + row] = value + falling[row]
        for k in range(N_PAIR_INPUTS):
            for row in range(n):
                result[first + row] += block[k, row] * layers.skip_pair[k]


@fast_kernel
def mixtures_of_parts(
    pairs: Pairs,
    tables: PairTables,
    layers: Layers,
    parts: tuple[Float32Array, Float32Array],
    result: Float32Array,
) -> None:
    """Raw outputs of the network of the time, when what the ends add to its first layer is known.

    Parameters
    ----------
    pairs, tables, layers
        As `mixtures` takes them.
    parts : (ndarray, ndarray) of float32, shape (n_source, n_hidden), (n_om, n_hidden)
        What sources (with the bias) and modules alone add to the first layer.
    result : ndarray of float32, shape (n_pair, 3 n_component)
        Written.
    """
    n_hidden = layers.hidden.shape[0]
    inputs = np.empty(N_PAIR_INPUTS * _BLOCK, np.float32)
    one, two = np.empty((_BLOCK, n_hidden), np.float32), np.empty((_BLOCK, n_hidden), np.float32)
    falling = np.empty(_BLOCK, np.float32)
    for first in range(0, result.shape[0], _BLOCK):
        n = min(_BLOCK, result.shape[0] - first)
        block = inputs[: N_PAIR_INPUTS * n].reshape((N_PAIR_INPUTS, n))
        work = (block, one[:n], two[:n], falling[:n])
        _hidden(first, pairs, tables, layers, parts, work)
        np.dot(two[:n], layers.last, result[first : first + n])
        for row in range(n):
            for k in range(result.shape[1]):
                result[first + row, k] += layers.last_bias[k]


@fast_kernel
def mixtures(
    pairs: Pairs,
    tables: PairTables,
    layers: Layers,
    source_in: Float32Array,
    om_in: Float32Array,
    result: Float32Array,
) -> None:
    """Raw outputs of the network of the time: logits, means, log-widths.

    Parameters
    ----------
    pairs, tables, layers, source_in, om_in
        As `log_fluence` takes them, the network of the time.
    result : ndarray of float32, shape (n_pair, 3 n_component)
        Written.
    """
    parts = (source_part(layers, source_in).hidden, om_part(layers, om_in).hidden)
    mixtures_of_parts(pairs, tables, layers, parts, result)
