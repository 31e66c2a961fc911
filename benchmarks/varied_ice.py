"""Compare light in varied ice with photons that are followed through it.

For cascades in clean, dusty and very dusty ice, the charge in varied ice over that in the ice as
it is, averaged over all directions: by the light model that is told of the varied ice, and by
the propagation Monte Carlo. For the anisotropy the charge along the flow over that across it is
compared, for horizontal light.

    python benchmarks/varied_ice.py [--photons 400000]
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    COS_EDGES,
    N_AZIMUTH,
    N_COS,
    N_R,
    R_EDGES,
    axis_frame,
    unit_vectors,
)
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.medium import FLOW_AZIMUTH, make_medium
from skymap_scanner.light.model import LightModel
from skymap_scanner.light.propagation import choose_splits, propagate
from skymap_scanner.light.spots import Spot, View, average_charge
from skymap_scanner.light.trained_volume import ExtrapolationWarning
from skymap_scanner.light.varied_ice import IceVariation, VariedLight, vary_ice, vary_medium

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

_RANGES: Final = ((10.0, 30.0), (30.0, 60.0), (60.0, 100.0), (100.0, 150.0), (150.0, 210.0))
_SOURCES: Final = {
    "z = -350 m": (np.array([0.0, 0.0, -350.0]), np.array([0.6, 0.0, 0.8])),
    "z = +200 m": (np.array([100.0, -50.0, 200.0]), np.array([0.0, 1.0, 0.0])),
    "z =  -80 m": (np.array([0.0, 50.0, -80.0]), np.array([0.8, 0.0, -0.6])),
}
_VARIATIONS: Final = {
    "scattering x 1.1": IceVariation(scattering=1.1),
    "scattering x 0.9": IceVariation(scattering=0.9),
    "absorption x 1.1": IceVariation(absorption=1.1),
    "absorption x 0.9": IceVariation(absorption=0.9),
}
_STRONGER: Final = IceVariation(anisotropy=1.3)
_PARTS: Final = 10


def simulated(spot: Spot, variation: IceVariation, n_photons: int, seed: int) -> FloatArray:
    """Fluence per cell in equal parts of all photons, shape (n_parts, n_r, n_cos, n_azimuth)."""
    medium = vary_medium(make_medium(vary_ice(IceModel.load(), variation)), variation)
    splits = choose_splits(spot.xyz, spot.direction, medium, seed=(seed, 0), kill=0.4)
    parts = [
        propagate(
            spot.xyz,
            spot.direction,
            medium,
            n_photons=n_photons // _PARTS,
            seed=(seed, part + 1),
            kill=0.4,
            splits=splits,
        ).fluence
        for part in range(_PARTS)
    ]
    return np.stack(parts).reshape(_PARTS, N_R, N_COS, N_AZIMUTH)


def modelled(spot: Spot, variation: IceVariation) -> FloatArray:
    """Mean charge of the light model per cell, shape (n_r, n_cos, n_azimuth)."""
    # Cells are averaged by a function that asks for nothing but the charge.
    model = cast("LightModel", VariedLight(LightModel.load().weights, variation))
    charge = np.empty((N_R, N_COS, N_AZIMUTH))
    for j in range(N_COS):
        for k in range(N_AZIMUTH):
            view = View("", j, (k,))
            charge[:, j, k] = average_charge(model, spot, view, range(N_R))
    return charge


def mean(light: FloatArray, low: float, high: float, chosen: FloatArray) -> FloatArray:
    """Average over cells between two distances, shape (...)."""
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    weight = CELL_VOLUMES.reshape(N_R, N_COS, N_AZIMUTH) * chosen
    weight = weight * ((middle >= low) & (middle < high))[:, None, None]
    return np.asarray((light * weight).sum(axis=(-3, -2, -1)) / weight.sum())


def towards(axis: FloatArray, azimuth: float) -> FloatArray:
    """Which cells are seen within 30 deg of a horizontal line, shape (n_cos, n_azimuth)."""
    cosine = 0.5 * (COS_EDGES[1:] + COS_EDGES[:-1])
    turn = (np.arange(N_AZIMUTH) + 0.5) * 2.0 * np.pi / N_AZIMUTH
    lines = unit_vectors(*np.meshgrid(cosine, turn, indexing="ij")) @ axis_frame(axis)
    along = lines @ np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    return np.asarray((np.abs(along) > np.cos(np.pi / 6.0)).astype(np.float64))


def show(
    words: str, spot: Spot, reach: tuple[float, float], by_photons: FloatArray, ratio: float
) -> None:
    """Print one line of the table."""
    mean_ratio, error = by_photons.mean(), by_photons.std(ddof=1) / _PARTS**0.5
    off = 100.0 * (ratio / mean_ratio - 1.0)
    print(
        f"{words:22} {spot.name:11} {reach[0]:4.0f}-{reach[1]:<4.0f} "
        f"{mean_ratio:7.3f} +- {error:5.3f} {ratio:7.3f} {off:+6.1f} %",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photons", type=int, default=400_000, help="photons per source and ice")
    n_photons = parser.parse_args().photons
    warnings.simplefilter("ignore", ExtrapolationWarning)
    print("variation              source      r [m]     photons          model     difference")
    everywhere = np.ones((N_COS, N_AZIMUTH))
    for number, (name, (xyz, axis)) in enumerate(_SOURCES.items()):
        spot = Spot(name, xyz, axis, ())
        nominal = simulated(spot, IceVariation(), n_photons, 100 * number + 1)
        as_is = modelled(spot, IceVariation())
        for k, (words, variation) in enumerate(_VARIATIONS.items()):
            varied = simulated(spot, variation, n_photons, 100 * number + 2 + k)
            other = modelled(spot, variation)
            for low, high in _RANGES:
                ratio = mean(varied, low, high, everywhere) / mean(nominal, low, high, everywhere)
                by_model = mean(other, low, high, everywhere) / mean(as_is, low, high, everywhere)
                show(words, spot, (low, high), ratio, float(by_model))
        along, across = (towards(axis, FLOW_AZIMUTH + turn) for turn in (0.0, 0.5 * np.pi))
        varied = simulated(spot, _STRONGER, n_photons, 100 * number + 50)
        other = modelled(spot, _STRONGER)
        for low, high in _RANGES[1:]:
            change = [
                mean(one, low, high, along)
                * mean(two, low, high, across)
                / (mean(one, low, high, across) * mean(two, low, high, along))
                for one, two in ((varied, nominal), (other, as_is))
            ]
            show("flow, anisotropy x 1.3", spot, (low, high), change[0], float(change[1]))


if __name__ == "__main__":
    main()
