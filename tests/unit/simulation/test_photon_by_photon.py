"""Photons that are followed one by one hit modules as often, and when, as geometry says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skymap_scanner.event import Detector
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import CELL_VOLUMES, N_CELLS, N_R, R_EDGES
from skymap_scanner.light.chance import make_state
from skymap_scanner.light.ice import IceModel, group_index, phase_index
from skymap_scanner.light.medium import Medium, make_medium
from skymap_scanner.light.optics import (
    MODULE_AREA,
    MODULE_RADIUS,
    PHOTONS_PER_GEV,
    PHOTONS_PER_METRE,
    angular_acceptance,
    cascade_length,
    wavelength_slices,
)
from skymap_scanner.light.propagation import propagate
from skymap_scanner.simulation import photon_by_photon
from skymap_scanner.simulation.emitters import (
    Emitters,
    cascade_emitters,
    depth_of_emission,
    muon_emitters,
)
from skymap_scanner.simulation.module_search import is_far, leg_hits, make_module_map
from skymap_scanner.simulation.muon import propagate_muon
from skymap_scanner.simulation.photon_by_photon import follow_photons
from skymap_scanner.simulation.sources import Track, muon_sources
from skymap_scanner.units import LIGHT_SPEED, FloatArray

DIRECTION = np.array([0.48, -0.6, 0.64])


@pytest.fixture(scope="module")
def ice() -> Medium:
    return make_medium(IceModel.load())


@pytest.fixture(scope="module")
def empty(ice: Medium) -> Medium:
    """Ice that neither scatters nor absorbs."""
    return ice._replace(
        coefficients=np.full_like(ice.coefficients, 1e-9),
        bfr_strength=np.zeros_like(ice.bfr_strength),
        tilt=np.zeros_like(ice.tilt),
    )


def spiral(n: int) -> FloatArray:
    """Directions all over the sphere, as evenly as can be, shape (n, 3)."""
    z = 1.0 - (2.0 * np.arange(n) + 1.0) / n
    azimuth = np.arange(n) * np.pi * (3.0 - np.sqrt(5.0))
    across = np.sqrt(1.0 - z**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)


def small_detector(om_xyz: FloatArray) -> Detector:
    """Return lone modules, each on a string of its own, of two efficiencies; the last is dead."""
    n = len(om_xyz)
    return Detector(
        om_key=np.stack([np.arange(1, n + 1), np.ones(n, np.int64)], axis=1),
        om_xyz=om_xyz,
        rel_efficiency=np.where(np.arange(n) % 3 == 0, 1.35, 1.0),
        is_alive=np.arange(n) < n - 1,
        source="test",
    )


def isotropic(n_photons: float) -> Emitters:
    """Cascades of no length in all directions: together they shine evenly."""
    axes = spiral(2000)
    n = len(axes)
    return Emitters(
        xyz=np.zeros((n, 3)),
        time=np.full(n, 100.0),
        direction=axes,
        n_photons=np.full(n, n_photons / n),
        shape=np.zeros(n),
        scale=np.zeros(n),
        cascade_share=np.ones(n),
    )


@pytest.mark.parametrize("oversize", [4.0, 10.0])
def test_modules_see_their_solid_angle_times_acceptance(empty: Medium, oversize: float) -> None:
    om_xyz = spiral(40) * np.linspace(25.0, 60.0, 40)[:, None]
    detector = small_detector(om_xyz)
    n_photons, exposure = 1e6, 0.9 * oversize**2
    hits = follow_photons(
        isotropic(n_photons), detector, empty, seed=3, oversize=oversize, exposure=exposure
    )
    r = np.linalg.norm(om_xyz, axis=1)
    seen = (
        MODULE_AREA / (4.0 * np.pi * r**2) * angular_acceptance(om_xyz[:, 2] / r, empty.acceptance)
    )
    expected = n_photons * seen * np.where(detector.is_alive, detector.rel_efficiency, 0.0)
    charge = hits.charge(detector.n_om)
    assert charge[-1] == 0.0
    alive = detector.is_alive
    n = expected[alive] * exposure
    assert n.sum() > 1000
    assert charge.sum() == pytest.approx(expected.sum(), rel=4.0 / np.sqrt(n.sum()))
    chi2 = np.sum((charge[alive] * exposure - n) ** 2 / n)
    assert 10.0 < chi2 < 80.0  # 39 modules


def test_straight_light_arrives_when_it_must(empty: Medium) -> None:
    om_xyz = spiral(40) * 30.0
    hits = follow_photons(isotropic(1e7), small_detector(om_xyz), empty, seed=3, oversize=3.0)
    assert hits.seen.time.size > 50
    slowness = group_index(wavelength_slices()) / LIGHT_SPEED
    flight = hits.seen.time - 100.0
    # Enlarged discs keep their thickness: light enters up to a module's radius early.
    assert np.all(flight <= 30.0 * slowness.max() + 1e-9)
    assert np.all(flight >= (30.0 - MODULE_RADIUS - 0.02) * slowness.min())


def test_bare_muon_shines_on_the_cherenkov_cone(empty: Medium) -> None:
    rho = np.array([10.0, 20.0, 40.0, 30.0])
    om_xyz = np.stack([np.zeros(4), rho, np.zeros(4)], axis=1)
    length = 200.0
    muon = Emitters(
        xyz=np.array([[-150.0, 0.0, 0.0]]),
        time=np.zeros(1),
        direction=np.array([[1.0, 0.0, 0.0]]),
        n_photons=np.array([PHOTONS_PER_METRE * length]),
        shape=np.zeros(1),
        scale=np.array([length]),
        cascade_share=np.zeros(1),
    )
    exposure = 100.0
    detector = small_detector(om_xyz)
    hits = follow_photons(muon, detector, empty, seed=1, oversize=5.0, exposure=exposure)
    one_over_sine = np.mean(1.0 / np.sqrt(1.0 - phase_index(wavelength_slices()) ** -2.0))
    accepted = angular_acceptance(0.0, empty.acceptance)
    expected = PHOTONS_PER_METRE * MODULE_AREA * accepted * one_over_sine / (2.0 * np.pi * rho)
    expected *= np.where(detector.is_alive, detector.rel_efficiency, 0.0)
    charge = hits.charge(4)
    assert charge[3] == 0.0
    for k in range(3):
        assert charge[k] == pytest.approx(expected[k], rel=4.0 / np.sqrt(expected[k] * exposure))
    cosine = 1.0 / phase_index(wavelength_slices())
    sine = np.sqrt(1.0 - cosine**2)
    for k in range(3):
        emitted = (150.0 - rho[k] * cosine / sine) / LIGHT_SPEED
        arrival = emitted + rho[k] / sine * group_index(wavelength_slices()) / LIGHT_SPEED
        times = hits.seen.time[hits.seen.om_index == k]
        assert times.min() > arrival.min() - 3.0
        assert times.max() < arrival.max() + 3.0


def test_oversize_keeps_the_mean_in_real_ice(ice: Medium) -> None:
    detector = built_in_detector()
    track = Track(np.array([30.0, 30.0, -350.0]), 0.0, DIRECTION)
    emitters = cascade_emitters(track, np.zeros(1), np.array([100.0]))
    far = np.linalg.norm(detector.om_xyz - track.start, axis=1) > 60.0
    n = []
    for oversize, exposure in ((5.0, 1.0), (15.0, 12.0)):
        hits = follow_photons(emitters, detector, ice, seed=5, oversize=oversize, exposure=exposure)
        n.append((hits.charge(detector.n_om)[far].sum() * exposure, exposure))
    (few, _), (many, exposure) = n
    assert many > 500
    # Photons that wander near a module may hit it more than once: errors are a little larger.
    assert few == pytest.approx(many / exposure, abs=4.5 * np.sqrt(many / exposure))


def shell_detector(centre: FloatArray, low: float, high: float) -> Detector:
    """Return modules that fill a shell around a point evenly, on 250 strings."""
    n_string, n_om = 250, 40
    number = np.arange(n_string)
    radius, azimuth = high * np.sqrt((number + 0.5) / n_string), number * np.pi * (3 - np.sqrt(5))
    step = 2.0 * high / n_om
    z = -high + step * (np.arange(n_om) + (number[:, None] * 0.618034) % 1.0)
    xyz = np.empty((n_string, n_om, 3))
    xyz[..., 0] = (radius * np.cos(azimuth))[:, None]
    xyz[..., 1] = (radius * np.sin(azimuth))[:, None]
    xyz[..., 2] = z
    string, om = np.meshgrid(number + 1, np.arange(n_om) + 1, indexing="ij")
    distance = np.linalg.norm(xyz, axis=2)
    chosen = (distance >= low) & (distance < high)
    n = int(chosen.sum())
    return Detector(
        om_key=np.stack([string[chosen], om[chosen]], axis=1),
        om_xyz=xyz[chosen] + centre,
        rel_efficiency=np.ones(n),
        is_alive=np.ones(n, np.bool_),
        source="test",
    )


def test_modules_see_the_fluence_of_the_collision_estimator(ice: Medium) -> None:
    place = np.array([10.0, -20.0, -345.0])
    low, high = R_EDGES[np.searchsorted(R_EDGES, [30.0, 60.0])]
    inside = np.repeat((R_EDGES[:-1] >= low) & (R_EDGES[1:] <= high), N_CELLS // N_R)
    record = propagate(place, DIRECTION, ice, n_photons=40_000, seed=(1,))
    fluence = record.total[inside].sum() / record.n_photons / CELL_VOLUMES[inside].sum()
    point = Emitters(
        xyz=place[None],
        time=np.zeros(1),
        direction=DIRECTION[None],
        n_photons=np.array([1e5]),
        shape=np.zeros(1),
        scale=np.zeros(1),
        cascade_share=np.ones(1),
    )
    detector = shell_detector(place, low, high)
    hits = follow_photons(point, detector, ice, seed=2, oversize=8.0, exposure=40.0)
    charge = hits.charge(detector.n_om).sum() / detector.n_om
    assert charge == pytest.approx(1e5 * MODULE_AREA * fluence, rel=0.05)


@pytest.mark.parametrize("oversize", [1.0, 8.0])
def test_search_finds_what_a_look_at_every_module_finds(oversize: float) -> None:
    detector = built_in_detector()
    modules = make_module_map(detector, oversize)
    rng = np.random.default_rng(4)
    found = np.empty((detector.n_om, 2))
    n_hits = 0
    for number in range(600):
        target = detector.om_xyz[rng.integers(detector.n_om)]
        direction = rng.normal(size=3)
        if number % 5 == 0:
            direction[:2] = 0.0  # straight up or down
        direction /= np.linalg.norm(direction)
        length = rng.exponential(60.0)
        start = (
            target
            + rng.normal(scale=0.1 * oversize, size=3)
            - rng.uniform(-0.2, 1.2) * length * direction
        )
        n = leg_hits(start, direction, length, modules, found)
        rows = found[:n, 0].astype(int)
        relative = detector.om_xyz - start
        nearest = relative @ direction
        inside = (MODULE_RADIUS * oversize) ** 2 - (np.sum(relative**2, axis=1) - nearest**2)
        entry = nearest - np.sqrt(np.maximum(inside, 0.0)) / oversize
        is_hit = (inside >= 0.0) & (entry > 0.0) & (entry <= length)
        np.testing.assert_array_equal(np.sort(modules.om_index[rows]), np.flatnonzero(is_hit))
        np.testing.assert_allclose(found[:n, 1], entry[modules.om_index[rows]], atol=1e-9)
        if n:
            middle = start + 0.5 * length * direction
            assert not is_far(middle[0], middle[1], middle[2], 0.5 * length, modules)
        n_hits += n
    assert n_hits > 100


def test_search_agrees_with_its_plain_python() -> None:
    modules = make_module_map(built_in_detector(), 5.0)
    compiled, plain = np.zeros((60, 2)), np.zeros((60, 2))
    start = modules.om_xyz[0] - np.array([0.3, 0.1, 10.0])
    for direction in (np.array([0.0, 0.0, 1.0]), np.array([0.02, 0.0, np.sqrt(1 - 0.0004)])):
        n = leg_hits(start, direction, 200.0, modules, compiled)
        assert n == leg_hits.py_func(start, direction, 200.0, modules, plain) >= 2
        np.testing.assert_allclose(compiled[:n], plain[:n], atol=1e-9)
    assert is_far.py_func(0.0, 0.0, 2000.0, 10.0, modules) is True


def test_photons_go_where_plain_python_sends_them(
    ice: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = built_in_detector()
    track = Track(detector.om_xyz[detector.index_of(30, 40)] - 12.0 * DIRECTION, 0.0, DIRECTION)
    emitters = cascade_emitters(track, np.zeros(1), np.array([5.0]))
    compiled = follow_photons(emitters, detector, ice, seed=1, oversize=20.0)
    assert compiled.seen.time.size > 5
    for name in ("_follow", "_look"):
        monkeypatch.setattr(photon_by_photon, name, getattr(photon_by_photon, name).py_func)
    plain = follow_photons(emitters, detector, ice, seed=1, oversize=20.0)
    np.testing.assert_array_equal(plain.seen.om_index, compiled.seen.om_index)
    np.testing.assert_allclose(plain.seen.time, compiled.seen.time, atol=1e-6)


def test_most_of_the_ice_is_far_from_modules() -> None:
    modules = make_module_map(built_in_detector(), 5.0)
    rng = np.random.default_rng(1)
    points = rng.uniform(-400.0, 400.0, size=(2000, 3))
    assert 0.85 < np.mean([is_far(x, y, z, 10.0, modules) for x, y, z in points]) < 0.99


def test_cascades_shine_along_their_profile() -> None:
    shape, scale = cascade_length(1e4)
    state = make_state(1)
    depth = np.array([depth_of_emission(float(shape), scale, state) for _ in range(20_000)])
    assert depth.mean() == pytest.approx(float(shape) * scale, abs=4 * depth.std() / 141)
    assert depth.std() == pytest.approx(np.sqrt(float(shape)) * scale, rel=0.03)
    even = np.array([depth_of_emission(0.0, 5.0, state) for _ in range(5000)])
    assert even.mean() == pytest.approx(2.5, abs=0.1)
    assert even.max() <= 5.0


def test_photons_are_counted_from_the_energy(ice: Medium) -> None:
    detector = built_in_detector()
    track = Track(np.array([0.0, 0.0, -300.0]), 0.0, DIRECTION)
    emitters = cascade_emitters(track, np.zeros(1), np.array([200.0]))
    hits = follow_photons(emitters, detector, ice, seed=1, oversize=10.0, exposure=2.0)
    expected = 13065.87 * 1.35 * 0.68 * 200.0 * 2.0 / 100.0
    assert hits.n_photons == pytest.approx(expected, abs=5.0 * np.sqrt(expected))
    assert np.all(hits.seen.weight == 0.5)


def test_muon_has_the_light_of_its_sources() -> None:
    track = Track(np.array([-500.0, 20.0, 10.0]), 7.0, np.array([1.0, 0.0, 0.0]))
    passage = propagate_muon(1e5, 1000.0, np.random.default_rng(2))
    assert np.any(passage.loss_process == 2)
    emitters = muon_emitters(track, passage, np.random.default_rng(9))
    sources = muon_sources(track, passage, np.random.default_rng(9)).everything()
    assert emitters.n_photons.sum() == pytest.approx(
        PHOTONS_PER_GEV * sources.energy.sum(), rel=1e-9
    )
    # In the mean a photon starts where the point-like source of its cascade is.
    middle = np.where(emitters.shape > 0, emitters.shape * emitters.scale, 0.5 * emitters.scale)
    mean = np.average(emitters.xyz[:, 0] + middle, weights=emitters.n_photons)
    assert mean == pytest.approx(np.average(sources.xyz[:, 0], weights=sources.energy), abs=0.5)
    is_bare = emitters.shape == 0.0
    assert np.all(
        (emitters.cascade_share[is_bare] > 0.2) & (emitters.cascade_share[is_bare] < 0.35)
    )


def test_same_seed_gives_the_same_hits_with_any_number_of_threads(ice: Medium) -> None:
    detector = built_in_detector()
    track = Track(np.array([30.0, 30.0, -350.0]), 0.0, DIRECTION)
    emitters = cascade_emitters(track, np.array([0.0, 40.0]), np.array([4000.0, 500.0]))
    reports: list[tuple[int, int]] = []

    def run(seed: int, n_threads: int) -> FloatArray:
        hits = follow_photons(
            emitters, detector, ice, seed=seed, oversize=20.0, n_threads=n_threads,
            report=lambda done, wanted: reports.append((done, wanted)),
        )  # fmt: skip
        return np.stack([hits.seen.om_index, hits.seen.time])

    one = run(1, 1)
    assert len(reports) > 1
    assert reports[-1][0] == reports[-1][1]
    np.testing.assert_array_equal(one, run(1, 3))
    other = run(2, 1)
    assert one.shape != other.shape or np.any(one != other)


def test_no_light_gives_no_hits(ice: Medium) -> None:
    nothing = cascade_emitters(
        Track(np.zeros(3), 0.0, DIRECTION), np.zeros(1), np.ones(1), light=np.zeros(1)
    )
    hits = follow_photons(nothing, built_in_detector(), ice, seed=1)
    assert hits.n_photons == 0
    assert hits.seen.time.size == 0


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"oversize": 0.5}, "oversize"),
        ({"oversize": np.nan}, "oversize"),
        ({"exposure": 0.0}, "exposure"),
        ({"exposure": np.inf}, "exposure"),
        ({"n_threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_options_are_refused(ice: Medium, options: dict[str, float], place: str) -> None:
    emitters = cascade_emitters(Track(np.zeros(3), 0.0, DIRECTION), np.zeros(1), np.ones(1))
    with pytest.raises(UsageError, match=place):
        follow_photons(emitters, built_in_detector(), ice, **({"seed": 1} | options))  # type: ignore[arg-type]  # options that are wrong


def test_a_dead_detector_is_refused(ice: Medium) -> None:
    emitters = cascade_emitters(Track(np.zeros(3), 0.0, DIRECTION), np.zeros(1), np.ones(1))
    detector = built_in_detector()
    dead = replace(detector, is_alive=np.zeros(detector.n_om, np.bool_))
    with pytest.raises(UsageError, match="no module that sees"):
        follow_photons(emitters, dead, ice, seed=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"xyz": np.array([[0.0, np.nan, 0.0]])}, "xyz.*wanted finite numbers"),
        ({"direction": np.array([[0.0, 0.0, 2.0]])}, "direction.*length 2.*unit vectors"),
        ({"n_photons": np.array([-1.0])}, "n_photons"),
        ({"shape": np.array([0.5])}, "shape"),
        ({"cascade_share": np.array([1.5])}, "cascade_share"),
        ({"time": np.zeros(2)}, r"xyz.*shape \(2, 3\)"),
    ],
)
def test_bad_emitters_are_refused(change: dict[str, FloatArray], words: str) -> None:
    good = cascade_emitters(Track(np.zeros(3), 0.0, DIRECTION), np.zeros(1), np.ones(1))
    with pytest.raises(UsageError, match=words):
        replace(good, **change)
