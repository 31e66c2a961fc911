"""Files of light models: written and read back, and refused when anything about them is wrong."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade_light import handmade_weights
from skymap_scanner.exceptions import FormatError, UsageError
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.network import Layers
from skymap_scanner.light.weights import VERSION, read_weights, write_weights

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "light.npz"
    write_weights(path, handmade_weights())
    return path


def _change(path: Path, **changes: Any) -> None:
    """Write a file again with other arrays; None takes one away."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= changes
    with path.open("wb") as out:
        np.savez(out, **{name: value for name, value in arrays.items() if value is not None})


def test_written_weights_are_read_back(path: Path) -> None:
    wanted, found = handmade_weights(), read_weights(path)
    assert found.card == wanted.card
    np.testing.assert_array_equal(found.emission, wanted.emission)
    for name in ("charge", "time"):
        for field in Layers._fields:
            a, b = getattr(getattr(found, name), field), getattr(getattr(wanted, name), field)
            np.testing.assert_array_equal(a, b)
            assert a.dtype == np.float32
            assert a.flags.c_contiguous


def test_file_holds_its_documented_arrays_and_no_more(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        fields = {f"{name}_{field}" for name in ("charge", "time") for field in Layers._fields}
        assert set(file.files) == fields | {"version", "card", "emission"}
        assert json.loads(str(file["card"]))["ice"] == "spice_bfr-v2"
        assert int(file["version"]) == VERSION


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": np.array(VERSION + 1)}, "another version"),
        ({"version": np.array(0)}, "another version"),
        ({"version": None}, "without all"),
        ({"version": np.array("new")}, "another version"),
        ({"version": np.arange(3)}, "another version"),
        ({"version": np.array(np.inf)}, "another version"),
        ({"version": np.array(VERSION + 0.7)}, "another version"),
        ({"version": np.array(VERSION + 0j)}, "another version"),
        ({"card": np.array("[" * 100_000)}, "without all"),
        ({"card": None}, "without all"),
        ({"card": np.array("{")}, "without all"),
        ({"card": np.array("[1]")}, "without all"),
        ({"card": np.array("7")}, "without all"),
        ({"card": np.array("{}")}, "without all"),
        ({"emission": None}, "without all"),
        ({"charge_pair": None}, "without all"),
        ({"time_last_bias": None}, "without all"),
        ({"time_bias": np.array(["a"] * 24)}, "not real"),
        ({"time_bias": np.zeros(24, np.complex64)}, "not real"),
        ({"time_bias": np.zeros(24, np.int64)}, "not real"),
        ({"charge_bias": np.full(24, np.nan, np.float32)}, "not finite"),
        ({"time_last": np.full((24, 12), np.inf, np.float32)}, "not finite"),
        ({"charge_hidden": np.full((24, 24), 1e300)}, "not finite"),
        ({"emission": np.full((2049, 3), np.nan, np.float32)}, "not finite"),
        ({"charge_pair": np.zeros((17, 24), np.float32)}, "another shape"),
        ({"charge_source": np.zeros((30, 23), np.float32)}, "another shape"),
        ({"time_om": np.zeros(28, np.float32)}, "another shape"),
        ({"time_last": np.zeros((24, 9), np.float32)}, "another shape"),
        ({"charge_last": np.zeros((24, 2), np.float32)}, "another shape"),
        ({"charge_bias": np.zeros((24, 1), np.float32)}, "another shape"),
        ({"charge_bias": np.array(0.0, np.float32)}, "another shape"),
        ({"charge_skip_om": np.zeros(0, np.float32)}, "another shape"),
        ({"emission": np.zeros((2049, 2), np.float32)}, "another shape"),
        ({"emission": np.zeros((1, 3), np.float32)}, "another shape"),
        ({"emission": np.zeros(2049, np.float32)}, "another shape"),
        ({"emission": np.zeros((0, 3), np.float32)}, "another shape"),
        ({"card": np.array('{"ice": "clear"}')}, "ice"),
        ({"card": np.array('{"ice": ["spice_bfr-v2"]}')}, "ice"),
    ],
)
def test_wrong_contents_are_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    _change(path, **changes)
    with pytest.raises(FormatError, match=message) as caught:
        LightModel.load(path)
    assert str(path) in str(caught.value)


def test_unknown_further_arrays_are_ignored(path: Path) -> None:
    _change(path, remark=np.arange(3))
    assert read_weights(path).card["ice"] == "spice_bfr-v2"


@pytest.mark.parametrize("size", [0, 1, 30, 1000, -1, -30])
def test_truncated_files_are_refused(path: Path, size: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:size])
    with pytest.raises(FormatError) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["text", "npy", "pickle", "zip", "folder", "deflated"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "light.npz"
    if kind == "text":
        path.write_text("no weights")
    elif kind == "npy":
        with path.open("wb") as out:
            np.save(out, np.arange(5))
    elif kind == "pickle":
        with path.open("wb") as out:
            np.savez(out, version=np.array(VERSION), card=np.array({"ice": "x"}, dtype=object))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("version.npy", b"not an array")
    elif kind == "deflated":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("version", b"12")
    else:
        path.mkdir()
    with pytest.raises(FormatError):
        read_weights(path)


@settings(max_examples=300)
@given(
    place=st.floats(0.0, 1.0, exclude_max=True),
    change=st.integers(1, 255),
    length=st.sampled_from([1, 2, 8]),
)
def test_damaged_bytes_are_refused_or_harmless(
    tmp_path: Path, place: float, change: int, length: int
) -> None:
    whole = tmp_path / "whole.npz"
    if not whole.exists():
        write_weights(whole, handmade_weights())
    data = bytearray(whole.read_bytes())
    first = int(place * len(data))
    for k in range(first, min(first + length, len(data))):
        data[k] ^= change
    path = tmp_path / "damaged.npz"
    path.write_bytes(data)
    try:
        weights = read_weights(path)
    except FormatError:
        return
    for layers in (weights.charge, weights.time):
        assert all(np.all(np.isfinite(array)) for array in layers)


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such light model"):
        LightModel.load(tmp_path / "nowhere.npz")
    with pytest.raises(UsageError, match="no such light model"):
        LightModel.load(str(tmp_path / "nowhere.npz"))


@pytest.mark.parametrize("name", ["clear", "", "spice_bfr-v2 ", "../spice_bfr-v2"])
def test_unknown_name_is_a_usage_error_that_names_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="spice_bfr-v2"):
        LightModel.load(name)


def test_digest_tells_models_apart(path: Path) -> None:
    weights = read_weights(path)
    assert weights.digest == handmade_weights(1).digest
    assert len(weights.digest) == 8
    assert handmade_weights(2).digest != weights.digest
    assert LightModel(weights).label == f"spice_bfr-v2 {weights.digest}"
