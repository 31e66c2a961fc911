"""Four events photon by photon, and what the light model makes of the same sources.

Three cascades of 10 TeV (clear ice, average ice, below the dust layer) and a muon of 30 TeV with
its losses, each twice: with little enlarged modules for those near to it, and with much enlarged
ones for those far away. The mean number of photo-electrons per module goes into one file per event.
A run that was stopped goes on where it was; with more slices the files get better.

    python benchmarks/photon_events.py FOLDER [--threads N] [--slices N] [--event NAME ...]
    python benchmarks/photon_events.py FOLDER --compare [--model FILE.npz]

A quarter of an hour on one core. `tests/regression/photon_events` holds the files, and a README.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.event.detector import built_in_detector
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import make_medium
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.optics import PHOTONS_PER_GEV
from skymap_scanner.light.trained_volume import ExtrapolationWarning
from skymap_scanner.simulation.emitters import Emitters, cascade_emitters, muon_emitters
from skymap_scanner.simulation.muon import propagate_muon
from skymap_scanner.simulation.photon_by_photon import follow_photons
from skymap_scanner.simulation.sources import Track, cascade_sources, muon_sources
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.simulation.sources import LightSources
    from skymap_scanner.units import FloatArray

ICE: Final = "spice_bfr-v2"
#: Name, place of the vertex [m], zenith and azimuth where it comes from [deg].
CASCADES: Final = (
    ("clear", (-190.0, -300.0, -345.0), 100.0, 35.0),
    ("average", (137.0, -127.0, 206.0), 40.0, 250.0),
    ("dust", (-305.0, -405.0, -172.0), 140.0, 215.0),
)
CASCADE_ENERGY: Final = 1e4
#: Muon: energy where it starts [GeV], a point on its track [m], direction [deg], length before and
#: after that point [m], seed of its losses.
MUON_ENERGY: Final = 3e4
MUON_PLACE: Final = (60.0, 40.0, 20.0)
MUON_FROM: Final = (75.0, 200.0)
MUON_HALF_LENGTH: Final = 540.0
MUON_SEED: Final = 8
#: Edges of the distance bins of a comparison [m].
EDGES: Final = (10.0, 30.0, 60.0, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0)


@dataclass(frozen=True, slots=True)
class Run:
    """A simulation with modules of one size, for those at some distances from source or track.

    The radius of the enlarged modules is a twelfth of the lowest distance, or less.

    Attributes
    ----------
    name : str
        Name.
    distances : tuple of float
        Which modules it is for [m].
    oversize : float
        Their enlargement.
    exposure : float
        Events of 10 TeV per slice; of fainter events so many more.
    n_slices : int
        Slices when nobody chooses.
    """

    name: str
    distances: tuple[float, float]
    oversize: float
    exposure: float
    n_slices: int


RUNS: Final = (
    Run("near", (0.0, 30.0), 5.0, 0.25, 12),
    Run("far", (30.0, 1e9), 15.0, 2.0, 10),
)


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """An event to simulate: light with its true geometry, and as point-like sources."""

    name: str
    track: Track
    length: float
    emitters: Emitters
    sources: LightSources

    @property
    def scale(self) -> float:
        """Events that shine as much as a cascade of 10 TeV."""
        return round(PHOTONS_PER_GEV * CASCADE_ENERGY / float(self.emitters.n_photons.sum()), 3)


@dataclass(frozen=True, slots=True)
class Bin:
    """Charge in a range of distances: photon by photon, its statistical error, the model's."""

    name: str
    n_modules: int
    charge: float
    error: float
    model: float

    @property
    def ratio(self) -> float:
        """Model over simulation."""
        return self.model / self.charge if self.charge > 0.0 else np.nan


def true_events() -> list[TrueEvent]:
    """Return the events."""
    events = []
    for name, place, zenith_deg, azimuth_deg in CASCADES:
        direction = direction_vector(zenith_deg * DEG, azimuth_deg * DEG)
        track = Track(np.array(place), 0.0, direction)
        emitters = cascade_emitters(track, np.zeros(1), np.array([CASCADE_ENERGY]))
        sources = cascade_sources(track, CASCADE_ENERGY, 0.0, np.random.default_rng(0))
        events.append(TrueEvent(name, track, 0.0, emitters, sources))
    direction = direction_vector(*(angle * DEG for angle in MUON_FROM))
    track = Track(np.array(MUON_PLACE) - MUON_HALF_LENGTH * direction, 0.0, direction)
    rng = np.random.default_rng(MUON_SEED)
    passage = propagate_muon(MUON_ENERGY, 2 * MUON_HALF_LENGTH, rng)
    emitters = muon_emitters(track, passage, np.random.default_rng(MUON_SEED))
    sources = muon_sources(track, passage, np.random.default_rng(MUON_SEED)).everything()
    return [*events, TrueEvent("muon", track, passage.length, emitters, sources)]


