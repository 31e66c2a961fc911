"""Questions without answer, and tables of another kind: refused by the light of spline tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError, InputError
from skymap_scanner.light.optics import N_GROUP
from skymap_scanner.light.photospline import SplineTable
from skymap_scanner.light.spline_light import SplineLight
from spline_tables import DELAYS, HEADER, RANGES, amplitude_table, synthetic_table, time_table

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: A source, its direction, a module.
SOURCE, UP, OM = np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([10.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def light() -> SplineLight:
    return SplineLight(amplitude_table(), time_table())


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
        SplineLight(_with_header(amplitude_table(), **{key: value}), time_table())


@pytest.mark.parametrize("value", [0.9, 2.5, "nan", "fast"])
def test_impossible_group_indices_are_refused(value: object) -> None:
    with pytest.raises(FormatError, match="N_GROUP"):
        SplineLight(amplitude_table(), _with_header(time_table(), N_GROUP=value))


def test_odd_tables_are_read_when_the_azimuth_is_told() -> None:
    odd = _with_header(amplitude_table(), PARITY=1)
    SplineLight(odd, _with_header(time_table(), PARITY=1), azimuth_zero="above")


def test_headers_may_be_text_or_absent() -> None:
    def index_with(**keywords: Any) -> float:
        amplitude = _with_header(amplitude_table(), **keywords)
        return SplineLight(amplitude, _with_header(time_table(), **keywords)).n_group

    nothing: dict[str, Any] = dict.fromkeys(HEADER)
    assert index_with(**{key: str(value) for key, value in HEADER.items()}) == 1.34
    assert index_with(**nothing) == N_GROUP
    assert index_with(**nothing, NGROUP=1.36) == 1.36


def test_axes_in_another_order_are_refused() -> None:
    def zero(*x: FloatArray) -> FloatArray:
        return np.zeros(x[0].shape)

    cylinder = [(0.0, 400.0), (0.0, 180.0), (-500.0, 500.0), (-500.0, 500.0), (0.0, 180.0)]
    with pytest.raises(FormatError, match="dimension 2"):
        SplineLight(synthetic_table(zero, cylinder, [1] * 5, {}), time_table())
    delay_last = [*RANGES, DELAYS]
    with pytest.raises(FormatError, match="dimension 5"):
        SplineLight(amplitude_table(), synthetic_table(zero, delay_last, [1] * 6, {}))


def test_an_azimuth_that_is_neither_below_nor_above_is_refused() -> None:
    sideways: Any = "sideways"
    with pytest.raises(InputError, match="azimuth_zero"):
        SplineLight(amplitude_table(), time_table(), azimuth_zero=sideways)
