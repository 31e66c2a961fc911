"""Draw a light model: charge against distance, arrival times, charge around a source, and the ice.

Lines are the model; points and shaded steps are photons that are simulated anew for the pictures,
with other random numbers than those that the model was trained on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skymap_scanner.cli.progress_line import ProgressLine
from skymap_scanner.exceptions import InputError, UsageError

if TYPE_CHECKING:
    import argparse

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.spot_simulation import SimulatedLight

__all__ = ["SUMMARY", "add_options", "plot"]

SUMMARY: Final = "pictures of a light model with Monte Carlo beside it"

#: What is drawn -> what that shows; the first word is part of the file's name.
_PICTURES: Final = {
    "charge": "charge against distance in clean and dusty ice",
    "times": "arrival times at six distances",
    "azimuth": "charge around a source, relative to the flow of the ice",
    "ice": "scattering, absorption and tilt of the layers",
}


def add_options(command_line: argparse.ArgumentParser) -> None:
    """Add the options of ``skymap-scanner light plot``."""
    command_line.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("light.png"),
        metavar="FILE.png",
        help=f"the pictures are FILE_{'.png, FILE_'.join(_PICTURES)}.png; also .pdf and .svg "
        "(default: light.png here)",
    )
    command_line.add_argument(
        "--model",
        metavar="NAME|FILE.npz",
        help="light model by name, or a file of weights (default: the one of this package)",
    )
    command_line.add_argument(
        "--ice",
        metavar="NAME",
        help="ice in which photons are simulated, and that is drawn (default: the model's)",
    )
    command_line.add_argument(
        "--photons",
        type=int,
        default=200_000,
        metavar="N",
        help="photons per source, of five sources; 0 to draw the model alone (default: %(default)s,"
        " half a minute on two cores)",
    )
    command_line.add_argument(
        "--seed", type=int, default=1, help="seed of the photons (default: %(default)s)"
    )
    command_line.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (default: one line)"
    )


def plot(arguments: argparse.Namespace) -> int:
    """Simulate, draw, say what was written, and return the exit code."""
    paths = _checked_paths(arguments)
    model = _load_model(arguments.model)
    ice = _load_ice(arguments.ice) if arguments.ice is not None else model.ice
    simulated = _simulate(ice, arguments.photons, arguments.seed)
    from skymap_scanner.plot.ice_figure import plot_ice
    from skymap_scanner.plot.light_figures import plot_azimuth, plot_charge, plot_times
    from skymap_scanner.plot.light_panels import LightScene

    scene = LightScene(model, simulated, _note(arguments, model, ice, simulated))
    for draw, name in ((plot_charge, "charge"), (plot_times, "times"), (plot_azimuth, "azimuth")):
        draw(scene, paths[name])
        print(f"{paths[name]}: {_PICTURES[name]}", flush=True)
    plot_ice(ice, paths["ice"])
    print(f"{paths['ice']}: {_PICTURES['ice']}")
    return 0


def _checked_paths(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return where the pictures go; refuse what the user can mend before any time is spent.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from skymap_scanner.light.spot_simulation import MIN_PHOTONS
    from skymap_scanner.plot.style import picture_format
    from skymap_scanner.server.folders import check_output_file

    output: Path = arguments.output
    picture_format(output)
    paths = {name: output.with_name(f"{output.stem}_{name}{output.suffix}") for name in _PICTURES}
    for path in paths.values():
        check_output_file(path, option="--output")
    if arguments.photons != 0 and not MIN_PHOTONS <= arguments.photons <= 10**12:
        raise UsageError(
            "number out of range",
            place="--photons",
            found=arguments.photons,
            wanted=f"0 for no simulation, else from {MIN_PHOTONS} to 10^12",
        )
    if arguments.seed < 0:
        raise UsageError("negative seed", place="--seed", found=arguments.seed, wanted="0 or more")
    return paths


def _load_model(name: str | None) -> LightModel:
    from skymap_scanner.light.model import LightModel

    try:
        return LightModel.load(name)
    except InputError as error:
        raise error.at("--model") from error


def _load_ice(name: str) -> IceModel:
    from skymap_scanner.light.ice import IceModel

    try:
        return IceModel.load(name)
    except InputError as error:
        raise error.at("--ice") from error


def _simulate(ice: IceModel, n_photons: int, seed: int) -> list[SimulatedLight]:
    """Return the Monte Carlo of all sources that are drawn; nothing for no photons."""
    if n_photons == 0:
        return []
    from skymap_scanner.light.spot_simulation import simulate_spots
    from skymap_scanner.plot.light_panels import LIGHT_SPOTS

    progress = ProgressLine()
    n_cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return simulate_spots(
        LIGHT_SPOTS,
        ice,
        n_photons=n_photons,
        seed=seed,
        n_threads=n_cores,
        report=lambda done, total: progress("photons", done, total),
    )


def _note(
    arguments: argparse.Namespace,
    model: LightModel,
    ice: IceModel,
    simulated: list[SimulatedLight],
) -> str:
    """Name the model and the simulation, for the head of each picture."""
    from skymap_scanner.light.model import DEFAULT_MODEL

    name = Path(arguments.model).name if arguments.model is not None else DEFAULT_MODEL
    place = "" if name == model.ice.name else f" (ice {model.ice.name})"
    words = f"lines: light model {name}{place}"
    if simulated:
        number = f"{simulated[0].n_photons:,}".replace(",", "\N{NO-BREAK SPACE}")
        words += (
            f"; points: Monte Carlo in {ice.name}, {number} photons per source, "
            f"seed {arguments.seed}"
        )
    return words
