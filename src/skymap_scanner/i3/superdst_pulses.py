"""Quantise pulses into I3SuperDST codes, and turn the codes back into pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.pulse_map import FLAG_ATWD, FLAG_FADC, FLAG_LC, PulseMap
from skymap_scanner.i3.superdst import IN_ICE_OMS, SuperDst

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["pack_pulses", "unpack_pulses"]

#: Time code 0 of the very first stamp [ns].
TIME_ORIGIN: Final = -512.0
#: Charge step in the ice [PE], versions 1 and 0; version 1 stores the middle of the step.
CHARGE_STEP: Final = 0.05
_CHARGE_STEP_V0: Final = 0.15
_TIME_STEP_V0: Final = 4
#: IceTop: charge = 10 ** (code * decades / largest code - 2).
_ICETOP_DECADES: Final = 9.0
_ICETOP_FULL: Final = 16383
#: A readout ends when a pulse is this much later than its first one [ns].
_READOUT_LENGTH: Final = 6450.0
#: Later pulses and larger charges than these are not data (a readout is < 1 ms, < 1e6 PE).
_MAX_TIME: Final = 1e9
_MAX_CHARGE: Final = 1e8


def unpack_pulses(packed: SuperDst) -> PulseMap:
    """Return the pulses that the codes of `packed` stand for.

    Widths are cut at the next pulse of the same module; pulses at the same nanosecond share the
    width of the first.
    """
    n_stamps = packed.n_stamps
    time_step = 1 if packed.version else _TIME_STEP_V0
    codes = _absolute_codes(packed.time_code, n_stamps)
    time: FloatArray = TIME_ORIGIN + time_step * codes.astype(np.float64)
    dom = np.repeat(packed.dom_id, n_stamps)
    # Modules in key order, in each by time; equal times keep the order of the stream.
    order = np.lexsort((time, dom))
    dom, time = dom[order], time[order]
    width = np.exp2(packed.width_code[order]).astype(np.float32)
    _cut_widths(dom, time, width)
    om_key = np.stack([dom >> 6, (dom & 63) + 1, np.zeros_like(dom)], axis=1)
    is_hlc = np.repeat(packed.is_hlc, n_stamps)[order]
    flags = np.where(is_hlc, FLAG_LC | FLAG_ATWD | FLAG_FADC, FLAG_FADC).astype(np.uint8)
    charge = _charges(packed)[order]
    return PulseMap(
        om_key, time, charge.astype(np.float32).astype(np.float64), width.astype(np.float64), flags
    )


def _absolute_codes(time_code: IntArray, n_stamps: IntArray) -> IntArray:
    """Return time codes that count from the origin instead of from the stamp before."""
    starts = np.cumsum(n_stamps) - n_stamps
    within = np.cumsum(time_code)
    # Running sum inside each readout, without its first stamp, plus the running sum of firsts.
    firsts = time_code[starts]
    return np.asarray(within + np.repeat(np.cumsum(firsts) - within[starts], n_stamps))


def _charges(packed: SuperDst) -> FloatArray:
    code = packed.charge_code
    if packed.version == 0:
        return _CHARGE_STEP_V0 * code.astype(np.float64)
    icetop = np.repeat(packed.is_icetop, packed.n_stamps)
    linear: FloatArray = CHARGE_STEP * code.astype(np.float64) + CHARGE_STEP / 2
    exponent = np.where(icetop, code, 0) * _ICETOP_DECADES / _ICETOP_FULL - 2.0
    return np.where(icetop, 10.0**exponent, linear)


def _cut_widths(dom: IntArray, time: FloatArray, width: NDArray[np.float32]) -> None:
    """Cut widths at the next pulse of the module, in place; spread pulses at equal times."""
    has_next = dom[1:] == dom[:-1]
    gap = np.diff(time).astype(np.float32)
    doubled = np.unique(dom[:-1][has_next & (gap == 0)])
    simple = has_next & ~np.isin(dom[:-1], doubled)
    width[:-1][simple] = np.minimum(width[:-1], gap)[simple]
    for module in doubled:
        start, stop = np.searchsorted(dom, [module, module + 1])
        _spread(time[start:stop], width[start:stop])


def _spread(time: FloatArray, width: NDArray[np.float32]) -> None:
    """Walk the pulses of one module with equal times among them, in place (FORMATS: I3SuperDST)."""

    def share(index: int) -> None:
        if width[index - 1] == 0 and width[index] > 0:
            width[index - 1] = width[index]
        width[index - 1] /= np.float32(2)
        width[index] = width[index - 1]
        time[index] = time[index - 1] + width[index - 1]

    is_pending = False
    for index in range(len(time) - 1):
        width[index] = min(width[index], np.float32(time[index + 1] - time[index]))
        if width[index] == 0 or is_pending:
            is_pending = index == 0
            if index > 0:
                share(index)
    if is_pending and len(time) > 1:
        share(len(time) - 1)


def pack_pulses(pulses: PulseMap) -> SuperDst:
    """Quantise pulses; those with a non-finite time or charge are dropped.

    Raises
    ------
    FormatError
        When a module or a time cannot be stored.
    """
    pulses = pulses.select(np.isfinite(pulses.time) & np.isfinite(pulses.charge))
    _check_range(pulses)
    dom = pulses.om_key[:, 0] << 6 | (pulses.om_key[:, 1] - 1)
    order = np.lexsort((pulses.time, dom))
    dom, time = dom[order], pulses.time[order]
    is_hlc = pulses.is_hlc[order]
    starts = _readout_starts(dom, time, is_hlc)
    n_stamps = np.diff(starts, append=len(time))
    # Readouts leave in the order of their unquantised start; equal ones in the order of modules.
    by_time = np.argsort(time[starts], kind="stable")
    rows = _rows_of_readouts(starts[by_time], n_stamps[by_time])
    starts, n_stamps = starts[by_time], n_stamps[by_time]
    absolute = np.floor(time - TIME_ORIGIN + 0.5).astype(np.int64)
    first = np.cumsum(n_stamps) - n_stamps
    time_code = np.diff(absolute[rows], prepend=0)
    time_code[first] = np.diff(absolute[starts], prepend=0)
    return SuperDst(
        1,
        dom[starts],
        is_hlc[starts],
        n_stamps,
        time_code,
        _charge_codes(dom, pulses.charge[order])[rows],
        _width_codes(pulses.width[order])[rows],
    )


def _check_range(pulses: PulseMap) -> None:
    string, om, pmt = pulses.om_key.T
    is_illegal = (string < 0) | (string > 127) | (om < 1) | (om > 64) | (pmt != 0)
    if is_illegal.any():
        raise FormatError(
            "I3SuperDST cannot name a module",
            found=tuple(pulses.om_key[is_illegal][0].tolist()),
            wanted="string 0 to 127, module 1 to 64, photomultiplier 0",
        )
    too_far = (pulses.time < TIME_ORIGIN) | (pulses.time > _MAX_TIME)
    if too_far.any():
        raise FormatError(
            "I3SuperDST cannot store a time [ns]",
            found=float(pulses.time[too_far][0]),
            wanted=f"{TIME_ORIGIN} to {_MAX_TIME}",
        )
    if (pulses.charge > _MAX_CHARGE).any():
        raise FormatError(
            "I3SuperDST cannot store a charge [PE]",
            found=float(pulses.charge.max()),
            wanted=f"at most {_MAX_CHARGE}",
        )


def _readout_starts(dom: IntArray, time: FloatArray, is_hlc: NDArray[np.bool_]) -> IntArray:
    starts: list[int] = []
    current = (-1, False, 0.0)
    for index, (module, lc, t) in enumerate(
        zip(dom.tolist(), is_hlc.tolist(), time.tolist(), strict=True)
    ):
        is_icetop = (module & 63) >= IN_ICE_OMS
        if is_icetop or current[:2] != (module, lc) or t - current[2] > _READOUT_LENGTH:
            starts.append(index)
            current = (module, lc, t)
    return np.array(starts, dtype=np.int64)


def _rows_of_readouts(starts: IntArray, n_stamps: IntArray) -> IntArray:
    """Return the indices of all pulses, readout after readout."""
    first = np.cumsum(n_stamps) - n_stamps
    return np.arange(n_stamps.sum()) - np.repeat(first - starts, n_stamps)


def _charge_codes(dom: IntArray, charge: FloatArray) -> IntArray:
    # Charges are stored as f32; the quantisation of what is stored reproduces IceTray's.
    stored = np.maximum(charge.astype(np.float32).astype(np.float64), 0.0)
    linear = np.floor(stored / CHARGE_STEP)
    decades = np.log10(np.maximum(stored, 0.01)) + 2.0
    logarithmic = np.minimum(np.rint(decades * _ICETOP_FULL / _ICETOP_DECADES), _ICETOP_FULL)
    return np.where((dom & 63) >= IN_ICE_OMS, logarithmic, linear).astype(np.int64)


def _width_codes(width: FloatArray) -> IntArray:
    finite = np.clip(np.nan_to_num(width, nan=1.0), 1.0, 2.0**15)
    return np.ceil(np.log2(np.ceil(finite))).astype(np.int64)
