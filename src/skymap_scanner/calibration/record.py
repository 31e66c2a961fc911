"""What is kept of each event of a calibration: one small JSON file."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular, write_bytes_atomically
from skymap_scanner.result.plain_json import dump_plain

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["EventRecord", "read_record", "write_record"]

#: No record is longer [bytes].
_MAX_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event: the truth, what it looks like, and what the scan around the truth found.

    Degrees and GeV, as in all files. What a failed scan does not have is None.

    Attributes
    ----------
    digest : str
        Of the sample that it belongs to (`skymap_scanner.calibration.sample.Sample.digest`).
    number : int
        Of the event in it, from 1.
    event_class : str
        Kind of event.
    n_drawn : int
        Events drawn until one triggered and had the charge wanted.
    ra_deg, dec_deg, zenith_deg, azimuth_deg : float
        True direction, where it comes from [deg].
    energy, light_energy_inside : float
        True energy, and energy of electromagnetic cascades with as much light as was made in the
        instrumented volume [GeV].
    scattering, absorption, efficiency, anisotropy : float
        Factors by which the ice of the simulation differs; 1 for the same ice.
    charge_pe, n_doms : float, int
        Charge [PE] and hit modules after the cleaning for tracks.
    reason : str
        Why there is no map or no fit at the truth; empty when there are both.
    best_ra_deg, best_dec_deg : float
        Centre of the best pixel [deg].
    best_nside : int
        Its resolution.
    min_llh, true_llh : float
        Negative log-likelihood there, and in the finest pixel that holds the true direction.
    ts : float
        ``2 (true_llh - min_llh)``, never negative.
    map_ts : float
        The same in the map as a scan leaves it, where the truth may lie in a coarser pixel.
    hpd_level, rule_level : float
        Credible level at which regions begin to hold the truth: highest posterior density of the
        map as it is, and by the reconstruction's own rule (with its angular error floor).
    separation_deg : float
        From the truth to the best pixel [deg].
    area90_deg2, hpd_area90_deg2, wilks_area90_deg2 : float
        Areas of 90 % regions: the reconstruction's own rule, highest posterior density, Wilks'
        theorem [deg^2].
    energy_in, energy_total : float
        At the best pixel [GeV]; None when not estimated.
    vertex_off : float
        Cascades: from where their light comes from on average to the vertex of the best pixel [m];
        None for tracks, which have no such place.
    cone_deg : float
        Radius of the last scan [deg].
    n_widened : int
        How often the cone had to be widened.
    is_at_edge : bool
        Whether the best pixel lies at the edge of the last cone all the same.
    n_pixels, n_failed_pixels : int
        Pixels with and without a finite fit.
    cpu_s : float
        Processor time of preparation and scans [s].
    """

    digest: str
    number: int
    event_class: str
    n_drawn: int
    ra_deg: float
    dec_deg: float
    zenith_deg: float
    azimuth_deg: float
    energy: float
    light_energy_inside: float
    scattering: float
    absorption: float
    efficiency: float
    anisotropy: float
    charge_pe: float
    n_doms: int
    reason: str
    best_ra_deg: float | None = None
    best_dec_deg: float | None = None
    best_nside: int | None = None
    min_llh: float | None = None
    true_llh: float | None = None
    ts: float | None = None
    map_ts: float | None = None
    hpd_level: float | None = None
    rule_level: float | None = None
    separation_deg: float | None = None
    area90_deg2: float | None = None
    hpd_area90_deg2: float | None = None
    wilks_area90_deg2: float | None = None
    energy_in: float | None = None
    energy_total: float | None = None
    vertex_off: float | None = None
    cone_deg: float | None = None
    n_widened: int = 0
    is_at_edge: bool = False
    n_pixels: int = 0
    n_failed_pixels: int = 0
    cpu_s: float = 0.0

    @property
    def is_ok(self) -> bool:
        """Whether there is a map, and a fit at the truth."""
        return not self.reason


def write_record(path: Path, record: EventRecord) -> None:
    """Write a record, whole or not at all.

    Raises
    ------
    OutputError
        When that is not possible.
    """
    write_bytes_atomically(path, f"{dump_plain(record)}\n".encode())


def read_record(path: Path) -> EventRecord:
    """Read a record.

    Raises
    ------
    FormatError
        When the file is not one.
    """
    wanted = "a record of `skymap-scanner calibrate`; remove it to make it again"
    with open_regular(path) as file:
        data = file.read(_MAX_BYTES)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("not JSON", place=str(path), found=str(error), wanted=wanted) from error
    problem = _problem(document)
    if problem:
        raise FormatError("not a record", place=str(path), found=problem, wanted=wanted)
    record = EventRecord(**document)
    if record.is_ok == (record.ts is None) or (record.ts is not None and record.ts < 0.0):
        raise FormatError("contradicts itself", place=str(path), found=record.ts, wanted=wanted)
    return record


def _problem(document: object) -> str:
    """Say what makes a document no record; nothing when it is one."""
    if not isinstance(document, dict):
        return type(document).__name__
    types_of = _field_types()
    # earlier releases did not know all that may be missing
    wrong = sorted((set(document) - set(types_of)) | (_required_fields() - set(document)))
    if wrong:
        return f"fields too many or missing: {', '.join(map(str, wrong))[:100]}"
    for name, value in document.items():
        legal = types_of[name]
        is_flag = isinstance(value, bool) and bool not in legal
        if is_flag or not isinstance(value, legal):
            return f"{name} {value!r}"[:100]
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} {value}"
    return ""


@cache
def _required_fields() -> frozenset[str]:
    """Return the fields that every record has, whatever the scan found."""
    fields = dataclasses.fields(EventRecord)
    return frozenset(one.name for one in fields if one.default is dataclasses.MISSING)


@cache
def _field_types() -> dict[str, tuple[type, ...]]:
    """Return the legal types of every field; whole numbers may stand for others."""
    found: dict[str, tuple[type, ...]] = {}
    hints: dict[str, Any] = get_type_hints(EventRecord)
    for one in dataclasses.fields(EventRecord):
        hint = hints[one.name]
        parts = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        found[one.name] = (*parts, int) if float in parts else tuple(parts)
    return found
