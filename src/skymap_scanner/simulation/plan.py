"""Many events from one plan: what is fixed, what chance draws, and a seed for each event."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.event.volume import instrumented_volume
from skymap_scanner.exceptions import UsageError
from skymap_scanner.simulation.event import simulate_cascade, simulate_track, try_event
from skymap_scanner.simulation.settings import (
    ENERGY_LIMITS,
    HALF_LENGTH,
    CascadeSettings,
    TrackSettings,
)

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.simulation.event import SimulatedEvent
    from skymap_scanner.simulation.light import PointLight

__all__ = ["MAX_DRAWS", "EventPlan", "event_seed"]

#: Draws of energy, direction and place before a plan counts as one that cannot trigger.
MAX_DRAWS: Final = 2000
_MAX_INDEX: Final = 10.0


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What events are wanted: fixed values, and what is drawn instead of them.

    Attributes
    ----------
    settings : TrackSettings or CascadeSettings
        The fixed values.
    energy_range : tuple of float, optional
        Energies are drawn between these [GeV] ...
    energy_index : float
        ... with dN/dE in proportion to the energy to the minus this; 1: even in the logarithm.
    is_isotropic : bool
        Whether directions are drawn, all equally likely.
    impact_radius : float, optional
        Offsets of tracks are drawn evenly on a disc of this radius around the origin [m].
    is_vertex_random : bool
        Whether vertices are drawn evenly in the instrumented volume.

    Raises
    ------
    UsageError
        When a value is illegal or belongs to the other kind of event.
    """

    settings: TrackSettings | CascadeSettings
    energy_range: tuple[float, float] | None = None
    energy_index: float = 1.0
    is_isotropic: bool = False
    impact_radius: float | None = None
    is_vertex_random: bool = False

    def __post_init__(self) -> None:
        low, high = self.energy_range or ENERGY_LIMITS
        radius, index = self.impact_radius, self.energy_index
        is_through = isinstance(self.settings, TrackSettings) and not self.settings.is_starting
        checks: tuple[tuple[bool, str, object, str], ...] = (
            (
                ENERGY_LIMITS[0] <= low <= high <= ENERGY_LIMITS[1],
                "energy range [GeV]",
                self.energy_range,
                "two energies from {:g} to {:g}, the lower one first".format(*ENERGY_LIMITS),
            ),
            (
                bool(abs(index) <= _MAX_INDEX),
                "energy index",
                index,
                f"{-_MAX_INDEX:g} to {_MAX_INDEX:g}",
            ),
            (
                radius is None or 0.0 < radius <= HALF_LENGTH,
                "impact radius [m]",
                radius,
                f"more than 0, at most {HALF_LENGTH:.0f}",
            ),
            (
                radius is None or is_through,
                "impact radius [m]",
                radius,
                "a through-going track; others have none",
            ),
        )
        for legal, place, found, wanted in checks:
            if not legal:
                raise UsageError("illegal value", place=place, found=found, wanted=wanted)

    @property
    def is_random(self) -> bool:
        """Whether anything but the event itself is left to chance."""
        has_range = self.energy_range is not None or self.impact_radius is not None
        return has_range or self.is_isotropic or self.is_vertex_random

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        plan = asdict(self)
        plan["kind"] = self.settings.kind
        return plan

    def draw(self, detector: Detector, rng: np.random.Generator) -> TrackSettings | CascadeSettings:
        """Draw what one event shall be, with a seed of its own."""
        changes: dict[str, Any] = {"seed": int(rng.integers(1 << 53))}
        if self.energy_range is not None:
            changes["energy"] = self._energy(rng.random())
        if self.is_isotropic:
            cosine = rng.uniform(-1.0, 1.0)
            changes["zenith"] = float(np.arccos(cosine))
            changes["azimuth"] = float(rng.uniform(0.0, 2.0 * np.pi))
        if self.impact_radius is not None:
            distance = self.impact_radius * np.sqrt(rng.random())
            angle = rng.uniform(0.0, 2.0 * np.pi)
            changes["impact"] = (float(distance * np.cos(angle)), float(distance * np.sin(angle)))
        if self.is_vertex_random:
            changes["vertex"] = _point_inside(detector, rng)
        return replace(self.settings, **changes)

    def _energy(self, u: float) -> float:
        """Return the energy at a quantile of the power law [GeV]."""
        low, high = self.energy_range or (self.settings.energy,) * 2
        power = 1.0 - self.energy_index
        if abs(power) < 1e-9:
            drawn = low * (high / low) ** u
        else:
            # In units of the lower energy, so that steep laws do not run out of digits.
            drawn = low * (1.0 + u * ((high / low) ** power - 1.0)) ** (1.0 / power)
        return float(np.clip(drawn, low, high))

    def simulate(
        self, detector: Detector, light: PointLight, seed: int
    ) -> tuple[SimulatedEvent, int]:
        """Simulate one event of the plan.

        Parameters
        ----------
        detector : Detector
            Geometry and efficiencies.
        light : PointLight
            Light in ice.
        seed : int
            Seed of this event (`event_seed`).

        Returns
        -------
        SimulatedEvent, int
            The first that triggers, and how many were drawn for it: the share of them that
            trigger is what a sample has to be weighted with.

        Raises
        ------
        UsageError
            When none of `MAX_DRAWS` triggers; without anything to draw, none of `MAX_TRIES`.
        """
        if not self.is_random:
            return _of_kind(replace(self.settings, seed=seed), detector, light), 1
        rng = np.random.default_rng(seed)
        for n_drawn in range(1, MAX_DRAWS + 1):
            settings = self.draw(detector, rng)
            event = try_event(settings, detector, light, np.random.default_rng(settings.seed))
            if event is not None:
                return event, n_drawn
        raise UsageError(
            f"none of {MAX_DRAWS} events drawn triggers the detector",
            place="simulate",
            found=f"{settings.energy:g} GeV in the last one",
            wanted="more energy or places nearer to the detector",
        )


def _of_kind(
    settings: TrackSettings | CascadeSettings, detector: Detector, light: PointLight
) -> SimulatedEvent:
    if isinstance(settings, TrackSettings):
        return simulate_track(settings, detector, light)
    return simulate_cascade(settings, detector, light)


def _point_inside(detector: Detector, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a point in the instrumented volume [m]."""
    low, high = detector.om_xyz.min(axis=0), detector.om_xyz.max(axis=0)
    volume = instrumented_volume(detector)
    while True:
        point = rng.uniform(low, high)
        if volume.contains(point[None])[0]:
            return (float(point[0]), float(point[1]), float(point[2]))


def event_seed(seed: int, event_id: int) -> int:
    """Return the seed of one event of many: the same whatever the number of events.

    Examples
    --------
    >>> event_seed(1, 1) == event_seed(1, 1) != event_seed(1, 2)
    True
    """
    state = np.random.SeedSequence(seed, spawn_key=(event_id,)).generate_state(2)
    return (int(state[0]) << 21) ^ int(state[1])
