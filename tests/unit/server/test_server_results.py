from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import OutputError
from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict
from skymap_scanner.result import SkyScanResult
from skymap_scanner.scan.state import ScanState
from skymap_scanner.server.manifest import make_manifest
from skymap_scanner.server.results import ResultFiles

if TYPE_CHECKING:
    from skymap_scanner.result.manifest import ScanManifest
    from skymap_scanner.server.preparation import ScanPlan

TIMES = {"wall_s": 1.0, "cpu_s": 2.0, "fit_s": 0.5}


@pytest.fixture
def pixels() -> NSidesDict:
    rows = np.zeros(12, PIXEL_DTYPE)
    rows["index"], rows["llh"] = np.arange(12), np.arange(12)[::-1]
    return NSidesDict.from_arrays({1: rows})


def manifest_of(plan: ScanPlan, result: SkyScanResult) -> ScanManifest:
    state = ScanState(plan.progression, plan.n_variations)
    return make_manifest(plan, state, result, times=TIMES, end="")


class FullDisk:
    """Makes every attempt to write into some folders fail like a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
        sync = os.fsync

        def fail(handle: int) -> None:
            path = str(Path(f"/proc/self/fd/{handle}").readlink())
            if any(path.startswith(str(folder)) for folder in folders):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(handle)

        monkeypatch.setattr("skymap_scanner.files.os.fsync", fail)


def test_partial_results_are_replaced_by_the_final_one(plan: ScanPlan, pixels: NSidesDict) -> None:
    files = ResultFiles(plan)
    partial = files.result_of(pixels, is_complete=False)
    files.write_partial(partial, manifest_of(plan, partial))
    path = plan.folders.result_file(".npz")
    assert not SkyScanResult.read_npz(path).header.is_complete
    assert plan.folders.manifest.exists()
    written = files.write_final(files.result_of(pixels, is_complete=True))
    assert written["npz"] == path
    result = SkyScanResult.read_npz(path)
    assert result.header.is_complete
    assert result == SkyScanResult.read_json(written["json"])
    header = result.header
    assert (header.event_metadata.run_id, header.event_metadata.event_id) == (1, 1)
    assert (header.reco_algo, header.event_metadata.is_real_event) == ("dummy", False)


@pytest.mark.parametrize("is_complete", [False, True])
def test_no_picture_of_another_map_stays_beside_a_result(
    plan: ScanPlan, pixels: NSidesDict, *, is_complete: bool
) -> None:
    ours = [plan.folders.result_file(f"_{kind}.png") for kind in ("all_sky", "zoom")]
    another = plan.folders.output / "run00000001.evt000000000001.None_8_zoom.png"
    for picture in (*ours, another):
        picture.touch()
    files = ResultFiles(plan)
    result = files.result_of(pixels, is_complete=is_complete)
    if is_complete:
        files.write_final(result)
    else:
        files.write_partial(result, manifest_of(plan, result))
    assert [picture.exists() for picture in ours] == [False, False]
    assert another.exists()


def test_only_a_complete_map_replaces_a_complete_one(plan: ScanPlan, pixels: NSidesDict) -> None:
    first = ResultFiles(plan)
    complete = first.result_of(pixels, is_complete=True)
    first.write_final(complete)
    plan.folders.picture("zoom").touch()
    again = ResultFiles(plan)
    partial = again.result_of(pixels, is_complete=False)
    for _ in range(2):
        again.write_partial(partial, manifest_of(plan, partial))
    kept = plan.folders.result_file("_previous.npz")
    assert SkyScanResult.read_npz(kept) == complete
    assert plan.folders.result_file("_previous.json").exists()
    assert plan.folders.result_file("_previous_zoom.png").exists()
    assert not SkyScanResult.read_npz(plan.folders.result_file(".npz")).header.is_complete
    again.write_final(complete)
    assert not list(plan.folders.output.glob("*previous*"))


def test_a_partial_map_never_replaces_the_complete_one_of_a_scan_beside(
    plan: ScanPlan, pixels: NSidesDict
) -> None:
    ours, theirs = ResultFiles(plan), ResultFiles(plan)
    partial = ours.result_of(pixels, is_complete=False)
    ours.write_partial(partial, manifest_of(plan, partial))
    complete = theirs.result_of(pixels, is_complete=True)
    theirs.write_final(complete)
    manifest_of(plan, complete).write(plan.folders.output)
    assert ours.has_complete_map()
    ours.write_partial(partial, manifest_of(plan, partial))
    assert not ours.has_complete_map()
    assert SkyScanResult.read_npz(plan.folders.result_file("_previous.npz")) == complete
    assert plan.folders.result_file("_previous_scan-manifest.json").exists()


def test_nothing_is_written_before_there_are_pixels(plan: ScanPlan) -> None:
    files = ResultFiles(plan)
    empty = files.result_of(NSidesDict(), is_complete=False)
    files.write_partial(empty, manifest_of(plan, empty))
    assert list(plan.folders.output.iterdir()) == []


def test_full_disk_while_the_scan_runs_is_a_warning(
    plan: ScanPlan,
    pixels: NSidesDict,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = ResultFiles(plan)
    partial = files.result_of(pixels, is_complete=False)
    FullDisk(monkeypatch, plan.folders.output)
    with caplog.at_level(logging.WARNING):
        files.write_partial(partial, manifest_of(plan, partial))
    assert "No space left on device" in caplog.text
    assert "the scan goes on" in caplog.text
    assert list(plan.folders.output.iterdir()) == []


def test_full_disk_at_the_end_keeps_the_result_in_the_cache(
    plan: ScanPlan, pixels: NSidesDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ResultFiles(plan)
    FullDisk(monkeypatch, plan.folders.output)
    with pytest.raises(OutputError, match="nothing is lost") as caught:
        files.write_final(files.result_of(pixels, is_complete=True))
    assert caught.value.exit_code == 1
    path = plan.folders.result_file(".npz")
    assert str(path) in str(caught.value)
    kept = plan.folders.cache / path.name
    assert str(kept) in str(caught.value)
    assert SkyScanResult.read_npz(kept).header.is_complete


def test_full_disk_everywhere_names_the_file(
    plan: ScanPlan, pixels: NSidesDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ResultFiles(plan)
    FullDisk(monkeypatch, Path("/"))
    with pytest.raises(OutputError) as caught:
        files.write_final(files.result_of(pixels, is_complete=True))
    assert str(plan.folders.result_file(".npz")) in str(caught.value)
    assert "nothing is lost" not in str(caught.value)


def test_manifest_records_settings_versions_and_times(plan: ScanPlan, pixels: NSidesDict) -> None:
    result = ResultFiles(plan).result_of(pixels, is_complete=True)
    document = manifest_of(plan, result).to_dict()
    settings = document["scan_metadata"]
    assert settings["reco_algo"] == "dummy"
    assert settings["progression"] == "1:0 2:4"
    assert settings["detector"] == "IceCube-86 built-in"
    assert {"skymap-scanner", "python", "numpy", "numba"} <= set(settings["versions"])
    assert document["progress"]["cpu_s"] == 2.0
    assert document["progress"]["started"] == "2024-05-06T00:00:00+00:00"
