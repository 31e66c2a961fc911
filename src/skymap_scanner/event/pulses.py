"""The pulses of an event in columns: which optical module saw how much light when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["FLAG_HLC", "BoolArray", "PulseSeries", "weighted_quantile"]

BoolArray = NDArray[np.bool_]

#: Bit of the pulse flags: read out in hard local coincidence (HLC); without it SLC.
FLAG_HLC: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class PulseSeries:
    """Pulses in columns, sorted by optical module; inside a module in stored order.

    Parameters
    ----------
    om_index : ndarray of int, shape (n_pulses,)
        Row of the module in the arrays of the event's `Detector`; never decreases.
    time, charge, width : ndarray, shape (n_pulses,)
        Start [ns], charge [PE], width [ns]; all finite, charges not negative.
    flags : ndarray of uint8, shape (n_pulses,)
        Bits as the data acquisition wrote them: 1 local coincidence, 2 ATWD, 4 FADC.
    """

    om_index: IntArray
    time: FloatArray
    charge: FloatArray
    width: FloatArray
    flags: NDArray[np.uint8]

    def __post_init__(self) -> None:
        n_pulses = len(self.om_index)
        columns = (self.om_index, self.time, self.charge, self.width, self.flags)
        if any(column.shape != (n_pulses,) for column in columns):
            raise ValueError(f"columns differ in shape: {[column.shape for column in columns]}")
        if np.any(np.diff(self.om_index) < 0):
            raise ValueError("pulses are not sorted by optical module")

    @classmethod
    def from_columns(
        cls,
        om_index: ArrayLike,
        time: ArrayLike,
        charge: ArrayLike,
        width: ArrayLike | None = None,
        flags: ArrayLike | None = None,
    ) -> PulseSeries:
        """Make a series from columns in any order of the modules.

        Parameters
        ----------
        om_index, time, charge : array_like, shape (n_pulses,)
            See the class.
        width, flags : array_like, shape (n_pulses,), optional
            Zero where not given.

        Returns
        -------
        PulseSeries
            Sorted by module; pulses of one module stay in the given order.
        """
        index = np.asarray(om_index, dtype=np.int64)
        order = np.argsort(index, kind="stable")
        widths = np.zeros(len(index)) if width is None else np.asarray(width, dtype=np.float64)
        bits = np.zeros(len(index), np.uint8) if flags is None else np.asarray(flags, np.uint8)
        return cls(
            om_index=index[order],
            time=np.asarray(time, dtype=np.float64)[order],
            charge=np.asarray(charge, dtype=np.float64)[order],
            width=widths[order],
            flags=bits[order],
        )

    def __len__(self) -> int:
        return len(self.om_index)

    @property
    def n_pulses(self) -> int:
        """Number of pulses."""
        return len(self.om_index)

    @property
    def n_doms(self) -> int:
        """Number of modules with at least one pulse."""
        return len(self.hit_oms)

    @property
    def total_charge(self) -> float:
        """Sum of the charges [PE]."""
        return float(self.charge.sum())

    @property
    def is_hlc(self) -> BoolArray:
        """Per pulse: read out in hard local coincidence."""
        is_set: BoolArray = (self.flags & FLAG_HLC) != 0
        return is_set

    @property
    def hlc(self) -> PulseSeries:
        """The pulses read out in hard local coincidence."""
        return self.select(self.is_hlc)

    @property
    def hit_oms(self) -> IntArray:
        """Rows of the modules with pulses, ascending, shape (n_doms,)."""
        return self.om_index[self.dom_starts()]

    def dom_starts(self) -> IntArray:
        """Find where the pulses of each hit module begin, shape (n_doms,)."""
        if len(self.om_index) == 0:
            return np.zeros(0, dtype=np.int64)
        is_first = np.concatenate([[True], np.diff(self.om_index) > 0])
        return np.flatnonzero(is_first).astype(np.int64)

    def first_times(self) -> FloatArray:
        """Find the earliest pulse time of each module of `hit_oms` [ns], shape (n_doms,)."""
        return self._per_dom(np.minimum, self.time)

    def dom_charges(self) -> FloatArray:
        """Add up the charges of each module of `hit_oms` [PE], shape (n_doms,)."""
        return self._per_dom(np.add, self.charge)

    def select(self, mask: BoolArray) -> PulseSeries:
        """Return the series of the pulses for which `mask` is true."""
        return PulseSeries(
            om_index=self.om_index[mask],
            time=self.time[mask],
            charge=self.charge[mask],
            width=self.width[mask],
            flags=self.flags[mask],
        )

    def _per_dom(self, function: np.ufunc, values: FloatArray) -> FloatArray:
        starts = self.dom_starts()
        if len(starts) == 0:
            return np.zeros(0)
        return np.asarray(function.reduceat(values, starts), dtype=np.float64)


def weighted_quantile(values: FloatArray, weights: FloatArray, quantile: float) -> float:
    """Return the first value, in ascending order, whose cumulative weight reaches `quantile`.

    Parameters
    ----------
    values, weights : ndarray, shape (n,)
        At least one value; the weights sum to more than zero.
    quantile : float
        Fraction of the total weight, 0.5 for the median.

    Returns
    -------
    float
        One of `values`.

    Examples
    --------
    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 8.0]), 0.5)
    2.0
    """
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    reached = int(np.searchsorted(cumulative / cumulative[-1], quantile, side="left"))
    return float(values[order[min(reached, len(order) - 1)]])
