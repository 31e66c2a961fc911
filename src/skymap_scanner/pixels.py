"""What is sent, fitted and kept per pixel of the sky: seeds, fits, and tables of the best ones.

Inside the package a pixel variation is a `TaskKey`, starts from a `Seed` and ends in a `Fit`. The
classic names `SentPixelVariation`, `RecoPixelVariation`, `RecoPixelFinal` and `NSidesDict` stand
for the same things towards plug-ins and files, and keep the words that the field knows
(``pixel_id``, ``llh``, ``reco_losses_inside`` ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from skymap_scanner.pixel_tables import (
    PIXEL_DTYPE,
    NSidesDict,
    PixelTable,
    Position,
    RecoPixelFinal,
)

__all__ = [
    "PIXEL_DTYPE",
    "Fit",
    "FitStatus",
    "Guess",
    "NSidesDict",
    "PixelTable",
    "Position",
    "RecoPixelFinal",
    "RecoPixelVariation",
    "Seed",
    "SentPixelVariation",
    "TaskKey",
]

#: (nside, ipix in RING order, variation): names one pixel variation of a scan.
TaskKey: TypeAlias = tuple[int, int, int]


class FitStatus(StrEnum):
    """How a fit ended."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Guess:
    """A first guess of where the event happened.

    Parameters
    ----------
    vertex : tuple of float
        x, y, z in detector coordinates [m].
    vertex_time : float
        Time at the vertex [ns].
    """

    vertex: tuple[float, float, float]
    vertex_time: float


@dataclass(frozen=True, slots=True)
class Seed:
    """Where the fit of one pixel variation starts; the direction is fixed.

    Parameters
    ----------
    nside : int
        Resolution of the pixel.
    level : int
        0 for the coarsest nside of this scan, 1 for the next, and so on.
    zenith, azimuth : float
        Where the particle comes from, detector frame [rad].
    vertex : tuple of float
        First guess of the vertex [m].
    vertex_time : float
        Time there [ns].
    energy : float
        First guess [GeV]; NaN when nothing is known.
    fallback : Guess, optional
        A second first guess; the fit starts from the better of the two.
    """

    nside: int
    level: int
    zenith: float
    azimuth: float
    vertex: tuple[float, float, float]
    vertex_time: float
    energy: float
    fallback: Guess | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Outcome of the fit of one pixel variation; a failure is data, not an exception.

    Parameters
    ----------
    status : FitStatus
        Whether the fit ended with a number.
    reason : str
        Why it failed; empty when it did not.
    nll : float
        Negative log-likelihood at the minimum; +inf when failed, so that `min` is right in any
        order.
    vertex : tuple of float
        Best vertex [m].
    vertex_time : float
        Time there [ns].
    energy : float
        Energy of the particle, start value of finer pixels [GeV]; NaN when not estimated.
    energy_in, energy_total : float
        Energy lost inside the instrumented volume and in total [GeV]; NaN when not estimated.
    n_evaluations : int
        How often the likelihood was computed.
    """

    status: FitStatus
    reason: str
    nll: float
    vertex: tuple[float, float, float]
    vertex_time: float
    energy: float
    energy_in: float
    energy_total: float
    n_evaluations: int

    @classmethod
    def failed(cls, reason: str) -> Fit:
        """Make the outcome of a fit that found nothing, with the `reason` in plain words."""
        nan = math.nan
        return cls(FitStatus.FAILED, reason, math.inf, (nan, nan, nan), nan, nan, nan, nan, 0)

    @property
    def is_ok(self) -> bool:
        """Whether this fit may compete for the best: status OK and a finite nll."""
        return self.status is FitStatus.OK and math.isfinite(self.nll)


@dataclass(frozen=True, slots=True)
class SentPixelVariation:
    """One pixel variation that was sent to be reconstructed (classic name for plug-ins)."""

    nside: int
    pixel_id: int
    posvar_id: int

    @property
    def id_tuple(self) -> TaskKey:
        """(nside, pixel_id, posvar_id)."""
        return (self.nside, self.pixel_id, self.posvar_id)


@dataclass(frozen=True, slots=True)
class RecoPixelVariation:
    """One reconstructed pixel variation (classic name for plug-ins).

    `llh` is the **negative** log-likelihood, energies are GeV, `position` m, `time` ns. `position`
    may be given as an ``I3Position`` or as three numbers and is kept as `Position`.
    """

    nside: int
    pixel_id: int
    llh: float
    reco_losses_inside: float
    reco_losses_total: float
    posvar_id: int
    position: Position
    time: float
    energy: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", Position.of(self.position))

    @property
    def id_tuple(self) -> TaskKey:
        """(nside, pixel_id, posvar_id)."""
        return (self.nside, self.pixel_id, self.posvar_id)

    @classmethod
    def from_fit(cls, key: TaskKey, fit: Fit) -> RecoPixelVariation:
        """Say with the classic words what `fit` of task `key` found; NaN llh when it failed."""
        return cls(
            nside=key[0],
            pixel_id=key[1],
            llh=fit.nll if fit.is_ok else math.nan,
            reco_losses_inside=fit.energy_in,
            reco_losses_total=fit.energy_total,
            posvar_id=key[2],
            position=Position(*fit.vertex),
            time=fit.vertex_time,
            energy=fit.energy,
        )

    def to_fit(self) -> Fit:
        """Return the same as a `Fit`; an llh that is not finite makes it a failed one."""
        if not math.isfinite(self.llh):
            return Fit.failed(f"reconstruction gave llh {self.llh}")
        return Fit(
            status=FitStatus.OK,
            reason="",
            nll=float(self.llh),
            vertex=(self.position.x, self.position.y, self.position.z),
            vertex_time=float(self.time),
            energy=float(self.energy),
            energy_in=float(self.reco_losses_inside),
            energy_total=float(self.reco_losses_total),
            n_evaluations=0,
        )
