"""Inputs of the networks, column by column, against slow numpy from the ice model itself."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.light import inputs as module
from skymap_scanner.light.angles import emission_table
from skymap_scanner.light.ice import ICE_MODELS, IceModel
from skymap_scanner.light.inputs import (
    MAX_DISTANCE,
    MIN_DISTANCE,
    Pairs,
    om_inputs,
    pair_inputs,
    pair_tables,
    source_inputs,
)
from skymap_scanner.light.optics import angular_acceptance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

ICE = IceModel.load()
TABLES = pair_tables(ICE, emission_table())
FLOW = np.array([np.cos(130 * DEG), np.sin(130 * DEG)])


def _mean(ice: IceModel, low: float, high: float) -> tuple[float, float]:
    """Average scattering and absorption between heights [1/m], from many points."""
    z = low + (high - low) * (np.arange(20_000) + 0.5) / 20_000
    return float(ice.scattering(z).mean()), float(ice.absorption(z).mean())


def _end(ice: IceModel, z: float) -> list[float]:
    """What a source or module alone tells: averages in 13 windows, and the height."""
    edges = [-180, -120, -80, -50, -30, -15, -5, 5, 15, 30, 50, 80, 120, 180]
    height = min(max(z, -830.0), 830.0)
    means = [_mean(ice, height + a, height + b) for a, b in pairwise(edges)]
    scattering, absorption = np.log(means).T
    return [*(scattering + 3.5), *(absorption + 4.7), height / 500.0]


def _blurred_acceptance(ice: IceModel, z: float) -> float:
    """Mean acceptance over directions about one of component z, kernel of 40 deg."""
    angle, turn = np.meshgrid(
        np.pi * (np.arange(1000) + 0.5) / 1000, 2 * np.pi * (np.arange(100) + 0.5) / 100
    )
    weight = np.exp((np.cos(angle) - 1) / (40 * DEG) ** 2) * np.sin(angle)
    up = z * np.cos(angle) + math.sqrt(max(1 - z * z, 0)) * np.sin(angle) * np.cos(turn)
    return float(np.average(angular_acceptance(up, ice.angular_acceptance), weights=weight))


def _pair(ice: IceModel, source: FloatArray, axis: FloatArray, om: FloatArray) -> list[float]:
    """What a pair tells, 21 numbers; `source` and `om` with their untilted heights."""
    line = om[:3] - source[:3]
    distance = float(np.linalg.norm(line))
    line = axis if distance < 1e-9 else line / distance
    r = min(max(distance, MIN_DISTANCE), MAX_DISTANCE)
    low, high = min(source[3], om[3]), max(source[3], om[3])
    b, a = _mean(ice, low - 2, high + 2)
    b_wide, a_wide = _mean(ice, low - 30, high + 30)
    cosine = float(np.clip(line @ axis, -1.0, 1.0))
    emission = emission_table().astype(np.float64)
    nodes = np.linspace(-1.0, 1.0, len(emission))
    along, across = line[:2] @ FLOW, FLOW[0] * line[1] - FLOW[1] * line[0]
    axis_along, axis_across = axis[:2] @ FLOW, FLOW[0] * axis[1] - FLOW[1] * axis[0]
    accepted = float(angular_acceptance(line[2], ice.angular_acceptance))
    blurred, straight = _blurred_acceptance(ice, line[2]), math.exp(-3 * b * r)
    stretch = along**2 - across**2
    return [
        math.log(r) - 4,
        r / 100,
        math.log(b) + 3.5,
        math.log(a) + 4.7,
        0.2 * r * math.sqrt(3 * a * (b + a)),
        math.log(b * r + 0.05),
        b * r / 10,
        cosine,
        *[float(np.interp(cosine, nodes, emission[:, k])) + 3 for k in range(3)],
        line[2],
        math.log(_above_none(accepted)) + 1,
        math.log(b_wide) + 3.5,
        math.log(a_wide) + 4.7,
        stretch,
        stretch * r / 100,
        along * axis_along - across * axis_across,
        math.log(blurred) + 1,
        axis[2] - cosine * line[2],
        math.log(_above_none(straight * accepted + (1 - straight) * blurred)) + 1,
    ]


def _above_none(accepted: float) -> float:
    """Acceptance with a smooth floor."""
    return 0.5 * accepted + math.sqrt(0.25 * accepted**2 + 1e-4)


def _falling(ice: IceModel, source: FloatArray, om: FloatArray) -> float:
    distance = max(float(np.linalg.norm(om[:3] - source[:3])), MIN_DISTANCE)
    low, high = min(source[3], om[3]), max(source[3], om[3])
    b, a = _mean(ice, low - 2, high + 2)
    beyond = max(distance - MAX_DISTANCE, 0.0)
    return -2 * math.log(distance) - beyond * math.sqrt(3 * a * (b + a))


def _geometries() -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Sources, axes and modules: anywhere, and what is special."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(25):
        source = rng.uniform(-700, 700, 3)
        axis = rng.normal(size=3)
        om = source + rng.normal(size=3) * 10 ** rng.uniform(-0.5, 2.5)
        rows.append((source, axis / np.linalg.norm(axis), om))
    up, here = np.array([0.0, 0.0, 1.0]), np.array([10.0, 20.0, -350.0])
    return [
        *rows,
        (here, up, here),  # no distance
        (here, up, here + 0.3 * up),  # nearer than 1 m
        (here, up, here + 100 * up),  # on the axis
        (here, up, here - 100 * up),  # behind, seen by the dark side
        (here, -up, here + np.array([0.0, 50.0, 0.0])),  # level
        (here, up, here + np.array([470.0, 100.0, 30.0])),  # just beyond the range
        (here, up, here + np.array([2000.0, 0.0, 0.0])),
        (np.array([0, 0, 848.0]), up, np.array([0, 5.0, 900.0])),  # above the known layers
        (np.array([0, 0, -845.0]), up, np.array([9.0, 0, -1000.0])),  # below
    ]


def _pairs(ice: IceModel) -> Pairs:
    source, axis, om = (np.array(part) for part in zip(*_geometries(), strict=True))
    index = np.arange(len(source))
    return Pairs(
        np.column_stack([source, ice.effective_z(source)]),
        np.column_stack([om, ice.effective_z(om)]),
        axis,
        index,
        index,
    )


@pytest.mark.parametrize("name", ICE_MODELS)
def test_inputs_of_pairs_are_those_of_the_formulae(name: str) -> None:
    ice = IceModel.load(name)
    pairs = _pairs(ice)
    found, falling = pair_inputs(pairs, pair_tables(ice, emission_table()))
    assert found.shape == (len(pairs.source), 21)
    assert found.dtype == falling.dtype == np.float32
    for k in range(len(found)):
        expected = _pair(ice, pairs.source[k], pairs.direction[k], pairs.om[k])
        np.testing.assert_allclose(found[k], expected, atol=2e-4, rtol=2e-5, err_msg=f"pair {k}")
        assert falling[k] == pytest.approx(
            _falling(ice, pairs.source[k], pairs.om[k]), rel=1e-4, abs=1e-5
        )


def test_inputs_of_ends_are_those_of_the_formulae() -> None:
    z = np.array([-1000.0, -850.0, -700.3, -350.0, -60.0, 0.0, 211.1, 700.0, 835.0, 1e5])
    axes = np.random.default_rng(2).normal(size=(z.size, 3))
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    sources, modules = source_inputs(z, axes, TABLES), om_inputs(z, TABLES)
    assert sources.shape == (z.size, 30)
    assert modules.shape == (z.size, 28)
    for k in range(z.size):
        end = _end(ICE, z[k])
        along = axes[k, :2] @ FLOW
        across = FLOW[0] * axes[k, 1] - FLOW[1] * axes[k, 0]
        expected = [*end, axes[k, 2], along**2 - across**2, axes[k, 2] ** 2]
        np.testing.assert_allclose(sources[k], expected, atol=2e-4, err_msg=f"z {z[k]}")
        np.testing.assert_allclose(modules[k], [*end, end[-1] ** 2], atol=2e-4)


def test_pairs_are_looked_up_by_their_indices() -> None:
    pairs = _pairs(ICE)
    n = len(pairs.source)
    plain, falling = pair_inputs(pairs, TABLES)
    rng = np.random.default_rng(3)
    order = rng.integers(n, size=700)
    mixed, mixed_falling = pair_inputs(pairs._replace(source_index=order, om_index=order), TABLES)
    np.testing.assert_allclose(mixed, plain[order], atol=1e-6)
    np.testing.assert_allclose(mixed_falling, falling[order], rtol=1e-6)
    crossed, _ = pair_inputs(
        pairs._replace(source_index=np.array([3]), om_index=np.array([5])), TABLES
    )
    expected = _pair(ICE, pairs.source[3], pairs.direction[3], pairs.om[5])
    np.testing.assert_allclose(crossed[0], expected, atol=2e-4, rtol=2e-5)


def test_no_pairs_have_no_inputs() -> None:
    none = np.zeros(0, np.int64)
    found, falling = pair_inputs(_pairs(ICE)._replace(source_index=none, om_index=none), TABLES)
    assert found.shape == (0, 21)
    assert falling.shape == (0,)


@pytest.mark.parametrize("far", [1e3, 1e5, 1e8, 1e12])
def test_inputs_are_finite_and_bounded_wherever_the_ends_are(far: float) -> None:
    rng = np.random.default_rng(4)
    ends = rng.uniform(-far, far, (2, 50, 4))
    axis = np.tile([0.0, 0.6, 0.8], (50, 1))
    index = np.arange(50)
    found, falling = pair_inputs(Pairs(ends[0], ends[1], axis, index, index), TABLES)
    assert np.all(np.isfinite(found))
    assert np.abs(found).max() < 100
    assert np.all(np.isfinite(falling))
    assert np.all(falling <= 0)


@pytest.mark.parametrize("kernel", ["_fill_windows", "fill_pair_inputs"])
def test_compiled_inputs_are_those_of_the_functions_as_written(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = _pairs(ICE)

    def run() -> list[np.ndarray]:
        ends = om_inputs(pairs.om[:, 3].copy(), TABLES)
        return [ends, *pair_inputs(pairs, TABLES)]

    fast = run()
    monkeypatch.setattr(module, kernel, getattr(module, kernel).py_func)
    for a, b in zip(fast, run(), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-6, rtol=2e-6)


def test_emission_has_the_published_angles() -> None:
    # fractions of light within angles of the axis, 128 wavelengths: density is that of bins of
    # half a degree, so that edges are off by less than a bin's light
    log_density = emission_table().astype(np.float64)
    cosine = np.linspace(-1, 1, len(log_density))
    cells = (
        np.exp(0.5 * (log_density[1:] + log_density[:-1])) * 2 * np.pi * np.diff(cosine)[:, None]
    )
    for k in range(3):
        assert cells[:, k].sum() == pytest.approx(1.0, abs=0.01)
    angles_deg = (20, 30, 50, 60, 90, 120, 150)
    expected = (0.0396, 0.1116, 0.7036, 0.8108, 0.9382, 0.9801, 0.9958)
    for angle_deg, fraction in zip(angles_deg, expected, strict=True):
        inside = cosine[1:] > np.cos(angle_deg * DEG)
        assert cells[inside, 0].sum() == pytest.approx(fraction, abs=0.005)
    middle = 0.5 * (cosine[1:] + cosine[:-1])
    assert cells[:, 0] @ middle == pytest.approx(0.62949, abs=0.005)


@pytest.mark.parametrize(("column", "width_deg"), [(1, 8.0), (2, 25.0)])
def test_blurred_emission_is_that_of_a_von_mises_fisher_kernel(
    column: int, width_deg: float
) -> None:
    # the mean cosine of a convolution on the sphere is the product of those of its parts
    log_density = emission_table().astype(np.float64)
    cosine = np.linspace(-1, 1, len(log_density))
    cells = (
        np.exp(0.5 * (log_density[1:] + log_density[:-1])) * 2 * np.pi * np.diff(cosine)[:, None]
    )
    middle = 0.5 * (cosine[1:] + cosine[:-1])
    kappa = 1 / (width_deg * DEG) ** 2
    mean = 1 / np.tanh(kappa) - 1 / kappa
    sharp, blurred = cells[:, 0] @ middle, cells[:, column] @ middle
    assert blurred / sharp == pytest.approx(mean, abs=0.005)
    assert log_density[:, column].max() < log_density[:, column - 1].max()
