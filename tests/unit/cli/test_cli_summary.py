from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skymap_scanner.cli.local_clients import last_line
from skymap_scanner.cli.rehearsal import Rehearsal
from skymap_scanner.cli.scan import parser
from skymap_scanner.cli.summary import as_json, as_text
from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.result import EventMetadata, from_nsides_dict
from skymap_scanner.result.levels import RULES, WILKS, LevelRule
from skymap_scanner.result.regions import region_summary
from skymap_scanner.result.schema import explain_mismatch
from skymap_scanner.server.session import Outcome
from skymap_scanner.sky.progression import NSideProgression

CALIBRATED = LevelRule("calibrated", "a test")


@pytest.fixture
def plan() -> Any:
    return SimpleNamespace(
        event=SimpleNamespace(
            name="run00000001.evt000000000002.None",
            detector=SimpleNamespace(source="IceCube-86 built-in"),
        ),
        reco=SimpleNamespace(name="dummy"),
        progression=NSideProgression.parse(["1:0"]),
    )


@pytest.fixture
def outcome() -> Outcome:
    rows = np.zeros(11, PIXEL_DTYPE)
    rows["index"], rows["llh"] = np.arange(11), 10.0 + np.arange(11)
    metadata = EventMetadata(1, 2, None, 60000.0, is_real_event=False)
    result = from_nsides_dict(NSidesDict.from_arrays({1: rows}), True, metadata)
    return Outcome(
        result=result,
        region=region_summary(result),
        n_failed=1,
        files={"npz": Path("/out/map.npz")},
        error=None,
        times={"wall_s": 61.0, "cpu_s": 118.6, "fit_s": 100.0},
    )


def test_json_follows_its_schema(plan: Any, outcome: Outcome) -> None:
    document = json.loads(as_json(plan, outcome))
    assert explain_mismatch("scan", document) is None
    assert document["ra_deg"] == pytest.approx(45.0)
    assert (document["min_llh"], document["level_rule"]) == (10.0, "wilks")
    assert (document["n_pixels"], document["n_failed"]) == (11, 1)
    assert document["files"] == {"npz": "/out/map.npz"}
    assert (document["cpu_s"], document["wall_s"]) == (118.6, 61.0)


def test_a_map_without_any_fit_has_nulls(plan: Any, outcome: Outcome) -> None:
    document = json.loads(as_json(plan, dataclasses.replace(outcome, region=None)))
    assert document["ra_deg"] is None
    assert document["area90_deg2"] is None


def test_text_says_the_same(plan: Any, outcome: Outcome) -> None:
    text = as_text(plan, outcome)
    for words in (
        "run00000001.evt000000000002.None, dummy, nsides 1:0", "RA 45.000  Dec +41.810 deg",
        "llh 10.000", "90 % region", "(edge at TS 4.61)",
        "regions      contours by Wilks' theorem\n",
        "scanned      37815 deg^2;", "11, 1 without a fit",
        "1 min 1 s, CPU 1 min 59 s", "no baseline GCD file", "npz          /out/map.npz",
    ):  # fmt: skip
        assert words in text


def test_text_reports_the_areas_of_wilks_theorem_beside_those_of_the_rule(
    plan: Any, outcome: Outcome
) -> None:
    assert outcome.region is not None
    region = dataclasses.replace(
        outcome.region,
        level_rule="hpd",
        floor_deg=0.2,
        area50_deg2=0.26812,
        level50=1.44,
        wilks_area50_deg2=0.21,
        covers_sky=True,
    )
    text = as_text(plan, dataclasses.replace(outcome, region=region))
    words = "50 % region  0.268 deg^2  (edge at TS 1.44; by Wilks' theorem 0.21 deg^2)\n"
    assert words in text
    assert "regions      highest posterior density, angular error of 0.2 deg included\n" in text
    assert "scanned" not in text


@pytest.mark.parametrize("rule", [*RULES.values(), WILKS, CALIBRATED])
def test_every_rule_has_words(plan: Any, outcome: Outcome, rule: LevelRule) -> None:
    assert outcome.region is not None
    region = dataclasses.replace(outcome.region, level_rule=rule.name)
    assert "edge at TS" in as_text(plan, dataclasses.replace(outcome, region=region))


def test_cone_is_read_in_degrees() -> None:
    arguments = parser().parse_args(["event.json", "--around", "180, -30, 5"])
    assert np.rad2deg(arguments.around) == pytest.approx((180.0, -30.0, 5.0))


@pytest.mark.parametrize("text", ["-10,5,3", "-.5,-3,2", "-10.5,-90,180"])
def test_cone_may_begin_with_a_minus(text: str) -> None:
    arguments = parser().parse_args(["event.json", "--around", text, "--workers", "1"])
    expected = [float(part) for part in text.split(",")]
    assert np.rad2deg(arguments.around) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("400,0,1", "ra of a cone is out of range (found 400 deg"),
        ("0,95,1", "dec of a cone is out of range (found 95 deg"),
        ("0,0,0", "radius of a cone must be above 0"),
        ("0,0,nan", "radius of a cone"),
        ("0,0", "invalid RA,DEC,RADIUS value"),
    ],
)
def test_impossible_cone_is_refused_by_the_name_of_its_option(
    text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(["event.json", "--around", text])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "argument --around: " in said
    assert words in said


def test_last_line_is_the_last_with_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("first\nlast words \n\n")
    assert last_line(path) == "last words"
    assert last_line(tmp_path / "none") == ""


def test_kernels_are_remembered_per_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kernels(**options: str) -> Rehearsal:
        return Rehearsal(
            make_reco("splinempe"), options, cache=tmp_path, log_file=tmp_path, announce=print
        )

    assert kernels()._marker == kernels()._marker != kernels(variations="point")._marker
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert kernels()._marker.parent == tmp_path
