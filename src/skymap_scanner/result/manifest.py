"""The record of a scan beside its maps: settings, progress, figures, and what failed and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from skymap_scanner.exceptions import ResultError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.result.plain_json import dump_plain, to_plain
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skymap_scanner.result.event_metadata import EventMetadata
    from skymap_scanner.result.regions import RegionSummary

__all__ = ["MANIFEST_SCHEMA", "FailureLike", "ScanManifest", "manifest_path", "read_manifest"]

#: Version of the layout; raised when a field changes its meaning or goes.
MANIFEST_SCHEMA: Final = 1


class FailureLike(Protocol):
    """A pixel without a finite fit, as the scan state describes it."""

    @property
    def nside(self) -> int:
        """Resolution."""

    @property
    def ipix(self) -> int:
        """RING index."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why its fits failed."""


@dataclass(frozen=True)
class ScanManifest:
    """What is recorded about a scan.

    Parameters
    ----------
    event_metadata : EventMetadata
        The event.
    is_complete : bool
        Whether the scan has ended with a whole map.
    scan_metadata : Mapping
        Settings: reconstruction and its options, progression, geometry, software ...
    progress : Mapping
        How far the scan is, or how it went.
    failed : sequence
        Pixels without a finite fit, with ``nside``, ``ipix`` and ``reasons``.
    n_failed : int, optional
        How many there were; more than `failed` lists when the list was cut. Default: its length.
    region : RegionSummary, optional
        Best fit and areas.
    files : Mapping, optional
        Kind (``npz``, ``json``, ``all_sky``, ``zoom``) -> path.
    """

    event_metadata: EventMetadata
    is_complete: bool
    scan_metadata: Mapping[str, object] = field(default_factory=dict)
    progress: Mapping[str, object] = field(default_factory=dict)
    failed: Sequence[FailureLike] = ()
    n_failed: int | None = None
    region: RegionSummary | None = None
    files: Mapping[str, str | Path] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain Python objects; files are named without their folder."""
        event = self.event_metadata
        return {
            "schema": MANIFEST_SCHEMA,
            "is_complete": self.is_complete,
            "event_metadata": to_plain(event),
            "scan_metadata": to_plain(self.scan_metadata),
            "progress": to_plain(self.progress),
            "region": None if self.region is None else to_plain(self.region),
            "n_failed": len(self.failed) if self.n_failed is None else self.n_failed,
            "failed": [
                {
                    "nside": int(pixel.nside),
                    "ipix": int(pixel.ipix),
                    "reasons": [str(reason) for reason in pixel.reasons],
                }
                for pixel in self.failed
            ],
            "files": {kind: Path(path).name for kind, path in self.files.items()},
        }

    def write(self, folder: str | Path) -> Path:
        """Write the manifest into a folder, whole or not at all, and return its path.

        Raises
        ------
        OutputError
            When that is not possible; an earlier manifest stays as it was.
        """
        path = manifest_path(self.event_metadata, folder)
        write_bytes_atomically(path, f"{dump_plain(self.to_dict())}\n".encode())
        return path


def manifest_path(event_metadata: EventMetadata, folder: str | Path) -> Path:
    """Return where the manifest of an event lies in a folder."""
    return Path(folder) / f"{event_metadata}_scan-manifest.json"


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest as plain Python objects.

    Raises
    ------
    ResultError
        When the file is missing or not a manifest.
    """
    wanted = "a scan manifest"
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ResultError(
            "cannot be read", place=str(path), found=error.strerror or str(error), wanted=wanted
        ) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "not JSON", place=str(path), found=str(error)[:120], wanted=wanted
        ) from error
    mismatch = explain_mismatch("manifest", document)
    if mismatch is not None:
        raise ResultError("not a scan manifest", place=str(path), found=mismatch, wanted=wanted)
    assert isinstance(document, dict)  # noqa: S101  # the schema says so; tells the type checker
    return document
