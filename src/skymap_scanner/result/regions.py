r"""Credible regions of a sky map: where the source is with 50 % or 90 % probability.

A map is a set of cells that cover the scanned part of the sky exactly once (`sky.cells`). A part of
a coarse pixel that was not scanned again, or whose fine pixels have no finite fit, keeps the coarse
value: a hole would make the region smaller just where nothing is known. Whatever is a probability
here is normalised **within what was scanned**: a cone scan cannot know about the rest of the sky.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.result.calibrated_levels import same_reco
from skymap_scanner.result.levels import CLASSIC, WILKS, LevelRule, plain_rule_for, rule_for
from skymap_scanner.result.smoothing import smooth
from skymap_scanner.sky.cells import SkyCells, tile
from skymap_scanner.sky.healpix import angular_distance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.result.scan_result import SkyScanResult
    from skymap_scanner.units import FloatArray

__all__ = [
    "RegionSummary",
    "SkyRegions",
    "angular_distance",
    "find_regions",
    "region_summary",
    "rule_of",
]


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """The figures of a map that people quote.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Centre of the best pixel, ICRS [deg].
    min_llh : float
        Lowest negative log-likelihood.
    area50_deg2, area90_deg2 : float
        Areas of the regions that hold the source with 50 % and 90 % probability [deg^2].
    level50, level90 : float
        TS of the contours used. For posterior regions: of the density at their edge,
        ``2 ln(highest density / density)``.
    level_rule : str
        ``wilks``, ``hpd``, ``classic`` or ``calibrated``.
    floor_deg : float
        Width of the Gaussian that was folded in first [deg]; 0 for none.
    wilks_area50_deg2, wilks_area90_deg2 : float
        What Wilks' theorem would give, for comparison [deg^2].
    classic_area50_deg2, classic_area90_deg2 : float
        What the contours at TS 22.2 and 64.2 would give [deg^2].
    level_source, level_note : str
        Where the rule comes from, and what users should know about it.
    scanned_deg2 : float
        The part of the sky that was scanned; probabilities are normalised within it.
    covers_sky : bool
        Whether that is the whole sky.
    """

    ra_deg: float
    dec_deg: float
    min_llh: float
    area50_deg2: float
    area90_deg2: float
    level50: float
    level90: float
    level_rule: str
    floor_deg: float
    wilks_area50_deg2: float
    wilks_area90_deg2: float
    classic_area50_deg2: float
    classic_area90_deg2: float
    scanned_deg2: float
    covers_sky: bool
    level_source: str
    level_note: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python numbers, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SkyRegions:
    """A map in cells, with the rule that makes regions from it.

    Parameters
    ----------
    cells : SkyCells
        Cells of the scanned part of the sky.
    ts : ndarray, shape (n,)
        Test statistic of each cell, 0 at the best; after a convolution twice the logarithm of the
        highest density over the cell's.
    rule : LevelRule
        How regions are made.
    """

    cells: SkyCells
    ts: FloatArray
    rule: LevelRule

    @cached_property
    def probability(self) -> FloatArray:
        """Probability of each cell for a flat prior, shape (n,); sums to 1."""
        mass = np.exp(-0.5 * self.ts) * self.cells.area
        return np.asarray(mass / mass.sum())

    @cached_property
    def density(self) -> FloatArray:
        """Probability per solid angle of each cell [1/sr], shape (n,)."""
        return np.asarray(self.probability / self.cells.area)

    @cached_property
    def _by_density(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """TS, summed probability and summed area [sr] of cells, densest first."""
        rows = np.argsort(self.ts, kind="stable")
        return (
            self.ts[rows],
            np.cumsum(self.probability[rows]),
            np.cumsum(self.cells.area[rows]),
        )

    def level(self, probability: float) -> float:
        """Return the TS at the edge of the region that holds `probability`.

        Raises
        ------
        UsageError
            When that is not a probability, or the rule has no level for it.
        """
        _check_probability(probability)
        if not self.rule.is_posterior:
            return self.rule.ts_level(probability)
        ts, summed, _ = self._by_density
        row = min(int(np.searchsorted(summed, probability)), len(ts) - 1)
        return float(ts[row])

    def area(self, probability: float) -> float:
        """Return the area of the region that holds `probability` [sr].

        Contours of TS count the cells whose centre lies inside, as the published areas do;
        posterior regions count the last cell in part, so that they grow smoothly.
        """
        _check_probability(probability)
        if not self.rule.is_posterior:
            is_inside = self.ts <= self.rule.ts_level(probability)
            return float(np.sum(self.cells.area[is_inside]))
        _, summed, areas = self._by_density
        return float(np.interp(probability, np.append(0.0, summed), np.append(0.0, areas)))

    def ts_at(self, ra: ArrayLike, dec: ArrayLike) -> FloatArray:
        """Return the TS of the cells at directions [rad], any shape; +inf where not scanned."""
        rows = self.cells.locate(ra, dec)
        return np.where(rows < 0, np.inf, self.ts[rows])

    def contains(self, ra: ArrayLike, dec: ArrayLike, probability: float) -> NDArray[np.bool_]:
        """Tell whether directions [rad] lie inside the region that holds `probability`."""
        return np.asarray(self.ts_at(ra, dec) <= self.level(probability))


def rule_of(result: SkyScanResult, reco_algo: str = "") -> LevelRule:
    """Return the rule by which regions of a result are made.

    Parameters
    ----------
    result : SkyScanResult
        A map.
    reco_algo : str, optional
        Name of a reconstruction; default: the one that the result names.

    Returns
    -------
    LevelRule
        The rule that was chosen for the scan. Results that name none: of our own scans that for
        their reconstruction and its settings, of others, whose settings are not known, that which
        the field has for the reconstruction.
    """
    header = result.header
    name = reco_algo or header.reco_algo
    if same_reco(name, header.reco_algo):
        if header.level_rule is not None:
            return header.level_rule
        if header.software.startswith("skymap-scanner"):
            return rule_for(name, header.reco_options)
    return plain_rule_for(name)


def find_regions(result: SkyScanResult, rule: LevelRule | str = WILKS) -> SkyRegions:
    """Make the cells of a map for the regions of a rule; the answer is kept with the result.

    Parameters
    ----------
    result : SkyScanResult
        A map with at least one pixel.
    rule : LevelRule or str
        A rule, or the name of a reconstruction, which has one (`rule_of`).

    Returns
    -------
    SkyRegions

    Raises
    ------
    ResultError
        When the result has no pixels.
    """
    rule = rule_of(result, rule) if isinstance(rule, str) else rule
    key = ("regions", rule)
    if key not in result.derived:
        result.derived[key] = _make_regions(result, rule)
    regions: SkyRegions = result.derived[key]
    return regions


def _make_regions(result: SkyScanResult, rule: LevelRule) -> SkyRegions:
    nll_min = result.min_llh
    cells, nside, row = tile(result.pixel_indices())
    nll = np.empty(len(cells))
    for one in result.nsides:
        here = nside == one
        nll[here] = result.get_results_per_nside(one)["llh"][row[here]]
    ts = 2.0 * (nll - nll_min)
    if rule.is_posterior and rule.floor_deg > 0.0:
        density = np.exp(-0.5 * ts)
        density /= np.sum(density * cells.area)
        cells, density = smooth(cells, density, rule.floor_deg * DEG)
        with np.errstate(divide="ignore"):  # density 0 is TS +inf, which compares as it should
            ts = 2.0 * (np.log(density.max()) - np.log(density))
    return SkyRegions(cells, ts, rule)


def region_summary(result: SkyScanResult, reco_algo: str = "") -> RegionSummary:
    """Compute best fit and credible regions by the rule of a scan or a reconstruction (`rule_of`).

    Parameters
    ----------
    result : SkyScanResult
        A map with at least one pixel.
    reco_algo : str, optional
        Name of the reconstruction; default: the one that the result names.

    Returns
    -------
    RegionSummary

    Raises
    ------
    ResultError
        When the result has no pixels.
    """
    regions = find_regions(result, reco_algo or result.header.reco_algo)
    wilks, classic = find_regions(result, WILKS), find_regions(result, CLASSIC)
    ra, dec = result.best_dir
    deg2 = 1.0 / DEG**2
    return RegionSummary(
        ra_deg=ra / DEG,
        dec_deg=dec / DEG,
        min_llh=result.min_llh,
        area50_deg2=regions.area(0.5) * deg2,
        area90_deg2=regions.area(0.9) * deg2,
        level50=regions.level(0.5),
        level90=regions.level(0.9),
        level_rule=regions.rule.name,
        floor_deg=regions.rule.floor_deg,
        wilks_area50_deg2=wilks.area(0.5) * deg2,
        wilks_area90_deg2=wilks.area(0.9) * deg2,
        classic_area50_deg2=classic.area(0.5) * deg2,
        classic_area90_deg2=classic.area(0.9) * deg2,
        scanned_deg2=float(wilks.cells.area.sum()) * deg2,
        covers_sky=wilks.cells.covers_sky,
        level_source=regions.rule.source,
        level_note=regions.rule.note,
    )


def _check_probability(probability: float) -> None:
    if not 0.0 < probability < 1.0:
        raise UsageError("not a probability", found=probability, wanted="0 < p < 1")
