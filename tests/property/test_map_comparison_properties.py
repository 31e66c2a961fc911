"""A map compared with itself agrees in everything; who is the reference does not matter to much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.result.map_comparison import compare_results
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, scan

if TYPE_CHECKING:
    from skymap_scanner.result import SkyScanResult

PROGRESSION = ((4, 0), (16, 12), (64, 24))


@st.composite
def scans(draw: st.DrawFn) -> SkyScanResult:
    """Gaussian maps of all sizes near one place, with the rules of all reconstructions."""
    ra, dec = draw(st.floats(-0.3, 0.3)), draw(st.floats(1.2, 1.5))
    sigma = draw(st.floats(0.3, 20.0)) * DEG
    reco = draw(st.sampled_from(["dummy", "millipede_original", "millipede_wilks", "splinempe"]))
    return scan(gaussian(ra, dec, sigma), PROGRESSION, reco_algo=reco)


@settings(max_examples=15)
@given(scans())
def test_a_map_agrees_with_itself(result: SkyScanResult) -> None:
    found = compare_results(result, result)
    assert found.separation_deg == 0.0
    assert found.overlap90_of_union == pytest.approx(1.0, rel=1e-12)
    assert (found.a.delta_llh_at_other, found.b.delta_llh_at_other) == (0.0, 0.0)
    assert all(level.rank_correlation == pytest.approx(1.0) for level in found.levels)
    assert found.nearby is not None
    assert found.nearby.n_pixels > 3
    assert found.nearby.rank_correlation == pytest.approx(1.0)
    assert (found.nearby.slope, found.nearby.rms_llh) == (1.0, 0.0)
    # the energies of these maps are made up, and may all be negative: not known
    assert {found.nearby.energy_in_ratio, found.nearby.energy_total_ratio} <= {1.0, None}
    # whole cells count: at least the 90 %
    if found.a.level_rule == "hpd":
        assert found.a.probability_in_other90 >= 0.9 - 1e-9
    assert found.is_same_event


@settings(max_examples=15)
@given(scans(), scans())
def test_exchanging_the_maps_exchanges_the_figures(a: SkyScanResult, b: SkyScanResult) -> None:
    # the whole sky: otherwise "near" is near another best fit
    there = compare_results(a, b, radius_deg=180.0)
    back = compare_results(b, a, radius_deg=180.0)
    assert there.separation_deg == pytest.approx(back.separation_deg, abs=1e-12)
    assert there.overlap90_deg2 == pytest.approx(back.overlap90_deg2, abs=1e-12)
    assert there.overlap90_of_union == pytest.approx(back.overlap90_of_union)
    for mine, theirs in ((there.a, back.b), (there.b, back.a)):
        assert mine.delta_llh_at_other == theirs.delta_llh_at_other
        assert mine.probability_in_other90 == pytest.approx(theirs.probability_in_other90)
        assert (mine.area90_deg2, mine.index) == (theirs.area90_deg2, theirs.index)
    assert [level.n_pixels for level in there.levels] == [level.n_pixels for level in back.levels]
    for one, other in zip(there.levels, back.levels, strict=True):
        assert one.rank_correlation == pytest.approx(other.rank_correlation)
    assert there.nearby is not None
    assert back.nearby is not None
    assert there.nearby.rms_llh == pytest.approx(back.nearby.rms_llh)
    assert there.nearby.slope is not None
    assert back.nearby.slope is not None
    # Cauchy and Schwarz
    assert 0.0 <= there.nearby.slope * back.nearby.slope <= 1.0 + 1e-12
    # regions overlap by no more than they are
    assert 0.0 <= there.overlap90_of_union <= 1.0
    assert (there.overlap90_deg2 > 0.0) == (there.overlap90_of_union > 0.0)
    assert -1e-12 <= there.a.probability_in_other90 <= 1.0 + 1e-9
