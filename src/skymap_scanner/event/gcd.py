"""The detector as an event saw it: geometry, calibration, status and differences to a baseline.

Realtime messages carry only differences to a baseline GCD file. With the baseline the detector is
complete; without it positions and efficiencies are those of the built-in table, which hardly ever
change, and only the modules that the differences switch off are known to be dead.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from skymap_scanner.event.baseline import find_baseline, is_address
from skymap_scanner.event.detector import (
    N_OMS_PER_STRING,
    N_STRINGS,
    Detector,
    built_in_detector,
)
from skymap_scanner.exceptions import EventError
from skymap_scanner.i3 import (
    Calibration,
    CalibrationDiff,
    DetectorStatus,
    DetectorStatusDiff,
    Frame,
    Geometry,
    GeometryDiff,
    OMKeyVector,
    RawObject,
    baseline_file,
    mix_frames,
    read_i3,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skymap_scanner.i3 import OMKey
    from skymap_scanner.units import FloatArray

__all__ = ["FoundDetector", "detector_from_frame", "find_detector", "read_gcd_file"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Modules that data quality excludes; the second list has those bad in the SLC mode only, too.
_BAD_DOM_LISTS: Final = ("BadDomsList", "BadDomsListSLC")


@dataclass(frozen=True, slots=True)
class FoundDetector:
    """A detector, and the baseline GCD file behind it (None where there is none)."""

    detector: Detector
    path: str | None


def find_detector(
    frame: Frame,
    *,
    gcd_dir: str | Path | None = None,
    baseline_gcd: str | Path | None = None,
    cache_dir: Path | None = None,
    searches_baseline: bool = True,
) -> FoundDetector:
    """Return the best detector that can be had for an event.

    Parameters
    ----------
    frame : Frame
        The physics frame mixed with its parents.
    gcd_dir : str or Path, optional
        Folder or http(s) address with baseline GCD files; without it the standard places.
    baseline_gcd : str or Path, optional
        The very baseline file to use, which must exist.
    cache_dir : Path, optional
        Where a file from the network is kept.
    searches_baseline : bool
        Whether a baseline file is looked for when `baseline_gcd` does not name it.

    Returns
    -------
    FoundDetector
        From `baseline_gcd`, else from the event's own geometry, else from the baseline file that
        its differences name, else the built-in one; the differences are applied.

    Raises
    ------
    EventError
        When the differences name several baselines, or a file is not a GCD file.
    FormatError
        When a file is damaged.
    """
    differences = _Differences.read(frame)
    name = differences.baseline_name(frame.place())
    path = None if baseline_gcd is None else Path(baseline_gcd)
    if path is None and "I3Geometry" in frame:
        detector = detector_from_frame(frame, "GCD frames of the event")
        return FoundDetector(differences.applied_to(detector), None)
    if path is None and name is not None and searches_baseline:
        path = find_baseline(name, gcd_dir=gcd_dir, cache_dir=cache_dir)
        _log_choice(name, path, gcd_dir)
    elif path is None and gcd_dir is not None:
        logger.warning(
            "%s names no baseline GCD file: %s is not searched, using the built-in detector",
            frame.place(),
            "the web folder" if is_address(gcd_dir) else gcd_dir,
        )
    detector = built_in_detector() if path is None else read_gcd_file(path)
    found_path = None if path is None else str(path)
    return FoundDetector(differences.applied_to(detector), found_path)


def read_gcd_file(path: Path) -> Detector:
    """Read the detector from the first G, C and D frames of a GCD file.

    Parameters
    ----------
    path : Path
        An .i3 file, compressed or not.

    Returns
    -------
    Detector
        Its source is the file's name.

    Raises
    ------
    EventError
        When the file has no geometry.
    FormatError
        When it cannot be read.
    """
    frames: dict[str, Frame] = {}
    for frame in read_i3(path):
        if frame.stop in "GCD":
            frames.setdefault(frame.stop, frame)
        if len(frames) == 3 or frame.stop in "QPp":
            break
    mixed = mix_frames([*frames.values(), Frame("P", origin=str(path))])
    if "I3Geometry" not in mixed:
        raise EventError(
            "not a GCD file",
            place=str(path),
            found=", ".join(sorted(mixed.keys())[:12]) or "no G, C or D frames",
            wanted="I3Geometry",
        )
    return detector_from_frame(mixed, path.name)


def detector_from_frame(frame: Frame, source: str) -> Detector:
    """Make a detector of the geometry, calibration and status that a frame sees.

    Parameters
    ----------
    frame : Frame
        With I3Geometry; the rest is optional.
    source : str
        Where the frame comes from, for the result's header.

    Returns
    -------
    Detector
        The in-ice modules. Efficiencies are 1 where the calibration has none, and the nominal ones
        without any calibration.

    Raises
    ------
    EventError
        When the geometry has no in-ice modules or a position that is not finite.
    FormatError
        When an object is damaged.
    """
    modules = frame.get("I3Geometry", Geometry).modules
    keys = sorted(key for key in modules if _is_in_ice(key))
    if not keys:
        raise EventError(
            "a geometry without in-ice modules", place=frame.place("I3Geometry"), found=len(modules)
        )
    positions = [modules[key].position for key in keys]
    om_xyz = np.array([(p.x, p.y, p.z) for p in positions], dtype=np.float64)
    is_bad = ~np.isfinite(om_xyz).all(axis=1)
    if is_bad.any():
        raise EventError(
            "a module's position is not finite",
            place=frame.place("I3Geometry"),
            found=tuple(keys[int(np.argmax(is_bad))][:2]),
        )
    om_key = np.array([key[:2] for key in keys], dtype=np.int64)
    status = frame.find("I3DetectorStatus", DetectorStatus)
    is_alive = [
        status is None or (key in status.doms and status.doms[key].is_alive) for key in keys
    ]
    detector = Detector(
        om_key=om_key,
        om_xyz=om_xyz,
        rel_efficiency=_efficiencies(frame, keys),
        is_alive=np.array(is_alive, dtype=np.bool_),
        source=source,
    )
    lists = [frame.find(name, OMKeyVector) for name in _BAD_DOM_LISTS]
    return detector.with_dead(_pairs(key for bad in lists if bad for key in bad.keys))


def _is_in_ice(key: OMKey) -> bool:
    return 1 <= key.string <= N_STRINGS and 1 <= key.om <= N_OMS_PER_STRING and key.pmt == 0


def _pairs(keys: Iterable[OMKey]) -> list[tuple[int, int]]:
    return [(key.string, key.om) for key in keys]


def _efficiencies(frame: Frame, keys: list[OMKey]) -> FloatArray:
    """Return the relative efficiency of each module; a value that cannot be is taken as 1."""
    calibration = frame.find("I3Calibration", Calibration)
    if calibration is None:
        nominal = built_in_detector()
        rows = nominal.indices_of([key.string for key in keys], [key.om for key in keys])
        return np.where(rows >= 0, nominal.rel_efficiency[rows], 1.0)
    stored = np.array([calibration.relative_efficiency.get(key, 1.0) for key in keys])
    return np.where(np.isfinite(stored) & (stored > 0.0), stored, 1.0)


class _Differences(NamedTuple):
    """What the event's frames say against a baseline; None where they do not or cannot be read."""

    geometry: GeometryDiff | None
    calibration: CalibrationDiff | None
    status: DetectorStatusDiff | None

    @classmethod
    def read(cls, frame: Frame) -> _Differences:
        return cls(
            _diff(frame, "I3GeometryDiff", GeometryDiff),
            _diff(frame, "I3CalibrationDiff", CalibrationDiff),
            _diff(frame, "I3DetectorStatusDiff", DetectorStatusDiff),
        )

    def baseline_name(self, place: str) -> str | None:
        """Return the file name of the one baseline that all of them are against."""
        names = {
            type(diff).__name__: baseline_file(diff.base)
            for diff in self
            if diff is not None and diff.base
        }
        if len(set(names.values())) > 1:
            raise EventError(
                "the event's frames differ from several baseline GCD files",
                place=place,
                found=", ".join(f"{kind} from {name!r}" for kind, name in names.items()),
                wanted="one file",
            )
        return next(iter(names.values()), None)

    def applied_to(self, detector: Detector) -> Detector:
        """Return the detector with what they say of single modules."""
        if self.status is not None:
            is_on = {key: dom.is_alive for key, dom in self.status.changed.items()}
            on = np.array(_pairs(key for key in is_on if is_on[key]), dtype=np.int64)
            rows = detector.indices_of(*on.reshape(-1, 2).T)
            off = [*self.status.removed, *(key for key in is_on if not is_on[key])]
            detector = detector.with_alive(rows[rows >= 0]).with_dead(_pairs(off))
        if self.calibration is not None:
            efficiency = detector.rel_efficiency.copy()
            for key, change in self.calibration.changed.items():
                value = change.get("relative_efficiency")
                row = int(detector.indices_of([key.string], [key.om])[0])
                if row >= 0 and isinstance(value, float) and np.isfinite(value) and value > 0.0:
                    efficiency[row] = value
            detector = replace(detector, rel_efficiency=efficiency)
        return detector


def _diff(frame: Frame, key: str, kind: type[T]) -> T | None:
    """Return a difference, None where there is none or none that we can read.

    The classes are not public and newer ones may be laid out otherwise; an event can be scanned
    without them.
    """
    if key not in frame:
        return None
    value = frame[key]
    if isinstance(value, kind):
        return value
    reason = value.reason if isinstance(value, RawObject) else type(value).__name__
    logger.warning("%s cannot be decoded and is left out: %s", frame.place(key), reason)
    return None


def _log_choice(name: str, path: Path | None, gcd_dir: str | Path | None) -> None:
    if path is not None:
        logger.info("detector from the baseline GCD file %s", path)
    elif gcd_dir is not None:
        logger.warning(
            "no %s in %s: using the built-in detector",
            name,
            "the web folder" if is_address(gcd_dir) else gcd_dir,
        )
    else:
        logger.info("no %s in the standard places: using the built-in detector", name)
