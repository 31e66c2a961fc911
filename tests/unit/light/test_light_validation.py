"""Comparison of a light model with simulated light: a known error is reported as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError, UsageError
from skymap_scanner.light import validation
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    COS_EDGES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    N_R,
    R_EDGES,
)
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import FLOW_AZIMUTH, make_medium
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.production import Sources, draw_sources
from skymap_scanner.light.propagation import TIME_EDGES, propagate
from skymap_scanner.light.reference import ReferenceLight, simulate_reference
from skymap_scanner.light.validation import (
    Agreement,
    compare,
    flow_ratio,
)

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.units import FloatArray

ICE = IceModel.load()
#: Heights with clean ice 100 m above and below, and in the middle of the dust.
CLEAN_Z, DUST_Z = -350.0, -80.0


@pytest.fixture(autouse=True)
def _coarse_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's light is the same all over a cell: a few points do."""
    monkeypatch.setattr(validation, "_CHARGE_GRID", (2, 2, 2))
    monkeypatch.setattr(validation, "_TIME_GRID", (2, 2, 2))


class _Toy:
    """The same light everywhere, up to a factor; delays exponential with a mean."""

    def __init__(self, bias: float = 0.0, mean: float = 100.0, along_flow: float = 0.0) -> None:
        self.ice, self.bias, self.mean, self.along_flow = ICE, bias, mean, along_flow

    def expected_charge(
        self, source: FloatArray, _axis: FloatArray, om: FloatArray, efficiency: float = 1.0
    ) -> FloatArray:
        line = om - source
        azimuth = np.arctan2(line[..., 1], line[..., 0]) - FLOW_AZIMUTH
        level = 1e-6 * np.exp(self.bias + self.along_flow * (np.cos(azimuth) ** 2 > 0.5))
        return np.asarray(efficiency * PHOTONS_PER_GEV * MODULE_AREA * level)

    def time_cdf(
        self, _source: FloatArray, _axis: FloatArray, om: FloatArray, edges: FloatArray
    ) -> FloatArray:
        return np.tile(-np.expm1(-edges / self.mean), (*om.shape[:-1], 1))


def _toy(**settings: float) -> LightModel:
    return cast("LightModel", _Toy(**settings))


def _errors(noise: float) -> FloatArray:
    """Relative errors of cells: with equal light, those of a count in their volume."""
    volumes = CELL_VOLUMES.reshape(N_R, -1)
    return np.asarray(noise * np.sqrt(volumes.mean(axis=1, keepdims=True) / volumes).ravel())


def _reference(
    z: float = CLEAN_Z, *, noise: float = 0.0, scatter: float = 0.0, seed: int = 1
) -> ReferenceLight:
    """Light of 1e-6 /m^2 everywhere, with true scatter and statistical errors of ten repeats."""
    rng = np.random.default_rng(seed)
    errors = _errors(noise)
    off = rng.normal(0, errors * 10**0.5, (10, N_CELLS))
    level = 1e-6 * np.exp(rng.normal(0, scatter, N_CELLS))
    cdf = np.append(-np.expm1(-TIME_EDGES[:-1] / 100.0), 1.0)
    return ReferenceLight(
        xyz=np.array([0.0, 0.0, z]),
        direction=np.array([0.0, 0.0, 1.0]),
        halves=level * (1.0 + off.reshape(2, 5, N_CELLS).mean(axis=1)),
        error=level * off.std(axis=0, ddof=1) / 10**0.5,
        times=np.tile(np.diff(cdf), (N_CELLS, 1)),
        n_times=np.full(N_CELLS, 1e6),
    )


def _row(agreements: list[Agreement], r_low: float, *, is_dust: bool = False) -> Agreement:
    return next(row for row in agreements if row.r_low == r_low and row.is_dust == is_dust)


