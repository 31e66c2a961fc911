"""What to simulate: one track or one cascade, checked before any time is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.exceptions import UsageError
from skymap_scanner.simulation.light import DEFAULT_LIGHT, LIGHTS

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = [
    "ENERGY_LIMITS",
    "HALF_LENGTH",
    "MAX_VERTEX",
    "UPSTREAM",
    "CascadeSettings",
    "Point",
    "TrackSettings",
]

Point = tuple[float, float, float]

#: A muon is followed to this far beyond its closest approach to the origin [m].
HALF_LENGTH: Final = 1200.0
#: A through-going muon starts this far before it [m].
UPSTREAM: Final = 700.0
#: No coordinate of a vertex is farther from the origin than this [m]; the detector ends at 577 m,
#: and light of the brightest cascade half a kilometre on.
MAX_VERTEX: Final = 1000.0
#: Energies that can be simulated [GeV].
ENERGY_LIMITS: Final = (1.0, 1e9)

_Check = tuple[bool, str, object, str]


def _refuse(checks: tuple[_Check, ...]) -> None:
    """Raise `UsageError` for the first check that fails."""
    for legal, place, found, wanted in checks:
        if not legal:
            raise UsageError("illegal value", place=place, found=found, wanted=wanted)


def _common_checks(
    energy: float, zenith: float, azimuth: float, seed: int, light: str
) -> tuple[_Check, ...]:
    low, high = ENERGY_LIMITS
    return (
        (low <= energy <= high, "energy [GeV]", energy, f"{low:g} to {high:g}"),
        (0.0 <= zenith <= np.pi, "zenith [rad]", zenith, "0 to pi"),
        (bool(np.isfinite(azimuth)), "azimuth [rad]", azimuth, "a finite number"),
        (seed >= 0, "seed", seed, "0 or more"),
        (light in LIGHTS, "light", light, " or ".join(LIGHTS)),
    )


def _vertex_check(vertex: Point) -> _Check:
    # False for NaN as well.
    is_near = bool(np.all(np.abs(vertex) <= MAX_VERTEX))
    return (is_near, "vertex [m]", vertex, f"coordinates of at most {MAX_VERTEX:.0f}")


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """A muon track, through-going or starting.

    Attributes
    ----------
    energy : float
        Through-going: muon energy 700 m before its closest approach to the detector's centre;
        starting: energy of the neutrino [GeV].
    zenith, azimuth : float
        Where it comes from [rad].
    impact : tuple of float
        Through-going: offset of the track from the origin in the plane normal to it [m]: along
        the horizontal and along the direction normal to both.
    ice : str
        Ice model.
    seed : int
        Seed of all chance.
    vertex : tuple of float, optional
        Starting: where the neutrino interacts; through-going: a point on the track, instead of
        `impact` [m].
    is_starting : bool
        Whether the muon comes out of a hadronic cascade at `vertex`.
    inelasticity : float, optional
        Starting: share of the energy that goes into that cascade; drawn evenly from 0 to 1 when
        not given.
    light : str
        Kind of light (`skymap_scanner.simulation.light.LIGHTS`).

    Raises
    ------
    UsageError
        When a value is illegal; it says which.
    """

    energy: float
    zenith: float
    azimuth: float
    impact: tuple[float, float] = (0.0, 0.0)
    ice: str = "spice_bfr-v2"
    seed: int = 1
    vertex: Point | None = None
    is_starting: bool = False
    inelasticity: float | None = None
    light: str = DEFAULT_LIGHT

    def __post_init__(self) -> None:
        y = self.inelasticity
        _refuse(
            (
                *_common_checks(self.energy, self.zenith, self.azimuth, self.seed, self.light),
                (
                    bool(np.all(np.abs(self.impact) <= HALF_LENGTH)),
                    "impact [m]",
                    self.impact,
                    f"at most {HALF_LENGTH:.0f}",
                ),
                _vertex_check(self.vertex or (0.0, 0.0, 0.0)),
                (
                    self.vertex is None or self.impact == (0.0, 0.0),
                    "impact [m]",
                    self.impact,
                    "an impact or a vertex, not both",
                ),
                (y is None or 0.0 <= y <= 1.0, "inelasticity", y, "0 to 1"),
                (
                    y is None or self.is_starting,
                    "inelasticity",
                    y,
                    "a starting track; others have none",
                ),
                (
                    self.vertex is not None or not self.is_starting,
                    "vertex [m]",
                    "none",
                    "a vertex, from which the track starts",
                ),
            )
        )

    @property
    def kind(self) -> str:
        """Name of this kind of event."""
        return "track"

    @property
    def direction(self) -> FloatArray:
        """Unit vector of travel, shape (3,)."""
        return direction_vector(self.zenith, self.azimuth)

    @property
    def place(self) -> FloatArray:
        """Vertex of a starting track, closest approach of another [m], shape (3,)."""
        is_vertex = self.is_starting and self.vertex is not None
        return np.array(self.vertex) if is_vertex else self.closest_approach()

    def closest_approach(self) -> FloatArray:
        """Return the point of the track that is nearest to the origin [m], shape (3,)."""
        direction = self.direction
        if self.vertex is not None:
            vertex = np.array(self.vertex)
            return np.asarray(vertex - (vertex @ direction) * direction)
        horizontal, normal = _normals(direction)
        return self.impact[0] * horizontal + self.impact[1] * normal


def _normals(direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors normal to a direction: horizontal, and normal to both."""
    axis = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
    horizontal = np.cross(axis, direction)
    horizontal /= np.linalg.norm(horizontal)
    return horizontal, np.cross(direction, horizontal)


@dataclass(frozen=True, slots=True)
class CascadeSettings:
    """An electromagnetic and a hadronic cascade at one vertex.

    Attributes
    ----------
    energy : float
        Energy of both together [GeV].
    zenith, azimuth : float
        Where their neutrino comes from [rad].
    vertex : tuple of float
        Where they begin [m].
    hadronic_fraction : float
        Share of the hadronic one: 1 for a neutral current, the inelasticity (0.3 in the mean) for
        a charged current of an electron neutrino, 0 for a lone electron.
    ice, seed, light
        As for `TrackSettings`.

    Raises
    ------
    UsageError
        When a value is illegal; it says which.
    """

    energy: float
    zenith: float
    azimuth: float
    vertex: Point = (0.0, 0.0, 0.0)
    hadronic_fraction: float = 0.3
    ice: str = "spice_bfr-v2"
    seed: int = 1
    light: str = DEFAULT_LIGHT

    def __post_init__(self) -> None:
        share = self.hadronic_fraction
        _refuse(
            (
                *_common_checks(self.energy, self.zenith, self.azimuth, self.seed, self.light),
                _vertex_check(self.vertex),
                (0.0 <= share <= 1.0, "hadronic fraction", share, "0 to 1"),
            )
        )

    @property
    def kind(self) -> str:
        """Name of this kind of event."""
        return "cascade"

    @property
    def place(self) -> FloatArray:
        """Vertex [m], shape (3,)."""
        return np.array(self.vertex)

    @property
    def direction(self) -> FloatArray:
        """Unit vector of travel, shape (3,)."""
        return direction_vector(self.zenith, self.azimuth)
