from __future__ import annotations

import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.result.levels import CLASSIC, HPD, HPD_FLOOR, WILKS, rule_for, wilks_ts


def test_wilks_levels_are_the_known_ones() -> None:
    assert wilks_ts(0.5) == pytest.approx(1.386, abs=5e-4)
    assert wilks_ts(0.9) == pytest.approx(4.605, abs=5e-4)
    assert wilks_ts(0.9973002) == pytest.approx(11.829, abs=5e-4)


def test_classic_levels_are_the_published_ones() -> None:
    assert (CLASSIC.ts_level(0.5), CLASSIC.ts_level(0.9)) == (22.2, 64.2)
    with pytest.raises(UsageError, match="do not have this probability"):
        CLASSIC.ts_level(0.68)


@pytest.mark.parametrize(
    ("reco_algo", "rule"),
    [
        ("millipede_original", CLASSIC),
        ("MillipedeWilks", HPD),
        ("splinempe", HPD_FLOOR),
        ("SplineMPE_pointed", HPD_FLOOR),
        ("dummy", WILKS),
        ("", WILKS),
    ],
)
def test_every_reconstruction_has_its_rule(reco_algo: str, rule: object) -> None:
    assert rule_for(reco_algo, entries=[]) is rule


def test_the_floor_of_track_fits_is_a_fifth_of_a_degree() -> None:
    assert HPD_FLOOR.floor_deg == 0.2
    assert HPD.floor_deg == 0.0


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 90.0, float("nan")])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    with pytest.raises(UsageError, match="not a probability"):
        wilks_ts(probability)
