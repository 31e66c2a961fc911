"""Time windows: of the readout, and of bad data per optical module."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.om_key import OMKey, read_key_map, write_om_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["TIME_WINDOW_CODECS", "TimeWindow", "TimeWindowSeriesMap"]

_WINDOW = struct.Struct("<dd")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """From `start` to `stop` [ns]."""

    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class TimeWindowSeriesMap:
    """Time windows per optical module, for instance those with bad or saturated data."""

    windows: Mapping[OMKey, tuple[TimeWindow, ...]]


def _window_content(reader: ArchiveReader, version: int) -> TimeWindow:
    if version > 0:
        reader.base()
    return TimeWindow(*reader.unpack(_WINDOW))


def _read_window(reader: ArchiveReader) -> TimeWindow:
    return reader.object("I3TimeWindow", 1, _window_content)


def _write_window(writer: ArchiveWriter, window: TimeWindow) -> None:
    writer.begin("I3TimeWindow")
    writer.base()
    writer.pack(_WINDOW, window.start, window.stop)


def _write_window_object(writer: ArchiveWriter, obj: TimeWindow) -> None:
    writer.pack(_WINDOW, obj.start, obj.stop)


def _series_content(reader: ArchiveReader, version: int) -> tuple[TimeWindow, ...]:
    if version > 0:
        reader.base()
    return tuple(reader.sequence("list<I3TimeWindow>", _read_window, 16))


def _read_series(reader: ArchiveReader) -> tuple[TimeWindow, ...]:
    return reader.object("I3TimeWindowSeries", 1, _series_content)


def _write_series(writer: ArchiveWriter, windows: tuple[TimeWindow, ...]) -> None:
    writer.begin("I3TimeWindowSeries")
    writer.base()
    writer.sequence("list<I3TimeWindow>", windows, _write_window)


def _read_map(reader: ArchiveReader, _version: int) -> TimeWindowSeriesMap:
    reader.base()
    return TimeWindowSeriesMap(
        read_key_map(reader, "map<OMKey, I3TimeWindowSeries>", _read_series, 8)
    )


def _write_map(writer: ArchiveWriter, obj: TimeWindowSeriesMap) -> None:
    items = sorted(obj.windows.items())
    writer.mapping("map<OMKey, I3TimeWindowSeries>", items, write_om_key, _write_series)


#: How the classes of this module are stored.
TIME_WINDOW_CODECS = (
    Codec("I3TimeWindow", "I3TimeWindow", 1, TimeWindow, _window_content, _write_window_object),
    Codec(
        "I3TimeWindowSeriesMap",
        "I3Map<OMKey, I3TimeWindowSeries>",
        0,
        TimeWindowSeriesMap,
        _read_map,
        _write_map,
    ),
)
