"""The fit of a segmented track on charges that are exactly what the model expects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from skymap_scanner.event import PulseSeries, built_in_detector
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import N_REF
from skymap_scanner.recos.likelihood import segment_fit
from skymap_scanner.recos.likelihood.response import Modules
from skymap_scanner.recos.likelihood.segment_fit import Data, Effort, SegmentFit
from skymap_scanner.recos.likelihood.segments import SegmentedLine, place_segments
from skymap_scanner.recos.likelihood.time_bins import bin_pulses
from skymap_scanner.recos.likelihood.viewer import Viewer
from skymap_scanner.recos.minimise.unfolding import Uncertainty
from skymap_scanner.units import LIGHT_SPEED, FloatArray

DETECTOR = built_in_detector()
TRUTH = np.array([5.0, -8.0, 3000.0])
PRECISE = Effort(tolerance=1e-3, energy_tolerance=1e-7, max_iterations=30)
POISSON, BLURRED = Uncertainty(0.0, 0.0), Uncertainty(0.3, 0.0)


class Scene(NamedTuple):
    """A track with three cascades, and the charge that is expected of them."""

    fits: SegmentFit
    line: SegmentedLine
    energy: FloatArray


def _scene(uncertainty: Uncertainty, *, brighter: float = 1.0, has_dark_rows: bool = True) -> Scene:
    model = LightModel.load()
    direction, centre = direction_vector(1.3, 0.6), np.array([40.0, -30.0, -280.0])
    distance = np.linalg.norm(DETECTOR.om_xyz - centre, axis=1)
    in_ice = ~DETECTOR.is_deepcore
    hit = np.flatnonzero(in_ice & (distance < 170.0))
    dark = np.flatnonzero(in_ice & (distance >= 170.0) & (distance < 330.0))[::4]
    line = place_segments(DETECTOR.om_xyz[hit], centre, direction, spacing=20.0, boundary=650.0)
    energy = np.zeros(len(line.along))
    middle = len(energy) // 2
    energy[[middle - 4, middle - 1, middle + 3]] = brighter * np.array([300.0, 2000.0, 500.0])

    first = TRUTH[2] / LIGHT_SPEED + distance[hit] * N_REF / LIGHT_SPEED
    series = PulseSeries.from_columns(
        np.repeat(hit, 4),
        np.repeat(first, 4) + np.tile([0.0, 30.0, 120.0, 400.0], len(hit)),
        np.ones(4 * len(hit)),
    )
    window = (first.min() - 2000.0, first.max() + 5000.0)
    bins = bin_pulses(series, window=window, dead={}, with_empty_rows=True)
    n_dark_rows = len(dark) if has_dark_rows else 0
    n_row = len(bins.charge) + n_dark_rows
    viewer = Viewer(
        model=model,
        timed=Modules.of(model, DETECTOR.om_xyz[hit], DETECTOR.rel_efficiency[hit]),
        dark=Modules.of(model, DETECTOR.om_xyz[dark], DETECTOR.rel_efficiency[dark]),
        bins=bins.modules,
        n_row=n_row,
        n_dark_rows=n_dark_rows,
    )
    # What is expected is what is measured.
    seen = viewer.see(line, TRUTH, viewer.sight(line, TRUTH))
    response, _ = viewer.fill(seen, line, TRUTH)
    noise = np.full(n_row, 1e-4)
    data = Data(noise + energy @ response, noise, 0.0, uncertainty)
    return Scene(SegmentFit(viewer, data), line, energy)


@pytest.fixture(scope="module")
def poisson() -> Scene:
    return _scene(POISSON)


@pytest.fixture(scope="module", params=[POISSON, BLURRED], ids=["poisson", "blurred"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return _scene(request.param)


def _solved(scene: Scene, at: FloatArray) -> float:
    """Negative log-likelihood with the energies at their best, precisely."""
    return scene.fits.fit(scene.line, [at], replace(PRECISE, max_iterations=0)).nll


def test_the_truth_is_unfolded_where_it_is(scene: Scene) -> None:
    outcome = scene.fits.fit(scene.line, [TRUTH], replace(PRECISE, max_iterations=0))
    assert outcome.energy.sum() == pytest.approx(scene.energy.sum(), rel=0.01)
    assert outcome.energy[scene.energy > 0.0] == pytest.approx(
        scene.energy[scene.energy > 0.0], rel=0.1
    )
    assert (outcome.n_iterations, outcome.stopped) == (0, "iterations")
    assert np.array_equal(outcome.at, TRUTH)
    assert outcome.mu.shape == scene.fits._data.charge.shape


def test_no_neighbour_is_better_than_the_truth(scene: Scene) -> None:
    best = _solved(scene, TRUTH)
    for k in range(3):
        for step in (-3.0, 3.0):
            assert _solved(scene, TRUTH + step * np.eye(3)[k]) > best


@pytest.mark.parametrize("offset", [(0.5, -0.5, 0.5), (4.0, -3.0, 5.0), (-8.0, 2.0, 0.0)])
def test_the_gradient_is_that_of_solved_points(
    scene: Scene, offset: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Differences at fixed energies against those at energies found anew (envelope theorem).

    Those of the fit are one-sided; forwards and backwards together they are nearly exact.
    """
    at, step = TRUTH + np.array(offset), 0.5
    fits, sight = scene.fits, scene.fits._viewer.sight(scene.line, at)
    point = fits._solve(scene.line, at, sight, None, PRECISE)
    both = []
    for one_sided in (0.4, -0.4):
        monkeypatch.setattr(segment_fit, "_STEP", one_sided)
        both.append(fits._derivatives(scene.line, point)[0])
    expected = np.array(
        [
            (_solved(scene, at + step * e) - _solved(scene, at - step * e)) / (2.0 * step)
            for e in np.eye(3)
        ]
    )
    assert np.mean(both, axis=0) == pytest.approx(expected, rel=0.08, abs=1.0)


