from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from calibration_toys import COARSE, ToyReco, sample
from skymap_scanner.calibration import measure
from skymap_scanner.calibration.cone_scan import ConeScanner, is_at_edge
from skymap_scanner.calibration.events import EventSource
from skymap_scanner.calibration.measure import EventMeasurer, credible_level
from skymap_scanner.calibration.showers import light_centre
from skymap_scanner.event import read_event
from skymap_scanner.event.coordinates import vector_to_angles
from skymap_scanner.exceptions import EventError, UsageError
from skymap_scanner.light.model import LightModel
from skymap_scanner.result.levels import HPD, WILKS
from skymap_scanner.result.regions import find_regions
from skymap_scanner.simulation.sources import Track, cascade_sources
from skymap_scanner.sky.healpix import pixel_at, pixel_centers
from skymap_scanner.sky.region import Cone
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, scan

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.calibration.sample import Sample
    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Fit


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type[ToyReco]:
    monkeypatch.setattr(ToyReco, "seen", [])
    monkeypatch.setattr(measure, "make_reco", lambda *_, **__: ToyReco())
    return ToyReco


@pytest.fixture(scope="module")
def event(root: Path) -> Event:
    return read_event(root / "examples" / "simulated_track.json")


def truth_of(event: Event) -> tuple[float, float]:
    assert event.truth is not None
    return event.truth["ra_deg"] * DEG, event.truth["dec_deg"] * DEG


def sample_here(**changes: Any) -> Sample:
    return sample(light=LightModel.load().label, **changes)


def test_a_cone_is_scanned_as_a_real_scan_would(toy: type[ToyReco], event: Event) -> None:
    ra, dec = truth_of(event)
    cone = Cone(ra, dec, 8.0 * DEG)
    state = ConeScanner(ToyReco(), event, COARSE).scan(cone)
    state.check_invariants()
    assert state.is_complete
    assert state.best is not None
    assert state.best[:2] == (128, int(pixel_at(128, [ra], [dec])[0]))
    pixels = state.nsides_dict()
    assert list(pixels[8]) == cone.overlapping(8).tolist()
    assert set(pixels[32]) <= set(cone.pixels(32).tolist())
    # every finer pixel starts from the coarser one around it, which left its nside as a vertex
    assert {(nside, vertex[0]) for nside, vertex in toy.seen} == {(8, 0.0), (32, 8.0), (128, 32.0)}


def test_the_true_direction_is_fitted_where_the_scan_did_not_go(
    toy: type[ToyReco], event: Event
) -> None:
    ra, dec = truth_of(event)
    scanner = ConeScanner(ToyReco(), event, COARSE)
    pixels = scanner.scan(Cone(ra, dec, 8.0 * DEG)).nsides_dict()
    toy.seen.clear()
    assert scanner.nll_at(ra, dec, pixels) == pixels[128][int(pixel_at(128, [ra], [dec])[0])].llh
    assert toy.seen == []
    away = dec + 6.0 * DEG
    coarse = pixels[8][int(pixel_at(8, [ra], [away])[0])].llh
    fine = scanner.nll_at(ra, away, pixels)
    assert [(nside, vertex[0]) for nside, vertex in toy.seen][-1] == (128, 32.0)
    assert fine != coarse
    assert fine == pytest.approx(100.0 + 0.5 * (6.0 * DEG / toy.sigma) ** 2, rel=0.15)


def test_a_fit_that_raises_is_a_failed_one(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: ToyReco, prepared: object, seed: object) -> Fit:
        raise ZeroDivisionError("no light")

    monkeypatch.setattr(ToyReco, "fit", fit)
    scanner = ConeScanner(ToyReco(), event, COARSE)
    state = scanner.scan(Cone(1.0, 0.5, 5.0 * DEG))
    assert not state.is_complete
    assert "ZeroDivisionError: no light" in state.failed_pixels()[0].reasons[0]
    assert scanner.nll_at(1.0, 0.5, state.nsides_dict()) == math.inf


def test_the_edge_is_a_pixel_wide() -> None:
    cone = Cone(1.0, 0.3, 6.0 * DEG)

    def at(distance_deg: float) -> tuple[int, int]:
        return 128, int(pixel_at(128, [1.0], [0.3 + distance_deg * DEG])[0])

    # pixels of nside 32 are 1.8 deg wide
    assert not is_at_edge(cone, at(3.6), COARSE)
    assert is_at_edge(cone, at(4.6), COARSE)
    assert not is_at_edge(Cone(1.0, 0.3, np.pi), at(20.0), COARSE)
    center = pixel_centers(8, [100])
    assert is_at_edge(Cone(float(center[0][0]), float(center[1][0]), 7.0 * DEG), (8, 100), COARSE)


