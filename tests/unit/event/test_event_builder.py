"""Events of hand-made frames: what is read, and what is refused with which words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from handmade_events import PULSES, event_frames, fitted, pulse_map, put_bytes, text

from skymap_scanner.event import (
    check_real_event,
    clean_for_tracks,
    event_from_frames,
    is_real_run,
    online_fit,
    seed_vertex,
)
from skymap_scanner.event.serialized import event_from_bytes
from skymap_scanner.exceptions import EventError, FormatError, InputError
from skymap_scanner.i3 import (
    I3Bool,
    I3Double,
    OMKey,
    Position,
    PulseMapMask,
    RawObject,
    TimeWindow,
    TimeWindowSeriesMap,
    packet_from_json,
    packet_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.i3 import PulseMap

NAN, INF = float("nan"), float("inf")


def test_an_event_has_what_its_frames_say() -> None:
    event = event_from_frames(event_frames(objects={"OnlineL2_SplineMPE": fitted()}))
    assert event.name == "run00136662.evt000000000007.None"
    assert event.selector == "136662:7:0"
    assert event.stream == "InIceSplit"
    assert event.mjd == pytest.approx(59723.320511405, abs=1e-9)
    assert event.pulses_name == "SplitInIcePulses"
    assert event.pulses.charge.tolist() == [2.0, 3.0, 4.0]
    assert event.pulses.is_hlc.all()
    assert event.readout_window == (5000.0, 20000.0)
    assert event.detector.source == "IceCube-86 built-in"
    assert list(event.fits) == ["OnlineL2_SplineMPE"]
    assert event.fits["OnlineL2_SplineMPE"].vertex == (1.0, 2.0, 3.0)
    assert (event.summary, event.truth, event.stored_vertex) == ({}, None, None)
    assert clean_for_tracks(event).n_pulses == 3


def test_a_packet_gives_the_same_event() -> None:
    frames = packet_from_json(packet_to_json(event_frames(objects={"Fit": fitted()})))
    assert frames[-1].stop == "p"
    event = event_from_frames(frames, version="2023a")
    assert event.version == "2023a"
    assert event.fits["Fit"].ok
    assert event.pulses.time.tolist() == [10000.0, 10050.0, 10100.0]


def test_frames_on_the_wire_give_the_same_event() -> None:
    event = event_from_bytes([frame.to_bytes() for frame in event_frames()], version="2023a")
    assert event.pulses.time.tolist() == [10000.0, 10050.0, 10100.0]
    with pytest.raises(FormatError):
        event_from_bytes([b"no frame"])


def test_missing_parents_are_no_fault() -> None:
    assert event_from_frames(event_frames()[-1:]).pulses.n_pulses == 3


def test_truth_and_alert_message_are_parsed() -> None:
    objects = {
        "SkymapScannerTruth": text({"zenith": 1.0}),
        "AlertShortFollowupMsg": text('{"neutrino": {}, "nch": 3, "reco": {"cr": NaN}}'),
    }
    event = event_from_frames(event_frames(objects=objects))
    assert event.truth == {"zenith": 1.0}
    assert event.summary["nch"] == 3
    assert event_from_frames(event_frames(objects=objects), summary={"nch": 4}).summary == {
        "nch": 4
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"hese": {}, "neutrino": {}}, "HESE"),
        ({"neutrino": {}, "ehe": {}}, "EHE"),
        ({"estres": {}, "neutrino": None}, "neutrino"),
        ({"estres": {}}, "ESTRES"),
        ({"nch": 3}, "None"),
    ],
)
def test_the_alert_message_decides_the_type(message: dict[str, Any], expected: str) -> None:
    objects = {"AlertShortFollowupMsg": text(message), "HESE_llhratio": I3Double(1.0)}
    assert event_from_frames(event_frames(objects=objects)).event_type == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["HESE_llhratio", "Estres_p_miss"], "HESE"),
        (["PoleEHEOphelia_ImpLF", "Estres_p_miss"], "ESTRES"),
        (["PoleEHEOphelia_ImpLF"], "EHE"),
        (["PoleEHEOpheliaParticle_ImpLF"], "EHE"),
        ([], "None"),
    ],
)
def test_without_a_message_the_keys_decide_the_type(keys: list[str], expected: str) -> None:
    objects = {key: I3Double(1.0) for key in keys}
    assert event_from_frames(event_frames(objects=objects)).event_type == expected


@pytest.mark.parametrize("name", ["SplitUncleanedInIcePulses", "SplitInIcePulses"])
@pytest.mark.parametrize("version", ["", "2021a", "2023a", "nonsense"])
def test_the_pulse_series_that_is_there_is_taken(name: str, version: str) -> None:
    event = event_from_frames(event_frames(name=name), version=version)
    assert event.pulses_name == name


def test_of_two_pulse_series_the_version_decides() -> None:
    frames = event_frames(objects={"SplitUncleanedInIcePulses": pulse_map(*PULSES[:2])})
    assert event_from_frames(frames, version="2023a").pulses.n_pulses == 3
    assert event_from_frames(frames, version="2021a").pulses.n_pulses == 2
    assert event_from_frames(frames).pulses.n_pulses == 2


def test_masks_over_parents_are_followed() -> None:
    source = pulse_map(*PULSES)
    mask = PulseMapMask.from_selection("InIcePulses", source, np.array([True, False, True]))
    frames = event_frames(objects={"SplitInIcePulses": mask})
    frames[3].put("InIcePulses", source)
    assert event_from_frames(frames).pulses.charge.tolist() == [2.0, 4.0]


def test_surface_tanks_are_left_out() -> None:
    event = event_from_frames(event_frames(pulse_map(*PULSES, (20, 61, 9000.0, 50.0))))
    assert event.pulses.n_pulses == 3


def test_a_stored_vertex_is_the_seed() -> None:
    objects = {
        "HESE_VHESelfVetoVertexPos": Position(1.0, 2.0, 3.0),
        "HESE_VHESelfVetoVertexTime": I3Double(9999.0),
    }
    event = event_from_frames(event_frames(objects=objects))
    assert event.stored_vertex is not None
    assert seed_vertex(event).vertex == (1.0, 2.0, 3.0)
    assert seed_vertex(event, (5.0,), use_stored=False).vertex_time == 10050.0


@pytest.mark.parametrize("time", [None, NAN])
def test_half_a_stored_vertex_is_none(time: float | None) -> None:
    objects: dict[str, object] = {"HESE_VHESelfVetoVertexPos": Position(1.0, 2.0, 3.0)}
    if time is not None:
        objects["HESE_VHESelfVetoVertexTime"] = I3Double(time)
    assert event_from_frames(event_frames(objects=objects)).stored_vertex is None


def test_a_vertex_of_last_resort_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    event = event_from_frames(event_frames(pulse_map(*PULSES, flags=0)))
    with caplog.at_level(logging.WARNING):
        guess = seed_vertex(event)
    assert guess.vertex_time == 10050.0
    assert "250 or 5 PE" in caplog.text


def test_bad_windows_are_kept_by_module_and_foreign_modules_ignored() -> None:
    window = TimeWindow(1.0, 2.0)
    windows = {OMKey(20, 30): (window, TimeWindow(3.0, 4.0)), OMKey(20, 61): (window,)}
    event = event_from_frames(
        event_frames(objects={"CalibrationErrata": TimeWindowSeriesMap(windows)})
    )
    row = event.detector.index_of(20, 30)
    assert event.excluded_windows == {"CalibrationErrata": {row: [(1.0, 2.0), (3.0, 4.0)]}}


def test_without_a_readout_window_the_pulses_give_it() -> None:
    event = event_from_frames(event_frames(without=["SplitInIcePulsesTimeRange"]))
    assert event.readout_window == (10000.0, 10100.0)


def test_a_fit_is_usable_only_with_status_zero_and_a_direction() -> None:
    objects = {
        "Good": fitted(),
        "Failed": fitted(status=10),
        "NoDirection": fitted(zenith=NAN),
        "NoFit": I3Bool(True),
    }
    event = event_from_frames(event_frames(objects=objects))
    assert {name: fit.ok for name, fit in event.fits.items()} == {
        "Good": True,
        "Failed": False,
        "NoDirection": False,
    }


def test_the_online_fit_is_the_spline_fit_else_the_best_one() -> None:
    objects = {
        "l2_online_SplineMPE": fitted(1.0),
        "OnlineL2_BestFit": fitted(2.0),
        "OnlineL2_SplineMPE": fitted(3.0, status=10),
    }
    frames = event_frames(objects=objects)
    assert online_fit(event_from_frames(frames, version="2021a")).zenith == 1.0
    del objects["l2_online_SplineMPE"]
    frames = event_frames(objects=objects)
    assert online_fit(event_from_frames(frames, version="2021a")).zenith == 2.0


def test_hese_events_of_2016_have_the_fit_of_their_selection() -> None:
    objects = {"HESE_SPEFit2": fitted(1.0), "OnlineL2_BestFit": fitted(2.0)}
    frames = event_frames(name="SplitUncleanedInIcePulses", objects=objects)
    assert online_fit(event_from_frames(frames)).zenith == 2.0
    del objects["OnlineL2_BestFit"]
    frames = event_frames(name="SplitUncleanedInIcePulses", objects=objects)
    assert online_fit(event_from_frames(frames)).zenith == 1.0


def test_without_online_fit_the_fits_that_are_there_are_listed() -> None:
    event = event_from_frames(event_frames(objects={"MyFit": fitted()}))
    with pytest.raises(EventError, match=r"found MyFit, wanted .*HESE_SPEFit2") as caught:
        online_fit(event)
    assert caught.value.exit_code == 2


BAD_PULSES: Mapping[str, PulseMap] = {
    "time is not finite": pulse_map(*PULSES, (21, 1, NAN, 1.0)),
    "time is not finite ": pulse_map(*PULSES, (21, 1, INF, 1.0)),
    "charge is not finite": pulse_map(*PULSES, (21, 1, 1.0, NAN)),
    "charge is not finite ": pulse_map(*PULSES, (21, 1, 1.0, -INF)),
    "charge is negative": pulse_map(*PULSES, (21, 1, 1.0, -0.5)),
    "unknown optical module": pulse_map(*PULSES, (87, 1, 1.0, 1.0)),
    "unknown optical module ": pulse_map(*PULSES, (21, 0, 1.0, 1.0)),
    "no pulses": pulse_map(),
    "no pulses ": pulse_map((21, 61, 1.0, 1.0)),
    "no charge": pulse_map((21, 1, 1.0, 0.0)),
}


@pytest.mark.parametrize("message", BAD_PULSES)
def test_pulses_that_no_fit_can_use_are_refused(message: str) -> None:
    with pytest.raises(EventError, match=message.strip()) as caught:
        event_from_frames(event_frames(BAD_PULSES[message]))
    assert "SplitInIcePulses" in str(caught.value)
    assert caught.value.exit_code == 2
    assert caught.value.found is not None
    assert caught.value.wanted is not None


def test_the_module_at_fault_is_named() -> None:
    with pytest.raises(EventError, match=r"\(87, 1, 0\)"):
        event_from_frames(event_frames(BAD_PULSES["unknown optical module"]))
    with pytest.raises(EventError, match=r"\(21, 1, 0\).*found nan"):
        event_from_frames(event_frames(BAD_PULSES["time is not finite"]))


@pytest.mark.parametrize(
    ("objects", "without", "message"),
    [
        ({}, ["I3EventHeader"], r"a key is missing.*wanted I3EventHeader"),
        ({"I3EventHeader": I3Double(1.0)}, [], r"another class.*wanted EventHeader"),
        ({"I3EventHeader": RawObject("I3EventHeader", 3, b"\0\1")}, [], "cannot be decoded"),
        ({}, ["SplitInIcePulses"], r"no pulses.*wanted SplitUncleaned"),
        ({"SplitInIcePulses": I3Double(1.0)}, [], "not a pulse series"),
        ({"SplitInIcePulsesTimeRange": TimeWindow(2.0, 1.0)}, [], "readout window"),
        ({"SplitInIcePulsesTimeRange": TimeWindow(NAN, 1.0)}, [], "readout window"),
        ({"AlertShortFollowupMsg": text("{")}, [], "not JSON"),
        ({"AlertShortFollowupMsg": text("[" * 100_000)}, [], "not JSON"),
        ({"AlertShortFollowupMsg": text([1])}, [], "not a JSON object"),
        ({"SkymapScannerTruth": text("nan nan")}, [], "not JSON"),
        ({"SkymapScannerTruth": I3Double(1.0)}, [], r"SkymapScannerTruth.*another class"),
        ({"CalibrationErrata": I3Double(1.0)}, [], r"CalibrationErrata.*another class"),
    ],
)
def test_unusable_frames_say_where_and_why(
    objects: dict[str, object], without: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        event_from_frames(event_frames(objects=objects, without=without))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("stops", ["", "G", "GCDQ"])
def test_frames_must_end_with_an_event(stops: str) -> None:
    frames = [frame for frame in event_frames() if frame.stop in stops]
    with pytest.raises(EventError, match="no physics frame"):
        event_from_frames(frames)


@pytest.mark.parametrize(
    ("run", "is_real"), [(99_999, False), (100_000, True), (999_999, True), (1_000_000, False)]
)
def test_real_runs_have_six_digits(run: int, *, is_real: bool) -> None:
    event = event_from_frames(event_frames(run=run))
    assert event.is_real == is_real_run(run) == is_real
    assert check_real_event(event, None) == is_real
    assert not check_real_event(event, "simulated")
    if is_real:
        assert check_real_event(event, "real")
    else:
        with pytest.raises(EventError, match=f"found run {run}, wanted 100000 <= run < 1000000"):
            check_real_event(event, "real")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((20, 30, 1e300, 1.0), "time is beyond all reason .*module \\(20, 30, 0\\)|time is beyond"),
        ((20, 30, 1.0, 3e38), "charge is beyond all reason"),
    ],
)
def test_numbers_beyond_all_reason_are_refused(
    row: tuple[int, int, float, float], message: str
) -> None:
    with pytest.raises(EventError, match=message):
        event_from_frames(event_frames(pulse_map(*PULSES, row)))


def test_a_stored_vertex_outside_of_the_world_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    objects = {
        "HESE_VHESelfVetoVertexPos": Position(1e200, 0.0, 0.0),
        "HESE_VHESelfVetoVertexTime": I3Double(1e4),
    }
    assert event_from_frames(event_frames(objects=objects)).stored_vertex is None
    assert "(1e+200, 0, 0) m at 10000 ns; it is left out" in caplog.text


def test_a_damaged_fit_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    *parents, physics = event_frames(objects={"Fit": fitted()})
    put_bytes(physics, "Fit", physics.raw("Fit")[:-5])
    assert event_from_frames([*parents, physics]).fits == {}
    assert "key Fit: a fit left out: " in caplog.text
