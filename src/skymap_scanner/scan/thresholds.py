"""Predictive scanning: how much of a level must be collected before finer pixels are sent."""

from __future__ import annotations

__all__ = ["Thresholds"]


class Thresholds:
    """Counts off, level by level, the fractions of collected pixels that start a new round.

    Every level has the thresholds F and all of 0.1, 0.2 ... 1.0 above it, the last level only 1.0;
    each is passed once. With F = 1 there are none: rounds are then made when nothing is
    outstanding, the only moment that does not depend on the order of arrival.

    Parameters
    ----------
    n_levels : int
        How many nsides the scan has.
    first : float
        F.

    Examples
    --------
    >>> thresholds = Thresholds(n_levels=2, first=0.85)
    >>> [thresholds.has_passed(0, n_done, 100) for n_done in (84, 85, 86, 90, 100, 100)]
    [False, True, False, True, True, False]
    """

    __slots__ = ("_left",)

    def __init__(self, n_levels: int, first: float) -> None:
        above = [tenths / 10 for tenths in range(1, 11) if tenths / 10 > first + 1e-9]
        #: Per level, what was not passed yet, descending.
        self._left: list[list[float]] = [[] for _ in range(n_levels)]
        if first < 1.0:
            self._left = [[*reversed(above), first] for _ in range(n_levels - 1)] + [[1.0]]

    def has_passed(self, level: int, n_done: int, n_sent: int) -> bool:
        """Whether `n_done` of `n_sent` pixels pass a threshold that was not passed before."""
        left = self._left[level]
        n_before = len(left)
        # 0.7 * 10 is a little more than 7
        while left and n_done >= left[-1] * n_sent - 1e-6:
            left.pop()
        return len(left) < n_before
