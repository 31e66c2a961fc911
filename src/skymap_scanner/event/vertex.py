"""Where and when an event begins: first guesses of the vertex, and of the time on a given track."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event.pulses import weighted_quantile
from skymap_scanner.pixels import Guess
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.event import Event
    from skymap_scanner.event.pulses import PulseSeries
    from skymap_scanner.units import FloatArray

__all__ = [
    "VETO_THRESHOLDS",
    "VETO_WINDOW",
    "barycentre",
    "refine_time",
    "seed_vertex",
    "veto_vertex",
]

logger = logging.getLogger(__name__)

#: Length of the sliding window of IceCube's self-veto for high-energy starting events [ns].
VETO_WINDOW: Final = 3000.0
#: Charges that the window must reach, tried in this order [PE] (wilks and splinempe).
VETO_THRESHOLDS: Final = (250.0, 5.0)
#: Refractive index of the classic seed service: the phase index, also where light travels.
_SEED_INDEX: Final = 1.3195
#: Pairs of track and module handled at once by `refine_time`: bounds its memory.
_CHUNK_PAIRS: Final = 1_000_000


def veto_vertex(series: PulseSeries, detector: Detector, threshold: float) -> Guess | None:
    """Find the vertex as the self-veto for starting events does.

    The HLC pulses are taken in time order; at the first pulse where the charge of the last
    3000 ns reaches `threshold` the vertex time is the time of that pulse and the vertex the
    charge-weighted mean of the module positions of the pulses in the window.

    Parameters
    ----------
    series : PulseSeries
        All pulses of the event, uncleaned.
    detector : Detector
        The modules that `series` refers to.
    threshold : float
        Charge to reach [PE], above zero.

    Returns
    -------
    Guess or None
        None when the charge is never reached.

    References
    ----------
    .. [1] M. G. Aartsen et al., Science 342 (2013) 1242856, :doi:`10.1126/science.1242856`
    """
    hlc = series.hlc
    if len(hlc) == 0:
        return None
    order = np.argsort(hlc.time, kind="stable")
    time, charge = hlc.time[order], hlc.charge[order]
    start = np.searchsorted(time, time - VETO_WINDOW, side="left")
    summed = np.concatenate([[0.0], np.cumsum(charge)])
    in_window = summed[1:] - summed[start]
    reached = np.flatnonzero(in_window >= threshold)
    if len(reached) == 0:
        return None
    last = int(reached[0])
    window = slice(int(start[last]), last + 1)
    position = np.average(
        detector.om_xyz[hlc.om_index[order][window]], axis=0, weights=charge[window]
    )
    return _guess(position, time[last])


def barycentre(series: PulseSeries, detector: Detector) -> Guess:
    """Return the charge-weighted mean position and the charge-weighted median time.

    Parameters
    ----------
    series : PulseSeries
        At least one pulse, with some charge.
    detector : Detector
        The modules that `series` refers to.

    Returns
    -------
    Guess
        A vertex of last resort.
    """
    position = np.average(detector.om_xyz[series.om_index], axis=0, weights=series.charge)
    return _guess(position, weighted_quantile(series.time, series.charge, 0.5))


def seed_vertex(
    event: Event,
    thresholds: Sequence[float] = VETO_THRESHOLDS,
    *,
    use_stored: bool = True,
) -> Guess:
    """Return the vertex from which the pixels of the first level start.

    Parameters
    ----------
    event : Event
        The event to scan.
    thresholds : sequence of float
        Charges for `veto_vertex`, tried in this order [PE].
    use_stored : bool
        Take the vertex that the message carries, where it does.

    Returns
    -------
    Guess
        The stored vertex, else the first threshold that is reached, else the `barycentre` of all
        pulses, which is logged.
    """
    if use_stored and event.stored_vertex is not None:
        return event.stored_vertex
    for threshold in thresholds:
        guess = veto_vertex(event.pulses, event.detector, threshold)
        if guess is not None:
            return guess
    logger.warning(
        "%s: no vertex reaches %s PE, taking the charge-weighted mean of all pulses",
        event.name,
        " or ".join(f"{threshold:g}" for threshold in thresholds),
    )
    return barycentre(event.pulses, event.detector)


def refine_time(
    series: PulseSeries,
    detector: Detector,
    *,
    direction: ArrayLike,
    vertex: ArrayLike,
    vertex_time: ArrayLike,
) -> FloatArray:
    r"""Set the time of tracks so that the closest module sees their light at its first pulse.

    With :math:`r = x - v`, :math:`l = r \cdot d`, :math:`\rho^2 = r^2 - l^2` of the hit module
    with the smallest :math:`\rho`, its first HLC pulse :math:`t_p` and
    :math:`\theta_c = \arccos(1/1.3195)`:

    .. math:: t = t_p + [-l + \rho/\tan\theta_c - \rho/(\sin\theta_c \cos\theta_c)] / c

    Parameters
    ----------
    series : PulseSeries
        Pulses; only the HLC ones count, on all strings.
    detector : Detector
        The modules that `series` refers to.
    direction : array_like, shape (n, 3) or (3,)
        Unit vectors of travel.
    vertex : array_like, shape (n, 3) or (3,)
        Points on the tracks [m].
    vertex_time : array_like, shape (n,) or ()
        Times there, kept when there is no HLC pulse [ns].

    Returns
    -------
    ndarray, shape (n,)
        Refined times at the vertices [ns]; n = 1 when all inputs are single.

    Notes
    -----
    The classic seed service uses the phase index for the light's speed too; likelihoods do not.
    The result for a track does not depend on the others it is computed with.
    """
    directions = np.atleast_2d(np.asarray(direction, dtype=np.float64))
    vertices = np.atleast_2d(np.asarray(vertex, dtype=np.float64))
    given = np.atleast_1d(np.asarray(vertex_time, dtype=np.float64))
    n_tracks = max(len(directions), len(vertices), len(given))
    directions = np.broadcast_to(directions, (n_tracks, 3))
    vertices = np.broadcast_to(vertices, (n_tracks, 3))
    times = np.array(np.broadcast_to(given, n_tracks))
    hlc = series.hlc
    if len(hlc) == 0:
        return times
    om_xyz, first = detector.om_xyz[hlc.hit_oms], hlc.first_times()
    n_rows = max(1, _CHUNK_PAIRS // len(first))
    for begin in range(0, n_tracks, n_rows):
        rows = slice(begin, begin + n_rows)
        times[rows] = _seed_times(om_xyz, first, directions[rows], vertices[rows])
    return times


def _seed_times(
    om_xyz: FloatArray, first: FloatArray, direction: FloatArray, vertex: FloatArray
) -> FloatArray:
    """Compute the times of tracks from the closest of the given modules; see `refine_time`."""
    # Written out: sums of matrix products may depend on the number of rows.
    rx, ry, rz = (om_xyz[None, :, axis] - vertex[:, None, axis] for axis in range(3))
    along = rx * direction[:, None, 0] + ry * direction[:, None, 1] + rz * direction[:, None, 2]
    rho2 = rx * rx + ry * ry + rz * rz - along * along
    closest = np.argmin(rho2, axis=1)
    rows = np.arange(len(direction))
    rho = np.sqrt(np.maximum(rho2[rows, closest], 0.0))
    cosine = 1.0 / _SEED_INDEX
    sine = np.sqrt(1.0 - cosine**2)
    path = -along[rows, closest] + rho * cosine / sine - rho / (sine * cosine)
    return np.asarray(first[closest] + path / LIGHT_SPEED, dtype=np.float64)


def _guess(position: FloatArray, time: float) -> Guess:
    x, y, z = (float(value) for value in position)
    return Guess(vertex=(x, y, z), vertex_time=float(time))
