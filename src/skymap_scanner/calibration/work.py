"""The records of a sample in a folder: made by several processes, kept when these are stopped."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.allocator import keep_freed_memory
from skymap_scanner.calibration.record import EventRecord, read_record, write_record
from skymap_scanner.config import ONE_THREAD
from skymap_scanner.exceptions import FormatError, SkymapScannerError, UsageError
from skymap_scanner.files import write_bytes_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from skymap_scanner.calibration.sample import Sample

__all__ = ["MAX_EVENTS", "WorkFolder", "make_records"]

#: More events have no number in their names' six digits.
MAX_EVENTS: Final = 999_999
#: How often the parent looks at its children [s].
_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Where the records of one sample lie, one file per event.

    Attributes
    ----------
    path : Path
        The folder.
    sample : Sample
        What its events are.
    """

    path: Path
    sample: Sample

    def prepare(self) -> None:
        """Make the folder, or see to it that what is there belongs to this sample.

        Raises
        ------
        UsageError
            When the folder cannot be made, or holds events of other settings, or other files.
        FormatError
            When its settings are damaged.
        """
        path = self.path / "sample.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            is_empty = is_new and not any(self.path.iterdir())
        except OSError as error:
            raise UsageError(
                "the work folder cannot be made",
                place=f"--work-dir {self.path}",
                found=error.strerror or str(error),
                wanted="a folder that you may write to",
            ) from error
        settings = self.sample.as_json()
        if is_new:
            if not is_empty:
                raise UsageError(
                    "the work folder holds something else",
                    place=f"--work-dir {self.path}",
                    found="no sample.json",
                    wanted="a new or empty folder",
                )
            write_bytes_atomically(path, (json.dumps(settings, indent=1) + "\n").encode())
            return
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise FormatError(
                "damaged settings of a sample", place=str(path), found=str(error), wanted="JSON"
            ) from error
        if found != settings:
            raise UsageError(
                "the work folder holds events of other settings",
                place=f"--work-dir {self.path}",
                **_difference(found, settings),
            )

    def file(self, number: int) -> Path:
        """Return the path of the record of an event, counted from 1."""
        return self.path / f"event_{number:06d}.json"

    def read(self, number: int) -> EventRecord | None:
        """Read the record of an event, None when it was not made yet.

        Raises
        ------
        FormatError
            When the file is damaged.
        UsageError
            When it belongs to another sample.
        """
        path = self.file(number)
        if not path.exists():
            return None
        record = read_record(path)
        if (record.digest, record.number) != (self.sample.digest, number):
            raise UsageError(
                "the record belongs to another sample",
                place=str(path),
                found=f"event {record.number} of {record.digest}",
                wanted=f"event {number} of {self.sample.digest}",
            )
        return record

    def records(self, n_events: int) -> Iterator[EventRecord]:
        """Iterate over the records that are there of the first `n_events`; errors as `read`."""
        for number in range(1, n_events + 1):
            record = self.read(number)
            if record is not None:
                yield record


def _difference(found: object, wanted: dict[str, Any]) -> dict[str, str]:
    """Name the first setting that differs."""
    if not isinstance(found, dict):
        return {"found": type(found).__name__, "wanted": "settings of a sample"}
    for key, value in wanted.items():
        if found.get(key) != value:
            return {"found": f"{key} {found.get(key)}", "wanted": f"{key} {value}"}
    return {"found": "more settings", "wanted": "those of this release"}


def make_records(
    folder: WorkFolder,
    n_events: int,
    reco_options: Mapping[str, str],
    *,
    n_workers: int,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Make the records that are missing among the first `n_events`.

    Stopped at any moment, at most one event per worker is lost.

    Parameters
    ----------
    folder : WorkFolder
        Prepared.
    n_events : int
        How many events there shall be.
    reco_options : mapping of str to str
        Settings of the reconstruction as the user wrote them.
    n_workers : int
        Processes; 0 for this one.
    report : callable, optional
        Called with the numbers of events done and wanted.

    Raises
    ------
    InputError
        When the folder has damaged records, or those of another sample.
    SkymapScannerError
        When a process failed; the records of the others are kept.
    """
    if not 1 <= n_events <= MAX_EVENTS:
        raise UsageError(
            "illegal value", place="--events", found=n_events, wanted=f"1 to {MAX_EVENTS}"
        )
    missing = [number for number in range(1, n_events + 1) if folder.read(number) is None]
    n_kept = n_events - len(missing)

    def tell(n_made: int) -> None:
        if report is not None:
            report(n_kept + n_made, n_events)

    tell(0)
    if not missing:
        return
    if n_workers == 0:
        for n_made, _ in enumerate(_made(folder, reco_options, missing), start=1):
            tell(n_made)
        return
    _in_processes(folder, reco_options, missing, min(n_workers, len(missing)), tell)


def _made(
    folder: WorkFolder, reco_options: Mapping[str, str], numbers: Iterable[int]
) -> Iterator[EventRecord]:
    """Make records one after the other."""
    from skymap_scanner.calibration.measure import EventMeasurer

    measurer = EventMeasurer(folder.sample, reco_options)
    for number in numbers:
        record = measurer.measure(number)
        write_record(folder.file(number), record)
        yield record


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the processes share; multiprocessing's own objects have no public types.

    Attributes
    ----------
    turn, n_done
        Counters: events handed out, and events done.
    failures
        Errors that ended a process.
    """

    turn: Any
    n_done: Any
    failures: Any


def _in_processes(
    folder: WorkFolder,
    reco_options: Mapping[str, str],
    numbers: list[int],
    n_workers: int,
    tell: Callable[[int], None],
) -> None:
    """Share the events out among processes, each with one thread of numerical libraries."""
    context = multiprocessing.get_context("spawn")
    shared = _Shared(context.Value("l", 0), context.Value("l", 0), context.SimpleQueue())
    arguments = (folder, dict(reco_options), numbers, shared)
    with _one_thread():
        children: list[BaseProcess] = [
            context.Process(target=_work, args=arguments, daemon=True) for _ in range(n_workers)
        ]
        for child in children:
            child.start()
    try:
        while any(child.is_alive() for child in children):
            time.sleep(_LOOK_S)
            tell(shared.n_done.value)
        tell(shared.n_done.value)
    finally:
        for child in children:
            child.terminate()
            child.join()
    if not shared.failures.empty():
        failure: SkymapScannerError = shared.failures.get()
        raise failure
    codes = {child.exitcode for child in children} - {0}
    if codes:
        raise SkymapScannerError(
            f"a worker process ended with code {', '.join(map(str, codes))}; what is done is kept, "
            "the same command goes on"
        )


def _work(
    folder: WorkFolder, reco_options: dict[str, str], numbers: list[int], shared: _Shared
) -> None:
    """Make records in turn with the other processes, as long as the parent lives."""
    parent = multiprocessing.parent_process()
    keep_freed_memory()

    def next_numbers() -> Iterator[int]:
        while parent is None or parent.is_alive():
            with shared.turn.get_lock():
                place = shared.turn.value
                shared.turn.value += 1
            if place >= len(numbers):
                return
            yield numbers[place]

    try:
        for _ in _made(folder, reco_options, next_numbers()):
            with shared.n_done.get_lock():
                shared.n_done.value += 1
    except KeyboardInterrupt:
        return
    except Exception as error:  # noqa: BLE001  # said by the parent, whatever it is
        is_ours = isinstance(error, SkymapScannerError)
        shared.failures.put(
            error if is_ours else SkymapScannerError(f"{type(error).__name__}: {error}")
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Make numerical libraries of processes started meanwhile use one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
