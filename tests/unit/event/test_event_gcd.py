"""The detector from GCD frames, baseline files and differences."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from handmade_events import (
    event_frames,
    geometry_bytes,
    geometry_diff_bytes,
    put_bytes,
    status_bytes,
    status_diff_bytes,
    string_of_modules,
    write_event_message,
)

from skymap_scanner.event import built_in_detector, event_from_frames, read_event
from skymap_scanner.event.gcd import detector_from_frame, read_gcd_file
from skymap_scanner.exceptions import EventError, FormatError
from skymap_scanner.i3 import Calibration, Frame, OMKey, OMKeyVector, RawObject, write_i3

if TYPE_CHECKING:
    from pathlib import Path

BASELINE = "baseline_gcd_135417.i3"
SPE, MPE, FLASHER = 2, 4, 3


def _gcd_frames() -> tuple[Frame, Frame, Frame]:
    """String 20 moved by a metre; its module 33 has no voltage, 34 no status, 35 is bad."""
    geometry, calibration, status = Frame("G"), Frame("C"), Frame("D")
    modules = string_of_modules(20, 60)
    tank, scintillator = (20, 61), (0, 1)
    put_bytes(
        geometry,
        "I3Geometry",
        geometry_bytes({**modules, tank: (0.0, 0.0, 1950.0), scintillator: (0.0, 0.0, 1951.0)}),
    )
    doms = dict.fromkeys(modules, (1.3, SPE))
    doms[20, 33] = (0.0, SPE)
    doms[20, 36] = (1.3, FLASHER)
    doms[20, 37] = (1.3, MPE)
    del doms[20, 34]
    put_bytes(status, "I3DetectorStatus", status_bytes(doms))
    status.put("BadDomsList", OMKeyVector((OMKey(20, 35), OMKey(20, 61))))
    status.put("BadDomsListSLC", OMKeyVector((OMKey(20, 38),)))
    return geometry, calibration, status


def _frames_with_diff(
    base: str = BASELINE, *, removed: tuple[tuple[int, int], ...] = ()
) -> tuple[Frame, ...]:
    frames = event_frames()
    put_bytes(frames[0], "I3GeometryDiff", geometry_diff_bytes(base))
    put_bytes(frames[2], "I3DetectorStatusDiff", status_diff_bytes(base, removed))
    return frames


def _dead(frames: tuple[Frame, ...], **places: Path | str) -> list[tuple[int, int]]:
    detector = event_from_frames(frames, **places).detector  # type: ignore[arg-type]  # paths only
    return [(string, om) for string, om in detector.om_key[~detector.is_alive].tolist()]


def test_geometry_and_status_make_a_detector() -> None:
    geometry, calibration, status = _gcd_frames()
    frames = (geometry, calibration, status, *event_frames()[3:])
    event = event_from_frames(frames)
    detector = event.detector
    assert detector.source == "GCD frames of the event"
    assert event.baseline_gcd is None
    assert detector.n_om == 60
    nominal = built_in_detector()
    row = nominal.index_of(20, 1)
    assert detector.om_xyz == pytest.approx(nominal.om_xyz[row : row + 60] + 1.0)
    # 30, 31 and 32 have pulses, so they live.
    assert _dead(frames) == [(20, om) for om in (33, 34, 35, 36, 38)]


def test_a_module_with_pulses_is_alive() -> None:
    frames = _frames_with_diff(removed=((20, 30), (20, 40)))
    assert _dead(frames) == [(20, 40)]


def test_without_a_baseline_only_removed_modules_are_known_to_be_dead() -> None:
    frames = _frames_with_diff(removed=((30, 60), (74, 61), (0, 1)))
    assert _dead(frames) == [(30, 60)]
    event = event_from_frames(frames)
    assert event.detector.source == "IceCube-86 built-in"
    assert event.baseline_gcd is None


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".zst"])
def test_the_baseline_in_the_folder_gives_the_detector(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"{BASELINE}{suffix}"
    write_i3(path, _gcd_frames())
    message = write_event_message(tmp_path, _frames_with_diff(removed=((20, 40), (20, 33))))
    event = read_event(message, gcd_dir=tmp_path)
    assert event.detector.source == path.name
    assert event.baseline_gcd == str(path)
    assert event.detector.n_om == 60
    dead = event.detector.om_key[~event.detector.is_alive, 1]
    assert dead.tolist() == [33, 34, 35, 36, 38, 40]


def test_a_client_reads_the_very_file_that_the_server_read(tmp_path: Path) -> None:
    path = tmp_path / "any-name.i3"
    write_i3(path, _gcd_frames())
    event = event_from_frames(_frames_with_diff(), baseline_gcd=path)
    assert (event.detector.source, event.baseline_gcd) == ("any-name.i3", str(path))
    with pytest.raises(FormatError, match=r"nowhere\.i3.*cannot be read"):
        event_from_frames(_frames_with_diff(), baseline_gcd=tmp_path / "nowhere.i3")


def test_a_folder_without_the_baseline_is_said_and_not_fatal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        event = event_from_frames(_frames_with_diff(), gcd_dir=tmp_path)
    assert event.detector.source == "IceCube-86 built-in"
    assert f"no {BASELINE} in {tmp_path}" in caplog.text


def test_a_folder_for_an_event_that_names_no_baseline_is_said_to_be_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        event_from_frames(event_frames())
        assert not caplog.records
        event = event_from_frames(event_frames(), gcd_dir=tmp_path)
    assert event.detector.source == "IceCube-86 built-in"
    assert f"{tmp_path} is not searched" in caplog.text


def test_the_placeholder_of_2016_stands_for_a_file(tmp_path: Path) -> None:
    write_i3(tmp_path / "2016_01_08_Run127381.i3.gz", _gcd_frames())
    event = event_from_frames(_frames_with_diff("current-gcd"), gcd_dir=tmp_path)
    assert event.detector.source == "2016_01_08_Run127381.i3.gz"


def test_changed_modules_follow_their_new_status() -> None:
    frames = event_frames()
    changed = {(10, 1): (1.3, SPE), (10, 2): (0.0, SPE), (10, 3): (1.3, -1)}
    put_bytes(frames[2], "I3DetectorStatusDiff", status_diff_bytes(BASELINE, (), changed))
    assert _dead(frames) == [(10, 2), (10, 3)]


def test_frames_against_different_baselines_are_refused() -> None:
    frames = _frames_with_diff()
    put_bytes(frames[0], "I3GeometryDiff", geometry_diff_bytes("baseline_gcd_1.i3"))
    with pytest.raises(EventError, match=r"several baseline.*baseline_gcd_1.*baseline_gcd_135417"):
        event_from_frames(frames)


@pytest.mark.parametrize("name", ["../secret.i3", "/etc/passwd", ".hidden", "a b", "x" * 300])
def test_a_baseline_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(EventError, match="illegal baseline"):
        event_from_frames(_frames_with_diff(name), gcd_dir=tmp_path)


def test_a_difference_that_cannot_be_read_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = event_frames()
    frames[2].put("I3DetectorStatusDiff", RawObject("I3DetectorStatusDiff", 9, b"\0\1\2"))
    with caplog.at_level(logging.WARNING):
        assert _dead(frames) == []
    assert caplog.text.count("cannot be decoded") == 1


def test_efficiencies_come_from_the_calibration() -> None:
    frame = Frame("P")
    put_bytes(frame, "I3Geometry", geometry_bytes(string_of_modules(36, 60)))
    nominal = built_in_detector()
    first = nominal.index_of(36, 1)
    without = detector_from_frame(frame, "test").rel_efficiency
    assert np.array_equal(without, nominal.rel_efficiency[first : first + 60])
    put_bytes(frame, "I3Calibration", b"x")
    values = {OMKey(36, 1): 1.2, OMKey(36, 2): float("nan"), OMKey(36, 3): 0.0}
    frame._decoded["I3Calibration"] = Calibration(values)
    with_it = detector_from_frame(frame, "test").rel_efficiency
    assert with_it[:4].tolist() == [1.2, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("position", "message"), [((0.0, float("nan"), 0.0), "not finite"), (None, "without in-ice")]
)
def test_a_geometry_that_is_none_is_refused(
    position: tuple[float, float, float] | None, message: str
) -> None:
    frame = Frame("P")
    modules = {(20, 61): (0.0, 0.0, 1950.0)}
    if position is not None:
        modules[20, 1] = position
    put_bytes(frame, "I3Geometry", geometry_bytes(modules))
    with pytest.raises(EventError, match=message):
        detector_from_frame(frame, "test")


def test_a_file_without_geometry_is_no_gcd_file(tmp_path: Path) -> None:
    path = tmp_path / BASELINE
    write_i3(path, event_frames())
    with pytest.raises(EventError, match=r"not a GCD file.*wanted I3Geometry"):
        read_gcd_file(path)
    path.write_bytes(b"[i3]" + bytes(30))
    with pytest.raises(FormatError, match=BASELINE):
        read_gcd_file(path)


def test_empty_gcd_frames_are_fine() -> None:
    assert event_from_frames(event_frames()).detector.is_alive.all()
