"""The map on disk: what there is so far while the scan runs, the whole at its end."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skymap_scanner import __version__
from skymap_scanner.exceptions import OutputError, SkymapScannerError
from skymap_scanner.result import EventMetadata, SkyScanResult, from_nsides_dict
from skymap_scanner.server.folders import MANIFEST_SUFFIX, PICTURES

if TYPE_CHECKING:
    from skymap_scanner.pixels import NSidesDict
    from skymap_scanner.result.manifest import ScanManifest
    from skymap_scanner.server.folders import Folders
    from skymap_scanner.server.preparation import ScanPlan

__all__ = ["ResultFiles"]

logger = logging.getLogger(__name__)


#: What belongs to a map.
_SUFFIXES: Final = (".npz", ".json", *(f"_{kind}.png" for kind in PICTURES))


class ResultFiles:
    """Writes the ``.npz`` and ``.json`` of one scan; each writing replaces the one before.

    Parameters
    ----------
    plan : ScanPlan
        Names the event, the reconstruction and the folders.
    """

    def __init__(self, plan: ScanPlan) -> None:
        event = plan.event
        self._plan = plan
        self._metadata = EventMetadata(
            event.run_id, event.event_id, event.event_type, event.mjd, plan.is_real
        )
        #: What tells the file that we wrote last from that of another scan.
        self._last_written: tuple[int, ...] | None = None

    def result_of(self, pixels: NSidesDict, *, is_complete: bool) -> SkyScanResult:
        """Make the result of the pixels that are done."""
        reco = self._plan.reco
        return from_nsides_dict(
            pixels,
            is_complete,
            self._metadata,
            reco_algo=reco.name,
            reco_options=reco.describe_options(),
            software=f"skymap-scanner {__version__}",
            level_rule=self._plan.level_rule,
        )

    def has_complete_map(self) -> bool:
        """Tell whether a complete map, of whichever scan, is in the output folder."""
        return _is_complete(self._plan.folders.result_file(".npz"))

    def write_partial(self, result: SkyScanResult, manifest: ScanManifest) -> None:
        """Write what there is; a full disk is a warning, the scan goes on."""
        if not result.n_pixels:
            return
        try:
            self._write_output(result)
            manifest.write(self._plan.folders.output)
        except OutputError as error:
            logger.warning("the result so far is not saved, the scan goes on: %s", error)

    def write_final(self, result: SkyScanResult) -> dict[str, Path]:
        """Write the result at the end of the scan and return kind -> path.

        Raises
        ------
        OutputError
            When that fails; the error says whether the result could be kept elsewhere instead.
        """
        try:
            return self._write_output(result)
        except OutputError as error:
            kept = self._rescue(result)
            if kept is None:
                raise
            raise OutputError(
                f"{error}; nothing is lost: the result is kept in {kept}", **error.fields
            ) from error

    def _rescue(self, result: SkyScanResult) -> Path | None:
        """Write a result that the output folder does not take to where there may be room."""
        for folder in (self._plan.folders.cache, Path(tempfile.gettempdir())):
            with contextlib.suppress(OutputError):
                return self._write(result, folder)["npz"]
        return None

    def _write_output(self, result: SkyScanResult) -> dict[str, Path]:
        """Write into the output folder.

        Pictures of another map must not stay beside this one, and only a complete map replaces a
        complete one: until then the earlier one stays under the name ``..._previous``.
        """
        folders = self._plan.folders
        with contextlib.suppress(OSError):  # the files that are written now fail the same way
            if not result.header.is_complete and _stamp(folders) != self._last_written:
                _set_aside(folders)
            for kind in PICTURES:
                folders.picture(kind).unlink(missing_ok=True)
        files = self._write(result, folders.output)
        self._last_written = _stamp(folders)
        if result.header.is_complete:
            with contextlib.suppress(OSError):
                for suffix in (*_SUFFIXES, MANIFEST_SUFFIX):
                    _previous(folders, suffix).unlink(missing_ok=True)
        return files

    def _write(self, result: SkyScanResult, folder: Path) -> dict[str, Path]:
        nsides = self._plan.progression.nsides
        return {
            "npz": result.to_npz(output_dir=folder, nsides=nsides),
            "json": result.to_json(output_dir=folder, nsides=nsides),
        }


def _previous(folders: Folders, suffix: str) -> Path:
    """Return the name under which a file of an earlier scan is kept."""
    return folders.result_file(f"_previous{suffix}")


def _stamp(folders: Folders) -> tuple[int, ...] | None:
    """Return what a file that is written anew does not share with the one before."""
    try:
        status = folders.result_file(".npz").stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns)


def _is_complete(path: Path) -> bool:
    """Tell whether a file is a complete map."""
    try:
        return path.exists() and SkyScanResult.read_npz(path).header.is_complete
    except SkymapScannerError:
        return False


def _set_aside(folders: Folders) -> None:
    """Rename the files of an earlier scan if its map is complete."""
    if not _is_complete(folders.result_file(".npz")):
        return
    for suffix in _SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            folders.result_file(suffix).replace(_previous(folders, suffix))
    with contextlib.suppress(FileNotFoundError):
        folders.manifest.replace(_previous(folders, MANIFEST_SUFFIX))
    logger.info("the complete map of an earlier scan is kept as %s", _previous(folders, ".npz"))
