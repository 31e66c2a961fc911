"""Files: written whole or not at all (temporary name, sync, rename); read only regular ones."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from skymap_scanner.exceptions import FormatError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_regular", "write_atomically", "write_bytes_atomically"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path) -> BinaryIO:
    """Open an input file for reading; nothing that could block or never end.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    binary file
        Open, at its beginning.

    Raises
    ------
    FormatError
        When it cannot be opened, or is a pipe, a device or a folder: our readers look at the
        beginning of a file before they read it as a whole.
    """
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
        if kind is None:
            return path.open("rb")
    except OSError as error:
        raise FormatError(
            "the file cannot be read", place=str(path), found=error.strerror or str(error)
        ) from error
    except ValueError as error:  # a name with a NUL
        raise FormatError("not a file name", place=ascii(str(path)), found=str(error)) from error
    raise FormatError("not a file", place=str(path), found=kind, wanted="a regular file")


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
