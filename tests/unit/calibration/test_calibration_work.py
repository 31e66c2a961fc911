from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration_toys import failed, record, sample
from skymap_scanner.calibration import measure, work
from skymap_scanner.calibration.record import EventRecord, read_record, write_record
from skymap_scanner.calibration.work import WorkFolder, make_records
from skymap_scanner.config import ONE_THREAD
from skymap_scanner.exceptions import FormatError, SkymapScannerError, UsageError
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.calibration.sample import Sample

FINITE = st.floats(allow_nan=False, allow_infinity=False)


class Counter:
    """Takes the place of what simulates and scans; ends itself at some event."""

    made: list[int]
    stops_at = 0

    def __init__(self, made_of: Sample, reco_options: dict[str, str]) -> None:
        assert reco_options == {}
        self.digest = made_of.digest

    def measure(self, number: int) -> EventRecord:
        if number == self.stops_at:
            raise KeyboardInterrupt
        self.made.append(number)
        return record(number, digest=self.digest, ts=float(number), map_ts=float(number))


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> type[Counter]:
    Counter.made, Counter.stops_at = [], 0
    monkeypatch.setattr(measure, "EventMeasurer", Counter)
    return Counter


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, counter: type[Counter]) -> None:
    folder = WorkFolder(tmp_path / "new" / "work", sample())
    folder.prepare()
    counter.stops_at = 4
    with pytest.raises(KeyboardInterrupt):
        make_records(folder, 6, {}, n_workers=0)
    assert [one.number for one in folder.records(6)] == [1, 2, 3]
    counter.stops_at, seen = 0, []
    folder.prepare()
    make_records(folder, 6, {}, n_workers=0, report=lambda *done: seen.append(done))
    assert counter.made == [1, 2, 3, 4, 5, 6]
    assert seen == [(3, 6), (4, 6), (5, 6), (6, 6)]
    make_records(folder, 5, {}, n_workers=0)
    assert len(counter.made) == 6


def test_a_hole_is_filled(tmp_path: Path, counter: type[Counter]) -> None:
    folder = WorkFolder(tmp_path, sample())
    folder.prepare()
    make_records(folder, 3, {}, n_workers=0)
    folder.file(2).unlink()
    make_records(folder, 3, {}, n_workers=0)
    assert counter.made == [1, 2, 3, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2}, "found seed 1, wanted seed 2"),
        ({"kind": "varied-ice"}, "found kind same-ice, wanted kind varied-ice"),
        ({"reco_options": {"a": 2}}, r"found reco_options \{'a': 1\}, wanted"),
        ({"light": "another"}, "found light a test, wanted light another"),
        ({"cone": 1.0 * DEG}, "found cone_deg"),
    ],
)
def test_events_of_other_settings_are_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    WorkFolder(tmp_path, sample()).prepare()
    with pytest.raises(UsageError, match=f"events of other settings .*{words}"):
        WorkFolder(tmp_path, sample(**change)).prepare()


def test_records_of_another_sample_are_refused(tmp_path: Path, counter: type[Counter]) -> None:
    folder = WorkFolder(tmp_path, sample())
    folder.prepare()
    write_record(folder.file(1), record(1, digest="other"))
    with pytest.raises(UsageError, match="belongs to another sample"):
        make_records(folder, 1, {}, n_workers=0)
    write_record(folder.file(1), record(2))
    with pytest.raises(UsageError, match="found event 2"):
        list(folder.records(1))


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds something else"):
        WorkFolder(tmp_path, sample()).prepare()
    with pytest.raises(UsageError, match="cannot be made"):
        WorkFolder(tmp_path / "thesis.tex" / "x", sample()).prepare()
    (tmp_path / "thesis.tex").rename(tmp_path / "sample.json")
    with pytest.raises(FormatError, match="damaged settings"):
        WorkFolder(tmp_path, sample()).prepare()
    (tmp_path / "sample.json").write_text("[]")
    with pytest.raises(UsageError, match="found list"):
        WorkFolder(tmp_path, sample()).prepare()


