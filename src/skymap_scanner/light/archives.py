"""Numpy archives of arrays of numbers, read whole or refused; nothing in them is ever unpickled."""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_arrays"]

#: What numpy raises when a file is no archive of arrays, or a damaged one.
_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,  # an array alone
    EOFError,
    LookupError,
    MemoryError,  # a damaged shape
    OSError,
    RuntimeError,  # encrypted, or compressed in a way that nobody uses
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    struct.error,
    tokenize.TokenError,  # a damaged header
    zlib.error,
)


def read_arrays(path: Path, message: str, wanted: str) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file.

    Parameters
    ----------
    path : Path
        The file.
    message, wanted : str
        What to say when it cannot be read: what is wrong, and what should be there.

    Returns
    -------
    dict
        Arrays by name.

    Raises
    ------
    FormatError
        When it is no archive of arrays, or damaged.
    """
    with open_regular(path) as file:
        data = file.read()
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise FormatError(message, place=str(path), found=str(error), wanted=wanted) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands out other files as they are
            raise FormatError(message, place=f"{path}: {name}", found="no array", wanted=wanted)
    return arrays
