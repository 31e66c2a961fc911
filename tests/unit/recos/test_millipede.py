"""The two millipede reconstructions on simulated events, and on odd ones."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simulated_cascade import cascade_fields
from skymap_scanner.event import PulseSeries, built_in_detector
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.exceptions import EventError
from skymap_scanner.pixels import Fit, Guess, Seed
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.likelihood.segment_fit import SegmentFit
from skymap_scanner.recos.millipede_original import MillipedeOriginal
from skymap_scanner.simulation.event import CascadeSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event import Event
    from skymap_scanner.recos import RecoInterface
    from skymap_scanner.recos.likelihood.segment_fit import Effort, Outcome
    from skymap_scanner.recos.likelihood.segments import SegmentedLine
    from skymap_scanner.units import FloatArray

    MakeEvent = Callable[..., Event]

DETECTOR = built_in_detector()
ZENITH, AZIMUTH = 1.1, 2.0
VERTEX = (60.0, -40.0, -250.0)
NAMES = ["millipede_original", "millipede_wilks"]


@pytest.fixture(scope="module")
def cascade() -> dict[str, Any]:
    """What changes in an event: a cascade of 20 TeV in clear ice."""
    settings = CascadeSettings(20_000.0, ZENITH, AZIMUTH, VERTEX, hadronic_fraction=0.0, seed=4)
    return cascade_fields(settings)


def _seed(event: Event, **changes: Any) -> Seed:
    time_there = float(np.median(event.pulses.time)) if len(event.pulses) else 0.0
    seed = Seed(64, 1, ZENITH, AZIMUTH, (70.0, -45.0, -240.0), time_there, math.nan)
    return replace(seed, **changes)


def _fit(reco: RecoInterface, event: Event, **changes: Any) -> Fit:
    return reco.fit(reco.prepare(event), _seed(event, **changes))


def _is_sound(fit: Fit) -> bool:
    numbers = (fit.nll, *fit.vertex, fit.vertex_time, fit.energy_in, fit.energy_total)
    is_finite = all(math.isfinite(number) for number in numbers)
    is_ordered = 0.0 <= fit.energy_in <= fit.energy_total * (1.0 + 1e-12)
    return fit.is_ok and is_finite and is_ordered


# --- a good event ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_cascade_is_found_where_it_was(
    name: str, cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    event = make_toy_event(**cascade)
    fit = _fit(make_reco(name), event, nside=512)
    assert _is_sound(fit)
    assert fit.energy_in == pytest.approx(fit.energy_total, rel=0.1)
    if name == "millipede_original":
        assert fit.energy_total == pytest.approx(cascade["truth"]["light_energy"], rel=0.15)
    assert np.linalg.norm(np.array(fit.vertex) - VERTEX) < 25.0
    assert fit.vertex_time == pytest.approx(cascade["truth"]["vertex_time"], abs=100.0)
    assert fit.n_evaluations > 3


@pytest.mark.parametrize("name", NAMES)
def test_wrong_directions_are_worse(
    name: str, cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    reco, event = make_reco(name), make_toy_event(**cascade)
    prepared = reco.prepare(event)
    best = reco.fit(prepared, _seed(event)).nll
    for zenith, azimuth in ((ZENITH, AZIMUTH + 1.5), (math.pi - ZENITH, AZIMUTH + math.pi)):
        assert reco.fit(prepared, _seed(event, zenith=zenith, azimuth=azimuth)).nll > best + 2.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nside", [1, 8, 64, 512])
def test_every_resolution_gives_a_sound_fit_and_the_same_bits_again(
    name: str, nside: int, cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    """Wherever in memory the arrays lie: a library's sums of products once depended on that."""
    reco, event = make_reco(name), make_toy_event(**cascade)
    fits, elsewhere = [], []
    for k in range(3):
        fits.append(_fit(reco, event, nside=nside))
        elsewhere.append(np.empty(999 + 7 * k))  # what comes next is allocated at another place
    assert _is_sound(fits[0])
    assert fits == [fits[0]] * 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "where",
    [
        {"zenith": 0.0},  # along the strings
        {"zenith": math.pi},
        {"zenith": 1e-12, "azimuth": 2.0},
        {"vertex": (900.0, 900.0, 900.0)},  # outside the detector
        {"vertex": (1e5, -1e5, 1e5)},
        {"vertex_time": -1e7},
        {"vertex": tuple(DETECTOR.om_xyz[2100].tolist())},  # on a module
    ],
)
def test_odd_seeds_give_a_sound_fit(
    name: str, where: dict[str, Any], cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    assert _is_sound(_fit(make_reco(name), make_toy_event(**cascade), nside=8, **where))


def test_a_seed_that_is_no_number_does_not_matter_when_others_are(
    cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    event = make_toy_event(**cascade)
    good = Guess(VERTEX, float(cascade["truth"]["vertex_time"]))
    lost = _fit(MillipedeOriginal(), event, nside=8, vertex_time=math.nan, fallback=good)
    assert _is_sound(lost)


class Thorough(MillipedeOriginal):
    """Takes all fits to their end."""

    def effort(self, nside: int) -> tuple[float, Effort]:
        """Return that of fine pixels."""
        return super().effort(max(nside, 512))


def test_the_fallback_saves_a_hopeless_first_guess(
    cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    event = make_toy_event(**cascade)
    good = Guess(VERTEX, float(cascade["truth"]["vertex_time"]))
    lost = {"vertex": (900.0, 900.0, 900.0), "vertex_time": good.vertex_time + 9000.0}
    with_fallback = _fit(Thorough(), event, nside=64, **lost, fallback=good)
    assert with_fallback.nll <= _fit(Thorough(), event, nside=64).nll + 3.0


@pytest.mark.parametrize("name", NAMES)
def test_a_stray_pulse_far_away_counts_but_has_no_sources_beside_it(
    name: str, cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    seen = cascade["pulses"]
    away = np.linalg.norm(DETECTOR.om_xyz - DETECTOR.om_xyz[seen.om_index].mean(axis=0), axis=1)
    far = int(np.argmax(np.where(DETECTOR.is_deepcore, 0.0, away)))
    with_stray = PulseSeries.from_columns(
        np.append(seen.om_index, far),
        np.append(seen.time, np.median(seen.time)),
        np.append(seen.charge, 1.0),
        flags=np.append(seen.flags, 0),
    )
    event = make_toy_event(**cascade | {"pulses": with_stray})
    reco: Any = make_reco(name)
    beside = np.linalg.norm(reco.prepare(event).hit_xyz - DETECTOR.om_xyz[far], axis=1)
    assert beside.min() > 300.0
    assert far in reco.clean(event).series.om_index


@pytest.mark.parametrize(
    "case", [(64, True, False), (512, True, True), (512, False, False), (8, False, False)]
)
def test_fine_pixels_that_a_coarser_fit_leads_to_start_from_it_alone(
    case: tuple[int, bool, bool],
    cascade: dict[str, Any],
    make_toy_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nside, has_fallback, is_alone = case
    begun: list[FloatArray] = []

    def note(fits: SegmentFit, line: SegmentedLine, starts: list[Any], effort: Effort) -> Outcome:
        begun.extend(line.point(start, 0.0)[0] for start in starts)
        return real(fits, line, starts, effort)

    real = SegmentFit.fit
    monkeypatch.setattr(SegmentFit, "fit", note)
    reco, event = MillipedeOriginal(), make_toy_event(**cascade)
    prepared = reco.prepare(event)
    fallback = Guess((0.0, 10.0, -300.0), 9_000.0) if has_fallback else None
    seed = _seed(event, nside=nside, fallback=fallback)
    reco.fit(prepared, seed)
    direction = direction_vector(ZENITH, AZIMUTH)
    first, centre = (
        np.linalg.norm(np.cross(np.array(begun) - place, direction), axis=1) < 1e-6
        for place in (np.array(seed.vertex), prepared.reference)
    )
    assert first[0]
    assert (len(begun) == 1) == is_alone
    assert centre.any() == (not is_alone)


# --- odd events -----------------------------------------------------------------------------------


def _string(n_om: int = 12, charge: float = 5.0) -> PulseSeries:
    """Light going down one string."""
    index = DETECTOR.indices_of([36] * n_om, range(20, 20 + n_om))
    times = 10_000.0 + np.arange(n_om) * 57.0
    return PulseSeries.from_columns(
        np.repeat(index, 2),
        np.repeat(times, 2) + np.tile([0.0, 80.0], n_om),
        np.full(2 * n_om, charge),
        flags=np.ones(2 * n_om, np.uint8),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zenith", [0.0, 1.0, math.pi])
def test_hits_on_one_string_can_be_fitted(
    name: str, zenith: float, make_toy_event: MakeEvent
) -> None:
    event = make_toy_event(pulses=_string())
    vertex = tuple(DETECTOR.om_xyz[DETECTOR.index_of(36, 25)].tolist())
    assert _is_sound(_fit(make_reco(name), event, zenith=zenith, vertex=vertex))


@pytest.mark.parametrize("name", NAMES)
def test_two_pulses_can_be_fitted(name: str, make_toy_event: MakeEvent) -> None:
    """The last pulse ends the window of the wilks cleaning, so that one alone would be none."""
    index = DETECTOR.indices_of([36, 36], [30, 31])
    event = make_toy_event(pulses=PulseSeries.from_columns(index, [10_000.0, 10_050.0], [1.0, 1.0]))
    assert _is_sound(_fit(make_reco(name), event))


@pytest.mark.parametrize("name", NAMES)
def test_events_without_light_say_why_they_cannot_be_done(
    name: str, make_toy_event: MakeEvent
) -> None:
    deepcore = [DETECTOR.index_of(string, om) for string in (79, 80, 81) for om in range(20, 40)]
    times = 10_000.0 + np.arange(60.0)
    no_charge = PulseSeries.from_columns([100, 101], [1e4, 1e4 + 50.0], [0.0, 0.0])
    for series in (
        PulseSeries.from_columns([], [], []),
        PulseSeries.from_columns(deepcore, times, np.ones(60)),
        no_charge,
    ):
        reco, event = make_reco(name), make_toy_event(pulses=series)
        for method in (reco.check_event, reco.prepare):
            with pytest.raises(EventError, match=f"no light left for {name}"):
                method(event)


@pytest.mark.parametrize("name", NAMES)
def test_events_of_a_saturated_module_only_say_why_they_cannot_be_done(
    name: str, make_toy_event: MakeEvent
) -> None:
    om = DETECTOR.index_of(36, 30)
    pulses = PulseSeries.from_columns([om] * 20, 1e4 + 10.0 * np.arange(20), np.full(20, 300.0))
    event = make_toy_event(
        pulses=pulses, excluded_windows={"SaturationWindows": {om: [(1e4, 1.1e4)]}}
    )
    with pytest.raises(EventError, match="saturated"):
        make_reco(name).check_event(event)


def test_when_the_user_excludes_all_modules_there_is_no_light(make_toy_event: MakeEvent) -> None:
    bad = ",".join(f"36-{om}" for om in range(20, 32))
    for name in NAMES:
        with pytest.raises(EventError, match="bad"):
            make_reco(name, {"bad_doms": bad}).prepare(make_toy_event(pulses=_string()))


def test_good_events_pass_the_check(toy_event: Event) -> None:
    for name in NAMES:
        make_reco(name).check_event(toy_event)


@pytest.mark.parametrize("name", NAMES)
def test_thirty_thousand_pulses_take_seconds(name: str, make_toy_event: MakeEvent) -> None:
    rng = np.random.default_rng(8)
    om = rng.integers(0, 4680, 30_000)
    distance = np.linalg.norm(DETECTOR.om_xyz[om] - VERTEX, axis=1)
    times = 10_000.0 + distance * 5.0 + rng.exponential(300.0, om.size)
    event = make_toy_event(
        pulses=PulseSeries.from_columns(om, times, rng.exponential(2.0, om.size))
    )
    reco = make_reco(name)
    reco.warm_up()
    began = time.monotonic()
    assert _is_sound(_fit(reco, event, nside=8, vertex=VERTEX))
    assert time.monotonic() - began < 60.0  # a few seconds on an idle machine


def test_time_in_which_a_module_was_unreliable_says_nothing(
    cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    plain = make_toy_event(**cascade)
    pulses, reco = plain.pulses, MillipedeOriginal()
    usable = np.flatnonzero(reco.clean(plain).is_usable[pulses.hit_oms])
    typical = int(pulses.hit_oms[usable[np.argmax(pulses.dom_charges()[usable])]])
    windows = {**cascade["excluded_windows"], "CalibrationErrata": {typical: [(0.0, 1e6)]}}
    without = make_toy_event(**{**cascade, "excluded_windows": windows})
    assert _fit(reco, without).nll < _fit(reco, plain).nll - 5.0


@pytest.mark.parametrize(
    "options",
    [
        {"relative_uncertainty": "0"},
        {"relative_uncertainty": "1"},
        {"relative_uncertainty": "1", "likelihood": "published"},
        {"relative_uncertainty": "10"},
    ],
)
def test_every_form_of_the_likelihood_gives_sound_fits(
    options: dict[str, str], cascade: dict[str, Any], make_toy_event: MakeEvent
) -> None:
    assert _is_sound(_fit(make_reco("millipede_wilks", options), make_toy_event(**cascade)))
