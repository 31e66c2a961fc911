r"""How two sky maps of an event differ: directions, likelihoods, regions, energies, cost.

Degrees alone say little along a shallow valley of the likelihood; what counts is how much each map
has against the best fit of the other, and whether both rank and scale the pixels alike. Whether two
results are the *same* is another question (`result.comparison`).

References
----------
.. [1] C. Spearman, Am. J. Psychol. 15 (1904) 72, :doi:`10.2307/1412159`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT
from skymap_scanner.result.map_figures import (
    LevelAgreement,
    MapComparison,
    MapFigures,
    NearbyAgreement,
)
from skymap_scanner.result.scan_result import SkyScanResult
from skymap_scanner.result.sky_map import SkyMap, sky_map_of
from skymap_scanner.sky.healpix import angular_distance, pixel_at, pixel_centers
from skymap_scanner.sky.overlap import overlap
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray

__all__ = ["RADIUS_DEG", "compare_results"]

#: Pixels this close to the best pixel of the reference are compared one by one [deg].
RADIUS_DEG: Final = 5.0
#: Fewer pixels have no rank correlation that means anything.
_MIN_RANKED: Final = 3


def compare_results(
    a: SkyScanResult | SkyMap,
    b: SkyScanResult | SkyMap,
    *,
    radius_deg: float = RADIUS_DEG,
    nside: int | None = None,
) -> MapComparison:
    """Compare a map with a reference.

    Parameters
    ----------
    a, b : SkyScanResult or SkyMap
        The map and the reference; `read_sky_map` reads either from a file.
    radius_deg : float, optional
        How far around the best pixel of `b` pixels are compared one by one [deg].
    nside : int, optional
        Resolution of those pixels; default: the second finest that both have, or the only one.

    Returns
    -------
    MapComparison

    Raises
    ------
    ResultError
        When a map has no pixels.
    UsageError
        When the radius is out of range, or `nside` is not one that both maps have.

    Examples
    --------
    >>> from skymap_scanner.pixels import RecoPixelFinal
    >>> pixels = [RecoPixelFinal(8, i, 9.0 + i, 0, 0, (0, 0, 0), 0, 0) for i in range(4)]
    >>> result = SkyScanResult({8: {pixel.pixel_id: pixel for pixel in pixels}})
    >>> comparison = compare_results(result, result)
    >>> comparison.separation_deg, comparison.nearby.n_pixels, comparison.levels[0].n_pixels
    (0.0, 1, 4)
    """
    if not 0.0 < radius_deg <= 180.0:
        raise UsageError(
            "radius out of range",
            place="radius",
            found=f"{radius_deg:g} deg",
            wanted="above 0, to 180 deg",
        )
    a, b = (sky_map_of(one) if isinstance(one, SkyScanResult) else one for one in (a, b))
    why: dict[str, str] = {}
    pairs = _common_pixels(a, b)
    if nside is not None and nside not in pairs:
        raise UsageError(
            "a resolution that the maps do not have in common",
            place="nside",
            found=nside,
            wanted=", ".join(map(str, pairs)) or "none: there is no common one",
        )
    if not pairs:
        why["levels"] = why["nearby"] = _why_no_llh(a, b) or "the maps have no pixel in common"
    shared = _shared_region(a, b)
    return MapComparison(
        a=_figures("a", a, b, shared.probability_a, why),
        b=_figures("b", b, a, shared.probability_b, why),
        is_same_event=_is_same_event(a, b),
        separation_deg=float(angular_distance(*a.best_dir, *b.best_dir)) / DEG,
        overlap90_deg2=shared.area / DEG**2,
        overlap90_of_union=shared.of_union,
        levels=tuple(_level(nside, pair, why) for nside, pair in pairs.items()),
        nearby=_nearby(b, nside or [*pairs][-2:][0], radius_deg, pairs, why) if pairs else None,
        unavailable=why,
    )


class _Pair(NamedTuple):
    """The pixels of one nside that both maps have, with the same index in the same row."""

    a: NDArray[np.void]
    b: NDArray[np.void]


def _common_pixels(a: SkyMap, b: SkyMap) -> dict[int, _Pair]:
    """Return nside -> the pixels that both maps have, where there are any, ascending."""
    pairs: dict[int, _Pair] = {}
    if a.result is None or b.result is None:
        return pairs
    for nside in sorted({*a.result.nsides} & {*b.result.nsides}):
        one, other = (result.get_results_per_nside(nside) for result in (a.result, b.result))
        _, row_one, row_other = np.intersect1d(
            one["index"], other["index"], assume_unique=True, return_indices=True
        )
        if len(row_one):
            pairs[nside] = _Pair(one[row_one], other[row_other])
    return pairs


def _level(nside: int, pair: _Pair, why: dict[str, str]) -> LevelAgreement:
    correlation = _rank_correlation(pair.a["llh"], pair.b["llh"], f"levels.{nside}", why)
    return LevelAgreement(nside, len(pair.a), correlation)


def _rank_correlation(
    one: FloatArray, other: FloatArray, key: str, why: dict[str, str]
) -> float | None:
    """Return Spearman's rank correlation; None, with the reason, where there is none."""
    from scipy.stats import spearmanr

    if len(one) < _MIN_RANKED:
        why[f"{key}.rank_correlation"] = f"fewer than {_MIN_RANKED} pixels in common"
    elif np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        why[f"{key}.rank_correlation"] = "all llh of a map are the same"
    else:
        return float(spearmanr(one, other).statistic)
    return None


