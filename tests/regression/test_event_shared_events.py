"""The numbers of the physics reference for the eight real events.

Origin of the expected numbers: the classic scanner's own masks and seeds where events carry them,
the alert messages (nch, npulses, qtot), and an independent prototype. Counts must be exact.
Charges are sums of stored single-precision values: 1e-3 PE would notice one missing pulse of the
smallest charge (0.025 PE). Directions: 0.001 deg, which a wrong leap second (0.004 deg) breaks.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from skymap_scanner.event import (
    Event,
    clean_for_tracks,
    detector_to_equatorial,
    direction_vector,
    read_event,
    refine_time,
    seed_vertex,
    veto_vertex,
)
from skymap_scanner.event.cleaning import best_window, seeded_rt
from skymap_scanner.event.info import describe, describe_frames

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.event import PulseSeries

pytestmark = pytest.mark.shared

Size = tuple[int, int, float]


class Expected(NamedTuple):
    """Sizes (modules, pulses, charge) through the cleaning, and other facts of one event."""

    file: str
    series: Size
    hlc: Size
    after_rt: Size
    after_window: Size
    after_strings: Size
    name: str
    version: str
    mjd: float
    first_last: tuple[float, float]
    cleaned_first_last: tuple[float, float]
    fit: str
    direction: tuple[float, float]
    ra_dec_deg: tuple[float, float]


EVENTS = {
    "127907/16605651": Expected(
        "HESE_run127907_evt16605651.json",
        (114, 635, 2194.675), (46, 557, 2124.075), (67, 578, 2147.0), (64, 484, 2094.4),
        (54, 468, 2079.95),
        "run00127907.evt000016605651.HESE", "", 57517.627892626, (6100, 22832), (10007, 15973),
        "HESE_SPEFit2", (0.881729604, 4.906915418), (262.46816, -39.47573),
    ),
    "127907/20178442": Expected(
        "HESE_run127907_evt20178442.json",
        (75, 410, 2050.25), (29, 353, 1996.275), (36, 358, 1997.9), (36, 320, 1958.7),
        (36, 320, 1958.7),
        "run00127907.evt000020178442.HESE", "", 57517.643541532, (6085, 24934), (9884, 15833),
        "HESE_SPEFit2", (0.845915990, 2.798882700), (29.02351, -41.60498),
    ),
    "130322/1414689": Expected(
        "HESE_run130322_evt1414689.json",
        (265, 3292, 9691.25), (193, 3177, 9569.325), (218, 3224, 9607.8), (218, 2834, 9230.25),
        (147, 1510, 7249.4),
        "run00130322.evt000001414689.HESE", "", 58086.451842403, (6201, 25525), (9880, 15872),
        "OnlineL2_SplineMPE", (2.634366341, 1.015733479), (262.95239, 60.94608),
    ),
    "135395/4698470": Expected(
        "low_energy_run135395_evt4698470.pkl",
        (60, 88, 79.65), (24, 45, 39.025), (30, 50, 41.9), (30, 50, 41.9), (30, 50, 41.9),
        "run00135395.evt000004698470.neutrino", "2021a", 59382.663199428, (6777, 21074),
        (13031, 16179),
        "OnlineL2_SplineMPE", (2.476307009, 3.599761219), (28.27969, 51.78534),
    ),
    "135908/43512334": Expected(
        "IC211117A_run135908_evt43512334.pkl",
        (165, 1164, 1604.75), (107, 1077, 1514.025), (122, 1091, 1521.575), (121, 1066, 1494.3),
        (121, 1066, 1494.3),
        "run00135908.evt000043512334.neutrino", "2021a", 59535.160384074, (6064, 27724),
        (11897, 16805),
        "OnlineL2_SplineMPE", (1.565933046, 5.898571781), (225.93381, -0.20152),
    ),
    "136249/27650203": Expected(
        "IC220205A_run136249_evt27650203.pkl",
        (183, 933, 922.575), (132, 863, 848.275), (145, 870, 853.15), (145, 868, 851.6),
        (145, 868, 851.6),
        "run00136249.evt000027650203.neutrino", "2021a", 59615.015737727, (6014, 25273),
        (9875, 15855),
        "OnlineL2_SplineMPE", (1.835512688, 0.255504879), (215.90580, 15.26506),
    ),
    "136662/35405932": Expected(
        "IC220524A_run136662_evt35405932.pkl",
        (176, 763, 1418.425), (119, 686, 1338.95), (133, 701, 1353.775), (133, 668, 1326.45),
        (133, 668, 1326.45),
        "run00136662.evt000035405932.neutrino", "2021a", 59723.320511405, (28383, 46293),
        (31644, 37574),
        "OnlineL2_SplineMPE", (1.510775301, 0.665871332), (48.84973, -3.52233),
    ),
    "138632/31747601": Expected(
        "IC231202A_run138632_evt31747601.json",
        (216, 948, 885.5), (154, 870, 813.85), (175, 888, 830.4), (175, 888, 830.4),
        (175, 888, 830.4),
        "run00138632.evt000031747601.neutrino", "2023a", 60280.714167746, (6161, 21032),
        (9868, 15594),
        "l2_online_SplineMPE", (1.571631801, 4.876874560), (138.65431, 0.14184),
    ),
}  # fmt: skip

# Charge threshold [PE] -> time [ns], position [m], the known vertices.
VERTICES = [
    ("136662/35405932", 250.0, 31674.0, (22.11, 509.5, 199.66206)),
    ("136662/35405932", 5.0, 31644.0, (22.11, 509.5, 198.29)),
    ("136662/35405932", 2.0, 31644.0, (22.11, 509.5, 198.29)),
    ("127907/20178442", 250.0, 9965.0, (-369.27905, -210.28633, 358.08178)),
    ("127907/16605651", 250.0, 10026.0, (1.84636, -150.80130, 322.33362)),
    ("130322/1414689", 250.0, 9886.0, (194.34, -30.92, 112.62)),
    ("138632/31747601", 250.0, 10931.0, (-238.80203, -440.54241, -184.25054)),
    ("135908/43512334", 250.0, 12934.0, (273.0648, -344.2482, 424.5339)),
    ("136249/27650203", 250.0, 11290.0, (345.9244, -302.9705, 190.7603)),
    ("135395/4698470", 5.0, 13086.0, (-526.63, -15.6, -489.9557)),
]
STORED = {"127907/16605651", "127907/20178442", "130322/1414689", "138632/31747601"}

# Seeds of the classic scanner: direction, vertex -> refined time [ns].
REFINED = [
    ("136662/35405932", (1.5728862491064888, 1.5183165926721793),
     (22.11, 509.5, 199.66206031883416), 31640.06967425263),
    ("127907/20178442", (2.301578215431409, 4.090861654043621),
     (-369.27904878670887, -210.2863252098095, 358.0817810577582), 9934.392755519),
    ("136662/35405932", (0.8395827054805893, 5.446713762627699),
     (-122.81339799171094, 508.4229750779436, 255.30420919766), 32662.882902315767),
]  # fmt: skip


@pytest.fixture(scope="module")
def events(shared: Path) -> dict[str, Event]:
    return {key: read_event(shared / "events" / facts.file) for key, facts in EVENTS.items()}


def _size(series: PulseSeries) -> Size:
    return (series.n_doms, series.n_pulses, round(series.total_charge, 3))


@pytest.mark.parametrize("key", EVENTS)
def test_header_and_readout(events: dict[str, Event], key: str) -> None:
    event, expected = events[key], EVENTS[key]
    assert (event.name, event.version, event.is_real) == (expected.name, expected.version, True)
    assert event.mjd == pytest.approx(expected.mjd, abs=1e-9)
    assert event.sub_event_id == (1 if key.startswith("136662") else 0)
    assert event.stream == "InIceSplit"
    assert (event.pulses.time.min(), event.pulses.time.max()) == expected.first_last
    start, stop = event.readout_window
    assert start < expected.first_last[0] < expected.first_last[1] < stop
    assert event.truth is None


@pytest.mark.parametrize("key", EVENTS)
def test_every_step_of_the_cleaning(events: dict[str, Event], key: str) -> None:
    event, expected = events[key], EVENTS[key]
    assert expected.series == _size(event.pulses)
    assert expected.hlc == _size(event.pulses.hlc)
    connected = event.pulses.select(seeded_rt(event.pulses, event.detector))
    assert expected.after_rt == _size(connected)
    in_time = connected.select(best_window(connected))
    assert expected.after_window == _size(in_time)
    cleaned = clean_for_tracks(event)
    assert expected.after_strings == _size(cleaned)
    assert not event.detector.is_deepcore[cleaned.om_index].any()


@pytest.mark.parametrize("key", EVENTS)
def test_times_after_the_cleaning(events: dict[str, Event], key: str) -> None:
    cleaned = clean_for_tracks(events[key])
    times = (cleaned.time.min(), cleaned.time.max())
    assert times == EVENTS[key].cleaned_first_last


def test_cleaning_gives_the_numbers_of_every_message_that_carries_them(
    events: dict[str, Event],
) -> None:
    with_numbers = [event for event in events.values() if "nch" in event.summary]
    assert len(with_numbers) == 5
    for event in with_numbers:
        cleaned = clean_for_tracks(event)
        assert event.summary["nch"] == cleaned.n_doms
        assert event.summary["npulses"] == cleaned.n_pulses
        assert event.summary["qtot"] == pytest.approx(cleaned.total_charge, abs=1e-3)


@pytest.mark.parametrize("key", EVENTS)
def test_online_directions_on_the_sky(events: dict[str, Event], key: str) -> None:
    event, expected = events[key], EVENTS[key]
    fit = event.fits[expected.fit]
    assert fit.ok
    assert (fit.zenith, fit.azimuth) == pytest.approx(expected.direction, abs=1e-8)
    found = detector_to_equatorial(fit.zenith, fit.azimuth, event.mjd)
    assert np.degrees(found) == pytest.approx(expected.ra_dec_deg, abs=0.001)


def test_published_online_directions(shared: Path, events: dict[str, Event]) -> None:
    lines = (shared / "expected" / "published.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    published = {f"{r['run']}/{r['event']}": r for r in rows if r["source"] == "online"}
    assert len(published) == 4
    for key, row in published.items():
        fits = describe(events[key])["fits"]
        found = fits[EVENTS[key].fit]
        assert found["ra_deg"] == pytest.approx(float(row["ra_deg"]), abs=0.001)
        assert found["dec_deg"] == pytest.approx(float(row["dec_deg"]), abs=0.001)


@pytest.mark.parametrize(("key", "threshold", "time", "position"), VERTICES)
def test_vertex_of_the_self_veto(
    events: dict[str, Event],
    key: str,
    threshold: float,
    time: float,
    position: tuple[float, float, float],
) -> None:
    guess = veto_vertex(events[key].pulses, events[key].detector, threshold)
    assert guess is not None
    assert guess.vertex_time == time
    assert guess.vertex == pytest.approx(position, abs=1e-4)


def test_stored_vertices_equal_the_computed_ones(events: dict[str, Event]) -> None:
    assert {key for key, event in events.items() if event.stored_vertex is not None} == STORED
    for key in STORED:
        event = events[key]
        assert event.stored_vertex is not None
        computed = veto_vertex(event.pulses, event.detector, 250.0)
        assert computed is not None
        assert event.stored_vertex.vertex == pytest.approx(computed.vertex, abs=1e-4)
        assert event.stored_vertex.vertex_time == computed.vertex_time
        assert seed_vertex(event) is event.stored_vertex


def test_the_faint_event_falls_back_to_the_lower_threshold(events: dict[str, Event]) -> None:
    event = events["135395/4698470"]
    assert veto_vertex(event.pulses, event.detector, 250.0) is None
    assert seed_vertex(event).vertex_time == 13086.0
    assert seed_vertex(event, (250.0,)).vertex_time == pytest.approx(
        float(np.median(event.pulses.time)), abs=1000.0
    )


@pytest.mark.parametrize(("key", "angles", "vertex", "expected"), REFINED)
def test_refined_times_are_those_of_the_classic_seeds(
    events: dict[str, Event],
    key: str,
    angles: tuple[float, float],
    vertex: tuple[float, float, float],
    expected: float,
) -> None:
    event = events[key]
    (time,) = refine_time(
        event.pulses,
        event.detector,
        direction=direction_vector(*angles),
        vertex=vertex,
        vertex_time=0.0,
    )
    assert time == pytest.approx(expected, abs=2e-5)


def test_dead_modules_are_those_that_the_message_removes(events: dict[str, Event]) -> None:
    dead = {
        key: [tuple(pair) for pair in event.detector.om_key[~event.detector.is_alive].tolist()]
        for key, event in events.items()
    }
    assert {key: doms for key, doms in dead.items() if doms} == {
        "130322/1414689": [(13, 35), (13, 36)],
        "136249/27650203": [(30, 60)],
        "136662/35405932": [(30, 60)],
    }
    for event in events.values():
        assert event.detector.source == "IceCube-86 built-in"
        assert event.baseline_gcd is None


def test_windows_of_bad_data(events: dict[str, Event]) -> None:
    event = events["136662/35405932"]
    errata = event.excluded_windows["CalibrationErrata"]
    oms = {tuple(event.detector.om_key[row].tolist()) for row in errata}
    assert oms == {(61, 20), (78, 18), (78, 19)}
    (window,) = errata[event.detector.index_of(61, 20)]
    assert window == pytest.approx((33471.172, 46655.522), abs=1e-3)
    assert event.readout_window == (27452.48553714081, 47086.41972527075)


@pytest.mark.parametrize("key", EVENTS)
def test_description_has_exactly_the_promised_keys(events: dict[str, Event], key: str) -> None:
    content = describe(events[key])
    assert list(content) == [
        "run_id", "event_id", "sub_event_id", "mjd", "event_type", "version",
        "n_doms", "n_pulses", "charge_pe", "cleaned", "fits",
    ]  # fmt: skip
    assert (content["n_doms"], content["n_pulses"]) == EVENTS[key].series[:2]
    assert content["cleaned"]["charge_pe"] == pytest.approx(EVENTS[key].after_strings[2], abs=1e-3)
    for fit in content["fits"].values():
        assert list(fit) == ["zenith", "azimuth", "ra_deg", "dec_deg"]
        assert 0.0 <= fit["ra_deg"] < 360.0
        assert -90.0 <= fit["dec_deg"] <= 90.0


def test_frames_of_a_message_are_listed(shared: Path) -> None:
    frames = describe_frames(shared / "events" / EVENTS["136662/35405932"].file)
    assert [frame.stop for frame in frames] == ["G", "C", "D", "Q", "P"]
    physics = frames[-1]
    sizes = dict(zip(physics.keys, physics.sizes, strict=True))
    types = dict(zip(physics.keys, physics.types, strict=True))
    assert sizes["I3EventHeader"] == 109
    assert types["OnlineL2_SplineMPE"] == "I3Particle"
    assert "I3SuperDST" not in physics.keys
