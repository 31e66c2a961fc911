from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from skymap_scanner.exceptions import OutputError, ResultError
from skymap_scanner.result.manifest import ScanManifest, manifest_path, read_manifest
from skymap_scanner.result.regions import region_summary
from synthetic_maps import EVENT, gaussian, scan

if TYPE_CHECKING:
    from pathlib import Path


class Failure(NamedTuple):
    nside: int
    ipix: int
    reasons: tuple[str, ...]


def test_manifest_says_what_failed_and_why(tmp_path: Path) -> None:
    result = scan(gaussian(1.0, 0.5, 0.3), ((8, 0),))
    manifest = ScanManifest(
        EVENT,
        is_complete=True,
        scan_metadata={"reco_algo": "dummy", "nsides": (8,), "unknown": float("nan")},
        progress={"rate": 12.5},
        failed=[Failure(8, 77, ("timeout after 1800 s", "timeout after 1800 s"))],
        region=region_summary(result, "dummy"),
        files={"npz": tmp_path / "a.npz"},
    )
    path = manifest.write(tmp_path)
    assert path.name == "run00127907.evt000020178442.HESE_scan-manifest.json"
    document = read_manifest(path)
    assert document == manifest.to_dict()
    assert document["failed"] == [
        {"nside": 8, "ipix": 77, "reasons": ["timeout after 1800 s", "timeout after 1800 s"]}
    ]
    assert document["n_failed"] == 1
    assert document["scan_metadata"] == {"reco_algo": "dummy", "nsides": [8], "unknown": None}
    assert document["region"]["level_rule"] == "wilks"
    assert document["files"] == {"npz": "a.npz"}


def test_a_cut_list_keeps_the_count(tmp_path: Path) -> None:
    manifest = ScanManifest(EVENT, is_complete=False, n_failed=12_345)
    assert read_manifest(manifest.write(tmp_path))["n_failed"] == 12_345


def test_nothing_is_written_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        ScanManifest(EVENT, is_complete=True).write(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a scan manifest"),
        ('{"schema": 2}', "not a scan manifest"),
        (json.dumps({**ScanManifest(EVENT, is_complete=True).to_dict(), "failed": [1]}), "failed"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = manifest_path(EVENT, tmp_path)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ResultError, match=reason) as caught:
        read_manifest(path)
    assert path.name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot be read"):
        read_manifest(tmp_path / "nothing.json")
