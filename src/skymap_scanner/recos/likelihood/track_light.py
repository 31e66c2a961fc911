r"""Multi-photo-electron likelihood of an infinite track, with arrival times of the light model.

The same likelihood as that of :mod:`skymap_scanner.recos.likelihood.mpe`, for the same first pulses
and parameters, but with the density and survival function of the network of tracks
(:mod:`skymap_scanner.light.track_light`): a mixture of four log-logistic distributions in the delay
after the fastest light, smeared with the jitter of the time
(:mod:`skymap_scanner.recos.likelihood.log_logistic`).

The derivatives by delay and by the network's answers are those of the table, exact; what the
answers change when the track moves comes from differences of the network itself, over a step that
single precision allows. Answers change slowly, so that the differences are as good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from skymap_scanner.compiled import kernel
from skymap_scanner.light.inputs import N_SOURCE_INPUTS, Pairs, PairTables, om_inputs, source_inputs
from skymap_scanner.light.mixture import N_COMPONENTS
from skymap_scanner.light.network import Layers, mixtures_of_parts
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.track_light import SIN_EMISSION, TAN_EMISSION, network_of_tracks
from skymap_scanner.recos.likelihood.log_logistic import (
    LOG_WIDTH_RANGE,
    load_log_logistic_table,
)
from skymap_scanner.recos.likelihood.pandel import PandelTable, lookup
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.recos.likelihood.mpe import Hits
    from skymap_scanner.units import FloatArray

    Float32Array = NDArray[np.float32]

__all__ = ["TrackLight", "evaluate_mixtures", "smeared", "track_light"]

#: Share of the noise of a module that comes after any given moment of the window, on average.
_NOISE_LEFT: Final = 0.5
#: Closest approach is softened here, so that a track through a module has a gradient [m].
_SOFT: Final = 1.0
#: A track passes this near to the charge-weighted centre of the hit modules [m]; to be nearer costs
#: nothing, to be one width farther half a unit. Of 1150 simulated muons none was farther than 80 m.
#: Without it a track half a kilometre away, from which light comes at any time, may look better
#: than one that shines all along when the true one begins in the detector.
_NEARBY: Final = 100.0
_WALL: Final = 10.0
#: Step of the differences of the network [m].
_STEP: Final = 0.3
#: No light arrives earlier than this many widths; the density there is 1e-14 of the peak.
_FIRST_X: Final = -8.0
#: Heights of points of emission for which the first layer is tabulated [m]; no ice is known beyond.
_HEIGHTS: Final = (-830.0, 830.0, 1.0)
#: Where the tilt is tabulated: along its gradient and in height [m], beyond it is clamped.
_TILT_ALONG: Final = (-1000.0, 1000.0, 10.0)
_TILT_HEIGHTS: Final = (-900.0, 900.0, 10.0)


class TrackLight(NamedTuple):
    r"""Light of a track for the modules of one event (a tuple, as kernels want it).

    Attributes
    ----------
    tables : PairTables
        The ice.
    layers : Layers
        The network of tracks.
    om : ndarray, shape (n_dom, 4)
        The hit modules, and their heights in untilted layers [m].
    om_part : ndarray of float32, shape (n_dom, n_hidden)
        What they add to the first layer.
    height_part : ndarray of float32, shape (n_height, n_hidden)
        What points of emission add to it by their height in untilted layers, with the bias.
    tilt : ndarray, shape (n_along, n_height)
        Shift of the layers [m].
    tilt_axis : ndarray, shape (3,)
        Horizontal unit vector of the tilt, and place of string 86 along it [m].
    jitter : ndarray, shape (2,)
        :math:`\sigma_0` [ns] and k [ns/m]: the time of a photon from the distance D is smeared
        with :math:`\sigma^2 = \sigma_0^2 + (k D)^2`.
    table : PandelTable
        Smeared log-logistic distributions.
    """

    tables: PairTables
    layers: Layers
    om: FloatArray
    om_part: Float32Array
    height_part: Float32Array
    tilt: FloatArray
    tilt_axis: FloatArray
    jitter: FloatArray
    table: PandelTable


def track_light(model: LightModel, om_xyz: FloatArray, jitter: tuple[float, float]) -> TrackLight:
    """Gather what the kernels need of a light model.

    Parameters
    ----------
    model : LightModel
        Light model.
    om_xyz : ndarray, shape (n_dom, 3)
        The hit modules [m].
    jitter : (float, float)
        Smearing of the times, see `TrackLight`.

    Returns
    -------
    TrackLight

    Raises
    ------
    UsageError
        When the model has no network of tracks.
    """
    layers = network_of_tracks(model)
    om = np.column_stack([om_xyz, model.ice.effective_z(om_xyz)])
    heights = np.arange(_HEIGHTS[0], _HEIGHTS[1] + _HEIGHTS[2], _HEIGHTS[2])
    of_height = source_inputs(heights, np.zeros((heights.size, 3)), model.tables)
    tilt = model.ice.tilt
    along, z = np.arange(*_TILT_ALONG), np.arange(*_TILT_HEIGHTS)
    grid = np.empty((along.size, z.size, 3))
    grid[..., :2] = ((along + tilt.origin)[:, None] * tilt.gradient)[:, None]
    grid[..., 2] = z
    return TrackLight(
        tables=model.tables,
        layers=layers,
        om=np.ascontiguousarray(om),
        om_part=om_inputs(np.ascontiguousarray(om[:, 3]), model.tables) @ layers.om,
        height_part=of_height @ layers.source + layers.bias,
        tilt=np.ascontiguousarray(tilt.at(grid)),
        tilt_axis=np.array([*tilt.gradient, tilt.origin]),
        jitter=np.array(jitter, dtype=np.float64),
        table=load_log_logistic_table(),
    )


@kernel
def _shift(x: float, y: float, z: float, light: TrackLight) -> float:
    """Return the shift of the layers at a point, linear between the places of the table [m]."""
    axis, tilt = light.tilt_axis, light.tilt
    i = (x * axis[0] + y * axis[1] - axis[2] - _TILT_ALONG[0]) / _TILT_ALONG[2]
    j = (z - _TILT_HEIGHTS[0]) / _TILT_HEIGHTS[2]
    i = min(max(i, 0.0), tilt.shape[0] - 1.001)
    j = min(max(j, 0.0), tilt.shape[1] - 1.001)
    a, b = int(i), int(j)
    f, g = i - a, j - b
    low = tilt[a, b] + g * (tilt[a, b + 1] - tilt[a, b])
    high = tilt[a + 1, b] + g * (tilt[a + 1, b + 1] - tilt[a + 1, b])
    return float(low + f * (high - low))


@kernel
def _points(at: FloatArray, hits: Hits, light: TrackLight, first: int, source: FloatArray) -> None:
    """Fill the points of emission on a track, and their heights in untilted layers."""
    basis, direction = hits.basis, hits.direction
    for i in range(hits.plane.shape[0]):
        du, dv = hits.plane[i, 0] - at[0], hits.plane[i, 1] - at[1]
        along = hits.plane[i, 2] - np.sqrt(du * du + dv * dv + _SOFT * _SOFT) / TAN_EMISSION
        for k in range(3):
            source[first + i, k] = (
                hits.reference[k] + at[0] * basis[0, k] + at[1] * basis[1, k] + along * direction[k]
            )
        x, y, z = source[first + i, 0], source[first + i, 1], source[first + i, 2]
        source[first + i, 3] = z - _shift(x, y, z, light)


@kernel
def _source_parts(source: FloatArray, direction: FloatArray, light: TrackLight) -> Float32Array:
    """Return what points of emission and the direction add to the first layer."""
    flow_x, flow_y = light.tables.flow
    along = direction[0] * flow_x + direction[1] * flow_y
    across = direction[1] * flow_x - direction[0] * flow_y
    turned = np.array([direction[2], along**2 - across**2, direction[2] ** 2])
    rows = light.layers.source[N_SOURCE_INPUTS - 3 :]
    n_hidden = rows.shape[1]
    common = np.zeros(n_hidden, np.float32)
    for k in range(3):
        for h in range(n_hidden):
            common[h] += np.float32(turned[k]) * rows[k, h]
    parts = np.empty((source.shape[0], n_hidden), np.float32)
    last = light.height_part.shape[0] - 1.001
    for i in range(source.shape[0]):
        place = min(max((source[i, 3] - _HEIGHTS[0]) / _HEIGHTS[2], 0.0), last)
        a = int(place)
        f = np.float32(place - a)
        for h in range(n_hidden):
            low, high = light.height_part[a, h], light.height_part[a + 1, h]
            parts[i, h] = low + f * (high - low) + common[h]
    return parts


@kernel
def _answers(at: FloatArray, hits: Hits, light: TrackLight) -> Float32Array:
    """Return the network's answers for the track, and for it moved along u and along v."""
    n = hits.plane.shape[0]
    source, moved = np.empty((3 * n, 4)), at.copy()
    direction = np.empty((3 * n, 3))
    _points(at, hits, light, 0, source)
    for g in range(2):
        moved[g] = at[g] + _STEP
        _points(moved, hits, light, (g + 1) * n, source)
        moved[g] = at[g]
    index = np.arange(3 * n)
    for i in range(3 * n):
        direction[i] = hits.direction
    pairs = Pairs(source, light.om, direction, index, index % n)
    parts = (_source_parts(source, hits.direction, light), light.om_part)
    raw = np.empty((3 * n, 3 * N_COMPONENTS), np.float32)
    mixtures_of_parts(pairs, light.tables, light.layers, parts, raw)
    return raw


