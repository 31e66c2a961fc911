"""Machine code is kept per state of the sources, and numba's own settings are left alone."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import TYPE_CHECKING

import numba
import numpy as np
import pytest

from skymap_scanner import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _fresh_folder() -> Iterator[None]:
    compiled._cache_folder.cache_clear()
    yield
    compiled._cache_folder.cache_clear()


def test_another_source_means_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "light").mkdir()
    source = tmp_path / "light" / "optics.py"
    monkeypatch.setattr(compiled, "_PACKAGE", tmp_path)
    folders = set()
    for text in ("N = 1.3", "N = 1.4", "N = 1.3"):
        source.write_text(text)
        compiled._cache_folder.cache_clear()
        folders.add(compiled._cache_folder(str(tmp_path / "wanted")))
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {tmp_path / "wanted"}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Where machine code could be kept; a file in the way of each but the temporary folder."""
    for name in ("package", "home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(compiled, "_PACKAGE", tmp_path / "package")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    places = {
        "wanted": tmp_path / "wanted",
        "package": tmp_path / "package" / "__pycache__",
        "home": tmp_path / "home" / ".cache",
    }
    for place in places.values():
        place.touch()
    return places | {"tmp": tmp_path / "tmp" / f"skymap-scanner-{os.getuid()}"}


@pytest.mark.parametrize(
    ("free", "below"),
    [("wanted", "."), ("package", "."), ("home", "skymap-scanner"), ("tmp", ".")],
)
def test_folder_is_in_the_first_place_that_can_be_written(
    places: dict[str, Path], free: str, below: str
) -> None:
    places[free].unlink(missing_ok=True)
    folder = compiled._cache_folder(str(places["wanted"]))
    assert folder.parent == places[free] / below
    assert folder.is_dir()


def test_the_users_cache_is_where_the_desktop_says(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "desktop"))
    assert compiled._cache_folder("").parent == tmp_path / "desktop" / "skymap-scanner"


def test_the_temporary_folder_is_for_us_alone(places: dict[str, Path]) -> None:
    compiled._cache_folder("")
    assert stat.S_IMODE(places["tmp"].stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["of others", "writable", "link"])
def test_machine_code_that_others_could_have_written_is_not_run(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    if trap == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        places["tmp"].symlink_to(tmp_path / "theirs")
    else:
        places["tmp"].mkdir()
        places["tmp"].chmod(0o777 if trap == "writable" else 0o700)
    if trap == "of others":
        uid = os.getuid()
        monkeypatch.setattr("os.getuid", lambda: uid + 1)
        places["tmp"].rename(places["tmp"].with_name(f"skymap-scanner-{uid + 1}"))
    folder = compiled._cache_folder("")
    assert folder.parent == places["tmp"].parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder != compiled._passing_folder()


def test_decorating_leaves_the_settings_of_numba_as_they_were() -> None:
    before = vars(numba.config)["CACHE_DIR"]

    @compiled.kernel
    def double(x: float) -> float:
        return 2.0 * x

    assert double(2.0) == double.py_func(2.0) == 4.0
    assert vars(numba.config)["CACHE_DIR"] == before


def test_division_by_zero_follows_numpy() -> None:
    @compiled.kernel
    def divide(x: float, y: float) -> float:
        return x / y

    assert divide(1.0, 0.0) == np.inf


def test_fused_kernel_agrees_to_rounding() -> None:
    @compiled.fused_kernel
    def polynomial(x: float) -> float:
        return 0.1 + x * (0.2 + x * 0.3)

    assert polynomial(0.7) == pytest.approx(polynomial.py_func(0.7), rel=1e-15)
