"""The fixture that makes states of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from skymap_scanner.scan.state import ScanState
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scan_steps import MakeState


@pytest.fixture
def make_state() -> Iterator[MakeState]:
    """Make states whose invariants are checked after the test."""
    states: list[ScanState] = []

    def make(*steps: str, n_variations: int = 1, **settings: Any) -> ScanState:
        state = ScanState(NSideProgression.parse(steps), n_variations, **settings)
        states.append(state)
        return state

    yield make
    for state in states:
        state.check_invariants()
