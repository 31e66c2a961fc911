r"""Mixtures of logistic distributions in the logarithm of the delay: when light arrives.

With :math:`u = \ln(t + 2\,\mathrm{ns})` the cumulative distribution is
:math:`F(t) = \sum_k w_k / (1 + e^{-(u - \mu_k)/s_k})`. What the mixture has below :math:`t = 0` is
light that comes at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import fast_kernel, kernel
from skymap_scanner.light.fast_math import exp32
from skymap_scanner.light.propagation import TIME_OFFSET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

    Float32Array = NDArray[np.float32]

__all__ = [
    "LOG_WIDTHS",
    "N_COMPONENTS",
    "cumulative",
    "density",
    "mixture_weights",
    "quantile",
    "soften",
]

N_COMPONENTS: Final = 4
#: Log-widths of the components are kept in this range.
LOG_WIDTHS: Final = (-4.5, 1.5)
#: Exponents beyond this are as good as infinite.
_FAR: Final = np.float32(80.0)
_ONE: Final = np.float32(1.0)


def soften(delay: FloatArray, softening: float) -> FloatArray:
    r"""Return delays that go smoothly to zero: :math:`(t + \sqrt{t^2 + 4b^2})/2`.

    Parameters
    ----------
    delay : ndarray
        Delays t [ns], any sign.
    softening : float
        Width b [ns]; 0 cuts at zero.

    Returns
    -------
    ndarray
        Delays [ns], never negative.

    Examples
    --------
    >>> soften(np.array([-50.0, 0.0, 50.0]), 5.0).round(6)
    array([ 0.495098,  5.      , 50.495098])
    """
    return np.asarray(0.5 * (delay + np.hypot(delay, 2.0 * softening)))


@kernel
def mixture_weights(raw: Float32Array, weight: Float32Array, inverse_width: Float32Array) -> None:
    """Fill weights and inverse widths of one mixture from the network's raw outputs, (4,) each."""
    total = np.float32(0.0)
    largest = raw[0]
    for k in range(1, N_COMPONENTS):
        largest = max(largest, raw[k])
    for k in range(N_COMPONENTS):
        weight[k] = exp32(raw[k] - largest)
        total += weight[k]
        log_width = min(max(raw[2 * N_COMPONENTS + k], LOG_WIDTHS[0]), LOG_WIDTHS[1])
        inverse_width[k] = exp32(-log_width)
    for k in range(N_COMPONENTS):
        weight[k] /= total


@fast_kernel
def cumulative(raw: Float32Array, log_time: Float32Array, result: Float32Array) -> None:
    """Fill the cumulative distributions.

    Parameters
    ----------
    raw : ndarray of float32, shape (n, 12)
        Logits, means, log-widths.
    log_time : ndarray of float32, shape (n, n_edge) or (1, n_edge)
        u at the edges, ascending or not.
    result : ndarray of float32, shape (n, n_edge)
        Written: between 0 and 1, not less than at the edge before if that is not later.
    """
    weight = np.empty(N_COMPONENTS, np.float32)
    inverse_width = np.empty(N_COMPONENTS, np.float32)
    many = log_time.shape[0] > 1
    for row in range(raw.shape[0]):
        mixture_weights(raw[row], weight, inverse_width)
        edges = log_time[row if many else 0]
        for e in range(result.shape[1]):
            result[row, e] = np.float32(0.0)
        for k in range(N_COMPONENTS):
            mean, scale, part = raw[row, N_COMPONENTS + k], inverse_width[k], weight[k]
            for e in range(result.shape[1]):
                y = min(max((mean - edges[e]) * scale, -_FAR), _FAR)
                result[row, e] += part / (_ONE + exp32(y))
        for e in range(result.shape[1]):
            # rounding must not make a fraction fall from an edge to a later one, or exceed 1
            value = min(result[row, e], _ONE)
            if e > 0 and edges[e] >= edges[e - 1]:
                value = max(value, result[row, e - 1])
            result[row, e] = value


@fast_kernel
def density(raw: Float32Array, log_time: Float32Array, result: Float32Array) -> None:
    """Fill the densities in u; shapes as for `cumulative`."""
    weight = np.empty(N_COMPONENTS, np.float32)
    inverse_width = np.empty(N_COMPONENTS, np.float32)
    many = log_time.shape[0] > 1
    for row in range(raw.shape[0]):
        mixture_weights(raw[row], weight, inverse_width)
        edges = log_time[row if many else 0]
        for e in range(result.shape[1]):
            result[row, e] = np.float32(0.0)
        for k in range(N_COMPONENTS):
            mean, scale, part = raw[row, N_COMPONENTS + k], inverse_width[k], weight[k]
            for e in range(result.shape[1]):
                y = exp32(-min(abs((mean - edges[e]) * scale), _FAR))
                result[row, e] += part * scale * y / ((_ONE + y) * (_ONE + y))


def quantile(raw: Float32Array, rng: np.random.Generator) -> FloatArray:
    """Draw one delay per mixture.

    Parameters
    ----------
    raw : ndarray of float32, shape (n, 12)
        Logits, means, log-widths.
    rng : numpy.random.Generator
        Chance.

    Returns
    -------
    ndarray, shape (n,)
        Delays, at least 0 [ns].
    """
    logit, mean, log_width = np.split(raw.astype(np.float64), 3, axis=1)
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    weight = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    component = (rng.random(len(raw))[:, None] > weight[:, :-1]).sum(axis=1)
    rows = np.arange(len(raw))
    p = np.clip(rng.random(len(raw)), 1e-12, 1.0 - 1e-12)
    width = np.exp(np.clip(log_width[rows, component], *LOG_WIDTHS))
    u = mean[rows, component] + width * np.log(p / (1.0 - p))
    return np.asarray(np.maximum(np.exp(np.minimum(u, 12.0)) - TIME_OFFSET, 0.0))
