"""The page of validation, from made-up maps and made-up published regions."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.result.manifest import ScanManifest
from skymap_scanner.result.regions import find_regions, region_summary
from skymap_scanner.units import DEG
from synthetic_maps import EVENT, gaussian, scan

if TYPE_CHECKING:
    from pathlib import Path

PROGRESSION = ((8, 0), (64, 24))
NAMES = ("scans", "icecat2", "icecat1", "online", "reference")
HEADER = (
    "# made up\nname,run,event,source,ra_deg,dec_deg,ra_plus,ra_minus,dec_plus,dec_minus,"
    "area50_deg2,area90_deg2\n"
)


@pytest.fixture(scope="module")
def page_module(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "benchmarks" / "validation_page.py"))


def published(module: dict[str, Any], ra_deg: float, dec_deg: float, *extents: float) -> Any:
    return module["Published"]("one", "icecat2", (1, 1), ra_deg, dec_deg, extents, (1.0, 2.0))


def write_scan(folder: Path, reco: str, *, is_complete: bool = True, **options: object) -> Path:
    """Write map and manifest of a Gaussian scan at RA 100 deg, Dec 20 deg; return the map."""
    folder.mkdir(parents=True)
    usual = make_reco(reco).describe_options()
    surface = gaussian(100.0 * DEG, 20.0 * DEG, 1.0 * DEG)
    result = scan(surface, PROGRESSION, reco_algo=reco, reco_options=usual | options)
    path = result.to_npz(output_dir=folder)
    ScanManifest(
        EVENT,
        is_complete,
        scan_metadata={
            "reco_algo": reco,
            "reco_options": usual | options,
            "versions": {"skymap-scanner": "9.9"},
        },
        progress={"cpu_s": 12.3, "started": "2026-11-27T22:00:00+00:00"},
        region=region_summary(result),
        files={"npz": path},
    ).write(folder)
    return path


def test_an_ellipse_of_four_quarters(page_module: dict[str, Any]) -> None:
    one = published(page_module, 0.5, 60.0, 4.0, 2.0, 1.0, 0.5)
    # quarters of ellipses in the plane; the parallels shrink with the cosine of the declination
    plane = 0.25 * np.pi * (4.0 + 2.0) * (1.0 + 0.5) * np.cos(60.0 * DEG)
    assert one.ellipse_area() / DEG**2 == pytest.approx(plane, rel=0.01)
    # RA and Dec [deg]: on either side of RA 0, beyond either extent, in a corner of the rectangle
    places = np.array([(4.4, 60), (4.6, 60), (358.6, 60), (358.4, 60), (4, 60.9), (0.5, 59.6)])
    inside = one.has_in_ellipse(*(places * DEG).T)
    assert inside.tolist() == [True, False, True, False, False, True]


def test_parts_of_two_regions_that_overlap(page_module: dict[str, Any]) -> None:
    regions = find_regions(scan(gaussian(100.0 * DEG, 0.0, 3.0 * DEG), PROGRESSION))
    radius_deg = np.sqrt(regions.area(0.9) / np.pi) / DEG
    shared_parts = page_module["shared_parts"]
    same = published(page_module, 100.0, 0.0, *[radius_deg] * 4)
    assert shared_parts(same, regions) == pytest.approx((1.0, 1.0), abs=0.05)
    larger = published(page_module, 100.0, 0.0, *[2.0 * radius_deg] * 4)
    assert shared_parts(larger, regions) == pytest.approx((1.0, 0.25), abs=0.01)
    elsewhere = published(page_module, 120.0, 0.0, *[radius_deg] * 4)
    assert shared_parts(elsewhere, regions) == (0.0, 0.0)


def test_the_page_holds_what_was_scanned(
    page_module: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans, page = tmp_path / "scans", tmp_path / "docs" / "page.md"
    pictures = page.parent / "pictures"
    pictures.mkdir(parents=True)
    page.write_text("".join(f"<!-- generated: {n} -->\n<!-- end generated -->\n" for n in NAMES))
    write_scan(scans / "a", "millipede_wilks")
    reference = write_scan(scans / "b", "millipede_original", late_pulse_residual=3000.0)
    write_scan(scans / "c", "splinempe", is_complete=False)
    (scans / "d").mkdir()
    event = f"here,{EVENT.run_id},{EVENT.event_id}"
    table = tmp_path / "published.csv"
    table.write_text(
        f"{HEADER}{event},icecat2,101,20,3,3,3,3,1,2\n{event},icecat1,110,20,1,1,1,1,1,2\n"
        f"other,1,2,icecat1,0,0,1,1,1,1,1,2\n{event},online,100,20,,,,,,\n"
    )
    classic = reference.rename(tmp_path / "here_reference.npz")
    write_scan(scans / "e", "millipede_original", late_pulse_residual=3000.0)
    arguments = [str(scans), "--published", str(table), "--reference", str(classic)]
    page_module["main"]([*arguments, "--page", str(page), "--pictures", str(pictures)])
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said] == ["b", "c", "d"]
    text = page.read_text()
    for words in (
        "Scans: 2, of 2026-11-27, version 9.9.",
        "|  | here (`late_pulse_residual=3000`) |",
        "| published best fit | 101.00°, +20.00° |",
        "| our best fit inside the published 90 % rectangle | yes |",
        "| our best fit inside the published 90 % rectangle | **no** |",
        "| part of our 90 % region inside the published one | 0 % |",
        "| CPU time [s] | 12 |",
        "Not scanned here with `millipede_original`: other.",
        "Not scanned here with `splinempe`: here.",
        "separation of the best fits  0.000 deg",
    ):
        assert words in text
    names = ["here_millipede_original", "here_millipede_wilks", "reference"]
    found = sorted(picture.name for picture in pictures.iterdir())
    assert found == [f"validation_{name}.png" for name in names]
    assert all(f"(pictures/{name})" in text for name in found)
    # the same again changes nothing
    page_module["main"]([*arguments, "--page", str(page), "--pictures", str(pictures)])
    assert page.read_text() == text


def test_a_page_without_markers_is_refused(page_module: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="markers"):
        page_module["fill"]("# a page", "icecat2", "body")
