"""Maps of known shape, scanned as a real scan would: finer pixels around the best ones only."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict
from skymap_scanner.result import EventMetadata, ScanHeader, SkyScanResult
from skymap_scanner.sky.healpix import (
    angular_distance,
    children,
    n_pixels,
    pixel_area,
    pixel_centers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray, IntArray

    Surface = Callable[[FloatArray, FloatArray], FloatArray]

#: nside, extension; the default of the program.
PROGRESSION = ((8, 0), (64, 12), (512, 24))
EVENT = EventMetadata(127907, 20178442, "HESE", 57517.64354153215, is_real_event=True)


def gaussian(ra: float, dec: float, sigma: float, *, lowest: float = 1000.0) -> Surface:
    """Return the nll of a von Mises-Fisher density: a Gaussian of width `sigma` [rad]."""

    def nll(at_ra: FloatArray, at_dec: FloatArray) -> FloatArray:
        half = 0.5 * angular_distance(at_ra, at_dec, ra, dec)
        return np.asarray(lowest + 2.0 * (np.sin(half) / sigma) ** 2)

    return nll


def gaussian_area(probability: float, sigma: float) -> float:
    """Return the area [sr] of the cap that holds `probability` of `gaussian`, in closed form."""
    inside = 1.0 - probability * -np.expm1(-2.0 / sigma**2)
    return float(-2.0 * np.pi * sigma**2 * np.log(inside))


def pixel_rows(ipix: IntArray, nll: FloatArray) -> NDArray[np.void]:
    """Return a table of pixels with made-up energies and vertices."""
    rows = np.zeros(len(ipix), PIXEL_DTYPE)
    rows["index"], rows["llh"] = ipix, nll
    for number, name in enumerate(("E_in", "E_tot", "X", "Y", "Z", "T")):
        rows[name] = np.sin(ipix + number) * 10.0 ** (number % 4)
    return rows


def map_of(tables: dict[int, NDArray[np.void]], **header: object) -> SkyScanResult:
    """Return a result with the event `EVENT`."""
    known = {"event_metadata": EVENT, **header}
    return SkyScanResult(NSidesDict.from_arrays(tables), ScanHeader(**known))  # type: ignore[arg-type]  # fields of a header


def scan(
    surface: Surface, progression: tuple[tuple[int, int], ...] = PROGRESSION, **header: object
) -> SkyScanResult:
    """Scan a surface until nothing new is to be refined."""
    first = progression[0][0]
    pixels = {nside: np.empty(0, np.int64) for nside, _ in progression}
    pixels[first] = np.arange(n_pixels(first))
    while True:
        nll = {nside: surface(*pixel_centers(nside, ipix)) for nside, ipix in pixels.items()}
        best = min((nll[nside].min(), nside) for nside in pixels if len(pixels[nside]))[1]
        center = pixel_centers(best, pixels[best][[np.argmin(nll[best])]])
        n_before = sum(map(len, pixels.values()))
        for (nside, _), (finer, extension) in itertools.pairwise(progression):
            away = angular_distance(*pixel_centers(nside, pixels[nside]), *center)
            near = away < np.sqrt(extension * pixel_area(nside) / np.pi)
            added = children(nside, pixels[nside][near], finer).ravel()
            pixels[finer] = np.union1d(pixels[finer], added)
        if sum(map(len, pixels.values())) == n_before:
            return map_of({one: pixel_rows(pixels[one], nll[one]) for one in pixels}, **header)
