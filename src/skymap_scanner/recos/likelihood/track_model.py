r"""What the track likelihood knows beforehand: constants of the light, ice, noise, hit modules.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
.. [2] M. G. Aartsen et al. (IceCube), JINST 12 (2017) P03012,
   :doi:`10.1088/1748-0221/12/03/P03012`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.arrival import PandelConstants

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.units import FloatArray

__all__ = [
    "Noise",
    "PandelConstants",
    "TrackConstants",
    "brightness",
    "effective_photons",
    "hit_modules",
    "ice_layers",
]


@dataclass(frozen=True, slots=True)
class Noise:
    """Pulses that have nothing to do with the track.

    Attributes
    ----------
    rate : float
        Noise pulses of one module that survive the cleaning [1/ns].
    window : float
        Length of the time window in which they are uniform [ns].
    """

    #: 560 Hz per module [2]_.
    rate: float = 560e-9
    #: Window of the track cleaning.
    window: float = 6000.0


def brightness(charge: FloatArray) -> float:
    """Return how bright an event is: log10 of the mean charge of its hit modules over 10 PE.

    It stands for the energy, which the likelihood of first pulses does not know: the light per
    metre grows with the energy of a muon, and with it the charge of modules at like distances.
    Means below 0.1 PE count as 0.1 PE.

    Examples
    --------
    >>> brightness(np.array([1.0, 19.0]))
    0.0
    """
    return float(np.log10(max(float(np.mean(charge)), 0.1) / 10.0))


@dataclass(frozen=True, slots=True)
class TrackConstants:
    r"""How much sharper first photons would be in the light model than they are.

    Photons of a bright module come from single losses of the muon, where the model has light all
    along the track, and through ice that is known to some 10 %. Both are allowed for by a jitter
    that grows with the distance D of direct light, and by a softened charge (`effective_photons`):

    .. math:: \sigma^2 = \sigma_0^2 + (k\, 10^{p b} D)^2, \qquad g = \max(0, g_0 + g_1 b)

    where b is the `brightness` of the event. The values are the maximum of the likelihood at the
    true tracks of 1150 simulated muons with 341,868 hit modules, half of them to fit and half to
    test, in ice that differs from that of the model (``benchmarks/fit_track_light.py``, seed 3,
    2026-11-27). No measured event took part.

    Attributes
    ----------
    near_jitter : float
        :math:`\sigma_0`, photomultiplier and rounding of times included [ns].
    path_jitter, path_power : float
        k [ns/m] and p.
    softening, softening_slope : float
        :math:`g_0` and :math:`g_1`.
    """

    near_jitter: float = 6.8
    path_jitter: float = 0.2
    path_power: float = 0.17
    softening: float = 0.13
    softening_slope: float = 0.025

    def jitter(self, bright: float) -> tuple[float, float]:
        """Return jitter next to the track [ns] and its growth with distance [ns/m]."""
        return self.near_jitter, self.path_jitter * 10.0 ** (self.path_power * bright)

    def charge_softening(self, bright: float) -> float:
        """Return g of `effective_photons`."""
        return max(0.0, self.softening + self.softening_slope * bright)


def ice_layers(ice: IceModel, wavelength_nm: float = 400.0) -> tuple[FloatArray, FloatArray]:
    """Return the ice as the kernels want it: linear between the layers' centres.

    Parameters
    ----------
    ice : IceModel
        Optical properties.
    wavelength_nm : float
        Wavelength that stands for all detected light [nm].

    Returns
    -------
    layers : ndarray, shape (n_layer, 4)
        Per layer centre, upwards: effective scattering [1/m], its integral, absorption [1/m], its
        integral.
    grid : ndarray, shape (2,)
        Height of the first centre and thickness of the layers [m].
    """
    step = float(ice.z[1] - ice.z[0])
    columns = []
    for values in (ice.layer_scattering(wavelength_nm), ice.layer_absorption(wavelength_nm)):
        steps = 0.5 * step * (values[1:] + values[:-1])
        columns += [values, np.concatenate(([0.0], np.cumsum(steps)))]
    return np.ascontiguousarray(np.stack(columns, axis=1)), np.array([ice.z[0], step])


def effective_photons(charge: FloatArray, softening: float) -> FloatArray:
    r"""Return the number of photo-electrons whose first one counts, at least 1.

    .. math:: \ln n = \frac{\ln N}{1 + g \ln N}

    The first of N independent photons would be as sharp as N allows. But the photons of a bright
    module are not independent: most come from the same one or two losses of the muon and share
    their distance, and all share the error of the ice. Few photons stay what they are, a thousand
    count as some 85 when g is 0.08.

    Parameters
    ----------
    charge : ndarray
        Charge of a module [PE]; below 1 counts as 1.
    softening : float
        g; 0 takes the charge at face value.

    Returns
    -------
    ndarray
        Effective number of photo-electrons.
    """
    log_n = np.log(np.maximum(charge, 1.0))
    return np.asarray(np.exp(log_n / (1.0 + softening * log_n)))


#: A module's noise fraction never exceeds this, whatever its charge.
_MAX_NOISE_FRACTION: Final = 0.5


def hit_modules(
    om_xyz: FloatArray,
    first_time: FloatArray,
    charge: FloatArray,
    *,
    tilt_shift: FloatArray,
    charge_softening: float,
    noise: Noise,
) -> FloatArray:
    """Return the hit modules as the kernels want them.

    Parameters
    ----------
    om_xyz : ndarray, shape (n_dom, 3)
        Positions [m].
    first_time, charge : ndarray, shape (n_dom,)
        Time of the first pulse [ns] and charge of all pulses [PE].
    tilt_shift : ndarray, shape (n_dom,)
        Upward shift of the ice layers at the modules [m]; it also stands for the shift at the
        points of emission, which are mostly less than 100 m away.
    charge_softening : float
        How much the charge of bright modules is discounted, see `effective_photons`.
    noise : Noise
        Noise of the modules.

    Returns
    -------
    ndarray, shape (n_dom, N_COLUMNS)
        See `skymap_scanner.recos.likelihood.mpe`.
    """
    n_photons = np.maximum(charge, 1.0)
    fraction = np.minimum(noise.rate * noise.window / n_photons, _MAX_NOISE_FRACTION)
    return np.ascontiguousarray(
        np.column_stack(
            [
                om_xyz,
                tilt_shift,
                first_time,
                effective_photons(charge, charge_softening),
                fraction,
                fraction / noise.window,
            ]
        )
    )
