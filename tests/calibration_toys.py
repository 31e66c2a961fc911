"""A reconstruction with a known likelihood, and records without any simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skymap_scanner.calibration.record import EventRecord
from skymap_scanner.calibration.sample import Sample
from skymap_scanner.pixels import Fit, FitStatus, Guess
from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.sky.progression import NSideProgression

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Seed
    from skymap_scanner.units import FloatArray

#: Few pixels, and a finest resolution that does not reach everywhere.
COARSE = NSideProgression.parse(["8:0", "32:4", "128:6"])


class ToyReco(RecoInterface):
    """Gaussian likelihood about a direction: where the event's truth is, or `center`."""

    name: ClassVar[str] = "toy"
    sigma: ClassVar[float] = 0.01
    #: Zenith and azimuth added to the truth [rad].
    offset: ClassVar[tuple[float, float]] = (0.0, 0.0)
    #: What was fitted: nside, vertex of the seed.
    seen: ClassVar[list[tuple[int, tuple[float, float, float]]]] = []

    def base_vertex(self, event: Event) -> Guess:  # noqa: ARG002  # as the interface has it
        return Guess((0.0, 0.0, 0.0), 0.0)

    def prepare(self, event: Event) -> FloatArray:
        assert event.truth is not None
        zenith, azimuth = event.truth["zenith"], event.truth["azimuth"]
        return _unit(zenith + self.offset[0], azimuth + self.offset[1])

    def fit(self, prepared: FloatArray, seed: Seed) -> Fit:
        type(self).seen.append((seed.nside, seed.vertex))
        chord = np.linalg.norm(_unit(seed.zenith, seed.azimuth) - prepared)
        nll = 100.0 + 0.5 * float(chord / self.sigma) ** 2
        vertex = (float(seed.nside), 0.0, 0.0)
        return Fit(FitStatus.OK, "", nll, vertex, 0.0, math.nan, 10.0, 20.0, 1)


def _unit(zenith: float, azimuth: float) -> FloatArray:
    sine = math.sin(zenith)
    return np.array([sine * math.cos(azimuth), sine * math.sin(azimuth), math.cos(zenith)])


def sample(**changes: Any) -> Sample:
    """A sample of the toy."""
    known: dict[str, Any] = {"reco_algo": "toy", "reco_options": {"a": 1}, "light": "a test"}
    return Sample(**(known | {"progression": COARSE} | changes))


def record(number: int = 1, **changes: Any) -> EventRecord:
    """A record of the sample with everything in it."""
    known: dict[str, Any] = {
        "digest": sample().digest, "number": number, "event_class": "track", "n_drawn": 1,
        "ra_deg": 10.0, "dec_deg": -5.0, "zenith_deg": 85.0, "azimuth_deg": 12.0, "energy": 1e5,
        "light_energy_inside": 2e4, "scattering": 1.0, "absorption": 1.0, "efficiency": 1.0,
        "anisotropy": 1.0, "charge_pe": 300.0, "n_doms": 80, "reason": "", "best_ra_deg": 10.1,
        "best_dec_deg": -5.1, "best_nside": 128, "min_llh": 100.0, "true_llh": 101.0, "ts": 2.0,
        "map_ts": 2.0, "hpd_level": 0.6, "rule_level": 0.5, "separation_deg": 0.14,
        "area90_deg2": 1.0, "hpd_area90_deg2": 0.8, "wilks_area90_deg2": 0.8, "energy_in": None,
        "energy_total": None, "cone_deg": 6.0, "n_widened": 0, "is_at_edge": False,
        "n_pixels": 100, "n_failed_pixels": 0, "cpu_s": 1.5,
    }  # fmt: skip
    return EventRecord(**(known | changes))


def failed(number: int, reason: str = "too few hit modules") -> EventRecord:
    """A record of an event without a map."""
    kept = {name: getattr(record(number), name) for name in EventRecord.__slots__[:16]}
    return EventRecord(**kept, reason=reason)


def records_of(ts: FloatArray, **changes: Any) -> list[EventRecord]:
    """Records with some TS at the truth."""
    return [
        record(number, ts=one, map_ts=one, hpd_level=-math.expm1(-0.5 * one), **changes)
        for number, one in enumerate(np.asarray(ts).tolist(), start=1)
    ]
