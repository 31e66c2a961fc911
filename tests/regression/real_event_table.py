"""Eight real events, 2016 to 2023: numbers that other readers agree on.

They (DOMs / pulses / charge, times, fits, seeds) come from an independent reader and writer of the
same files; a wrong bit order, unit, sign, offset or rounding changes at least one of them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.i3 import (
    Frame,
    I3Time,
    PulseMap,
    RealtimeMessage,
    mix_frames,
    read_message,
    resolve_pulses,
)

if TYPE_CHECKING:
    from pathlib import Path

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
