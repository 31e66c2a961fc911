"""Simulated muons as the track likelihood gets them: hit modules, first pulses, and the truth.

By default half of the muons start in the detector and half go through it; energies are even in the
logarithm from 5 TeV to 5 PeV, directions isotropic. Every event has ice of its own, different from
that of the light model by what is not known of the real ice (`light/varied_ice.py`).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event import built_in_detector, read_event
from skymap_scanner.event.cleaning import clean_for_tracks
from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.varied_ice import IceVariation, VariedLight
from skymap_scanner.simulation.frames import EventNames, write_simulated_event
from skymap_scanner.simulation.plan import EventPlan, event_seed
from skymap_scanner.simulation.settings import TrackSettings

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.units import FloatArray

__all__ = ["Kind", "SimulatedTrack", "load_or_make", "make_event"]

#: Fewer hit modules after cleaning than this are no track.
_MIN_DOMS: Final = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of muons is wanted.

    Attributes
    ----------
    starting_share : float
        Share of them that start in the detector: 0, a half, or 1.
    energies : tuple of float
        Range of energies [GeV].
    varies : bool
        Whether the ice is another than that of the light model.
    """

    starting_share: float = 0.5
    energies: tuple[float, float] = (5e3, 5e6)
    varies: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedTrack:
    """One muon.

    Attributes
    ----------
    om_xyz : ndarray, shape (n_dom, 3)
        Hit modules after the cleaning of a track reconstruction [m].
    time, charge : ndarray, shape (n_dom,)
        First pulse [ns] and charge of all [PE].
    vertex, direction : ndarray, shape (3,)
        A point of the true track [m] and where it goes.
    vertex_time : float
        Time at the vertex [ns].
    energy : float
        Of the muon [GeV].
    is_starting : bool
        Whether it starts in the detector.
    """

    om_xyz: FloatArray
    time: FloatArray
    charge: FloatArray
    vertex: FloatArray
    direction: FloatArray
    vertex_time: float
    energy: float
    is_starting: bool


def _plan(*, is_starting: bool, energies: tuple[float, float]) -> EventPlan:
    settings = TrackSettings(
        energy=energies[0],
        zenith=1.0,
        azimuth=0.0,
        vertex=(0.0, 0.0, 0.0) if is_starting else None,
        is_starting=is_starting,
    )
    return EventPlan(
        settings,
        energy_range=energies,
        is_isotropic=True,
        impact_radius=None if is_starting else 500.0,
        is_vertex_random=is_starting,
    )


def make_event(number: int, seed: int, kind: Kind) -> Event:
    """Simulate muon number `number` of a series."""
    chance = event_seed(seed, number)
    rng = np.random.default_rng(chance)
    light = VariedLight(_LIGHT.weights, IceVariation.draw(rng) if kind.varies else IceVariation())
    is_starting = number * kind.starting_share % 1.0 + kind.starting_share >= 1.0
    plan = _plan(is_starting=is_starting, energies=kind.energies)
    simulated, _ = plan.simulate(built_in_detector(), light, chance)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "event.json"
        write_simulated_event(path, simulated, EventNames(1, number, 60000.0), remarks={})
        return read_event(path)


_LIGHT: Final = LightModel.load()


def _simulate(number: int, seed: int, kind: Kind) -> SimulatedTrack | None:
    event = make_event(number, seed, kind)
    series = clean_for_tracks(event)
    truth = event.truth
    if truth is None or series.n_doms < _MIN_DOMS:
        return None
    return SimulatedTrack(
        om_xyz=event.detector.om_xyz[series.hit_oms],
        time=series.first_times(),
        charge=series.dom_charges(),
        vertex=np.array(truth["vertex"]),
        direction=direction_vector(truth["zenith"], truth["azimuth"]),
        vertex_time=truth["vertex_time"],
        energy=truth["muon_energy"],
        is_starting=truth["is_starting"],
    )


def load_or_make(
    path: Path, n_tracks: int, seed: int, kind: Kind | None = None
) -> list[SimulatedTrack]:
    """Return simulated muons, kept in a file that grows while they are made.

    Parameters
    ----------
    path : Path
        Numpy archive; what is in it is not made again.
    n_tracks : int
        How many muons are simulated; those with too few hit modules are left out.
    seed : int
        Seed of all of them.
    kind : Kind, optional
        What kind of muons; not checked against the file.

    Returns
    -------
    list of SimulatedTrack
    """
    columns: dict[str, FloatArray] = {}
    done = 0
    if path.exists():
        with np.load(path) as kept:
            columns = {name: kept[name] for name in kept.files}
        done = int(columns["done"])
    begin = time.perf_counter()
    while done < n_tracks:
        columns = _with_more(columns, range(done, min(done + 50, n_tracks)), seed, kind or Kind())
        done = int(columns["done"])
        np.savez(path, **columns)  # type: ignore[arg-type]  # names are ours
        print(f"{done} of {n_tracks} muons, {time.perf_counter() - begin:.0f} s", flush=True)
    return _tracks(columns, n_tracks)


def _with_more(
    columns: dict[str, FloatArray], numbers: range, seed: int, kind: Kind
) -> dict[str, FloatArray]:
    made = [(number, _simulate(number, seed, kind)) for number in numbers]
    doms = [
        np.column_stack([np.full(len(one.time), number), one.om_xyz, one.time, one.charge])
        for number, one in made
        if one is not None
    ]
    truths = [
        [number, *one.vertex, *one.direction, one.vertex_time, one.energy, one.is_starting]
        for number, one in made
        if one is not None
    ]
    before_doms = columns.get("doms", np.empty((0, 6)))
    before = columns.get("truth", np.empty((0, 10)))
    return {
        "doms": np.concatenate([before_doms, *doms]),
        "truth": np.concatenate([before, np.array(truths).reshape(-1, 10)]),
        "done": np.array(numbers.stop),
    }


def _tracks(columns: dict[str, FloatArray], n_tracks: int) -> list[SimulatedTrack]:
    tracks = []
    for row in columns["truth"]:
        if row[0] >= n_tracks:
            continue
        doms = columns["doms"][columns["doms"][:, 0] == row[0]]
        tracks.append(
            SimulatedTrack(
                om_xyz=np.ascontiguousarray(doms[:, 1:4]),
                time=doms[:, 4].copy(),
                charge=doms[:, 5].copy(),
                vertex=row[1:4],
                direction=row[4:7],
                vertex_time=float(row[7]),
                energy=float(row[8]),
                is_starting=bool(row[9]),
            )
        )
    return tracks
