"""One name for the likelihoods that a track can be fitted with: the kind of light decides.

The fit of a track is the same whichever light it believes in. numba compiles it once for each kind
of light, and these functions pick the kernel then, so that nothing is decided while a fit runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from numba.core import types
from numba.extending import overload

from skymap_scanner.compiled import kernel
from skymap_scanner.recos.likelihood import mpe, track_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.recos.likelihood.mpe import Hits, Light
    from skymap_scanner.recos.likelihood.track_light import TrackLight
    from skymap_scanner.units import FloatArray

__all__ = ["evaluate", "with_jitter"]

#: Place of the jitter next to the track in the constants of the analytic light.
_JITTER: Final = 9


@kernel
def _analytic_with_jitter(light: Light, jitter: float) -> Light:
    model = light.model.copy()
    model[_JITTER] = jitter
    return mpe.Light(light.layers, light.layer_grid, model, light.table)


@kernel
def _mixtures_with_jitter(light: TrackLight, jitter: float) -> TrackLight:
    both = light.jitter.copy()
    both[0] = jitter
    return track_light.TrackLight(
        light.tables,
        light.layers,
        light.om,
        light.om_part,
        light.height_part,
        light.tilt,
        light.tilt_axis,
        both,
        light.table,
    )


#: Kind of light -> its likelihood, and how it gets another jitter.
_EVALUATE: Final[dict[type[Any], Callable[..., Any]]] = {
    mpe.Light: mpe.evaluate,
    track_light.TrackLight: track_light.evaluate_mixtures,
}
_WITH_JITTER: Final[dict[type[Any], Callable[..., Any]]] = {
    mpe.Light: _analytic_with_jitter,
    track_light.TrackLight: _mixtures_with_jitter,
}


def evaluate(at: FloatArray, hits: Hits, light: Light | TrackLight, gradient: FloatArray) -> float:
    """Negative log-likelihood of a track in the light that is given, and its gradient.

    Parameters
    ----------
    at : ndarray, shape (3,)
        Track: offsets u, v of the track from the reference point, and c times the time there [m].
    hits : Hits
        The hit modules in the frame of the track.
    light : Light or TrackLight
        Closed-form light, or that of the light model.
    gradient : ndarray, shape (3,)
        Filled with the gradient [1/m].

    Returns
    -------
    float
        Negative log-likelihood, natural logarithm.
    """
    return float(_EVALUATE[type(light)](at, hits, light, gradient))


def with_jitter(light: Any, jitter: float) -> Any:
    """Return the same light with another jitter of times next to the track [ns]."""
    return _WITH_JITTER[type(light)](light, jitter)


@overload(evaluate, strict=False)
def _evaluate(at: Any, hits: Any, light: Any, gradient: Any) -> Any:  # noqa: ARG001  # numba's
    chosen = _chosen(_EVALUATE, light)
    if chosen is None:
        return None
    return lambda at, hits, light, gradient: chosen(at, hits, light, gradient)  # noqa: PLW0108  # numba's


@overload(with_jitter, strict=False)
def _with_jitter(light: Any, jitter: Any) -> Any:  # noqa: ARG001  # numba's
    chosen = _chosen(_WITH_JITTER, light)
    if chosen is None:
        return None
    return lambda light, jitter: chosen(light, jitter)  # noqa: PLW0108  # numba's


def _chosen(kernels: dict[type[Any], Callable[..., Any]], light: Any) -> Callable[..., Any] | None:
    """Return the kernel for numba's type of a light."""
    if not isinstance(light, types.BaseNamedTuple):
        return None
    kind: type[Any] = light.instance_class  # type: ignore[attr-defined]  # of named tuples
    return kernels.get(kind)
