from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.plot.coverage import CoverageCurve, CoveragePoint, plot_coverage

if TYPE_CHECKING:
    from pathlib import Path

UNIFORM = CoverageCurve("uniform", np.random.default_rng(1).random(50))


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
)
def test_a_picture_of_coverage_is_drawn(tmp_path: Path, suffix: str, magic: bytes) -> None:
    expected = np.linspace(0.0, 1.0, 50)
    path = plot_coverage(
        [UNIFORM, CoverageCurve("all in the best pixel", np.zeros(3))],
        tmp_path / f"pp{suffix}",
        bands=[(expected, expected - 0.1, expected + 0.1)],
        points=[CoveragePoint(0.5, 0.55, 0.5, 0.6), CoveragePoint(0.9, 0.88, 0.8, 0.93)],
        title="a test",
    )
    data = path.read_bytes()
    assert data.startswith(magic)
    without = plot_coverage([UNIFORM], tmp_path / f"plain{suffix}").read_bytes()
    assert without != data


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such picture format"):
        plot_coverage([UNIFORM], tmp_path / "pp.gif")
