"""How far a scan is and how long it may still take; the time is an argument, nothing is printed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skymap_scanner.sky.healpix import n_pixels, pixel_area

if TYPE_CHECKING:
    from skymap_scanner.scan.level import LevelCounts
    from skymap_scanner.scan.state import ScanState
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone

__all__ = ["LevelProgress", "Progress", "RateMeter", "expected_pixels", "take_progress"]

#: The rate is that of about this time [s], measured with at most so many samples [count].
_WINDOW_S: Final = 60.0
_MAX_SAMPLES: Final = 128


class RateMeter:
    """Measures how many pixel variations come back per second, lately and altogether.

    Parameters
    ----------
    start_s : float
        When the first task was sent [s], on any clock that does not jump.
    window_s : float
        How far back "lately" reaches [s].

    Examples
    --------
    >>> meter = RateMeter(start_s=100.0, window_s=10.0)
    >>> meter.add(105.0, n_done=50)
    >>> meter.add(115.0, n_done=250)
    >>> meter.rate, meter.mean_rate
    (20.0, 16.666666666666668)
    """

    __slots__ = ("_samples", "_start", "window_s")

    def __init__(self, start_s: float, window_s: float = _WINDOW_S) -> None:
        self.window_s = window_s
        self._start = (start_s, 0)
        #: (time [s], number done) in the order of time, the first one at or before the window.
        self._samples: deque[tuple[float, int]] = deque([self._start])

    def add(self, time_s: float, n_done: int) -> None:
        """Note that at `time_s` `n_done` variations had come back; an earlier time is ignored."""
        samples = self._samples
        if time_s < samples[-1][0]:
            return
        # a sample for every result would be far more than the figure needs
        too_close = time_s - samples[-1][0] < self.window_s / _MAX_SAMPLES
        if too_close and len(samples) > 2:
            samples.pop()
        samples.append((time_s, n_done))
        while len(samples) > 2 and samples[1][0] <= time_s - self.window_s:
            samples.popleft()

    @property
    def rate(self) -> float:
        """Variations per second during the window."""
        return _rate(self._samples[0], self._samples[-1])

    @property
    def mean_rate(self) -> float:
        """Variations per second since the start."""
        return _rate(self._start, self._samples[-1])

    @property
    def elapsed_s(self) -> float:
        """Time from the start to the last sample [s]."""
        return self._samples[-1][0] - self._start[0]


def _rate(first: tuple[float, int], last: tuple[float, int]) -> float:
    elapsed_s = last[0] - first[0]
    return (last[1] - first[1]) / elapsed_s if elapsed_s > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class LevelProgress:
    """How far one nside is, in pixels; `n_expected` is a forecast until the scan is finished."""

    nside: int
    n_done: int
    n_failed: int
    n_sent: int
    n_expected: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the scan is; the numbers without a level count pixel variations.

    Parameters
    ----------
    levels : tuple of LevelProgress
        Per nside, coarsest first, also those not begun.
    n_done, n_failed, n_sent : int
        Variations with an outcome, those of them that failed, and all that were sent.
    n_expected : int
        Forecast of how many there will be in the end.
    elapsed_s : float
        Time since the start [s].
    rate, mean_rate : float
        Variations per second, lately and since the start.
    time_left_s : float or None
        Forecast [s]; None while nothing is known about the rate.
    best : (int, int, float) or None
        (nside, RING index, nll) of the best pixel so far.
    """

    levels: tuple[LevelProgress, ...]
    n_done: int
    n_failed: int
    n_sent: int
    n_expected: int
    elapsed_s: float
    rate: float
    mean_rate: float
    time_left_s: float | None
    best: tuple[int, int, float] | None

    @property
    def fraction(self) -> float:
        """Forecast of the fraction that is done, 0 to 1."""
        return self.n_done / self.n_expected if self.n_expected else 0.0


def expected_pixels(
    progression: NSideProgression, counts: tuple[LevelCounts, ...], region: Cone | None = None
) -> tuple[int, ...]:
    """Forecast how many pixels each level will have in the end.

    A level that is not begun gets what its extension says, as far as the region and the pixels of
    the first level have room for it. The best pixel may move and make it more; what was sent is
    never forecast to be less.

    Examples
    --------
    >>> from skymap_scanner.scan.state import ScanStarted, ScanState
    >>> from skymap_scanner.sky.progression import DEFAULT_PROGRESSION
    >>> state = ScanState(DEFAULT_PROGRESSION, 7)
    >>> _ = state.handle(ScanStarted())
    >>> expected_pixels(DEFAULT_PROGRESSION, state.counts())
    (768, 768, 1536)
    """
    first = counts[0]
    sky_fraction = first.n_pixels / n_pixels(first.nside)
    expected = [first.n_pixels]
    before = first.nside
    for level in counts[1:]:
        room = sky_fraction * n_pixels(level.nside)
        if region is not None:
            # a cap of half-angle r covers 2 pi (1 - cos r) = 4 pi sin^2(r/2)
            area = 4.0 * math.pi * math.sin(region.radius / 2.0) ** 2
            room = min(room, 1.0 + area / pixel_area(level.nside))
        wanted = progression.extension(level.nside) * (level.nside // before) ** 2
        expected.append(max(level.n_pixels, math.ceil(min(wanted, room))))
        before = level.nside
    return tuple(expected)


def take_progress(state: ScanState, meter: RateMeter, time_s: float) -> Progress:
    """Take a snapshot of a scan.

    Parameters
    ----------
    state : ScanState
        The scan; it is not changed.
    meter : RateMeter
        Gets one more sample.
    time_s : float
        Now [s], on the clock of the meter.
    """
    counts = state.counts()
    meter.add(time_s, state.n_done)
    expected = expected_pixels(state.progression, counts, state.region)
    if state.is_finished:
        expected = tuple(level.n_pixels for level in counts)
    n_expected = sum(expected) * state.n_variations
    return Progress(
        levels=tuple(
            LevelProgress(
                level.nside, level.n_pixels_done, level.n_pixels_failed, level.n_pixels, n_pixel
            )
            for level, n_pixel in zip(counts, expected, strict=True)
        ),
        n_done=state.n_done,
        n_failed=state.n_failed,
        n_sent=state.n_sent,
        n_expected=n_expected,
        elapsed_s=meter.elapsed_s,
        rate=meter.rate,
        mean_rate=meter.mean_rate,
        time_left_s=_time_left(n_expected - state.n_done, meter, is_finished=state.is_finished),
        best=state.best,
    )


def _time_left(n_left: int, meter: RateMeter, *, is_finished: bool) -> float | None:
    if is_finished or n_left == 0:
        return 0.0
    # with no answer lately the mean rate is the better guess
    rate = meter.rate or meter.mean_rate
    return n_left / rate if rate > 0.0 else None
