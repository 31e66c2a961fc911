"""Values of any kind as strict JSON: what programs read on stdout and in the manifest."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["dump_plain", "to_plain"]


def to_plain(value: object) -> Any:
    """Return a value as plain Python objects that strict JSON can express.

    Parameters
    ----------
    value : object
        Numbers, strings, paths, arrays, enums, data classes, and mappings and sequences of them.

    Returns
    -------
    object
        NaN and infinity become None, what is unknown its string.

    Examples
    --------
    >>> to_plain({"area": np.float64(2.5), "level": float("inf"), "nsides": (8, 64)})
    {'area': 2.5, 'level': None, 'nsides': [8, 64]}
    """
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(entry) for entry in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def dump_plain(value: object, *, indent: int | None = 1) -> str:
    """Return the strict JSON text of a value (see `to_plain`)."""
    return json.dumps(to_plain(value), indent=indent, allow_nan=False)