@pytest.mark.parametrize("bias", [0.0, 0.2, -0.05])
def test_known_bias_is_reported(bias: float) -> None:
    agreements, cells = compare([_reference()], _toy(bias=bias))
    assert len(agreements) > 5
    for row in agreements:
        assert row.bias == pytest.approx(bias, abs=1e-9)
        assert row.scatter == pytest.approx(0.0, abs=1e-7)
        assert row.time_distance == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(cells["ratio"], bias, atol=1e-9)


def test_scatter_is_reported_without_the_statistical_errors() -> None:
    references = [_reference(noise=0.04, scatter=0.1, seed=k) for k in range(6)]
    agreements, _ = compare(references, _toy())
    row = _row(agreements, 30.0)
    assert row.n_cells > 2000
    assert row.scatter == pytest.approx(0.1, abs=4.5 * 0.108 / (2 * row.n_cells) ** 0.5)
    assert row.bias == pytest.approx(0.0, abs=4.5 * 0.108 / row.n_cells**0.5)


def test_cells_whose_repeats_happen_to_agree_do_not_become_scatter() -> None:
    # true errors around 10 %, so that about half of the cells are known well enough
    references = [_reference(noise=0.1, seed=k) for k in range(8)]
    _, cells = compare(references, _toy())
    first, second = cells["first"], cells["second"]
    together = (first - first.mean()) * (second - second.mean())
    assert first.size > 5000
    assert abs(together.mean()) < 4 * together.std() / first.size**0.5
    # had they been chosen by their own repeats:
    lucky = [
        np.log(light.halves[:, (light.error < 0.08e-6) & (_errors(0.1) > 0.1)] / 1e-6)
        for light in references
    ]
    first, second = np.concatenate(lucky, axis=1)
    assert np.mean(first * second) > 0.04**2


def test_errors_that_are_known_badly_do_not_become_scatter() -> None:
    rng = np.random.default_rng(5)
    references = [
        replace(whole, error=whole.error * rng.chisquare(9, N_CELLS) ** 0.5 / 3.0)
        for whole in (_reference(noise=0.06, seed=k) for k in range(6))
    ]
    row = _row(compare(references, _toy())[0], 30.0)
    assert 1000 < row.n_cells < 20_000
    assert row.scatter < 0.02


