from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from skymap_scanner.result import schema
from skymap_scanner.result.schema import SCHEMA_NAMES, explain_mismatch, load_schema

if TYPE_CHECKING:
    from pathlib import Path

SCAN: dict[str, Any] = {
    "ra_deg": 47.2, "dec_deg": -3.28, "min_llh": 1112.4, "area50_deg2": 0.5, "area90_deg2": 2.0,
    "level50": 1.39, "level90": 4.61, "level_rule": "hpd", "cpu_s": 150.0, "wall_s": 80.0,
    "n_pixels": 3143, "n_failed": 0, "files": {"npz": "a.npz", "zoom": "a.png"},
    "reco_algo": "splinempe", "nsides": [8, 64, 512], "version": "0.1.0",
}  # fmt: skip
INFO: dict[str, Any] = {
    "run_id": 136662, "event_id": 35405932, "sub_event_id": 0, "mjd": 59723.3, "event_type": "EHE",
    "version": "2021a", "n_doms": 133, "n_pulses": 900, "charge_pe": 3000.5,
    "cleaned": {"n_doms": 120, "n_pulses": 800, "charge_pe": 2900.0},
    "fits": {"SplineMPE": {"zenith": 1.5, "azimuth": 0.6, "ra_deg": 48.8, "dec_deg": -3.5}},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema(name))


def test_every_schema_in_the_package_has_a_name() -> None:
    files = [entry.name for entry in resources.files(schema).iterdir()]
    found = {name.removesuffix(".schema.json") for name in files if name.endswith(".schema.json")}
    assert found == set(SCHEMA_NAMES)


@pytest.mark.parametrize(
    ("name", "document"), [("scan", SCAN), ("info", INFO), ("info", [INFO, INFO])]
)
def test_the_documents_of_the_contract_are_right(name: str, document: object) -> None:
    assert explain_mismatch(name, document) is None


def test_the_bundled_truth_is_right(root: Path) -> None:
    truth = json.loads((root / "examples" / "simulated_track.truth.json").read_text("utf-8"))
    assert explain_mismatch("simulate", truth) is None


@pytest.mark.parametrize("key", SCAN)
def test_no_key_of_a_scan_may_be_missing(key: str) -> None:
    document = {other: value for other, value in SCAN.items() if other != key}
    assert key in str(explain_mismatch("scan", document))


@pytest.mark.parametrize("key", INFO)
def test_no_key_of_an_event_may_be_missing(key: str) -> None:
    document = {other: value for other, value in INFO.items() if other != key}
    assert explain_mismatch("info", document) is not None


def test_a_wrong_value_is_named_with_its_place() -> None:
    assert "$.level_rule" in str(explain_mismatch("scan", {**SCAN, "level_rule": "guess"}))
    assert "$.n_pixels" in str(explain_mismatch("scan", {**SCAN, "n_pixels": -1}))


def test_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(KeyError):
        load_schema("../scan")
