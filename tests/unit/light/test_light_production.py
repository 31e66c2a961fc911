"""A set of simulated sources: evenly drawn, made in any order, resumed, never mixed with others."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light import production
from skymap_scanner.light.cells import N_CELLS
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.production import (
    CHUNK,
    ProductionSettings,
    draw_sources,
    produce,
)
from skymap_scanner.light.propagation import SIMULATION, LightRecord, choose_splits, propagate

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SETTINGS = ProductionSettings(n_photons=15, seed=3)


def _contents(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A production of two chunks, made by two threads; nobody writes to it."""
    folder = tmp_path_factory.mktemp("production")
    produce(folder, SETTINGS, 2 * CHUNK, n_threads=2)
    return folder


# --- where sources are ---


def test_any_part_of_the_sequence_is_a_part_of_the_whole() -> None:
    whole = draw_sources(0, 128, 1)
    for first, n in ((0, 1), (0, 5), (0, 32), (32, 32), (96, 32), (7, 50), (127, 1)):
        part = draw_sources(first, n, 1)
        np.testing.assert_array_equal(part.xyz, whole.xyz[first : first + n])
        np.testing.assert_array_equal(part.direction, whole.direction[first : first + n])
    assert not np.array_equal(draw_sources(0, 128, 2).xyz, whole.xyz)


def test_sources_lie_in_the_cylinder_and_axes_are_unit_vectors() -> None:
    sources = draw_sources(0, 1024, 1)
    assert np.hypot(*sources.xyz[:, :2].T).max() <= 600.0
    assert np.abs(sources.xyz[:, 2]).max() <= 800.0
    np.testing.assert_allclose(np.linalg.norm(sources.direction, axis=1), 1.0, atol=1e-12)


def test_sources_cover_places_and_directions_evenly() -> None:
    n = 1024
    sources = draw_sources(0, n, 1)
    x, y, z = sources.xyz.T
    assert np.mean((z > -280.0) & (z < 120.0)) == pytest.approx(0.36, abs=0.01)  # dust layer
    azimuth = np.arctan2(y, x) / (2 * np.pi) % 1
    axis_azimuth = np.arctan2(sources.direction[:, 1], sources.direction[:, 0]) / (2 * np.pi) % 1
    unit = [
        (x**2 + y**2) / 600.0**2,
        azimuth,
        np.interp(z, [-800, -620, -280, 120, 620, 800], [0, 0.07, 0.32, 0.68, 0.93, 1]),
        0.5 * (1 + sources.direction[:, 2]),
        axis_azimuth,
    ]
    for values in unit:
        # chance would leave bins of 64 with 56 to 72; the sequence fills them alike
        counts, _ = np.histogram(values, bins=16, range=(0, 1))
        assert np.abs(counts - n / 16).max() <= 2
    for i in range(5):
        for j in range(i):
            counts, _, _ = np.histogram2d(unit[i], unit[j], bins=8, range=[(0, 1)] * 2)
            assert counts.min() >= 8  # of 16; chance would leave 5
            assert counts.max() <= 24


# --- files ---


def test_chunks_hold_what_propagation_records(folder: Path) -> None:
    contents = _contents(folder / "chunk-000001.npz")
    sources = draw_sources(CHUNK, CHUNK, 3)
    np.testing.assert_array_equal(contents["xyz"], sources.xyz)
    np.testing.assert_array_equal(contents["direction"], sources.direction)
    medium = make_medium(IceModel.load())
    for k in (0, 17, 31):
        source = sources.xyz[k], sources.direction[k], medium
        splits = choose_splits(*source, seed=(3, CHUNK + k, 1), kill=0.5, share=0.9)
        np.testing.assert_array_equal(contents["splits"][k], splits)
        record = propagate(*source, n_photons=15, seed=(3, CHUNK + k, 2), kill=0.5, splits=splits)
        rows = contents["source"] == k
        cells = contents["cell"][rows]
        np.testing.assert_array_equal(cells, np.flatnonzero(record.total > 0))
        for name in ("total", "squared", "place", "delay"):
            expected = getattr(record, name)[cells]
            np.testing.assert_array_equal(contents[name][rows], expected.astype(np.float32))
    assert contents["cell"].max() < N_CELLS
    assert set(contents) == {
        *("source", "cell", "total", "squared", "place", "delay", "xyz", "direction", "splits")
    }


