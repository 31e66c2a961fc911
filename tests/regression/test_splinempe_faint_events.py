"""Real events that are no bright tracks: the track likelihood is finite for every direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event import equatorial_to_detector, read_event
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.sky.healpix import pixel_centers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(
    "file",
    [
        "HESE_run127907_evt16605651.json",
        "HESE_run127907_evt20178442.json",
        "HESE_run130322_evt1414689.json",
        "low_energy_run135395_evt4698470.pkl",
    ],
)
def test_events_that_are_no_bright_tracks_can_be_fitted_everywhere(shared: Path, file: str) -> None:
    event = read_event(shared / "events" / file)
    reco = make_reco("splinempe")
    prepared = reco.prepare(event)
    ra, dec = pixel_centers(2, np.arange(48))
    zenith, azimuth = equatorial_to_detector(ra, dec, event.mjd)
    rows = make_seeds(
        reco,
        event,
        nside=2,
        level=0,
        zenith=zenith,
        azimuth=azimuth,
        parents=np.full((48, 5), np.nan),
    )
    fits = [reco.fit(prepared, seed) for row in rows for seed in row]
    assert all(fit.is_ok for fit in fits)
    assert np.std([fit.nll for fit in fits]) > 1
