"""The response of time bins to sources, against sums over the light model's own answers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade_light import handmade_weights
from skymap_scanner.event import PulseSeries, built_in_detector
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.light.mixture import soften
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.trained_volume import ExtrapolationWarning
from skymap_scanner.recos.likelihood.far_light import MOVED, FarLight
from skymap_scanner.recos.likelihood.response import Modules, fill_response, reach_pairs
from skymap_scanner.recos.likelihood.segments import SegmentedLine, place_segments
from skymap_scanner.recos.likelihood.time_bins import DEAD, NO_ROW, Bins, bin_pulses
from skymap_scanner.recos.likelihood.viewer import REACH, Viewer
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

DETECTOR = built_in_detector()
WINDOW = (-1000.0, 9000.0)
AT = np.array([4.0, -7.0, 20.0])
#: Modules with light, one of them of DeepCore's efficiency, and dark ones all over.
HIT = np.array([*DETECTOR.indices_of([36, 36, 37, 27, 80], [30, 31, 25, 40, 35])])
DARK = np.setdiff1d(np.arange(0, 4680, 13), HIT)


class Scene(NamedTuple):
    """A track, modules and bins."""

    model: LightModel
    line: SegmentedLine
    bins: Bins
    viewer: Viewer


def _bins() -> Bins:
    om = np.repeat(HIT, 3)
    time = np.tile([300.0, 340.0, 1500.0], len(HIT)) + 40.0 * np.arange(len(om))
    series = PulseSeries.from_columns(om, time, np.ones(len(om)))
    dead = {int(HIT[1]): [(2000.0, np.inf)], int(HIT[2]): [(200.0, 350.0)]}
    return bin_pulses(series, window=WINDOW, dead=dead, with_empty_rows=False)


def _scene(model: LightModel, *, spacing: float = 20.0, has_dark_rows: bool = False) -> Scene:
    xyz, efficiency = DETECTOR.om_xyz, DETECTOR.rel_efficiency
    bins = _bins()
    n_row = len(bins.charge)
    viewer = Viewer(
        model=model,
        timed=Modules.of(model, xyz[bins.om_index], efficiency[bins.om_index]),
        dark=Modules.of(model, xyz[DARK], efficiency[DARK]),
        bins=bins.modules,
        n_row=n_row + (len(DARK) if has_dark_rows else 0),
        n_dark_rows=len(DARK) if has_dark_rows else 0,
    )
    line = place_segments(
        xyz[HIT], xyz[HIT].mean(axis=0), direction_vector(1.2, 0.4), spacing=spacing, boundary=650.0
    )
    return Scene(model, line, bins, viewer)


@pytest.fixture(scope="module")
def handmade() -> Scene:
    return _scene(LightModel(handmade_weights()))


@pytest.fixture(scope="module")
def trained() -> Scene:
    return _scene(LightModel.load(), spacing=5.0)


def _obvious_charge(scene: Scene, rows: np.ndarray, at: FloatArray = AT) -> FloatArray:
    """Expected charge, shape (n_source, n_module), nothing beyond reach [PE/GeV]."""
    xyz, om_xyz = scene.line.xyz(at), DETECTOR.om_xyz[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        charge = scene.model.expected_charge(
            xyz[:, None], scene.line.direction, om_xyz, DETECTOR.rel_efficiency[rows]
        )
    distance = np.linalg.norm(xyz[:, None] - om_xyz, axis=-1)
    return np.where(distance < REACH, charge, 0.0)


def _obvious_cdf(scene: Scene, j: int, om: int, edges: FloatArray, at: FloatArray) -> FloatArray:
    """Fractions of the charge at edges; softened after the 2 ns that delays are counted with."""
    xyz, om_xyz = scene.line.xyz(at)[j], DETECTOR.om_xyz[om]
    direct = scene.line.times(at)[j] + np.linalg.norm(om_xyz - xyz) * N_REF / LIGHT_SPEED
    softened = soften(edges - direct + TIME_OFFSET, scene.viewer.softening) - TIME_OFFSET
    # The model's own softening is the identity for delays far above a tiny width.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        raw = scene.model.time_cdf(
            xyz, scene.line.direction, om_xyz, np.maximum(softened, 0.0), softening=1e-9
        )
    return np.asarray(np.where(softened >= 0.0, raw, np.nan))


def _filled(scene: Scene, at: FloatArray = AT) -> tuple[FloatArray, FloatArray]:
    sight = scene.viewer.sight(scene.line, at)
    return scene.viewer.fill(scene.viewer.see(scene.line, at, sight), scene.line, at)


# --- which pairs ----------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1))
def test_pairs_are_all_that_are_near_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    along = np.sort(rng.uniform(-500.0, 500.0, rng.integers(1, 20)))
    om_along, distance = rng.uniform(-600.0, 600.0, 15), rng.uniform(0.0, 400.0, 15)
    distance[0] = np.inf
    apart = np.hypot(along - om_along[:, None], distance[:, None])
    expected = [(j, k) for k in range(15) for j in range(len(along)) if apart[k, j] < REACH]
    for function in (reach_pairs, reach_pairs.py_func):
        source, om = function(along, om_along, distance, REACH)
        assert list(zip(source.tolist(), om.tolist(), strict=True)) == expected


def test_pairs_of_some_sources_are_those_of_all_renumbered(handmade: Scene) -> None:
    chosen = np.array([1, 4, 5, 11])
    sight = handmade.viewer.sight(handmade.line, AT)
    few, again = sight.only(chosen), handmade.viewer.sight(handmade.line.only(chosen), AT)
    for mine, theirs in zip((*few.timed, *few.near), (*again.timed, *again.near), strict=True):
        assert np.array_equal(mine, theirs)
    np.testing.assert_array_equal(few.far, sight.far[chosen])


def test_interpolation_along_the_track_is_exact_for_cubic_polynomials(trained: Scene) -> None:
    far = trained.viewer.sight(trained.line, AT).far_light
    along = trained.line.along
    nodes = [ring for ring, _ in far.rings]
    assert all(4 <= len(after) < len(ring) for ring, after in pairwise(nodes))  # the farther
    for power, ring in product(range(4), nodes):
        one = FarLight(AT, far.is_far, ((ring, np.tile((ring / 300.0) ** power, (3, 1)).T),))
        expected = np.tile((along / 300.0) ** power, (3, 1)).T
        np.testing.assert_allclose(one.of_sources(along), expected, rtol=1e-9, atol=1e-12)


def test_what_is_known_of_far_light_is_taken_where_it_holds(trained: Scene) -> None:
    viewer, line = trained.viewer, trained.line
    known = viewer.sight(line, AT).far_light
    finer = line.refined(np.array([7, 8]), 4)
    beside = AT + np.array([0.7 * MOVED, 0.7 * MOVED, 400.0])
    assert viewer.sight(finer, beside, known=known).far_light is known
    away = AT + np.array([0.0, 1.01 * MOVED, 0.0])
    assert viewer.sight(line, away, known=known).far_light is not known
    part = viewer.sight(line.only(np.arange(3, 9)), AT).far_light
    assert viewer.sight(line, AT, known=part).far_light is not part


def test_each_dark_module_is_near_or_far_but_not_both(trained: Scene) -> None:
    """Between a track and one beside it modules come nearer than 60 m, or go farther away."""
    dark = np.flatnonzero(~DETECTOR.is_deepcore)
    modules = Modules.of(trained.model, DETECTOR.om_xyz[dark], DETECTOR.rel_efficiency[dark])
    viewer, line = replace(trained.viewer, dark=modules), trained.line
    beside = AT + 0.7 * MOVED * np.array([1.0, 1.0, 0.0])
    before, after = (viewer.sight(line, at) for at in (AT, beside))
    assert (before.far_light.is_far != after.far_light.is_far).any()
    taken = viewer.sight(line, beside, known=before.far_light)
    for sight in (before, after, taken):
        assert not sight.far_light.is_far[sight.near[1]].any()
    total = [viewer.see(line, beside, sight).column.sum() for sight in (after, taken)]
    assert total[1] == pytest.approx(total[0], rel=0.005)


def test_a_single_source_has_far_light(trained: Scene) -> None:
    alone = trained.line.only(np.array([9]))
    every, one = (trained.viewer.sight(line, AT).far for line in (trained.line, alone))
    np.testing.assert_allclose(one[0], every[9], rtol=0.03, atol=1e-3 * one[0, 0])


def test_light_of_some_sources_is_that_of_all_renumbered(trained: Scene) -> None:
    chosen = np.array([0, 7, 8, 30, 51])
    viewer, line = trained.viewer, trained.line
    later = AT + np.array([0.0, 0.0, 5.0])
    everything = viewer.see(line, AT, viewer.sight(line, AT))
    response, column = viewer.fill(everything, line, later)
    few = viewer.fill(everything.only(chosen), line.only(chosen), later)
    np.testing.assert_array_equal(few[0], response[chosen])
    np.testing.assert_array_equal(few[1], column[chosen])


# --- timed modules --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["handmade", "trained"])
def test_bins_get_the_charge_times_what_comes_between_their_edges(
    name: str, request: pytest.FixtureRequest
) -> None:
    scene: Scene = request.getfixturevalue(name)
    response, _ = _filled(scene)
    charge = _obvious_charge(scene, scene.bins.om_index)
    modules = scene.bins.modules
    n_compared = 0
    for k, om in enumerate(scene.bins.om_index.tolist()):
        first, last = modules.first_edge[k], modules.first_edge[k + 1]
        for j in range(0, len(scene.line.along), 3):
            fraction = _obvious_cdf(scene, j, om, modules.edges[first + 1 : last - 1], AT)
            fraction = np.concatenate([[0.0], fraction, [1.0]])
            expected = charge[j, k] * np.diff(fraction)
            for row, value in zip(modules.row[first : last - 1], expected, strict=True):
                if row >= 0 and np.isfinite(value):
                    n_compared += 1
                    limit = pytest.approx(value, rel=1e-3, abs=1e-5 * charge[j, k])
                    assert response[j, row] == limit
    assert n_compared > 50


def test_early_light_is_rare_but_possible(trained: Scene) -> None:
    """Bins before the direct light have a little expectation: softening."""
    early = AT + np.array([0.0, 0.0, 10.0 * LIGHT_SPEED])  # a track 10 ns later
    modules = trained.bins.modules
    first_rows = modules.row[modules.first_edge[:-1] + 1]
    seen = _filled(trained, early)[0][:, first_rows[first_rows >= 0]]
    assert seen.max() > 0.0
    assert np.all(np.isfinite(seen))


def test_all_bins_of_a_live_module_together_have_all_its_charge(handmade: Scene) -> None:
    """And those without rows are in the column sums, like dark modules."""
    response, column = _filled(handmade)
    charge = _obvious_charge(handmade, handmade.bins.om_index)
    modules = handmade.bins.modules
    for k in range(len(handmade.bins.om_index)):
        kinds = modules.row[modules.first_edge[k] : modules.first_edge[k + 1] - 1]
        with_rows = response[:, kinds[kinds >= 0]].sum(axis=1)
        assert np.all(with_rows <= charge[:, k] * (1.0 + 1e-5))
    everything = response.sum(axis=1) + column
    dark = _obvious_charge(handmade, DARK).sum(axis=1)
    is_whole = [
        DEAD not in modules.row[a : b - 1].tolist()
        for a, b in zip(modules.first_edge[:-1], modules.first_edge[1:], strict=True)
    ]
    assert sum(is_whole) == len(HIT) - 2
    assert np.all(everything <= (dark + charge.sum(axis=1)) * 1.02)
    assert np.all(everything >= (dark + charge[:, is_whole].sum(axis=1)) * 0.975)


def test_dead_time_has_no_expectation(handmade: Scene) -> None:
    viewer, modules = handmade.viewer, handmade.bins.modules
    no_module = Modules.of(handmade.model, np.zeros((0, 3)), np.zeros(0))
    no_bin = modules._replace(row=np.full_like(modules.row, DEAD))
    dead = handmade._replace(viewer=replace(viewer, dark=no_module, bins=no_bin))
    response, column = _filled(dead)
    assert not response.any()
    assert not column.any()


def test_a_later_track_is_the_same_as_earlier_bins(handmade: Scene) -> None:
    delay = 37.5
    later = _filled(handmade, AT + np.array([0.0, 0.0, delay * LIGHT_SPEED]))
    modules = handmade.bins.modules
    edges = np.where(np.abs(modules.edges) < 1e8, modules.edges - delay, modules.edges)
    moved = replace(handmade.viewer, bins=modules._replace(edges=edges))
    earlier = _filled(handmade._replace(viewer=moved))
    for one, other in zip(later, earlier, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-7 * one.max())


def test_networks_are_not_asked_again_when_only_the_time_changes(handmade: Scene) -> None:
    scene = handmade
    later = AT + np.array([0.0, 0.0, 90.0])
    sight = scene.viewer.sight(scene.line, AT)
    seen = scene.viewer.see(scene.line, AT, sight)
    for one, other in zip(
        scene.viewer.fill(seen, scene.line, later), _filled(scene, later), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_compiled_and_python_kernels_agree(handmade: Scene) -> None:
    scene, line = handmade, handmade.line.only(np.arange(8, 14))
    seen = scene.viewer.see(line, AT, scene.viewer.sight(line, AT))
    outcomes = []
    for function in (fill_response, fill_response.py_func):
        response, column = np.zeros((6, scene.viewer.n_row)), np.zeros(6)
        with np.errstate(over="ignore"):
            function(
                seen.light,
                seen.pairs,
                line.times(AT),
                scene.viewer.timed.efficiency,
                scene.bins.modules,
                scene.viewer.softening,
                response,
                column,
            )
        outcomes.append(np.column_stack([response, column]))
    np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-4, atol=1e-6 * outcomes[0].max())


# --- dark modules ---------------------------------------------------------------------------------


def _column_of_dark(scene: Scene, at: FloatArray = AT) -> FloatArray:
    """Column sums without what timed modules add."""
    column: FloatArray = scene.viewer.see(scene.line, at, scene.viewer.sight(scene.line, at)).column
    return column


@pytest.mark.parametrize("zenith", [0.02, 1.2, 2.4])
def test_light_in_dark_modules_is_summed_to_a_percent(trained: Scene, zenith: float) -> None:
    dark = np.setdiff1d(np.flatnonzero(~DETECTOR.is_deepcore), trained.bins.om_index)
    modules = Modules.of(trained.model, DETECTOR.om_xyz[dark], DETECTOR.rel_efficiency[dark])
    line = place_segments(
        DETECTOR.om_xyz[HIT],
        DETECTOR.om_xyz[HIT[0]],
        direction_vector(zenith, 0.4),
        spacing=5.0,
        boundary=650.0,
    )
    scene = trained._replace(line=line, viewer=replace(trained.viewer, dark=modules))
    assert scene.viewer.sight(line, AT).far.any()  # far modules are interpolated
    found = _column_of_dark(scene)
    expected = _obvious_charge(scene, dark).sum(axis=1)
    ratio = (found / expected)[expected > 0.05 * expected.max()]
    assert np.sqrt(np.mean((ratio - 1.0) ** 2)) < 0.015
    assert np.abs(ratio - 1.0).max() < 0.08  # where the dust begins it is 0.06
    assert abs(found.sum() / expected.sum() - 1.0) < 0.002
    assert np.all(found >= 0.0)


@pytest.mark.parametrize("zenith", [0.02, 1.2, 2.4])
def test_far_light_of_tracks_beside_is_known_to_a_percent(trained: Scene, zenith: float) -> None:
    dark = np.setdiff1d(np.flatnonzero(~DETECTOR.is_deepcore), trained.bins.om_index)
    modules = Modules.of(trained.model, DETECTOR.om_xyz[dark], DETECTOR.rel_efficiency[dark])
    line = replace(trained.line, direction=direction_vector(zenith, 0.4))
    viewer = replace(trained.viewer, dark=modules)
    sight = viewer.sight(line, AT)
    beside = AT + 0.7 * MOVED * np.array([1.0, -1.0, 0.0])
    found = viewer.see(line, beside, sight).column
    expected = viewer.see(line, beside, viewer.sight(line, beside, moves=False)).column
    before = viewer.see(line, AT, sight).column
    is_bright = expected > 0.05 * expected.max()
    ratios = (one[is_bright] / expected[is_bright] - 1.0 for one in (found, before))
    off, change = (np.sqrt(np.mean(one**2)) for one in ratios)
    assert off < 0.02
    assert off < 0.4 * change


def test_few_sources_are_summed_exactly(handmade: Scene) -> None:
    line = handmade.line.only(np.array([3, 9]))
    scene = handmade._replace(line=line)
    expected = _obvious_charge(scene, DARK).sum(axis=1)
    np.testing.assert_allclose(_column_of_dark(scene), expected, rtol=1e-4)


def test_sums_of_some_sources_are_those_of_all(trained: Scene) -> None:
    """The derivatives of a fit use few sources, with the sight of all."""
    chosen = np.array([0, 7, 8, 30, 51])
    scene = trained
    sight = scene.viewer.sight(scene.line, AT)
    everything = scene.viewer.see(scene.line, AT, sight)
    few = scene.viewer.see(scene.line.only(chosen), AT, sight.only(chosen))
    np.testing.assert_allclose(few.column, everything.column[chosen], rtol=1e-5)
    one, _ = scene.viewer.fill(everything, scene.line, AT)
    other, _ = scene.viewer.fill(few, scene.line.only(chosen), AT)
    np.testing.assert_allclose(other, one[chosen], rtol=1e-4, atol=1e-9)


def test_a_single_source_needs_no_kernels_of_its_own(handmade: Scene) -> None:
    scene, line = handmade, handmade.line.only(np.array([5]))
    seen = scene.viewer.see(line, AT, scene.viewer.sight(line, AT))
    for array in (*seen.pairs, *seen.light):
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_dark_modules_may_have_rows(handmade: Scene) -> None:
    scene = _scene(handmade.model, has_dark_rows=True)
    response, column = _filled(scene)
    first = scene.viewer.n_row - scene.viewer.n_dark_rows
    assert first is not None
    np.testing.assert_allclose(response[:, first:], _obvious_charge(scene, DARK), rtol=1e-4)
    plain, with_dark = _filled(handmade)
    np.testing.assert_array_equal(response[:, :first], plain)
    assert np.all(column <= with_dark + 1e-12)
    assert NO_ROW in scene.bins.modules.row


def test_a_track_far_away_sees_nothing(handmade: Scene) -> None:
    response, column = _filled(handmade, np.array([5000.0, 5000.0, 0.0]))
    assert not response.any()
    assert not column.any()
