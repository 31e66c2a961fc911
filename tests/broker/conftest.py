"""The brokers that the contract is tested with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from broker_services import SERVICES, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with SERVICES[request.param](tmp_path) as running:
        yield running
