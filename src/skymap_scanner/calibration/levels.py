"""From records to levels, and from levels and other records to coverage."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner import __version__
from skymap_scanner.calibration.statistics import Fraction, quantile_of, wilson
from skymap_scanner.exceptions import UsageError
from skymap_scanner.result.calibrated_levels import CalibratedLevels, LevelEstimate, same_reco
from skymap_scanner.result.levels import wilks_ts
from skymap_scanner.result.plain_json import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from skymap_scanner.calibration.record import EventRecord
    from skymap_scanner.calibration.sample import Sample

__all__ = [
    "MIN_EVENTS",
    "PROBABILITIES",
    "Coverage",
    "check_levels",
    "measure_coverage",
    "measure_levels",
]

#: Regions that are calibrated.
PROBABILITIES: Final = (0.5, 0.9)
#: Fewer events make no 90 % level: of these two are expected beyond it.
MIN_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many regions of some rule hold the truth.

    Attributes
    ----------
    rule : str
        How the regions are made.
    probability : float
        How many should.
    fraction : Fraction
        How many do.
    """

    rule: str
    probability: float
    fraction: Fraction


def measure_levels(
    records: Sequence[EventRecord],
    sample: Sample,
    *,
    date: str,
    charge_edges: Sequence[float] = (),
) -> list[CalibratedLevels]:
    """Find the levels of a sample.

    Parameters
    ----------
    records : sequence of EventRecord
        Of the sample.
    sample : Sample
        What they are.
    date : str
        Today, ``2030-01-31``.
    charge_edges : sequence of float
        Edges of ranges of charge, ascending [PE]; one range less than there are edges.

    Returns
    -------
    list of CalibratedLevels
        For all events; where there are several classes, for each; and for each range of charge.
        Groups of fewer than `MIN_EVENTS` are left out.

    Raises
    ------
    UsageError
        When all events together are too few, or the edges do not ascend.
    """
    edges = list(charge_edges)
    is_legal = all(0.0 <= low < high for low, high in itertools.pairwise(edges))
    if len(edges) == 1 or not is_legal or not all(map(math.isfinite, edges)):
        raise UsageError(
            "illegal edges",
            place="--charge-edges-pe",
            found=" ".join(f"{edge:g}" for edge in edges),
            wanted="two or more numbers that ascend, from 0",
        )
    entries = []
    for event_class, charge, belongs in _groups(sample, edges):
        group = [record for record in records if belongs(record)]
        ts = [record.ts for record in group if record.ts is not None]
        if len(ts) >= MIN_EVENTS:
            levels = tuple(_estimate(ts, probability) for probability in PROBABILITIES)
            entries.append(
                CalibratedLevels(
                    reco_algo=sample.reco_algo,
                    reco_options=dict(sample.reco_options),
                    kind=sample.kind,
                    event_class=event_class,
                    charge_pe=charge,
                    levels=levels,
                    n_events=len(ts),
                    n_failed=len(group) - len(ts),
                    date=date,
                    software=f"skymap-scanner {__version__}",
                    light=sample.light,
                    settings=sample.as_json(),
                    digest=sample.digest,
                )
            )
        elif not entries:
            raise UsageError(
                "too few events for levels",
                found=f"{len(ts)} with a map",
                wanted=f"{MIN_EVENTS} or more; some hundreds for levels that are used",
            )
    return entries


def _groups(
    sample: Sample, edges: Sequence[float]
) -> Iterator[tuple[str, tuple[float, float] | None, Callable[[EventRecord], bool]]]:
    """Iterate over groups of events: class, range of charge, and who belongs to it."""
    has_mixture = len(sample.classes) > 1
    for name in (*(("all",) if has_mixture else ()), *sample.classes):
        for charge in (None, *itertools.pairwise(edges)):
            yield name, charge, _membership(name, charge)


