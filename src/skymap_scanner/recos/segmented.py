"""What the two millipede reconstructions share: cascades along a track, unfolded for each position.

References
----------
.. [1] M. G. Aartsen et al. (IceCube), JINST 9 (2014) P03009, :doi:`10.1088/1748-0221/9/03/P03009`
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from skymap_scanner.exceptions import EventError, UsageError
from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.recos.options import PLACE, option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skymap_scanner.event import Detector, Event, PulseSeries
    from skymap_scanner.event.pulses import BoolArray
    from skymap_scanner.event.volume import Prism
    from skymap_scanner.pixels import Seed
    from skymap_scanner.recos.likelihood.segment_fit import Data, Effort, Outcome, SegmentFit
    from skymap_scanner.recos.likelihood.segments import SegmentedLine
    from skymap_scanner.recos.likelihood.viewer import Viewer
    from skymap_scanner.recos.minimise.unfolding import Uncertainty
    from skymap_scanner.units import FloatArray

__all__ = ["CleanEvent", "PreparedSegments", "SegmentedOptions", "SegmentedReco", "parse_modules"]

#: Losses count as inside up to this far before and behind the instrumented volume [m].
_MARGIN: Final = 60.0
#: Least expected noise of a bin [PE].
_LEAST_NOISE: Final = 1e-9
#: Up to this nside all starts are tried. Finer pixels begin where a coarser fit ended that had
#: tried them: of three alerts the llh of 138 pixels below TS 30 is the same with them, to 0.04 rms.
_ALL_TRIED: Final = 128
#: How a list of modules is written: string-om, separated by commas.
_MODULE: Final = re.compile(r"\s*(\d+)-(\d+)\s*")


@dataclass(frozen=True, slots=True, eq=False)
class CleanEvent:
    """What of an event a likelihood uses.

    Attributes
    ----------
    series : PulseSeries
        Cleaned pulses, those of modules that are not used included.
    window : tuple of float
        Time in which data counts [ns].
    dead : mapping of int to sequence of (float, float)
        Module -> intervals in which its data does not count [ns].
    is_usable : ndarray of bool, shape (n_om,)
        Modules whose pulses count.
    is_dark : ndarray of bool, shape (n_om,)
        Modules that count when they have no pulse.
    has_row : ndarray of bool, shape (n_om,)
        Those of them whose expectation counts as uncertain when that of bins does; that of the
        others counts as it is.
    """

    series: PulseSeries
    window: tuple[float, float]
    dead: Mapping[int, Sequence[tuple[float, float]]]
    is_usable: BoolArray
    is_dark: BoolArray
    has_row: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSegments:
    """What all fits of one event share.

    Attributes
    ----------
    fits : SegmentFit
        Modules, bins and charges.
    reference : ndarray, shape (3,)
        Charge-weighted centre of the modules with light [m].
    hit_xyz : ndarray, shape (n_hit, 3)
        Positions of the modules whose light is connected; sources are along these [m].
    pulses : PulseSeries
        All pulses of the event, for first guesses of the time.
    detector : Detector
        Their modules.
    volume : Prism
        The instrumented volume.
    """

    fits: SegmentFit
    reference: FloatArray
    hit_xyz: FloatArray
    pulses: PulseSeries
    detector: Detector
    volume: Prism


@dataclass(frozen=True, slots=True)
class SegmentedOptions:
    """Settings that both have."""

    light: str = option("spice_bfr-v2", help="light model: a name, or a file .npz")
    late_pulse_residual: float = option(
        1500.0,
        help="pulses this much after the median of their module are cut",
        unit="ns",
        minimum=0.0,
    )
    noise_rate_hz: float = option(
        560.0, help="noise rate of a module", unit="Hz", minimum=1e-3, maximum=1e6
    )
    bad_doms: str = option("", help="modules to leave out: string-om, separated by commas")
    bright_factor: float = option(
        10.0, help="modules with more than this times the mean charge are left out", minimum=1.0
    )


class SegmentedReco(RecoInterface):
    """Point-like cascades every few metres along a track of fixed direction.

    A reconstruction says which pulses and modules it uses (`clean`), how well the expectation is
    known (`uncertainty`) and how far its sources may be (`boundary`). Its options are
    `SegmentedOptions` and others.
    """

    #: Sources outside an upright cylinder of this radius and half height are left out [m].
    boundary: ClassVar[float] = math.inf

    def clean(self, event: Event) -> CleanEvent:
        """Return the pulses and modules that count."""
        raise NotImplementedError

    def uncertainty(self) -> Uncertainty:
        """Return how well the expected charge is known."""
        raise NotImplementedError

    def effort(self, nside: int) -> tuple[float, Effort]:
        """Return how finely a pixel's track is cut [m], and when its fit ends."""
        from skymap_scanner.recos.likelihood.segment_fit import Effort

        if nside <= 16:
            return 30.0, Effort(tolerance=0.5, energy_tolerance=0.01, max_iterations=6, n_parts=2)
        if nside <= 128:
            return 15.0, Effort(tolerance=0.5, energy_tolerance=0.01, max_iterations=8, n_parts=4)
        return 10.0, Effort(tolerance=0.1, energy_tolerance=0.003, max_iterations=10, n_parts=4)

    def usable(self, event: Event, series: PulseSeries) -> BoolArray:
        """Tell which modules count: not bright in `series`, nor bad, saturated or in DeepCore."""
        from skymap_scanner.event.exclusions import bright_modules, usable_modules

        bad = [event.detector.index_of(*key) for key in parse_modules(self.options.bad_doms)]
        bright = bright_modules(series, self.options.bright_factor)
        return usable_modules(event, np.concatenate([bright, np.array(bad, dtype=np.int64)]))

    def check_event(self, event: Event) -> None:
        """Raise `EventError` as `prepare` does when there is no light, or no time for it."""
        self._cleaned(event)

    def _cleaned(self, event: Event) -> tuple[CleanEvent, PulseSeries]:
        """Return what is used of an event, and its usable pulses; at least one of them counts."""
        from skymap_scanner.event.late_pulses import is_in_live_time

        clean = self.clean(event)
        series = clean.series.select(clean.is_usable[clean.series.om_index])
        if not series.charge[is_in_live_time(series, clean.window, clean.dead)].sum() > 0.0:
            raise EventError(
                f"no light left for {self.name} after the cleaning of pulses and the exclusion of "
                "modules (DeepCore, bright, saturated, bad) and of unreliable time",
                place=event.name,
                found=f"{event.pulses.n_pulses} pulses in {event.pulses.n_doms} modules before",
                wanted="at least one pulse",
            )
        if not clean.window[0] < clean.window[1]:
            raise EventError(
                f"no time in which data counts for {self.name}",
                place=event.name,
                found=f"a readout from {clean.window[0]:g} to {clean.window[1]:g} ns",
                wanted="the window of the readout, or pulses at different times",
            )
        return clean, series

    def prepare(self, event: Event) -> PreparedSegments:
        """Clean and bin the pulses.

        Parameters
        ----------
        event : Event
            What was measured.

        Returns
        -------
        PreparedSegments
            For `fit`.

        Raises
        ------
        EventError
            No pulse remains, or the readout is over when it begins.
        """
        clean, series = self._cleaned(event)
        return self._gathered(event.detector, event.pulses, clean, series)

    def _gathered(
        self, detector: Detector, pulses: PulseSeries, clean: CleanEvent, series: PulseSeries
    ) -> PreparedSegments:
        """Return what fits need of all pulses and of those that count, `series`."""
        from skymap_scanner.event.cleaning import seeded_rt
        from skymap_scanner.event.volume import instrumented_volume
        from skymap_scanner.recos.likelihood.segment_fit import SegmentFit

        seen = detector.om_xyz[series.hit_oms]
        reference = np.asarray(np.average(seen, axis=0, weights=series.dom_charges()))
        # stray pulses far away are noise: a source for them is worth more than any direction
        connected = clean.series.select(seeded_rt(clean.series, detector))
        hit_oms = connected.hit_oms if len(connected) else series.hit_oms
        viewer, data = self._measured(detector, clean, series)
        viewer = replace(viewer, reach=viewer.reach_for(reference, float(data.charge.sum())))
        return PreparedSegments(
            fits=SegmentFit(viewer, data),
            reference=reference,
            hit_xyz=detector.om_xyz[hit_oms],
            pulses=pulses,
            detector=detector,
            volume=instrumented_volume(detector),
        )

    def _measured(
        self, detector: Detector, clean: CleanEvent, series: PulseSeries
    ) -> tuple[Viewer, Data]:
        """Return the modules with their bins (`Viewer`), and the charge in them (`Data`)."""
        from skymap_scanner.light.model import LightModel
        from skymap_scanner.recos.likelihood.response import Modules
        from skymap_scanner.recos.likelihood.segment_fit import Data
        from skymap_scanner.recos.likelihood.time_bins import bin_pulses
        from skymap_scanner.recos.likelihood.viewer import Viewer

        uncertainty = self.uncertainty()
        model = LightModel.load(self.options.light)
        counts = clean.is_dark.copy()
        counts[series.hit_oms] = True
        counts &= clean.is_usable
        dead = {om: spans for om, spans in clean.dead.items() if counts[om]}
        has_rows = uncertainty.relative > 0.0
        bins = bin_pulses(series, window=clean.window, dead=dead, with_empty_rows=has_rows)
        counts[bins.om_index] = False
        rowed = np.flatnonzero(counts & clean.has_row & has_rows)
        loose_ones = np.flatnonzero(counts & ~(clean.has_row & has_rows))
        dark = np.concatenate([rowed, loose_ones])

        length = clean.window[1] - clean.window[0]
        charge, duration, loose = bins.charge, bins.duration, bins.loose_duration
        charge = np.concatenate([charge, np.zeros(len(rowed))])
        duration = np.concatenate([duration, np.full(len(rowed), length)])
        loose += len(loose_ones) * length
        rate = self.options.noise_rate_hz * 1e-9
        om_xyz, efficiency = detector.om_xyz, detector.rel_efficiency
        viewer = Viewer(
            model=model,
            timed=Modules.of(model, om_xyz[bins.om_index], efficiency[bins.om_index]),
            dark=Modules.of(model, om_xyz[dark], efficiency[dark]),
            bins=bins.modules,
            n_row=len(charge),
            n_dark_rows=len(rowed),
        )
        return viewer, Data(charge, rate * duration + _LEAST_NOISE, rate * loose, uncertainty)

    def fit(self, prepared: PreparedSegments, seed: Seed) -> Fit:
        """Fit position, time and energies of a track whose direction is that of the pixel.

        Parameters
        ----------
        prepared : PreparedSegments
            From `prepare`.
        seed : Seed
            Direction and first guesses; the fit starts from the best of them, of the same places at
            the times that suit the nearest pulse, and of the centre of the light. A fine pixel that
            begins from a coarser fit (those have a fallback) has no other start.

        Returns
        -------
        Fit
            Vertex: where on the track the detected light comes from on average, in the instrumented
            volume if the track crosses it. Far sources that only a stray pulse speaks for may have
            absurd energies, but little light.
        """
        from skymap_scanner.event.coordinates import direction_vector
        from skymap_scanner.recos.likelihood.segments import place_segments

        direction = direction_vector(seed.zenith, seed.azimuth)
        spacing, effort = self.effort(seed.nside)
        line = place_segments(
            prepared.hit_xyz,
            prepared.reference,
            direction,
            spacing=spacing,
            boundary=self.boundary,
        )
        starts = _starts(prepared, seed, line)
        if not starts:
            return Fit.failed("no first guess is finite")
        outcome = prepared.fits.fit(line, starts, effort)
        if not (math.isfinite(outcome.nll) and np.isfinite(outcome.at).all()):
            return Fit.failed("the likelihood is not finite at any first guess")
        return _as_fit(outcome, prepared.volume)

    def warm_up(self) -> None:
        """Compile the kernels, or load them from numba's cache, and load the light model."""
        from skymap_scanner.event import PulseSeries, built_in_detector
        from skymap_scanner.pixels import Seed

        detector = built_in_detector()
        rows = detector.indices_of([20, 20, 20, 28], [20, 21, 22, 21])
        pulses = PulseSeries.from_columns(
            rows, [0.0, 57.0, 114.0, 400.0], np.ones(4), flags=np.ones(4)
        )
        every = np.ones(detector.n_om, dtype=np.bool_)
        clean = CleanEvent(pulses, (-500.0, 5000.0), {}, every, every, every)
        prepared = self._gathered(detector, pulses, clean, pulses)
        x, y, z = detector.om_xyz[rows[0]].tolist()
        for nside in (8, 512):
            self.fit(prepared, Seed(nside, 0, 0.1, 0.0, (x + 20.0, y, z), 0.0, math.nan))


