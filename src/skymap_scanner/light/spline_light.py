r"""Light from a pair of photospline tables of cascades, behind the interface of our own model.

The tables hold light of a point-like cascade in flat ice as a spline in

====  =============================  ========================================================
axis  coordinate                     here
====  =============================  ========================================================
0     r [m]                          distance from source to module
1     azimuth [deg], 0 to 180        of the module around the source's direction, folded
2     cosine of the polar angle      of the module against the source's direction of travel
(3)   delay [ns], only ``.prob``     after direct light, with the group index in the header
3, 4  z of the source [m]            detector coordinates
4, 5  zenith of the source [deg]     where it comes from: 0 is down-going
====  =============================  ========================================================

``.abs`` is the natural logarithm of the mean charge [PE/GeV], ``.prob`` the cumulative distribution
of the delay. Azimuth 0 is the side of the axis that faces down: with the direction of travel
:math:`\hat d` and the module at :math:`\vec r` from the source,

.. math::

   \cos\phi = -\frac{\vec\rho \cdot \hat u}{|\vec\rho|}, \quad
   \vec\rho = \vec r - (\vec r \cdot \hat d)\,\hat d, \quad
   \hat u = \frac{\hat z - d_z \hat d}{\sqrt{1 - d_z^2}}

and for a vertical axis, where nothing is up, :math:`\hat u = \hat x`.

No official table was at hand. What is written here follows the conventions of the public tools that
make and read such tables as we know them; the page "Use official photon tables" says what has been
checked and how to check the rest against a table.

References
----------
.. [1] N. Whitehorn, J. van Santen and S. Lafebre, Computer Physics Communications 184 (2013) 2214,
   :doi:`10.1016/j.cpc.2013.04.008`
.. [2] J. Lundberg et al., NIM A 581 (2007) 619, :doi:`10.1016/j.nima.2007.07.143`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from skymap_scanner.exceptions import FormatError, InputError
from skymap_scanner.light.geometry import SourceGeometry, source_geometry, to_numbers
from skymap_scanner.light.optics import N_GROUP, N_REF
from skymap_scanner.light.photospline import SplineTable
from skymap_scanner.units import DEG, LIGHT_SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

    AzimuthZero = Literal["below", "above"]

__all__ = ["SplineLight"]

#: Position of the delay among the coordinates of a time table.
_TIME: Final = 3
#: Bits of EFFICIENCY in the photonics format [2]_: what the numbers have been multiplied with.
_RECEIVER, _WAVELENGTH, _DIFFERENTIAL = 0x01, 0x04, 0x100
#: Logarithms of charges are kept in this range, so that none becomes infinite.
_LOG_RANGE: Final = (-700.0, 50.0)
#: Distributions that end below this are none.
_NOTHING: Final = 1e-30
#: Where the ranges of the angular axes must lie, generously: names, coordinates, [unit].
_ANGLES: Final = {
    1: ("azimuth [deg]", -30.0, 210.0),
    2: ("cosine of the polar angle", -1.5, 1.5),
    -1: ("zenith of the source [deg]", -30.0, 210.0),
}


class SplineLight:
    """Light of cascades from an amplitude and a time table (a `Light`).

    Outside the tables: beyond the largest distance there is no charge, and the delays are those at
    the largest distance; every other coordinate is clamped to its range.

    Parameters
    ----------
    amplitude : SplineTable
        Five-dimensional table of ln(PE/GeV).
    time : SplineTable
        Six-dimensional table of the distribution of delays.
    azimuth_zero : {"below", "above"}, optional
        The side of the axis where the tables' azimuth is 0. Default: below; tables of odd PARITY,
        of which we do not know it, are then refused.

    Attributes
    ----------
    n_group : float
        Group index that the time table counts its delays with.

    Raises
    ------
    FormatError
        When the tables are of another kind.
    InputError
        When `azimuth_zero` is something else.
    """

    def __init__(
        self,
        amplitude: SplineTable,
        time: SplineTable,
        *,
        azimuth_zero: AzimuthZero | None = None,
    ) -> None:
        if azimuth_zero not in (None, "below", "above"):
            raise InputError(
                "no such side", place="azimuth_zero", found=azimuth_zero, wanted="below or above"
            )
        for table, n_dim, name in ((amplitude, 5, "amplitude table"), (time, 6, "time table")):
            _check_kind(table, n_dim, name, knows_azimuth=azimuth_zero is not None)
        _check_efficiency(amplitude)
        self.amplitude = amplitude
        self.time = time
        self.n_group = _group_index(time)
        self._is_zero_above = azimuth_zero == "above"

    @classmethod
    def open(
        cls,
        amplitude_path: str | Path,
        time_path: str | Path,
        *,
        azimuth_zero: AzimuthZero | None = None,
    ) -> SplineLight:
        """Open a pair of files.

        Parameters
        ----------
        amplitude_path, time_path : Path
            The files, usually called ``NAME.abs.fits`` and ``NAME.prob.fits``.
        azimuth_zero : {"below", "above"}, optional
            As for the class.

        Returns
        -------
        SplineLight

        Raises
        ------
        FormatError
            When they are not such tables.
        """
        amplitude, time = SplineTable.read(amplitude_path), SplineTable.read(time_path)
        try:
            return cls(amplitude, time, azimuth_zero=azimuth_zero)
        except FormatError as error:
            raise error.at(f"{amplitude_path}, {time_path}") from error

    def expected_charge(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        om_efficiency: ArrayLike,
    ) -> FloatArray:
        """Mean charge per energy [PE/GeV], shape (...); see `Light.expected_charge`."""
        look = source_geometry(source_xyz, source_direction, om_xyz)
        efficiency = to_numbers(om_efficiency, "om_efficiency")
        if not (np.isfinite(efficiency) & (efficiency >= 0.0)).all():
            raise InputError(
                "an efficiency is negative or infinite",
                place="om_efficiency",
                found=f"{efficiency.min():g} to {efficiency.max():g}",
                wanted="0 or more",
            )
        if not _fit(efficiency.shape, look.distance.shape):
            raise InputError(
                "shapes do not fit",
                place="om_efficiency",
                found=efficiency.shape,
                wanted=f"what broadcasts with {look.distance.shape}",
            )
        log_charge = self.amplitude.evaluate(self._coordinates(look))
        is_near = look.distance <= self.amplitude.extents[0, 1]
        return np.asarray(np.exp(np.clip(log_charge, *_LOG_RANGE)) * is_near * efficiency)

    def time_cdf(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        edges: ArrayLike,
    ) -> FloatArray:
        """Probability to arrive before some delays, shape (..., n_edge); see `Light.time_cdf`.

        The table's values over the one at its last delay, so that the distribution ends at 1. Light
        that the table has at its first delay arrives just then: a step, which has no density. Where
        a table falls with time, the largest value so far stands. Where a table has no light at all,
        the delays are uniform over its range.
        """
        look = source_geometry(source_xyz, source_direction, om_xyz)
        delay = self._table_delay(look, edges, "edges")
        if (delay[..., 1:] < delay[..., :-1]).any():
            raise InputError("edges do not ascend", place="edges", wanted="ascending delays")
        low, high = self.time.extents[_TIME]
        at = self._time_coordinates(look)
        total = self.time.evaluate_along(at, _TIME, [high])
        uniform = (np.clip(delay, low, high) - low) / (high - low)
        cdf = self.time.evaluate_along(at, _TIME, delay) / np.maximum(total, _NOTHING)
        cdf = np.clip(np.where(total > _NOTHING, cdf, uniform), 0.0, 1.0)
        cdf[delay < low] = 0.0
        cdf[delay >= high] = 1.0
        return np.asarray(np.maximum.accumulate(cdf, axis=-1))

    def time_density(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        times: ArrayLike,
    ) -> FloatArray:
        """Density of the delay [1/ns], shape (..., n_time); see `Light.time_density`.

        The slope of the table over its value at the last delay; 0 where the table falls and outside
        its range of delays.
        """
        look = source_geometry(source_xyz, source_direction, om_xyz)
        delay = self._table_delay(look, times, "times")
        low, high = self.time.extents[_TIME]
        at = self._time_coordinates(look)
        total = self.time.evaluate_along(at, _TIME, [high])
        uniform = np.where((delay >= low) & (delay <= high), 1.0 / (high - low), 0.0)
        slope = self.time.derivative_along(at, _TIME, delay) / np.maximum(total, _NOTHING)
        return np.asarray(np.maximum(np.where(total > _NOTHING, slope, uniform), 0.0))

    def _coordinates(self, look: SourceGeometry) -> FloatArray:
        """Coordinates in the amplitude table, shape (..., 5)."""
        azimuth = np.pi - look.azimuth if self._is_zero_above else look.azimuth
        return np.stack(
            [
                look.distance,
                azimuth / DEG,
                look.cos_polar,
                look.source_z,
                look.source_zenith / DEG,
            ],
            axis=-1,
        )

    def _time_coordinates(self, look: SourceGeometry) -> FloatArray:
        """Coordinates in the time table, shape (..., 6); the delay is still 0."""
        return np.insert(self._coordinates(look), _TIME, 0.0, axis=-1)

    def _table_delay(self, look: SourceGeometry, delay: ArrayLike, name: str) -> FloatArray:
        """Delays as the table counts them [ns], shape (..., m)."""
        ours = to_numbers(delay, name)
        shift = look.distance * (N_REF - self.n_group) / LIGHT_SPEED
        if ours.ndim == 0 or not _fit(ours.shape[:-1], shift.shape):
            raise InputError(
                "shapes do not fit",
                place=name,
                found=ours.shape,
                wanted=f"(..., m), where ... broadcasts with {shift.shape}",
            )
        return np.asarray(ours + shift[..., None])


def _fit(*shapes: tuple[int, ...]) -> bool:
    """Tell whether arrays of these shapes broadcast."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _check_kind(table: SplineTable, n_dim: int, name: str, *, knows_azimuth: bool) -> None:
    """Refuse tables of other geometries, by their headers and by the ranges of their axes."""
    if table.n_dim != n_dim:
        raise FormatError(
            "wrong number of dimensions of a table of cascades",
            place=name,
            found=table.n_dim,
            wanted=n_dim,
        )
    wanted = {"GEOMETRY": (1.0, "1 (spherical)"), "GEOTYPE": (0.0, "0 (point-like source)")}
    wanted["BIAS"] = (0.0, "0 (how another bias enters is not known to us)")
    if not knows_azimuth:
        wanted["PARITY"] = (0.0, "0 (even), or to be told azimuth_zero")
    for key, (value, meaning) in wanted.items():
        found = _keyword(table, value, key)
        if found != value:
            raise FormatError(
                "a table of another kind", place=f"{name}: {key}", found=found, wanted=meaning
            )
    for axis, (what, low, high) in _ANGLES.items():
        begin, end = table.extents[axis]
        if begin < low or end > high:
            raise FormatError(
                "an axis is not what it should be",
                place=f"{name}: dimension {axis % n_dim}",
                found=f"range {begin:g} to {end:g}",
                wanted=what,
            )


