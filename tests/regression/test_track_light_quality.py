"""The network of tracks that comes with the package against sums along tracks, here and now.

Other pairs than those of the card. The tolerance is twice what the card says: a wrong angle,
direction or height moves the distributions by 0.1 and more.
"""

from __future__ import annotations

import pytest

from skymap_scanner.light.model import LIGHT_MODELS, LightModel
from skymap_scanner.light.track_validation import compare_tracks


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_times_of_tracks_are_those_of_the_sum(name: str) -> None:
    rows = compare_tracks(LightModel.load(name), n_pairs=1200, seed=4)
    assert len(rows) >= 10
    for row in rows:
        assert row.median < (0.05 if row.is_dust or row.r_low < 10.0 else 0.03), row
        assert row.upper < 0.12, row


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_card_reaches_what_is_promised(name: str) -> None:
    track = LightModel.load(name).card["track"]
    assert track["light"] == LightModel.load(name).label
    rows = [row for row in track["agreement"] if row["r_low"] >= 10.0]
    assert len(rows) >= 10
    for row in rows:
        assert row["median"] <= (0.025 if row["is_dust"] else 0.02), row
