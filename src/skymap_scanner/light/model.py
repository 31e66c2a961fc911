"""The light model: how much light of a cascade a module sees, and when.

Two small networks, trained on our own simulation of photons in the full ice (layers, tilt,
birefringence, anisotropy of absorption), with numpy and numba alone.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), NIM A 711 (2013) 73, :doi:`10.1016/j.nima.2013.01.054`
.. [2] R. Abbasi et al. (IceCube), The Cryosphere 18 (2024) 75, :doi:`10.5194/tc-18-75-2024`
"""

from __future__ import annotations

import warnings
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.arguments import (
    finite_vectors,
    real_numbers,
    shapes_do_not_fit,
    worst_of,
)
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.inputs import Pairs, om_inputs, pair_tables, source_inputs
from skymap_scanner.light.mixture import cumulative, density, quantile, soften
from skymap_scanner.light.network import log_fluence, mixtures
from skymap_scanner.light.optics import MODULE_AREA, PHOTONS_PER_GEV
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.trained_volume import ExtrapolationWarning, count_untrained
from skymap_scanner.light.weights import Weights, read_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.units import FloatArray

__all__ = ["DEFAULT_MODEL", "LIGHT_MODELS", "LightModel"]

#: Light models that come with the package, named after their ice.
LIGHT_MODELS: Final = ("spice_bfr-v2",)
DEFAULT_MODEL: Final = LIGHT_MODELS[0]
#: Charge per fluence of a module of efficiency 1 [PE m^2/GeV].
CHARGE_PER_FLUENCE: Final = PHOTONS_PER_GEV * MODULE_AREA
#: Directions may be this far from unit length.
_UNIT_TOLERANCE: Final = 1e-6
#: Positions farther out than this are taken to be there [m]; no light comes so far.
_FAR: Final = 1e7


