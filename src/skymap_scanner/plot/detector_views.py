"""How the detector is looked at: parallel projections, its outline, and how much of a track shows.

A parallel (orthographic) projection keeps lengths in its plane, so that one scale bar is true for
the whole picture; what is near or far is told by which marker covers which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.event import direction_vector
from skymap_scanner.exceptions import EventError
from skymap_scanner.plot.style import INK
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skymap_scanner.event import Detector
    from skymap_scanner.units import FloatArray

__all__ = ["MARGIN", "DrawnTrack", "View3D", "beside", "outline", "string_lines", "visible_part"]

#: Height of the eye when the track decides where it is [rad].
_ELEVATION: Final = 14.0 * DEG
#: The eye is this far from exactly beside a track, so that depth can be told [rad].
_OBLIQUE: Final = np.arange(14.0, 31.0, 2.0) * DEG
#: Where the eye may be when there is no track, from x towards y [rad].
_AZIMUTHS: Final = np.arange(-80.0, -39.0, 2.0) * DEG
#: A direction with a smaller component than this runs along the faces [1].
_ALONG: Final = 1e-12
#: Strings this far apart in the picture do not hide each other's modules [m].
_APART: Final = 15.0
#: Room between the outermost modules and the ends of a track [m].
MARGIN: Final = 90.0


@dataclass(frozen=True, slots=True)
class DrawnTrack:
    """A straight track to be drawn as an arrow.

    Parameters
    ----------
    zenith, azimuth : float
        Where the particle comes from, detector frame [rad].
    vertex : tuple of float
        A point on the track [m].
    label : str
        Words for the legend; the direction is added to them.
    color : str, optional
        Colour of the arrow.
    marks_vertex : bool
        Whether the point is marked too: a cascade's light comes from there.

    Raises
    ------
    EventError
        When a number is not finite: there is nothing to draw.
    """

    zenith: float
    azimuth: float
    vertex: tuple[float, float, float]
    label: str
    color: str = INK
    marks_vertex: bool = False

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([self.zenith, self.azimuth, *self.vertex])):
            raise EventError(
                "a track that cannot be drawn",
                place=self.label,
                found=f"zenith {self.zenith:g}, azimuth {self.azimuth:g} rad, "
                f"vertex {', '.join(f'{x:g}' for x in self.vertex)} m",
                wanted="finite numbers",
            )

    @property
    def direction(self) -> FloatArray:
        """Unit vector along which the particle travels, shape (3,)."""
        return direction_vector(self.zenith, self.azimuth)


@dataclass(frozen=True, slots=True)
class View3D:
    """A parallel projection: where the eye is, infinitely far away.

    Parameters
    ----------
    elevation : float
        Height of the eye above the horizon [rad]; pi/2 looks straight down.
    azimuth : float
        Where the eye is, from x towards y [rad].

    Examples
    --------
    From the side of -y, x runs to the right and z upwards; from above, so do x and y:

    >>> print(View3D(0.0, -np.pi / 2).project(np.array([[1.0, 2.0, 3.0]])).round(9))
    [[ 1.  3. -2.]]
    >>> print(View3D(np.pi / 2, -np.pi / 2).project(np.array([[1.0, 2.0, 3.0]])).round(9))
    [[1. 2. 3.]]
    """

    elevation: float
    azimuth: float

    def project(self, xyz: FloatArray) -> FloatArray:
        """Return how far points lie to the right, upwards, and towards the eye.

        Parameters
        ----------
        xyz : ndarray, shape (..., 3)
            Positions in detector coordinates [m].

        Returns
        -------
        ndarray, shape (..., 3)
            Coordinates in the picture and nearness [m].
        """
        sin_e, cos_e = np.sin(self.elevation), np.cos(self.elevation)
        sin_a, cos_a = np.sin(self.azimuth), np.cos(self.azimuth)
        axes = np.array(
            [
                [-sin_a, cos_a, 0.0],
                [-sin_e * cos_a, -sin_e * sin_a, cos_e],
                [cos_e * cos_a, cos_e * sin_a, sin_e],
            ]
        )
        return np.asarray(xyz @ axes.T, dtype=np.float64)


def beside(track: DrawnTrack | None, detector: Detector) -> View3D:
    """Choose a view in which a track runs from left to right, seen almost from its side.

    Along a row of the array all strings of the row would fall on one line; of the views that are
    good for the track, the one in which the strings are best told apart is taken.

    Parameters
    ----------
    track : DrawnTrack or None
        What should be seen well; None: nothing in particular.
    detector : Detector
        Where its strings are.
    """
    azimuths = _AZIMUTHS
    if track is not None:
        # the particle travels to azimuth + pi; a quarter turn back from there is its right side
        azimuths = track.azimuth + 0.5 * np.pi + np.concatenate([_OBLIQUE, -_OBLIQUE])
    tops = np.array([line[0] for line in string_lines(detector)])
    views = [View3D(_ELEVATION, float(azimuth)) for azimuth in azimuths]
    gaps = [np.diff(np.sort(view.project(tops)[:, 0])) for view in views]
    return views[int(np.argmax([np.minimum(gap, _APART).sum() for gap in gaps]))]


def visible_part(track: DrawnTrack, om_xyz: FloatArray) -> FloatArray | None:
    """Find the part of a track that is drawn: where it crosses the box around the detector.

    Parameters
    ----------
    track : DrawnTrack
        The track.
    om_xyz : ndarray, shape (n_om, 3)
        Module positions [m]; at least one.

    Returns
    -------
    ndarray, shape (2, 3), or None
        First and last point in the direction of travel [m]; None of a track that misses the box.
    """
    low, high = om_xyz.min(axis=0) - MARGIN, om_xyz.max(axis=0) + MARGIN
    vertex, direction = np.array(track.vertex), track.direction
    # a track along two faces lies between them everywhere or nowhere
    is_along = np.abs(direction) < _ALONG
    is_between = (low <= vertex) & (vertex <= high)
    speed = np.where(is_along, 1.0, direction)
    crossings = np.sort([(low - vertex) / speed, (high - vertex) / speed], axis=0)
    first, last = crossings[0, ~is_along].max(), crossings[1, ~is_along].min()
    if not (first < last and np.all(is_between | ~is_along)):
        return None
    return np.asarray(vertex + np.outer([first, last], direction), dtype=np.float64)


def string_lines(detector: Detector) -> list[FloatArray]:
    """Return the upper and the lower end of each string, shape (2, 3) [m]."""
    lines = []
    for string in np.unique(detector.om_key[:, 0]):
        xyz = detector.om_xyz[detector.om_key[:, 0] == string]
        lines.append(xyz[[np.argmax(xyz[:, 2]), np.argmin(xyz[:, 2])]])
    return lines


def outline(detector: Detector) -> list[FloatArray]:
    """Return the closed outlines of the detector's lid and floor.

    Parameters
    ----------
    detector : Detector
        Any.

    Returns
    -------
    list of ndarray, shape (n, 3)
        Two polygons, last point equal to the first [m]; none when the strings span no area.
    """
    ends = np.array(string_lines(detector))
    corners = _convex_hull(np.unique(ends[:, 0, :2], axis=0))
    if len(corners) < 3:
        return []
    closed = np.concatenate([corners, corners[:1]])
    heights = detector.om_xyz[:, 2].max(), detector.om_xyz[:, 2].min()
    return [np.column_stack([closed, np.full(len(closed), height)]) for height in heights]


def _convex_hull(points: FloatArray) -> NDArray[np.float64]:
    """Find the corners around points sorted by x, then y (Andrew's monotone chain)."""

    def half(ordered: FloatArray) -> list[FloatArray]:
        chain: list[FloatArray] = []
        for point in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0.0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return np.array(half(points) + half(points[::-1])).reshape(-1, 2)


def _turn(start: FloatArray, middle: FloatArray, end: FloatArray) -> float:
    """Positive for a turn to the left."""
    a, b = middle - start, end - start
    return float(a[0] * b[1] - a[1] * b[0])
