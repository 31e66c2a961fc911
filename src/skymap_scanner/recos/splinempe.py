r"""Track reconstruction with the multi-photo-electron likelihood of the first pulses.

For the direction of a pixel the position of the track and its time are fitted to the first pulse of
every hit module. Arrival times are those of the light model for a track that shines everywhere
alike (the reconstruction that the field calls SplineMPE takes them from closed tables), or, with
``light=pandel``, of the convoluted Pandel function in layered, tilted ice. Fast, one hypothesis: an
infinite track with light all along it. It knows nothing of energies; how far the first of many
photons is believed depends on the brightness of the event.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
.. [2] R. Abbasi et al. (IceCube), JINST 16 (2021) P08034, :doi:`10.1088/1748-0221/16/08/P08034`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skymap_scanner.exceptions import EventError, UsageError
from skymap_scanner.pixels import Fit, FitStatus
from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.recos.options import option
from skymap_scanner.recos.variations import cylinder, point

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.event import Event, PulseSeries
    from skymap_scanner.pixels import Seed
    from skymap_scanner.recos.likelihood.mpe import Light
    from skymap_scanner.recos.likelihood.track_light import TrackLight
    from skymap_scanner.units import FloatArray

__all__ = ["RECO_CLASS", "SplineMPE", "SplineMPEOptions"]

#: Fewer hit modules than this do not fix three parameters.
_MIN_DOMS = 4
#: The ice unless another one is wanted; there is a light model of it.
_MODEL_ICE = "spice_bfr-v2"


@dataclass(frozen=True, slots=True)
class SplineMPEOptions:
    """Settings of splinempe."""

    light: str = option(
        "model",
        help="arrival times: network of the light model, or convoluted Pandel function",
        choices=("model", "pandel"),
    )
    variations: str = option(
        "point",
        help="set of vertex variations; the seven classic ones lead to the same map",
        choices=("classic", "point"),
    )
    ice: str = option(
        _MODEL_ICE,
        help="ice model; the second one with light=pandel only",
        choices=("spice_bfr-v2", "spice_ftp-v3m"),
    )
    charge_softening: float | None = option(
        None,
        help="g in ln n = ln N / (1 + g ln N): a module with charge N counts as n photo-electrons; "
        "without it 0.08 with light=pandel, else by the brightness of the event",
        minimum=0.0,
        maximum=10.0,
    )
    noise_rate_hz: float = option(
        560.0, help="noise rate of a module", unit="Hz", minimum=1e-3, maximum=1e6
    )

    def __post_init__(self) -> None:
        if self.light != "model" or self.ice == _MODEL_ICE:
            return
        from skymap_scanner.light.model import (
            LIGHT_MODELS,
        )  # its kernels are not loaded for nothing

        if self.ice not in LIGHT_MODELS:
            raise UsageError(
                "no light model of this ice",
                place="--reco-option ice",
                found=self.ice,
                wanted=f"{' or '.join(LIGHT_MODELS)}, or light=pandel",
            )


@dataclass(frozen=True, slots=True, eq=False)
class PreparedTrack:
    """What all fits of one event share.

    Attributes
    ----------
    doms : ndarray, shape (n_dom, N_COLUMNS)
        Hit modules, see `skymap_scanner.recos.likelihood.mpe`.
    reference : ndarray, shape (3,)
        Charge-weighted centre of the hit modules [m].
    light : Light or TrackLight
        Ice, constants and tables.
    """

    doms: FloatArray
    reference: FloatArray
    light: Light | TrackLight


class SplineMPE(RecoInterface):
    """Infinite track, first pulses, arrival times of the light model or in closed form."""

    name: ClassVar[str] = "splinempe"
    rotate_vertex: ClassVar[bool] = True
    refine_time: ClassVar[bool] = True
    add_fallback_position: ClassVar[bool] = True
    vertex_thresholds: ClassVar[tuple[float, ...]] = (250.0, 5.0)
    variation_sets: ClassVar[Mapping[str, FloatArray]] = {
        "classic": cylinder((-40.0, 40.0), 150.0, 3),
        "point": point(),
    }
    options_type: ClassVar[type[Any]] = SplineMPEOptions

    def check_event(self, event: Event) -> None:
        """Raise `EventError` as `prepare` does when too few modules remain after the cleaning."""
        self._clean(event)

    def prepare(self, event: Event) -> PreparedTrack:
        """Clean the pulses and gather the arrays of the fits.

        Parameters
        ----------
        event : Event
            What was measured.

        Returns
        -------
        PreparedTrack
            Arrays for `fit`.

        Raises
        ------
        EventError
            Fewer than four modules remain after the cleaning (seeded radius-time cleaning, 6000 ns
            window, no DeepCore).
        """
        series = self._clean(event)
        charge = series.dom_charges()
        om_xyz = event.detector.om_xyz[series.hit_oms]
        return self.prepare_arrays(om_xyz, series.first_times(), charge)

    @staticmethod
    def _clean(event: Event) -> PulseSeries:
        """Return the pulses that the likelihood uses, enough of them."""
        from skymap_scanner.event.cleaning import clean_for_tracks

        series = clean_for_tracks(event)
        if series.n_doms < _MIN_DOMS:
            raise EventError(
                "too few hit modules for a track after the cleaning of pulses (seeded radius-time "
                "cleaning, 6000 ns window, strings below 79)",
                place=event.name,
                found=f"{series.n_doms} of {event.pulses.n_doms} hit modules",
                wanted=f"at least {_MIN_DOMS}",
            )
        return series

    def prepare_arrays(
        self, om_xyz: FloatArray, first_time: FloatArray, charge: FloatArray
    ) -> PreparedTrack:
        """Gather the arrays of the fits from hit modules (what `prepare` does after cleaning).

        Parameters
        ----------
        om_xyz : ndarray, shape (n_dom, 3)
            Positions of the hit modules [m].
        first_time, charge : ndarray, shape (n_dom,)
            First pulse [ns] and total charge [PE] of each.

        Returns
        -------
        PreparedTrack
            Arrays for `fit`.
        """
        from skymap_scanner.recos.likelihood.track_model import Noise, hit_modules

        light: Light | TrackLight
        if self.options.light == "pandel":
            light, tilt_shift, softening = _closed_form(self.options.ice, om_xyz)
        else:
            light, tilt_shift, softening = _light_model(self.options.ice, om_xyz, charge)
        if self.options.charge_softening is not None:
            softening = self.options.charge_softening
        doms = hit_modules(
            om_xyz,
            first_time,
            charge,
            tilt_shift=tilt_shift,
            charge_softening=softening,
            noise=Noise(rate=self.options.noise_rate_hz * 1e-9),
        )
        weights = np.maximum(charge, 1.0)
        reference = np.asarray(weights @ om_xyz / weights.sum())
        return PreparedTrack(doms=doms, reference=reference, light=light)

    def fit(self, prepared: PreparedTrack, seed: Seed) -> Fit:
        """Fit position and time of the track whose direction is that of the pixel.

        Parameters
        ----------
        prepared : PreparedTrack
            From `prepare`.
        seed : Seed
            Direction and first guesses; the fit starts from the better of the two.

        Returns
        -------
        Fit
            Vertex: the point of the track closest to the charge-weighted centre of the hit modules;
            energies are NaN, this likelihood does not know them.
        """
        from skymap_scanner.recos.likelihood.mpe import project
        from skymap_scanner.recos.likelihood.track_fit import Effort, fit_track

        sin_zenith = math.sin(seed.zenith)
        direction = -np.array(
            [
                sin_zenith * math.cos(seed.azimuth),
                sin_zenith * math.sin(seed.azimuth),
                math.cos(seed.zenith),
            ]
        )
        guesses = [(*seed.vertex, seed.vertex_time)]
        if seed.fallback is not None:
            guesses.append((*seed.fallback.vertex, seed.fallback.vertex_time))
        best = np.empty(4)
        nll, n_evaluations = fit_track(
            project(prepared.doms, prepared.reference, direction),
            prepared.light,
            np.array(guesses, dtype=np.float64),
            Effort(*_effort(seed.nside)),
            best,
        )
        if not (math.isfinite(nll) and np.isfinite(best).all()):
            return Fit.failed("the likelihood is not finite at any first guess")
        return Fit(
            status=FitStatus.OK,
            reason="",
            nll=float(nll),
            vertex=(float(best[0]), float(best[1]), float(best[2])),
            vertex_time=float(best[3]),
            energy=math.nan,
            energy_in=math.nan,
            energy_total=math.nan,
            n_evaluations=int(n_evaluations),
        )

    def warm_up(self) -> None:
        """Compile the kernels (or load them from numba's cache) and compute the table."""
        from skymap_scanner.pixels import Seed

        om_xyz = np.array([[0.0, 0.0, 0.0], [0.0, 20.0, 30.0], [10.0, 0.0, 60.0], [5.0, 5.0, 90.0]])
        prepared = self.prepare_arrays(om_xyz, om_xyz[:, 2] / 0.3, np.ones(4))
        self.fit(prepared, Seed(8, 0, math.pi, 0.0, (1.0, 1.0, 0.0), 0.0, math.nan))


#: g of the charge with closed-form light (`benchmarks/fit_light_model.py`).
_PANDEL_SOFTENING = 0.08


def _closed_form(ice_name: str, om_xyz: FloatArray) -> tuple[Light, FloatArray, float]:
    """Return closed-form light, the shift of its layers at the modules [m], and g of the charge."""
    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.recos.likelihood.mpe import Light
    from skymap_scanner.recos.likelihood.pandel import load_pandel_table
    from skymap_scanner.recos.likelihood.track_model import PandelConstants, ice_layers

    ice = IceModel.load(ice_name)
    layers, layer_grid = ice_layers(ice)
    light = Light(layers, layer_grid, PandelConstants().as_array(), load_pandel_table())
    return light, ice.tilt.at(om_xyz), _PANDEL_SOFTENING


def _light_model(
    name: str, om_xyz: FloatArray, charge: FloatArray
) -> tuple[TrackLight, FloatArray, float]:
    """Return the light model for these modules, the shift of its layers, and g of the charge."""
    from skymap_scanner.light.model import LightModel
    from skymap_scanner.recos.likelihood.track_light import track_light
    from skymap_scanner.recos.likelihood.track_model import TrackConstants, brightness

    model, constants, bright = LightModel.load(name), TrackConstants(), brightness(charge)
    light = track_light(model, om_xyz, constants.jitter(bright))
    return light, model.ice.tilt.at(om_xyz), constants.charge_softening(bright)


def _effort(nside: int) -> tuple[float, int, bool]:
    """Return tolerance, iterations at most, and whether first guesses far off are followed.

    Coarse pixels only need to be ranked; far guesses were seen to matter in the fine ones only.
    """
    if nside <= 16:
        return 0.1, 30, False
    if nside <= 128:
        return 0.02, 40, False
    return 0.002, 40, True


RECO_CLASS = SplineMPE