def _nearby(
    b: SkyMap, nside: int, radius_deg: float, pairs: dict[int, _Pair], why: dict[str, str]
) -> NearbyAgreement:
    """Compare the pixels of one nside around the best pixel of the reference."""
    pair = pairs[nside]
    away = angular_distance(*pixel_centers(nside, pair.a["index"]), *b.best_dir)
    pair = _Pair(*(pixels[away < radius_deg * DEG] for pixels in pair))
    slope = rms = None
    if len(pair.a):
        delta_a, delta_b = (pixels["llh"] - pixels["llh"].min() for pixels in pair)
        rms = float(np.sqrt(np.mean((delta_a - delta_b) ** 2)))
        square = float(delta_a @ delta_a)
        slope = float(delta_a @ delta_b) / square if square > 0.0 else None
    else:
        why["nearby.rms_llh"] = f"no common pixel of nside {nside} within the radius"
    if slope is None:
        why["nearby.slope"] = "A is flat within the radius"
    return NearbyAgreement(
        nside=nside,
        radius_deg=radius_deg,
        n_pixels=len(pair.a),
        rank_correlation=_rank_correlation(pair.a["llh"], pair.b["llh"], "nearby", why),
        slope=slope,
        rms_llh=rms,
        energy_in_ratio=_energy_ratio(pair, "E_in", "nearby.energy_in_ratio", why),
        energy_total_ratio=_energy_ratio(pair, "E_tot", "nearby.energy_total_ratio", why),
    )


def _energy_ratio(pair: _Pair, column: str, key: str, why: dict[str, str]) -> float | None:
    """Return the median of A's energies over B's; zero and NaN mean "not estimated"."""
    one, other = pair.a[column], pair.b[column]
    is_known = (one > 0.0) & (other > 0.0)
    if not is_known.any():
        why[key] = "no pixel within the radius has an energy in both maps"
        return None
    return float(np.median(one[is_known] / other[is_known]))


class _SharedRegion(NamedTuple):
    """What the 90 % regions have in common: area [sr], its part of the union, probabilities."""

    area: float
    of_union: float
    probability_a: float
    probability_b: float