def _membership(
    event_class: str, charge: tuple[float, float] | None
) -> Callable[[EventRecord], bool]:
    def belongs(record: EventRecord) -> bool:
        is_of_class = event_class in ("all", record.event_class)
        return is_of_class and (charge is None or charge[0] <= record.charge_pe < charge[1])

    return belongs


def _estimate(ts: Sequence[float], probability: float) -> LevelEstimate:
    found = quantile_of(ts, probability)
    return LevelEstimate(probability, *(round(x, 6) for x in (found.value, found.low, found.high)))


def measure_coverage(records: Sequence[EventRecord]) -> list[Coverage]:
    """Measure how often the truth lies in regions that are not calibrated.

    Returns
    -------
    list of Coverage
        By Wilks' theorem, by highest posterior density and by the reconstruction's own rule, each
        at `PROBABILITIES`; nothing without events.
    """
    good = [record for record in records if record.is_ok]
    columns = {
        "wilks": np.array([-math.expm1(-0.5 * (record.ts or 0.0)) for record in good]),
        "hpd": np.array([record.hpd_level for record in good], dtype=np.float64),
        "own rule": np.array([record.rule_level for record in good], dtype=np.float64),
    }
    return [
        Coverage(rule, p, wilson(int(np.count_nonzero(levels <= p)), len(levels)))
        for rule, levels in columns.items()
        for p in PROBABILITIES
        if len(levels)
    ]


def check_levels(
    records: Sequence[EventRecord], sample: Sample, entries: Sequence[CalibratedLevels]
) -> list[tuple[CalibratedLevels, list[Coverage]]]:
    """Measure how often the truth lies in calibrated regions of events that made no levels.

    Each level is measured twice: by the finest pixel at the truth, as a scan has it that refines
    far enough, and by the map as the scan of the sample leaves it, which may be coarse there.

    Parameters
    ----------
    records : sequence of EventRecord
        Of the sample.
    sample : Sample
        Other events than those of the levels.
    entries : sequence of CalibratedLevels
        Levels; those of other reconstructions are left out.

    Returns
    -------
    list of (CalibratedLevels, list of Coverage)
        For each entry that some events belong to.

    Raises
    ------
    UsageError
        When no entry is for this reconstruction with these settings, or the levels were made of the
        same events.
    """
    options = to_plain(sample.reco_options)
    fitting = [
        entry
        for entry in entries
        if same_reco(entry.reco_algo, sample.reco_algo) and to_plain(entry.reco_options) == options
    ]
    if not fitting:
        raise UsageError(
            "no levels for this reconstruction with these settings",
            place="--check",
            found=", ".join(sorted({entry.reco_algo for entry in entries})) or "no levels",
            wanted=f"{sample.reco_algo} {options}",
        )
    checked = []
    for entry in fitting:
        # Another ice or progression with the same seed has the same muons all the same.
        seed, same = entry.settings.get("seed"), ("light", "energy_range_gev", "zenith_range_deg")
        ours = sample.as_json()
        if seed == sample.seed and all(entry.settings.get(key) == ours[key] for key in same):
            raise UsageError(
                "the levels were made of the same events",
                place="--check",
                found=f"seed {seed} of both",
                wanted="events of another --seed, in another --work-dir",
            )
        belongs = _membership(entry.event_class, entry.charge_pe)
        good = [one for one in records if one.is_ok and belongs(one)]
        if good:
            finest = np.array([one.ts for one in good], dtype=np.float64)
            in_map = np.array([one.map_ts for one in good], dtype=np.float64)
            covered = [_covered(finest, level) for level in entry.levels]
            covered += [_covered(in_map, level, " in the map as scanned") for level in entry.levels]
            checked.append((entry, covered))
    return checked


def _covered(
    ts: np.ndarray[tuple[int], np.dtype[np.float64]], level: LevelEstimate, where: str = ""
) -> Coverage:
    inside = int(np.count_nonzero(ts <= level.ts))
    name = f"TS {level.ts:.3g}{where} (Wilks {wilks_ts(level.probability):.3g})"
    return Coverage(name, level.probability, wilson(inside, ts.size))