def test_deleted_chunk_is_made_again_and_the_others_are_left(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = (tmp_path / "chunk-000001.npz").stat().st_mtime_ns
    (tmp_path / "chunk-000000.npz").unlink()
    seen: list[tuple[int, int]] = []
    paths = produce(
        tmp_path, SETTINGS, 2 * CHUNK, n_threads=1, report=lambda *done: seen.append(done)
    )
    assert seen == [(1, 2), (2, 2)]
    assert paths == [tmp_path / "chunk-000000.npz", tmp_path / "chunk-000001.npz"]
    assert (tmp_path / "chunk-000001.npz").stat().st_mtime_ns == before
    again, wanted = _contents(paths[0]), _contents(folder / "chunk-000000.npz")
    assert set(again) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(again[name], value)


def test_larger_production_goes_on_where_the_smaller_ended(folder: Path, tmp_path: Path) -> None:
    produce(tmp_path, SETTINGS, 1, n_threads=1)
    assert [path.name for path in tmp_path.glob("chunk*")] == ["chunk-000000.npz"]
    produce(tmp_path, SETTINGS, CHUNK + 1, n_threads=1)
    for path in sorted(tmp_path.glob("chunk*")):
        wanted = _contents(folder / path.name)
        for name, value in _contents(path).items():
            np.testing.assert_array_equal(value, wanted[name])
    assert len(list(tmp_path.glob("chunk*"))) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"n_photons": 16},
        {"kill": 0.4},
        {"share": 0.8},
        {"ice": "spice_ftp-v3m"},
    ],
)
def test_folder_of_another_production_is_refused(folder: Path, other: dict[str, Any]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    settings = ProductionSettings(**({"n_photons": 15, "seed": 3} | other))
    with pytest.raises(UsageError, match="another production"):
        produce(folder, settings, 3 * CHUNK)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"seed": 3}', "\udce9"])
def test_chunks_without_their_settings_are_refused(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "chunk-000000.npz").write_bytes(b"whose?")
    if text is not None:
        (tmp_path / "production.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError):
        produce(tmp_path, SETTINGS, CHUNK)


def test_settings_are_written_in_full(folder: Path) -> None:
    found = json.loads((folder / "production.json").read_text())
    settings = {"ice": "spice_bfr-v2", "n_photons": 15, "kill": 0.5, "share": 0.9, "seed": 3}
    assert found == settings | {"simulation": SIMULATION}


def test_a_production_of_another_simulation_is_refused(tmp_path: Path) -> None:
    settings = ProductionSettings(n_photons=15, seed=3)
    (tmp_path / "production.json").write_text(json.dumps(asdict(settings) | {"simulation": 0}))
    with pytest.raises(UsageError, match="another production"):
        produce(tmp_path, settings, 1)


def test_unknown_ice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown ice"):
        produce(tmp_path, ProductionSettings(ice="clear"), 1)


def test_failure_ends_a_production_and_leaves_whole_chunks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_calls = 0
    lock = threading.Lock()

    def fail_later(*arguments: Any, **more: Any) -> LightRecord:
        nonlocal n_calls
        with lock:
            n_calls += 1
            if n_calls > CHUNK + 5:
                msg = "out of photons"
                raise OSError(msg)
        return propagate(*arguments, **more)

    monkeypatch.setattr(production, "propagate", fail_later)
    with pytest.raises(OSError, match="out of photons"):
        produce(tmp_path, SETTINGS, 50 * CHUNK, n_threads=1)
    assert n_calls < 4 * CHUNK  # waiting chunks were called off
    assert {path.name for path in tmp_path.iterdir()} == {"chunk-000000.npz", "production.json"}
    monkeypatch.setattr(production, "propagate", propagate)
    assert len(produce(tmp_path, SETTINGS, 2 * CHUNK, n_threads=2)) == 2


def test_half_written_chunk_is_never_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, data: bytes) -> None:
        (path.parent / f".{path.name}.part").write_bytes(data[:100])
        raise OSError(28, "No space left on device")

    produce(tmp_path, SETTINGS, 0)
    monkeypatch.setattr(production, "write_bytes_atomically", full_disk)
    with pytest.raises(OSError, match="No space"):
        produce(tmp_path, SETTINGS, 1, n_threads=1)
    assert not list(tmp_path.glob("chunk*"))
