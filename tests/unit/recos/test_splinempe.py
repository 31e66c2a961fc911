"""The track reconstruction on toy tracks whose truth is known, and on events it cannot do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.event import Detector, PulseSeries, built_in_detector
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.exceptions import EventError, UsageError
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.optics import N_GROUP, SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.pixels import Guess, Seed
from skymap_scanner.recos import get_reco_class
from skymap_scanner.recos.likelihood.mpe import Light, light_parameters
from skymap_scanner.recos.likelihood.track_fit import fit_track
from skymap_scanner.recos.seeding import make_seeds
from skymap_scanner.recos.splinempe import SplineMPE
from skymap_scanner.recos.splinempe_pointed import SplineMPEPointed
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event import Event
    from skymap_scanner.units import FloatArray

ZENITH, AZIMUTH = 1.35, 0.8
VERTEX, TIME = np.array([30.0, -40.0, -220.0]), 10_000.0


def _toy_track(seed: int, *, zenith: float = ZENITH, azimuth: float = AZIMUTH) -> PulseSeries:
    """Draw first photons from the likelihood's own model, for modules within 90 m of a track."""
    rng = np.random.default_rng(seed)
    detector, ice = built_in_detector(), IceModel.load()
    closed_form = SplineMPE({"light": "pandel"})
    light = closed_form.prepare_arrays(np.zeros((1, 3)), np.zeros(1), np.ones(1)).light
    assert isinstance(light, Light)
    direction = direction_vector(zenith, azimuth)
    relative = detector.om_xyz - VERTEX
    along = relative @ direction
    rho = np.linalg.norm(relative - along[:, None] * direction, axis=1)
    near = np.flatnonzero((rho < 90) & (np.abs(along) < 500) & (detector.om_key[:, 0] < 79))
    rows: list[tuple[int, float, float]] = []
    parameters = np.empty((3, 3))
    for i in near:
        charge = float(rng.poisson(60 * math.exp(-rho[i] / 25)))
        if charge < 1:
            continue
        emitted = along[i] - rho[i] / TAN_CHERENKOV
        shift = float(ice.tilt.at(detector.om_xyz[i]))
        z_emit = VERTEX[2] + emitted * direction[2] - shift
        softened = math.hypot(rho[i], 1.0)
        light_parameters(softened, z_emit, detector.om_xyz[i, 2] - shift, light, parameters)
        shape, sigma = math.exp(parameters[0, 0]), math.exp(parameters[2, 0])
        rate = math.exp(parameters[1, 0]) / sigma
        late = rng.gamma(shape, 1 / rate, int(charge)) + rng.normal(0, sigma, int(charge))
        unscattered = emitted / LIGHT_SPEED + rho[i] / SIN_CHERENKOV * N_GROUP / LIGHT_SPEED
        rows.append((int(i), TIME + unscattered + late.min(), charge))
    index, time, charges = zip(*rows, strict=True)
    return PulseSeries.from_columns(index, time, charges, flags=np.ones(len(rows), np.uint8))


def _seed(zenith: float = ZENITH, azimuth: float = AZIMUTH, **changes: Any) -> Seed:
    start = (float(VERTEX[0]) + 20.0, float(VERTEX[1]) - 10.0, float(VERTEX[2]) + 15.0)
    seed = Seed(512, 2, zenith, azimuth, start, TIME + 40.0, math.nan)
    return replace(seed, **changes)


def _variations(reco: SplineMPE, event: Event, zenith: float) -> list[Seed]:
    return make_seeds(
        reco,
        event,
        nside=512,
        level=1,
        zenith=np.array([zenith]),
        azimuth=np.array([AZIMUTH]),
        parents=np.array([[*VERTEX, TIME, np.nan]]),
    )[0]


def _best_of_variations(reco: SplineMPE, event: Event, prepared: Any, zenith: float) -> float:
    return min(reco.fit(prepared, seed).nll for seed in _variations(reco, event, zenith))


@pytest.fixture(scope="module")
def reco() -> SplineMPE:
    """With the light that the toy tracks are drawn from."""
    return SplineMPE({"light": "pandel", "charge_softening": "0"})


@pytest.fixture(scope="module", params=["pandel", "model"])
def any_reco(request: pytest.FixtureRequest) -> SplineMPE:
    return SplineMPE({"light": request.param})


@pytest.fixture
def track(make_toy_event: Callable[..., Event]) -> Event:
    return make_toy_event(pulses=_toy_track(1))


def _distance_from_track(fit_vertex: tuple[float, float, float]) -> float:
    relative = np.array(fit_vertex) - VERTEX
    direction = direction_vector(ZENITH, AZIMUTH)
    return float(np.linalg.norm(relative - (relative @ direction) * direction))


