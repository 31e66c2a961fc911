"""Light counts as far as the event is bright: bright cascades are seen from beyond 300 m."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simulated_cascade import cascade_fields
from skymap_scanner.pixels import Seed
from skymap_scanner.recos.likelihood.viewer import REACH
from skymap_scanner.recos.millipede_wilks import MillipedeWilks
from skymap_scanner.simulation.event import CascadeSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event import Event

    MakeEvent = Callable[..., Event]

ZENITH, AZIMUTH = 1.1, 2.0
VERTEX = (-350.0, 140.0, -370.0)


def _cascade(make_event: MakeEvent, energy: float) -> Event:
    settings = CascadeSettings(energy, ZENITH, AZIMUTH, VERTEX, hadronic_fraction=0.0, seed=4)
    return make_event(**cascade_fields(settings))


def test_the_brighter_an_event_the_farther_its_light_counts(make_toy_event: MakeEvent) -> None:
    reaches = []
    for energy in (3e2, 3e4, 3e5):
        prepared = MillipedeWilks().prepare(_cascade(make_toy_event, energy))
        reaches.append(prepared.fits._viewer.reach)
    assert reaches[0] == REACH
    assert REACH < reaches[1] < reaches[2] < 700.0


def test_a_bright_cascade_comes_from_where_it_came(make_toy_event: MakeEvent) -> None:
    reco, event = MillipedeWilks(), _cascade(make_toy_event, 3e5)
    prepared = reco.prepare(event)
    assert event.truth is not None
    true = Seed(64, 1, ZENITH, AZIMUTH, VERTEX, event.truth["vertex_time"], math.nan)
    best = reco.fit(prepared, true).nll
    for zenith, azimuth in ((0.4, 2.0), (1.8, 2.0), (1.1, 1.2), (1.1, 2.8)):
        assert reco.fit(prepared, replace(true, zenith=zenith, azimuth=azimuth)).nll > best + 5.0


@pytest.mark.parametrize("charge", [0.0, 1e-6])
def test_hardly_any_light_counts_up_to_the_least_reach(
    charge: float, make_toy_event: MakeEvent
) -> None:
    viewer = MillipedeWilks().prepare(_cascade(make_toy_event, 1e3)).fits._viewer
    assert viewer.reach_for(np.array(VERTEX), charge) == REACH
