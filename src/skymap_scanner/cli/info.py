"""Show what an event file holds: frames with their objects, header, pulses, cleaning and fits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skymap_scanner.exceptions import one_line
from skymap_scanner.server.exits import PROGRAM, OneLineParser, run_program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from skymap_scanner.event import Event
    from skymap_scanner.event.info import FrameListing

__all__ = ["main", "parser"]

#: Names longer than this get out of line.
_MAX_WIDTH = 60


def parser() -> argparse.ArgumentParser:
    """Return the command line of ``skymap-scanner info``."""
    command_line = OneLineParser(prog=f"{PROGRAM} info", description=__doc__)
    command_line.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="realtime message (.json, .pkl) or .i3[.gz|.bz2|.zst] file",
    )
    command_line.add_argument(
        "--event",
        dest="which",
        metavar="RUN:EVENT[:SUBEVENT]",
        help="only this event of a file that holds several (default: all)",
    )
    command_line.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, a list where the file holds several events "
        "(default: text to read)",
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Show an event file and return the exit code."""
    arguments = parser().parse_args(argv)
    return run_program(lambda: _show(arguments), debug=arguments.debug)


def _show(arguments: argparse.Namespace) -> int:
    from skymap_scanner.event import read_events
    from skymap_scanner.event.info import describe, describe_frames

    if not arguments.json:
        # Frames first: they can be read where the event in them cannot.
        frames = describe_frames(arguments.file)
        _print_frames(frames)
        if arguments.which is None and not any(frame.is_physics for frame in frames):
            print("\nno event: the file has no physics frame")
            return 0
    events = read_events(arguments.file, which=arguments.which)
    descriptions = [describe(event) for event in events]
    if arguments.json:
        from skymap_scanner.result.plain_json import dump_plain

        print(dump_plain(descriptions[0] if len(descriptions) == 1 else descriptions))
        return 0
    for event, description in zip(events, descriptions, strict=True):
        print()
        _print_event(event, description)
    return 0


def _print_frames(frames: list[FrameListing]) -> None:
    rows = [
        [one_line(text) for text in row]
        for frame in frames
        for row in zip(frame.keys, frame.types, strict=True)
    ]
    key_width, type_width = (
        min(max((len(row[column]) for row in rows), default=0), _MAX_WIDTH) for column in (0, 1)
    )
    row_of = iter(rows)
    for frame in frames:
        print(f"frame {one_line(frame.stop)}{'' if frame.keys else ' (empty)'}")
        for size in frame.sizes:
            key, type_name = next(row_of)
            print(f"    {key:{key_width}} {type_name:{type_width}} {size:9d} bytes")


def _print_event(event: Event, about: dict[str, Any]) -> None:
    kind = "real" if event.is_real else "simulated"
    stream = one_line(event.stream)
    print(f"event {event.name} ({kind}, sub-event {event.sub_event_id} of {stream})")
    start = datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=event.mjd)
    print(f"    start      {start:%Y-%m-%d %H:%M:%S} UTC, MJD {event.mjd:.10f}")
    print(f"    version    {event.version or 'none'}")
    print(f"    detector   {event.detector.source}")
    print(f"    pulses     {_size(about)}  {event.pulses_name}")
    print(f"    cleaned    {_size(about['cleaned'])}  for track reconstructions")
    first, last = event.readout_window
    print(f"    readout    {first:.1f} to {last:.1f} ns")
    for name, fit in about["fits"].items():
        if fit["ra_deg"] is None:
            print(f"    fit        {one_line(name)}: no direction")
        else:
            print(
                f"    fit        {one_line(name)}: "
                f"zenith {fit['zenith']:.5f} azimuth {fit['azimuth']:.5f} rad, "
                f"RA {fit['ra_deg']:.3f} Dec {fit['dec_deg']:+.3f} deg"
            )


def _size(about: dict[str, Any]) -> str:
    return (
        f"{about['n_pulses']:6d} pulses in {about['n_doms']:4d} modules, "
        f"{about['charge_pe']:10.2f} PE"
    )
