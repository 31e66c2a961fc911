"""The sky map of one event: pixels of several nsides, where they come from, and their files."""

from __future__ import annotations

import dataclasses
import json
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import ResultError
from skymap_scanner.files import write_atomically, write_bytes_atomically
from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict, RecoPixelFinal
from skymap_scanner.result.comparison import (
    RELATIVE_TOLERANCES,
    close_columns,
    difference_report,
    is_same,
)
from skymap_scanner.result.event_metadata import EventMetadata, result_stem
from skymap_scanner.result.header import ScanHeader
from skymap_scanner.result.json_file import (
    dump_document,
    from_document,
    load_document,
    to_document,
)
from skymap_scanner.result.npz_file import read_arrays, write_arrays
from skymap_scanner.sky.healpix import pixel_at, pixel_centers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.result.levels import LevelRule
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["ResultWarning", "SkyScanResult", "from_nsides_dict"]

#: The best pixel as a record: its nside and the columns of result files.
_BEST_DTYPE: Final = np.dtype([("nside", "<i8"), *((n, PIXEL_DTYPE[n]) for n in PIXEL_DTYPE.names)])  # type: ignore[union-attr]  # a structured dtype has names


class ResultWarning(UserWarning):
    """A result can be used, but something in it is not as it should be."""


