"""What the pictures of light share: the sources shown, panels with a strip of ratios, legends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.light.spots import Spot, View
from skymap_scanner.plot.style import INK, write_centered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.spot_simulation import SimulatedLight
    from skymap_scanner.units import FloatArray

__all__ = [
    "BEAM_SPOTS", "COLORS", "LIGHT_SPOTS", "MAX_ERROR", "RING_SPOTS", "SPOT_Z", "LightScene",
    "add_rows", "draw_legend", "draw_points", "draw_ratio", "write_head",
]  # fmt: skip

#: Octants about a horizontal axis that are nearest to the horizontal plane.
_BESIDE: Final = (1, 2, 5, 6)
#: Heights of the sources [m].
SPOT_Z: Final = {"clean ice": -350.0, "dust layer": -60.0, "upper ice": 200.0}
#: Sources that travel along x, 50 degrees off the flow of the ice.
BEAM_SPOTS: Final = tuple(
    Spot(
        name,
        np.array([0.0, 0.0, z]),
        np.array([1.0, 0.0, 0.0]),
        (
            View("Cherenkov angle", 8, _BESIDE),
            View("sideways", 3, _BESIDE),
            View("backward", 0, _BESIDE),
        ),
    )
    for name, z in SPOT_Z.items()
)
#: Sources that travel down, seen from all sides; in the dust too little light is left at 200 m.
RING_SPOTS: Final = tuple(
    Spot(
        name,
        np.array([0.0, 0.0, SPOT_Z[name]]),
        np.array([0.0, 0.0, -1.0]),
        tuple(View(f"octant {k}", 3, (k,)) for k in range(8)),
    )
    for name in ("clean ice", "upper ice")
)
#: All that is to be simulated.
LIGHT_SPOTS: Final = (*BEAM_SPOTS, *RING_SPOTS)

#: Blue, vermilion, green of Okabe and Ito.
COLORS: Final = ("#0072b2", "#d55e00", "#009e73")
_MARKS: Final = ("o", "s", "^")
#: Points whose relative error is larger are left out.
MAX_ERROR: Final = 0.5
#: Ratios are shown up to this far from 1, and a band of this half-width is shaded.
_RATIO_LIMIT, _BAND = 0.6, 0.1
_PALE: Final = "#ececec"


@dataclass(frozen=True, slots=True, eq=False)
class LightScene:
    """What the pictures show.

    Attributes
    ----------
    model : LightModel
        The model.
    simulated : sequence of SimulatedLight
        Monte Carlo of `LIGHT_SPOTS`, in their order; empty to draw the model alone.
    note : str
        Names the model and the simulation.
    """

    model: LightModel
    simulated: Sequence[SimulatedLight]
    note: str

    def light(self, spot: Spot) -> SimulatedLight | None:
        """Return the Monte Carlo of one of the spots, if there is any."""
        return self.simulated[LIGHT_SPOTS.index(spot)] if self.simulated else None


def add_rows(
    figure: Figure, n: int, *, foot: float, head: float, has_strip: bool
) -> tuple[list[Any], list[Any]]:
    """Add a row of panels with a common scale, and a strip below each where there is Monte Carlo.

    Parameters
    ----------
    figure : Figure
        Where they go.
    n : int
        Panels in the row.
    foot, head : float
        Lower and upper edge of all of it, in fractions of the figure.
    has_strip : bool
        Leave room for the strips; else there are none.

    Returns
    -------
    panels, strips : list of axes
    """
    left, right, gap = 0.09, 0.985, 0.015
    width = (right - left - (n - 1) * gap) / n
    strip, space = (0.24 * (head - foot), 0.012) if has_strip else (0.0, 0.0)
    panels: list[Any] = []
    strips: list[Any] = []
    for k in range(n):
        x = left + k * (width + gap)
        box = (x, foot + strip + space, width, head - foot - strip - space)
        panels.append(figure.add_axes(box, sharey=panels[0] if k else None))
        if has_strip:
            below, first = (x, foot, width, strip), strips[0] if k else None
            strips.append(figure.add_axes(below, sharex=panels[k], sharey=first))
            panels[k].tick_params(labelbottom=False)
    for axes in (*panels, *strips):
        is_first = axes in (panels[0], *strips[:1])
        axes.tick_params(labelsize=8.5, length=3, labelleft=is_first)
        axes.grid(visible=True, color=_PALE, linewidth=0.7)
        axes.set_axisbelow(True)
    return panels, strips


def draw_points(
    axes: Any, kind: int, x: FloatArray, y: FloatArray, error: FloatArray, **bars: Any
) -> None:
    """Draw simulated points in the colour and shape of their kind."""
    axes.errorbar(
        x, y, error, linestyle="none", marker=_MARKS[kind], markersize=3.2, color=COLORS[kind],
        markeredgecolor="white", markeredgewidth=0.4, elinewidth=0.9, zorder=3, **bars,
    )  # fmt: skip


def draw_ratio(axes: Any, kind: int, x: FloatArray, ratio: FloatArray, error: FloatArray) -> None:
    """Draw simulation over model; what is off the scale becomes an open triangle at its edge."""
    low, high = 1.0 - _RATIO_LIMIT, 1.0 + _RATIO_LIMIT
    if kind == 0:
        axes.axhspan(1.0 - _BAND, 1.0 + _BAND, color=_PALE, zorder=0)
        axes.axhline(1.0, color=INK, linewidth=0.8, zorder=1)
        axes.set_ylim(low, high)
        axes.set_yticks([0.5, 1.0, 1.5])
    inside = (ratio > low) & (ratio < high)
    draw_points(axes, kind, x[inside], ratio[inside], error[inside])
    for is_off, edge, mark in ((ratio >= high, high - 0.05, "^"), (ratio <= low, low + 0.05, "v")):
        axes.plot(
            x[is_off], np.full(is_off.sum(), edge), marker=mark, color=COLORS[kind],
            linestyle="none", markersize=4.5, markerfacecolor="white",
        )  # fmt: skip


def write_head(figure: Figure, scene: LightScene, title: str) -> None:
    """Write what is shown, and of which model and simulation."""
    height = figure.get_figheight()
    write_centered(figure, 0.5, 1.0 - 0.24 / height, title, 11.5)
    write_centered(figure, 0.5, 1.0 - 0.44 / height, scene.note, 8.5)


def draw_legend(
    figure: Figure, names: Sequence[str], colors: Sequence[Any], scene: LightScene
) -> None:
    """Say which colour is what, and what lines and points (or shaded steps) are."""
    from matplotlib.lines import Line2D

    marks = _MARKS if len(names) <= len(_MARKS) else ("",) * len(names)
    handles = [
        Line2D(
            [], [], color=color, linewidth=1.6, label=name,
            marker=mark if scene.simulated else "", markersize=4.5, markeredgecolor="white",
        )
        for name, color, mark in zip(names, colors, marks, strict=False)
    ]  # fmt: skip
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1.0 - 0.47 / figure.get_figheight()),
        ncols=len(names),
        frameon=False,
        fontsize=8.5,
        handletextpad=0.6,
        columnspacing=2.0,
    )
