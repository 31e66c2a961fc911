"""What ``skymap-scanner calibrate`` says and draws."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.calibration.levels import measure_coverage
from skymap_scanner.calibration.statistics import binomial_band, quantile_of
from skymap_scanner.plot.coverage import CoverageCurve, CoveragePoint, plot_coverage
from skymap_scanner.result.plain_json import dump_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from skymap_scanner.calibration.levels import Coverage
    from skymap_scanner.calibration.record import EventRecord
    from skymap_scanner.calibration.sample import Sample
    from skymap_scanner.result.calibrated_levels import CalibratedLevels

__all__ = ["Report", "as_json", "as_text"]


@dataclass(slots=True)
class Report:
    """What came of a calibration.

    Attributes
    ----------
    sample : Sample
        What was wanted.
    records : sequence of EventRecord
        What there is.
    levels : list of CalibratedLevels
        Levels that were made.
    checks : list of (CalibratedLevels, list of Coverage)
        Levels that were checked.
    files : dict
        Kind -> file written.
    """

    sample: Sample
    records: Sequence[EventRecord]
    levels: list[CalibratedLevels] = field(default_factory=list)
    checks: list[tuple[CalibratedLevels, list[Coverage]]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def good(self) -> list[EventRecord]:
        """Events with a map and a fit at the truth."""
        return [record for record in self.records if record.is_ok]

    def draw(self, path: Path) -> Path:
        """Draw the coverage."""
        good = self.good
        ts = np.array([record.ts for record in good], dtype=np.float64)
        hpd = np.array([record.hpd_level for record in good], dtype=np.float64)
        own = np.array([record.rule_level for record in good], dtype=np.float64)
        curves = [CoverageCurve("Wilks' theorem", -np.expm1(-0.5 * ts))]
        curves.append(CoverageCurve("highest posterior density", hpd))
        if not np.allclose(hpd, own):
            curves.append(CoverageCurve("with angular error floor", own))
        expected = np.linspace(0.0, 1.0, 201)
        bands = [
            (expected, *binomial_band(expected, max(len(good), 1), n_sigma=n)) for n in (2.0, 1.0)
        ]
        points = [
            CoveragePoint(one.probability, one.fraction.value, one.fraction.low, one.fraction.high)
            for _, coverage in self.checks[:1]
            for one in coverage
        ]
        title = f"{self.sample.reco_algo}, {self.sample.kind}: {len(good)} simulated events"
        return plot_coverage(curves, path, bands=bands, points=points, title=title)

    def figures(self) -> dict[str, Any]:
        """Return what is said, for programs."""
        good = self.good
        reasons = Counter(record.reason for record in self.records if not record.is_ok)
        medians = {
            name: _median([getattr(record, name) for record in good])
            for name in ("separation_deg", "area90_deg2", "wilks_area90_deg2", "cpu_s", "charge_pe")
        }
        medians["energy_ratio"] = _median(
            [
                record.energy_in / record.light_energy_inside
                for record in good
                if record.energy_in is not None and record.light_energy_inside > 0.0
            ]
        )
        offs = [record.vertex_off for record in good if record.vertex_off is not None]
        medians["vertex_off"] = _median(offs)
        return {
            "sample": self.sample.as_json(),
            "n_events": len(self.records),
            "n_failed": len(self.records) - len(good),
            "reasons": dict(reasons.most_common(5)),
            "n_widened": sum(record.n_widened > 0 for record in good),
            "n_at_edge": sum(record.is_at_edge for record in good),
            "n_coarse": sum(record.ts != record.map_ts for record in good),
            "n_better": sum((one.true_llh or 0.0) < (one.min_llh or 0.0) for one in good),
            "median": medians,
            "coverage": measure_coverage(self.records),
            "levels": self.levels,
            "checks": [{"levels": entry, "coverage": coverage} for entry, coverage in self.checks],
            "files": self.files,
        }


def _median(values: Sequence[float]) -> float | None:
    return quantile_of(values, 0.5).value if values else None


def as_json(report: Report) -> str:
    """Return the JSON object of ``calibrate --json``."""
    return dump_plain(report.figures())


def as_text(report: Report) -> str:
    """Return the same for people."""
    figures, sample = report.figures(), report.sample
    classes, n_failed = ", ".join(sample.classes), figures["n_failed"]
    about = f"{sample.reco_algo}, {sample.kind}, {classes}: {figures['n_events']} events"
    lines = [f"{about}, {n_failed} without a map or a fit at the truth"]
    lines += [f"  {n:5d} x      {reason}" for reason, n in figures["reasons"].items()]
    median = figures["median"]
    if report.good:
        areas = f"{median['area90_deg2']:.3g} deg^2 (Wilks {median['wilks_area90_deg2']:.3g})"
        size = f"{median['charge_pe']:.0f} PE, {median['cpu_s']:.3g} CPU s"
        separation = f"separation {median['separation_deg']:.3g} deg"
        if median["energy_ratio"] is not None:
            ratio = f"inside the volume over that of the true light: {median['energy_ratio']:.3g}"
            vertex = ""
            if median["vertex_off"] is not None:
                vertex = f"; vertex {median['vertex_off']:.3g} m from the centre of the true light"
            lines.append(f"  energy       {ratio}{vertex}")
        edge = f"widened for {figures['n_widened']}, best pixel at its edge for"
        lines.append(f"  median       {separation}, 90 % area {areas}, {size}")
        lines.append(f"  cone         {edge} {figures['n_at_edge']}")
        missed = f"not reached by the finest pixels for {figures['n_coarse']}"
        lines.append(
            f"  truth        {missed}, better than the best pixel for {figures['n_better']}"
        )
    lines += [_coverage_line(one.rule, one) for one in figures["coverage"]]
    for entry in report.levels:
        found = ", ".join(
            f"{100 * level.probability:.0f} %: TS {level.ts:.3g} "
            f"({level.ts_low:.3g} to {level.ts_high:.3g})"
            for level in entry.levels
        )
        lines.append(f"  levels       {found}; {entry.title}")
    for entry, coverage in report.checks:
        lines.append(f"  check        levels of {entry.title}")
        lines += [_coverage_line(one.rule, one) for one in coverage]
    lines += [f"  {kind:12} {path}" for kind, path in report.files.items()]
    return "\n".join(lines)


def _coverage_line(name: str, coverage: Coverage) -> str:
    """Say how many regions hold the truth."""
    found = coverage.fraction
    return (
        f"  coverage     {100 * coverage.probability:.0f} % regions, {name}: "
        f"{100 * found.value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f}, "
        f"{found.n_inside} of {found.n_events})"
    )
