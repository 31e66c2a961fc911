r"""Multi-photo-electron likelihood of an infinite track: the first pulse of every hit module.

A module with N photo-electrons that sees its first one at :math:`t_1` contributes

.. math:: -\ln N - \ln \tilde p(t_1) - (N - 1) \ln \tilde S(t_1)

where :math:`\tilde p, \tilde S` are density and survival function of a single photon's arrival time
(:mod:`skymap_scanner.recos.likelihood.pandel`, with the ice averaged between the point of emission
and the module) mixed with a little uniform noise. All kernels work at fixed direction: the
parameters are (u, v, w), two offsets in the plane normal to the track through a reference point,
and the time there times c, all in m.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.arrival import PATH_UNIT, SCATTERING_UNIT
from skymap_scanner.light.optics import N_GROUP, SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.recos.likelihood.pandel import PandelTable, lookup
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

__all__ = [
    "N_COLUMNS",
    "Hits",
    "Light",
    "evaluate",
    "light_parameters",
    "project",
    "track_basis",
]

#: Columns of the array that describes the hit modules: x, y, z [m], shift of the ice layers [m],
#: time of the first pulse [ns], effective number of photo-electrons, noise fraction, noise density
#: [1/ns].
N_COLUMNS: Final = 8
#: Share of the noise of a module that comes after any given moment of the window, on average.
_NOISE_LEFT: Final = 0.5
#: Closest approach is softened here, so that a track through a module has a gradient [m].
_SOFT: Final = 1.0
#: Ice averages run this far beyond emission point and module [m].
_MARGIN: Final = 2.0
#: No light arrives earlier than this many widths; the density there is 1e-14 of the peak.
_FIRST_X: Final = -8.0


class Light(NamedTuple):
    r"""Ice and light (a tuple, as kernels want it).

    Attributes
    ----------
    layers : ndarray, shape (n_layer, 4)
        Per layer centre: scattering [1/m], its integral, absorption [1/m], its integral.
    layer_grid : ndarray, shape (2,)
        Height of the first layer centre and thickness of the layers [m].
    model : ndarray, shape (11,)
        Constants of `light_parameters`: :math:`s_0, p_b, p_d` [1], :math:`a_0, a_1, a_2` [m],
        :math:`r_0` [1/ns], :math:`q_b, C_a` [1], :math:`\sigma_0` [ns], k [ns/m].
    table : PandelTable
        Convoluted Pandel function.
    """

    layers: FloatArray
    layer_grid: FloatArray
    model: FloatArray
    table: PandelTable


class Hits(NamedTuple):
    """The hit modules as a track of one direction sees them (a tuple, as kernels want it).

    Attributes
    ----------
    doms : ndarray, shape (n_dom, N_COLUMNS)
        The hit modules.
    plane : ndarray, shape (n_dom, 3)
        Their coordinates normal to the track (two) and along it, from `reference` [m].
    reference : ndarray, shape (3,)
        Origin of the frame of the track [m].
    direction : ndarray, shape (3,)
        Unit vector along which the particle travels.
    basis : ndarray, shape (2, 3)
        Unit vectors normal to it.
    """

    doms: FloatArray
    plane: FloatArray
    reference: FloatArray
    direction: FloatArray
    basis: FloatArray


@kernel
def track_basis(direction: FloatArray) -> FloatArray:
    """Two unit vectors normal to the track.

    Parameters
    ----------
    direction : ndarray, shape (3,)
        Unit vector along which the particle travels.

    Returns
    -------
    ndarray, shape (2, 3)
        Right-handed with the direction as third axis.
    """
    basis = np.empty((2, 3))
    x, y, z = direction[0], direction[1], direction[2]
    if abs(z) > 0.9:
        # x axis cross direction
        basis[0, 0], basis[0, 1], basis[0, 2] = 0.0, -z, y
    else:
        # z axis cross direction
        basis[0, 0], basis[0, 1], basis[0, 2] = -y, x, 0.0
    basis[0] /= np.sqrt(np.sum(basis[0] ** 2))
    e = basis[0]
    basis[1, 0] = y * e[2] - z * e[1]
    basis[1, 1] = z * e[0] - x * e[2]
    basis[1, 2] = x * e[1] - y * e[0]
    return basis


@kernel
def project(doms: FloatArray, reference: FloatArray, direction: FloatArray) -> Hits:
    """Describe the modules in the frame of a track.

    Parameters
    ----------
    doms : ndarray, shape (n_dom, N_COLUMNS)
        The hit modules.
    reference : ndarray, shape (3,)
        Origin of the track frame [m].
    direction : ndarray, shape (3,)
        Unit vector along which the particle travels.

    Returns
    -------
    Hits
        Modules in the frame of the track.
    """
    basis = track_basis(direction)
    n = doms.shape[0]
    plane = np.zeros((n, 3))
    for i in range(n):
        for k in range(3):
            delta = doms[i, k] - reference[k]
            plane[i, 0] += delta * basis[0, k]
            plane[i, 1] += delta * basis[1, k]
            plane[i, 2] += delta * direction[k]
    return Hits(doms, plane, reference, direction, basis)


@kernel
def _layer_integral(
    layers: FloatArray, z_first: float, step: float, z: float
) -> tuple[float, float, float, float]:
    """Scattering, its integral, absorption, its integral at height z (linear between centres)."""
    last = layers.shape[0] - 1
    position = (z - z_first) / step
    if position <= 0.0 or position >= last:
        k = 0 if position <= 0.0 else last
        beyond = (position - k) * step
        return (
            layers[k, 0],
            layers[k, 1] + beyond * layers[k, 0],
            layers[k, 2],
            layers[k, 3] + beyond * layers[k, 2],
        )
    k = int(position)
    f = position - k
    slope_b, slope_a = layers[k + 1, 0] - layers[k, 0], layers[k + 1, 2] - layers[k, 2]
    return (
        layers[k, 0] + f * slope_b,
        layers[k, 1] + step * f * (layers[k, 0] + 0.5 * f * slope_b),
        layers[k, 2] + f * slope_a,
        layers[k, 3] + step * f * (layers[k, 2] + 0.5 * f * slope_a),
    )


@kernel
def light_parameters(
    rho: float, z_emit: float, z_dom: float, light: Light, out: FloatArray
) -> None:
    r"""Parameters of the convoluted Pandel function for one emission point and module.

    .. math::

       s = s_0\, (\bar b_e / b_0)^{p_b}\, (d / d_0)^{p_d}, \qquad
       d = D + a_0 - a_1 \cos\eta + a_2 \cos^2\eta, \\
       r = r_0\, (\bar b_e / b_0)^{q_b} + C_a\, \bar a\, c / n_g, \qquad
       \sigma^2 = \sigma_0^2 + (k D)^2

    with the path D of the light and the cosine of its direction, :math:`b_0` = 0.03 /m and
    :math:`d_0` = 100 m.

    Parameters
    ----------
    rho : float
        Distance between track and module [m].
    z_emit, z_dom : float
        Heights of emission point and module, corrected for the tilt of the ice [m].
    light : Light
        Ice and constants.
    out : ndarray, shape (3, 3)
        Filled, per parameter (ln s, ln(r sigma), ln sigma), with value and derivatives with respect
        to `rho` and `z_emit`.
    """
    model, grid = light.model, light.layer_grid
    path = rho / SIN_CHERENKOV
    low, high = min(z_emit, z_dom) - _MARGIN, max(z_emit, z_dom) + _MARGIN
    bottom = _layer_integral(light.layers, grid[0], grid[1], low)
    top = _layer_integral(light.layers, grid[0], grid[1], high)
    length = high - low
    b = (top[1] - bottom[1]) / length
    a = (top[3] - bottom[3]) / length
    if z_emit > z_dom:
        db, da = (top[0] - b) / length, (top[2] - a) / length
    else:
        db, da = (b - bottom[0]) / length, (a - bottom[2]) / length
    cos_eta = (z_dom - z_emit) / path
    turn = -model[4] + 2.0 * model[5] * cos_eta
    d_eff = path + model[3] - model[4] * cos_eta + model[5] * cos_eta * cos_eta
    dd_rho = 1.0 / SIN_CHERENKOV - turn * cos_eta / rho
    dd_z = -turn / path
    log_b = np.log(b / SCATTERING_UNIT)
    scattered = model[6] * np.exp(model[7] * log_b)
    rate = scattered + model[8] * a * LIGHT_SPEED / N_GROUP
    dr_z = scattered * model[7] * db / b + model[8] * da * LIGHT_SPEED / N_GROUP
    variance = model[9] ** 2 + (model[10] * path) ** 2
    ds_rho = model[10] ** 2 * path / SIN_CHERENKOV / variance
    out[0, 0] = np.log(model[0]) + model[1] * log_b + model[2] * np.log(d_eff / PATH_UNIT)
    out[0, 1] = model[2] * dd_rho / d_eff
    out[0, 2] = model[2] * dd_z / d_eff + model[1] * db / b
    out[2, 0] = 0.5 * np.log(variance)
    out[2, 1] = ds_rho
    out[2, 2] = 0.0
    out[1, 0] = np.log(rate) + out[2, 0]
    out[1, 1] = ds_rho
    out[1, 2] = dr_z / rate


@kernel
def evaluate(at: FloatArray, hits: Hits, light: Light, gradient: FloatArray) -> float:
    """Negative log-likelihood of a track at fixed direction, with its gradient.

    Parameters
    ----------
    at : ndarray, shape (3,)
        Track: offsets u, v of the track from the reference point, and c times the time there [m].
    hits : Hits
        The hit modules in the frame of the track.
    light : Light
        Ice and light.
    gradient : ndarray, shape (3,)
        Filled with the gradient [1/m].

    Returns
    -------
    float
        Negative log-likelihood, natural logarithm.
    """
    parameters = np.empty((3, 3))
    work = np.empty((6, 4))
    doms, plane, basis = hits.doms, hits.plane, hits.basis
    climb = hits.direction[2]
    z_track = hits.reference[2] + at[0] * basis[0, 2] + at[1] * basis[1, 2]
    slow_rho = (N_GROUP / SIN_CHERENKOV - 1.0 / TAN_CHERENKOV) / LIGHT_SPEED
    nll = 0.0
    gradient[:] = 0.0
    for i in range(doms.shape[0]):
        du, dv = plane[i, 0] - at[0], plane[i, 1] - at[1]
        rho = np.sqrt(du * du + dv * dv + _SOFT * _SOFT)
        z_emit = z_track + (plane[i, 2] - rho / TAN_CHERENKOV) * climb - doms[i, 3]
        light_parameters(rho, z_emit, doms[i, 2] - doms[i, 3], light, parameters)
        late = doms[i, 4] - (at[2] + plane[i, 2]) / LIGHT_SPEED - rho * slow_rho
        sigma = np.exp(parameters[2, 0])
        x = late / sigma
        n = doms[i, 5]
        if x < _FIRST_X:
            # Too early for any light of the track: only noise, which knows no position.
            nll -= np.log(n * doms[i, 7])
            nll -= (n - 1.0) * np.log(1.0 - doms[i, 6] * (1.0 - _NOISE_LEFT))
            continue
        lookup(light.table, parameters[0, 0], parameters[1, 0], x, work)
        clean = 1.0 - doms[i, 6]
        p = clean * np.exp(work[4, 0] - parameters[2, 0])
        s = clean * np.exp(work[5, 0])
        p_all, s_all = p + doms[i, 7], s + doms[i, 6] * _NOISE_LEFT
        nll -= np.log(n * p_all) + (n - 1.0) * np.log(s_all)
        # Derivatives with respect to ln s, ln(r sigma), x and ln sigma ...
        wp, ws = p / p_all, (n - 1.0) * s / s_all
        g_shape = wp * work[4, 1] + ws * work[5, 1]
        g_rate = wp * work[4, 2] + ws * work[5, 2]
        g_x = wp * work[4, 3] + ws * work[5, 3]
        g_sigma = -wp - g_x * x
        # ... and from there to distance, height of emission and time.
        g_late = g_x / sigma
        g_z = g_shape * parameters[0, 2] + g_rate * parameters[1, 2]
        g_rho = g_shape * parameters[0, 1] + g_rate * parameters[1, 1] + g_sigma * parameters[2, 1]
        g_rho -= g_late * slow_rho + g_z * climb / TAN_CHERENKOV
        gradient[0] -= g_z * basis[0, 2] - g_rho * du / rho
        gradient[1] -= g_z * basis[1, 2] - g_rho * dv / rho
        gradient[2] += g_late / LIGHT_SPEED
    return nll
