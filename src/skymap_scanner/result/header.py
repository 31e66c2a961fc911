"""What a result file says about its scan: one table, used for writing and for reading.

The first eight fields are those of the classic scanner and of ``icecube-skyreader`` (one header row
per nside). The last four are ours and are left out when unknown; other readers carry them along.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import EventError, FormatError, ResultError
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT, EventMetadata
from skymap_scanner.result.levels import LevelRule
from skymap_scanner.result.plain_json import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["FIELDS", "NAN_MARKER", "ScanHeader"]

#: Field of a header row -> the Python type of its value.
FIELDS: Final[dict[str, type]] = {
    "nside": int,
    "complete": bool,
    "run_id": int,
    "event_id": int,
    "event_type": str,
    "mjd": float,
    "is_real_event": bool,
    "version": int,
    "reco_algo": str,
    "reco_options": str,
    "software": str,
    "level_rule": str,
}
#: Stands for NaN in JSON files, which have no such number (the marker of ``icecube-skyreader``).
NAN_MARKER: Final = "<skyreader.nan>"
#: Layouts of the columns that we read: without vertex (0) and with it (1).
_VERSIONS: Final = (0, 1)


@dataclass(frozen=True, slots=True)
class ScanHeader:
    """What is known about a scan besides its pixels.

    Parameters
    ----------
    event_metadata : EventMetadata
        The event.
    is_complete : bool
        False while pixels are still missing.
    reco_algo : str, optional
        Name of the reconstruction; empty when unknown.
    reco_options : Mapping, optional
        Its effective settings.
    software : str, optional
        Name and version of the program that made the scan; empty when unknown.
    level_rule : LevelRule, optional
        How credible regions are made; None when that was not decided.
    """

    event_metadata: EventMetadata = UNKNOWN_EVENT
    is_complete: bool = True
    reco_algo: str = ""
    reco_options: Mapping[str, object] = field(default_factory=dict)
    software: str = ""
    level_rule: LevelRule | None = None

    def row(self, nside: int) -> dict[str, Any]:
        """Return the header row of one nside, without the fields that are unknown."""
        event = self.event_metadata
        values: dict[str, Any] = {
            "nside": nside,
            "complete": self.is_complete,
            "run_id": event.run_id,
            "event_id": event.event_id,
            "event_type": event.event_type,
            "mjd": float(event.mjd),
            "is_real_event": event.is_real_event,
            # the columns are always written in layout 1, whatever was read
            "version": 1,
        }
        ours = {
            "reco_algo": self.reco_algo,
            "reco_options": json.dumps(to_plain(self.reco_options), sort_keys=True)
            if self.reco_options
            else "",
            "software": self.software,
            "level_rule": ""
            if self.level_rule is None
            else json.dumps(self.level_rule.as_json(), sort_keys=True),
        }
        # an empty string would be a column of width zero, which numpy cannot store
        return values | {name: text for name, text in ours.items() if text}

    def to_array(self, nsides: list[int]) -> NDArray[np.void]:
        """Return the header of an npz file: a structured array with one row per nside."""
        rows = [self.row(nside) for nside in nsides]
        dtype = np.dtype(
            [
                (name, f"<U{len(value)}" if isinstance(value, str) else np.dtype(FIELDS[name]))
                for name, value in rows[0].items()
            ]
        )
        return np.array([tuple(row.values()) for row in rows], dtype)

    @classmethod
    def from_row(cls, row: Mapping[str, Any], *, place: str) -> ScanHeader:
        """Read a header row; unknown fields are ignored, absent ones have classic defaults.

        Raises
        ------
        ResultError
            When a value has the wrong type, or the values contradict each other.
        """
        values = {name: _value(row[name], name, place) for name in FIELDS if name in row}
        if values.get("version", 0) not in _VERSIONS:
            raise ResultError(
                "made by a later version of the program",
                place=place,
                found=f"version {values['version']}",
                wanted="version 0 or 1",
            )
        try:
            event = EventMetadata(
                run_id=values.get("run_id", 0),
                event_id=values.get("event_id", 0),
                event_type=values.get("event_type"),
                mjd=values.get("mjd", math.nan),
                is_real_event=values.get("is_real_event", False),
            )
        except EventError as error:
            raise ResultError(
                error.message, place=place, found=error.found, wanted=error.wanted
            ) from error
        return cls(
            event_metadata=event,
            is_complete=values.get("complete", True),
            reco_algo=values.get("reco_algo", ""),
            reco_options=_options(values.get("reco_options", ""), place),
            software=values.get("software", ""),
            level_rule=_level_rule(values.get("level_rule", ""), place),
        )


def _value(value: Any, name: str, place: str) -> Any:
    """Return a header value as a plain Python value of the type it must have."""
    plain = value.item() if isinstance(value, np.generic) else value
    kind = FIELDS[name]
    if kind is float and plain == NAN_MARKER:
        return math.nan
    if kind is str and plain is None:
        return "None"
    # some classic versions stored a flag as 0 or 1, a whole number of days as an integer
    accepted = {float: (int, float), int: (int,), bool: (bool, int), str: (str,)}[kind]
    is_flag = isinstance(plain, bool)
    if not isinstance(plain, accepted) or (is_flag and kind is not bool):
        raise ResultError(
            f"header field {name} has the wrong type",
            place=place,
            found=repr(plain)[:80],
            wanted=kind.__name__,
        )
    return kind(plain)


def _options(text: str, place: str) -> dict[str, object]:
    """Read the settings of the reconstruction back from their JSON text."""
    try:
        options = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise ResultError(
            "header field reco_options is not JSON",
            place=place,
            found=repr(text)[:80],
            wanted="an object",
        )
    return options


def _level_rule(text: str, place: str) -> LevelRule | None:
    """Read the rule of regions back from its JSON text."""
    if not text:
        return None
    try:
        return LevelRule.from_json(json.loads(text))
    except (ValueError, RecursionError, FormatError) as error:
        raise ResultError(
            "header field level_rule is not a rule",
            place=place,
            found=repr(text)[:80],
            wanted="a JSON object",
        ) from error
