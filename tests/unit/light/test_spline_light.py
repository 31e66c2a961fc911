"""Light from synthetic photospline tables of which every value is known, and wrong questions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError, InputError
from skymap_scanner.light.geometry import source_geometry
from skymap_scanner.light.interface import Light
from skymap_scanner.light.optics import N_GROUP
from skymap_scanner.light.photospline import SplineTable
from skymap_scanner.light.spline_light import SplineLight
from skymap_scanner.units import DEG, LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.units import FloatArray

#: Ranges of the axes of the synthetic tables: r, azimuth, cosine, z, zenith; then the delay.
RANGES = [(1.0, 400.0), (0.0, 180.0), (-1.0, 1.0), (-500.0, 500.0), (0.0, 180.0)]
DELAYS = (0.0, 2000.0)
HEADER = {"GEOMETRY": 1, "GEOTYPE": 0, "PARITY": 0, "EFFICIENCY": 0x25, "N_GROUP": 1.34}
#: ln charge = these weights times the coordinates: splines of any order above 0 are exact for it.
WEIGHTS = np.array([-0.02, 0.003, 0.7, 0.001, -0.004])


def _axis(low: float, high: float, order: int, n: int = 9) -> tuple[FloatArray, FloatArray]:
    """Knots of an axis, and the places (Greville) at which coefficients of straight lines sit."""
    inner = low + (high - low) * np.linspace(0.0, 1.0, n - order + 1) ** 1.3
    knots = np.r_[[low] * order, inner, [high] * order]
    return knots, np.array([knots[i + 1 : i + order + 1].mean() for i in range(n)])


def _table(
    value: Callable[..., FloatArray],
    ranges: list[tuple[float, float]],
    orders: list[int],
    header: dict[str, Any],
) -> SplineTable:
    axes = [_axis(*pair, order) for pair, order in zip(ranges, orders, strict=True)]
    grid = np.meshgrid(*[places for _, places in axes], indexing="ij")
    return SplineTable(value(*grid), [knots for knots, _ in axes], orders, ranges, header)


def _log_charge(*x: FloatArray) -> FloatArray:
    return np.asarray(sum(w * c for w, c in zip(WEIGHTS, x, strict=True)))


def _cdf(*x: FloatArray) -> FloatArray:
    """Rising with time from 0 to a level that is not quite 1; later with distance."""
    r, _, cos, delay, _, zenith = x
    power = 0.3 + r / 800.0 + 0.05 * (1.0 - cos) + zenith / 2000.0
    return np.asarray(0.98 * (delay / DELAYS[1]) ** power)


TIME_RANGES = [*RANGES[:3], DELAYS, *RANGES[3:]]


@cache
def _amplitude() -> SplineTable:
    return _table(_log_charge, RANGES, [2, 2, 2, 2, 2], HEADER)


@cache
def _time() -> SplineTable:
    return _table(_cdf, TIME_RANGES, [2, 2, 2, 3, 2, 2], HEADER)


@pytest.fixture(scope="module")
def light() -> SplineLight:
    return SplineLight(_amplitude(), _time())


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
    above = SplineLight(_amplitude(), _time(), azimuth_zero="above")
    below = SplineLight(_amplitude(), _time(), azimuth_zero="below")
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
    delay = edges + r * (N_GROUP - 1.34) / LIGHT_SPEED
    at = np.array([[r, phi, cos, t, place["z"], place["zenith"] / DEG] for t in delay])
    value = _time().evaluate(at)
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
        _amplitude(), _table(half, TIME_RANGES, [1] * 6, HEADER | {"N_GROUP": N_GROUP})
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
        _amplitude(), _table(dark, TIME_RANGES, [1] * 6, HEADER | {"N_GROUP": N_GROUP})
    )
    question = (np.zeros(3), [1.0, 0.0, 0.0], [10.0, 0.0, 0.0])
    np.testing.assert_allclose(light.time_cdf(*question, [0.0, 500.0, 3000.0]), [0.0, 0.25, 1.0])
    np.testing.assert_allclose(light.time_density(*question, [500.0, 3000.0]), [0.0005, 0.0])


def test_a_table_that_falls_gives_no_negative_probability() -> None:
    def wavy(*x: FloatArray) -> FloatArray:
        return np.asarray(0.5 + 0.5 * np.cos(x[3] / 200.0))

    light = SplineLight(_amplitude(), _table(wavy, TIME_RANGES, [2] * 6, HEADER))
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


#: A source, its direction, a module.
SOURCE, UP, OM = np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([10.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("source", "direction", "om", "place"),
    [
        ([np.nan, 0.0, 0.0], UP, OM, "source_xyz"),
        ([np.inf, 0.0, 0.0], UP, OM, "source_xyz"),
        (SOURCE, [0.0, np.nan, 1.0], OM, "source_direction"),
        (SOURCE, UP, [0.0, 0.0, np.nan], "om_xyz"),
        (SOURCE, UP, [0.0, 0.0, -np.inf], "om_xyz"),
        (SOURCE, [0.0, 0.0, 1.001], OM, "source_direction"),
        (SOURCE, [0.0, 0.0, 0.0], OM, "source_direction"),
        (SOURCE, [1e300, 1e300, 0.0], OM, "source_direction"),
        (SOURCE, [UP, 0.5 * UP], OM, "source_direction"),
        (OM, UP, OM, "source_xyz, om_xyz"),
        (SOURCE, UP, [OM, SOURCE], "source_xyz, om_xyz"),
        ([1e300, 0.0, 0.0], UP, [-1e300, 0.0, 0.0], "source_xyz, om_xyz"),
        ([0.0, 0.0], UP, OM, "source_xyz"),
        (0.0, UP, OM, "source_xyz"),
        (SOURCE, UP, ["here", 0.0, 0.0], "om_xyz"),
        (SOURCE, UP, [[0.0], [0.0, 1.0]], "om_xyz"),
        ([SOURCE] * 2, UP, [OM] * 3, "source_xyz, source_direction, om_xyz"),
    ],
)
def test_questions_without_answer_are_refused(
    light: SplineLight, source: Any, direction: Any, om: Any, place: str
) -> None:
    for ask in (light.expected_charge, light.time_cdf, light.time_density):
        with pytest.raises(InputError) as caught:
            ask(source, direction, om, [1.0])
        assert caught.value.place == place


@pytest.mark.parametrize("efficiency", [np.nan, -0.1, np.inf, "good", [1.0, 1.0]])
def test_illegal_efficiencies_are_refused(light: SplineLight, efficiency: Any) -> None:
    with pytest.raises(InputError) as caught:
        light.expected_charge([SOURCE] * 3, UP, OM, efficiency)
    assert caught.value.place == "om_efficiency"


@pytest.mark.parametrize("edges", [[np.nan, 1.0], 1.0, "soon", [[0.0], [1.0]], [2.0, 1.0]])
def test_illegal_edges_are_refused(light: SplineLight, edges: Any) -> None:
    with pytest.raises(InputError) as caught:
        light.time_cdf([SOURCE] * 3, UP, OM, edges)
    assert caught.value.place == "edges"
    if edges != [2.0, 1.0]:  # times may come in any order
        with pytest.raises(InputError):
            light.time_density([SOURCE] * 3, UP, OM, edges)


def _with_header(table: SplineTable, **keywords: Any) -> SplineTable:
    header = {k: v for k, v in (table.keywords | keywords).items() if v is not None}
    return SplineTable(table.coefficients, table.knots, table.orders, table.extents, header)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("GEOMETRY", 2),
        ("GEOMETRY", "2"),
        ("GEOMETRY", "round"),
        ("GEOTYPE", 1),
        ("PARITY", 1),
        ("BIAS", 0.5),
        ("EFFICIENCY", 0x24),
        ("EFFICIENCY", 0x125),
        ("EFFICIENCY", 5.5),
    ],
)
def test_tables_of_another_kind_are_refused(key: str, value: object) -> None:
    with pytest.raises(FormatError, match=key):
        SplineLight(_with_header(_amplitude(), **{key: value}), _time())


@pytest.mark.parametrize("value", [0.9, 2.5, "nan", "fast"])
def test_impossible_group_indices_are_refused(value: object) -> None:
    with pytest.raises(FormatError, match="N_GROUP"):
        SplineLight(_amplitude(), _with_header(_time(), N_GROUP=value))


def test_odd_tables_are_read_when_the_azimuth_is_told() -> None:
    odd = _with_header(_amplitude(), PARITY=1)
    SplineLight(odd, _with_header(_time(), PARITY=1), azimuth_zero="above")


def test_headers_may_be_text_or_absent() -> None:
    text = {key: str(value) for key, value in HEADER.items()}
    assert (
        SplineLight(_with_header(_amplitude(), **text), _with_header(_time(), **text)).n_group
        == 1.34
    )
    nothing = dict.fromkeys(HEADER)
    bare = SplineLight(_with_header(_amplitude(), **nothing), _with_header(_time(), **nothing))
    assert bare.n_group == N_GROUP
    other = _with_header(_time(), **(nothing | {"NGROUP": 1.36}))
    assert SplineLight(_amplitude(), other).n_group == 1.36


def test_axes_in_another_order_are_refused() -> None:
    def zero(*x: FloatArray) -> FloatArray:
        return np.zeros(x[0].shape)

    cylinder = [(0.0, 400.0), (0.0, 180.0), (-500.0, 500.0), (-500.0, 500.0), (0.0, 180.0)]
    with pytest.raises(FormatError, match="dimension 2"):
        SplineLight(_table(zero, cylinder, [1] * 5, {}), _time())
    delay_last = [*RANGES, DELAYS]
    with pytest.raises(FormatError, match="dimension 5"):
        SplineLight(_amplitude(), _table(zero, delay_last, [1] * 6, {}))


def test_a_pair_of_files_is_opened_and_named_in_errors(tmp_path: Path, light: SplineLight) -> None:
    names = [tmp_path / "cascade.abs.fits", tmp_path / "cascade.prob.fits"]
    for table, name in zip((_amplitude(), _time()), names, strict=True):
        table.write(name)
    opened = SplineLight.open(*names)
    question = ([SOURCE, SOURCE + 1.0], UP, OM)
    np.testing.assert_array_equal(
        opened.expected_charge(*question, 1.0), light.expected_charge(*question, 1.0)
    )
    np.testing.assert_array_equal(
        opened.time_cdf(*question, [1.0, 30.0]), light.time_cdf(*question, [1.0, 30.0])
    )
    with pytest.raises(FormatError, match=r"prob\.fits.*amplitude table.*found 6, wanted 5"):
        SplineLight.open(names[1], names[0])


def test_charge_never_overflows() -> None:
    def huge(*x: FloatArray) -> FloatArray:
        return np.full(x[0].shape, 1e30)

    light = SplineLight(_table(huge, RANGES, [1] * 5, {}), _time())
    assert np.isfinite(light.expected_charge(SOURCE, UP, OM, 1.0))


def test_geometry_keeps_the_coordinates_of_a_slanted_cascade() -> None:
    source = np.array([1.0, 2.0, 3.0])
    om = _module_at(source, 1.1, 0.4, (25.0, 70.0, -0.3))
    look = source_geometry(source, _direction(1.1, 0.4), om)
    np.testing.assert_allclose(look, [25.0, 70.0 * DEG, -0.3, 3.0, 1.1], rtol=1e-12)