def test_the_curvature_is_positive_and_smaller_when_energies_follow(scene: Scene) -> None:
    sight = scene.fits._viewer.sight(scene.line, TRUTH)
    point = scene.fits._solve(scene.line, TRUTH, sight, None, PRECISE)
    _, curvature = scene.fits._derivatives(scene.line, point)
    remaining = curvature.remaining()
    assert np.linalg.eigvalsh(remaining).min() > 0.0
    assert np.all(np.diag(remaining) <= np.diag(curvature.of_few) * (1.0 + 1e-9))
    # The likelihood around the truth is a paraboloid of about this curvature.
    for k in range(3):
        step = 1.0 / np.sqrt(remaining[k, k])
        rise = [_solved(scene, TRUTH + s * step * np.eye(3)[k]) for s in (-1.0, 1.0)]
        assert 0.1 < np.mean(rise) - _solved(scene, TRUTH) < 1.5


@pytest.mark.parametrize(
    "offset", [(10.0, 0.0, 0.0), (0.0, -10.0, 0.0), (0.0, 0.0, 10.0), (-6.0, 6.0, -6.0)]
)
def test_a_fit_from_ten_metres_off_comes_back(
    scene: Scene, offset: tuple[float, float, float]
) -> None:
    outcome = scene.fits.fit(scene.line, [TRUTH + np.array(offset)], PRECISE)
    assert outcome.at == pytest.approx(TRUTH, abs=1.0)
    assert outcome.nll == pytest.approx(_solved(scene, TRUTH), abs=0.3)
    assert outcome.stopped in {"converged", "no step helps"}
    assert outcome.n_evaluations > outcome.n_iterations > 0


def test_the_best_of_several_starts_is_taken(poisson: Scene) -> None:
    starts = [TRUTH + 200.0, TRUTH + np.array([8.0, 0.0, 0.0]), TRUTH - 300.0]
    outcome = poisson.fits.fit(poisson.line, starts, PRECISE)
    assert outcome.at == pytest.approx(TRUTH, abs=1.0)


