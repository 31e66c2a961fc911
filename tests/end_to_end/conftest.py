"""Fixtures of tests with real processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from real_programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def event_file(root: Path) -> Path:
    """The bundled simulated event."""
    return root / "examples" / "simulated_track.json"


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs in a folder of this test, with an environment without settings of ours."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SKYSCAN_", "EWMS_"))
    }
    (tmp_path / "tmp").mkdir()
    clean |= {"TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "100"}
    made = Programs(tmp_path, clean)
    yield made
    made.end_all()
