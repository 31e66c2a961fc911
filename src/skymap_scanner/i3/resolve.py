"""Follow masks, unions and packed series of a frame to the pulses they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.codec import RawObject
from skymap_scanner.i3.masks import (
    PulseMapByModule,
    PulseMapMask,
    PulseMapSpeCorrection,
    PulseMapUnion,
)
from skymap_scanner.i3.pulse_map import PulseMap
from skymap_scanner.i3.superdst import SuperDst
from skymap_scanner.i3.superdst_pulses import unpack_pulses

if TYPE_CHECKING:
    from skymap_scanner.i3.frame import Frame

__all__ = ["is_pulse_series", "resolve_pulses"]

#: Longest chain of masks, and most series in a union; real ones have 3 and 2.
_MAX_CHAIN: Final = 16
_MAX_UNION: Final = 64
_MAX_PULSES: Final = 10_000_000

_SERIES = (SuperDst, PulseMap, PulseMapMask, PulseMapUnion, PulseMapByModule, PulseMapSpeCorrection)


def is_pulse_series(frame: Frame, key: str) -> bool:
    """Whether a key of `frame` holds pulses, a selection or a combination of them."""
    return isinstance(frame[key], _SERIES)


def resolve_pulses(frame: Frame, key: str) -> PulseMap:
    """Return the pulses behind a key, whatever the way they are stored.

    Parameters
    ----------
    frame : Frame
        A physics frame that sees its parents (`mix_frames`): masks and their sources usually lie
        in different frames.
    key : str
        Of a pulse map, a mask, a union or a packed series.

    Raises
    ------
    FormatError
        When a source is missing, damaged, of another kind or part of a loop, or when a mask does
        not fit its source.

    Examples
    --------
    >>> from skymap_scanner.i3 import Frame, PulseMap
    >>> frame = Frame("P")
    >>> one = np.ones(1)
    >>> frame.put("Pulses", PulseMap(np.array([[1, 2, 0]]), one, one, one, np.array([4], "u1")))
    >>> len(resolve_pulses(frame, "Pulses"))
    1
    """
    return _resolve(frame, key, (), {})


def _resolve(
    frame: Frame, key: str, chain: tuple[str, ...], known: dict[str, PulseMap]
) -> PulseMap:
    if key in known:
        return known[key]
    if key in chain or len(chain) >= _MAX_CHAIN:
        raise FormatError(
            "pulse series refer to each other in a loop",
            place=frame.place(key),
            found=" -> ".join((*chain, key)),
            wanted=f"a chain of at most {_MAX_CHAIN} that ends at pulses",
        )
    series = frame[key]
    chain = (*chain, key)
    try:
        known[key] = _resolve_object(frame, series, chain, known)
    except FormatError as error:
        if error.place is None:
            raise error.at(frame.place(key)) from error
        raise
    return known[key]


def _resolve_object(
    frame: Frame, series: object, chain: tuple[str, ...], known: dict[str, PulseMap]
) -> PulseMap:
    match series:
        case PulseMap():
            return series
        case SuperDst():
            return unpack_pulses(series)
        case PulseMapMask():
            return series.apply(_resolve(frame, series.source, chain, known))
        case PulseMapUnion():
            if len(series.keys) > _MAX_UNION:
                raise FormatError(
                    "a union of too many series",
                    found=len(series.keys),
                    wanted=f"at most {_MAX_UNION}",
                )
            return _merge([_resolve(frame, key, chain, known) for key in series.keys])
        case PulseMapByModule():
            return _by_module(_resolve(frame, series.key, chain, known))
        case RawObject():
            raise FormatError(f"cannot be decoded: {series.reason}", wanted="a pulse series")
        case PulseMapSpeCorrection():
            raise FormatError(
                "charges that need a calibration that messages do not carry",
                found=series.pulses_key,
                wanted="a corrected series",
            )
        case _:
            raise FormatError(
                "not a pulse series", found=type(series).__name__, wanted="a pulse series"
            )


def _merge(parts: list[PulseMap]) -> PulseMap:
    """Return all pulses, in each module by time (equal times in the order of `parts`)."""
    if sum(map(len, parts)) > _MAX_PULSES:
        raise FormatError(
            "a union of too many pulses",
            found=sum(map(len, parts)),
            wanted=f"at most {_MAX_PULSES}",
        )
    if not parts:
        empty = np.empty(0)
        return PulseMap.from_columns(np.empty((0, 3), int), empty, empty, empty, empty.astype("u1"))
    time = np.concatenate([part.time for part in parts])
    order = np.argsort(time, kind="stable")
    return PulseMap.from_columns(
        np.concatenate([part.om_key for part in parts])[order],
        time[order],
        np.concatenate([part.charge for part in parts])[order],
        np.concatenate([part.width for part in parts])[order],
        np.concatenate([part.flags for part in parts])[order],
    )


def _by_module(pulses: PulseMap) -> PulseMap:
    om_key = pulses.om_key.copy()
    om_key[:, 2] = 0
    return _merge([PulseMap(om_key, pulses.time, pulses.charge, pulses.width, pulses.flags)])
