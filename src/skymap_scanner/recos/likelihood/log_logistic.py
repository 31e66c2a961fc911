r"""Smeared log-logistic distributions: arrival times from the light model, with jitter, as a table.

The networks of the light model answer with mixtures of logistic distributions in the logarithm of
the delay t plus 2 ns: in :math:`y = t + 2\,\mathrm{ns}` each component is log-logistic,

.. math:: F(y) = \frac{1}{1 + e^{-(\ln y - \mu)/s}}, \qquad y > 0

Smeared with a Gaussian of width :math:`\sigma` it only depends on :math:`\mu - \ln\sigma`,
:math:`s` and :math:`y/\sigma`, so that one table of the kind of the convoluted Pandel function
(:mod:`skymap_scanner.recos.likelihood.pandel`) serves all mixtures and widths: no quadrature is
left for the likelihood, and its derivatives are exact. What a mixture has before t = 0 is left
between -2 ns and 0, where the light model itself puts it at 0.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from skymap_scanner.recos.likelihood.pandel import LOG_FLOOR, PandelTable, spline_coefficients

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["LOG_WIDTH_RANGE", "load_log_logistic_table", "smeared_log_logistic"]

#: Range of ln s in the table. Narrower components are as sharp as this one to any real jitter.
LOG_WIDTH_RANGE: Final = (-2.1, 0.6)
#: Ranges of mu - ln sigma and of y / sigma.
_MEAN_RANGE: Final = (-4.0, 8.0)
_X_RANGE: Final = (-8.0, 3000.0)
_N_NODES: Final = (61, 11, 160)
#: Integration covers the Gaussian out to this many widths.
_REACH: Final = 8.0
#: Nearer to zero than e to this, in units of the width, is zero.
_LOG_ZERO: Final = -7.0
_STEP: Final = 0.02


def smeared_log_logistic(x: FloatArray, mean: float, width: float) -> tuple[FloatArray, FloatArray]:
    r"""Density and survival function smeared by a Gaussian of width 1, by quadrature.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Where, in units of the width of the Gaussian.
    mean, width : float
        :math:`\mu` and s of the logistic distribution of the logarithm.

    Returns
    -------
    density, survival : ndarray, shape (n,)
        Density per unit of x and probability to lie beyond x.

    Examples
    --------
    So narrow that the Gaussian is all there is:

    >>> p, s = smeared_log_logistic(np.array([2.0]), np.log(2.0), 0.001)
    >>> float(p[0]).__round__(4), float(s[0]).__round__(4)
    (0.3989, 0.5)
    """
    x = np.asarray(x, dtype=np.float64)
    density, survival = np.zeros(x.size), np.zeros(x.size)
    near = x < _REACH + 1.0
    # Even steps in the logarithm: density and Gaussian are smooth in it.
    step = min(_STEP, 0.2 * width)
    u = np.arange(_LOG_ZERO, np.log(2.0 * _REACH + 1.0), step)
    y = np.exp(u)
    share = step * _logistic(u, mean, width)
    offset = y - x[near, None]
    at_zero = special.expit((_LOG_ZERO - 0.5 * step - mean) / width)
    density[near] = _gauss(offset) @ share + at_zero * _gauss(x[near])
    survival[near] = special.ndtr(offset) @ share + at_zero * special.ndtr(-x[near])
    survival[near] += special.expit((mean - u[-1] - 0.5 * step) / width)
    nodes, weights = special.roots_legendre(48)
    y = x[~near, None] + _REACH * nodes
    log_y = np.log(y)
    share = _REACH * weights * _logistic(log_y, mean, width) / y
    offset = y - x[~near, None]
    density[~near] = (share * _gauss(offset)).sum(axis=1)
    survival[~near] = (share * special.ndtr(offset)).sum(axis=1)
    survival[~near] += special.expit((mean - np.log(x[~near] + _REACH)) / width)
    return density, survival


def _logistic(u: FloatArray, mean: float, width: float) -> FloatArray:
    """Return the density of a logistic distribution."""
    y = np.exp(-np.abs(u - mean) / width)
    return np.asarray(y / (width * (1.0 + y) ** 2))


def _gauss(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi))


@cache
def load_log_logistic_table() -> PandelTable:
    """Return the table; computed on the first call of a process, in a second."""
    ends = _MEAN_RANGE, LOG_WIDTH_RANGE, tuple(np.arcsinh(_X_RANGE))
    grids = [np.linspace(a, b, n) for (a, b), n in zip(ends, _N_NODES, strict=True)]
    values = np.empty((*_N_NODES, 2))
    x = np.sinh(grids[2])
    floor = np.exp(LOG_FLOOR)
    for i, mean in enumerate(grids[0]):
        for j, width in enumerate(np.exp(grids[1])):
            density, survival = smeared_log_logistic(x, float(mean), float(width))
            values[i, j, :, 0] = np.log(density + floor)
            values[i, j, :, 1] = np.log(np.minimum(survival, 1.0) + floor)
    for axis in range(3):
        values = spline_coefficients(values, axis)
    axes = np.array([[g[0], g[1] - g[0], g.size] for g in grids])
    return PandelTable(coefficients=np.ascontiguousarray(values, dtype=np.float32), axes=axes)
