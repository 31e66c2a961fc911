"""Machine code is kept per state of the sources, and numba's own settings are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import pytest

from skymap_scanner.recos import compiled

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


def test_folder_is_in_the_users_cache_where_the_package_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled._cache_folder("").parent == tmp_path / "skymap-scanner"


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
