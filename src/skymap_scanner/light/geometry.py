"""Where an optical module lies as seen from a cascade: distance and angles around its axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = ["SourceGeometry", "source_geometry", "to_numbers"]

#: A direction may be this much longer or shorter than 1 (rounding of single precision).
UNIT_TOLERANCE: Final = 1e-5


class SourceGeometry(NamedTuple):
    """Coordinates of modules in the frame of cascades, all of the same shape.

    Attributes
    ----------
    distance : ndarray
        From source to module [m], positive.
    azimuth : ndarray
        Of the module around the axis [rad], folded into 0 (on the side of the axis that faces
        down) to pi (on the side that faces up). A vertical axis has no such sides: from -x to +x.
    cos_polar : ndarray
        Cosine between the direction of travel and the way to the module.
    source_z : ndarray
        Height of the source [m].
    source_zenith : ndarray
        Zenith angle that the cascade comes from [rad]: 0 is down-going.
    """

    distance: FloatArray
    azimuth: FloatArray
    cos_polar: FloatArray
    source_z: FloatArray
    source_zenith: FloatArray


def source_geometry(
    source_xyz: ArrayLike, source_direction: ArrayLike, om_xyz: ArrayLike
) -> SourceGeometry:
    """Look at modules from cascades.

    Parameters
    ----------
    source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
        Sources [m], unit vectors along which they travel, modules [m]; broadcast.

    Returns
    -------
    SourceGeometry
        Arrays of the broadcast shape (...).

    Raises
    ------
    InputError
        When a number is not finite, a direction not a unit vector, a source at the centre of a
        module, or when shapes do not fit.

    Examples
    --------
    A module 10 m below a horizontal cascade, abreast:

    >>> look = source_geometry([0.0, 0.0, 50.0], [1.0, 0.0, 0.0], [0.0, 0.0, 40.0])
    >>> [round(float(value), 4) for value in look]
    [10.0, 0.0, 0.0, 50.0, 1.5708]
    """
    source = _vectors(source_xyz, "source_xyz")
    axis = _vectors(source_direction, "source_direction")
    module = _vectors(om_xyz, "om_xyz")
    with np.errstate(over="ignore"):
        length = np.linalg.norm(axis, axis=-1)
    if (np.abs(length - 1.0) > UNIT_TOLERANCE).any():
        worst = float(length.ravel()[np.argmax(np.abs(length - 1.0))])
        raise InputError(
            "a direction is not a unit vector",
            place="source_direction",
            found=f"length {worst:g}",
            wanted="length 1",
        )
    try:
        source, axis, module = np.broadcast_arrays(source, axis / length[..., None], module)
    except ValueError as error:
        raise InputError(
            "shapes do not fit",
            place="source_xyz, source_direction, om_xyz",
            found=f"{source.shape}, {axis.shape}, {module.shape}",
            wanted="shapes (..., 3) that broadcast",
        ) from error
    return _look(source, axis, module)


def _look(source: FloatArray, axis: FloatArray, module: FloatArray) -> SourceGeometry:
    with np.errstate(over="ignore", invalid="ignore"):
        way = module - source
        distance = np.linalg.norm(way, axis=-1)
    if not (np.isfinite(distance) & (distance > 0.0)).all():
        bad = float(distance.ravel()[np.argmin(np.isfinite(distance) & (distance > 0.0))])
        raise InputError(
            "a source at the centre of a module, or infinitely far from it",
            place="source_xyz, om_xyz",
            found=f"distance {bad:g} m",
            wanted="a positive distance",
        )
    along = np.sum(way * axis, axis=-1)
    horizontal = np.hypot(axis[..., 0], axis[..., 1])
    is_vertical = horizontal == 0.0
    scale = np.where(is_vertical, 1.0, horizontal)
    up = np.stack(
        [
            np.where(is_vertical, 1.0, -axis[..., 2] * axis[..., 0] / scale),
            -axis[..., 2] * axis[..., 1] / scale,
            horizontal,
        ],
        axis=-1,
    )
    sideways = np.abs(np.sum(way * np.cross(axis, up), axis=-1))
    downwards = 0.0 - np.sum(way * up, axis=-1)  # 0 - 0 is +0: on the axis the azimuth is 0
    return SourceGeometry(
        distance=distance,
        azimuth=np.arctan2(sideways, downwards),
        cos_polar=np.clip(along / distance, -1.0, 1.0),
        source_z=source[..., 2],
        source_zenith=np.arctan2(horizontal, 0.0 - axis[..., 2]),
    )


def to_numbers(values: ArrayLike, name: str) -> FloatArray:
    """Take an argument as an array of float64 without NaN.

    Parameters
    ----------
    values : array_like
        What was given.
    name : str
        What it is called, for the message.

    Returns
    -------
    ndarray

    Raises
    ------
    InputError
        When it holds something else.
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError("not numbers", place=name, found=str(error)) from error
    if np.isnan(numbers).any():
        raise InputError("NaN is no number", place=name, wanted="numbers")
    return numbers


def _vectors(values: ArrayLike, name: str) -> FloatArray:
    vectors = to_numbers(values, name)
    if vectors.ndim == 0 or vectors.shape[-1] != 3 or not np.isfinite(vectors).all():
        raise InputError(
            "not vectors",
            place=name,
            found=f"shape {vectors.shape}, {np.count_nonzero(np.isinf(vectors))} infinite",
            wanted="finite numbers, shape (..., 3)",
        )
    return vectors
