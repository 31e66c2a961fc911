"""The published tables that come with the package, in our own format."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = ["read_table"]


def read_table(name: str) -> tuple[dict[str, str], list[str], FloatArray]:
    """Read one of the package's tables.

    Parameters
    ----------
    name : str
        File name in ``skymap_scanner/light/data``.

    Returns
    -------
    header : dict
        ``# key: value`` lines.
    columns : list of str
        Names of the columns.
    rows : ndarray, shape (n_row, n_column)
        The numbers.
    """
    path = resources.files("skymap_scanner.light").joinpath("data", name)
    lines = path.read_text(encoding="utf-8").splitlines()
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    body = [line for line in lines if line and not line.startswith("#")]
    rows = np.array([[float(x) for x in line.split(",")] for line in body[1:]], dtype=np.float64)
    return header, body[0].split(","), rows
