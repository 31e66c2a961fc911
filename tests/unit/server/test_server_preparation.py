from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.exceptions import EventError, InputError, PluginError, UsageError
from skymap_scanner.i3 import PulseMap, read_message, write_message
from skymap_scanner.pixels import Guess
from skymap_scanner.recos.dummy import Dummy
from skymap_scanner.result import levels
from skymap_scanner.result.calibrated_levels import CalibratedLevels, LevelEstimate
from skymap_scanner.result.levels import CLASSIC, WILKS
from skymap_scanner.server.tasks import TaskMaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.server.preparation import ScanPlan

    MakePlan = Callable[..., ScanPlan]


def test_plan_says_all_about_the_scan(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(reco_algo="SplineMPE")
    assert plan.reco.name == "splinempe"
    assert plan.n_variations == 1
    assert plan.progression.nsides == (1, 2)
    assert plan.scan_id == "1-1-1-2-1714953600-abcdef"
    assert not plan.is_real
    assert plan.region is None
    assert plan.pointing is None
    assert plan.folders.output == tmp_path / "out"
    assert plan.folders.cache.parent == tmp_path / "cache" / plan.event.name


def test_the_rule_of_regions_is_chosen_before_the_scan(make_plan: MakePlan) -> None:
    assert make_plan(reco_algo="splinempe", level_rule="wilks").level_rule is WILKS
    assert make_plan(reco_algo="dummy", level_rule="classic").level_rule is CLASSIC
    with pytest.raises(UsageError, match="no calibrated levels for this scan"):
        make_plan(reco_algo="dummy", level_rule="calibrated")


def test_levels_for_other_options_are_not_used_and_that_is_said(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = make_plan(reco_algo="splinempe").reco.describe_options()
    estimates = (LevelEstimate(0.5, 2.0, 1.9, 2.1), LevelEstimate(0.9, 8.0, 7.5, 8.5))
    entry = CalibratedLevels(
        "splinempe", options, "varied-ice", "track", None, estimates, 400, 0, "2030-01-31",
        "a test", "light", {}, "0" * 16,
    )  # fmt: skip
    monkeypatch.setattr(levels, "shipped_levels", lambda: (entry,))
    assert make_plan(reco_algo="splinempe").level_rule.ts_level(0.9) == 8.0
    assert caplog.records == []
    other = make_plan(reco_algo="splinempe", reco_options={"variations": "classic"})
    assert other.level_rule.name == "hpd"
    assert "variations=point, not classic" in other.level_rule.note
    assert other.level_rule.note in caplog.text


def test_settings_of_the_reco_have_a_cache_of_their_own(make_plan: MakePlan) -> None:
    default = make_plan(reco_algo="splinempe").folders.cache
    same = make_plan(reco_algo="splinempe", reco_options={"variations": "point"}).folders.cache
    other = make_plan(reco_algo="splinempe", reco_options={"variations": "classic"}).folders.cache
    assert default == same != other


def test_startup_json_of_an_earlier_scan_is_removed(make_plan: MakePlan, tmp_path: Path) -> None:
    for content in ('{"scan_id": "x"}', ""):
        (tmp_path / "startup.json").write_text(content)
        make_plan()
        assert not (tmp_path / "startup.json").exists()


def test_a_scan_that_cannot_start_leaves_the_startup_json_of_another(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    path = tmp_path / "startup.json"
    path.write_text('{"scan_id": "x"}')
    with pytest.raises(InputError):
        make_plan(event_file=tmp_path / "no.json")
    assert path.exists()


def test_no_other_file_is_taken_for_an_old_startup_json(
    make_plan: MakePlan, root: Path, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_bytes((root / "examples" / "simulated_track.json").read_bytes())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    for path in (event, tmp_path / "pipe", tmp_path / "link", tmp_path):
        with pytest.raises(UsageError, match="--client-startup-json: something else is there"):
            make_plan(client_startup_json=path, event_file=event)
        assert path.is_symlink() or path.exists()


def test_a_cone_confines_the_scan(make_plan: MakePlan) -> None:
    plan = make_plan(around=(1.0, 0.5, 0.1))
    assert plan.region is not None
    assert (plan.region.ra, plan.region.dec, plan.region.radius) == (1.0, 0.5, 0.1)


def test_a_pointed_reco_looks_along_the_online_fit(make_plan: MakePlan) -> None:
    plan = make_plan(reco_algo="splinempe_pointed")
    assert plan.pointing is not None
    assert np.rad2deg(plan.pointing.radius) == pytest.approx(3.5)
    fit = plan.event.fits["l2_online_BestFit"]
    from skymap_scanner.event import detector_to_equatorial

    ra, dec = detector_to_equatorial(fit.zenith, fit.azimuth, plan.event.mjd)
    assert (plan.pointing.ra, plan.pointing.dec) == pytest.approx((float(ra), float(dec)))


def test_a_cone_beats_the_pointing(make_plan: MakePlan) -> None:
    assert make_plan(reco_algo="splinempe_pointed", around=(1.0, 0.5, 0.1)).pointing is None


def test_simulated_event_cannot_be_called_real(make_plan: MakePlan) -> None:
    with pytest.raises(EventError, match=r"track.json: run.*run 1, wanted 100000 <= run < 1000000"):
        make_plan(is_real=True)
    assert not make_plan(is_real=False).is_real


def test_nothing_is_made_before_all_is_checked(make_plan: MakePlan, tmp_path: Path) -> None:
    for wrong in ({"reco_algo": "no_such"}, {"nsides": ("3:0",)}, {"event_file": tmp_path / "no"}):
        with pytest.raises(InputError):
            make_plan(**wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_event_that_the_reco_cannot_use_is_refused_before_any_worker_starts(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    message = read_message(make_plan().request.event_file)
    *parents, physics = message.frames
    path = tmp_path / "few.json"
    one = np.ones(1)
    physics.put(
        "SplitInIcePulses", PulseMap(np.array([[1, 2, 0]]), one, one, one, np.ones(1, "u1"))
    )
    write_message(path, [*parents, physics], version="2024a", streams=[], summary={})
    with pytest.raises(EventError, match=r"few.json: run.*too few hit modules"):
        make_plan(event_file=path, reco_algo="splinempe")
    assert make_plan(event_file=path, reco_algo="dummy").event.pulses.n_pulses == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("get_vertex_variations", ValueError("none")),
        ("check_event", KeyError("none")),
        ("base_vertex", ZeroDivisionError("none")),
        ("base_vertex", Guess((float("nan"), 0.0, 0.0), 0.0)),
    ],
)
def test_faults_of_a_plugin_name_it_and_its_method(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, method: str, answer: object
) -> None:
    def faulty(*_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Dummy, method, faulty)
    with pytest.raises(PluginError, match=f"reco dummy: {method} failed: "):
        _task_maker(make_plan())


def _task_maker(plan: ScanPlan) -> TaskMaker:
    return TaskMaker(scan_id=plan.scan_id, reco=plan.reco, event=plan.event)