def parse_modules(text: str) -> list[tuple[int, int]]:
    """Read a list of modules such as ``12-34,5-60`` (string-om).

    Raises
    ------
    UsageError
        When it is written otherwise.
    """
    modules = []
    for part in text.split(",") if text.strip() else []:
        match = _MODULE.fullmatch(part)
        if match is None:
            raise UsageError(
                "not a list of modules", place=PLACE, found=repr(part), wanted="string-om, as 12-34"
            )
        modules.append((int(match[1]), int(match[2])))
    return modules


def _starts(prepared: PreparedSegments, seed: Seed, line: SegmentedLine) -> list[FloatArray]:
    """Return the tracks to start from; none is the same as another, all are finite."""
    from skymap_scanner.event.vertex import refine_time

    guesses = [(np.array(seed.vertex), seed.vertex_time)]
    if seed.fallback is not None:
        first = line.through(*guesses[0])
        if seed.nside > _ALL_TRIED and np.isfinite(first).all():
            return [first]
        guesses.append((np.array(seed.fallback.vertex), seed.fallback.vertex_time))
    places = np.array([prepared.reference, *(vertex for vertex, _ in guesses)])
    times = refine_time(
        prepared.pulses,
        prepared.detector,
        direction=np.broadcast_to(line.direction, places.shape),
        vertex=places,
        vertex_time=np.full(len(places), seed.vertex_time),
    )
    starts = [line.through(vertex, time) for vertex, time in guesses]
    starts += [line.through(place, float(time)) for place, time in zip(places, times, strict=True)]
    starts = [start for start in starts if np.isfinite(start).all()]
    return [start for k, start in enumerate(starts) if not _is_among(start, starts[:k])]


