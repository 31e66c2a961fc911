r"""What the track likelihood knows beforehand: constants of the light, ice, noise, hit modules.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
.. [2] M. G. Aartsen et al. (IceCube), JINST 12 (2017) P03012,
   :doi:`10.1088/1748-0221/12/03/P03012`
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.units import FloatArray

__all__ = ["LightModel", "Noise", "effective_photons", "hit_modules", "ice_layers"]


@dataclass(frozen=True, slots=True)
class LightModel:
    r"""Constants that turn geometry and ice into the parameters of the convoluted Pandel function.

    See `skymap_scanner.recos.likelihood.mpe.light_parameters` for the formulae.

    The values are the maximum of the likelihood of first photons simulated by
    ``benchmarks/fit_light_model.py``: photons followed through uniform ice of five kinds (clear to
    dusty), emitted by muons of 5 TeV to 5 PeV with their stochastic losses, seen by modules up to
    180 m away. No measured event took part.

    Attributes
    ----------
    shape : float
        :math:`s_0`: shape of the gamma density at 100 m in ice with 0.03 /m.
    shape_scattering, shape_path : float
        :math:`p_b, p_d`: its powers of the scattering coefficient and of the effective path.
    path_offset, path_cosine, path_cosine2 : float
        :math:`a_0, a_1, a_2`: the effective path depends on the direction of the light, because
        modules look down [m].
    rate : float
        :math:`r_0`: rate of the exponential tail in ice with 0.03 /m [1/ns].
    rate_scattering, rate_absorption : float
        :math:`q_b, C_a`: its power of the scattering coefficient; weight of absorption.
    jitter : float
        :math:`\sigma_0`: spread of a photon's time next to the track (photomultiplier, rounding to
        1 ns, what a gamma density misses) [ns].
    jitter_growth : float
        k: further spread per metre of light path, mostly chromatic [ns/m].
    """

    shape: float = 1.41
    shape_scattering: float = 0.58
    shape_path: float = 0.885
    path_offset: float = 11.3
    path_cosine: float = 13.5
    path_cosine2: float = 9.95
    rate: float = 0.00305
    rate_scattering: float = 0.535
    rate_absorption: float = 0.12
    jitter: float = 3.0
    jitter_growth: float = 0.015

    def as_array(self) -> FloatArray:
        """Return the constants in the order in which the kernels want them, shape (11,)."""
        return np.array(astuple(self), dtype=np.float64)


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
