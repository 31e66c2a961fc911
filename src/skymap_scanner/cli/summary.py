"""What ``skymap-scanner scan`` says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner import __version__
from skymap_scanner.result.plain_json import dump_plain
from skymap_scanner.server.reports import show_duration

if TYPE_CHECKING:
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


def as_text(plan: ScanPlan, outcome: Outcome) -> str:
    """Return the same for people."""
    lines = [f"{plan.event.name}, {plan.reco.name}, nsides {plan.progression}"]
    region = outcome.region
    if region is not None:
        rule = region.level_rule
        direction = f"RA {region.ra_deg:.3f}  Dec {region.dec_deg:+.3f} deg (J2000)"
        lines += [
            f"  best fit     {direction}, llh {region.min_llh:.3f}",
            f"  50 % region  {region.area50_deg2:.3g} deg^2  ({rule}: TS {region.level50:.3g})",
            f"  90 % region  {region.area90_deg2:.3g} deg^2  ({rule}: TS {region.level90:.3g})",
        ]
    failed = f", {outcome.n_failed} without a fit" if outcome.n_failed else ""
    lines.append(f"  pixels       {outcome.result.n_pixels}{failed}")
    wall_s, cpu_s = outcome.times["wall_s"], outcome.times["cpu_s"]
    lines.append(f"  time         {show_duration(wall_s)}, CPU {show_duration(cpu_s)}")
    if "built-in" in plan.event.detector.source:
        lines.append(f"  detector     {plan.event.detector.source} (no baseline GCD file)")
    lines += [f"  {kind:12} {path}" for kind, path in outcome.files.items()]
    return "\n".join(lines)