def _shared_region(a: SkyMap, b: SkyMap) -> _SharedRegion:
    """Intersect the 90 % regions cell by cell; a cell belongs to a region as a whole."""
    inside_a, inside_b = (one.regions.ts <= one.regions.level(0.9) for one in (a, b))
    pieces = overlap(a.regions.cells, b.regions.cells)
    in_a, in_b = inside_a[pieces.row_one], inside_b[pieces.row_other]
    area = float(pieces.area[in_a & in_b].sum())
    union = float(
        a.regions.cells.area[inside_a].sum() + b.regions.cells.area[inside_b].sum() - area
    )
    mass_a = a.regions.density[pieces.row_one] * pieces.area
    mass_b = b.regions.density[pieces.row_other] * pieces.area
    return _SharedRegion(
        area, min(area / union, 1.0), float(mass_a[in_b].sum()), float(mass_b[in_a].sum())
    )


def _figures(
    key: str, this: SkyMap, other: SkyMap, probability: float, why: dict[str, str]
) -> MapFigures:
    """Collect what is said of one map, with the reasons for what is not known."""
    ra, dec = this.best_dir
    regions = this.regions
    nside, delta = _delta_llh(this, other, f"{key}.delta_llh_at_other", why)
    no_llh = _why_no_llh(this)
    if no_llh or not this.knows_min:
        why[f"{key}.min_llh"] = no_llh or "the map has only differences to the lowest llh"
    energies: dict[str, float | None] = dict.fromkeys(("E_in", "E_tot"))
    for column, name in (("E_in", "energy_in"), ("E_tot", "energy_total")):
        energy = 0.0 if this.result is None else float(this.result.best_fit[column])
        if energy > 0.0:
            energies[column] = energy
        else:
            why[f"{key}.{name}"] = no_llh or "not estimated"
    return MapFigures(
        name=this.name,
        reco_algo=this.reco_algo or None,
        ra_deg=ra / DEG,
        dec_deg=dec / DEG,
        nside=this.best[0],
        index=this.best[1],
        min_llh=this.result.min_llh if this.result is not None and this.knows_min else None,
        energy_in=energies["E_in"],
        energy_total=energies["E_tot"],
        delta_llh_at_other=delta,
        delta_llh_nside=nside,
        area50_deg2=regions.area(0.5) / DEG**2,
        area90_deg2=regions.area(0.9) / DEG**2,
        level_rule=regions.rule.name,
        level_source=regions.rule.source,
        probability_in_other90=probability,
        n_pixels=this.n_pixels,
        n_failed=this.n_failed,
        cpu_s=this.cpu_s,
        wall_s=this.wall_s,
    )


def _delta_llh(
    this: SkyMap, other: SkyMap, key: str, why: dict[str, str]
) -> tuple[int | None, float | None]:
    """Return nside and llh above the minimum of the finest pixel at the other map's best fit."""
    if this.result is None:
        why[key] = _why_no_llh(this)
        return None, None
    ra, dec = other.best_dir
    for nside in reversed(this.result.nsides):
        pixels = this.result.get_results_per_nside(nside)
        llh = pixels["llh"][pixels["index"] == pixel_at(nside, [ra], [dec])]
        if len(llh):
            return nside, float(llh[0]) - this.result.min_llh
    why[key] = "that position was not scanned"
    return None, None


def _why_no_llh(*maps: SkyMap) -> str:
    """Say which maps lack likelihoods; empty when none does."""
    names = " and ".join(one.name for one in maps if one.result is None)
    return f"only probabilities, no llh, in {names}" if names else ""


def _is_same_event(a: SkyMap, b: SkyMap) -> bool | None:
    """Tell whether both maps are of one event; None where one does not say."""
    if a.result is None or b.result is None:
        return None
    one, other = (result.get_event_metadata() for result in (a.result, b.result))
    if str(UNKNOWN_EVENT) in (str(one), str(other)):
        return None
    return (one.run_id, one.event_id) == (other.run_id, other.event_id)
