"""Make a light model from nothing but the ice: simulate, train, validate, write.

Every stage keeps what it has in a work folder, so that a stopped run goes on where it was: chunks
of the production, sources of the reference, and each network once it is trained.
"""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

import skymap_scanner
from skymap_scanner.exceptions import UsageError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.angles import emission_table
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.inputs import pair_tables
from skymap_scanner.light.lightfall import Lightfall
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.network import Layers
from skymap_scanner.light.production import (
    ProductionSettings,
    Sources,
    draw_sources,
    produce,
)
from skymap_scanner.light.reference import simulate_reference
from skymap_scanner.light.track_validation import compare_tracks
from skymap_scanner.light.validation import compare, flow_ratio
from skymap_scanner.light.weights import VERSION, Weights, write_weights
from skymap_scanner.light.work_folder import make_folder, read_stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skymap_scanner.light.training import Fit

__all__ = ["MakeSettings", "Report", "add_track_network", "make_light_model"]

#: Seed of the reference's places; those of the production come from other sequences.
_REFERENCE_SEED: Final = 999
#: Seed of its photons.
_REFERENCE_PHOTONS_SEED: Final = 31415
#: Simulations of each source, whose differences are the errors.
_N_REPEATS: Final = 10
#: The reference's sources lie in the instrumented volume: radius and half height [m].
_REFERENCE_RADIUS, _REFERENCE_HEIGHT = 520.0, 550.0


class Report(Protocol):
    """Told how far a stage is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Show it."""


@dataclass(frozen=True, slots=True)
class MakeSettings:
    """How a light model is made.

    Attributes
    ----------
    ice : str
        Ice model.
    n_sources, n_photons : int
        Sources to train on, and photons per source.
    seed : int
        Seed of simulation and training.
    charge_epochs, time_epochs : float
        Passes over the recorded light.
    n_tracks : int
        Pairs of a track and a module to train the network of tracks on.
    track_epochs : float
        Passes over them.
    n_reference, reference_photons : int
        Sources to validate with, and photons per source.
    n_threads : int, optional
        Threads; all cores by default.
    """

    ice: str = "spice_bfr-v2"
    n_sources: int = 8192
    n_photons: int = 5_000
    seed: int = 1
    charge_epochs: float = 10.0
    time_epochs: float = 4.0
    n_tracks: int = 327_680
    track_epochs: float = 60.0
    n_reference: int = 48
    reference_photons: int = 400_000
    n_threads: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "seed" else 1e-9
            if isinstance(value, int | float) and not least <= value < 1e12:
                raise UsageError(
                    "illegal value", place=field.name, found=value, wanted="a positive number"
                )
        if self.reference_photons < _N_REPEATS:
            raise UsageError(
                "illegal value",
                place="reference_photons",
                found=self.reference_photons,
                wanted=f"at least {_N_REPEATS}, for as many repeats",
            )
        if self.seed in {_REFERENCE_SEED, _REFERENCE_PHOTONS_SEED}:
            raise UsageError(
                "sources to validate with must not be those to train on",
                place="seed",
                found=self.seed,
                wanted="any other",
            )


def make_light_model(
    work_folder: Path, output: Path, settings: MakeSettings, report: Report
) -> dict[str, Any]:
    """Make a light model and write it.

    Parameters
    ----------
    work_folder : Path
        Where the stages keep what they have (about 90 kB per source).
    output : Path
        File to write.
    settings : MakeSettings
        What to do.
    report : Report
        Told about progress.

    Returns
    -------
    dict
        The model's card.

    Raises
    ------
    UsageError
        When torch is missing, or the work folder holds another production.
    """
    _need_torch()
    from skymap_scanner.light.training import Fit, train_charge, train_times

    ice = IceModel.load(settings.ice)
    production = ProductionSettings(
        ice=settings.ice, n_photons=settings.n_photons, seed=settings.seed
    )
    made = produce(
        work_folder / "production",
        production,
        settings.n_sources,
        n_threads=settings.n_threads,
        report=lambda done, total: report("simulate sources (32 each)", done, total),
    )
    paths = dict.fromkeys(made, production.n_photons)
    emission = emission_table()
    tables = pair_tables(ice, emission)
    lightfall: list[Lightfall] = []

    def recorded() -> Lightfall:
        """Read the production once, and only when a network has to be trained."""
        if not lightfall:
            lightfall.append(Lightfall(paths, ice, tables))
        return lightfall[0]

    fits = {
        "charge": Fit(n_epochs=settings.charge_epochs, seed=settings.seed),
        "time": Fit(
            n_epochs=settings.time_epochs, batch=8192, rate=1e-2, clip=5.0, seed=settings.seed
        ),
    }
    trained = asdict(production) | {"n_sources": settings.n_sources}
    charge = _stage(
        work_folder,
        "charge",
        trained,
        fits["charge"],
        lambda: train_charge(recorded(), fits["charge"], _stage_report(report, "train charge")),
    )
    time = _stage(
        work_folder,
        "time",
        trained,
        fits["time"],
        lambda: train_times(recorded(), fits["time"], _stage_report(report, "train times")),
    )
    card: dict[str, Any] = {
        "ice": settings.ice,
        "made": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "version": skymap_scanner.__version__,
        "production": trained,
        "training": {name: asdict(fit) for name, fit in fits.items()},
    }
    model = LightModel(Weights(card, emission, charge, time))
    card["validation"] = _validate(work_folder, model, settings, report)
    return _write_with_tracks(work_folder, output, model, settings, report)


