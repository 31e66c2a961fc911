"""The story of what went wrong, pixel by pixel, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from skymap_scanner.pixels import TaskKey

__all__ = ["FailedPixel", "FailedVariation", "FailureLog"]

#: So many pixels are remembered, with so many failures each, the last ones [count].
_MAX_PIXELS: Final = 5000
_MAX_PER_PIXEL: Final = 16
#: So many different reasons are counted [count], each cut to this length [characters].
_MAX_REASONS: Final = 200
_MAX_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class FailedPixel:
    """A pixel without any finite fit, and what happened to its variations."""

    nside: int
    ipix: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedVariation:
    """A pixel variation that was given up; its pixel may have other, good ones."""

    key: TaskKey
    reasons: tuple[str, ...]


class FailureLog:
    """Remembers the last failures of each pixel and counts how often each reason occurred.

    When too many pixels have failed, the failures of further ones are counted and not remembered: a
    scan in which everything fails must not also run out of memory.
    """

    __slots__ = ("_counts", "_entries", "n_forgotten")

    def __init__(self) -> None:
        #: (nside, ipix) -> (variation, attempt, reason) of its last failures.
        self._entries: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
        self._counts: Counter[str] = Counter()
        #: Failures of which nothing but the count of their reason is left.
        self.n_forgotten = 0

    def add(self, key: TaskKey, attempt: int, reason: str) -> None:
        """Note that the `attempt`-th try of `key` failed."""
        reason = reason if len(reason) <= _MAX_LENGTH else f"{reason[: _MAX_LENGTH - 3]}..."
        if reason not in self._counts and len(self._counts) >= _MAX_REASONS:
            self._counts["other reasons"] += 1
        else:
            self._counts[reason] += 1
        pixel = key[:2]
        entries = self._entries.get(pixel)
        if entries is None:
            if len(self._entries) >= _MAX_PIXELS:
                self.n_forgotten += 1
                return
            entries = self._entries[pixel] = []
        entries.append((key[2], attempt, reason))
        if len(entries) > _MAX_PER_PIXEL:
            del entries[0]
            self.n_forgotten += 1

    def forget(self, nside: int, ipix: int) -> None:
        """Drop the story of a pixel in which in the end nothing failed."""
        self._entries.pop((nside, ipix), None)

    def of_pixel(self, nside: int, ipix: int) -> tuple[str, ...]:
        """Tell what happened to a pixel, in the order of variations and attempts."""
        return tuple(
            f"variation {variation}, attempt {attempt}: {reason}"
            for variation, attempt, reason in sorted(self._entries.get((nside, ipix), ()))
        )

    def of_variation(self, key: TaskKey) -> tuple[str, ...]:
        """Tell what happened to one pixel variation, in the order of attempts."""
        return tuple(
            f"attempt {attempt}: {reason}"
            for variation, attempt, reason in sorted(self._entries.get(key[:2], ()))
            if variation == key[2]
        )

    def most_frequent(self, n: int = 3) -> list[tuple[str, int]]:
        """List the `n` most frequent reasons with their counts, equals in alphabetical order."""
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:n]