def simulate(event: TrueEvent, path: Path, n_threads: int, n_slices: int | None) -> None:
    """Add the missing slices of an event's runs to its file."""
    detector, medium = built_in_detector(), make_medium(IceModel.load(ICE))
    stored = _load(path) if path.exists() else _empty(event, detector.n_om)
    distance = _distance(stored, event.length)
    for number, run in enumerate(RUNS):
        if not np.any((distance >= run.distances[0]) & (distance < run.distances[1])):
            continue
        while int(stored[f"{run.name}_slices"]) < (n_slices or run.n_slices):
            done = int(stored[f"{run.name}_slices"])
            hits = follow_photons(
                event.emitters, detector, medium, seed=1000 * number + done,
                oversize=run.oversize, exposure=run.exposure * event.scale, n_threads=n_threads,
            )  # fmt: skip
            n_hits = np.bincount(hits.seen.om_index, minlength=detector.n_om)
            stored[f"{run.name}_hits"] += n_hits.astype(np.int32)
            stored[f"{run.name}_photons"] += hits.n_photons
            stored[f"{run.name}_slices"] += 1
            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **stored)
            write_bytes_atomically(path, buffer.getvalue())
            print(f"{event.name} {run.name} {done + 1}: {n_hits.sum()} hits", flush=True)


def _empty(event: TrueEvent, n_om: int) -> dict[str, Any]:
    """Return the content of an event's file before any photon."""
    settings = {
        "ice": ICE,
        "length": event.length,
        "runs": {
            run.name: asdict(replace(run, exposure=run.exposure * event.scale)) for run in RUNS
        },
    }
    stored: dict[str, Any] = {
        "settings": np.array(json.dumps(settings)),
        "track_start": event.track.start,
        "direction": event.track.direction,
        "source_xyz": event.sources.xyz,
        "source_energy": event.sources.energy,
    }
    for run in RUNS:
        stored[f"{run.name}_hits"] = np.zeros(n_om, np.int32)
        stored[f"{run.name}_photons"] = np.array(0)
        stored[f"{run.name}_slices"] = np.array(0)
    return stored


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def compare(path: Path, model: LightModel) -> Iterator[Bin]:
    """Compare an event with the model: all modules from 10 m on together, then bin by bin."""
    detector, stored = built_in_detector(), _load(path)
    settings = json.loads(str(stored["settings"]))
    expected = _expected(stored, model)
    distance = _distance(stored, settings["length"])
    hits, weight = np.zeros(detector.n_om), np.zeros(detector.n_om)
    for name, run in settings["runs"].items():
        chosen = (distance >= run["distances"][0]) & (distance < run["distances"][1])
        hits[chosen] = stored[f"{name}_hits"][chosen]
        weight[chosen] = 1.0 / max(run["exposure"] * int(stored[f"{name}_slices"]), 1e-9)
    ranges = [("all", EDGES[0], np.inf)]
    ranges += [(f"{a:.0f}-{b:.0f} m", a, b) for a, b in itertools.pairwise(EDGES)]
    for name, low, high in ranges:
        chosen = (distance >= low) & (distance < high) & detector.is_alive
        charge, squared = (float((hits * weight**k)[chosen].sum()) for k in (1, 2))
        yield Bin(
            name, int(chosen.sum()), charge, float(np.sqrt(squared)), float(expected[chosen].sum())
        )


def _expected(stored: dict[str, Any], model: LightModel) -> FloatArray:
    """Mean charge of each module from the model [PE], shape (n_om,)."""
    detector = built_in_detector()
    expected = np.zeros(detector.n_om)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # modules farther than 480 m
        for xyz, energy in zip(stored["source_xyz"], stored["source_energy"], strict=True):
            expected += energy * model.expected_charge(
                xyz, stored["direction"], detector.om_xyz, detector.rel_efficiency
            )
    return expected


def _distance(stored: dict[str, Any], length: float) -> FloatArray:
    """Distance of each module from the cascade or from the muon's track [m], shape (n_om,)."""
    om_xyz = built_in_detector().om_xyz
    if length == 0.0:
        return np.asarray(np.linalg.norm(om_xyz - stored["source_xyz"][0], axis=1))
    relative = om_xyz - stored["track_start"]
    along = np.clip(relative @ stored["direction"], 0.0, length)
    return np.asarray(np.linalg.norm(relative - along[:, None] * stored["direction"], axis=1))


def main(argv: list[str] | None = None) -> None:
    """Simulate or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are")
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument("--slices", type=int, help="slices of each run (12, 10)")
    parser.add_argument("--event", action="append", help="only this one (all)")
    parser.add_argument("--compare", action="store_true", help="compare with the light model")
    parser.add_argument("--model", type=Path, help="file of the light model (that of the package)")
    args = parser.parse_args(argv)
    model = LightModel.load(args.model) if args.compare else None
    for event in true_events():
        if args.event and event.name not in args.event:
            continue
        path = args.folder / f"{event.name}.npz"
        if model is None:
            simulate(event, path, args.threads, args.slices)
            continue
        print(f"{event.name}: modules, charge [PE], statistical error, model / simulation")
        for row in compare(path, model):
            error = row.error / row.charge if row.charge > 0.0 else np.nan
            print(
                f"  {row.name:10s} {row.n_modules:5d} {row.charge:10.2f} {100 * error:5.1f} %"
                f" {row.ratio:6.3f}"
            )


if __name__ == "__main__":
    main()
