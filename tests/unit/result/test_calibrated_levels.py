from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError, ResultError, UsageError
from skymap_scanner.result import ScanHeader, SkyScanResult
from skymap_scanner.result.calibrated_levels import (
    CalibratedLevels,
    LevelEstimate,
    choose_levels,
    read_levels,
    shipped_levels,
    write_levels,
)
from skymap_scanner.result.levels import (
    CLASSIC,
    HPD,
    HPD_FLOOR,
    LEVEL_RULES,
    WILKS,
    LevelRule,
    rule_for,
)
from skymap_scanner.result.regions import find_regions, region_summary, rule_of
from skymap_scanner.server import arguments
from skymap_scanner.units import DEG
from synthetic_maps import gaussian, scan

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = CalibratedLevels(
    reco_algo="splinempe",
    reco_options={"ice": "spice_bfr-v2", "charge_softening": 0.08},
    kind="varied-ice",
    event_class="track",
    charge_pe=None,
    levels=(LevelEstimate(0.5, 2.0, 1.8, 2.2), LevelEstimate(0.9, 8.0, 7.0, 9.5)),
    n_events=400,
    n_failed=3,
    date="2026-11-27",
    software="skymap-scanner 0.1.0",
    light="spice_bfr-v2 12ab",
    settings={"seed": 1},
    digest="0123456789abcdef",
)
OPTIONS = dict(ENTRY.reco_options)


def test_the_levels_of_this_package_can_be_read() -> None:
    assert all(entry.n_events >= 20 for entry in shipped_levels())


def test_levels_come_back_as_they_were_written(tmp_path: Path) -> None:
    entries = (ENTRY, dataclasses.replace(ENTRY, charge_pe=(100.0, 500.0), kind="same-ice"))
    write_levels(tmp_path / "levels.json", entries)
    assert read_levels(tmp_path / "levels.json") == entries


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema=2), "not a file of levels"),
        (lambda d: d["entries"][0].pop("date"), "'date' is a required property"),
        (lambda d: d["entries"][0].update(kind="other"), "not a file of levels"),
        (lambda d: d["entries"][0]["levels"][1].update(ts=1.0, ts_low=0.5), "levels must ascend"),
        (lambda d: d["entries"][0]["levels"].reverse(), "levels must ascend"),
        (lambda d: d["entries"][0]["levels"][0].update(ts=-1.0), "not a file of levels"),
        (lambda d: d["entries"][0]["levels"][0].update(ts_high=1.9), "outside its interval"),
    ],
)
def test_a_file_that_is_not_one_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    path = tmp_path / "levels.json"
    write_levels(path, [ENTRY])
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=words):
        read_levels(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "levels.json").write_text(text)
    with pytest.raises(FormatError, match="levels"):
        read_levels(tmp_path / "levels.json")
    with pytest.raises(FormatError, match="cannot be read"):
        read_levels(tmp_path / "none.json")


def test_calibrated_levels_are_used_where_there_are_some() -> None:
    rule = rule_for("SplineMPE", OPTIONS, entries=[ENTRY])
    assert (rule.name, rule.ts_level(0.5), rule.ts_level(0.9)) == ("calibrated", 2.0, 8.0)
    assert "400 events of class track, varied-ice, 2026-11-27" in rule.source
    assert rule_for("splinempe", entries=[ENTRY]) == rule
    with pytest.raises(UsageError, match="do not have this probability"):
        rule.ts_level(0.68)


def test_other_options_fall_back_with_a_note() -> None:
    rule = rule_for("splinempe", OPTIONS | {"charge_softening": 0.1}, entries=[ENTRY])
    assert (rule.name, rule.floor_deg) == ("hpd", 0.2)
    assert rule.note.endswith("calibrated with charge_softening=0.08, not 0.1")
    assert rule_for("splinempe", {**OPTIONS, "new": 1}, entries=[ENTRY]).note


def test_a_reconstruction_without_levels_has_its_own_rule_and_no_note() -> None:
    assert rule_for("millipede_wilks", {}, entries=[ENTRY]) is HPD
    assert rule_for("dummy", {}, entries=[]) is WILKS


def test_levels_of_the_same_ice_are_used_by_those_who_ask_for_them() -> None:
    same = dataclasses.replace(ENTRY, kind="same-ice")
    assert rule_for("splinempe", OPTIONS, entries=[same]) is HPD_FLOOR
    rule = rule_for("splinempe", OPTIONS, entries=[same], wanted="calibrated")
    assert (rule.name, rule.ts_level(0.9)) == ("calibrated", 8.0)
    assert "same-ice" in rule.source


