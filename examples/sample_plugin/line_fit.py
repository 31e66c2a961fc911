r"""The line fit as a likelihood: how well does a point that moves straight on follow the light.

A point starts at the centre of the light and moves with constant speed :math:`v \ge 0` along the
direction :math:`d`. With the pulses' charges :math:`q_i` as weights and their positions :math:`x_i`
and times :math:`t_i` relative to the weighted means,

.. math:: -\ln L = \frac{1}{2\sigma^2} \sum_i q_i\, |x_i - v\, t_i\, d|^2 ,\qquad
          \hat v = \max\!\left(0, \frac{\sum_i q_i t_i\, x_i \cdot d}{\sum_i q_i t_i^2}\right).

Over all directions the minimum is the line fit of AMANDA; it knows nothing of ice or Cherenkov
light, is right to a few degrees for tracks that cross the detector, and takes microseconds.

References
----------
.. [1] V. J. Stenger, DUMAND internal report HDC-1-90 (1990)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skymap_scanner.exceptions import EventError
from skymap_scanner.pixels import Fit, FitStatus, Guess
from skymap_scanner.recos import RecoInterface, option

if TYPE_CHECKING:
    from skymap_scanner.event.event import Event
    from skymap_scanner.pixels import Seed
    from skymap_scanner.units import FloatArray

__all__ = ["RECO_CLASS", "LineFit"]


@dataclass(frozen=True, slots=True)
class Options:
    """Settings: ``--reco-option sigma_m=50``."""

    sigma_m: float = option(
        100.0, help="distance of a photo-electron from the point", unit="m", minimum=1e-3
    )
    clean: bool = option(True, help="whether noise pulses are removed first")


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that the pulses say to this likelihood.

    Attributes
    ----------
    centre : Guess
        Charge-weighted mean position [m] and time [ns].
    moment : ndarray, shape (3,)
        Sum of charge * time * position, relative to the means [PE ns m].
    spread_time, spread_space : float
        Sum of charge * time^2 [PE ns^2] and of charge * distance^2 [PE m^2].
    """

    centre: Guess
    moment: FloatArray
    spread_time: float
    spread_space: float


class LineFit(RecoInterface):
    """A point that moves along the direction of the pixel."""

    name: ClassVar[str] = "line_fit"
    # One analytic minimum per direction: one variation, nothing to rotate, no time to refine.
    options_type: ClassVar[type[Any]] = Options

    def base_vertex(self, event: Event) -> Guess:
        """Return the centre of the light; a fit does not depend on where it starts."""
        return self.prepare(event).centre

    def prepare(self, event: Event) -> Prepared:
        """Sum up the pulses, once per worker."""
        pulses = event.pulses
        if self.options.clean:
            from skymap_scanner.event.cleaning import clean_for_tracks

            pulses = clean_for_tracks(event)
        total = float(pulses.charge.sum())
        if not total > 0.0:
            raise EventError("no charge is left to fit", place=event.name, found=f"{total} PE")
        om_xyz = event.detector.om_xyz[pulses.om_index]
        position = pulses.charge @ om_xyz / total
        mean_time = float(pulses.charge @ pulses.time / total)
        space, time = om_xyz - position, pulses.time - mean_time
        x, y, z = position.tolist()
        return Prepared(
            centre=Guess((x, y, z), mean_time),
            moment=(pulses.charge * time) @ space,
            spread_time=float(pulses.charge @ time**2),
            spread_space=float(pulses.charge @ (space**2).sum(axis=1)),
        )

    def fit(self, prepared: Prepared, seed: Seed) -> Fit:
        """Find the speed that fits best in the direction of `seed`."""
        if prepared.spread_time == 0.0:
            return Fit.failed("all pulses have the same time")
        sine = np.sin(seed.zenith)
        # The unit vector of travel: zenith and azimuth say where the particle comes from.
        direction = -np.array(
            [sine * np.cos(seed.azimuth), sine * np.sin(seed.azimuth), np.cos(seed.zenith)]
        )
        speed = max(0.0, float(prepared.moment @ direction) / prepared.spread_time)  # [m/ns]
        chi2 = (prepared.spread_space - speed**2 * prepared.spread_time) / self.options.sigma_m**2
        return Fit(
            status=FitStatus.OK,
            reason="",
            nll=0.5 * chi2,
            vertex=prepared.centre.vertex,
            vertex_time=prepared.centre.vertex_time,
            energy=float("nan"),  # not estimated
            energy_in=float("nan"),
            energy_total=float("nan"),
            n_evaluations=1,
        )


RECO_CLASS = LineFit
