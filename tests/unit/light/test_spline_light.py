"""Light from synthetic photospline tables of which every value is known."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError
from skymap_scanner.light.geometry import source_geometry
from skymap_scanner.light.interface import Light
from skymap_scanner.light.optics import N_REF
from skymap_scanner.light.spline_light import SplineLight
from skymap_scanner.units import DEG, LIGHT_SPEED
from spline_tables import (
    DELAYS,
    HEADER,
    RANGES,
    TIME_RANGES,
    WEIGHTS,
    amplitude_table,
    synthetic_table,
    time_table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.units import FloatArray


@pytest.fixture(scope="module")
def light() -> SplineLight:
    return SplineLight(amplitude_table(), time_table())


def _direction(zenith: float, azimuth: float) -> FloatArray:
    """Travel of a particle that comes from there."""
    return -np.array(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)]
    )


def _module_at(
    source: FloatArray, zenith: float, azimuth: float, look: tuple[float, float, float]
) -> FloatArray:
    """Put a module at a distance, an azimuth from the lower side [deg], and a cosine.

    The frame is built by turning a cascade that travels along x, whose lower side is -z.
    """
    r, phi_deg, cos = look
    sin = np.sqrt(1.0 - cos**2)
    phi = np.radians(phi_deg)
    along_x = r * np.array([cos, sin * np.sin(phi), -sin * np.cos(phi)])
    tilt = zenith - np.pi / 2.0  # of the direction of travel above the horizon
    pitch = np.array([[np.cos(tilt), 0, -np.sin(tilt)], [0, 1, 0], [np.sin(tilt), 0, np.cos(tilt)]])
    yaw = azimuth + np.pi
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    return np.asarray(source + turn @ pitch @ along_x)


PLACES = st.fixed_dictionaries(
    {
        "zenith": st.floats(0.01, np.pi - 0.01),
        "azimuth": st.floats(0.0, 2 * np.pi),
        "z": st.floats(-500.0, 500.0),
        "look": st.tuples(st.floats(1.0, 399.0), st.floats(0.0, 180.0), st.floats(-0.999, 0.999)),
        "side": st.sampled_from([1.0, -1.0]),
    }
)


@given(place=PLACES)
def test_charge_is_the_tables_value_at_the_coordinates_of_the_module(
    light: SplineLight, place: dict[str, Any]
) -> None:
    source = np.array([30.0, -70.0, place["z"]])
    r, phi, cos = place["look"]
    om = _module_at(source, place["zenith"], place["azimuth"], (r, place["side"] * phi, cos))
    direction = _direction(place["zenith"], place["azimuth"])
    wanted = WEIGHTS @ [r, phi, cos, place["z"], place["zenith"] / DEG]
    charge = light.expected_charge(source, direction, om, 1.35)
    assert np.log(charge / 1.35) == pytest.approx(wanted, abs=2e-5)  # float32, and acos near 0


def test_azimuth_is_zero_below_the_axis_or_above_where_that_is_told() -> None:
    above = SplineLight(amplitude_table(), time_table(), azimuth_zero="above")
    below = SplineLight(amplitude_table(), time_table(), azimuth_zero="below")
    modules = np.array([[0.0, 0.0, -50.0], [0.0, 0.0, 50.0]])
    question = (np.zeros(3), np.array([1.0, 0.0, 0.0]), modules, 1.0)
    ratio = np.exp(WEIGHTS[1] * 180.0)
    low, high = below.expected_charge(*question)
    assert high / low == pytest.approx(ratio, rel=1e-4)
    low, high = above.expected_charge(*question)
    assert low / high == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_vertical_cascades_have_an_answer(light: SplineLight, sign: float) -> None:
    direction = np.array([0.0, 0.0, sign])
    zenith_deg = 0.0 if sign < 0 else 180.0
    wanted = WEIGHTS @ [20.0, 0.0, 1.0, 5.0, zenith_deg]
    ahead = np.array([0.0, 0.0, 5.0 + sign * 20.0])
    charge = light.expected_charge([0.0, 0.0, 5.0], direction, ahead, 1.0)
    assert np.log(charge) == pytest.approx(wanted, abs=1e-4)
    nearly = [1e-9, 0.0, sign]
    assert light.expected_charge([0.0, 0.0, 5.0], nearly, [9.0, 8.0, 0.0], 1.0) > 0.0


@given(place=PLACES)
@settings(max_examples=50)
def test_distribution_is_the_tables_over_its_last_value(
    light: SplineLight, place: dict[str, Any]
) -> None:
    source = np.array([30.0, -70.0, place["z"]])
    om = _module_at(source, place["zenith"], place["azimuth"], place["look"])
    direction = _direction(place["zenith"], place["azimuth"])
    r, phi, cos = place["look"]
    edges = np.array([-np.inf, -500.0, 1.0, 20.0, 300.0, 1500.0, 5000.0, np.inf])
    cdf = light.time_cdf(source, direction, om, edges)
    # the same photons have a smaller delay where light is thought to be slower
    delay = edges + r * (N_REF - 1.34) / LIGHT_SPEED
    at = np.array([[r, phi, cos, t, place["z"], place["zenith"] / DEG] for t in delay])
    value = time_table().evaluate(at)
    np.testing.assert_allclose(cdf[2:6], value[2:6] / value[-1], atol=1e-4)
    assert cdf[:2].tolist() == [0.0, 0.0]
    assert cdf[6:].tolist() == [1.0, 1.0]


def test_density_is_the_slope_of_the_distribution(light: SplineLight) -> None:
    source, direction = [0.0, 0.0, 0.0], [0.6, 0.0, -0.8]
    om = np.array([[30.0, 10.0, 20.0], [-150.0, 80.0, 20.0]])
    times = np.linspace(-150.0, 2500.0, 40001)
    density = light.time_density(source, direction, om, times)
    cdf = light.time_cdf(source, direction, om, times)
    middle = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(times)
    grown = np.cumsum(middle, axis=1)
    np.testing.assert_allclose(grown, cdf[:, 1:] - cdf[:, :1], atol=2e-4)
    assert density[:, 0].tolist() == density[:, -1].tolist() == [0.0, 0.0]


def test_light_at_the_first_delay_is_a_step() -> None:
    def half(*x: FloatArray) -> FloatArray:
        return np.asarray(0.5 + 0.25 * x[3] / DELAYS[1])

    light = SplineLight(
        amplitude_table(),
        synthetic_table(half, TIME_RANGES, [1] * 6, HEADER | {"N_GROUP": N_REF}),
    )
    question = (np.zeros(3), [1.0, 0.0, 0.0], [10.0, 0.0, 0.0])
    cdf = light.time_cdf(*question, [-0.001, 0.0, 1000.0, 2000.0])
    np.testing.assert_allclose(cdf, [0.0, 0.5 / 0.75, 0.625 / 0.75, 1.0])
    density = light.time_density(*question, [-1.0, 1000.0])
    np.testing.assert_allclose(density, [0.0, 0.25 / 1500.0], rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, -1.0])
def test_a_table_without_light_gives_uniform_delays(level: float) -> None:
    def dark(*x: FloatArray) -> FloatArray:
        return np.full(x[0].shape, level)

    light = SplineLight(
        amplitude_table(),
        synthetic_table(dark, TIME_RANGES, [1] * 6, HEADER | {"N_GROUP": N_REF}),
    )
    question = (np.zeros(3), [1.0, 0.0, 0.0], [10.0, 0.0, 0.0])
    np.testing.assert_allclose(light.time_cdf(*question, [0.0, 500.0, 3000.0]), [0.0, 0.25, 1.0])
    np.testing.assert_allclose(light.time_density(*question, [500.0, 3000.0]), [0.0005, 0.0])


def test_a_table_that_falls_gives_no_negative_probability() -> None:
    def wavy(*x: FloatArray) -> FloatArray:
        return np.asarray(0.5 + 0.5 * np.cos(x[3] / 200.0))

    light = SplineLight(amplitude_table(), synthetic_table(wavy, TIME_RANGES, [2] * 6, HEADER))
    question = (np.zeros(3), [1.0, 0.0, 0.0], [10.0, 0.0, 0.0])
    times = np.linspace(-10.0, 2100.0, 500)
    cdf, density = light.time_cdf(*question, times), light.time_density(*question, times)
    assert (np.diff(cdf) >= 0.0).all()
    assert (density >= 0.0).all()
    assert 0.0 <= cdf.min() <= cdf.max() <= 1.0


def test_beyond_the_largest_distance_there_is_no_charge(light: SplineLight) -> None:
    om = np.array([[399.9, 0.0, 0.0], [400.1, 0.0, 0.0], [1e6, 0.0, 0.0]])
    charge = light.expected_charge(np.zeros(3), [1.0, 0.0, 0.0], om, 1.0)
    assert charge[0] > 0.0
    assert charge[1:].tolist() == [0.0, 0.0]


FAR = st.floats(-1e4, 1e4)


@given(source=st.tuples(FAR, FAR, FAR), om=st.tuples(FAR, FAR, FAR), zenith=st.floats(0.0, 3.2))
def test_answers_are_finite_everywhere(
    light: SplineLight, source: tuple[float, ...], om: tuple[float, ...], zenith: float
) -> None:
    if np.linalg.norm(np.subtract(source, om)) == 0.0:
        return
    direction = _direction(zenith, 1.0)
    charge = light.expected_charge(source, direction, om, 1.0)
    assert np.isfinite(charge)
    assert charge >= 0.0
    cdf = light.time_cdf(source, direction, om, [-1e3, 0.0, 1.0, 1e3, 1e9])
    assert (np.diff(cdf) >= 0.0).all()
    assert 0.0 <= cdf[0] <= cdf[-1] == 1.0
    density = light.time_density(source, direction, om, [-1e3, 0.0, 1.0, 1e3, 1e9])
    assert (np.isfinite(density) & (density >= 0.0)).all()


def test_shapes_broadcast(light: SplineLight) -> None:
    rng = np.random.default_rng(3)
    source = rng.normal(0.0, 50.0, (4, 1, 3))
    direction = np.array([0.0, 0.6, 0.8])
    om = rng.normal(0.0, 100.0, (5, 3))
    edges = np.sort(rng.uniform(0.0, 900.0, (4, 1, 7)), axis=-1)
    efficiency = rng.uniform(1.0, 1.35, 5)
    charge = light.expected_charge(source, direction, om, efficiency)
    cdf = light.time_cdf(source, direction, om, edges)
    density = light.time_density(source, direction, om, edges[0, 0])
    assert charge.shape == (4, 5)
    assert cdf.shape == density.shape == (4, 5, 7)
    for i, j in np.ndindex(4, 5):
        one = (source[i, 0], direction, om[j])
        assert charge[i, j] == light.expected_charge(*one, efficiency[j])
        np.testing.assert_array_equal(cdf[i, j], light.time_cdf(*one, edges[i, 0]))
        np.testing.assert_array_equal(density[i, j], light.time_density(*one, edges[0, 0]))
    assert light.expected_charge(source[0, 0], direction, om[0], [1.0, 2.0]).shape == (2,)
    assert light.expected_charge(source[:0], direction, om, efficiency).shape == (0, 5)
    assert light.time_cdf(source[0, 0], direction, om[0], []).shape == (0,)


def test_it_is_a_light(light: SplineLight) -> None:
    def ask(model: Light) -> FloatArray:
        return model.expected_charge(np.zeros(3), [0.0, 0.0, 1.0], [10.0, 0.0, 0.0], 1.0)

    assert isinstance(light, Light)
    assert ask(light) > 0.0


def test_a_pair_of_files_is_opened_and_named_in_errors(tmp_path: Path, light: SplineLight) -> None:
    names = [tmp_path / "cascade.abs.fits", tmp_path / "cascade.prob.fits"]
    for table, name in zip((amplitude_table(), time_table()), names, strict=True):
        table.write(name)
    opened = SplineLight.open(*names)
    question = ([np.zeros(3), np.ones(3)], [0.0, 0.0, 1.0], [10.0, 0.0, 0.0])
    np.testing.assert_array_equal(
        opened.expected_charge(*question, 1.0), light.expected_charge(*question, 1.0)
    )
    np.testing.assert_array_equal(
        opened.time_cdf(*question, [1.0, 30.0]), light.time_cdf(*question, [1.0, 30.0])
    )
    with pytest.raises(FormatError, match=r"prob\.fits.*amplitude table.*found 6, wanted 5"):
        SplineLight.open(names[1], names[0])


def test_what_the_page_tells_users_to_check_runs(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def light_up(*x: FloatArray) -> FloatArray:  # more above the axis, and for up-going cascades
        return np.asarray(0.01 * x[1] + 0.01 * x[4] - 0.05 * x[0])

    synthetic_table(light_up, RANGES, [2] * 5, HEADER).write(tmp_path / "NAME.abs.fits")
    time_table().write(tmp_path / "NAME.prob.fits")
    page = (root / "docs/how-to/official-photon-tables.md").read_text(encoding="utf-8")
    (tmp_path / "check.py").write_text(page.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    runpy.run_path("check.py")
    zenith, azimuth, last = capsys.readouterr().out.splitlines()
    assert float(zenith.removeprefix("zenith: ")) == pytest.approx(np.exp(1.8), rel=1e-3)
    assert float(azimuth.removeprefix("azimuth: ")) == pytest.approx(np.exp(1.8), rel=1e-3)
    zenith_deg = 180.0 - np.degrees(np.arccos(0.3))
    charge = np.exp(0.01 * zenith_deg - 0.05 * 31.0) * (np.exp(1.8) - 1.0) / 1.8
    assert float(last.split()[1]) == pytest.approx(charge, rel=0.01)


def test_charge_never_overflows() -> None:
    def huge(*x: FloatArray) -> FloatArray:
        return np.full(x[0].shape, 1e30)

    light = SplineLight(synthetic_table(huge, RANGES, [1] * 5, {}), time_table())
    assert np.isfinite(light.expected_charge(np.zeros(3), [0.0, 0.0, 1.0], [10.0, 0.0, 0.0], 1.0))


def test_geometry_keeps_the_coordinates_of_a_slanted_cascade() -> None:
    source = np.array([1.0, 2.0, 3.0])
    om = _module_at(source, 1.1, 0.4, (25.0, 70.0, -0.3))
    look = source_geometry(source, _direction(1.1, 0.4), om)
    np.testing.assert_allclose(look, [25.0, 70.0 * DEG, -0.3, 3.0, 1.1], rtol=1e-12)
