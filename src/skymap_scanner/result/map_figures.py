"""What is said of two sky maps of an event beside each other: the figures of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skymap_scanner.result.plain_json import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LevelAgreement", "MapComparison", "MapFigures", "NearbyAgreement"]


@dataclass(frozen=True, slots=True)
class MapFigures:
    """What is said of one of two maps; None is what is not known.

    Parameters
    ----------
    name : str
        Of the map.
    reco_algo : str or None
        Name of the reconstruction, as recorded.
    ra_deg, dec_deg : float
        Centre of the best pixel, ICRS [deg].
    nside, index : int
        The best pixel, RING.
    min_llh : float or None
        Lowest negative log-likelihood.
    energy_in, energy_total : float or None
        E_in and E_tot at the best pixel [GeV].
    delta_llh_at_other : float or None
        llh of this map at the best pixel of the other one, above its own minimum.
    delta_llh_nside : int or None
        Resolution of the pixel of this map that contains that position: the finest there is.
    area50_deg2, area90_deg2 : float
        Areas of the 50 % and 90 % regions [deg^2].
    level_rule, level_source : str
        How they were made (see `result.levels`), and where that rule comes from.
    probability_in_other90 : float
        Part of this map's probability that lies inside the 90 % region of the other one.
    n_pixels : int
        Number of pixels with a value.
    n_failed : int or None
        Number of pixels without a finite fit.
    cpu_s, wall_s : float or None
        Time that the scan took [s].
    """

    name: str
    reco_algo: str | None
    ra_deg: float
    dec_deg: float
    nside: int
    index: int
    min_llh: float | None
    energy_in: float | None
    energy_total: float | None
    delta_llh_at_other: float | None
    delta_llh_nside: int | None
    area50_deg2: float
    area90_deg2: float
    level_rule: str
    level_source: str
    probability_in_other90: float
    n_pixels: int
    n_failed: int | None
    cpu_s: float | None
    wall_s: float | None


@dataclass(frozen=True, slots=True)
class LevelAgreement:
    """How the llh of the pixels of one nside that both maps have rank.

    Parameters
    ----------
    nside : int
        Resolution.
    n_pixels : int
        Number of pixels that both have.
    rank_correlation : float or None
        Spearman's; None for fewer than three pixels and where a map is flat.
    """

    nside: int
    n_pixels: int
    rank_correlation: float | None


@dataclass(frozen=True, slots=True)
class NearbyAgreement:
    """How the llh of both maps agree near the best pixel of the reference B.

    The llh of each map count from its own minimum among the pixels that are compared.

    Parameters
    ----------
    nside : int
        Resolution.
    radius_deg : float
        Pixels whose centres are closer to the best pixel of B are compared [deg].
    n_pixels : int
        How many both maps have there.
    rank_correlation : float or None
        Spearman's.
    slope : float or None
        Of B's llh over A's, by least squares through the origin: sum(a b) / sum(a a).
    rms_llh : float or None
        Root mean square of the difference of the llh.
    energy_in_ratio, energy_total_ratio : float or None
        Median of A's energy over B's, of the pixels where both are known.
    """

    nside: int
    radius_deg: float
    n_pixels: int
    rank_correlation: float | None
    slope: float | None
    rms_llh: float | None
    energy_in_ratio: float | None
    energy_total_ratio: float | None


@dataclass(frozen=True, slots=True)
class MapComparison:
    """How a map A differs from a reference B.

    Parameters
    ----------
    a, b : MapFigures
        Of each map.
    is_same_event : bool or None
        None where a file does not name its event.
    separation_deg : float
        Angle between the best pixels [deg].
    overlap90_deg2 : float
        Area that both 90 % regions have in common, counted in whole cells [deg^2].
    overlap90_of_union : float
        The same over the area that at least one of them covers.
    levels : tuple of LevelAgreement
        Per nside of which both have pixels, ascending.
    nearby : NearbyAgreement or None
        At one nside near the best pixel of B.
    unavailable : Mapping
        Figure, such as ``nearby.slope`` or ``a.energy_in`` -> why it is None.
    """

    a: MapFigures
    b: MapFigures
    is_same_event: bool | None
    separation_deg: float
    overlap90_deg2: float
    overlap90_of_union: float
    levels: tuple[LevelAgreement, ...]
    nearby: NearbyAgreement | None
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python numbers, ready for JSON."""
        document: dict[str, Any] = to_plain(self)
        return document
