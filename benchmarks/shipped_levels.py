"""Make the levels that come with the package from the records of the calibration, and check them.

    python benchmarks/shipped_levels.py [--write] [--pictures docs/pictures]

Records lie in benchmarks/calibration: for each reconstruction and kind of ice an archive ``..._a``
of events that levels are made of, and ``..._b`` of others that check them; ``..._cascades`` only
tell how well cascades are found. Each is a work folder of
``skymap-scanner calibrate``, which says with `--work-dir` and the settings in its sample.json the
same, or goes on with more events.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.calibration.levels import check_levels, measure_levels
from skymap_scanner.calibration.record import read_record
from skymap_scanner.calibration.sample import Sample
from skymap_scanner.cli.calibration_report import Report, as_text
from skymap_scanner.result.calibrated_levels import shipped_levels, write_levels
from skymap_scanner.sky.progression import NSideProgression
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skymap_scanner.calibration.record import EventRecord
    from skymap_scanner.result.calibrated_levels import CalibratedLevels

ROOT: Final = Path(__file__).parents[1]
ARCHIVES: Final = ROOT / "benchmarks" / "calibration"
#: Make levels, check them, or only tell how well events are found.
ROLES: Final = ("a", "b", "cascades")
SHIPPED: Final = ROOT / "src/skymap_scanner/result/data/calibrated_levels.json"


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One archive.

    Attributes
    ----------
    sample : Sample
        What its events are.
    records : list of EventRecord
        The events.
    settings : dict
        The same as its folder says it, with the release that made it.
    digest : str
        What tells the sample from others.
    date : str
        When the last of them was made (UTC).
    """

    sample: Sample
    records: list[EventRecord]
    settings: dict[str, Any]
    digest: str
    date: str


def main(argv: Sequence[str] | None = None) -> int:
    """Print what the records say, and write the levels if wanted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the file of the package")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="draw the coverage of each (default: none)"
    )
    arguments = parser.parse_args(argv)
    made = {path: read_archive(path) for role in ROLES for path in archives(role)}
    entries = levels_of([made[path] for path in archives("a")])
    for path, one in made.items():
        report = checked(one, entries if path in archives("b") else [])
        print(f"{path.name}\n{as_text(report)}")
        if arguments.pictures is not None:
            report.draw(arguments.pictures / f"coverage_{path.name.partition('.')[0]}.png")
    if arguments.write:
        write_levels(SHIPPED, entries)
    return 0 if arguments.write or entries == list(shipped_levels()) else 1


def archives(role: str) -> list[Path]:
    """Return the archives of records with one of the `ROLES`."""
    return sorted(ARCHIVES.glob(f"*_{role}.tar.xz"))


def levels_of(archives_read: Sequence[Calibrated]) -> list[CalibratedLevels]:
    """Make the levels of some archives."""
    return [
        replace(
            entry,
            software=f"skymap-scanner {made.settings['version']}",
            settings=made.settings,
            digest=made.digest,
        )
        for made in archives_read
        for entry in measure_levels(made.records, made.sample, date=made.date)
    ]


def checked(made: Calibrated, entries: Sequence[CalibratedLevels]) -> Report:
    """Return a report; levels of the same reconstruction and ice are checked."""
    report = Report(made.sample, made.records)
    same = [
        entry
        for entry in entries
        if (entry.reco_algo, entry.kind) == (made.sample.reco_algo, made.sample.kind)
    ]
    if same:
        report.checks = check_levels(made.records, made.sample, same)
    return report


def read_archive(path: Path) -> Calibrated:
    """Read the work folder in an archive."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
            newest = max(member.mtime for member in archive)
        [file] = Path(folder).glob("*/sample.json")
        settings = json.loads(file.read_bytes())
        records = [read_record(one) for one in sorted(file.parent.glob("event_*.json"))]
    digests = {record.digest for record in records}
    if len(digests) != 1:
        sys.exit(f"{path}: records of several samples, {', '.join(sorted(digests))}")
    return Calibrated(_sample(settings), records, settings, digests.pop(), _date(newest))


def _sample(settings: dict[str, Any]) -> Sample:
    """Return the sample that a work folder says it has."""
    low, high = settings["zenith_range_deg"]
    cones = set(settings["cone_deg"].values())
    sample = Sample(
        reco_algo=settings["reco_algo"],
        reco_options=settings["reco_options"],
        light=settings["light"],
        kind=settings["kind"],
        classes=tuple(settings["classes"]),
        energy_range=tuple(settings["energy_range_gev"]),
        zenith_range=(low * DEG, high * DEG),
        min_charge=settings["min_charge_pe"],
        cone=cones.pop() * DEG if len(cones) == 1 else None,  # several: those of the classes
        progression=NSideProgression.parse(settings["nsides"].split()),
        seed=settings["seed"],
    )
    # the release may be another, what it did is not
    here = sample.as_json() | {"version": settings["version"]}
    if here != settings:
        sys.exit(f"settings of a sample that cannot be read:\n{settings}\nhere:\n{here}")
    return sample


def _date(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


if __name__ == "__main__":
    sys.exit(main())