class SkyScanResult:
    """The result of a scan: per nside one table of pixels with a finite fit.

    Values are negative log-likelihoods; the files of the field call the column ``llh``. Pixels
    without a finite fit are not part of a result.

    Parameters
    ----------
    pixels : NSidesDict or Mapping
        nside -> RING index -> `RecoPixelFinal`.
    header : ScanHeader, optional
        Event, completeness, reconstruction.

    Examples
    --------
    >>> event = EventMetadata(1, 2, None, 59000.0, is_real_event=False)
    >>> pixel = RecoPixelFinal(8, 7, 12.5, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0.0)
    >>> result = from_nsides_dict({8: {7: pixel}}, True, event)
    >>> float(result.best_fit["llh"]), result.nsides
    (12.5, [8])
    """

    def __init__(
        self,
        pixels: Mapping[int, Mapping[int, RecoPixelFinal]],
        header: ScanHeader | None = None,
    ) -> None:
        tables = pixels if isinstance(pixels, NSidesDict) else NSidesDict(pixels)
        self.header = header or ScanHeader()
        self._arrays: dict[int, NDArray[np.void]] = {}
        #: What others have computed of these pixels, which cannot change; each under its own key.
        self.derived: dict[object, Any] = {}
        #: How many pixels were left out because their llh is not finite.
        self.n_left_out = 0
        for nside, array in tables.to_arrays().items():
            is_finite = np.isfinite(array["llh"])
            self.n_left_out += int(np.count_nonzero(~is_finite))
            if is_finite.any():
                self._arrays[nside] = _frozen(array[is_finite])

    @classmethod
    def read_npz(cls, filename: str | Path) -> SkyScanResult:
        """Read an ``.npz`` file of ours, of ``icecube-skyreader`` or of the classic scanner.

        Raises
        ------
        ResultError
            When the file is missing, damaged or not a scan result.

        Warns
        -----
        ResultWarning
            When pixels are left out because their llh is not finite.
        """
        arrays, header = read_arrays(Path(filename))
        return cls._from_arrays(arrays, header, place=str(filename))

    @classmethod
    def read_json(cls, filename: str | Path) -> SkyScanResult:
        """Read a ``.json`` file; raises and warns as `read_npz` does."""
        arrays, header = from_document(load_document(Path(filename)), place=str(filename))
        return cls._from_arrays(arrays, header, place=str(filename))

    @classmethod
    def deserialize(cls, pydict: Mapping[str, Any]) -> SkyScanResult:
        """Make a result from the JSON document that `serialize` returns (classic name)."""
        arrays, header = from_document(pydict)
        return cls._from_arrays(arrays, header, place="result document")

    @classmethod
    def _from_arrays(
        cls, arrays: Mapping[int, NDArray[np.void]], header: ScanHeader, *, place: str
    ) -> SkyScanResult:
        try:
            result = cls(NSidesDict.from_arrays(arrays), header)
        except ResultError as error:
            raise error.at(place) from error
        if result.n_left_out:
            warnings.warn(
                f"{place}: {result.n_left_out} pixels without a finite llh are left out",
                ResultWarning,
                stacklevel=3,
            )
        return result

    def serialize(self) -> dict[str, Any]:
        """Return the JSON document of this result as plain Python objects (classic name)."""
        return to_document(self._arrays, self.header)

    def to_npz(
        self,
        event_metadata: EventMetadata | None = None,
        output_dir: str | Path | None = None,
        *,
        nsides: Collection[int] | None = None,
    ) -> Path:
        """Write an ``.npz`` file, whole or not at all, and return its path.

        Parameters
        ----------
        event_metadata : EventMetadata, optional
            Names the file and stands in its header; default: the event of this result.
        output_dir : str or Path, optional
            Directory, which must exist; default: the current one.
        nsides : collection of int, optional
            Names the file; default: the nsides that have pixels. A scan that is under way gives its
            whole progression, so that later files replace earlier ones.

        Raises
        ------
        OutputError
            When the disk is full or the directory not writable; an earlier file stays as it was.
        """
        path = self.get_filename(event_metadata, ".npz", output_dir, nsides=nsides)
        arrays, header = self._writable_arrays(nsides), self._header_of(event_metadata)
        write_atomically(path, lambda file: write_arrays(file, arrays, header))
        return path

    def to_json(
        self,
        event_metadata: EventMetadata | None = None,
        output_dir: str | Path | None = None,
        *,
        nsides: Collection[int] | None = None,
    ) -> Path:
        """Write a ``.json`` file; parameters, result and errors are those of `to_npz`."""
        path = self.get_filename(event_metadata, ".json", output_dir, nsides=nsides)
        document = to_document(self._writable_arrays(nsides), self._header_of(event_metadata))
        write_bytes_atomically(path, dump_document(document))
        return path

    def get_filename(
        self,
        event_metadata: EventMetadata | None,
        extension: str,
        output_dir: str | Path | None = None,
        *,
        nsides: Collection[int] | None = None,
    ) -> Path:
        """Return the path of a file of this result; parameters are those of `to_npz`."""
        named = self.nsides if nsides is None else nsides
        if not named:
            raise ResultError("a result without pixels has no file name", wanted="some nsides")
        stem = result_stem(event_metadata or self.header.event_metadata, named)
        return Path(output_dir or ".") / f"{stem}.{extension.removeprefix('.')}"

    def _writable_arrays(self, nsides: Collection[int] | None) -> dict[int, NDArray[np.void]]:
        """Return the arrays for a file, which carries its header in the rows of the arrays."""
        if self._arrays or nsides is None:
            return self._arrays
        return {min(nsides): np.empty(0, PIXEL_DTYPE)}

    def _header_of(self, event_metadata: EventMetadata | None) -> ScanHeader:
        if event_metadata is None:
            return self.header
        return dataclasses.replace(self.header, event_metadata=event_metadata)

    @property
    def nsides(self) -> list[int]:
        """The resolutions that have pixels, ascending."""
        return list(self._arrays)

    @property
    def result(self) -> dict[str, NDArray[np.void]]:
        """The arrays under their classic keys, ``nside-8`` ..."""
        return {f"nside-{nside}": array for nside, array in self._arrays.items()}

    @property
    def n_pixels(self) -> int:
        """Number of pixels of all nsides together."""
        return sum(map(len, self._arrays.values()))

    def get_results_per_nside(self, nside: int) -> NDArray[np.void]:
        """Return the pixels of one nside, sorted by index; KeyError when there are none."""
        return self._arrays[nside]

    def get_event_metadata(self) -> EventMetadata:
        """Return the event of this result."""
        return self.header.event_metadata

    def get_nside_string(self) -> str:
        """Return the nsides as file names carry them, ``8_64_512``."""
        return "_".join(str(nside) for nside in self.nsides)

    @cached_property
    def best_fit(self) -> np.void:
        """The pixel with the lowest llh as a record with fields nside, index, llh, E_in ...

        Of equal pixels the finer wins, then the one with the lower index.

        Raises
        ------
        ResultError
            When the result has no pixels.
        """
        if not self._arrays:
            raise ResultError("a result without pixels has no best fit")
        bests = {nside: array[np.argmin(array["llh"])] for nside, array in self._arrays.items()}
        nside = min(bests, key=lambda one: (bests[one]["llh"], -one))
        best: np.void = np.array([(nside, *bests[nside].item())], _BEST_DTYPE)[0]
        return best

    @property
    def min_llh(self) -> float:
        """The lowest negative log-likelihood."""
        return float(self.best_fit["llh"])

    @property
    def best_dir(self) -> tuple[float, float]:
        """Right ascension and declination of the centre of the best pixel [rad]."""
        ra, dec = pixel_centers(int(self.best_fit["nside"]), [int(self.best_fit["index"])])
        return float(ra[0]), float(dec[0])

    def llh(self, ra: float, dec: float) -> float | None:
        """Return the negative log-likelihood of the finest pixel at a direction.

        Parameters
        ----------
        ra, dec : float
            Direction [rad].

        Returns
        -------
        float or None
            None where the sky was not scanned.
        """
        value = float(self.nll_at(ra, dec))
        return value if np.isfinite(value) else None

    def nll_at(self, ra: ArrayLike, dec: ArrayLike) -> FloatArray:
        """Return negative log-likelihoods of the finest pixels at directions.

        Parameters
        ----------
        ra, dec : array_like of any shape
            Directions [rad].

        Returns
        -------
        ndarray, same shape
            +inf where the sky was not scanned.
        """
        lon, lat = np.broadcast_arrays(np.asarray(ra, float), np.asarray(dec, float))
        nll = np.full(lon.shape, np.inf)
        for nside, array in self._arrays.items():
            wanted = pixel_at(nside, lon.ravel(), lat.ravel()).reshape(lon.shape)
            row = np.minimum(np.searchsorted(array["index"], wanted), len(array) - 1)
            is_there = array["index"][row] == wanted
            nll[is_there] = array["llh"][row[is_there]]
        return nll

    def pixel_indices(self) -> dict[int, IntArray]:
        """Return nside -> RING indices of its pixels, ascending."""
        return {nside: array["index"] for nside, array in self._arrays.items()}

    def __eq__(self, other: object) -> bool:
        """Whether both have the same pixels with the same values; NaN equals NaN."""
        if not isinstance(other, SkyScanResult):
            return NotImplemented
        return self.nsides == other.nsides and all(
            is_same(array, other.get_results_per_nside(nside))
            for nside, array in self._arrays.items()
        )

    __hash__ = None  # type: ignore[assignment]  # compares by content

    def is_close(
        self,
        other: SkyScanResult,
        equal_nan: bool = True,  # classic signature
        dump_json_diff: str | Path | None = None,
        rtol_per_field: Mapping[str, float] | None = None,
    ) -> bool:
        """Whether both have the same pixels and about the same values.

        Parameters
        ----------
        other : SkyScanResult
            To compare with.
        equal_nan : bool, optional
            Whether NaN agrees with NaN.
        dump_json_diff : str or Path, optional
            Write a JSON file with every comparison, nside by nside.
        rtol_per_field : Mapping, optional
            Column -> relative tolerance; default `RELATIVE_TOLERANCES`. Other columns must be
            equal.

        Returns
        -------
        bool
            False also when one has an nside or a pixel that the other lacks.
        """
        tolerances = RELATIVE_TOLERANCES if rtol_per_field is None else rtol_per_field
        empty = np.empty(0, PIXEL_DTYPE)
        pairs = {
            nside: (self._arrays.get(nside, empty), other.result.get(f"nside-{nside}", empty))
            for nside in sorted({*self.nsides, *other.nsides})
        }
        if dump_json_diff is not None:
            report = {f"nside-{nside}": difference_report(*pair) for nside, pair in pairs.items()}
            write_bytes_atomically(Path(dump_json_diff), json.dumps(report, indent=1).encode())
        return all(
            all(close_columns(*pair, equal_nan=equal_nan, tolerances=tolerances).values())
            for pair in pairs.values()
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{nside}: {len(array)}" for nside, array in self._arrays.items())
        return f"SkyScanResult({self.header.event_metadata}, pixels per nside: {{{counts}}})"


def from_nsides_dict(
    nsides_dict: Mapping[int, Mapping[int, RecoPixelFinal]],
    is_complete: bool,  # classic signature
    event_metadata: EventMetadata,
    *,
    reco_algo: str = "",
    reco_options: Mapping[str, object] | None = None,
    software: str = "",
    level_rule: LevelRule | None = None,
) -> SkyScanResult:
    """Make a result from the pixels of a scan.

    Parameters
    ----------
    nsides_dict : NSidesDict or Mapping
        nside -> RING index -> `RecoPixelFinal`; pixels without a finite llh are left out.
    is_complete : bool
        Whether the scan has ended.
    event_metadata : EventMetadata
        The event.
    reco_algo, reco_options, software, level_rule : optional
        What made the map and how regions are made of it, recorded in the headers of files.

    Returns
    -------
    SkyScanResult
        Shares nothing with `nsides_dict`.
    """
    made = (reco_algo, dict(reco_options or {}), software, level_rule)
    return SkyScanResult(nsides_dict, ScanHeader(event_metadata, is_complete, *made))


def _frozen(array: NDArray[np.void]) -> NDArray[np.void]:
    """Make an array read-only; infinite energies and vertices become NaN, "not known"."""
    for name in (PIXEL_DTYPE.names or ())[2:]:
        array[name][~np.isfinite(array[name])] = np.nan
    array.setflags(write=False)
    return array
