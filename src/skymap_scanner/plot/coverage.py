"""Coverage of regions as a probability-probability plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.plot.style import INK, LINE_50, LINE_90, TRUTH, make_figure, save

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from skymap_scanner.units import FloatArray

__all__ = ["CoverageCurve", "CoveragePoint", "plot_coverage"]

#: Colours of curves, in their order.
_COLORS: Final = ("#0072b2", LINE_50, TRUTH)


@dataclass(frozen=True, slots=True, eq=False)
class CoverageCurve:
    """Credible levels at the true directions, uniform where the coverage is right.

    Attributes
    ----------
    label : str
        How the regions are made.
    levels : ndarray, shape (n,)
        Per event, 0 to 1.
    """

    label: str
    levels: FloatArray


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Fraction of events whose calibrated region of some probability holds the truth.

    Attributes
    ----------
    probability : float
        What it should be.
    value, low, high : float
        What it is, and its interval.
    """

    probability: float
    value: float
    low: float
    high: float


def plot_coverage(
    curves: Sequence[CoverageCurve],
    path: str | Path,
    *,
    bands: Sequence[tuple[FloatArray, FloatArray, FloatArray]] = (),
    points: Sequence[CoveragePoint] = (),
    title: str = "",
    dpi: int = 200,
) -> Path:
    """Draw empirical coverage over expected coverage.

    Parameters
    ----------
    curves : sequence of CoverageCurve
        At least one event each.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    bands : sequence of (expected, low, high)
        Where curves of right coverage lie, the wider ones first.
    points : sequence of CoveragePoint
        Coverage of calibrated regions.
    title : str
        What was calibrated.
    dpi : int
        Dots per inch of a figure 6 inches wide.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        When the suffix is not known.
    OutputError
        When the file cannot be written.
    """
    figure = make_figure(6.0, 6.0)
    axes = figure.add_axes((0.12, 0.11, 0.84, 0.8))
    for number, (expected, low, high) in enumerate(bands):
        shade = 0.92 - 0.08 * number
        axes.fill_between(expected, low, high, color=str(shade), lw=0, step=None)
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls="--")
    for curve, color in zip(curves, _COLORS, strict=False):
        x = np.sort(np.clip(curve.levels, 0.0, 1.0))
        y = np.arange(1, x.size + 1) / x.size
        axes.step(
            np.concatenate([[0.0], x, [1.0]]),
            np.concatenate([[0.0], y, [1.0]]),
            where="post",
            color=color,
            lw=1.6,
            label=curve.label,
        )
    if points:
        probability, value, low, high = np.array(
            [(one.probability, one.value, one.low, one.high) for one in points]
        ).T
        errors = [value - low, high - value]
        bars = axes.errorbar(probability, value, errors, fmt="o", color=LINE_90, label="calibrated")
        bars.lines[0].set_markersize(5)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("probability of the region")
    axes.set_ylabel("fraction of events whose region holds the truth")
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    axes.set_title(title, fontsize=10, color=INK)
    return save(figure, path, title=title or "coverage", dpi=dpi)
