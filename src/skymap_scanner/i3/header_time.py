"""I3Time and I3EventHeader: when and which event.

IceCube counts 0.1 ns from the start of a UTC year, leap seconds included.
"""

from __future__ import annotations

import math
import struct
from calendar import isleap
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["HEADER_CODECS", "EventHeader", "I3Time", "read_time", "write_time"]

_TIME = struct.Struct("<iq")
_SECOND: Final = 10**10
_DAY_S: Final = 86400
_LAST_YEAR: Final = 9999
#: MJD 0 is 17 November 1858, day 678576 of the proleptic Gregorian calendar.
_MJD_ORDINAL: Final = 678576
#: Last day before each leap second [MJD]; none after 2016 (IERS Bulletin C 70, July 2025).
_LEAP_DAYS: Final = (53735, 54831, 56108, 57203, 57753)


@dataclass(frozen=True, slots=True, order=True)
class I3Time:
    """A UTC instant.

    Parameters
    ----------
    year : int
        UTC year; 0 = not set.
    daq_time : int
        0.1 ns since 1 January 00:00 UTC of `year`, leap seconds included.
    """

    year: int
    daq_time: int

    @property
    def is_set(self) -> bool:
        """Whether this is a date at all."""
        return 1 <= self.year <= _LAST_YEAR and 0 <= self.daq_time < 400 * _DAY_S * _SECOND

    @property
    def mjd(self) -> float:
        """Modified Julian date (UTC) [d].

        Raises
        ------
        FormatError
            When the time is not set.
        """
        seconds, tenth_ns = self._clock()
        return _new_year(self.year) + (seconds + tenth_ns * 1e-10) / _DAY_S

    def to_datetime_string(self) -> str:
        """Return ``YYYY-MM-DD hh:mm:ss.ffffff`` (UTC, truncated to microseconds)."""
        seconds, tenth_ns = self._clock()
        days, second = divmod(seconds, _DAY_S)
        leap_s = _leap_second(self.year)
        if leap_s is not None and self.daq_time // _SECOND == leap_s:
            clock = "23:59:60"
        else:
            clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        try:
            day = date(self.year, 1, 1) + timedelta(days=days)
        except OverflowError as error:
            raise FormatError("a time is out of range", found=self) from error
        return f"{day.isoformat()} {clock}.{tenth_ns // 10_000:06d}"

    def ns_since(self, earlier: I3Time) -> float:
        """Return the time that has passed since `earlier`, leap seconds counted [ns]."""
        for time in (self, earlier):
            time._clock()  # noqa: SLF001  # the same class: raises when a time is not set
        difference = self.daq_time - earlier.daq_time
        for year in range(earlier.year, self.year):
            difference += _year_seconds(year) * _SECOND
        for year in range(self.year, earlier.year):
            difference -= _year_seconds(year) * _SECOND
        return difference / 10

    def plus_ns(self, delay: float) -> I3Time:
        """Return the instant `delay` [ns] later, to 0.1 ns; at most a year away."""
        self._clock()
        if not abs(delay) < 366 * _DAY_S * 1e9:
            raise FormatError("a delay is out of range", found=delay, wanted="less than a year")
        year, daq_time = self.year, self.daq_time + round(delay * 10)
        while daq_time < 0 and year > 1:
            year -= 1
            daq_time += _year_seconds(year) * _SECOND
        while year < _LAST_YEAR and daq_time >= _year_seconds(year) * _SECOND:
            daq_time -= _year_seconds(year) * _SECOND
            year += 1
        return I3Time(year, daq_time)

    @classmethod
    def from_mjd(cls, mjd: float) -> I3Time:
        """Return the instant of a modified Julian date (UTC) [d].

        A double holds an MJD of our time to 0.6 us; leap seconds themselves cannot be written so.
        """
        if not math.isfinite(mjd) or not 15021 <= mjd < 2973119:
            raise FormatError("an MJD is out of range", found=mjd, wanted="years 1900 to 9998")
        day = math.floor(mjd)
        year = date.fromordinal(day + _MJD_ORDINAL).year
        tenth_ns = round((mjd - day) * _DAY_S * _SECOND)
        seconds, tenth_ns = divmod(tenth_ns, _SECOND)
        seconds += (day - _new_year(year)) * _DAY_S
        leap_s = _leap_second(year)
        if leap_s is not None and seconds >= leap_s:
            seconds += 1
        return cls(year, seconds * _SECOND + tenth_ns)

    def _clock(self) -> tuple[int, int]:
        """Return seconds of the year without leap seconds, and the rest [0.1 ns]."""
        if not self.is_set:
            raise FormatError("a time is not set", found=(self.year, self.daq_time))
        seconds, tenth_ns = divmod(self.daq_time, _SECOND)
        leap_s = _leap_second(self.year)
        if leap_s is not None and seconds >= leap_s:
            seconds -= 1
        return seconds, tenth_ns


