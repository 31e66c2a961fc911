"""Folders in which a long simulation keeps its files: each belongs to one set of settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skymap_scanner.exceptions import FormatError, UsageError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.archives import read_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["claim", "make_folder", "read_stage"]


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there.

    Raises
    ------
    UsageError
        When it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "the work folder cannot be made",
            place=str(folder),
            found=error.strerror or str(error),
            wanted="a folder that you may write to",
        ) from error


def claim(folder: Path, what: str, settings: dict[str, Any]) -> None:
    """Make sure that a folder holds what these settings make, and nothing else.

    The settings are kept in a file of the folder; the first claim of an empty folder writes it.

    Parameters
    ----------
    folder : Path
        Where the files are (``*.npz``); made if missing.
    what : str
        What they are, for messages and for the name of the file of settings.
    settings : dict
        What makes one different from another, as JSON has it.

    Raises
    ------
    UsageError
        When the folder cannot be made, or holds files of other settings, or files without any.
    """
    make_folder(folder)
    path = folder / f"{what}.json"
    if not path.exists():
        if any(folder.glob("*.npz")):
            raise UsageError(
                f"files of an unknown {what}",
                place=str(folder),
                found=f"no {path.name}",
                wanted="a new folder",
            )
        write_bytes_atomically(path, (json.dumps(settings, indent=1) + "\n").encode())
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"damaged settings of a {what}", place=str(path), found=str(error), wanted="JSON"
        ) from error
    if found != settings:
        raise UsageError(f"another {what}", place=str(folder), found=found, wanted=settings)


def read_stage(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of these names from what an earlier run left.

    Raises
    ------
    FormatError
        When the file is damaged, or an array is missing.
    """
    wanted = "what `light make` wrote; remove it to make it again"
    arrays = read_arrays(path, "damaged file of an earlier run", wanted)
    missing = sorted(set(names) - set(arrays))
    if missing:
        raise FormatError(
            "damaged file of an earlier run",
            place=str(path),
            found=f"no {', '.join(missing)}",
            wanted=wanted,
        )
    return arrays
