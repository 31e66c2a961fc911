"""The .npz format: exact layout, equal bytes for equal input, and every kind of broken file."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.exceptions import ResultError
from skymap_scanner.pixels import PIXEL_DTYPE
from skymap_scanner.result import EventMetadata, ResultWarning, SkyScanResult
from synthetic_maps import EVENT, map_of, pixel_rows

if TYPE_CHECKING:
    from pathlib import Path


def small_map(**header: object) -> SkyScanResult:
    return map_of(
        {
            8: pixel_rows(np.arange(768), np.linspace(500.0, 900.0, 768)),
            64: pixel_rows(np.array([3, 99, 1000]), np.array([480.0, 470.5, 475.0])),
        },
        **header,
    )


def test_layout_is_that_of_the_contract(tmp_path: Path) -> None:
    path = small_map(is_complete=False).to_npz(output_dir=tmp_path)
    assert path.name == "run00127907.evt000020178442.HESE_8_64.npz"
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["header", "nside-64", "nside-8"]
        names = "nside complete run_id event_id event_type mjd is_real_event version"
        assert file["header"].dtype.names == tuple(names.split())
        event = (127907, 20178442, "HESE", 57517.64354153215, True, 1)
        assert file["header"].tolist() == [(8, False, *event), (64, False, *event)]
        assert file["nside-64"].dtype == PIXEL_DTYPE
        assert file["nside-64"]["index"].tolist() == [3, 99, 1000]


def test_reading_back_gives_the_same(tmp_path: Path) -> None:
    wrote = small_map(
        reco_algo="splinempe", reco_options={"gamma": 0.7, "ice": "x"}, software="skymap-scanner 1"
    )
    read = SkyScanResult.read_npz(wrote.to_npz(output_dir=tmp_path))
    assert read == wrote
    assert read.header == wrote.header


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    first = small_map().to_npz(output_dir=tmp_path).read_bytes()
    assert small_map().to_npz(output_dir=tmp_path).read_bytes() == first


def test_a_result_without_pixels_keeps_its_event(tmp_path: Path) -> None:
    empty = map_of({}, is_complete=False)
    path = empty.to_npz(output_dir=tmp_path, nsides=(8, 64))
    assert path.name.endswith("_8_64.npz")
    read = SkyScanResult.read_npz(path)
    assert read.n_pixels == 0
    assert read.header == empty.header
    with pytest.raises(ResultError, match="no best fit"):
        _ = read.best_fit
    with pytest.raises(ResultError, match="no file name"):
        empty.to_npz(output_dir=tmp_path)


def test_version_0_without_header_is_read(tmp_path: Path) -> None:
    old = np.dtype([("index", "<i8"), ("llh", "<f8"), ("E_in", "<f8"), ("E_tot", "<f8")])
    rows = np.array([(7, 3.0, 1.0, 2.0), (2, 5.0, 1.5, 2.5)], old)
    path = tmp_path / "old.npz"
    save(path, **{"nside-8": rows})
    result = SkyScanResult.read_npz(path)
    assert result.best_fit["index"] == 7
    assert result.get_results_per_nside(8)["index"].tolist() == [2, 7]
    assert np.isnan(result.get_results_per_nside(8)["X"]).all()
    assert str(result.get_event_metadata()) == "run00000000.evt000000000000.None"
    assert math.isnan(result.get_event_metadata().mjd)


def test_float32_and_big_endian_columns_are_read(tmp_path: Path) -> None:
    odd = np.dtype([("index", ">i4"), ("llh", ">f4"), ("E_in", "<f4"), ("E_tot", "<f8")])
    path = tmp_path / "odd.npz"
    tables: dict[str, Any] = {"nside-8": np.array([(7, 3.5, 1.0, 2.0)], odd)}
    np.savez_compressed(path, **tables)
    assert SkyScanResult.read_npz(path).best_fit["llh"] == 3.5


def test_pixels_without_finite_llh_are_left_out_with_a_warning(tmp_path: Path) -> None:
    table = pixel_rows(np.arange(4), np.array([np.nan, 2.0, np.inf, -np.inf]))
    path = save(tmp_path / "nan.npz", **{"nside-8": table})
    with pytest.warns(ResultWarning, match="3 pixels without a finite llh"):
        result = SkyScanResult.read_npz(path)
    assert result.get_results_per_nside(8)["index"].tolist() == [1]
    assert result.n_left_out == 3


def test_the_event_given_for_writing_stands_in_the_file(tmp_path: Path) -> None:
    other = EventMetadata(1, 2, None, 59000.5, is_real_event=False)
    path = small_map().to_npz(other, tmp_path)
    assert path.name == "run00000001.evt000000000002.None_8_64.npz"
    assert SkyScanResult.read_npz(path).get_event_metadata() == other


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def rows(*index: int) -> Any:
    return pixel_rows(np.array(index), np.arange(1.0, 1.0 + len(index)))


HEADER = np.dtype([("nside", int), ("run_id", int), ("event_id", int), ("mjd", float)])

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no arrays": ({}, "holds no arrays"),
    "other arrays": ({"weights": np.arange(3.0)}, "not a table"),
    "no such nside": ({"nside-12": rows(1)}, "does not name a resolution"),
    "nside of nonsense": ({"nside-8x": rows(1)}, "does not name a resolution"),
    "no llh": ({"nside-8": np.array([(1,)], [("index", int)])}, "lacks fields"),
    "text as llh": (
        {"nside-8": np.array([(1, "x")], [("index", int), ("llh", "U1")])},
        "not a column of numbers",
    ),
    "fractional index": (
        {"nside-8": np.array([(1.5, 2.0)], [("index", float), ("llh", float)])},
        "not a column of numbers",
    ),
    "vector column": (
        {"nside-8": np.array([(1, (2.0, 3.0))], [("index", int), ("llh", float, 2)])},
        "not a column of numbers",
    ),
    "pixel beyond the sky": ({"nside-8": rows(1, 768)}, "no such pixel"),
    "negative pixel": ({"nside-8": rows(-1, 3)}, "no such pixel"),
    "pixel twice": ({"nside-8": rows(3, 3)}, "appears twice"),
    "objects": ({"nside-8": np.array([(1, {})], [("index", int), ("llh", object)])}, "not a table"),
    "plain table": ({"nside-8": np.ones((3, 8))}, "not a table"),
    "header without its array": (
        {"header": np.array([(8, 1, 1, 0.0), (64, 1, 1, 0.0)], HEADER), "nside-8": rows(1)},
        "header and arrays name different nsides",
    ),
    "header of two events": (
        {
            "header": np.array([(8, 1, 1, 0.0), (64, 1, 2, 0.0)], HEADER),
            "nside-8": rows(1),
            "nside-64": rows(1),
        },
        "different events",
    ),
    "header with a run that cannot be": (
        {
            "header": np.array(
                [(8, 7, True)], [("nside", int), ("run_id", int), ("is_real_event", bool)]
            ),
            "nside-8": rows(1),
        },
        "run number out of range",
    ),
    "header of another type": (
        {"header": np.array([(8, "x")], [("nside", int), ("run_id", "U1")]), "nside-8": rows(1)},
        "field run_id has the wrong type",
    ),
    "later version": (
        {"header": np.array([(8, 2)], [("nside", int), ("version", int)]), "nside-8": rows(1)},
        "later version",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_foreign_file_is_refused_with_a_reason(tmp_path: Path, case: str) -> None:
    arrays, reason = BROKEN[case]
    path = save(tmp_path / "foreign.npz", **arrays)
    with pytest.raises(ResultError, match=reason) as caught:
        SkyScanResult.read_npz(path)
    assert "foreign.npz" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float) -> None:
    path = small_map().to_npz(output_dir=tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ResultError, match=r"not a whole \.npz file"):
        SkyScanResult.read_npz(path)


def test_a_flipped_bit_in_the_numbers_is_noticed(tmp_path: Path) -> None:
    path = small_map().to_npz(output_dir=tmp_path)
    content = bytearray(path.read_bytes())
    at = content.index(rows(0)["llh"].tobytes()[:0] + np.float64(470.5).tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultError, match="CRC"):
        SkyScanResult.read_npz(path)


@pytest.mark.parametrize("name", ["missing.npz", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResultError, match="cannot be read") as caught:
        SkyScanResult.read_npz(tmp_path / name)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x93NUMPY\x01\x00v\x00{}", pickle.dumps({"nside-8": 1})]
)
def test_other_formats_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"not a whole \.npz file"):
        SkyScanResult.read_npz(path)


def test_a_pickle_inside_is_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Exploit:
        def __reduce__(self) -> tuple[Any, ...]:
            return (trace.write_text, ("run",))

    array = np.array([(1, Exploit())], [("index", int), ("llh", object)])
    path = save(tmp_path / "exploit.npz", **{"nside-8": array})
    with pytest.raises(ResultError, match="never loaded"):
        SkyScanResult.read_npz(path)
    assert not trace.exists()


def test_a_size_that_is_only_claimed_reserves_no_memory(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": PIXEL_DTYPE.descr, "fortran_order": False, "shape": (10**12,)}
    )
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nside-512.npy", member.getvalue() + bytes(64))
    with pytest.raises(ResultError, match="not the size that it claims"):
        SkyScanResult.read_npz(path)


def test_flags_and_days_of_classic_files_are_understood(tmp_path: Path) -> None:
    header = np.array(
        [(8, 1, 127907, 5, "EHE", 57000, 1)],
        [
            ("nside", int), ("complete", int), ("run_id", int), ("event_id", int),
            ("event_type", "U3"), ("mjd", int), ("is_real_event", int),
        ],
    )  # fmt: skip
    path = save(tmp_path / "classic.npz", **{"header": header, "nside-8": rows(1)})
    event = SkyScanResult.read_npz(path).get_event_metadata()
    assert event == EventMetadata(127907, 5, "EHE", 57000.0, is_real_event=True)
    assert event != EVENT
