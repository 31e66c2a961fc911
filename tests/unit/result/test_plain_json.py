from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from pathlib import Path

import numpy as np

from skymap_scanner.result.plain_json import dump_plain, to_plain


class Color(StrEnum):
    RED = "red"


@dataclasses.dataclass
class Thing:
    size: float
    inner: tuple[int, ...]


def test_everything_becomes_strict_json() -> None:
    value = {
        1: np.float32(0.5),
        "nan": [float("nan"), np.inf, -np.inf, np.float64("nan")],
        "array": np.array([[1, 2], [3, 4]]),
        "thing": Thing(np.float64(2.0), (1, 2)),
        "path": Path("a/b"),
        "enum": Color.RED,
        "none": None,
        "yes": np.bool_(True),  # noqa: FBT003, RUF100
        "class": complex(1, 2),
    }
    assert json.loads(dump_plain(value)) == {
        "1": 0.5,
        "nan": [None] * 4,
        "array": [[1, 2], [3, 4]],
        "thing": {"size": 2.0, "inner": [1, 2]},
        "path": "a/b",
        "enum": "red",
        "none": None,
        "yes": True,
        "class": "(1+2j)",
    }


def test_numbers_keep_their_type() -> None:
    assert type(to_plain(np.int64(3))) is int
    assert type(to_plain(3.0)) is float
    assert to_plain(True) is True
