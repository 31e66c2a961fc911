"""Files go to and fro between this package and ``icecube-skyreader`` without a number changing.

``icecube-skyreader`` needs pandas < 3 and therefore an environment of its own; its Python is named
by ``SKYMAP_SCANNER_SKYREADER_PYTHON``.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from skymap_scanner.pixels import NSidesDict
from skymap_scanner.result import EventMetadata, SkyScanResult, from_nsides_dict
from synthetic_maps import gaussian, pixel_rows, scan

pytestmark = pytest.mark.skyreader

#: Run by the other Python: reads our files, says what it found, writes the same with its own code.
READ_AND_WRITE_AGAIN: Final = """
import json, sys
from pathlib import Path
import numpy as np
from skyreader import SkyScanResult
npz, js, folder = sys.argv[1:4]
one, other = SkyScanResult.read_npz(npz), SkyScanResult.read_json(js)
report = {}
for name, result in (("npz", one), ("json", other)):
    event = result.get_event_metadata()
    report[name] = {
        "event": str(event), "mjd": event.mjd, "is_real": bool(event.is_real_event),
        "version": int(event.version), "nsides": [int(n) for n in result.nsides],
        "complete": bool(result.result[f"nside-{result.nsides[0]}"].dtype.metadata["complete"]),
        "best_fit": [float(v) for v in result.best_fit], "best_dir": [float(a) for a in result.best_dir],
        "llh_at_best": float(result.llh(*result.best_dir)[0]),
    }
    np.savez(Path(folder) / f"seen_in_{name}.npz", **{k: np.array(v.tolist()) for k, v in result.result.items()})
report["is_close"] = bool(one.is_close(other))
report["is_equal"] = bool(one == other)
out = Path(folder) / "written"
out.mkdir()
report["npz_written"] = str(one.to_npz(one.get_event_metadata(), out))
report["json_written"] = str(other.to_json(other.get_event_metadata(), out))
print(json.dumps(report))
"""  # noqa: E501  # a program of another environment

#: Run by the other Python: makes results of both classic versions and writes them.
WRITE_CLASSIC: Final = """
import json, sys
from pathlib import Path
import numpy as np
from skyreader import EventMetadata, SkyScanResult
folder = Path(sys.argv[1])
paths = []
for version in (0, 1):
    event = EventMetadata(127907, 20178442 + version, "HESE", 57517.64, True, version)
    metadata = {"run_id": 127907, "event_id": 20178442 + version, "mjd": 57517.64, "event_type": "HESE",
                "is_real_event": True, "version": version, "complete": True}
    result = {}
    for nside in (8, 64):
        dtype = np.dtype(SkyScanResult.PIXEL_TYPES[version], metadata={**metadata, "nside": nside})
        rows = [(i, 100.0 + abs(i - 300) / nside, 10.5 * i, 0.0, 1.5, -2.5, float("nan"), 1e4)[: len(dtype)]
                for i in range(200, 400)]
        result[f"nside-{nside}"] = np.array(rows, dtype)
    made = SkyScanResult(result)
    paths += [str(made.to_npz(event, folder)), str(made.to_json(event, folder))]
    plain = folder / f"no_header_{version}.npz"
    np.savez(plain, **{k: np.array(v.tolist(), SkyScanResult.PIXEL_TYPES[version]) for k, v in result.items()})
    paths.append(str(plain))
print(json.dumps(paths))
"""  # noqa: E501  # a program of another environment


@pytest.fixture(scope="module")
def skyreader_python() -> str:
    """The Python that has ``icecube-skyreader``."""
    python = os.environ.get("SKYMAP_SCANNER_SKYREADER_PYTHON")
    if not python:
        pytest.skip("needs icecube-skyreader: SKYMAP_SCANNER_SKYREADER_PYTHON is not set")
    return python


def run(python: str, program: str, *arguments: object) -> Any:
    done = subprocess.run(
        [python, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


REAL = EventMetadata(127907, 20178442, "HESE", 57517.64354153215, is_real_event=True)
SIMULATED = EventMetadata(1, 2, None, 59000.25, is_real_event=False)


@pytest.mark.parametrize(
    ("event", "has_energies"),
    [(REAL, True), (SIMULATED, False)],
    ids=["real, with energies", "simulated, without energies"],
)
def test_it_reads_ours_and_we_read_what_it_writes(
    tmp_path: Path, skyreader_python: str, event: EventMetadata, *, has_energies: bool
) -> None:
    tables = scan(gaussian(3.0, 0.7, 0.01)).result
    arrays = {int(key.removeprefix("nside-")): table.copy() for key, table in tables.items()}
    for table in arrays.values():
        table["llh"][5] = np.nan  # a failed pixel
        if not has_energies:
            table["E_in"] = table["E_tot"] = np.nan
    result = from_nsides_dict(
        NSidesDict.from_arrays(arrays),
        is_complete=True,
        event_metadata=event,
        reco_algo="splinempe",
        reco_options={"gamma": 0.7},
    )
    npz, js = result.to_npz(output_dir=tmp_path), result.to_json(output_dir=tmp_path)
    report = run(skyreader_python, READ_AND_WRITE_AGAIN, npz, js, tmp_path)

    for name in ("npz", "json"):
        seen = report[name]
        assert seen["event"] == str(event)
        assert (seen["mjd"], seen["is_real"], seen["version"]) == (
            event.mjd,
            event.is_real_event,
            1,
        )
        assert seen["nsides"] == result.nsides
        assert seen["complete"] is True
        np.testing.assert_array_equal(seen["best_fit"], list(result.best_fit.item())[1:])
        assert seen["best_dir"] == pytest.approx(result.best_dir, abs=1e-12)
        assert seen["llh_at_best"] == result.min_llh
        with np.load(tmp_path / f"seen_in_{name}.npz") as pixels:
            assert set(pixels.files) == set(result.result)
            for key, table in result.result.items():
                np.testing.assert_array_equal(pixels[key], [list(row) for row in table.tolist()])
    assert report["is_close"] is True
    assert report["is_equal"] is has_energies  # NaN is never equal there

    for back in (
        SkyScanResult.read_npz(report["npz_written"]),
        SkyScanResult.read_json(report["json_written"]),
    ):
        assert back == result
        assert back.header == result.header
    # its names are ours
    assert Path(report["npz_written"]).name == npz.name


def test_we_read_both_classic_versions(tmp_path: Path, skyreader_python: str) -> None:
    for path in map(Path, run(skyreader_python, WRITE_CLASSIC, tmp_path)):
        read = SkyScanResult.read_json if path.suffix == ".json" else SkyScanResult.read_npz
        result = read(path)
        assert result.nsides == [8, 64]
        assert result.best_fit[["nside", "index"]].tolist() == (64, 300)
        ipix = np.arange(200, 400)
        wanted = pixel_rows(ipix, 100.0 + np.abs(ipix - 300) / 8)
        table = result.get_results_per_nside(8)
        np.testing.assert_array_equal(table["index"], ipix)
        np.testing.assert_array_equal(table["llh"], wanted["llh"])
        np.testing.assert_array_equal(table["E_in"], 10.5 * ipix)
        has_vertex = "442" not in path.name and "_0" not in path.name
        assert np.isnan(table["Z"]).all()
        assert np.isfinite(table["X"]).all() == has_vertex
        if not path.name.startswith("no_header"):
            event = result.get_event_metadata()
            assert (event.run_id, event.event_type, event.mjd) == (127907, "HESE", 57517.64)
            assert event.is_real_event