def add_track_network(
    work_folder: Path, output: Path, model: LightModel, settings: MakeSettings, report: Report
) -> dict[str, Any]:
    """Train the network of tracks of a model that is there, and write both.

    Parameters
    ----------
    work_folder : Path
        Where the network is kept.
    output : Path
        File to write; the networks of a cascade's light and its digest stay what they are.
    model : LightModel
        Light of cascades.
    settings : MakeSettings
        What to do: seed, number of tracks and of passes over them.
    report : Report
        Told about progress.

    Returns
    -------
    dict
        The model's card.

    Raises
    ------
    UsageError
        When torch is missing.
    """
    _need_torch()
    return _write_with_tracks(work_folder, output, model, settings, report)


def _need_torch() -> None:
    """Raise `UsageError` when there is no torch."""
    try:
        import skymap_scanner.light.training  # noqa: F401  # what it needs is all that matters
    except ImportError as error:
        raise UsageError(
            "training needs torch",
            found=str(error),
            wanted="pip install 'skymap-scanner[train]'",
        ) from error


def _write_with_tracks(
    folder: Path, output: Path, model: LightModel, settings: MakeSettings, report: Report
) -> dict[str, Any]:
    """Train the network of tracks, write the model with it, and return the new card."""
    from skymap_scanner.light.track_training import train_track
    from skymap_scanner.light.training import Fit

    fit = Fit(n_epochs=settings.track_epochs, batch=4096, rate=1e-2, clip=5.0, seed=settings.seed)
    made_of = {"light": model.label, "n_tracks": settings.n_tracks}
    track = _stage(
        folder, "track", made_of, fit, lambda: train_track(model, fit, settings.n_tracks, report)
    )
    card = model.card | {
        "track": made_of
        | {
            "made": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "version": skymap_scanner.__version__,
            "training": asdict(fit),
            "agreement": [asdict(row) for row in compare_tracks(model, track)],
        }
    }
    write_weights(output, replace(model.weights, card=card, track=track))
    return card


def _stage_report(report: Report, stage: str) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: report(stage, done, total, f"loss {loss:.4f}")


def _stage(
    folder: Path, name: str, made_of: dict[str, Any], fit: Fit, train: Callable[[], Layers]
) -> Layers:
    """Return a network, trained now or by an earlier run with the same settings."""
    make_folder(folder)
    path = folder / f"{name}.npz"
    key = json.dumps({"made_of": made_of, "fit": asdict(fit), "version": VERSION}, sort_keys=True)
    if path.exists():
        kept = read_stage(path, ("key", *Layers._fields))
        if str(kept["key"]) == key:
            return Layers(*(kept[name] for name in Layers._fields))
    layers = train()
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), **layers._asdict())
    write_bytes_atomically(path, buffer.getvalue())
    return layers


def reference_sources(n: int) -> Sources:
    """Return sources to validate with, in the instrumented volume, never trained on."""
    drawn = draw_sources(0, 8 * n + 64, _REFERENCE_SEED)
    inside = np.hypot(drawn.xyz[:, 0], drawn.xyz[:, 1]) < _REFERENCE_RADIUS
    rows = np.flatnonzero(inside & (np.abs(drawn.xyz[:, 2]) < _REFERENCE_HEIGHT))[:n]
    return Sources(drawn.xyz[rows], drawn.direction[rows])


def _validate(
    folder: Path, model: LightModel, settings: MakeSettings, report: Report
) -> dict[str, Any]:
    """Return figures of the agreement with an independent simulation."""
    references = simulate_reference(
        folder / "reference",
        reference_sources(settings.n_reference),
        model.ice,
        n_photons=settings.reference_photons // _N_REPEATS,
        n_repeats=_N_REPEATS,
        seed=_REFERENCE_PHOTONS_SEED,
        n_threads=settings.n_threads,
        report=lambda done, total: report("reference", done, total),
    )
    agreements, cells = compare(references, model)
    along, error = flow_ratio(cells)
    return {
        "n_sources": settings.n_reference,
        "n_photons": settings.reference_photons // _N_REPEATS * _N_REPEATS,
        "agreement": [
            {name: _or_none(value) for name, value in asdict(row).items()} for row in agreements
        ],
        "flow_ratio": {"model_over_simulation": _or_none(along), "error": _or_none(error)},
    }


def _or_none(value: float) -> float | None:
    """Return None for what statistics did not suffice for; other figures as they are."""
    return None if np.isnan(value) else value
