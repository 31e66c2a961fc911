from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from skymap_scanner.light.cells import N_AZIMUTH, N_COS, R_EDGES, axis_frame, find_cell
from skymap_scanner.light.propagation import TIME_EDGES
from skymap_scanner.light.spots import (
    Spot,
    View,
    average_cdf,
    average_charge,
    charge_around,
    charge_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.light.model import LightModel

VIEW = View("some", 5, (2, 7))


class Given:
    """Light that is a given function of the line from the source to the module."""

    def __init__(self, charge: Callable[[Any], Any], cdf: Callable[[Any], Any] | None = None):
        self._charge, self._cdf = charge, cdf

    def expected_charge(self, source: Any, _: Any, om_xyz: Any) -> Any:
        return self._charge(om_xyz - source)

    def time_cdf(self, source: Any, _: Any, om_xyz: Any, edges: Any) -> Any:
        assert self._cdf is not None
        return np.broadcast_to(
            self._cdf(om_xyz - source)[..., None], (*om_xyz.shape[:-1], edges.size)
        )


def given(charge: Callable[[Any], Any], cdf: Callable[[Any], Any] | None = None) -> LightModel:
    return cast("LightModel", Given(charge, cdf))


def spot(axis: Any, *views: View) -> Spot:
    return Spot("here", np.array([10.0, 20.0, -30.0]), np.asarray(axis, float), views or (VIEW,))


@pytest.mark.parametrize("axis", [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.48, -0.6, 0.64]])
@pytest.mark.parametrize("cosine", [0, 5, N_COS - 1])
def test_a_view_s_directions_lie_in_its_cells_and_nowhere_else(axis: Any, cosine: int) -> None:
    view = View("some", cosine, (2, 7))
    cells = [
        find_cell(x, y, z, axis_frame(np.array(axis)))
        for x, y, z in 50.0 * view.directions(np.array(axis))
    ]
    assert {cell // N_AZIMUTH % N_COS for cell in cells} == {cosine}
    octants = [cell % N_AZIMUTH for cell in cells]
    assert octants.count(2) == octants.count(7) == len(octants) / 2


def test_angles_of_a_view_are_those_of_its_cells() -> None:
    assert View("Cherenkov", 8, (0,)).angles_deg == pytest.approx((39.5, 42.5))
    assert View("backward", 0, (0,)).angles_deg == pytest.approx((140.0, 180.0))


def test_the_mean_over_a_cell_is_that_of_its_volume() -> None:
    """Of 1/r^2 it is known: 3 (b - a) / (b^3 - a^3)."""
    inverse = given(lambda line: 1.0 / (line**2).sum(axis=-1))
    low, high = R_EDGES[:-1], R_EDGES[1:]
    cells = list(range(low.size))
    found = average_charge(inverse, spot([0.0, 1.0, 0.0]), VIEW, cells)
    assert found == pytest.approx(3.0 * (high - low) / (high**3 - low**3), rel=2e-3)
    distance = np.array([1.0, 7.0, 300.0])
    assert charge_at(inverse, spot([0.0, 1.0, 0.0]), VIEW, distance) == pytest.approx(distance**-2)


def test_times_are_averaged_with_the_charge_as_weight() -> None:
    """Two octants with different light: three quarters come from where nothing is late."""
    place = spot([0.0, 0.0, 1.0], View("two", 5, (1, 5)))
    model = given(
        lambda line: np.where(line[..., 1] > 0, 3.0, 1.0),
        lambda line: np.where(line[..., 1] > 0, 1.0, 0.2),
    )
    found = average_cdf(model, place, place.views[0], [4, 9])
    assert found.shape == (2, TIME_EDGES.size)
    assert found[:, 0] == pytest.approx(0.0)
    assert found[:, -1] == pytest.approx(1.0)
    assert found[:, 1:-1] == pytest.approx(0.75 * 1.0 + 0.25 * 0.2)


def test_an_octant_that_goes_round_smooths_what_is_uneven() -> None:
    """The mean of cos 2x over 45 degrees is smaller by sin(pi/4)/(pi/4)."""
    place = spot([0.0, 0.0, 1.0])
    model = given(lambda line: 5.0 + np.cos(2.0 * np.arctan2(line[..., 1], line[..., 0])))
    azimuth, charge = charge_around(model, place, 3, 12)
    smooth = np.sin(np.pi / 4) / (np.pi / 4)
    assert charge == pytest.approx(5.0 + smooth * np.cos(2.0 * azimuth), abs=2e-3)
    in_octant = average_charge(model, place, View("one", 3, (2,)), [12])
    assert np.interp(2.5 * np.pi / 4, azimuth, charge) == pytest.approx(in_octant[0], abs=8e-3)
