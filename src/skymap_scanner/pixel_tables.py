"""The best fit of every pixel, in columns: the map as it is kept in memory and in files.

Millions of pixels fit into memory because the classic `RecoPixelFinal` objects are views that are
made on demand from the columns of a `PixelTable`. Users import these names from
`skymap_scanner.pixels`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from skymap_scanner.exceptions import ResultError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.pixels import RecoPixelVariation
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["PIXEL_DTYPE", "NSidesDict", "PixelTable", "Position", "RecoPixelFinal"]

#: One pixel as in result files: RING index, nll, energies [GeV], vertex [m] and time there [ns].
PIXEL_DTYPE: Final = np.dtype(
    [
        ("index", "<i8"),
        ("llh", "<f8"),
        ("E_in", "<f8"),
        ("E_tot", "<f8"),
        ("X", "<f8"),
        ("Y", "<f8"),
        ("Z", "<f8"),
        ("T", "<f8"),
    ]
)


class Position(NamedTuple):
    """A point in detector coordinates [m], with the attributes of IceTray's ``I3Position``."""

    x: float
    y: float
    z: float

    @classmethod
    def of(cls, point: Any) -> Position:
        """Copy anything that has ``x, y, z`` or three numbers in a row."""
        if isinstance(point, Position):
            return point
        if hasattr(point, "x"):
            return cls(float(point.x), float(point.y), float(point.z))
        x, y, z = point
        return cls(float(x), float(y), float(z))


@dataclass(frozen=True, slots=True)
class RecoPixelFinal:
    """The best of a pixel's variations (classic name); `llh` is the **negative** log-likelihood."""

    nside: int
    pixel_id: int
    llh: float
    reco_losses_inside: float
    reco_losses_total: float
    position: Position
    time: float
    energy: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", Position.of(self.position))

    @property
    def id_tuple(self) -> tuple[int, int]:
        """(nside, pixel_id)."""
        return (self.nside, self.pixel_id)

    @classmethod
    def from_recopixelvariation(cls, variation: RecoPixelVariation) -> RecoPixelFinal:
        """Promote the best variation of a pixel."""
        return cls(
            nside=variation.nside,
            pixel_id=variation.pixel_id,
            llh=variation.llh,
            reco_losses_inside=variation.reco_losses_inside,
            reco_losses_total=variation.reco_losses_total,
            position=variation.position,
            time=variation.time,
            energy=variation.energy,
        )


class PixelTable(Mapping[int, RecoPixelFinal]):
    """The best fits of the pixels of one nside in columns, sorted by RING index.

    Parameters
    ----------
    nside : int
        Resolution.
    rows : ndarray, shape (n,)
        Structured array with field ``index`` and any of the other fields of `PIXEL_DTYPE`; what is
        missing is NaN (files of early classic versions have no vertex).
    energy : ndarray, shape (n,), optional
        Energy of the particle per row [GeV], which result files do not carry; NaN when absent.

    Raises
    ------
    ResultError
        When a pixel appears twice, does not exist at this nside, or a field is missing or not
        numbers.
    """

    __slots__ = ("_energy", "_rows", "nside")

    def __init__(
        self, nside: int, rows: NDArray[np.void], *, energy: FloatArray | None = None
    ) -> None:
        place = f"nside-{nside}"
        names = rows.dtype.names or ()
        if "index" not in names or "llh" not in names:
            raise ResultError(
                "a table of pixels lacks fields", place=place, found=names, wanted="index and llh"
            )
        table = np.empty(len(rows), PIXEL_DTYPE)
        for name in PIXEL_DTYPE.names or ():
            wanted = "iu" if name == "index" else "iuf"
            if name in names and (rows.dtype[name].kind not in wanted or rows.ndim != 1):
                raise ResultError(
                    f"field {name} is not a column of numbers",
                    place=place,
                    found=f"{rows.dtype[name]} of shape {rows[name].shape}",
                    wanted=PIXEL_DTYPE[name],
                )
            table[name] = rows[name] if name in names else np.nan
        order = np.argsort(table["index"], kind="stable")
        self._rows = table[order]
        self._energy = None if energy is None else np.asarray(energy, float)[order]
        self.nside = int(nside)
        self._rows.setflags(write=False)
        self._check_index(place)

    def _check_index(self, place: str) -> None:
        index = self._rows["index"]
        n_pixels = 12 * self.nside**2
        if len(index) and (index[0] < 0 or index[-1] >= n_pixels):
            bad = int(index[0] if index[0] < 0 else index[-1])
            raise ResultError("no such pixel", place=place, found=bad, wanted=f"0..{n_pixels - 1}")
        repeated = np.flatnonzero(index[1:] == index[:-1])
        if len(repeated):
            raise ResultError(
                "a pixel appears twice", place=place, found=int(index[repeated[0]]), wanted="once"
            )

    @property
    def index(self) -> IntArray:
        """RING indices in ascending order, shape (n,)."""
        return self._rows["index"]

    @property
    def nll(self) -> FloatArray:
        """Negative log-likelihoods, shape (n,)."""
        return self._rows["llh"]

    def to_array(self) -> NDArray[np.void]:
        """Return the rows as a new structured array of `PIXEL_DTYPE`, sorted by index."""
        return self._rows.copy()

    def best(self) -> RecoPixelFinal | None:
        """Return the pixel with the lowest finite nll (lowest index of equals), or None."""
        finite = np.where(np.isfinite(self.nll), self.nll, np.inf)
        if not len(finite) or not np.isfinite(finite.min()):
            return None
        return self._row(int(np.argmin(finite)))

    def _row(self, row: int) -> RecoPixelFinal:
        # item() gives one tuple of Python numbers: much faster than field by field
        index, nll, energy_in, energy_total, x, y, z, time = self._rows[row].item()
        energy = math.nan if self._energy is None else float(self._energy[row])
        return RecoPixelFinal(
            self.nside, index, nll, energy_in, energy_total, Position(x, y, z), time, energy
        )

    def _find(self, ipix: object) -> int | None:
        if not isinstance(ipix, int | np.integer):
            return None
        row = int(np.searchsorted(self.index, ipix))
        return row if row < len(self._rows) and self.index[row] == ipix else None

    def __getitem__(self, ipix: int) -> RecoPixelFinal:
        row = self._find(ipix)
        if row is None:
            raise KeyError(ipix)
        return self._row(row)

    def __contains__(self, ipix: object) -> bool:
        return self._find(ipix) is not None

    def __iter__(self) -> Iterator[int]:
        return iter(self.index.tolist())

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        """Whether the rows are the same bit by bit (NaN equals NaN)."""
        if not isinstance(other, PixelTable):
            return NotImplemented
        return self.nside == other.nside and self._rows.tobytes() == other._rows.tobytes()

    __hash__ = None  # type: ignore[assignment]  # compares by content, as every Mapping

    def __repr__(self) -> str:
        return f"PixelTable(nside={self.nside}, n_pixels={len(self)})"


