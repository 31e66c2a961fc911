"""The resolutions of a scan: which nsides in turn, and how large an area each finer one covers."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import UsageError
from skymap_scanner.sky.healpix import NSIDE_MAX, is_nside, n_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["DEFAULT_PROGRESSION", "MAX_PIXELS", "NSideProgression"]

#: A level has at most so many pixels: the whole sky with nside 2048, 5 GB of memory.
MAX_PIXELS: Final = 12 * 2048**2
_PLACE: Final = "--nsides"
_ITEM: Final = re.compile(r"([0-9]{1,9}):(-?[0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NSideProgression:
    """Pairs of (nside, extension) with ascending nside.

    The extension of an nside is the area, in pixels of the nside before it, around the best fit
    that is scanned with it; the first nside has none, because it covers all that is to be scanned.

    Parameters
    ----------
    steps : tuple of (int, int)
        (nside, extension), nsides ascending powers of two; first extension 0, later ones positive.

    Raises
    ------
    UsageError
        When they are not.

    Examples
    --------
    >>> progression = NSideProgression.parse(["8:0", "64:12", "512:24"])
    >>> progression.nsides, progression.extension(64), str(progression)
    ((8, 64, 512), 12, '8:0 64:12 512:24')
    """

    steps: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise UsageError("no nside given", place=_PLACE, found="nothing", wanted="N:EXT ...")
        for level, (nside, extension) in enumerate(self.steps):
            found = f"{nside}:{extension}"
            if not is_nside(nside):
                wanted = f"1, 2, 4 ... {NSIDE_MAX}"
                raise UsageError(
                    "an nside must be a power of two", place=_PLACE, found=found, wanted=wanted
                )
            if level == 0 and extension != 0:
                raise UsageError(
                    "the first nside covers the whole region, its extension must be 0",
                    place=_PLACE,
                    found=found,
                    wanted=f"{nside}:0",
                )
            if level > 0 and extension <= 0:
                raise UsageError(
                    "the extension of an nside after the first must be positive",
                    place=_PLACE,
                    found=found,
                    wanted=f"{nside}:12 or another number of pixels of the nside before it",
                )
        self._check_order()

    def _check_order(self) -> None:
        nsides = self.nsides
        for before, after in itertools.pairwise(nsides):
            if before >= after:
                twice = nsides.count(after) > 1
                raise UsageError(
                    "an nside is given twice" if twice else "nsides must ascend",
                    place=_PLACE,
                    found=str(self),
                    wanted=" ".join(str(nside) for nside in sorted(set(nsides))),
                )

    @classmethod
    def parse(cls, items: Iterable[str | Sequence[int]]) -> NSideProgression:
        """Make a progression from ``"nside:extension"`` strings or pairs of integers.

        Raises
        ------
        UsageError
            When an item cannot be read or the progression is not legal.
        """
        return cls(tuple(_parse_step(item) for item in items))

    @property
    def nsides(self) -> tuple[int, ...]:
        """The nsides, ascending."""
        return tuple(nside for nside, _ in self.steps)

    def check_size(self, sky_fraction: float = 1.0) -> None:
        """Refuse a progression with more pixels than a scan can have.

        Parameters
        ----------
        sky_fraction : float
            Part of the sky that is scanned.

        Raises
        ------
        UsageError
            When a level would have more than `MAX_PIXELS`.
        """
        before = 0
        for nside, extension in self.steps:
            n = n_pixels(nside) * sky_fraction
            if before:
                n = min(n, extension * (nside // before) ** 2)
            if n > MAX_PIXELS:
                raise UsageError(
                    "too many pixels",
                    place=_PLACE,
                    found=f"{nside}:{extension}, about {n:.3g} pixels",
                    wanted=f"at most {MAX_PIXELS} per nside, as many as nside 2048 has",
                )
            before = nside

    def extension(self, nside: int) -> int:
        """Return the area scanned with `nside`, in pixels of the nside before it."""
        return dict(self.steps)[nside]

    def level(self, nside: int) -> int:
        """Return 0 for the coarsest nside, 1 for the next, and so on."""
        return self.nsides.index(nside)

    def refinements(self) -> Iterator[tuple[int, int, int]]:
        """Iterate over the consecutive (nside, next nside, extension of the next nside)."""
        for (nside, _), (next_nside, extension) in itertools.pairwise(self.steps):
            yield nside, next_nside, extension

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return " ".join(f"{nside}:{extension}" for nside, extension in self.steps)


def _parse_step(item: str | Sequence[int]) -> tuple[int, int]:
    """Read one ``"nside:extension"`` or check one pair."""
    if isinstance(item, str):
        match = _ITEM.fullmatch(item.strip())
        if match:
            return int(match[1]), int(match[2])
    elif len(item) == 2 and all(type(number) is int for number in item):
        return item[0], item[1]
    raise UsageError(
        "not an nside with its extension",
        place=_PLACE,
        found=repr(item),
        wanted="N:EXT with two whole numbers, for example 64:12",
    )


#: What is scanned when the user says nothing: 7.3 deg, 0.9 deg and 0.11 deg pixels.
DEFAULT_PROGRESSION: Final = NSideProgression(((8, 0), (64, 12), (512, 24)))
