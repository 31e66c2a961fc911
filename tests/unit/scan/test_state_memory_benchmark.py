"""The benchmark of the scan state runs and its figures are those of a real scan."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_benchmark_runs_and_prints_its_figures(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = runpy.run_path(str(root / "benchmarks" / "state_memory.py"))
    assert names["main"](["--variations", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == ["1 per pixel", "7 per pixel"]
    assert lines[-1] == "limit: 150 bytes per variation"


def test_first_level_has_as_many_variations_as_asked_for(root: Path) -> None:
    first_nside = runpy.run_path(str(root / "benchmarks" / "state_memory.py"))["first_nside"]
    assert first_nside(1_000_000, 1) == 256
    assert first_nside(2_000_000, 1) == 512
    assert first_nside(768 * 7, 7) == 8
