"""A plan of a small scan of the bundled event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.config import Settings
from skymap_scanner.server.arguments import ScanRequest
from skymap_scanner.server.preparation import ScanPlan, prepare_scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def make_plan(root: Path, tmp_path: Path) -> Callable[..., ScanPlan]:
    """Return a function that plans a scan with some things as the test wants them."""

    def make(**changes: object) -> ScanPlan:
        defaults: dict[str, object] = {
            "event_file": root / "examples" / "simulated_track.json",
            "cache_dir": tmp_path / "cache",
            "output_dir": tmp_path / "out",
            "client_startup_json": tmp_path / "startup.json",
            "reco_algo": "dummy",
            "nsides": ("1:0", "2:4"),
        }
        request = ScanRequest(**{**defaults, **changes})  # type: ignore[arg-type]  # as the test says
        return prepare_scan(
            request, Settings(), now=datetime(2024, 5, 6, tzinfo=UTC), suffix="abcdef"
        )

    return make


@pytest.fixture
def plan(make_plan: Callable[..., ScanPlan]) -> ScanPlan:
    """A plan with nothing special."""
    return make_plan()
