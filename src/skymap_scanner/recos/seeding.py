r"""Where the fits of a pixel start: vertex variations in the frame of its track, and their times.

A seed depends on its direction, on the best fit of the coarser pixel around it (its parent) and on
the event's base vertex, and on nothing else: neither the order in which pixels are made nor other
pixels of the same level change it. Offsets are rotated from the constants anew for every pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skymap_scanner.exceptions import EventError
from skymap_scanner.pixels import Guess, Seed
from skymap_scanner.recos.variations import as_offsets

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.recos.interface import RecoInterface
    from skymap_scanner.units import FloatArray

__all__ = ["make_seeds", "pointing_direction", "rotate_into_track_frame"]


def rotate_into_track_frame(
    offsets: FloatArray, zenith: FloatArray, azimuth: FloatArray
) -> FloatArray:
    r"""Turn offsets from the frame of a track (z = direction of travel) into detector axes.

    .. math:: x' = R_z(\varphi_d)\,R_y(\theta_d)\,x,\quad \theta_d = \pi-\theta,\;
              \varphi_d = \varphi+\pi

    Parameters
    ----------
    offsets : ndarray, shape (n_variations, 3)
        In the track's frame [m].
    zenith, azimuth : ndarray, shape (n,)
        Where the particles come from [rad].

    Returns
    -------
    ndarray, shape (n, n_variations, 3)
        In detector axes [m].

    Examples
    --------
    >>> rotate_into_track_frame(
    ...     np.array([[150.0, 0.0, -40.0]]),
    ...     np.array([0.8395827054805893]),
    ...     np.array([5.446713762627699]),
    ... ).round(4)
    array([[[ 87.0714, -96.4528, -84.9437]]])
    """
    x, y, z = offsets.T[:, np.newaxis, :]
    # theta_d = pi - zenith, phi_d = azimuth + pi
    cos_theta, sin_theta = -np.cos(zenith)[:, np.newaxis], np.sin(zenith)[:, np.newaxis]
    cos_phi, sin_phi = -np.cos(azimuth)[:, np.newaxis], -np.sin(azimuth)[:, np.newaxis]
    along_x = x * cos_theta + z * sin_theta
    along_z = -x * sin_theta + z * cos_theta
    return np.stack(
        [along_x * cos_phi - y * sin_phi, along_x * sin_phi + y * cos_phi, along_z], axis=-1
    )


def make_seeds(
    reco: RecoInterface,
    event: Event,
    *,
    nside: int,
    level: int,
    zenith: FloatArray,
    azimuth: FloatArray,
    parents: FloatArray,
    base: Guess | None = None,
) -> list[list[Seed]]:
    """Make the seeds of all variations of some pixels.

    Parameters
    ----------
    reco : RecoInterface
        Says which variations, whether they are rotated, times refined, and a fallback added.
    event : Event
        What was measured.
    nside, level : int
        Resolution of the pixels, and its place in the progression (0 is the coarsest).
    zenith, azimuth : ndarray, shape (n,)
        Directions of the pixels, detector frame [rad].
    parents : ndarray, shape (n, 5)
        x, y, z [m], time [ns] and energy [GeV] of the best fit of the coarser pixel around each;
        NaN in the first four where there is none: that pixel starts from the base vertex.
    base : Guess, optional
        The base vertex, if the caller has it already; by default ``reco.base_vertex(event)``.

    Returns
    -------
    list of list of Seed
        Per pixel its variations, in the order of ``reco.get_vertex_variations()``.

    Raises
    ------
    ValueError
        `parents`, `zenith` and `azimuth` do not belong to the same pixels.
    PluginError
        The reco's variations are no positions.
    """
    zenith, azimuth = np.atleast_1d(zenith), np.atleast_1d(azimuth)
    n_pixels = len(zenith)
    if azimuth.shape != (n_pixels,) or parents.shape != (n_pixels, 5):
        msg = f"{n_pixels} zeniths, but azimuth {azimuth.shape} and parents {parents.shape}"
        raise ValueError(msg)
    base = reco.base_vertex(event) if base is None else base
    offsets = as_offsets(reco.get_vertex_variations(), reco.name)
    n_variations = len(offsets)
    if reco.rotate_vertex:
        shifts = rotate_into_track_frame(offsets, zenith, azimuth)
    else:
        shifts = np.broadcast_to(offsets, (n_pixels, n_variations, 3))

    has_parent = np.all(np.isfinite(parents[:, :4]), axis=1)
    start = np.where(has_parent[:, np.newaxis], parents[:, :3], base.vertex)
    start_time = np.where(has_parent, parents[:, 3], base.vertex_time)
    energy = np.where(has_parent, parents[:, 4], np.nan)
    vertices, times = _placed(
        reco,
        event,
        direction=(zenith, azimuth),
        start=start,
        start_time=start_time,
        shifts=shifts,
    )

    fallbacks: list[list[Guess | None]] = [[None] * n_variations for _ in range(n_pixels)]
    if reco.add_fallback_position:
        rows = np.flatnonzero(has_parent & np.not_equal(start, base.vertex).any(axis=1))
        again = _placed(
            reco,
            event,
            direction=(zenith[rows], azimuth[rows]),
            start=np.broadcast_to(base.vertex, (len(rows), 3)),
            start_time=np.full(len(rows), base.vertex_time),
            shifts=shifts[rows],
        )
        for row, points, moments in zip(rows, *(part.tolist() for part in again), strict=True):
            fallbacks[row] = [
                Guess((x, y, z), t) for (x, y, z), t in zip(points, moments, strict=True)
            ]

    columns = zip(
        zenith.tolist(),
        azimuth.tolist(),
        vertices.tolist(),
        times.tolist(),
        energy.tolist(),
        fallbacks,
        strict=True,
    )
    return [
        [
            Seed(nside, level, theta, phi, (x, y, z), t, gev, second)
            for (x, y, z), t, second in zip(points, moments, seconds, strict=True)
        ]
        for theta, phi, points, moments, gev, seconds in columns
    ]


def _placed(
    reco: RecoInterface,
    event: Event,
    *,
    direction: tuple[FloatArray, FloatArray],
    start: FloatArray,
    start_time: FloatArray,
    shifts: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return vertices (n, n_variations, 3) and times (n, n_variations) of seeds around `start`."""
    from skymap_scanner.event.coordinates import direction_vector
    from skymap_scanner.event.vertex import refine_time

    vertices = start[:, np.newaxis, :] + shifts
    n_variations = shifts.shape[1]
    times = np.repeat(start_time, n_variations)
    if reco.refine_time and len(times):
        times = refine_time(
            event.pulses,
            event.detector,
            direction=np.repeat(direction_vector(*direction), n_variations, axis=0),
            vertex=vertices.reshape(-1, 3),
            vertex_time=times,
        )
    return vertices, times.reshape(-1, n_variations)


