"""Scans as the FITS sky maps that observatories exchange, written with astropy and healpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from skymap_scanner.result.levels import WILKS
from skymap_scanner.result.regions import find_regions
from skymap_scanner.sky.healpix import n_pixels, pixel_centers

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.result import SkyScanResult
    from skymap_scanner.result.regions import SkyRegions


def write_table(path: Path, columns: dict[str, Any], **header: object) -> Path:
    """Write a binary table whose columns have the names and types of arrays."""
    n_rows = len(next(iter(columns.values())))
    table = np.empty(n_rows, [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        table[name] = values
    hdu = fits.BinTableHDU(table)
    for keyword, value in header.items():
        hdu.header[keyword] = value
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


def write_multi_order(path: Path, result: SkyScanResult, *, with_ts: bool = False) -> Path:
    """Write the posterior of a scan, and its TS if wanted, in cells of mixed resolutions."""
    regions = find_regions(result, WILKS)
    columns = {"UNIQ": regions.cells.uniq, "PROBDENSITY": regions.density}
    if with_ts:
        columns["2DLLH"] = regions.ts
    return write_table(
        path, columns, PIXTYPE="HEALPIX", ORDERING="NUNIQ", COORDSYS="C", INDXSCHM="EXPLICIT"
    )


def flat_values(regions: SkyRegions, nside: int, *, nested: bool = False) -> dict[str, Any]:
    """Return PROB and 2DLLH of every pixel of one nside."""
    import healpy

    ipix = np.arange(n_pixels(nside))
    ra, dec = pixel_centers(nside, healpy.nest2ring(nside, ipix) if nested else ipix)
    rows = regions.cells.locate(ra, dec)
    area = 4.0 * np.pi / n_pixels(nside)
    return {"PROB": regions.density[rows] * area, "2DLLH": regions.ts[rows]}
