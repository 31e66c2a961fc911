"""What ``skymap-scanner scan`` says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skymap_scanner import __version__
from skymap_scanner.result.plain_json import dump_plain
from skymap_scanner.server.reports import show_duration

if TYPE_CHECKING:
    from skymap_scanner.result.regions import RegionSummary
    from skymap_scanner.server.preparation import ScanPlan
    from skymap_scanner.server.session import Outcome

__all__ = ["as_json", "as_text"]

#: What is said of the region, in the order of the JSON object.
_REGION_KEYS = (
    "ra_deg",
    "dec_deg",
    "min_llh",
    "area50_deg2",
    "area90_deg2",
    "level50",
    "level90",
    "level_rule",
    "level_source",
    "level_note",
    "wilks_area50_deg2",
    "wilks_area90_deg2",
    "classic_area50_deg2",
    "classic_area90_deg2",
)


def as_json(plan: ScanPlan, outcome: Outcome) -> str:
    """Return the JSON object of ``scan --json``."""
    region = None if outcome.region is None else outcome.region.to_dict()
    document: dict[str, object] = {
        key: None if region is None else region[key] for key in _REGION_KEYS
    }
    document |= {
        "cpu_s": outcome.times["cpu_s"],
        "wall_s": outcome.times["wall_s"],
        "n_pixels": outcome.result.n_pixels,
        "n_failed": outcome.n_failed,
        "files": {kind: str(path) for kind, path in outcome.files.items()},
        "reco_algo": plan.reco.name,
        "nsides": list(plan.progression.nsides),
        "version": __version__,
    }
    return dump_plain(document)


#: How a region is made, for people: `LevelRule.name` -> words.
_RULES: Final = {
    "wilks": "contours by Wilks' theorem",
    "hpd": "highest posterior density",
    "classic": "contours found for a simulated repeat of IC160427A",
    "calibrated": "calibrated contours",
}


def as_text(plan: ScanPlan, outcome: Outcome) -> str:
    """Return the same for people; TS is twice the nll above its minimum."""
    lines = [f"{plan.event.name}, {plan.reco.name}, nsides {plan.progression}"]
    region = outcome.region
    if region is not None:
        direction = f"RA {region.ra_deg:.3f}  Dec {region.dec_deg:+.3f} deg (J2000)"
        edge50 = _edge(region.level50, region, region.wilks_area50_deg2)
        edge90 = _edge(region.level90, region, region.wilks_area90_deg2)
        lines += [
            f"  best fit     {direction}, llh {region.min_llh:.3f}",
            f"  50 % region  {_area(region.area50_deg2)}  {edge50}",
            f"  90 % region  {_area(region.area90_deg2)}  {edge90}",
            f"  regions      {_rule(region)}",
        ]
        if region.level_note:
            lines.append(f"  note         {region.level_note}")
        if not region.covers_sky:
            scanned = _area(region.scanned_deg2)
            lines.append(f"  scanned      {scanned}; regions are those within it")
    failed = f", {outcome.n_failed} without a fit" if outcome.n_failed else ""
    lines.append(f"  pixels       {outcome.result.n_pixels}{failed}")
    wall_s, cpu_s = outcome.times["wall_s"], outcome.times["cpu_s"]
    lines.append(f"  time         {show_duration(wall_s)}, CPU {show_duration(cpu_s)}")
    if "built-in" in plan.event.detector.source:
        lines.append(f"  detector     {plan.event.detector.source} (no baseline GCD file)")
    lines += [f"  {kind:12} {path}" for kind, path in outcome.files.items()]
    return "\n".join(lines)


def _area(area_deg2: float) -> str:
    """Write an area with three digits, and never with an exponent.

    Examples
    --------
    >>> _area(0.26812), _area(41252.96)
    ('0.268 deg^2', '41253 deg^2')
    """
    digits = f"{area_deg2:.3g}" if area_deg2 < 1000.0 else f"{area_deg2:.0f}"
    return f"{digits} deg^2"


def _edge(level: float, region: RegionSummary, wilks_deg2: float) -> str:
    """Say where a region ends, and how large Wilks' theorem would make it."""
    edge = f"edge at TS {level:.3g}"
    if region.level_rule == "wilks":
        return f"({edge})"
    return f"({edge}; by Wilks' theorem {_area(wilks_deg2)})"


def _rule(region: RegionSummary) -> str:
    """Say how the regions are made."""
    floor = f", angular error of {region.floor_deg:g} deg included" if region.floor_deg else ""
    source = f" ({region.level_source})" if region.level_rule == "calibrated" else ""
    return f"{_RULES[region.level_rule]}{floor}{source}"
