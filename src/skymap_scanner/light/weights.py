"""Files of trained light models: arrays of weights and a card that says how they were made.

A file is a numpy archive with ``version``, ``card`` (JSON text), the table of the source's
emission, and the arrays of the networks. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.files import write_bytes_atomically
from skymap_scanner.light.archives import read_arrays
from skymap_scanner.light.ice import ICE_MODELS
from skymap_scanner.light.inputs import N_OM_INPUTS, N_PAIR_INPUTS, N_SOURCE_INPUTS
from skymap_scanner.light.mixture import N_COMPONENTS
from skymap_scanner.light.network import Layers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["VERSION", "Weights", "read_weights", "write_weights"]

#: Version of the file format and of what the networks' inputs mean.
VERSION: Final = 3
_EMISSION: Final = "emission"
_TRACK: Final = "track"
#: Shape of that table.
_EMISSION_SHAPE: Final = (2049, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Contents of a file.

    Attributes
    ----------
    card : dict
        How the model was made and how good it is; ``card["ice"]`` names the ice.
    emission : ndarray of float32, shape (n_cosine, 3)
        Table of `angles.emission_table`.
    charge, time : Layers
        The two networks of a cascade.
    track : Layers, optional
        The network of the times of a track's light (`track_light`); None in files of older
        programs, and while it is made.
    """

    card: dict[str, Any]
    emission: NDArray[np.float32]
    charge: Layers
    time: Layers
    track: Layers | None = None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with any number of a cascade's light.

        The network of the track is made of that light, and is left out: events that are simulated
        with the same cascades bear the same name.
        """
        digest = hashlib.sha256()
        for array in (self.emission, *self.charge, *self.time):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:8]


def write_weights(path: Path, weights: Weights) -> None:
    """Write a file, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {_EMISSION: weights.emission}
    for name in ("charge", "time", _TRACK):
        layers = getattr(weights, name)
        if layers is not None:
            arrays |= {f"{name}_{field}": getattr(layers, field) for field in Layers._fields}
    buffer = io.BytesIO()
    arrays |= {"version": np.array(VERSION), "card": np.array(json.dumps(weights.card))}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # names are ours
    write_bytes_atomically(path, buffer.getvalue())


def read_weights(path: Path) -> Weights:
    """Read a file.

    Parameters
    ----------
    path : Path
        File of `write_weights`.

    Returns
    -------
    Weights

    Raises
    ------
    FormatError
        When it is no such file, of another version, truncated, or its numbers make no sense.
    """
    contents = read_arrays(
        path, "not a light model, or damaged", "a file that `skymap-scanner light make` wrote"
    )
    try:
        version = contents["version"]
        if version.dtype.kind not in "iu" or version.ndim or version != VERSION:
            raise FormatError(
                "light model of another version",
                place=str(path),
                found=str(version),
                wanted=VERSION,
            )
        card = json.loads(str(contents["card"]))
        emission = _checked(contents, _EMISSION, path)
        charge = _layers(contents, "charge", path)
        time = _layers(contents, "time", path)
        has_track = any(name.startswith(f"{_TRACK}_") for name in contents)
        track = _layers(contents, _TRACK, path) if has_track else None
        ice = card["ice"]
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(
            "light model without all of its parts", place=str(path), found=str(error)
        ) from error
    if ice not in ICE_MODELS:
        raise FormatError(
            "light model of unknown ice", place=str(path), found=ice, wanted=" or ".join(ICE_MODELS)
        )
    _check_shapes(charge, 1, path)
    _check_shapes(time, 3 * N_COMPONENTS, path)
    if track is not None:
        _check_shapes(track, 3 * N_COMPONENTS, path)
    if emission.shape != _EMISSION_SHAPE:
        raise FormatError(
            "emission of another shape",
            place=str(path),
            found=str(emission.shape),
            wanted=str(_EMISSION_SHAPE),
        )
    return Weights(card, emission, charge, time, track)


def _checked(contents: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[np.float32]:
    if contents[name].dtype.kind != "f":
        raise FormatError(
            "numbers of a light model that are not real",
            place=f"{path}: {name}",
            found=str(contents[name].dtype),
        )
    with np.errstate(over="ignore"):
        array = np.array(contents[name], dtype=np.float32, order="C")
    if not np.all(np.isfinite(array)):
        raise FormatError("numbers of a light model that are not finite", place=f"{path}: {name}")
    return array


def _layers(contents: dict[str, NDArray[Any]], name: str, path: Path) -> Layers:
    return Layers(*(_checked(contents, f"{name}_{field}", path) for field in Layers._fields))


def _check_shapes(layers: Layers, n_out: int, path: Path) -> None:
    n = layers.bias.size
    wanted = (
        *((rows, n) for rows in (N_PAIR_INPUTS, N_SOURCE_INPUTS, N_OM_INPUTS)),
        (n,),
        (n, n),
        (n,),
        (n, n_out),
        (n_out,),
        *((rows,) for rows in (N_PAIR_INPUTS, N_SOURCE_INPUTS, N_OM_INPUTS)),
    )
    found = tuple(array.shape for array in layers)
    if found != wanted:
        raise FormatError(
            "networks of another shape", place=str(path), found=str(found), wanted=str(wanted)
        )
