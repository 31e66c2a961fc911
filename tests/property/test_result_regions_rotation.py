"""A map that is turned on the sky keeps its areas, whichever pixels it then falls on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymap_scanner.result.levels import CLASSIC, HPD, HPD_FLOOR, WILKS, LevelRule
from skymap_scanner.result.regions import find_regions
from skymap_scanner.sky.healpix import unit_vectors
from skymap_scanner.units import DEG, FloatArray
from synthetic_maps import gaussian, scan

#: Two lobes of different width, 4 deg apart, somewhere on the sky; the second is less likely.
ONE, OTHER = (0.5, 0.1), (0.5, 0.1 + 4.0 * DEG)


def turned(at: tuple[float, float], rotation: FloatArray) -> tuple[float, float]:
    x, y, z = rotation @ unit_vectors(*at)
    return float(np.arctan2(y, x)), float(np.arcsin(np.clip(z, -1.0, 1.0)))


def rotation_of(axis: tuple[float, float], angle: float) -> FloatArray:
    x, y, z = unit_vectors(*axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)


def areas(rule: LevelRule, rotation: FloatArray) -> list[float]:
    wide = gaussian(*turned(ONE, rotation), 0.8 * DEG)
    narrow = gaussian(*turned(OTHER, rotation), 0.5 * DEG, lowest=1001.0)

    def surface(ra: FloatArray, dec: FloatArray) -> FloatArray:
        return np.asarray(-np.logaddexp(-wide(ra, dec), -narrow(ra, dec)))

    regions = find_regions(scan(surface, ((16, 0), (64, 60), (512, 200))), rule)
    return [regions.area(probability) / DEG**2 for probability in (0.5, 0.9)]


REFERENCE = {rule: areas(rule, np.eye(3)) for rule in (CLASSIC, HPD, HPD_FLOOR, WILKS)}


@pytest.mark.parametrize("rule", ["classic", "hpd", "hpd with floor", "wilks"])
@settings(max_examples=5)
@given(
    ra=st.floats(0, 2 * np.pi),
    dec=st.floats(-np.pi / 2, np.pi / 2),
    angle=st.floats(0, 2 * np.pi),
)
@example(ra=0.5 - np.pi / 2, dec=0.0, angle=np.pi / 2 - 0.1)
def test_areas_do_not_depend_on_the_place(rule: str, ra: float, dec: float, angle: float) -> None:
    chosen = {"classic": CLASSIC, "hpd": HPD, "hpd with floor": HPD_FLOOR, "wilks": WILKS}[rule]
    found = areas(chosen, rotation_of((ra, dec), angle))
    # contours count whole pixels and start from the best one, not from the minimum between pixels
    tolerance = 0.02 if chosen.is_posterior else 0.06
    assert found == pytest.approx(REFERENCE[chosen], rel=tolerance)
