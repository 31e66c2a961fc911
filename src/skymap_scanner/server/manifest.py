"""The record of a scan: settings, versions, how it went, what failed and why."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner import __version__
from skymap_scanner.result.manifest import ScanManifest
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from skymap_scanner.result import SkyScanResult
    from skymap_scanner.result.regions import RegionSummary
    from skymap_scanner.scan.state import ScanState
    from skymap_scanner.server.preparation import ScanPlan
    from skymap_scanner.sky.region import Cone

__all__ = ["make_manifest"]

#: Packages whose versions can change a map in the last bits.
_RECORDED: Final = ("numpy", "scipy", "numba", "astropy", "astropy-healpix")


def make_manifest(
    plan: ScanPlan,
    state: ScanState,
    result: SkyScanResult,
    *,
    times: Mapping[str, float],
    end: str,
    region: RegionSummary | None = None,
    files: Mapping[str, Path] | None = None,
) -> ScanManifest:
    """Make the manifest of a scan that runs or has ended.

    Parameters
    ----------
    plan, state, result
        The scan.
    times : mapping
        ``wall_s``, ``cpu_s``, ``fit_s`` so far [s].
    end : str
        How it ended; empty while it runs.
    region : RegionSummary, optional
        Best fit and areas.
    files : mapping, optional
        Kind -> path.
    """
    return ScanManifest(
        event_metadata=result.get_event_metadata(),
        is_complete=result.header.is_complete,
        scan_metadata=_settings(plan),
        progress={
            "started": plan.started.astimezone(UTC).isoformat(timespec="seconds"),
            "last_updated": datetime.now(UTC).isoformat(timespec="seconds"),
            "end": end,
            **{name: round(value, 3) for name, value in times.items()},
            "levels": state.counts(),
            "n_fits_sent": state.n_sent,
            "n_fits_done": state.n_done,
            "n_fits_failed": state.n_failed,
            "n_repeated_answers": state.n_duplicates,
        },
        failed=state.failed_pixels(),
        region=region,
        files=files or {},
    )


def _settings(plan: ScanPlan) -> dict[str, Any]:
    event, request = plan.event, plan.request
    return {
        "scan_id": plan.scan_id,
        "event_file": request.event_file.name,
        "event_version": event.version,
        "pulses": event.pulses_name,
        "detector": event.detector.source,
        "reco_algo": plan.reco.name,
        "reco_options": plan.reco.describe_options(),
        "n_variations": plan.n_variations,
        "progression": str(plan.progression),
        "predictive_scanning_threshold": request.threshold,
        "around": _cone(plan.region),
        "pointed_at": _cone(plan.pointing),
        "level_rule": {"wanted": request.level_rule, **plan.level_rule.as_json()},
        "max_attempts": plan.settings.SKYSCAN_MAX_ATTEMPTS,
        "versions": {
            "skymap-scanner": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _RECORDED},
        },
    }


def _cone(cone: Cone | None) -> dict[str, float] | None:
    if cone is None:
        return None
    return {
        "ra_deg": cone.ra / DEG,
        "dec_deg": cone.dec / DEG,
        "radius_deg": cone.radius / DEG,
    }
