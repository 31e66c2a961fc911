"""A simulated event goes through the same reader as a real one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.cli.simulate import main
from skymap_scanner.event import clean_for_tracks, read_event
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.exceptions import UsageError
from skymap_scanner.i3 import read_message
from skymap_scanner.simulation.event import TrackSettings, simulate_track
from skymap_scanner.simulation.frames import TRUTH_KEY

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ["--energy-gev", "2e4", "--zenith-deg", "70", "--azimuth-deg", "200", "--seed", "3"]


@pytest.fixture(scope="module")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "track.json"
    assert main(["track", "-o", str(path), *OPTIONS]) == 0
    return path


def test_event_is_read_like_a_real_one(message: Path) -> None:
    event = read_event(message)
    assert (event.run_id, event.event_id, event.event_type) == (1, 1, "neutrino")
    assert event.is_real is False
    assert event.pulses.n_doms >= 8
    assert 9_000 < np.median(event.pulses.time) < 14_000


def test_summary_carries_the_numbers_of_the_cleaning(message: Path) -> None:
    cleaned = clean_for_tracks(read_event(message))
    summary = read_message(message).summary
    assert (summary["nch"], summary["npulses"]) == (cleaned.n_doms, cleaned.n_pulses)
    assert summary["qtot"] == pytest.approx(cleaned.total_charge, abs=1e-4)


def test_truth_is_in_the_frame_and_beside_it(message: Path) -> None:
    beside = json.loads(message.with_suffix(".truth.json").read_text())
    assert read_event(message).truth == beside
    assert TRUTH_KEY in read_message(message).frames[-1]
    assert beside["energy"] == 2e4
    assert beside["zenith_deg"] == pytest.approx(70.0)


def test_online_fit_is_near_the_truth(message: Path) -> None:
    event = read_event(message)
    fit = event.fits["l2_online_BestFit"]
    zenith, azimuth = event.truth["zenith"], event.truth["azimuth"]  # type: ignore[index]  # a simulated event has truth
    cos = np.cos(zenith) * np.cos(fit.zenith)
    cos += np.sin(zenith) * np.sin(fit.zenith) * np.cos(azimuth - fit.azimuth)
    assert np.degrees(np.arccos(cos)) < 15.0


def test_same_seed_same_pulses() -> None:
    settings = TrackSettings(1e4, 1.2, 0.4, seed=11)
    first, again = (simulate_track(settings, built_in_detector()) for _ in range(2))
    assert np.array_equal(first.pulses.time, again.pulses.time)
    assert first.truth == again.truth


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy": -1.0},
        {"energy": float("nan")},
        {"zenith": 4.0},
        {"azimuth": float("inf")},
        {"impact": (0.0, 1e5)},
        {"ice": "unknown"},
        {"seed": -1},
    ],
)
def test_illegal_settings_are_refused(wrong: dict[str, object]) -> None:
    legal: dict[str, object] = {"energy": 1e4, "zenith": 1.0, "azimuth": 0.0}
    with pytest.raises(UsageError):
        simulate_track(TrackSettings(**{**legal, **wrong}), built_in_detector())  # type: ignore[arg-type]  # wrong on purpose


def test_a_track_that_cannot_trigger_ends_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymap_scanner.simulation.event.MAX_TRIES", 2)
    path = tmp_path / "faint.json"
    options = ["--energy-gev", "5", "--impact-m", "1100", "0"]
    assert main(["track", "-o", str(path), *options]) == 2
    assert "no trigger" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "/nowhere/at/all.json"], "--output: the folder does not exist (found /nowhere/at"),
        (["-o", "/proc/track.json"], "--output: cannot write into folder /proc"),
        (["-o", "/proc"], "--output: is a folder"),
        (
            ["-o", "t.json", "--zenith-deg", "181"],
            "--zenith-deg: angle out of range (found 181",
        ),
        (["-o", "t.json", "--zenith-deg", "-1"], "--zenith-deg: angle out of range (found -1 deg"),
        (["-o", "t.json", "--zenith-deg", "nan"], "--zenith-deg: angle out of range (found nan"),
        (["-o", "t.json", "--azimuth-deg", "inf"], "--azimuth-deg: not an angle (found inf deg"),
    ],
)
def test_a_bad_option_is_named_before_anything_is_simulated(
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skymap_scanner.simulation.event.simulate_track", None)
    assert main(["track", *options]) == 2
    assert words in capsys.readouterr().err
