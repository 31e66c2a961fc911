"""What ``skymap-scanner compare`` says for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner.server.reports import show_duration

if TYPE_CHECKING:
    from skymap_scanner.result.map_figures import MapComparison, MapFigures, NearbyAgreement

__all__ = ["as_table"]

_NOTHING = "-"


def as_table(comparison: MapComparison) -> str:
    """Return a table of both maps, and below what they have in common."""
    a, b = comparison.a, comparison.b
    rows = [["", "A", "B (reference)"]] + [
        [name, mine, theirs] for (name, mine), (_, theirs) in zip(_rows(a), _rows(b), strict=True)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"A  {a.name}", f"B  {b.name}"]
    if comparison.is_same_event is False:
        lines.append("these are maps of different events")
    lines.append("")
    lines += [
        f"{name:{widths[0]}}  {mine:{widths[1]}}  {theirs}".rstrip() for name, mine, theirs in rows
    ]
    lines += ["", *_in_common(comparison)]
    if comparison.nearby is not None:
        lines += ["", *_nearby(comparison.nearby)]
    if comparison.unavailable:
        lines += ["", "not available"]
        lines += [f"  {key}: {reason}" for key, reason in comparison.unavailable.items()]
    return "\n".join(lines)


def _rows(one: MapFigures) -> list[tuple[str, str]]:
    """Return name and value of what is said of each map."""
    at_other = _number(one.delta_llh_at_other, ".2f")
    if one.delta_llh_nside is not None:
        at_other = f"{at_other} (nside {one.delta_llh_nside})"
    failed = "" if one.n_failed is None else f", {one.n_failed} without a fit"
    return [
        ("reconstruction", one.reco_algo or _NOTHING),
        ("best fit RA, Dec [deg]", f"{one.ra_deg:.3f} {one.dec_deg:+.3f}"),
        ("best pixel", f"{one.index} of nside {one.nside}"),
        ("lowest llh", _number(one.min_llh, ".3f")),
        ("llh above it at the other's best fit", at_other),
        (
            "E_in, E_tot [GeV]",
            f"{_number(one.energy_in, '.5g')}, {_number(one.energy_total, '.5g')}",
        ),
        ("50 % region [deg^2]", f"{one.area50_deg2:.4g}"),
        ("90 % region [deg^2]", f"{one.area90_deg2:.4g}"),
        ("regions by", one.level_rule),
        ("probability in the other's 90 % region", f"{one.probability_in_other90:.3f}"),
        ("pixels", f"{one.n_pixels}{failed}"),
        ("CPU time", _duration(one.cpu_s)),
        ("wall time", _duration(one.wall_s)),
    ]


def _in_common(comparison: MapComparison) -> list[str]:
    area = f"{comparison.overlap90_deg2:.4g} deg^2"
    lines = [
        f"separation of the best fits  {comparison.separation_deg:.3f} deg",
        f"overlap of the 90 % regions  {area}, {comparison.overlap90_of_union:.3f} of their union",
    ]
    for level in comparison.levels:
        correlation = _number(level.rank_correlation, ".4f")
        name = f"rank correlation, nside {level.nside}"
        lines.append(f"{name:27}  {correlation} ({level.n_pixels} pixels in common)")
    return lines


def _nearby(nearby: NearbyAgreement) -> list[str]:
    energies = ", ".join(
        _number(ratio, ".3f") for ratio in (nearby.energy_in_ratio, nearby.energy_total_ratio)
    )
    where = f"within {nearby.radius_deg:g} deg of the best fit of B"
    return [
        f"{where}: {nearby.n_pixels} common pixels of nside {nearby.nside}",
        f"  rank correlation of llh    {_number(nearby.rank_correlation, '.4f')}",
        f"  slope of B's llh over A's  {_number(nearby.slope, '.3f')}",
        f"  rms difference of llh      {_number(nearby.rms_llh, '.3f')}",
        f"  E_in, E_tot of A over B    {energies} (median)",
    ]


def _number(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def _duration(seconds: float | None) -> str:
    return _NOTHING if seconds is None else show_duration(seconds)
