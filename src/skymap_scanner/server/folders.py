"""Where a scan keeps things: output files, cache; both are tried before the scan starts."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["MANIFEST_SUFFIX", "PICTURES", "Folders", "check_output_file", "make_folder"]

#: The pictures that lie beside a result.
PICTURES: Final = ("all_sky", "zoom")
#: What the name of a manifest ends with.
MANIFEST_SUFFIX: Final = "_scan-manifest.json"


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths of one scan.

    Attributes
    ----------
    output : Path
        Folder of the results.
    cache : Path
        Folder of this event, reconstruction and settings; a later run of the same finds it again.
    stem : str
        Name of the event; every result file begins with it.
    nsides : tuple of int
        Resolutions of the progression, which are part of the result's name.
    """

    output: Path
    cache: Path
    stem: str
    nsides: tuple[int, ...]

    @classmethod
    def of_scan(
        cls,
        *,
        output: Path,
        cache: Path,
        event_name: str,
        nsides: Sequence[int],
        reco_name: str,
        settings: Mapping[str, object],
    ) -> Folders:
        """Make the folders of a scan that do not exist yet.

        Parameters
        ----------
        output, cache : Path
            What the user said; may be relative and the same.
        event_name, reco_name : str
            Name of the event (``run00127907.evt000020178442.HESE``) and of the reconstruction.
        nsides : sequence of int
            Resolutions of the progression.
        settings : mapping
            All that makes results of this scan differ from those of another of the same event and
            reconstruction; plain JSON values.

        Raises
        ------
        UsageError
            When a folder cannot be made or written to.
        """
        canonical = json.dumps(settings, sort_keys=True, default=str)
        key = hashlib.sha256(canonical.encode()).hexdigest()[:12]
        output = make_folder(output, option="--output-dir")
        own_cache = make_folder(cache / event_name / f"{reco_name}-{key}", option="--cache-dir")
        return cls(output, own_cache, event_name, tuple(nsides))

    def result_file(self, suffix: str) -> Path:
        """Return the path of a result, such as ``.npz``, named by event and resolutions."""
        nsides = "_".join(map(str, self.nsides))
        return self.output / f"{self.stem}_{nsides}{suffix}"

    def picture(self, kind: str) -> Path:
        """Return the path of one of the `PICTURES`."""
        return self.result_file(f"_{kind}.png")

    @property
    def manifest(self) -> Path:
        """Path of the record of how the scan went."""
        return self.output / f"{self.stem}{MANIFEST_SUFFIX}"


def check_output_file(path: Path, *, option: str) -> None:
    """Refuse a file that cannot be written, before any time is spent on its content.

    Raises
    ------
    UsageError
        When it is a folder, or its own folder is missing or cannot be written to.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            "the folder does not exist",
            place=option,
            found=str(folder),
            wanted="an existing folder",
        )
    if path.is_dir():
        raise UsageError("is a folder", place=option, found=str(path), wanted="a file")
    make_folder(folder, option=option)


def make_folder(path: Path, *, option: str) -> Path:
    """Make a folder when it is missing, try to write into it, and return its absolute path.

    Raises
    ------
    UsageError
        When that fails; the user can choose another.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write into folder {path}: {error.strerror or error}",
            place=option,
            wanted="a folder that you may write to",
        ) from error
    return path.absolute()
