"""Files that are whole or not there: write to a temporary name, sync, rename."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from skymap_scanner.exceptions import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["write_atomically", "write_bytes_atomically"]


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, mode: int = 0o644) -> None:
    """Write a file so that readers see the old content or the whole new one.

    Parameters
    ----------
    path : Path
        Where the file will be; the directory must exist.
    write : callable
        Gets a binary file and writes the content.
    mode : int
        Permission bits of the file.

    Raises
    ------
    OutputError
        When the disk is full, the directory missing or not writable; the old content stays.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written: {reason}; free some space or choose another directory",
            path=str(path),
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path`, whole or not at all (see `write_atomically`)."""
    write_atomically(path, lambda file: file.write(data), mode=mode)