@kernel
def smeared(  # noqa: PLR0917  # kernels take no keywords
    raw: Float32Array,
    late: float,
    log_sigma: float,
    table: PandelTable,
    work: FloatArray,
    slopes: FloatArray,
) -> tuple[float, float]:
    """Density and survival function of a smeared mixture, with their derivatives.

    Parameters
    ----------
    raw : ndarray of float32, shape (12,)
        The network's answers: logits, means, log-widths.
    late : float
        Delay after the fastest light [ns].
    log_sigma : float
        Natural logarithm of the jitter [ns].
    table : PandelTable
        Smeared log-logistic distributions.
    work : ndarray, shape (6, 4)
        Scratch space.
    slopes : ndarray, shape (2, 14)
        Filled with the derivatives of both: by the answers, by the delay, by `log_sigma`.

    Returns
    -------
    density, survival : float
        Per time [1/ns], and the probability to come later.
    """
    sigma = np.exp(log_sigma)
    x = (late + TIME_OFFSET) / sigma
    largest, total = raw[0], 0.0
    for k in range(1, N_COMPONENTS):
        largest = max(largest, raw[k])
    for k in range(N_COMPONENTS):
        slopes[1, k] = np.exp(raw[k] - largest)
        total += slopes[1, k]
    p, s = 0.0, 0.0
    slopes[:, 3 * N_COMPONENTS :] = 0.0
    for k in range(N_COMPONENTS):
        weight = slopes[1, k] / total
        mean, log_width = raw[N_COMPONENTS + k], raw[2 * N_COMPONENTS + k]
        width = min(max(log_width, LOG_WIDTH_RANGE[0]), LOG_WIDTH_RANGE[1])
        lookup(table, mean - log_sigma, width, x, work)
        for row in range(2):
            part = weight * np.exp(work[4 + row, 0])
            if row == 0:
                part /= sigma
                p += part
            else:
                s += part
            slopes[row, k] = part
            slopes[row, N_COMPONENTS + k] = part * work[4 + row, 1]
            slopes[row, 2 * N_COMPONENTS + k] = (
                part * work[4 + row, 2] if width == log_width else 0.0
            )
            slopes[row, 3 * N_COMPONENTS] += part * work[4 + row, 3] / sigma
            slopes[row, 3 * N_COMPONENTS + 1] -= part * (work[4 + row, 1] + work[4 + row, 3] * x)
    slopes[0, 3 * N_COMPONENTS + 1] -= p
    for k in range(N_COMPONENTS):
        weight = np.exp(raw[k] - largest) / total
        slopes[0, k] -= weight * p
        slopes[1, k] -= weight * s
    return p, s


