"""A tiny run of the broker's benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_the_benchmark_runs(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "broker_throughput.py"), "--messages", "500"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    figures = json.loads(done.stdout)
    assert figures["messages"] == 500
    assert figures["round_trips_per_s"] > 0