def _check_efficiency(amplitude: SplineTable) -> None:
    """Refuse tables of photons, and of densities in time, where the header tells."""
    needed = _RECEIVER | _WAVELENGTH
    found = _keyword(amplitude, needed, "EFFICIENCY")
    if not found.is_integer() or int(found) & (needed | _DIFFERENTIAL) != needed:
        raise FormatError(
            "these are not mean charges",
            place="amplitude table: EFFICIENCY",
            found=found,
            wanted=f"bits {_RECEIVER:#x} and {_WAVELENGTH:#x} set, {_DIFFERENTIAL:#x} not",
        )


def _group_index(time: SplineTable) -> float:
    found = _keyword(time, N_GROUP, "N_GROUP", "NGROUP")
    if not 1.0 <= found <= 2.0:
        raise FormatError(
            "not a group index of ice", place="time table: N_GROUP", found=found, wanted="1 to 2"
        )
    return found


def _keyword(table: SplineTable, default: float, *names: str) -> float:
    """Value of the first keyword that is there; the library writes numbers as text, too."""
    for name in names:
        if name in table.keywords:
            value = table.keywords[name]
            try:
                return float(value)
            except ValueError as error:
                raise FormatError(
                    "not a number", place=name, found=repr(value), wanted="a number"
                ) from error
    return float(default)