def test_a_cone_that_is_too_small_is_widened(
    toy: type[ToyReco], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "offset", (7.0 * DEG, 0.0))
    one = sample_here(cone=4.0 * DEG, energy_range=(1e5, 1e5), zenith_range=(0.5, 2.5))
    found = EventMeasurer(one, {}).measure(1)
    assert (found.n_widened, found.cone_deg, found.is_at_edge) == (2, 16.0, False)
    assert found.separation_deg == pytest.approx(7.0, abs=0.4)
    assert found.ts == pytest.approx((7.0 * DEG / toy.sigma) ** 2, rel=0.1)
    assert found.hpd_level == pytest.approx(1.0)


def test_a_likelihood_around_the_truth_gives_its_figures(toy: type[ToyReco]) -> None:
    one = sample_here(energy_range=(1e5, 1e5), kind="varied-ice")
    found = EventMeasurer(one, {}).measure(1)
    assert found.is_ok
    assert (found.digest, found.number, found.event_class) == (one.digest, 1, "track")
    assert found.best_nside == 128
    assert found.ts == found.map_ts == 0.0
    assert found.hpd_level is not None
    assert found.hpd_level < 0.3
    assert found.separation_deg is not None
    assert found.separation_deg < 0.4
    assert (found.energy_in, found.energy_total) == (10.0, 20.0)
    assert found.hpd_area90_deg2 == pytest.approx(4.605 * np.pi * (toy.sigma / DEG) ** 2, rel=0.2)
    assert {found.scattering, found.absorption, found.efficiency, found.anisotropy} != {1.0}
    assert found.charge_pe > 50.0
    assert found.vertex_off is None


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_centre_of_a_cascades_light_is_that_of_its_sources(share: float) -> None:
    direction = np.array([0.0, 0.6, -0.8])
    track = Track(np.array([10.0, 20.0, -300.0]), 0.0, direction)
    sources = cascade_sources(track, 2e5, share, np.random.default_rng(1))
    zenith, azimuth = vector_to_angles(direction)
    truth = {"energy": 2e5, "hadronic_fraction": share, "vertex": track.start.tolist()}
    centre = light_centre(truth | {"zenith": float(zenith), "azimuth": float(azimuth)})
    expected = np.average(sources.xyz, axis=0, weights=sources.energy)
    np.testing.assert_allclose(centre, expected, atol=0.1)
    assert np.linalg.norm(centre - track.start) > 5.0


def test_the_vertex_of_cascades_is_compared_with_the_centre_of_their_light(
    toy: type[ToyReco],
) -> None:
    one = sample_here(energy_range=(1e5, 1e5), classes=("cascade",))
    found = EventMeasurer(one, {}).measure(1)
    truth = EventSource(one).make(1).truth
    vertex = (float(found.best_nside or 0), 0.0, 0.0)  # as the toy has it
    assert found.vertex_off == pytest.approx(np.linalg.norm(vertex - light_centre(truth)))


def test_events_are_the_same_whatever_came_before() -> None:
    source = EventSource(sample_here(energy_range=(3e4, 3e4), classes=("cascade", "track")))
    first = source.make(1)
    source.make(2)
    again = EventSource(sample_here(energy_range=(3e4, 3e4), classes=("cascade", "track"))).make(1)
    assert first.truth == again.truth
    np.testing.assert_array_equal(first.event.pulses.time, again.event.pulses.time)
    assert first.truth["kind"] == "cascade"
    assert first.event.detector.source == "IceCube-86 built-in"


def test_directions_and_charge_are_in_their_ranges() -> None:
    made = sample_here(zenith_range=(1.0, 1.2), min_charge=400.0, energy_range=(1e4, 1e5))
    one = EventSource(made).make(1)
    assert 1.0 <= one.truth["zenith"] <= 1.2
    assert one.charge >= 400.0
    assert 1e4 <= one.truth["energy"] <= 1e5


def test_another_light_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"another light model \(found a test"):
        EventSource(sample())


def test_an_event_that_cannot_be_reconstructed_is_a_failure_with_its_reason(
    toy: type[ToyReco], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ToyReco, event: Event) -> None:
        raise EventError("too few hit modules", found=3)

    monkeypatch.setattr(toy, "check_event", refuse)
    found = EventMeasurer(sample_here(energy_range=(1e5, 1e5)), {}).measure(1)
    assert (found.is_ok, found.reason, found.ts) == (False, "too few hit modules (found 3)", None)


def test_credible_levels_are_uniform_by_definition() -> None:
    result = scan(gaussian(1.0, 0.2, 0.5 * DEG))
    regions = find_regions(result, HPD)
    for probability in (0.1, 0.5, 0.9):
        radius = 0.5 * DEG * math.sqrt(-2.0 * math.log1p(-probability))
        turns = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
        places = zip(
            1.0 + radius * np.cos(turns) / math.cos(0.2), 0.2 + radius * np.sin(turns), strict=True
        )
        levels = [credible_level(regions, float(ra), float(dec)) for ra, dec in places]
        assert np.mean(levels) == pytest.approx(probability, abs=0.015)
    assert credible_level(find_regions(result, WILKS), 1.0, 0.2) < 0.02