def test_varied_ice_the_own_charge_and_mixtures_go_first() -> None:
    def replace(**changes: Any) -> CalibratedLevels:
        return dataclasses.replace(ENTRY, **changes)

    same, cascade = replace(kind="same-ice"), replace(event_class="cascade")
    mixture, bright = replace(event_class="all"), replace(charge_pe=(1e3, 1e4))
    everything = [cascade, same, bright, ENTRY, mixture]
    assert choose_levels(everything, "splinempe", OPTIONS)[0] is mixture
    assert choose_levels(everything, "splinempe", OPTIONS, 5e3)[0] is bright
    assert choose_levels(everything, "splinempe", OPTIONS, 10.0)[0] is mixture
    assert choose_levels([cascade, same], "splinempe", OPTIONS)[0] is cascade
    assert choose_levels([bright], "splinempe", OPTIONS)[0] is None
    assert choose_levels([bright], "splinempe", OPTIONS, 1e4)[0] is None


@pytest.mark.parametrize(
    ("wanted", "reco_algo", "rule"),
    [
        ("wilks", "splinempe", WILKS),
        ("classic", "splinempe", CLASSIC),
        ("hpd", "splinempe", HPD_FLOOR),
        ("hpd", "millipede_original", HPD),
        ("auto", "millipede_original", CLASSIC),
    ],
)
def test_another_rule_can_be_asked_for(wanted: str, reco_algo: str, rule: LevelRule) -> None:
    assert rule_for(reco_algo, {}, wanted=wanted, entries=[ENTRY][:0]) is rule


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"no calibrated levels for this scan \(found there are no"
    ):
        rule_for("dummy", {}, wanted="calibrated", entries=[ENTRY])
    with pytest.raises(UsageError, match=r"charge_softening=0\.08, not None"):
        rule_for("splinempe", {}, wanted="calibrated", entries=[ENTRY])
    with pytest.raises(UsageError, match="unknown level rule"):
        rule_for("dummy", wanted="best")


def test_the_command_line_offers_the_rules_that_there_are() -> None:
    assert arguments.LEVEL_RULES == LEVEL_RULES


@given(
    st.sampled_from(("wilks", "hpd", "classic", "calibrated")),
    st.text(max_size=20),
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.0, 1e3)), max_size=3),
    st.floats(0.0, 5.0),
)
def test_rules_come_back_from_headers(
    name: Any, text: str, levels: list[tuple[float, float]], floor_deg: float
) -> None:
    rule = LevelRule(name, text, tuple(levels), floor_deg, text)
    row = ScanHeader(level_rule=rule).row(8)
    assert ScanHeader.from_row(row, place="a test").level_rule == rule


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"name": "best"}', '{"name": "hpd", "floor_deg": -1}',
             '{"name": "classic", "ts_levels": [[0.5]]}', '{"name": "hpd", "floor_deg": NaN}'],
)  # fmt: skip
def test_a_header_with_something_else_is_refused(text: str) -> None:
    with pytest.raises(ResultError, match="level_rule is not a rule"):
        ScanHeader.from_row({**ScanHeader().row(8), "level_rule": text}, place="a test")


def test_a_result_keeps_the_rule_of_its_scan(tmp_path: Path) -> None:
    rule = rule_for("splinempe", OPTIONS, entries=[ENTRY])
    result = scan(gaussian(1.0, 0.2, 0.3 * DEG), reco_algo="splinempe", level_rule=rule)
    again = SkyScanResult.read_npz(result.to_npz(output_dir=tmp_path))
    assert SkyScanResult.read_json(result.to_json(output_dir=tmp_path)).header == again.header
    assert rule_of(again) == rule
    summary = region_summary(again)
    assert (summary.level_rule, summary.level50, summary.level90) == ("calibrated", 2.0, 8.0)
    assert summary.area90_deg2 == pytest.approx(summary.wilks_area90_deg2 * 8.0 / 4.605, rel=0.05)
    assert summary.classic_area90_deg2 > summary.area90_deg2
    # whoever names another reconstruction gets that one's rule
    assert find_regions(again, "millipede_original").rule is CLASSIC


def test_old_files_of_others_are_never_taken_for_calibrated_ones() -> None:
    header = ScanHeader(reco_algo="millipede_original")
    assert rule_of(SkyScanResult({}, header)) is CLASSIC
