"""What all pictures share: colours, lettering, markers, and how a figure becomes a file.

Figures are made without pyplot, so that nothing global changes and any number of threads may draw.
Colours tell apart for colour-blind readers and in print: a map in one hue from dark (likely) to
pale, lines in orange and red-violet of different lightness.

References
----------
.. [1] M. Okabe, K. Ito, "Color universal design" (2008), https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.exceptions import UsageError
from skymap_scanner.files import write_atomically
from skymap_scanner.result.event_metadata import UNKNOWN_EVENT

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, PowerNorm
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from skymap_scanner.result.regions import RegionSummary
    from skymap_scanner.result.scan_result import SkyScanResult
    from skymap_scanner.units import FloatArray

__all__ = [
    "HALO", "INK", "LINE_50", "LINE_90", "TRUTH", "UNSCANNED", "Marker", "best_fit_label",
    "color_scale", "halo", "headline", "make_figure", "map_colors", "picture_format",
    "region_mask", "save", "signed", "subtitle", "write_centered",
]  # fmt: skip

INK: Final = "#222222"
UNSCANNED: Final = "#e4e4e4"
LINE_50: Final = "#e69f00"
LINE_90: Final = "#c23b75"
HALO: Final = "white"
#: What was simulated, beside what was reconstructed.
TRUTH: Final = "#009e73"

#: TS by which parts of one pixel may differ after a convolution; found: up to 0.009.
_TIE: Final = 0.02

_FORMATS: Final = {".png": "png", ".pdf": "pdf", ".svg": "svg"}


@dataclass(frozen=True, slots=True)
class Marker:
    """A direction to mark besides the best fit, such as the truth of a simulation.

    Parameters
    ----------
    ra, dec : float
        Direction, ICRS [rad].
    label : str
        Words for the legend.
    """

    ra: float
    dec: float
    label: str


def make_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure with a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def picture_format(path: Path) -> str:
    """Tell the format of a picture from the suffix of its name: png, pdf or svg.

    Raises
    ------
    UsageError
        When it is another.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(
            "no such picture format",
            place=str(path),
            found=suffix or "no suffix",
            wanted=", ".join(_FORMATS),
        )
    return _FORMATS[suffix]


def save(figure: Figure, path: str | Path, *, title: str, dpi: int) -> Path:
    """Write a figure, whole or not at all; the suffix says the format.

    Raises
    ------
    UsageError
        When the suffix is not .png, .pdf or .svg.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    kind = picture_format(path)
    write_atomically(
        path,
        lambda file: figure.savefig(file, format=kind, dpi=dpi, metadata={"Title": title}),
    )
    return path


def map_colors() -> Colormap:
    """Return the colours of maps of TS: dark where a source is likely, pale far from it."""
    import matplotlib as mpl

    return mpl.colormaps["YlGnBu_r"].with_extremes(bad=UNSCANNED)


def color_scale(ts: FloatArray, ceiling: float, gamma: float = 0.5) -> PowerNorm:
    """Return the scale from TS to colour.

    Parameters
    ----------
    ts : ndarray
        What is to be seen; NaN is ignored.
    ceiling : float
        Highest TS that gets a colour of its own, if the map reaches it.
    gamma : float, optional
        Colours follow this power of TS; 0.5 makes them follow the distance in a Gaussian map.
    """
    from matplotlib.colors import PowerNorm

    finite = ts[np.isfinite(ts)]
    highest = min(ceiling, float(finite.max())) if finite.size else ceiling
    return PowerNorm(gamma, vmin=0.0, vmax=max(highest, 1e-3))


def halo(width: float = 2.0) -> list[Any]:
    """Return the effect that keeps lettering and lines readable on any colour."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground=HALO)]


def headline(result: SkyScanResult) -> str:
    """Name the event, its time and whether the scan is over."""
    event = result.get_event_metadata()
    if str(event) == str(UNKNOWN_EVENT):
        return "Event not known"
    kind = "" if event.event_type == "None" else f"  {event.event_type}"
    time = f"  MJD {event.mjd:.5f}" if event.is_real_event and np.isfinite(event.mjd) else ""
    simulated = "" if event.is_real_event else "  simulated"
    partial = "" if result.header.is_complete else "  (scan not complete)"
    return f"Run {event.run_id}  Event {event.event_id}{kind}{time}{simulated}{partial}"


def subtitle(summary: RegionSummary, reco_algo: str) -> list[str]:
    """Say how the map was made and how large its regions are; of a part of the sky, also which."""
    parts = [reco_algo] if reco_algo else []
    floor = f", {summary.floor_deg:g}° floor" if summary.floor_deg else ""
    parts.append(
        f"50 %: {_area(summary.area50_deg2)}   90 %: {_area(summary.area90_deg2)} "
        f"({summary.level_rule}{floor})"
    )
    lines = ["   ".join(parts)]
    if not summary.covers_sky:
        lines.append(f"within the {_area(summary.scanned_deg2)} scanned")
    return lines


def write_centered(figure: Figure, x: float, y: float, words: str, fontsize: float) -> None:
    """Write a line, smaller when it would not fit into the figure otherwise.

    Parameters
    ----------
    figure : Figure
        Where to write.
    x, y : float
        Middle and foot of the line, in fractions of the figure.
    words : str
        What to write.
    fontsize : float
        Size of the letters when there is room [pt].
    """
    line = figure.text(x, y, words, ha="center", fontsize=fontsize, color=INK)
    width = line.get_window_extent().width / figure.bbox.width
    room = 2.0 * min(x, 1.0 - x) - 0.02
    if width > room:
        line.set_fontsize(fontsize * room / width)


def region_mask(ts: FloatArray, level: float) -> NDArray[np.bool_]:
    """Tell which samples lie in a region; a contour around them is the border of its cells.

    Parameters
    ----------
    ts : ndarray
        Samples of the map; +inf where it was not scanned.
    level : float
        TS at the edge of the region.
    """
    # Parts of one pixel differ by the numerical noise of a convolution: either all of them belong
    # to the region, or the noise would be drawn.
    return np.asarray(ts <= level + _TIE)


def best_fit_label(summary: RegionSummary) -> str:
    """Name the best fit and its direction."""
    return f"best fit  RA {summary.ra_deg:.2f}°  Dec {signed(summary.dec_deg, 2)}"


def signed(angle_deg: float, digits: int) -> str:
    """Return an angle [deg] with its sign, a real minus if need be.

    Examples
    --------
    >>> signed(30, 0), signed(2.345, 1)
    ('+30°', '+2.3°')
    """
    return f"{angle_deg:+.{digits}f}°".replace("-", "\N{MINUS SIGN}")


def _area(area_deg2: float) -> str:
    digits = 2 if area_deg2 < 10 else 1 if area_deg2 < 100 else 0
    return f"{area_deg2:.{digits}f} deg²"