def test_true_direction_gives_the_true_track(reco: SplineMPE, track: Event) -> None:
    fit = reco.fit(reco.prepare(track), _seed())
    assert fit.is_ok
    assert _distance_from_track(fit.vertex) < 3.0
    along = (np.array(fit.vertex) - VERTEX) @ direction_vector(ZENITH, AZIMUTH)
    assert fit.vertex_time == pytest.approx(TIME + along / LIGHT_SPEED, abs=10.0)
    assert math.isnan(fit.energy_in)
    assert math.isnan(fit.energy_total)
    assert fit.n_evaluations > 4


def test_likelihood_has_no_bias_in_direction(
    reco: SplineMPE, make_toy_event: Callable[..., Event]
) -> None:
    """The minimum over zenith, from parabolas through five directions, averages to the truth."""
    offsets = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    found = []
    for seed in range(12):
        track = make_toy_event(pulses=_toy_track(100 + seed))
        prepared = reco.prepare(track)
        nll = [_best_of_variations(reco, track, prepared, ZENITH + offset) for offset in offsets]
        a, b, _ = np.polyfit(offsets, nll, 2)
        assert a > 0
        found.append(-b / (2 * a))
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert np.std(found) < 0.01


def test_wrong_directions_are_worse(any_reco: SplineMPE, track: Event) -> None:
    prepared = any_reco.prepare(track)
    best = any_reco.fit(prepared, _seed()).nll
    for angle in (0.05, 0.2, 1.0, np.pi):
        assert any_reco.fit(prepared, _seed(ZENITH, AZIMUTH + angle)).nll > best + 2


def test_neighbouring_directions_have_neighbouring_values(reco: SplineMPE, track: Event) -> None:
    prepared = reco.prepare(track)
    nll = np.array([reco.fit(prepared, _seed(ZENITH + x)).nll for x in np.linspace(0, 2e-3, 9)])
    assert np.abs(np.diff(nll, n=2)).max() < 0.02


def test_same_input_gives_the_same_bits(reco: SplineMPE, track: Event) -> None:
    first = reco.fit(reco.prepare(track), _seed())
    again = SplineMPE({"light": "pandel", "charge_softening": "0"})
    second = again.fit(again.prepare(track), _seed())
    assert first.nll == second.nll
    assert first.vertex == second.vertex


def test_several_variations_of_the_best_pixel_agree(track: Event) -> None:
    reco = SplineMPE({"light": "pandel", "variations": "classic"})
    prepared = reco.prepare(track)
    nll = np.array([reco.fit(prepared, seed).nll for seed in _variations(reco, track, ZENITH)])
    assert len(nll) == 7
    assert np.sum(nll < nll.min() + 0.02) >= 3


def test_fallback_saves_a_hopeless_first_guess(reco: SplineMPE, track: Event) -> None:
    prepared = reco.prepare(track)
    lost = _seed(vertex=(900.0, 900.0, 900.0), vertex_time=TIME + 9000.0)
    good = Guess(_seed().vertex, TIME)
    with_fallback = reco.fit(prepared, replace(lost, fallback=good))
    assert with_fallback.nll == pytest.approx(reco.fit(prepared, _seed()).nll, abs=0.02)


@pytest.mark.parametrize("nside", [1, 8, 64, 512])
def test_coarse_pixels_are_ranked_by_nearly_the_same_value(
    reco: SplineMPE, track: Event, nside: int
) -> None:
    prepared = reco.prepare(track)
    exact = reco.fit(prepared, _seed()).nll
    assert reco.fit(prepared, _seed(nside=nside)).nll == pytest.approx(exact, abs=0.5)


@pytest.mark.parametrize(
    "where",
    [
        {"zenith": 0.0},
        {"zenith": math.pi},
        {"zenith": 1e-12, "azimuth": 2.0},
        {"vertex": (1e5, -1e5, 1e5)},
        {"vertex_time": -1e7},
        {"vertex": tuple(built_in_detector().om_xyz[2100])},
    ],
)
def test_odd_seeds_still_give_a_finite_fit(
    any_reco: SplineMPE, track: Event, where: dict[str, Any]
) -> None:
    fit = any_reco.fit(any_reco.prepare(track), _seed(**where))
    assert fit.is_ok
    assert math.isfinite(fit.vertex_time)


def test_hits_on_one_string_can_be_fitted(
    any_reco: SplineMPE, make_toy_event: Callable[..., Event]
) -> None:
    detector: Detector = built_in_detector()
    index = [detector.index_of(36, om) for om in range(20, 32)]
    time = 10_000.0 + np.arange(12) * 50.0
    pulses = PulseSeries.from_columns(index, time, np.ones(12), flags=np.ones(12, np.uint8))
    prepared = any_reco.prepare(make_toy_event(pulses=pulses))
    for zenith in (0.0, 1.0, math.pi):
        assert any_reco.fit(prepared, _seed(zenith)).is_ok