class LightModel:
    """Light of point-like electromagnetic cascades, as modules see it.

    Positions, directions and efficiencies broadcast against each other: one source and many
    modules, many sources and one module, a grid of both (``source_xyz[:, None]``). What depends on
    the source or on the module alone is worked out once for each row that is handed in.

    Inputs are worked out in single precision: finite differences of the logarithm of the charge are
    safe with steps of 0.3 m in position and 0.01 in direction, and smaller ones are not.

    Outside the volume in which the model was trained (`trained_volume`) answers are finite and
    bounded: modules nearer than 1 m get the light at 1 m, those farther than 480 m the light there,
    falling on as diffuse light does; ice above and below the known layers is like the outermost
    layer. An `ExtrapolationWarning` says how many pairs that concerns.

    Parameters
    ----------
    weights : Weights
        Trained networks.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        #: The ice.
        self.ice = IceModel.load(weights.card["ice"])
        self.tables = pair_tables(self.ice, weights.emission)

    @classmethod
    def load(cls, name: str | Path | None = None) -> LightModel:
        """Load a model.

        Parameters
        ----------
        name : str or Path, optional
            One of `LIGHT_MODELS`, or a file that ``skymap-scanner light make`` wrote (a name with a
            suffix ``.npz``). By default the model that comes with the package.

        Returns
        -------
        LightModel

        Raises
        ------
        UsageError
            When there is no such model.
        FormatError
            When the file is of another version or damaged.
        """
        wanted = DEFAULT_MODEL if name is None else name
        if str(wanted).endswith(".npz"):
            path = Path(wanted)
            if not path.is_file():
                raise UsageError("no such light model", found=str(path), wanted="a file")
            return cls(read_weights(path))
        if wanted not in LIGHT_MODELS:
            raise UsageError(
                "unknown light model",
                found=str(wanted),
                wanted=f"{' or '.join(LIGHT_MODELS)}, or a file *.npz",
            )
        folder = resources.files("skymap_scanner.light").joinpath("data")
        with resources.as_file(folder.joinpath(f"light_{wanted}.npz")) as path:
            return cls(read_weights(path))

    @property
    def card(self) -> dict[str, Any]:
        """How the model was made and how good it is."""
        return self.weights.card

    @cached_property
    def label(self) -> str:
        """What tells one model from another: ice, and a digest of the weights."""
        return f"{self.ice.name} {self.weights.digest}"

    def expected_charge(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        om_efficiency: ArrayLike = 1.0,
    ) -> FloatArray:
        """Mean charge per energy of an electromagnetic cascade.

        Parameters
        ----------
        source_xyz : array_like, shape (..., 3)
            Maxima of the cascades in detector coordinates [m].
        source_direction : array_like, shape (..., 3)
            Unit vectors along which they travel.
        om_xyz : array_like, shape (..., 3)
            Optical modules [m].
        om_efficiency : array_like, shape (...)
            Their efficiencies relative to a standard module, not negative.

        Returns
        -------
        ndarray, shape (...)
            Charge [PE/GeV], finite and not negative.

        Raises
        ------
        UsageError
            When positions are not finite, directions no unit vectors, efficiencies negative or not
            finite, or shapes do not fit.

        References
        ----------
        L. Rädel and C. Wiebusch, Astropart. Phys. 44 (2013) 102: photons per energy.
        """
        pairs, shape = self.pairs(source_xyz, source_direction, om_xyz)
        efficiency = real_numbers(om_efficiency, "om_efficiency")
        if not np.all((efficiency >= 0.0) & np.isfinite(efficiency)):
            raise UsageError(
                "illegal efficiencies", found=worst_of(efficiency), wanted="finite, not negative"
            )
        result = np.empty(pairs.source_index.size)
        log_fluence(pairs, self.tables, self.weights.charge, *self._end_inputs(pairs), result)
        charge = CHARGE_PER_FLUENCE * np.exp(result).reshape(shape)
        try:
            return np.asarray(charge * efficiency)
        except ValueError as error:
            raise shapes_do_not_fit(shape, efficiency.shape) from error

    def time_cdf(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        edges: ArrayLike,
        *,
        softening: float = 0.0,
    ) -> FloatArray:
        """Fraction of the charge that has come by some delays.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
            As for `expected_charge`.
        edges : array_like, shape (n_edge,) or (..., n_edge)
            Delays after direct light at the group index `optics.N_REF` [ns].
        softening : float
            With a positive width b delays go smoothly to zero (`mixture.soften`), which likelihoods
            need; then the fraction is not zero for negative delays [ns].

        Returns
        -------
        ndarray, shape (..., n_edge)
            Fractions, 0 for negative delays and 1 late; they jump at 0 by what comes at once.

        Raises
        ------
        UsageError
            As for `expected_charge`, or when edges are NaN.
        """
        raw, log_time, shape, delay = self._mixtures(
            source_xyz, source_direction, om_xyz, edges, softening
        )
        result = np.empty((len(raw), log_time.shape[1]), np.float32)
        cumulative(raw, log_time, result)
        fraction = result.astype(np.float64).reshape(*shape, delay.shape[-1])
        return fraction if softening > 0.0 else np.where(delay < 0.0, 0.0, fraction)

    def time_density(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        times: ArrayLike,
        *,
        softening: float = 0.0,
    ) -> FloatArray:
        """Return the derivative of `time_cdf`: probability density of the delay.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
            As for `expected_charge`.
        times : array_like, shape (n_time,) or (..., n_time)
            Delays [ns].
        softening : float
            As for `time_cdf` [ns].

        Returns
        -------
        ndarray, shape (..., n_time)
            Density [1/ns]; 0 for negative delays unless softened, without what comes at delay 0.

        Raises
        ------
        UsageError
            As for `time_cdf`.
        """
        raw, log_time, shape, delay = self._mixtures(
            source_xyz, source_direction, om_xyz, times, softening
        )
        result = np.empty((len(raw), log_time.shape[1]), np.float32)
        density(raw, log_time, result)
        per_time = result.astype(np.float64).reshape(*shape, delay.shape[-1])
        soft = soften(delay, softening)
        per_time = per_time / (soft + TIME_OFFSET)
        if softening > 0.0:
            return np.asarray(per_time * soft / np.hypot(delay, 2.0 * softening))
        return np.where(delay < 0.0, 0.0, per_time)

    def sample_delays(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw one delay per pair.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
            As for `expected_charge`.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, shape (...)
            Delays after direct light at `optics.N_REF`, never negative [ns].

        Raises
        ------
        UsageError
            As for `expected_charge`.
        """
        pairs, shape = self.pairs(source_xyz, source_direction, om_xyz)
        return quantile(self._raw(pairs), rng).reshape(shape)

    def _mixtures(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        times: ArrayLike,
        softening: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, ...], FloatArray]:
        """Return raw mixtures, logarithms of times, the pairs' shape, and delays."""
        pairs, shape = self.pairs(source_xyz, source_direction, om_xyz, stacklevel=4)
        delay = np.atleast_1d(real_numbers(times, "edges or times"))
        if np.isnan(delay).any() or not 0.0 <= softening < np.inf:
            raise UsageError("illegal times", found="NaN or a negative softening", wanted="numbers")
        late = np.clip(delay, -1e9, 1e9)
        log_time = np.log(soften(late, softening) + TIME_OFFSET).astype(np.float32)
        if delay.ndim == 1:
            return self._raw(pairs), log_time[None], shape, late
        try:
            log_time = np.broadcast_to(log_time, (*shape, delay.shape[-1]))
        except ValueError as error:
            raise shapes_do_not_fit(shape, delay.shape[:-1]) from error
        rows = _own(log_time).reshape(-1, delay.shape[-1])
        return self._raw(pairs), rows, shape, late

    def _raw(self, pairs: Pairs) -> NDArray[np.float32]:
        raw = np.empty((pairs.source_index.size, self.weights.time.last_bias.size), np.float32)
        mixtures(pairs, self.tables, self.weights.time, *self._end_inputs(pairs), raw)
        return raw

    def _end_inputs(self, pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        z_source, z_om = np.ascontiguousarray(pairs.source[:, 3]), pairs.om[:, 3].copy()
        of_sources = source_inputs(z_source, pairs.direction, self.tables)
        return of_sources, om_inputs(z_om, self.tables)

    def pairs(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        *,
        stacklevel: int = 3,
    ) -> tuple[Pairs, tuple[int, ...]]:
        """Check positions and directions, pair them as numpy broadcasts; warn `stacklevel` up."""
        source = np.clip(finite_vectors(source_xyz, "source_xyz"), -_FAR, _FAR)
        direction = finite_vectors(source_direction, "source_direction")
        om = np.clip(finite_vectors(om_xyz, "om_xyz"), -_FAR, _FAR)
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(direction, axis=-1)
        if np.any(np.abs(lengths - 1.0) > _UNIT_TOLERANCE):
            raise UsageError(
                "directions are not unit vectors",
                place="source_direction",
                found=f"length {lengths.ravel()[np.argmax(np.abs(lengths - 1.0))]:g}",
                wanted="length 1",
            )
        try:
            joint = np.broadcast_shapes(source.shape, direction.shape)[:-1]
            shape = np.broadcast_shapes(joint, om.shape[:-1])
        except ValueError as error:
            raise shapes_do_not_fit(source.shape, direction.shape, om.shape) from error
        source = np.broadcast_to(source, (*joint, 3)).reshape(-1, 3)
        direction = np.broadcast_to(direction, (*joint, 3)).reshape(-1, 3)
        source_index = np.arange(len(source)).reshape(joint)
        om_index = np.arange(om[..., 0].size).reshape(om.shape[:-1])
        om = om.reshape(-1, 3)
        pairs = Pairs(
            _own(np.column_stack([source, self.ice.effective_z(source)])),
            _own(np.column_stack([om, self.ice.effective_z(om)])),
            _own(direction),
            _own(np.broadcast_to(source_index, shape)).ravel(),
            _own(np.broadcast_to(om_index, shape)).ravel(),
        )
        n_outside = count_untrained(pairs)
        if n_outside:
            warnings.warn(
                f"{n_outside} pairs of source and module lie outside the trained volume",
                ExtrapolationWarning,
                stacklevel=stacklevel,
            )
        return pairs, shape


def _own(array: NDArray[Any]) -> NDArray[Any]:
    """Copy: a read-only view would be another type to the kernels, compiled once more."""
    return np.array(array, order="C")