def test_expected_errors_are_the_true_ones() -> None:
    _, cells = compare([_reference(noise=0.05)], _toy())
    true = dict(zip(_cosines(), _errors(0.05)[: N_CELLS // N_R : N_AZIMUTH], strict=True))
    wanted = [true[cosine] for cosine in cells["cosine"]]
    # 112 cells with ten repeats each are known to a twentieth
    np.testing.assert_allclose(cells["error"], wanted, rtol=0.25)
    assert np.mean(cells["error"] / wanted) == pytest.approx(1.0, abs=0.03)


def _cosines() -> list[float]:
    return list(0.5 * (COS_EDGES[1:] + COS_EDGES[:-1]))


def test_wrong_times_are_reported_as_the_distance_of_the_distributions() -> None:
    agreements, cells = compare([_reference()], _toy(mean=200.0))
    inner = TIME_EDGES[1:-1]
    expected = np.abs(np.exp(-inner / 100.0) - np.exp(-inner / 200.0)).max()
    assert _row(agreements, 60.0).time_distance == pytest.approx(expected, abs=1e-9)
    assert _row(agreements, 60.0).n_times == _row(agreements, 60.0).n_cells
    np.testing.assert_allclose(cells["time_distance"], expected, atol=1e-9)


def test_cells_with_few_times_or_unknown_light_are_left_out() -> None:
    whole = _reference()
    few = replace(whole, n_times=np.full(N_CELLS, 1999.0))
    agreements, cells = compare([few], _toy())
    assert np.isnan(cells["time_distance"]).all()
    assert all(row.n_times == 0 and np.isnan(row.time_distance) for row in agreements)
    half = np.arange(N_CELLS) % 2 == 0
    odd_ring = np.arange(N_CELLS) // (N_CELLS // N_R) % 2 == 0
    _, all_cells = compare([whole], _toy())
    for change in (
        {"error": np.where(odd_ring, 2e-7, 0.0)},
        {"halves": np.where([half, half], 0.0, 1e-6)},
        {"halves": np.stack([np.where(half, 0.0, 1e-6), np.full(N_CELLS, 1e-6)])},
    ):
        _, cells = compare([replace(whole, **change)], _toy())
        assert cells["r"].size == pytest.approx(all_cells["r"].size / 2, rel=0.05)


def test_source_without_any_known_light_is_no_error() -> None:
    dark = replace(_reference(), halves=np.zeros((2, N_CELLS)))
    agreements, cells = compare([dark], _toy())
    assert agreements == []
    assert cells["r"].size == 0
    with_another, _ = compare([dark, _reference()], _toy(bias=0.1))
    assert with_another[0].bias == pytest.approx(0.1)
    assert np.isnan(flow_ratio(cells)).all()


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(UsageError, match="no simulated light"):
        compare([], _toy())


def test_cells_are_sorted_by_distance_and_ice() -> None:
    agreements, cells = compare([_reference(CLEAN_Z), _reference(DUST_Z)], _toy())
    middle = np.unique(0.5 * (R_EDGES[1:] + R_EDGES[:-1]))
    assert set(np.unique(cells["r"])) <= set(middle)
    assert cells["r"].max() < 300.0
    in_dust = cells["is_dust"] == 1
    assert np.all(in_dust[cells["source"] == 1])  # the source itself
    near = (cells["source"] == 0) & (cells["r"] < 150.0)
    assert not in_dust[near].any()
    assert in_dust[(cells["source"] == 0) & (cells["r"] > 280.0)].any()
    assert sum(row.n_cells for row in agreements) == cells["r"].size
    counts = [np.sum((cells["r"] >= 10.0) & (cells["r"] < 30.0) & ~in_dust)]
    assert _row(agreements, 10.0).n_cells == counts[0]


def test_cells_above_and_below_the_modules_are_left_out() -> None:
    _, deep = compare([_reference(-560.0)], _toy())
    _, middle = compare([_reference(CLEAN_Z)], _toy())
    assert 0.3 < deep["r"].size / middle["r"].size < 0.9


def test_cosines_are_those_of_the_cells() -> None:
    _, cells = compare([_reference()], _toy())
    assert np.unique(cells["cosine"]).size == N_COS
    assert np.isnan(cells["flow"][np.abs(cells["cosine"]) > 0.9]).all()
    level = cells["flow"][np.abs(cells["cosine"]) < 0.5]
    assert np.all((level >= 0) & (level <= 1))


def test_error_along_the_flow_is_reported() -> None:
    references = [_reference(CLEAN_Z + k, seed=k) for k in range(4)]
    _, cells = compare(references, _toy(along_flow=0.3))
    ratio, error = flow_ratio(cells, r_low=30.0, r_high=100.0)
    assert 0.27 < np.log(ratio) < 0.3 + 1e-9  # cells are so wide that they see both sides
    assert error < 0.02
    ratio, _ = flow_ratio(compare(references, _toy(bias=0.3))[1], r_low=30.0, r_high=100.0)
    assert ratio == pytest.approx(1.0)


# --- simulated reference ---


@pytest.fixture(scope="module")
def sources() -> Sources:
    drawn = draw_sources(0, 2, 77)
    return Sources(drawn.xyz * 0.3, drawn.direction)


def test_reference_is_the_mean_of_repeats_and_its_error_their_spread(
    tmp_path: Path, sources: Sources
) -> None:
    seen: list[tuple[int, int]] = []
    lights = simulate_reference(
        tmp_path,
        sources,
        ICE,
        n_photons=300,
        n_repeats=4,
        seed=5,
        report=lambda *done: seen.append(done),
    )
    assert seen == [(1, 2), (2, 2)]
    medium = make_medium(ICE)
    runs = [
        propagate(
            sources.xyz[1],
            sources.direction[1],
            medium,
            n_photons=300,
            seed=(5, 1, k),
            kill=0.4,
            record_times=True,
        )
        for k in range(4)
    ]
    fluence = np.array([run.fluence for run in runs])
    light = lights[1]
    np.testing.assert_allclose(light.fluence, fluence.mean(axis=0))
    np.testing.assert_allclose(light.halves[1], fluence[2:].mean(axis=0))
    np.testing.assert_allclose(light.error, fluence.std(axis=0, ddof=1) / 4**0.5)
    times = np.sum([run.times for run in runs], axis=0)
    hit = times.sum(axis=1) > 0
    np.testing.assert_allclose(light.times[hit].sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(
        light.times[hit], times[hit] / times[hit].sum(axis=1, keepdims=True), atol=1e-6
    )
    squared = np.sum([run.squared for run in runs], axis=0)
    np.testing.assert_allclose(light.n_times[hit], times[hit].sum(axis=1) ** 2 / squared[hit])
    assert not light.n_times[~hit].any()
    assert light.fluence.shape == (N_CELLS,)
    assert light.fluence.reshape(N_R, -1).sum(axis=1)[0] > 0


def test_reference_that_exists_is_kept_and_that_of_other_sources_refused(
    tmp_path: Path, sources: Sources
) -> None:
    settings: dict[str, Any] = {"n_photons": 20, "n_repeats": 2, "seed": 5}
    first = simulate_reference(tmp_path, sources, ICE, **settings)
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    again = simulate_reference(tmp_path, sources, ICE, **settings, n_threads=1)
    assert before == [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    np.testing.assert_array_equal(first[0].fluence, again[0].fluence)
    other = Sources(sources.xyz + 1.0, sources.direction)
    with pytest.raises(UsageError, match="another source"):
        simulate_reference(tmp_path, other, ICE, **settings)


@pytest.mark.parametrize(
    ("ice", "change"),
    [
        (ICE, {"n_photons": 21}),
        (ICE, {"n_repeats": 4}),
        (ICE, {"seed": 6}),
        (IceModel.load("spice_ftp-v3m"), {}),
    ],
)
def test_reference_of_other_settings_is_refused(
    tmp_path: Path, sources: Sources, ice: IceModel, change: dict[str, int]
) -> None:
    settings: dict[str, Any] = {"n_photons": 20, "n_repeats": 2, "seed": 5}
    simulate_reference(tmp_path, sources, ICE, **settings)
    with pytest.raises(UsageError, match="another reference"):
        simulate_reference(tmp_path, sources, ice, **(settings | change))


@pytest.mark.parametrize("n_repeats", [0, 1, 3])
def test_repeats_without_two_halves_are_refused(
    tmp_path: Path, sources: Sources, n_repeats: int
) -> None:
    with pytest.raises(UsageError, match="repeats"):
        simulate_reference(tmp_path, sources, ICE, n_photons=20, n_repeats=n_repeats, seed=5)


@pytest.mark.parametrize("damage", ["truncated", "text", "without an array"])
def test_damaged_reference_is_refused(tmp_path: Path, sources: Sources, damage: str) -> None:
    settings: dict[str, Any] = {"n_photons": 20, "n_repeats": 2, "seed": 5}
    simulate_reference(tmp_path, sources, ICE, **settings)
    path = tmp_path / "source-0001.npz"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "text":
        path.write_text("light\n")
    else:
        np.savez(path, xyz=sources.xyz[1], direction=sources.direction[1])
    with pytest.raises(FormatError, match="source-0001") as caught:
        simulate_reference(tmp_path, sources, ICE, **settings)
    assert "remove it to make it again" in str(caught.value)
