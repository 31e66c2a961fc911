from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from skymap_scanner.exceptions import ResultError
from skymap_scanner.result import EventMetadata, SkyScanResult
from skymap_scanner.result.schema import explain_mismatch
from synthetic_maps import map_of, pixel_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def map_with_unknowns() -> SkyScanResult:
    table = pixel_rows(np.array([5, 9]), np.array([12.25, 11.0]))
    table["E_in"], table["T"][0] = np.nan, np.inf
    return map_of({8: table}, event_metadata=EventMetadata(3, 4, None, np.nan, is_real_event=False))


def test_document_has_only_the_three_keys_and_marks_nan(tmp_path: Path) -> None:
    path = map_with_unknowns().to_json(output_dir=tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert list(document) == ["nside-8"]
    block = document["nside-8"]
    assert set(block) == {"columns", "data", "metadata"}
    assert block["columns"] == ["index", "llh", "E_in", "E_tot", "X", "Y", "Z", "T"]
    marker = "<skyreader.nan>"
    assert block["data"][0][:3] == [5, 12.25, marker]
    # an infinite time is as unknown as NaN
    assert [row[7] == marker for row in block["data"]] == [True, False]
    assert block["metadata"]["mjd"] == marker
    assert block["metadata"]["event_type"] == "None"
    assert explain_mismatch("result", document) is None


def test_reading_back_gives_the_same(tmp_path: Path) -> None:
    wrote = map_with_unknowns()
    read = SkyScanResult.read_json(wrote.to_json(output_dir=tmp_path))
    assert read == wrote
    assert SkyScanResult.deserialize(wrote.serialize()) == wrote
    assert str(read.get_event_metadata()) == str(wrote.get_event_metadata())


def test_floats_survive_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(size=50) * 10.0 ** np.arange(-25, 25)
    wrote = map_of({8: pixel_rows(np.arange(50), values)})
    read = SkyScanResult.read_json(wrote.to_json(output_dir=tmp_path))
    assert read.get_results_per_nside(8)["llh"].tobytes() == values.tobytes()


def test_version_0_is_read() -> None:
    document = {
        "nside-8": {
            "columns": ["index", "llh", "E_in", "E_tot"],
            "metadata": {"nside": 8, "run_id": 1, "event_id": 2, "event_type": "HESE", "mjd": 3},
            "data": [[7, 1.0, 2.0, 3.0], [2, 2, 2.0, "<skyreader.nan>"]],
        }
    }
    result = SkyScanResult.deserialize(document)
    assert result.get_results_per_nside(8)["index"].tolist() == [2, 7]
    assert np.isnan(result.get_results_per_nside(8)["E_tot"][0])
    assert not result.get_event_metadata().is_real_event


def edit(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split("/")
        place: Any = document
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        place[int(last) if isinstance(place, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: document.clear(), "holds no nsides"),
        (edit("nside-9", {}), "does not name a resolution"),
        (edit("nside-8", []), "wrong keys"),
        (edit("nside-8/extra", 1), "wrong keys"),
        (edit("nside-8/columns", ["index", "llh"]), "columns not known"),
        (edit("nside-8/columns", {}), "columns not known"),
        (edit("nside-8/data", {}), "not a list"),
        (edit("nside-8/data/0", [1, 2]), "not a row"),
        (edit("nside-8/data/1", None), "not a row"),
        (edit("nside-8/data/1/0", 1.5), "not a number in column index"),
        (edit("nside-8/data/1/0", "<skyreader.nan>"), "not a number in column index"),
        (edit("nside-8/data/1/0", 10**30), "too large"),
        (edit("nside-8/data/1/0", 5), "appears twice"),
        (edit("nside-8/data/1/1", "nan"), "not a number in column llh"),
        (edit("nside-8/data/1/1", True), "not a number in column llh"),
        (edit("nside-8/data/1/2", None), "not a number in column E_in"),
        (edit("nside-8/data/1/2", 10**400), "too large"),
        (edit("nside-8/metadata", None), "wrong metadata"),
        (edit("nside-8/metadata/nside", 16), "wrong metadata"),
        (edit("nside-8/metadata/run_id", -4), "negative"),
        (edit("nside-8/metadata/complete", "yes"), "complete has the wrong type"),
        (edit("nside-8/metadata/reco_options", "{"), "reco_options is not JSON"),
    ],
)
def test_a_foreign_document_is_refused_with_a_reason(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    document = copy.deepcopy(map_with_unknowns().serialize())
    change(document)
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ResultError, match=reason) as caught:
        SkyScanResult.read_json(path)
    assert "foreign.json" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"nside-8": ', "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=reason):
        SkyScanResult.read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"no\.json: cannot be read"):
        SkyScanResult.read_json(tmp_path / "no.json")