def test_starts_that_differ_in_time_only_are_seen_once(
    poisson: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[FloatArray] = []

    def note(viewer: Viewer, line: SegmentedLine, at: FloatArray, sight: Any) -> Any:
        seen.append(at)
        return see(viewer, line, at, sight)

    see = Viewer.see
    monkeypatch.setattr(Viewer, "see", note)
    only_look = replace(PRECISE, max_iterations=0)
    late, aside = TRUTH + np.array([0.0, 0.0, 90.0]), TRUTH + np.array([20.0, 0.0, 0.0])
    outcome = poisson.fits.fit(poisson.line, [late, aside, TRUTH], only_look)
    assert [tuple(at[:2]) for at in seen] == [tuple(TRUTH[:2]), tuple(aside[:2]), tuple(TRUTH[:2])]
    assert outcome.nll == _solved(poisson, TRUTH)


def test_no_step_makes_it_worse(poisson: Scene) -> None:
    start = TRUTH + np.array([9.0, -9.0, 9.0])
    values = [
        poisson.fits.fit(poisson.line, [start], replace(PRECISE, max_iterations=n)).nll
        for n in range(6)
    ]
    assert np.all(np.diff(values) <= 1e-3)


def test_finer_segments_are_never_worse(poisson: Scene) -> None:
    effort = replace(PRECISE, max_iterations=0)
    shifted = replace(poisson.line, along=poisson.line.along + 10.0)  # cascades are between
    coarse = poisson.fits.fit(shifted, [TRUTH], effort)
    fine = poisson.fits.fit(shifted, [TRUTH], replace(effort, n_parts=4))
    assert fine.nll <= coarse.nll + 1e-3
    assert set(coarse.line.along[coarse.energy > 1e-5 * coarse.energy.max()]) < set(fine.line.along)
    assert np.diff(fine.line.along).min() < 0.3 * np.diff(coarse.line.along).min()
    assert len(fine.energy) == len(fine.light) == len(fine.line.along)


def test_energy_comes_back_where_a_first_look_left_no_sources(
    poisson: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = len(poisson.line.along) // 2 - 1

    def only_the_brightest(line: SegmentedLine, point: Any) -> Any:
        rows = np.array([few])
        names = ("response", "column", "energy")
        kept = {name: getattr(point, name)[rows] for name in names}
        kept |= {name: getattr(point, name).only(rows) for name in ("sight", "seen")}
        return line.only(rows), replace(point, **kept)

    monkeypatch.setattr(segment_fit, "_near_energy", only_the_brightest)
    outcome = poisson.fits.fit(poisson.line, [TRUTH], replace(PRECISE, n_parts=4))
    at_truth = _solved(poisson, TRUTH)
    assert outcome.nll == pytest.approx(at_truth, abs=0.3)
    assert outcome.energy.sum() == pytest.approx(poisson.energy.sum(), rel=0.03)


@pytest.mark.parametrize("n_steps", range(1, 7))
def test_a_long_way_ends_with_the_likelihood_of_its_end(n_steps: int) -> None:
    """Far light is linear near a track; steps are longer than that."""
    scene = _scene(POISSON, brighter=100.0, has_dark_rows=False)
    start = TRUTH + np.array([25.0, -30.0, 10.0])
    outcome = scene.fits.fit(scene.line, [start], replace(PRECISE, max_iterations=n_steps))
    assert outcome.nll == pytest.approx(_solved(scene, outcome.at), abs=1.0)


def test_why_a_fit_ended_is_said(poisson: Scene) -> None:
    start = [TRUTH + np.array([10.0, 10.0, 0.0])]
    few = poisson.fits.fit(poisson.line, start, replace(PRECISE, max_iterations=1))
    assert (few.stopped, few.n_iterations) == ("iterations", 1)
    loose = poisson.fits.fit(poisson.line, start, replace(PRECISE, tolerance=1e9))
    assert (loose.stopped, loose.n_iterations) == ("converged", 0)  # no step promises as much
    middle = poisson.fits.fit(poisson.line, start, replace(PRECISE, tolerance=0.05))
    assert middle.stopped == "converged"
    assert middle.n_iterations >= 1
    strict = poisson.fits.fit(poisson.line, start, replace(PRECISE, tolerance=0.0))
    assert strict.stopped in {"no step helps", "iterations"}


def test_the_same_fit_gives_the_same_bits(poisson: Scene) -> None:
    start = [TRUTH + np.array([5.0, -5.0, 5.0])]
    effort = Effort(tolerance=0.05, energy_tolerance=1e-3, max_iterations=4, n_parts=4)
    first, again = (poisson.fits.fit(poisson.line, start, effort) for _ in range(2))
    assert first.nll == again.nll
    assert np.array_equal(first.at, again.at)
    assert np.array_equal(first.energy, again.energy)


def test_a_track_far_from_all_modules_has_a_finite_likelihood(scene: Scene) -> None:
    outcome = scene.fits.fit(scene.line, [np.array([5000.0, 0.0, 0.0])], PRECISE)
    assert np.isfinite(outcome.nll)
    assert outcome.nll > _solved(scene, TRUTH)
