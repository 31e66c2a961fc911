"""What a model of the light of a cascade must answer: how much, and when, at every module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skymap_scanner.units import FloatArray

__all__ = ["Light"]


@runtime_checkable
class Light(Protocol):
    """Light of point-like electromagnetic cascades, as optical modules see it.

    Positions, directions and efficiencies broadcast against each other: one source and all modules,
    all sources and one module, or a grid of both. Answers are finite whatever the geometry; a
    question that has no answer (a NaN, a direction that is not a unit vector) is an `InputError`. A
    source at the very centre of a module is that, or is answered as one nearby.

    Delays count from direct light, ``time - r * N_REF / LIGHT_SPEED`` with the distance r and
    `skymap_scanner.light.optics.N_REF`, whatever index a model uses inside.
    """

    def expected_charge(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        om_efficiency: ArrayLike,
    ) -> FloatArray:
        """Mean charge per energy.

        Parameters
        ----------
        source_xyz : array_like, shape (..., 3)
            Where the cascades are [m], detector coordinates.
        source_direction : array_like, shape (..., 3)
            Unit vectors along which they travel.
        om_xyz : array_like, shape (..., 3)
            Optical modules [m].
        om_efficiency : array_like, shape (...)
            Their efficiencies, relative to a standard module; not negative.

        Returns
        -------
        ndarray, shape (...)
            Charge per energy of an electromagnetic cascade [PE/GeV]; finite, not negative.

        Raises
        ------
        InputError
            When the question has no answer, or shapes do not fit.
        """
        ...

    def time_cdf(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        edges: ArrayLike,
    ) -> FloatArray:
        """Probability that a detected photon arrives before some delays.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
            As for `expected_charge`.
        edges : array_like, shape (..., n_edge)
            Delays after direct light [ns], ascending; infinite ones are allowed.

        Returns
        -------
        ndarray, shape (..., n_edge)
            Between 0 (long before direct light) and 1; never falling along the last axis.

        Raises
        ------
        InputError
            When the question has no answer, or shapes do not fit.
        """
        ...

    def time_density(
        self,
        source_xyz: ArrayLike,
        source_direction: ArrayLike,
        om_xyz: ArrayLike,
        times: ArrayLike,
    ) -> FloatArray:
        """Density of a detected photon's delay, the slope of `time_cdf`.

        Parameters
        ----------
        source_xyz, source_direction, om_xyz : array_like, shape (..., 3)
            As for `expected_charge`.
        times : array_like, shape (..., n_time)
            Delays after direct light [ns], in any order; infinite ones are allowed.

        Returns
        -------
        ndarray, shape (..., n_time)
            Density [1/ns]; finite, not negative.

        Raises
        ------
        InputError
            When the question has no answer, or shapes do not fit.
        """
        ...
