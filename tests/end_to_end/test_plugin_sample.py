"""The sample plug-in package as a user has it: installed beside ours, found by its entry point.

Installing needs neither network nor a build tool: what an installer would write (the module and the
metadata with the entry points of its pyproject.toml) is put into a folder on the path.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample package installed in it."""
    source = root / "examples" / "sample_plugin"
    about = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    project = about["project"]
    folder = tmp_path_factory.mktemp("site")
    for name in about["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        (folder / name).write_bytes((source / name).read_bytes())
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        encoding="utf-8",
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(program: str, *, site: Path | None = None) -> object:
    """Run a program in a process of its own, with the folder on its path; return what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LIST = "import json; from skymap_scanner.recos import reco_names; print(json.dumps(reco_names()))"


def test_the_plug_in_is_listed_where_it_is_installed_and_nowhere_else(site: Path) -> None:
    with_it, without = run(LIST, site=site), run(LIST)
    assert isinstance(with_it, list)
    assert isinstance(without, list)
    assert set(with_it) - set(without) == {"line_fit"}


FIT = """
import json
import math
import numpy as np
from types import SimpleNamespace
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.event.pulses import PulseSeries
from skymap_scanner.recos import make_reco
from skymap_scanner.recos.runner import make_runner
from skymap_scanner.recos.seeding import make_seeds

# A plane of light that moves along a known direction with 0.2 m/ns through the whole detector.
detector = built_in_detector()
rows = np.arange(0, detector.n_om, 7)
travel = direction_vector(1.0, 2.0)
time = 10_000.0 + detector.om_xyz[rows] @ travel / 0.2
pulses = PulseSeries.from_columns(rows, time, np.ones(len(rows)), flags=np.ones(len(rows), int))
event = SimpleNamespace(pulses=pulses, detector=detector, name="toy", fits={}, stored_vertex=None)

zenith, azimuth = (grid.ravel() for grid in np.meshgrid(
    np.linspace(0.05, 3.1, 62), np.linspace(0.0, 6.2, 63), indexing="ij"))
reco = make_reco("LineFit", {"clean": "no", "sigma_m": "50"})
seeds = make_seeds(reco, event, nside=8, level=0, zenith=zenith, azimuth=azimuth,
                   parents=np.full((len(zenith), 5), np.nan))
runner = make_runner(reco, event)
fits = [runner(seed, (8, ipix, 0)) for ipix, (seed,) in enumerate(seeds)]
best = min(range(len(fits)), key=lambda ipix: fits[ipix].nll)
print(json.dumps({
    "options": reco.describe_options(),
    "all_ok": all(fit.is_ok for fit in fits),
    "cosine": float(direction_vector(zenith[best], azimuth[best]) @ travel),
    "backwards_is_worse": bool(max(fit.nll for fit in fits) > fits[best].nll),
    "vertex": fits[best].vertex,
    "centre": detector.om_xyz[rows].mean(axis=0).tolist(),
}))
"""


def test_the_plug_in_finds_the_direction_of_a_plane_wave(site: Path) -> None:
    found = run(FIT, site=site)
    assert isinstance(found, dict)
    assert found["options"] == {"sigma_m": 50.0, "clean": False}
    assert found["all_ok"]
    assert found["backwards_is_worse"]
    # The detector is not a ball: the line fit of a plane wave is off by some degrees.
    assert found["cosine"] > 0.97
    assert found["vertex"] == pytest.approx(found["centre"])


WRONG = """
import json
import math
from skymap_scanner.exceptions import UsageError
from skymap_scanner.recos import make_reco
try:
    make_reco("line_fit", {"sigma_m": "-1"})
except UsageError as error:
    print(json.dumps(str(error)))
"""


def test_its_settings_are_checked_as_ours_are(site: Path) -> None:
    message = run(WRONG, site=site)
    assert isinstance(message, str)
    for part in ("sigma_m=-1", "number >= 0.001 in m", "default 100", "line_fit"):
        assert part in message


def test_its_readme_names_what_there_is(root: Path) -> None:
    readme = (root / "examples" / "sample_plugin" / "README.md").read_text(encoding="utf-8")
    from skymap_scanner.recos.interface import RecoInterface

    named = [
        "variation_sets", "rotate_vertex", "refine_time", "add_fallback_position",
        "pointing_dir_name", "ang_dist_deg", "vertex_thresholds", "use_stored_vertex",
        "base_vertex", "warm_up", "traysegment", "to_pixelreco", "to_recopixelvariation",
    ]  # fmt: skip
    for name in named:
        assert f"`{name}" in readme
        assert hasattr(RecoInterface, name)


def test_a_whole_scan_runs_with_the_plug_in(site: Path, root: Path, tmp_path: Path) -> None:
    arguments = [
        "scan",
        str(root / "examples" / "simulated_track.json"),
        "--reco-algo",
        "LineFit",
        "--reco-option",
        "sigma_m=50",
        "--nsides",
        "4:0",
        "8:2",
        "--workers",
        "1",
        "--no-plots",
        "--json",
        "-o",
        str(tmp_path),
    ]
    program = f"import sys; from skymap_scanner.cli import main; sys.exit(main({arguments!r}))"
    found = run(program, site=site)
    assert isinstance(found, dict)
    assert found["reco_algo"] == "line_fit"
    assert found["n_failed"] == 0
    assert found["n_pixels"] > 192  # all of nside 4 but two, and their eight children
    truth = json.loads((root / "examples" / "simulated_track.truth.json").read_text("utf-8"))
    assert separation_deg(found, truth) < 10.0  # pixels are 7 deg wide


def separation_deg(found: dict[str, float], truth: dict[str, float]) -> float:
    """Return the angle between the best pixel and the simulated direction."""
    ra, dec, true_ra, true_dec = (
        math.radians(value)
        for value in (found["ra_deg"], found["dec_deg"], truth["ra_deg"], truth["dec_deg"])
    )
    cosine = math.sin(dec) * math.sin(true_dec) + math.cos(dec) * math.cos(true_dec) * math.cos(
        ra - true_ra
    )
    return math.degrees(math.acos(min(1.0, cosine)))