def _is_among(start: FloatArray, others: list[FloatArray]) -> bool:
    """Tell whether a track is one of others, to a micrometre."""
    return any(np.allclose(start, other, rtol=0.0, atol=1e-6) for other in others)


def _as_fit(outcome: Outcome, volume: Prism) -> Fit:
    """Return what other parts of the program want to know of an outcome."""
    along, energy = outcome.line.along, outcome.energy
    foot, _ = outcome.line.point(outcome.at, 0.0)
    crossing = volume.crossing(foot, outcome.line.direction)
    total, inside = 0.0, 0.0
    counted = outcome.light
    if crossing is not None:
        is_inside = (along >= crossing[0] - _MARGIN) & (along <= crossing[1] + _MARGIN)
        total, inside = float(energy.sum()), float(energy[is_inside].sum())
        counted = np.where(is_inside, outcome.light, 0.0)
    centre = float(np.sum(counted * along) / counted.sum()) if counted.sum() > 0.0 else 0.0
    vertex, vertex_time = outcome.line.point(outcome.at, centre)
    return Fit(
        status=FitStatus.OK,
        reason="",
        nll=outcome.nll,
        vertex=(float(vertex[0]), float(vertex[1]), float(vertex[2])),
        vertex_time=vertex_time,
        energy=total,
        energy_in=inside,
        energy_total=total,
        n_evaluations=outcome.n_evaluations,
    )