def _new_year(year: int) -> int:
    return date(year, 1, 1).toordinal() - _MJD_ORDINAL


def _year_seconds(year: int) -> int:
    """Return the length of a year, leap second counted."""
    return (365 + isleap(year)) * _DAY_S + (_leap_second(year) is not None)


def _leap_second(year: int) -> int | None:
    """Return the second of the year that is a leap second, counted from 0."""
    start = _new_year(year)
    for day in _LEAP_DAYS:
        if start <= day < start + 365 + isleap(year):
            return (day + 1 - start) * _DAY_S
    return None


def _time_content(reader: ArchiveReader, _version: int) -> I3Time:
    reader.base()
    return I3Time(*reader.unpack(_TIME))


def read_time(reader: ArchiveReader) -> I3Time:
    """Read an I3Time member."""
    return reader.object("I3Time", 0, _time_content)


def write_time(writer: ArchiveWriter, time: I3Time) -> None:
    """Write an I3Time member."""
    writer.begin("I3Time")
    writer.base()
    writer.pack(_TIME, time.year, time.daq_time)


@dataclass(frozen=True, slots=True)
class EventHeader:
    """Which event this is and when it was read out.

    Parameters
    ----------
    run, sub_run, event, sub_event : int
        Numbers of the event.
    state : int
        20 = detector configuration OK, 40 = in transition, 0 = unknown.
    stream : str
        Event splitter that made the sub-event ("" in Q frames).
    start, end : I3Time
        Readout window. Pulse times count from the start of the Q frame's header.
    """

    run: int
    sub_run: int
    event: int
    state: int
    sub_event: int
    stream: str
    start: I3Time
    end: I3Time


def _read_header(reader: ArchiveReader, version: int) -> EventHeader:
    reader.base()
    run = reader.u32()
    sub_run = reader.u32() if version > 0 else 0
    event = reader.u32()
    state = reader.i32() if version > 1 else 20
    sub_event = reader.u32() if version > 2 else 0
    stream = reader.text() if version > 2 else ""
    start = read_time(reader)
    return EventHeader(run, sub_run, event, state, sub_event, stream, start, read_time(reader))


def _write_header(writer: ArchiveWriter, obj: EventHeader) -> None:
    for number in (obj.run, obj.sub_run, obj.event):
        writer.u32(number)
    writer.i32(obj.state)
    writer.u32(obj.sub_event)
    writer.text(obj.stream)
    write_time(writer, obj.start)
    write_time(writer, obj.end)


def _write_time_object(writer: ArchiveWriter, obj: I3Time) -> None:
    writer.pack(_TIME, obj.year, obj.daq_time)


#: How the classes of this module are stored.
HEADER_CODECS = (
    Codec("I3EventHeader", "I3EventHeader", 3, EventHeader, _read_header, _write_header),
    Codec("I3Time", "I3Time", 0, I3Time, _time_content, _write_time_object),
)
