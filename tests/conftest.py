"""What every test may ask for: the real events, hypothesis' settings, the repository's root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

    import pluggy

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real events and published results, which may not be committed."""
    folder = Path(os.environ.get("SKYMAP_SCANNER_SHARED", ROOT.parent / "shared"))
    if not (folder / "events").is_dir():
        pytest.skip(f"needs the real events: no folder {folder / 'events'} (SKYMAP_SCANNER_SHARED)")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """In CI a skip is a failure: whatever can run there has to."""
    outcome = yield
    report = outcome.get_result()
    rule = os.environ.get("SKYMAP_SCANNER_NO_SKIPS", "")
    forgiven = rule == "except-shared" and item.get_closest_marker("shared") is not None
    if rule and report.skipped and not hasattr(report, "wasxfail") and not forgiven:
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may skip: {report.longrepr}"
