"""Make a light model from the optical properties of the ice.

Simulates photons, trains two small networks on them and a third one on the light along tracks,
compares with independent simulations, and writes the weights with their card. Needs torch
(pip install 'skymap-scanner[train]'). A run that was stopped goes on where it was when it is
started again with the same work folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.cli.progress_line import ProgressLine

if TYPE_CHECKING:
    import argparse

__all__ = ["SUMMARY", "add_options", "make"]

SUMMARY: Final = "simulate photons and train a light model on them"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``skymap-scanner light make``."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="weights to write, for `LightModel.load` (required)",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="where stages keep what they have, about 90 kB per source (required)",
    )
    parser.add_argument(
        "--tracks-for",
        metavar="MODEL",
        help="train the network of tracks alone, for the light of this model: a name, or a file "
        "*.npz (default: make all networks)",
    )
    parser.add_argument("--ice", default="spice_bfr-v2", help="ice model (default: %(default)s)")
    numbers: tuple[tuple[str, type, int | float, str], ...] = (
        ("--sources", int, 8192, "sources of light to train on"),
        ("--photons", int, 5_000, "photons per source"),
        ("--charge-epochs", float, 10.0, "passes over the recorded light for the charge"),
        ("--time-epochs", float, 4.0, "passes over the recorded light for the times"),
        ("--tracks", int, 327_680, "pairs of track and module to train on"),
        ("--track-epochs", float, 60.0, "passes over them"),
        ("--reference-sources", int, 48, "sources of the independent simulation"),
        ("--reference-photons", int, 400_000, "photons per source of the independent simulation"),
        ("--seed", int, 1, "seed of all chance"),
    )
    for name, kind, default, text in numbers:
        parser.add_argument(
            name, type=kind, default=default, metavar="N", help=f"{text} (default: {default:g})"
        )
    parser.add_argument(
        "--threads", type=int, default=None, metavar="N", help="threads (default: all cores)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the card as one JSON object (default: a table)"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )


def make(arguments: argparse.Namespace) -> int:
    """Make a model and return the exit code."""
    from skymap_scanner.exceptions import UsageError
    from skymap_scanner.light.making import MakeSettings, add_track_network, make_light_model
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.server.folders import check_output_file

    if arguments.output.suffix != ".npz":
        raise UsageError(
            "weights go to a .npz file",
            place="--output",
            found=str(arguments.output),
            wanted="*.npz",
        )
    check_output_file(arguments.output, option="--output")
    settings = MakeSettings(
        ice=arguments.ice,
        n_sources=arguments.sources,
        n_photons=arguments.photons,
        seed=arguments.seed,
        charge_epochs=arguments.charge_epochs,
        time_epochs=arguments.time_epochs,
        n_tracks=arguments.tracks,
        track_epochs=arguments.track_epochs,
        n_reference=arguments.reference_sources,
        reference_photons=arguments.reference_photons,
        n_threads=arguments.threads,
    )
    where = arguments.work_dir, arguments.output
    if arguments.tracks_for is None:
        card = make_light_model(*where, settings, ProgressLine())
    else:
        model = LightModel.load(arguments.tracks_for)
        card = add_track_network(*where, model, settings, ProgressLine())
    if arguments.json:
        print(json.dumps(card, allow_nan=False))
    else:
        print(f"{arguments.output}: light in {card['ice']}")
        for line in agreement_lines(card["validation"]) + track_lines(card["track"]):
            print(line)
    return 0


def track_lines(track: dict[str, Any]) -> list[str]:
    """Return how well the network of tracks agrees with sums along them, as lines of a table."""
    lines = [f"{'r [m]':>9} {'ice':>6} {'pairs':>7} {'KS of tracks: median, 90 %':>28}"]
    return lines + [
        f"{row['r_low']:>4.0f}-{row['r_high']:<4.0f} {'dust' if row['is_dust'] else 'clean':>6} "
        f"{row['n_pairs']:>7} {row['median']:>21.3f}, {row['upper']:.3f}"
        for row in track["agreement"]
    ]


def agreement_lines(validation: dict[str, Any]) -> list[str]:
    """Return a card's figures of agreement as lines of a table."""
    lines = [f"{'r [m]':>9} {'ice':>6} {'cells':>7} {'bias':>7} {'scatter':>8} {'KS of times':>12}"]
    lines += [
        f"{row['r_low']:>4.0f}-{row['r_high']:<4.0f} {'dust' if row['is_dust'] else 'clean':>6} "
        f"{row['n_cells']:>7} {100 * row['bias']:>+6.1f}% {100 * row['scatter']:>7.1f}% "
        f"{_number(row['time_distance']):>12}"
        for row in validation["agreement"]
    ]
    flow = validation["flow_ratio"]
    lines.append(
        "charge along over across the flow at 150-250 m, model over simulation: "
        f"{_number(flow['model_over_simulation'])} +- {_number(flow['error'])}"
    )
    return lines


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
