"""A sky map as far as it is known: a scan with its likelihoods, or only the probabilities of it.

What is compared with each other, or drawn beside each other, need not come from the same program:
``.npz`` and ``.json`` files hold scans, FITS files often nothing but probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import ResultError, UsageError
from skymap_scanner.files import open_regular
from skymap_scanner.pixels import NSidesDict
from skymap_scanner.result.fits_map import read_fits_map
from skymap_scanner.result.header import ScanHeader
from skymap_scanner.result.levels import WILKS, LevelRule
from skymap_scanner.result.manifest import manifest_path, read_manifest
from skymap_scanner.result.regions import SkyRegions, find_regions
from skymap_scanner.result.scan_result import SkyScanResult
from skymap_scanner.sky.healpix import nest_to_ring, pixel_centers

if TYPE_CHECKING:
    from skymap_scanner.result.fits_map import FitsMap
    from skymap_scanner.sky.cells import SkyCells
    from skymap_scanner.units import FloatArray

__all__ = ["FITS_PROBABILITY", "SkyMap", "read_sky_map", "sky_map_of"]

#: How regions are made of a map that holds probabilities: others have made them what they are.
FITS_PROBABILITY: Final = LevelRule("hpd", "probabilities of a FITS map: highest posterior density")


@dataclass(frozen=True, slots=True)
class SkyMap:
    """A sky map, and what is recorded of its making.

    Parameters
    ----------
    name : str
        Of the file, for people.
    regions : SkyRegions
        Its cells and the rule that makes regions of them.
    best : tuple of int
        (nside, RING index) of the best pixel.
    reco_algo : str, optional
        Name of the reconstruction; empty when not known.
    result : SkyScanResult, optional
        The llh of its pixels; None when only probabilities are known.
    knows_min : bool, optional
        Whether the llh are those of the reconstruction and not only differences to the lowest.
    n_failed : int, optional
        Number of pixels without a finite fit; None when not recorded.
    cpu_s, wall_s : float, optional
        Time that the scan took, of all processes and from begin to end [s]; None: not recorded.
    """

    name: str
    regions: SkyRegions
    best: tuple[int, int]
    reco_algo: str = ""
    result: SkyScanResult | None = None
    knows_min: bool = True
    n_failed: int | None = None
    cpu_s: float | None = None
    wall_s: float | None = None

    @property
    def best_dir(self) -> tuple[float, float]:
        """Right ascension and declination of the centre of the best pixel [rad]."""
        nside, ipix = self.best
        ra, dec = pixel_centers(nside, [ipix])
        return float(ra[0]), float(dec[0])

    @property
    def n_pixels(self) -> int:
        """Number of pixels of all nsides together, or of cells of a FITS map."""
        return len(self.regions.cells) if self.result is None else self.result.n_pixels

    @property
    def plain(self) -> SkyRegions:
        """The map as it was made, without an angular error folded in."""
        return self.regions if self.result is None else find_regions(self.result, WILKS)


def read_sky_map(path: str | Path, reco_algo: str = "") -> SkyMap:
    """Read a sky map; what kind of file it is shows in its first bytes.

    Parameters
    ----------
    path : str or Path
        ``.npz`` or ``.json`` of a scan, or a FITS map, compressed or not.
    reco_algo : str, optional
        Name of the reconstruction, which decides how regions are made; default: the one that the
        file names.

    Returns
    -------
    SkyMap

    Raises
    ------
    FormatError
        When the file cannot be opened.
    ResultError
        When it is not a sky map, or has no pixels.
    UsageError
        When a reconstruction is named for a map that holds probabilities only.

    Warns
    -----
    ResultWarning
        When pixels are left out because they have no finite value.
    """
    path = Path(path)
    with open_regular(path) as file:
        start = file.read(16)
    if start.startswith(b"PK"):
        return _of_scan(SkyScanResult.read_npz(path), path, reco_algo)
    if start.lstrip().startswith(b"{"):
        return _of_scan(SkyScanResult.read_json(path), path, reco_algo)
    if start.startswith((b"SIMPLE", b"\x1f\x8b")):
        return _of_fits(read_fits_map(path), path, reco_algo)
    raise ResultError(
        "not a sky map",
        place=str(path),
        found=f"a file that begins with {start!r}" if start else "an empty file",
        wanted=".npz or .json of a scan, or FITS",
    )


def sky_map_of(result: SkyScanResult, name: str = "", reco_algo: str = "") -> SkyMap:
    """Make a sky map of a scan.

    Parameters
    ----------
    result : SkyScanResult
        A scan with at least one pixel.
    name : str, optional
        For people; default: the event.
    reco_algo : str, optional
        As for `read_sky_map`.

    Raises
    ------
    ResultError
        When the result has no pixels.
    """
    best = result.best_fit
    reco_algo = reco_algo or result.header.reco_algo
    return SkyMap(
        name=name or str(result.get_event_metadata()),
        regions=find_regions(result, reco_algo),
        best=(int(best["nside"]), int(best["index"])),
        reco_algo=reco_algo,
        result=result,
        # files of the classic scanner keep such pixels, without an llh
        n_failed=result.n_left_out or None,
    )


def _of_scan(result: SkyScanResult, path: Path, reco_algo: str) -> SkyMap:
    """Make a sky map of a scan and of what the manifest beside its file says."""
    if not result.n_pixels:
        raise ResultError("a scan without any pixel", place=str(path))
    sky_map = sky_map_of(result, str(path), reco_algo)
    try:
        manifest = read_manifest(manifest_path(result.get_event_metadata(), path.parent))
    except ResultError:
        return sky_map
    if path.name not in manifest["files"].values():
        return sky_map  # of another scan of this event
    progress = manifest["progress"]
    return replace(
        sky_map,
        n_failed=manifest["n_failed"],
        cpu_s=_seconds(progress.get("cpu_s")),
        wall_s=_seconds(progress.get("wall_s")),
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _of_fits(fits_map: FitsMap, path: Path, reco_algo: str) -> SkyMap:
    """Make a sky map of a FITS file; its probabilities, if any, are taken as they are."""
    cells, density, ts = fits_map.cells, fits_map.density, fits_map.ts
    if ts is not None:
        result = SkyScanResult(_pixels_of(cells, ts), ScanHeader(reco_algo=reco_algo))
        sky_map = replace(sky_map_of(result, str(path)), knows_min=False)
        if density is None or reco_algo:
            return sky_map
        return replace(sky_map, regions=_regions_of(cells, density))
    if reco_algo:
        raise UsageError(
            "the rule of a reconstruction needs llh, and the map has only probabilities",
            place=str(path),
            found=reco_algo,
            wanted="no name of a reconstruction: regions are of highest posterior density",
        )
    assert density is not None  # noqa: S101  # a map has one or the other
    row = np.lexsort((cells.ipix_nest, -cells.order, -density))[0]
    nside = 1 << int(cells.order[row])
    best = (nside, int(nest_to_ring(nside, cells.ipix_nest[row])))
    return SkyMap(str(path), _regions_of(cells, density), best)


def _pixels_of(cells: SkyCells, ts: FloatArray) -> NSidesDict:
    """Return cells as the pixels of a scan."""
    tables = {}
    for order in np.unique(cells.order).tolist():
        here = cells.order == order
        rows = np.empty(np.count_nonzero(here), [("index", "<i8"), ("llh", "<f8")])
        rows["index"] = nest_to_ring(1 << order, cells.ipix_nest[here])
        rows["llh"] = 0.5 * ts[here]
        tables[1 << order] = rows
    return NSidesDict.from_arrays(tables)


def _regions_of(cells: SkyCells, density: FloatArray) -> SkyRegions:
    """Return cells with the rule for maps of probabilities."""
    with np.errstate(divide="ignore"):  # density 0 is TS +inf, which compares as it should
        ts = 2.0 * (np.log(density.max()) - np.log(density))
    return SkyRegions(cells, ts, FITS_PROBABILITY)
