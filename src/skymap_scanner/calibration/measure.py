"""One event of a calibration: simulated, scanned around its truth, and put into a record."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.calibration.cone_scan import ConeScanner, is_at_edge
from skymap_scanner.calibration.events import EventSource
from skymap_scanner.calibration.record import EventRecord
from skymap_scanner.calibration.showers import light_centre
from skymap_scanner.exceptions import EventError
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.result import EventMetadata, from_nsides_dict
from skymap_scanner.result.levels import HPD, WILKS, plain_rule_for
from skymap_scanner.result.regions import SkyRegions, angular_distance, find_regions
from skymap_scanner.sky.region import Cone
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.calibration.events import TrueEvent
    from skymap_scanner.calibration.sample import Sample
    from skymap_scanner.result import SkyScanResult
    from skymap_scanner.scan.state import ScanState

__all__ = ["EventMeasurer", "credible_level"]


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The last scan of an event."""

    cone: Cone
    n_widened: int
    state: ScanState
    result: SkyScanResult


class EventMeasurer:
    """Makes the records of a sample, one by one.

    Parameters
    ----------
    sample : Sample
        Events and reconstruction.
    reco_options : mapping of str to str
        Settings of the reconstruction as the user wrote them; those of the sample follow from them.

    Raises
    ------
    InputError
        When reconstruction, its settings or the light model are not those of the sample.
    """

    def __init__(self, sample: Sample, reco_options: Mapping[str, str]) -> None:
        self._sample = sample
        self._digest = sample.digest
        self._reco_options = dict(reco_options)
        self._source = EventSource(sample)
        # Kernels are compiled before anything is timed.
        make_reco(sample.reco_algo, self._reco_options).warm_up()

    def measure(self, number: int) -> EventRecord:
        """Simulate and scan an event; the same whatever came before, but for the time it takes.

        Parameters
        ----------
        number : int
            Number of the event, from 1.
        """
        true = self._source.make(number)
        event_class = self._sample.class_of(number)
        truth = true.truth
        known: dict[str, Any] = {
            "digest": self._digest,
            "number": number,
            "event_class": event_class,
            "n_drawn": true.n_drawn,
            **{name: truth[name] for name in ("ra_deg", "dec_deg", "zenith_deg", "azimuth_deg")},
            **{name: truth[name] for name in ("energy", "light_energy_inside")},
            **true.variation.as_json(),
            "charge_pe": round(true.charge, 3),
            "n_doms": true.n_doms,
        }
        begin = time.process_time()
        found = self._scan(true, event_class)
        cpu_s = round(time.process_time() - begin, 3)
        return EventRecord(**known, **found, cpu_s=cpu_s)

    def _scan(self, true: TrueEvent, event_class: str) -> dict[str, Any]:
        """Scan around the truth and return what was found, as fields of a record."""
        sample = self._sample
        reco = make_reco(
            sample.reco_algo,
            self._reco_options,
            realtime_format_version=true.event.version,
        )
        try:
            scanner = ConeScanner(reco, true.event, sample.progression)
        except EventError as error:
            return {"reason": str(error)}
        ra, dec = true.truth["ra_deg"] * DEG, true.truth["dec_deg"] * DEG
        scanned = self._widen_until_inside(scanner, Cone(ra, dec, sample.cone_of(event_class)))
        found: dict[str, Any] = {
            "cone_deg": round(scanned.cone.radius / DEG, 9),
            "n_widened": scanned.n_widened,
            "n_pixels": scanned.result.n_pixels,
            "n_failed_pixels": len(scanned.state.failed_pixels()),
        }
        best = scanned.state.best
        if best is None:
            reasons = [
                reason for pixel in scanned.state.failed_pixels() for reason in pixel.reasons
            ]
            return found | {"reason": f"no pixel has a finite fit: {(reasons or ['?'])[0]}"}
        found["is_at_edge"] = is_at_edge(scanned.cone, best[:2], sample.progression)
        nll = scanner.nll_at(ra, dec, scanned.state.nsides_dict())
        if not math.isfinite(nll):
            return found | {"reason": "no finite fit at the true direction"}
        found |= {"reason": ""} | self._figures(scanned.result, nll, ra, dec)
        if event_class == "cascade":
            vertex = [float(scanned.result.best_fit[axis]) for axis in "XYZ"]
            found["vertex_off"] = float(np.linalg.norm(vertex - light_centre(true.truth)))
        return found

    def _widen_until_inside(self, scanner: ConeScanner, cone: Cone) -> _Scanned:
        """Scan wider and wider cones until the best pixel is not at the edge."""
        n_widened = 0
        while True:
            state = scanner.scan(cone)
            best = state.best
            if best is None or not is_at_edge(cone, best[:2], self._sample.progression):
                event = EventMetadata(0, 0, None, 0.0, is_real_event=False)
                result = from_nsides_dict(state.nsides_dict(), True, event)
                return _Scanned(cone, n_widened, state, result)
            cone = Cone(cone.ra, cone.dec, min(2.0 * cone.radius, np.pi))
            n_widened += 1

    def _figures(self, result: SkyScanResult, nll: float, ra: float, dec: float) -> dict[str, Any]:
        """Return the figures of a map and of the truth in it."""
        best = result.best_fit
        wilks, hpd = find_regions(result, WILKS), find_regions(result, HPD)
        own = find_regions(result, plain_rule_for(self._sample.reco_algo))
        min_llh = result.min_llh
        best_ra, best_dec = result.best_dir
        deg2 = 1.0 / DEG**2
        return {
            "best_ra_deg": best_ra / DEG,
            "best_dec_deg": best_dec / DEG,
            "best_nside": int(best["nside"]),
            "min_llh": min_llh,
            "true_llh": nll,
            "ts": max(0.0, 2.0 * (nll - min_llh)),
            "map_ts": float(wilks.ts_at(ra, dec)),
            "hpd_level": credible_level(hpd, ra, dec),
            "rule_level": credible_level(own, ra, dec),
            "separation_deg": float(angular_distance(best_ra, best_dec, ra, dec)) / DEG,
            "area90_deg2": own.area(0.9) * deg2,
            "hpd_area90_deg2": hpd.area(0.9) * deg2,
            "wilks_area90_deg2": wilks.area(0.9) * deg2,
            "energy_in": _known(best["E_in"]),
            "energy_total": _known(best["E_tot"]),
        }


def credible_level(regions: SkyRegions, ra: float, dec: float) -> float:
    """Return the probability of the smallest posterior region that holds a direction.

    Parameters
    ----------
    regions : SkyRegions
        A map; contours of TS are taken as what they are in a posterior.
    ra, dec : float
        Direction, ICRS [rad].

    Returns
    -------
    float
        Probability of all that is likelier than the direction's cell, and half of the cells that
        are as likely; 1 where the map does not reach.
    """
    ts = float(regions.ts_at(ra, dec))
    if not math.isfinite(ts):
        return 1.0
    before = regions.probability[regions.ts < ts].sum()
    same = regions.probability[regions.ts == ts].sum()
    return float(min(before + 0.5 * same, 1.0))


def _known(energy: float) -> float | None:
    return float(energy) if math.isfinite(energy) else None
