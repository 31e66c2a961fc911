"""Levels of regions that were found with simulated events: their file, and which one applies.

An entry holds for one reconstruction with one set of options, found with one kind of simulated
events. ``skymap-scanner calibrate`` writes such files; the one in this package is used by default.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular, write_bytes_atomically
from skymap_scanner.result.plain_json import dump_plain, to_plain
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "LEVELS_SCHEMA",
    "CalibratedLevels",
    "LevelEstimate",
    "choose_levels",
    "read_levels",
    "same_reco",
    "shipped_levels",
    "write_levels",
]

#: Version of the layout of files.
LEVELS_SCHEMA: Final = 1
#: No file of levels is longer [bytes].
_MAX_BYTES: Final = 10_000_000
#: Ice of the simulation: what the real world needs first.
_KINDS: Final = ("varied-ice", "same-ice")
#: Events of which levels were made, from what is used for an event of unknown class first.
_CLASSES: Final = ("all", "track", "starting", "cascade")


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """The TS below which a fraction of events has its true direction.

    Attributes
    ----------
    probability : float
        That fraction.
    ts : float
        The level.
    ts_low, ts_high : float
        Its 68 % confidence interval.
    """

    probability: float
    ts: float
    ts_low: float
    ts_high: float


@dataclass(frozen=True, slots=True)
class CalibratedLevels:
    """Levels of one reconstruction for one kind of events.

    Attributes
    ----------
    reco_algo : str
        Name of the reconstruction.
    reco_options : mapping
        All of its effective settings.
    kind : str
        Ice of the simulation: ``same-ice`` or ``varied-ice``.
    event_class : str
        ``track``, ``starting`` or ``cascade``; ``all`` for a mixture.
    charge_pe : tuple of float, optional
        Range of charge after the cleaning for tracks, lower end included [PE]; None for any.
    levels : tuple of LevelEstimate
        Ascending in probability and TS.
    n_events, n_failed : int
        Events that the levels were made of, and others that have no map or no fit at the truth.
    date : str
        When (UTC).
    software, light : str
        What made them, and the light model of the simulation.
    settings : mapping
        All settings of the sample of events.
    digest : str
        What tells that sample from others.
    """

    reco_algo: str
    reco_options: Mapping[str, object] = field(hash=False)
    kind: str
    event_class: str
    charge_pe: tuple[float, float] | None
    levels: tuple[LevelEstimate, ...]
    n_events: int
    n_failed: int
    date: str
    software: str
    light: str
    settings: Mapping[str, object] = field(hash=False)
    digest: str

    @property
    def title(self) -> str:
        """What they were made of, in a few words."""
        low, high = self.charge_pe or (0.0, 0.0)
        charge = "" if self.charge_pe is None else f" of {low:g} to {high:g} PE"
        what = (
            "simulated events"
            if self.event_class == "all"
            else f"events of class {self.event_class}"
        )
        return f"{self.n_events} {what}{charge}, {self.kind}, {self.date}"

    def holds_charge(self, charge: float) -> bool:
        """Tell whether these levels are for events with some charge [PE]."""
        return self.charge_pe is None or self.charge_pe[0] <= charge < self.charge_pe[1]


def same_reco(one: str, other: str) -> bool:
    """Tell whether two names mean the same reconstruction: case and underscores do not matter."""
    return one.lower().replace("_", "") == other.lower().replace("_", "")


def choose_levels(
    entries: Sequence[CalibratedLevels],
    reco_algo: str,
    reco_options: Mapping[str, object] | None = None,
    charge: float | None = None,
) -> tuple[CalibratedLevels | None, str]:
    """Choose the levels for a scan.

    Parameters
    ----------
    entries : sequence of CalibratedLevels
        What there is.
    reco_algo : str
        Name of the reconstruction.
    reco_options : mapping, optional
        Its effective settings; None for those that were calibrated.
    charge : float, optional
        Of the event after the cleaning for tracks [PE]; without it no entry for a range is chosen.

    Returns
    -------
    CalibratedLevels or None, str
        Varied ice goes before the same ice, the charge's own range before all charges, a mixture of
        classes before tracks, starting tracks and cascades. Without any, the reason.
    """
    of_reco = [entry for entry in entries if same_reco(entry.reco_algo, reco_algo)]
    if not of_reco:
        return None, f"there are no calibrated levels for {reco_algo or 'this reconstruction'}"
    fitting = of_reco
    if reco_options is not None:
        options = to_plain(reco_options)
        fitting = [entry for entry in of_reco if to_plain(entry.reco_options) == options]
        if not fitting:
            return None, f"calibrated with {_difference(of_reco[0].reco_options, options)}"
    fitting = [
        entry
        for entry in fitting
        if entry.charge_pe is None or (charge is not None and entry.holds_charge(charge))
    ]
    if not fitting:
        return None, "no calibrated levels for this charge"
    return min(fitting, key=_rank), ""


def _rank(entry: CalibratedLevels) -> tuple[int, bool, int]:
    return (
        _KINDS.index(entry.kind),
        entry.charge_pe is None,
        _CLASSES.index(entry.event_class),
    )


def _difference(calibrated: Mapping[str, object], options: Mapping[str, object]) -> str:
    """Name the options in which a scan differs from what was calibrated."""
    names = [
        name
        for name in sorted({*calibrated, *options})
        if calibrated.get(name) != options.get(name)
    ]
    return ", ".join(
        f"{name}={calibrated.get(name)}, not {options.get(name)}" for name in names[:3]
    )


def write_levels(path: Path, entries: Sequence[CalibratedLevels]) -> None:
    """Write a file of levels, whole or not at all.

    Raises
    ------
    OutputError
        When that is not possible.
    """
    document = {"schema": LEVELS_SCHEMA, "entries": [asdict(entry) for entry in entries]}
    write_bytes_atomically(path, f"{dump_plain(document)}\n".encode())


def read_levels(path: Path) -> tuple[CalibratedLevels, ...]:
    """Read a file of levels.

    Raises
    ------
    FormatError
        When it cannot be read or is not one.
    """
    with open_regular(path) as file:
        return _parse(file.read(_MAX_BYTES), str(path))


@cache
def shipped_levels() -> tuple[CalibratedLevels, ...]:
    """Return the levels that come with the package."""
    file = resources.files("skymap_scanner.result").joinpath("data/calibrated_levels.json")
    return _parse(file.read_bytes(), "calibrated_levels.json of this package")


def _parse(data: bytes, place: str) -> tuple[CalibratedLevels, ...]:
    wanted = "levels that `skymap-scanner calibrate --write-levels` wrote"
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("not JSON", place=place, found=str(error)[:120], wanted=wanted) from error
    mismatch = explain_mismatch("calibrated-levels", document)
    if mismatch is not None:
        raise FormatError("not a file of levels", place=place, found=mismatch, wanted=wanted)
    return tuple(
        _entry(one, f"{place}: entry {number}") for number, one in enumerate(document["entries"], 1)
    )


def _entry(document: dict[str, Any], place: str) -> CalibratedLevels:
    """Make an entry of JSON that follows the schema."""
    levels = tuple(LevelEstimate(**one) for one in document["levels"])
    for lower, upper in itertools.pairwise(levels):
        if not (lower.probability < upper.probability and lower.ts <= upper.ts):
            raise FormatError(
                "levels must ascend", place=place, found=f"{upper.ts:g} after {lower.ts:g}"
            )
    for level in levels:
        if not level.ts_low <= level.ts <= level.ts_high:
            raise FormatError("a level lies outside its interval", place=place, found=level)
    charge = document["charge_pe"]
    names = CalibratedLevels.__slots__
    fields = {name: document[name] for name in names}
    fields |= {"levels": levels, "charge_pe": None if charge is None else tuple(charge)}
    return CalibratedLevels(**fields)