def test_nan_in_a_seed_is_a_failed_fit_with_its_reason(any_reco: SplineMPE, track: Event) -> None:
    fit = any_reco.fit(any_reco.prepare(track), _seed(vertex_time=math.nan))
    assert not fit.is_ok
    assert fit.nll == math.inf
    assert "first guess" in fit.reason


def test_event_without_a_track_says_why(
    any_reco: SplineMPE, make_toy_event: Callable[..., Event]
) -> None:
    detector = built_in_detector()
    deep_core = [detector.index_of(string, om) for string in (79, 80, 81) for om in range(20, 40)]
    pulses = PulseSeries.from_columns(
        deep_core, np.full(60, 1e4), np.ones(60), flags=np.ones(60, np.uint8)
    )
    nothing = PulseSeries.from_columns([], [], [])
    for series in (pulses, nothing):
        with pytest.raises(EventError, match="too few hit modules"):
            any_reco.prepare(make_toy_event(pulses=series))


def test_compiled_fit_and_python_function_agree(reco: SplineMPE, track: Event) -> None:
    from skymap_scanner.recos.likelihood.mpe import project
    from skymap_scanner.recos.likelihood.track_fit import Effort

    prepared = reco.prepare(track)
    hits = project(prepared.doms[::6].copy(), prepared.reference, direction_vector(ZENITH, AZIMUTH))
    guesses: FloatArray = np.array([[*_seed().vertex, TIME]])
    outcomes = []
    for function in (fit_track, fit_track.py_func):
        best = np.empty(4)
        nll, n = function(hits, prepared.light, guesses, Effort(0.01, 6, True), best)
        outcomes.append((nll, n, *best))
    np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-8)


def test_interface_is_what_the_field_expects() -> None:
    assert get_reco_class("splinempe") is SplineMPE
    assert get_reco_class("SplineMPE_Pointed") is SplineMPEPointed
    for cls in (SplineMPE, SplineMPEPointed):
        assert cls.rotate_vertex
        assert cls.refine_time
        assert cls.add_fallback_position
        assert cls({"variations": "classic"}).get_vertex_variations().shape == (7, 3)
        assert cls({"variations": "point"}).get_vertex_variations().shape == (1, 3)
    assert SplineMPE.pointing_dir_name is None
    assert SplineMPEPointed.pointing_dir_name is not None
    assert SplineMPEPointed.ang_dist_deg == 3.5


def test_settings_are_checked_and_recorded() -> None:
    other = SplineMPE({"ice": "spice_ftp-v3m", "light": "pandel"})
    assert other.describe_options()["ice"] == "spice_ftp-v3m"
    assert SplineMPE().describe_options()["light"] == "model"
    for options in (
        {"ice": "clear"},
        {"charge_softening": "-1"},
        {"gamma": "1"},
        {"light": "dark"},
        {"ice": "spice_ftp-v3m"},  # there is no light model of it
    ):
        with pytest.raises(UsageError):
            SplineMPE(options)


def test_softening_of_the_charge_can_be_set(track: Event) -> None:
    full, softened = (
        SplineMPE({"charge_softening": text}).prepare(track).doms[:, 5] for text in ("0", "0.3")
    )
    assert (softened <= full).all()
    assert softened.max() < full.max()
    own = SplineMPE().prepare(track).doms[:, 5]
    assert own.max() < full.max()


def test_light_model_finds_the_track_too(track: Event) -> None:
    """Times of the toy track are those of the closed form, near enough."""
    reco = SplineMPE()
    fit = reco.fit(reco.prepare(track), _seed())
    assert fit.is_ok
    assert _distance_from_track(fit.vertex) < 10.0


def test_thirty_thousand_pulses_and_a_full_detector_are_finite(
    make_toy_event: Callable[..., Event],
) -> None:
    rng = np.random.default_rng(2)
    index = rng.integers(0, 78 * 60, 30_000)
    pulses = PulseSeries.from_columns(
        index,
        1e4 + rng.uniform(0, 5e3, 30_000),
        np.full(30_000, 3.0),
        flags=np.ones(30_000, np.uint8),
    )
    reco = SplineMPE()
    assert reco.fit(reco.prepare(make_toy_event(pulses=pulses)), _seed(nside=8)).is_ok


def test_warm_up_compiles_what_a_fit_needs(reco: SplineMPE) -> None:
    reco.warm_up()
    assert fit_track.signatures  # type: ignore[attr-defined]  # numba's, not part of our protocol