@pytest.mark.parametrize("n_events", [0, -1, 1_000_000])
def test_an_illegal_number_of_events_is_refused(tmp_path: Path, n_events: int) -> None:
    with pytest.raises(UsageError, match="--events"):
        make_records(WorkFolder(tmp_path, sample()), n_events, {}, n_workers=0)


def test_a_failure_of_a_process_is_said(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, sample())
    folder.prepare()
    with pytest.raises(SkymapScannerError, match="another light model"):
        make_records(folder, 2, {}, n_workers=2)


def test_processes_have_one_thread_of_numerical_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with work._one_thread():
        assert {os.environ[name] for name in ONE_THREAD} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ts=st.floats(0.0, 1e300), llh=FINITE, energy=st.none() | FINITE, number=st.integers(1, 9))
def test_records_come_back_as_they_were_written(
    tmp_path: Path, ts: float, llh: float, energy: float | None, number: int
) -> None:
    one = record(number, ts=ts, min_llh=llh, energy_in=energy)
    write_record(tmp_path / "event.json", one)
    assert read_record(tmp_path / "event.json") == one


def test_failures_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_record(tmp_path / "event.json", failed(3))
    again = read_record(tmp_path / "event.json")
    assert again == failed(3)
    assert not again.is_ok


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ts": -1.0}, "contradicts itself"),
        ({"ts": None}, "contradicts itself"),
        ({"ts": "2"}, "ts '2'"),
        ({"number": 1.5}, "number 1.5"),
        ({"n_doms": True}, "n_doms True"),
        ({"is_at_edge": 1}, "is_at_edge 1"),
        ({"more": 1}, "fields too many or missing: more"),
        ({"reason": None}, "reason None"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    document = dataclasses.asdict(record()) | change
    (tmp_path / "event.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match=words):
        read_record(tmp_path / "event.json")


def test_records_of_earlier_releases_lack_what_these_did_not_know(tmp_path: Path) -> None:
    document = dataclasses.asdict(record())
    del document["vertex_off"]
    (tmp_path / "event.json").write_text(json.dumps(document))
    assert read_record(tmp_path / "event.json") == record()
    del document["charge_pe"]
    (tmp_path / "event.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="fields too many or missing: charge_pe"):
        read_record(tmp_path / "event.json")


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 99_999, '{"ts": NaN}'])
def test_what_is_no_json_object_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "event.json").write_text(text)
    with pytest.raises(FormatError, match="remove it to make it again"):
        read_record(tmp_path / "event.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "other"}, "--kind: illegal value"),
        ({"classes": ()}, "--class"),
        ({"classes": ("track", "track")}, "wanted each class once"),
        ({"classes": ("muon",)}, "found muon, wanted some of track"),
        ({"energy_range": (2e4, 1e4)}, "--energy-range"),
        ({"energy_range": (math.nan, 1e4)}, "--energy-range"),
        ({"zenith_range": (1.0, 0.5)}, "--zenith-range-deg"),
        ({"zenith_range": (0.0, 4.0)}, "--zenith-range-deg"),
        ({"min_charge": -1.0}, "--min-charge-pe"),
        ({"min_charge": math.nan}, "--min-charge-pe"),
        ({"cone": 0.0}, "--cone-deg"),
        ({"cone": 4.0}, "--cone-deg"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_an_illegal_sample_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sample(**change)


def test_every_setting_tells_samples_apart() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"seed": 2}, {"kind": "varied-ice"}, {"classes": ("cascade",)}, {"light": "x"},
        {"classes": ("cascade", "track")}, {"energy_range": (1e4, 1e5)}, {"min_charge": 5.0},
        {"zenith_range": (0.0, 1.0)}, {"cone": 0.2}, {"reco_options": {}}, {"reco_algo": "x"},
    ]  # fmt: skip
    assert len({sample(**change).digest for change in changes}) == len(changes)
    assert sample().digest == sample().digest


def test_classes_take_turns() -> None:
    both = sample(classes=("cascade", "track"))
    assert [both.class_of(number) for number in (1, 2, 3)] == ["cascade", "track", "cascade"]
    assert both.cone_of("cascade") == pytest.approx(30.0 * DEG)
