"""The track likelihood with the light model against a slow reference, and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.track_light import (
    SIN_EMISSION,
    TAN_EMISSION,
    TrackPairs,
    emission_points,
    track_mixtures,
)
from skymap_scanner.recos.likelihood import choice, mpe
from skymap_scanner.recos.likelihood.log_logistic import (
    LOG_WIDTH_RANGE,
    load_log_logistic_table,
    smeared_log_logistic,
)
from skymap_scanner.recos.likelihood.mpe import Hits, project
from skymap_scanner.recos.likelihood.pandel import load_pandel_table
from skymap_scanner.recos.likelihood.track_fit import Effort, fit_track
from skymap_scanner.recos.likelihood.track_light import (
    TrackLight,
    evaluate_mixtures,
    smeared,
    track_light,
)
from skymap_scanner.recos.likelihood.track_model import (
    Noise,
    PandelConstants,
    TrackConstants,
    brightness,
    hit_modules,
    ice_layers,
)
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

JITTER = (6.0, 0.1)
DIRECTION = direction_vector(1.2, 0.6)
CENTRE = np.array([40.0, -60.0, -250.0])


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel.load()


def _modules(n: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Modules around a slanted track through `CENTRE` at time 0, with first pulses and charges."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-300, 300, n)
    om_xyz = CENTRE + along[:, None] * DIRECTION + rng.normal(0, 40, (n, 3))
    relative = om_xyz - CENTRE
    place = relative @ DIRECTION
    rho = np.linalg.norm(relative - place[:, None] * DIRECTION, axis=1)
    direct = (place + rho * TAN_EMISSION) / LIGHT_SPEED
    return om_xyz, direct + rng.gamma(1.0, 0.5 + rho), np.exp(rng.uniform(0, 4, n))


def _case(model: LightModel, n: int = 30, seed: int = 4) -> tuple[Hits, TrackLight]:
    om_xyz, time, charge = _modules(n, seed)
    doms = hit_modules(
        om_xyz,
        time,
        charge,
        tilt_shift=np.zeros(n),
        charge_softening=0.1,
        noise=Noise(),
    )
    return project(doms, CENTRE, DIRECTION), track_light(model, om_xyz, JITTER)


def _slow(at: FloatArray, hits: Hits, model: LightModel) -> float:
    """The likelihood, module by module, from the light model and the quadrature."""
    point = CENTRE + at[:2] @ hits.basis
    total = 0.0
    for x, y, z, _, time, n, fraction, density in hits.doms:
        om = np.array([x, y, z])
        relative = om - point
        along = relative @ DIRECTION
        rho = float(np.hypot(np.linalg.norm(relative - along * DIRECTION), 1.0))
        emission = point + (along - rho / TAN_EMISSION) * DIRECTION
        raw = track_mixtures(model, TrackPairs(emission[None], DIRECTION[None], om[None]))[0]
        logit, mean, log_width = np.split(raw.astype(np.float64), 3)
        weight = np.exp(logit - logit.max())
        weight /= weight.sum()
        sigma = float(np.hypot(JITTER[0], JITTER[1] * rho / SIN_EMISSION))
        late = time - at[2] / LIGHT_SPEED - (along + rho * TAN_EMISSION) / LIGHT_SPEED
        p = s = 0.0
        for w, m, width in zip(weight, mean, np.clip(log_width, *LOG_WIDTH_RANGE), strict=True):
            place = np.array([(late + 2.0) / sigma])
            one, two = smeared_log_logistic(place, m - np.log(sigma), float(np.exp(width)))
            p, s = p + w * one[0] / sigma, s + w * two[0]
        total -= np.log(n * ((1 - fraction) * p + density))
        total -= (n - 1) * np.log((1 - fraction) * s + 0.5 * fraction)
    return float(total)


@pytest.mark.parametrize("at", [(0.0, 0.0, 0.0), (12.0, -20.0, 5.0), (-60.0, 35.0, -20.0)])
def test_likelihood_agrees_with_the_slow_reference(
    model: LightModel, at: tuple[float, float, float]
) -> None:
    hits, light = _case(model)
    found = evaluate_mixtures(np.array(at), hits, light, np.empty(3))
    assert found == pytest.approx(_slow(np.array(at), hits, model), rel=2e-3, abs=0.1)


@pytest.mark.parametrize("at", [(0.0, 0.0, 0.0), (8.0, -15.0, 6.0), (-40.0, 60.0, 30.0)])
def test_gradient_is_that_of_differences(model: LightModel, at: tuple[float, float, float]) -> None:
    hits, light = _case(model)
    gradient, unused = np.empty(3), np.empty(3)
    evaluate_mixtures(np.array(at), hits, light, gradient)
    for k, step in enumerate(0.3 * np.eye(3)):
        high = evaluate_mixtures(np.array(at) + step, hits, light, unused)
        low = evaluate_mixtures(np.array(at) - step, hits, light, unused)
        assert gradient[k] == pytest.approx((high - low) / 0.6, rel=0.05, abs=0.25)


def test_compiled_likelihood_and_python_function_agree(model: LightModel) -> None:
    hits, light = _case(model, n=12)
    at = np.array([5.0, -4.0, 10.0])
    outcomes = []
    for function in (evaluate_mixtures, evaluate_mixtures.py_func):
        gradient = np.empty(3)
        outcomes.append((function(at, hits, light, gradient), *gradient))
    np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-3, atol=1e-3)


def test_slopes_of_a_smeared_mixture_are_those_of_differences() -> None:
    table = load_log_logistic_table()
    raw = np.array([0.3, -0.2, 0.1, 0.5, 1.0, 3.0, 4.5, 6.0, -0.9, -0.6, -1.2, -0.3], np.float32)
    work, slopes, unused = np.empty((6, 4)), np.empty((2, 14)), np.empty((2, 14))
    for function in (smeared, smeared.py_func):
        for late in (-6.0, 3.0, 40.0, 400.0):
            p, s = function(raw, late, 1.5, table, work, slopes)
            for k in range(14):
                changed, by_late, by_sigma = raw.copy(), late, 1.5
                if k < 12:
                    changed[k] += np.float32(1e-2)
                elif k == 12:
                    by_late += 1e-2
                else:
                    by_sigma += 1e-2
                moved = function(changed, by_late, by_sigma, table, work, unused)
                for row, (new, old) in enumerate(zip(moved, (p, s), strict=True)):
                    wanted = (new - old) / 1e-2
                    assert slopes[row, k] == pytest.approx(wanted, rel=0.05, abs=3e-5 + 0.02 * old)


def test_light_decides_which_likelihood_is_fitted(model: LightModel) -> None:
    hits, light = _case(model)
    ice = IceModel.load()
    closed = mpe.Light(*ice_layers(ice), PandelConstants().as_array(), load_pandel_table())
    at, gradient = np.zeros(3), np.empty(3)
    assert choice.evaluate(at, hits, closed, gradient) == mpe.evaluate(at, hits, closed, gradient)
    wanted = evaluate_mixtures(at, hits, light, gradient)
    assert choice.evaluate(at, hits, light, gradient) == wanted
    blurred: Any = choice.with_jitter(light, 15.0)
    assert blurred.jitter.tolist() == [15.0, JITTER[1]]
    assert light.jitter.tolist() == list(JITTER)
    assert choice.with_jitter(closed, 15.0).model[9] == 15.0


def test_fit_finds_the_track(model: LightModel) -> None:
    hits, light = _case(model, n=60)
    best = np.empty(4)
    guess = np.array([[*(CENTRE + np.array([20.0, 10.0, -15.0])), 60.0]])
    nll, n_evaluations = fit_track(hits, light, guess, Effort(0.002, 40, True), best)
    assert np.isfinite(nll)
    assert n_evaluations > 4
    relative = best[:3] - CENTRE
    assert np.linalg.norm(relative - (relative @ DIRECTION) * DIRECTION) < 6.0


@pytest.mark.parametrize(
    "at", [(1e5, 0.0, 0.0), (0.0, 0.0, 1e6), (0.0, 0.0, -1e6), (-3000.0, 2000.0, 100.0)]
)
def test_likelihood_is_finite_far_from_everything(
    model: LightModel, at: tuple[float, float, float]
) -> None:
    hits, light = _case(model)
    gradient = np.empty(3)
    assert np.isfinite(evaluate_mixtures(np.array(at), hits, light, gradient))
    assert np.isfinite(gradient).all()


def test_a_track_far_from_the_hits_costs_more_the_farther_it_is(model: LightModel) -> None:
    hits, light = _case(model)
    gradient, unused = np.empty(3), np.empty(3)
    here = evaluate_mixtures(np.array([400.0, 0.0, 0.0]), hits, light, gradient)
    there = evaluate_mixtures(np.array([400.3, 0.0, 0.0]), hits, light, unused)
    assert there > here
    assert gradient[0] == pytest.approx((there - here) / 0.3, rel=0.1)


def test_track_through_a_module_is_finite(model: LightModel) -> None:
    hits, light = _case(model)
    gradient = np.empty(3)
    at = np.array([*hits.plane[3, :2], 0.0])
    assert np.isfinite(evaluate_mixtures(at, hits, light, gradient))
    assert np.isfinite(gradient).all()


def test_points_of_emission_are_those_of_the_light_model(model: LightModel) -> None:
    """Far from the track the softening of the closest approach is nothing."""
    om_xyz, _, _ = _modules(5, 1)
    found = emission_points(CENTRE, DIRECTION, om_xyz)
    along = (om_xyz - CENTRE) @ DIRECTION
    rho = np.linalg.norm(om_xyz - CENTRE - along[:, None] * DIRECTION, axis=1)
    np.testing.assert_allclose((found - CENTRE) @ DIRECTION, along - rho / TAN_EMISSION, atol=1e-9)


def test_bright_events_are_believed_less() -> None:
    constants = TrackConstants()
    dim, bright = brightness(np.full(20, 2.0)), brightness(np.full(20, 200.0))
    assert dim < bright
    assert constants.jitter(dim)[1] <= constants.jitter(bright)[1]
    assert constants.charge_softening(dim) <= constants.charge_softening(bright)
    assert brightness(np.zeros(3)) == brightness(np.full(3, 0.1))