def pointing_direction(event: Event, reco: RecoInterface) -> tuple[float, float]:
    """Return the direction around which a pointed reconstruction scans.

    Parameters
    ----------
    event : Event
        What was measured, with the fits that came with it.
    reco : RecoInterface
        Its `pointing_dir_name` is "online" (see `skymap_scanner.event.event.online_fit`) or the
        name of a fit.

    Returns
    -------
    zenith, azimuth : float
        Where the particle comes from, detector frame [rad].

    Raises
    ------
    EventError
        The event has no such fit, or only a failed one; the error lists those that are there.
    """
    if reco.pointing_dir_name is None:
        msg = f"reco {reco.name} scans the whole sky: it has no pointing_dir_name"
        raise ValueError(msg)
    if reco.pointing_dir_name == "online":
        from skymap_scanner.event.event import online_fit

        online = online_fit(event)
        return online.zenith, online.azimuth
    fit = event.fits.get(reco.pointing_dir_name)
    if fit is not None and fit.ok:
        return fit.zenith, fit.azimuth
    there = ", ".join(
        f"{name}{'' if fit.ok else ' (failed)'}" for name, fit in sorted(event.fits.items())
    )
    raise EventError(
        f"reco {reco.name} needs a direction to point to",
        place=event.name,
        found=f"fits: {there}" if there else "no fit at all",
        wanted=reco.pointing_dir_name,
    )
