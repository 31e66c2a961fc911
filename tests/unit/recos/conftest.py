"""A small event for tests of reconstructions: pulses on three strings, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.event import Event, TrackFit
from skymap_scanner.event.pulses import PulseSeries

if TYPE_CHECKING:
    from collections.abc import Callable


def make_event(**changes: object) -> Event:
    """Make an event with 40 HLC pulses of 10 PE on two strings and 5 SLC pulses on a third."""
    detector = built_in_detector()
    rows = [detector.index_of(string, om) for string in (36, 37) for om in range(20, 40)]
    rows += [detector.index_of(45, om) for om in range(20, 25)]
    n_hlc = 40
    index = np.array(rows)
    time = 10_000.0 + (detector.om_xyz[0, 2] - detector.om_xyz[index, 2]) / 0.3
    fields: dict[str, object] = {
        "run_id": 1,
        "sub_run_id": 0,
        "event_id": 42,
        "sub_event_id": 0,
        "stream": "InIceSplit",
        "mjd": 58000.25,
        "event_type": "neutrino",
        "version": "2021a",
        "is_real": False,
        "pulses_name": "SplitUncleanedInIcePulses",
        "pulses": PulseSeries.from_columns(
            index,
            time,
            np.full(len(index), 10.0),
            flags=np.r_[np.ones(n_hlc, np.uint8), np.zeros(len(index) - n_hlc, np.uint8)],
        ),
        "detector": detector,
        "fits": {
            "OnlineL2_SplineMPE": TrackFit(
                "OnlineL2_SplineMPE", 1.1, 2.2, (0.0, 0.0, 0.0), 0.0, 1e4, 0, ok=True
            ),
            "OnlineL2_BestFit": TrackFit(
                "OnlineL2_BestFit", 1.2, 2.3, (0.0, 0.0, 0.0), 0.0, 1e4, 0, ok=True
            ),
        },
        "stored_vertex": None,
        "readout_window": (9000.0, 16000.0),
        "excluded_windows": {},
        "summary": {},
        "truth": None,
        "frames": (),
        "baseline_gcd": None,
    }
    return Event(**{**fields, **changes})  # type: ignore[arg-type]  # each key has its own type


@pytest.fixture
def make_toy_event() -> Callable[..., Event]:
    """Makes the small event with some fields changed."""
    return make_event


@pytest.fixture
def toy_event() -> Event:
    """The small event."""
    return make_event()
