"""Eight real events, 2016 to 2023: every number of the table that other readers agree on.

The numbers (DOMs / pulses / charge, times, fits, seeds) come from an independent reader and writer
of the same files; a wrong bit order, unit, sign, offset or rounding changes at least one of them.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.i3 import (
    CalibrationDiff,
    DetectorStatusDiff,
    EventHeader,
    Frame,
    GeometryDiff,
    I3Bool,
    I3Double,
    I3String,
    I3Time,
    LogLikelihoodFitParams,
    OMKey,
    Particle,
    Position,
    PulseMap,
    RawObject,
    RealtimeMessage,
    SuperDst,
    TimeWindow,
    TrackCharacteristics,
    baseline_file,
    mix_frames,
    pack_pulses,
    packet_from_json,
    packet_to_json,
    read_i3,
    read_message,
    resolve_pulses,
    rewrite_message,
    unpack_pulses,
    write_i3,
    write_message,
)
from skymap_scanner.i3.registry import CODECS, encode_object

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared

Summary = tuple[int, int, float]


@dataclass(frozen=True)
class Expected:
    """One row of the table."""

    file: str
    version: str
    streams: tuple[str, ...]
    form: str
    run: int
    event: int
    dst: Summary
    in_ice: Summary
    main: Summary
    n_hlc: int
    readouts: tuple[int, int]
    first: tuple[float, int, int]
    last: tuple[float, int, int]
    mjd: float
    start: I3Time
    sub_event: int = 0


EVENTS = {
    "136662": Expected(
        "IC220524A_run136662_evt35405932.pkl", "2021a", ("neutrino",), "P2", 136662, 35405932,
        (256, 889, 2603.623), (248, 881, 1529.175), (176, 763, 1418.425), 686, (284, 889),
        (28383, 68, 53), (46293, 39, 7), 59723.320511405, I3Time(2022, 123828921853524946), 1,
    ),
    "135908": Expected(
        "IC211117A_run135908_evt43512334.pkl", "2021a", ("neutrino",), "P2", 135908, 43512334,
        (169, 1168, 1938.317), (166, 1165, 1605.825), (165, 1164, 1604.750), 1077, (195, 1168),
        (6064, 51, 41), (27724, 26, 3), 59535.160384074, I3Time(2021, 276618571839864442),
    ),
    "136249": Expected(
        "IC220205A_run136249_evt27650203.pkl", "2021a", ("neutrino",), "P2", 136249, 27650203,
        (188, 938, 1458.946), (183, 933, 922.575), (183, 933, 922.575), 863, (197, 938),
        (6014, 78, 41), (25273, 14, 53), 59615.015737727, I3Time(2022, 30253597396256718),
    ),
    "138632": Expected(
        "IC231202A_run138632_evt31747601.json", "2023a", ("neutrino",), "P3", 138632, 31747601,
        (219, 952, 1505.445), (216, 948, 885.500), (216, 948, 885.500), 870, (231, 952),
        (6161, 59, 52), (21032, 68, 43), 60280.714167746, I3Time(2023, 290057040932302199),
    ),
    "127907a": Expected(
        "HESE_run127907_evt16605651.json", "", (), "P2", 127907, 16605651,
        (121, 642, 2891.886), (114, 635, 2194.675), (114, 635, 2194.675), 557, (131, 642),
        (6100, 67, 40), (22832, 63, 19), 57517.627892626, I3Time(2016, 111998499229191710),
    ),
    "127907b": Expected(
        "HESE_run127907_evt20178442.json", "", (), "P2", 127907, 20178442,
        (84, 420, 2829.530), (77, 413, 2052.975), (75, 410, 2050.250), 353, (95, 420),
        (6085, 86, 31), (24934, 76, 56), 57517.643541532, I3Time(2016, 112012019883772887),
    ),
    "130322": Expected(
        "HESE_run130322_evt1414689.json", "", (), "P2", 130322, 1414689,
        (278, 3307, 10595.597), (265, 3293, 9691.775), (265, 3292, 9691.250), 3177, (330, 3307),
        (6201, 47, 34), (25525, 44, 56), 58086.451842403, I3Time(2017, 287238391836075052),
    ),
    "135395": Expected(
        "low_energy_run135395_evt4698470.pkl", "2021a", ("neutrino",), "P2", 135395, 4698470,
        (61, 89, 262.863), (60, 88, 79.650), (60, 88, 79.650), 45, (62, 89),
        (6777, 63, 21), (21074, 53, 31), 59382.663199428, I3Time(2021, 144861004305642570),
    ),
}  # fmt: skip  # a table

#: Event, fit: zenith, azimuth [rad], position [m], time [ns].
FITS = [
    ("136662", "OnlineL2_SplineMPE", 1.510775, 0.665871, (-178.693, 346.641, 186.546), 32493.643),
    ("136662", "OnlineL2_BestFit", 1.511211, 0.695508, (-178.059, 347.946, 186.422), 32493.643),
    ("135908", "OnlineL2_SplineMPE", 1.565933, 5.898572, (-51.193, -213.484, 417.844), 13298.989),
    ("136249", "OnlineL2_SplineMPE", 1.835513, 0.255505, (122.389, -401.390, 261.685), 10838.929),
    ("138632", "l2_online_SplineMPE", 1.571632, 4.876875, (-290.891, -69.056, -190.179), 11245.075),
    ("138632", "l2_online_BestFit", 1.572399, 4.876740, (-290.186, -70.474, -189.512), 11245.075),
    ("127907a", "HESE_SPEFit2", 0.881730, 4.906915, (2.567, -157.719, 311.886), 9976.149),
    ("127907a", "HESE_CascadeLlhVertexFit", 0.636223, 4.939080, (30.660, -110.641, 293.338),
     9650.113),
    ("127907b", "HESE_SPEFit2", 0.845916, 2.798883, (-435.889, -187.228, 404.934), 9632.946),
    ("130322", "OnlineL2_SplineMPE", 2.634366, 1.015733, (181.848, -17.005, 109.354), 9798.391),
    ("130322", "HESE_SPEFit2", 1.973317, 6.117298, (162.283, -23.580, 120.619), 9808.249),
    ("135395", "OnlineL2_SplineMPE", 2.476307, 3.599761, (-357.834, 71.226, -230.395), 14063.801),
]  # fmt: skip  # a table

#: Event: vetoed, position [m], time [ns], log-likelihood ratio.
VETO_SEEDS = {
    "138632": (True, (-238.80203, -440.54241, -184.25054), 10931, None),
    "127907a": (False, (1.84636, -150.80130, 322.33362), 10026, 56.56669),
    "127907b": (False, (-369.27905, -210.28633, 358.08178), 9965, 23.18576),
    "130322": (False, (194.34, -30.92, 112.62), 9886, -54.83342),
}

each_event = pytest.mark.parametrize("name", EVENTS)


@functools.cache
def load(path: Path) -> tuple[RealtimeMessage, Frame]:
    message = read_message(path)
    return message, mix_frames(message.frames)


def message_of(shared: Path, name: str) -> RealtimeMessage:
    return load(shared / "events" / EVENTS[name].file)[0]


def frame_of(shared: Path, name: str) -> Frame:
    return load(shared / "events" / EVENTS[name].file)[1]


def main_key(name: str) -> str:
    return "SplitInIcePulses" if name == "138632" else "SplitUncleanedInIcePulses"


def summary(pulses: PulseMap) -> Summary:
    return pulses.n_doms, len(pulses), round(float(pulses.charge.sum()), 3)


def pulses_of(shared: Path, name: str, key: str) -> PulseMap:
    return resolve_pulses(frame_of(shared, name), key)


def test_all_files_are_in_the_table(shared: Path) -> None:
    files = {path.name for path in (shared / "events").iterdir()}
    assert files == {expected.file for expected in EVENTS.values()}


@each_event
def test_message(shared: Path, name: str) -> None:
    expected, message = EVENTS[name], message_of(shared, name)
    assert (message.version, message.streams) == (expected.version, expected.streams)
    assert "".join(message.labels) == "".join(f.stop for f in message.frames) == "GCDQP"
    assert {form.name for form in message.forms} == {expected.form}
    if "AlertShortFollowupMsg" in message.frames[-1]:
        text = message.frames[-1].get("AlertShortFollowupMsg", I3String).value
        assert json.loads(text) == message.summary


@each_event
def test_header(shared: Path, name: str) -> None:
    expected, frame = EVENTS[name], frame_of(shared, name)
    header = frame.get("I3EventHeader", EventHeader)
    assert (header.run, header.event, header.sub_event) == (
        expected.run,
        expected.event,
        expected.sub_event,
    )
    assert (header.state, header.stream) == (20, "InIceSplit")
    assert header.start == expected.start
    assert header.start.mjd == pytest.approx(expected.mjd, abs=5.1e-10)
    assert I3Time.from_mjd(header.start.mjd).ns_since(header.start) == pytest.approx(0, abs=700)
    q_header = frame.get("QI3EventHeader", EventHeader)
    assert (q_header.stream, q_header.sub_event) == ("", 0)
    later = 27758.5 if name == "136662" else 6000.0
    assert header.start.ns_since(q_header.start) == pytest.approx(later, abs=1000)
    assert q_header.start.plus_ns(header.start.ns_since(q_header.start)) == header.start
    eventtime = message_of(shared, name).summary.get("eventtime")
    assert eventtime in (None, header.start.to_datetime_string())


@each_event
def test_pulse_counts(shared: Path, name: str) -> None:
    expected = EVENTS[name]
    assert summary(pulses_of(shared, name, "I3SuperDST")) == expected.dst
    assert summary(pulses_of(shared, name, "InIceDSTPulses")) == expected.in_ice
    main = pulses_of(shared, name, main_key(name))
    assert summary(main) == expected.main
    assert int(main.is_hlc.sum()) == expected.n_hlc
    packed = frame_of(shared, name).get("I3SuperDST", SuperDst)
    assert (len(packed.dom_id), len(packed.time_code)) == expected.readouts


@each_event
def test_first_and_last_pulse(shared: Path, name: str) -> None:
    expected, main = EVENTS[name], pulses_of(shared, name, main_key(name))
    for index, wanted in (
        (main.time.argmin(), expected.first),
        (main.time.argmax(), expected.last),
    ):
        string, om, _ = main.om_key[index].tolist()
        assert (main.time[index], string, om) == wanted
    is_split = main.time != np.floor(main.time)
    assert is_split.sum() == (1 if name == "138632" else 0)


@pytest.mark.parametrize(
    ("name", "charge"), [("136662", 1.175), ("138632", 1.375), ("127907a", 0.825)]
)
def test_first_pulse_in_full(shared: Path, name: str, charge: float) -> None:
    main = pulses_of(shared, name, main_key(name))
    index = main.time.argmin()
    assert main.charge[index] == np.float32(charge)
    assert (main.width[index], main.flags[index]) == (8, 4)


@pytest.mark.parametrize(
    ("name", "charge", "key", "time"),
    [
        ("136662", 91.425, (78, 19), 31644),
        ("130322", 212.375, (37, 24), 9890),
        ("127907b", 255.225, (23, 9), 9965),
    ],
)
def test_largest_pulse(
    shared: Path, name: str, charge: float, key: tuple[int, int], time: float
) -> None:
    main = pulses_of(shared, name, main_key(name))
    index = main.charge.argmax()
    assert main.charge[index] == np.float32(charge)
    assert tuple(main.om_key[index, :2].tolist()) == key
    assert main.time[index] == time
    if name == "136662":
        assert (main.width[index], main.flags[index]) == (1, 7)


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [
        ("136662", 27452.48553714081, 47086.41972527075),
        ("138632", 5692.921285449285, 21501.511774997623),
    ],
)
def test_readout_window(shared: Path, name: str, start: float, stop: float) -> None:
    window = frame_of(shared, name).get(f"{main_key(name)}TimeRange", TimeWindow)
    assert window == TimeWindow(start, stop)


@pytest.mark.parametrize("row", FITS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_online_fits(
    shared: Path, row: tuple[str, str, float, float, tuple[float, float, float], float]
) -> None:
    name, key, zenith, azimuth, position, time = row
    fit = frame_of(shared, name).get(key, Particle)
    assert fit.direction.zenith == pytest.approx(zenith, abs=5.1e-7)
    assert fit.direction.azimuth == pytest.approx(azimuth, abs=5.1e-7)
    assert (fit.position.x, fit.position.y, fit.position.z) == pytest.approx(position, abs=5.1e-4)
    assert fit.time == pytest.approx(time, abs=5.1e-4)
    assert fit.fit_status == 0


@pytest.mark.parametrize("name", VETO_SEEDS)
def test_stored_seeds(shared: Path, name: str) -> None:
    frame = frame_of(shared, name)
    vetoed, xyz, time, ratio = VETO_SEEDS[name]
    assert frame["HESE_VHESelfVeto"] == I3Bool(vetoed)
    position = frame.get("HESE_VHESelfVetoVertexPos", Position)
    tolerance = 5.1e-3 if name == "130322" else 5.1e-6
    assert (position.x, position.y, position.z) == pytest.approx(xyz, abs=tolerance)
    assert frame["HESE_VHESelfVetoVertexTime"] == I3Double(time)
    if ratio is not None:
        assert frame.get("HESE_llhratio", I3Double).value == pytest.approx(ratio, abs=5.1e-6)


def test_only_four_events_store_a_seed(shared: Path) -> None:
    stored = {n for n in EVENTS if "HESE_VHESelfVetoVertexPos" in frame_of(shared, n)}
    assert stored == set(VETO_SEEDS)


def test_fit_parameters(shared: Path) -> None:
    frame = frame_of(shared, "136662")
    params = frame.get("OnlineL2_SplineMPEFitParams", LogLikelihoodFitParams)
    reco = message_of(shared, "136662").summary["reco"]
    assert round(params.nll, 5) == reco["splinempe"]["llh"]
    assert round(params.reduced_nll, 5) == reco["splinempe"]["rllh"]
    assert (params.n_dof, params.n_minimizer_calls) == (128, 260)
    tracks = [obj for key in frame if isinstance(obj := frame[key], TrackCharacteristics)]
    assert [round(track.smoothness, 5) for track in tracks] == [reco["splinempe"]["trk_smth"]]


def test_status_diff(shared: Path) -> None:
    diff = frame_of(shared, "136662").get("I3DetectorStatusDiff", DetectorStatusDiff)
    assert diff.base == "baseline_gcd_135417.i3"
    assert list(diff.changed) == [(30, 59, 0), (74, 62, 0)]
    assert diff.changed[OMKey(30, 59)].is_alive
    assert diff.removed == ((30, 60, 0), (74, 61, 0))
    assert diff.configuration == "sps-IC86-2021-IceAct-smt1-no-Orc-V303"
    assert (diff.start.year, diff.end) == (2022, I3Time(9999, 0))


@each_event
def test_diffs_name_the_same_baseline(shared: Path, name: str) -> None:
    frame = frame_of(shared, name)
    if name == "135395":
        assert not any(len(part) for part in message_of(shared, name).frames[:3])
        return
    bases = {
        frame.get("I3GeometryDiff", GeometryDiff).base,
        frame.get("I3CalibrationDiff", CalibrationDiff).base,
        frame.get("I3DetectorStatusDiff", DetectorStatusDiff).base,
    }
    assert len(bases) == 1
    file = baseline_file(bases.pop())
    assert file.endswith(".i3")
    if name.startswith("127907"):
        assert file == "2016_01_08_Run127381.i3"


#: Classes whose objects stay as bytes.
RAW = {"I3CscdLlhFitParams", "I3ParaboloidFitParams", "I3PortiaEvent", "I3SuperDSTTriggerSeries"}


@each_event
def test_objects_are_encoded_to_the_same_bytes(shared: Path, name: str) -> None:
    frame = frame_of(shared, name)
    n_encoded = 0
    for key in frame:
        class_name = frame.class_name(key)
        if isinstance(frame[key], RawObject):
            assert class_name in RAW, frame[key]
        elif CODECS[class_name].write is not None:
            assert encode_object(frame[key]) == frame.raw(key), key
            n_encoded += 1
    assert n_encoded > 10


@each_event
def test_frames_are_written_back_byte_for_byte(shared: Path, name: str) -> None:
    for frame in message_of(shared, name).frames:
        data = frame.to_bytes()
        again = Frame.from_bytes(data)
        assert again.to_bytes() == data
        copied = Frame(frame.stop)
        for key in frame:
            copied.put(key, RawObject("any", 0, frame.raw(key)), type_name=frame.type_name(key))
        is_sorted = frame.keys() == sorted(frame)
        assert (copied.to_bytes() == data) == is_sorted


@each_event
def test_messages_are_rewritten_entry_for_entry(shared: Path, name: str, tmp_path: Path) -> None:
    message = message_of(shared, name)
    for suffix in (".json", ".pkl"):
        path = tmp_path / f"again{suffix}"
        rewrite_message(path, message)
        again = read_message(path)
        assert again.document == message.document


@each_event
def test_every_other_form_holds_the_same_event(shared: Path, name: str, tmp_path: Path) -> None:
    message = message_of(shared, name)
    raw = [frame.to_bytes() for frame in message.frames]
    write_message(
        tmp_path / "new.json",
        message.frames,
        version=message.version,
        streams=message.streams,
        summary=message.summary,
    )
    written = read_message(tmp_path / "new.json")
    assert [frame.to_bytes() for frame in written.frames] == raw
    for suffix in ("", ".gz", ".bz2", ".zst"):
        write_i3(tmp_path / f"e.i3{suffix}", message.frames)
        assert [frame.to_bytes() for frame in read_i3(tmp_path / f"e.i3{suffix}")] == raw
    packet = mix_frames(packet_from_json(packet_to_json(message.frames)))
    assert summary(resolve_pulses(packet, main_key(name))) == EVENTS[name].main


@pytest.mark.parametrize("name", ["127907a", "127907b"])
def test_packing_of_unquantised_pulses_is_icetrays(shared: Path, name: str) -> None:
    """Events of 2016 carry pulses before and after packing, in the ice."""
    original = pulses_of(shared, name, "UncleanedInIcePulses")
    assert (original.time != np.floor(original.time)).any()
    packed = unpack_pulses(pack_pulses(original))
    stored = pulses_of(shared, name, "InIceDSTPulses")
    for column in ("om_key", "time", "charge", "width", "flags"):
        assert np.array_equal(getattr(packed, column), getattr(stored, column)), column
