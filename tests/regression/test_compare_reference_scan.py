"""The figures by which our map of IC220524A is judged, for the reference scan itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from skymap_scanner.result.map_comparison import compare_results
from skymap_scanner.result.sky_map import read_sky_map

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared


def test_the_reference_scan_is_like_itself(shared: Path) -> None:
    path = shared / "expected" / "IC220524A_millipede_original_8_64_512.npz"
    reference = read_sky_map(path, "millipede_original")
    found = compare_results(reference, reference)
    assert (found.separation_deg, found.b.level_rule) == (0.0, "classic")
    assert [level.n_pixels for level in found.levels] == [768, 832, 1543]
    # as many pixels as earlier work counted there
    assert found.nearby is not None
    assert (found.nearby.nside, found.nearby.n_pixels) == (64, 92)
    assert found.nearby.slope == 1.0
    assert found.b.energy_in == pytest.approx(6154.0, abs=1.0)
    assert found.b.energy_total == pytest.approx(11048.0, abs=1.0)
