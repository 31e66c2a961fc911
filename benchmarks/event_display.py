"""How long the picture of an event takes: the example, and one with 30,000 pulses.

Run: ``python benchmarks/event_display.py [EVENT]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from skymap_scanner.event import Event, PulseSeries, read_event
from skymap_scanner.plot import plot_event

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "simulated_track.json"
N_PULSES = 30_000


def crowded(event: Event) -> Event:
    """Return the event with pulses of chance all over the detector."""
    rng = np.random.default_rng(3)
    pulses = PulseSeries.from_columns(
        rng.integers(0, event.detector.n_om, N_PULSES),
        rng.normal(12_000.0, 800.0, N_PULSES),
        rng.exponential(30.0, N_PULSES),
        flags=np.ones(N_PULSES, np.uint8),
    )
    return replace(event, pulses=pulses)


def main(argv: list[str] | None = None) -> int:
    """Print seconds per picture, the second of two."""
    arguments = sys.argv[1:] if argv is None else argv
    event = read_event(Path(arguments[0]) if arguments else EXAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        for what, drawn in (("the event", event), (f"{N_PULSES} pulses", crowded(event))):
            for suffix in ("png", "pdf"):
                for _ in range(2):
                    start = time.perf_counter()
                    plot_event(drawn, Path(folder) / f"event.{suffix}")
                    taken = time.perf_counter() - start
                print(f"{what}, {suffix}: {taken:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