class NSidesDict(Mapping[int, Mapping[int, RecoPixelFinal]]):
    """The map so far: nside -> RING index -> best fit (classic name).

    Reads like the nested dict that plug-ins know; behind it is one `PixelTable` per nside. The
    nsides come in ascending order.

    Parameters
    ----------
    pixels : Mapping, optional
        nside -> `PixelTable` or plain mapping of RING index -> `RecoPixelFinal`.
    """

    __slots__ = ("_tables",)

    def __init__(self, pixels: Mapping[int, Mapping[int, RecoPixelFinal]] | None = None) -> None:
        given = pixels or {}
        self._tables = {int(nside): _as_table(int(nside), given[nside]) for nside in sorted(given)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[int, NDArray[np.void]]) -> NSidesDict:
        """Make the map from one structured array per nside (see `PixelTable`).

        Raises
        ------
        ResultError
            When an array is not a table of pixels of its nside.
        """
        return cls({nside: PixelTable(nside, rows) for nside, rows in arrays.items()})

    def to_arrays(self) -> dict[int, NDArray[np.void]]:
        """Return one structured array of `PIXEL_DTYPE` per nside, sorted by index."""
        return {nside: table.to_array() for nside, table in self._tables.items()}

    def table(self, nside: int) -> PixelTable:
        """Return the columns of one nside; KeyError when there are none."""
        return self._tables[nside]

    @property
    def n_pixels(self) -> int:
        """How many pixels all nsides have together."""
        return sum(len(table) for table in self._tables.values())

    def best(self) -> RecoPixelFinal | None:
        """Return the pixel with the lowest finite nll; of equals the finer, then lower index."""
        bests = [best for table in self._tables.values() if (best := table.best()) is not None]
        return min(bests, key=lambda pixel: (pixel.llh, -pixel.nside), default=None)

    def __getitem__(self, nside: int) -> PixelTable:
        return self._tables[nside]

    def __iter__(self) -> Iterator[int]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NSidesDict):
            return NotImplemented
        return self._tables == other._tables

    __hash__ = None  # type: ignore[assignment]  # compares by content, as every Mapping

    def __repr__(self) -> str:
        counts = ", ".join(f"{nside}: {len(table)}" for nside, table in self._tables.items())
        return f"NSidesDict(pixels per nside: {{{counts}}})"


def _as_table(nside: int, pixels: Mapping[int, RecoPixelFinal]) -> PixelTable:
    """Put the pixels of one nside into columns."""
    if isinstance(pixels, PixelTable):
        return pixels
    rows = np.empty(len(pixels), PIXEL_DTYPE)
    energy = np.empty(len(pixels))
    for row, (ipix, pixel) in enumerate(pixels.items()):
        if (pixel.nside, pixel.pixel_id) != (nside, ipix):
            raise ResultError(
                "a pixel lies under the wrong key",
                place=f"nside-{nside}, pixel {ipix}",
                found=pixel.id_tuple,
                wanted=(nside, ipix),
            )
        losses = (pixel.reco_losses_inside, pixel.reco_losses_total)
        rows[row] = (ipix, pixel.llh, *losses, *pixel.position, pixel.time)
        energy[row] = pixel.energy
    return PixelTable(nside, rows, energy=energy)