@kernel
def evaluate_mixtures(at: FloatArray, hits: Hits, light: TrackLight, gradient: FloatArray) -> float:
    """Negative log-likelihood of a track at fixed direction, with its gradient.

    Parameters
    ----------
    at : ndarray, shape (3,)
        Track: offsets u, v of the track from the reference point, and c times the time there [m].
    hits : Hits
        The hit modules in the frame of the track.
    light : TrackLight
        Light of a track in their ice.
    gradient : ndarray, shape (3,)
        Filled with the gradient [1/m].

    Returns
    -------
    float
        Negative log-likelihood, natural logarithm.
    """
    doms, plane = hits.doms, hits.plane
    n_doms, n_raw = doms.shape[0], 3 * N_COMPONENTS
    work, slopes = np.empty((6, 4)), np.empty((2, n_raw + 2))
    raw = _answers(at, hits, light)
    gradient[:] = 0.0
    offset = np.sqrt(at[0] * at[0] + at[1] * at[1])
    beyond = max(0.0, offset - _NEARBY) / _WALL
    nll = 0.5 * beyond * beyond
    if beyond > 0.0:
        gradient[:2] = beyond / _WALL * at[:2] / offset
    for i in range(n_doms):
        du, dv = plane[i, 0] - at[0], plane[i, 1] - at[1]
        rho = np.sqrt(du * du + dv * dv + _SOFT * _SOFT)
        path = rho / SIN_EMISSION
        late = doms[i, 4] - (at[2] + plane[i, 2] + rho * TAN_EMISSION) / LIGHT_SPEED
        variance = light.jitter[0] ** 2 + (light.jitter[1] * path) ** 2
        log_sigma = 0.5 * np.log(variance)
        n = doms[i, 5]
        if (late + TIME_OFFSET) * np.exp(-log_sigma) < _FIRST_X:
            # Too early for any light of the track: only noise, which knows no position.
            nll -= np.log(n * doms[i, 7])
            nll -= (n - 1.0) * np.log(1.0 - doms[i, 6] * (1.0 - _NOISE_LEFT))
            continue
        p, s = smeared(raw[i], late, log_sigma, light.table, work, slopes)
        clean = 1.0 - doms[i, 6]
        p_all, s_all = clean * p + doms[i, 7], clean * s + doms[i, 6] * _NOISE_LEFT
        nll -= np.log(n * p_all) + (n - 1.0) * np.log(s_all)
        # d ln L = by_p dp + by_s ds, from there to the network's answers, delay and jitter ...
        by_p, by_s = clean / p_all, (n - 1.0) * clean / s_all
        for g in range(2):
            change = 0.0
            for k in range(n_raw):
                slope = by_p * slopes[0, k] + by_s * slopes[1, k]
                change += slope * (raw[(g + 1) * n_doms + i, k] - raw[i, k])
            gradient[g] -= change / _STEP
        by_late = by_p * slopes[0, n_raw] + by_s * slopes[1, n_raw]
        by_log_sigma = by_p * slopes[0, n_raw + 1] + by_s * slopes[1, n_raw + 1]
        # ... and to the distance of the track and its time.
        by_rho = -by_late * TAN_EMISSION / LIGHT_SPEED
        by_rho += by_log_sigma * light.jitter[1] ** 2 * rho / (SIN_EMISSION**2 * variance)
        gradient[0] += by_rho * du / rho
        gradient[1] += by_rho * dv / rho
        gradient[2] += by_late / LIGHT_SPEED
    return float(nll)
