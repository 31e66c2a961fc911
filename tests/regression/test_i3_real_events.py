"""Eight real events, 2016 to 2023: every number of the table that other readers agree on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from real_event_table import (
    EVENTS,
    FITS,
    VETO_SEEDS,
    each_event,
    frame_of,
    main_key,
    message_of,
    pulses_of,
    summary,
)

from skymap_scanner.i3 import (
    CalibrationDiff,
    DetectorStatusDiff,
    EventHeader,
    GeometryDiff,
    I3Bool,
    I3Double,
    I3String,
    I3Time,
    LogLikelihoodFitParams,
    OMKey,
    Particle,
    Position,
    SuperDst,
    TimeWindow,
    TrackCharacteristics,
    baseline_file,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared


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
