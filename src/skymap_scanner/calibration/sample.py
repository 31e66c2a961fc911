"""What a calibration is made of: which events, scanned with which reconstruction and how far."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner import __version__
from skymap_scanner.calibration import CLASSES, KINDS
from skymap_scanner.exceptions import UsageError
from skymap_scanner.simulation.plan import EventPlan
from skymap_scanner.simulation.settings import ENERGY_LIMITS, CascadeSettings, TrackSettings
from skymap_scanner.sky.progression import DEFAULT_PROGRESSION, NSideProgression
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.event import Detector

__all__ = ["CONES", "RangedPlan", "Sample"]

#: How far around the truth an event of a class is scanned at first [rad].
CONES: Final = {"track": 6.0 * DEG, "starting": 10.0 * DEG, "cascade": 30.0 * DEG}
#: Through-going tracks pass within this of the detector's centre [m].
IMPACT_RADIUS: Final = 600.0
#: Version of what is simulated, scanned and recorded.
_SCHEMA: Final = 1
_ZENITHS: Final = (0.0, float(np.pi))


@dataclass(frozen=True, slots=True)
class RangedPlan(EventPlan):
    """An event plan whose directions are drawn from a range of zenith angles.

    Attributes
    ----------
    zenith_range : tuple of float
        Where particles come from, evenly on this part of the sphere [rad].
    """

    zenith_range: tuple[float, float] = _ZENITHS

    def draw(self, detector: Detector, rng: np.random.Generator) -> TrackSettings | CascadeSettings:
        """Draw what one event shall be, again and again until its zenith is in the range."""
        low, high = self.zenith_range
        while True:
            settings = EventPlan.draw(self, detector, rng)
            if low <= settings.zenith <= high:
                return settings


@dataclass(frozen=True, slots=True)
class Sample:
    """Events to be scanned, and how.

    Attributes
    ----------
    reco_algo : str
        Name of the reconstruction.
    reco_options : mapping
        All of its effective settings.
    light : str
        Label of the light model of the simulation.
    kind : str
        One of `skymap_scanner.calibration.KINDS`.
    classes : tuple of str
        Which of `skymap_scanner.calibration.CLASSES`; events belong to them in turn.
    energy_range : tuple of float
        Energies are even in the logarithm between these [GeV].
    zenith_range : tuple of float
        Directions come evenly from this part of the sphere [rad].
    min_charge : float
        Events with less charge after the cleaning for tracks are drawn anew [PE].
    cone : float, optional
        How far around the truth is scanned at first [rad]; by default `CONES` of the class.
    progression : NSideProgression
        Resolutions.
    seed : int
        Seed of all chance.

    Raises
    ------
    UsageError
        When a value is illegal.
    """

    reco_algo: str
    reco_options: Mapping[str, object] = field(hash=False)
    light: str
    kind: str = KINDS[0]
    classes: tuple[str, ...] = CLASSES[:1]
    energy_range: tuple[float, float] = (5e3, 5e6)
    zenith_range: tuple[float, float] = _ZENITHS
    min_charge: float = 0.0
    cone: float | None = None
    progression: NSideProgression = DEFAULT_PROGRESSION
    seed: int = 1

    def __post_init__(self) -> None:
        known = set(CLASSES)
        is_known = bool(self.classes) and set(self.classes) <= known
        low, high = self.energy_range
        first, last = self.zenith_range
        deg = [angle / DEG for angle in self.zenith_range]
        cone_deg = None if self.cone is None else self.cone / DEG
        checks: tuple[tuple[bool, str, object, str], ...] = (
            (self.kind in KINDS, "--kind", self.kind, " or ".join(KINDS)),
            (is_known, "--class", ", ".join(self.classes), f"some of {', '.join(CLASSES)}"),
            (
                len(set(self.classes)) == len(self.classes),
                "--class",
                ", ".join(self.classes),
                "each class once",
            ),
            (
                ENERGY_LIMITS[0] <= low <= high <= ENERGY_LIMITS[1],
                "--energy-range",
                f"{low:g} {high:g} GeV",
                "two energies from {:g} to {:g} GeV, the lower one first".format(*ENERGY_LIMITS),
            ),
            (
                0.0 <= first < last <= np.pi * (1.0 + 1e-12),
                "--zenith-range-deg",
                f"{deg[0]:g} {deg[1]:g}",
                "two angles from 0 to 180, the smaller one first",
            ),
            (
                0.0 <= self.min_charge <= 1e6,
                "--min-charge-pe",
                self.min_charge,
                "0 to 1e6 photo-electrons",
            ),
            (
                self.cone is None or 0.1 * DEG <= self.cone <= np.pi * (1.0 + 1e-12),
                "--cone-deg",
                cone_deg,
                "0.1 to 180",
            ),
            (self.seed >= 0, "--seed", self.seed, "0 or more"),
        )
        for is_legal, place, found, wanted in checks:
            if not is_legal:
                raise UsageError("illegal value", place=place, found=found, wanted=wanted)

    def class_of(self, number: int) -> str:
        """Return the class of an event, counted from 1."""
        return self.classes[(number - 1) % len(self.classes)]

    def cone_of(self, event_class: str) -> float:
        """Return how far around the truth events of a class are scanned at first [rad]."""
        return CONES[event_class] if self.cone is None else self.cone

    def plan(self, event_class: str) -> RangedPlan:
        """Return what events of a class look like."""
        energy = self.energy_range[0]
        settings: TrackSettings | CascadeSettings
        if event_class == "cascade":
            settings = CascadeSettings(energy=energy, zenith=0.0, azimuth=0.0)
        else:
            is_starting = event_class == "starting"
            vertex = (0.0, 0.0, 0.0) if is_starting else None  # each event draws its own
            settings = TrackSettings(
                energy=energy, zenith=0.0, azimuth=0.0, vertex=vertex, is_starting=is_starting
            )
        is_through = event_class == "track"
        return RangedPlan(
            settings,
            energy_range=self.energy_range,
            is_isotropic=True,
            impact_radius=IMPACT_RADIUS if is_through else None,
            is_vertex_random=not is_through,
            zenith_range=self.zenith_range,
        )

    def as_json(self) -> dict[str, Any]:
        """Return all that decides what an event's record says, as plain JSON values."""
        settings = {
            "schema": _SCHEMA,
            "version": __version__,
            "reco_algo": self.reco_algo,
            "reco_options": dict(self.reco_options),
            "light": self.light,
            "kind": self.kind,
            "classes": list(self.classes),
            "energy_range_gev": list(self.energy_range),
            "zenith_range_deg": [round(angle / DEG, 9) for angle in self.zenith_range],
            "min_charge_pe": self.min_charge,
            "cone_deg": {name: round(self.cone_of(name) / DEG, 9) for name in self.classes},
            "nsides": str(self.progression),
            "seed": self.seed,
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    @property
    def digest(self) -> str:
        """What tells one sample from another, 16 hexadecimal digits."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
