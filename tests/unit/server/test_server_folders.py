from __future__ import annotations

import os
from pathlib import Path

import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.server.folders import Folders, make_folder
from skymap_scanner.server.preparation import make_scan_id

NAME = "run00000001.evt000000000002.None"


def folders(output: Path, cache: Path, **settings: object) -> Folders:
    return Folders.of_scan(
        output=output,
        cache=cache,
        event_name=NAME,
        nsides=(8, 64),
        reco_name="dummy",
        settings=settings,
    )


def test_results_are_named_by_event_and_nsides(tmp_path: Path) -> None:
    made = folders(tmp_path / "out", tmp_path / "cache")
    assert made.result_file(".npz") == tmp_path / "out" / f"{NAME}_8_64.npz"
    assert made.manifest == tmp_path / "out" / f"{NAME}_scan-manifest.json"


def test_cache_has_one_folder_per_event_and_one_in_it_per_settings(tmp_path: Path) -> None:
    one = folders(tmp_path, tmp_path, a=1)
    same = folders(tmp_path, tmp_path, a=1)
    other = folders(tmp_path, tmp_path, a=2)
    assert one.cache == same.cache
    assert one.cache != other.cache
    assert one.cache.parent == other.cache.parent == tmp_path / NAME


def test_relative_and_equal_folders_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = folders(Path("here"), Path("here"))
    assert made.output == tmp_path / "here"
    assert made.cache.is_dir()


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"--output-dir: cannot write into folder .*/file"
    ) as caught:
        make_folder(tmp_path / "file", option="--output-dir")
    assert caught.value.exit_code == 2


def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    # root may write everywhere, except where the kernel itself says no
    folder = Path("/sys") if os.geteuid() == 0 else tmp_path
    with pytest.raises(UsageError, match=r"Permission denied|Read-only file system"):
        make_folder(folder, option="--output-dir")


def test_scan_ids_differ_by_suffix_and_stay_short() -> None:
    nsides = tuple(2**order for order in range(12))
    first, second = (make_scan_id(136662, 35405932, nsides, 1_700_000_000, s) for s in ("aa", "bb"))
    assert first != second
    assert len(first) <= 64
    assert first.startswith("136662-35405932-1-to-2048-1700000000")
