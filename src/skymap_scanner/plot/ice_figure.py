"""A picture of the ice: scattering and absorption against depth, and how its layers are tilted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.light.ice import ICE_MODELS, IceModel
from skymap_scanner.plot.light_panels import SPOT_Z
from skymap_scanner.plot.style import INK, halo, make_figure, save, write_centered
from skymap_scanner.units import SURFACE_Z

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.units import FloatArray

__all__ = ["plot_ice"]

#: Heights that are drawn, a little more than the detector's [m].
_Z: Final = (-570.0, 570.0)
#: Wavelength of the coefficients [nm].
_WAVELENGTH: Final = 400.0
_SCATTERING, _ABSORPTION, _OTHER = "#0072b2", "#d55e00", "#9a9a9a"


def plot_ice(ice: IceModel, path: str | Path, *, dpi: int = 200) -> Path:
    """Draw an ice model: coefficients of its layers, and a cut along the direction of the tilt.

    Parameters
    ----------
    ice : IceModel
        The model; the others that we have are drawn in grey.
    path : str or Path
        File to write; the suffix (.png, .pdf, .svg) says the format.
    dpi : int, optional
        Dots per inch of a figure 9 inches wide.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        When the suffix is not known.
    OutputError
        When the file cannot be written.
    """
    figure = make_figure(9.0, 6.2)
    left = figure.add_axes((0.08, 0.09, 0.40, 0.76))
    right = figure.add_axes((0.50, 0.09, 0.33, 0.76), sharey=left)
    _draw_profile(left, ice)
    _draw_cut(figure, right, ice)
    title = f"Ice model {ice.name}: layers and their tilt"
    write_centered(figure, 0.5, 0.955, title, 11.5)
    write_centered(figure, 0.5, 0.92, f"coefficients at {_WAVELENGTH:g} nm; {ice.source}", 8.5)
    return save(figure, path, title=title, dpi=dpi)


def _draw_profile(axes: Any, ice: IceModel) -> None:
    """Draw both coefficients of every layer, those of the other models in grey."""
    half = 0.5 * (ice.z[1] - ice.z[0])
    edges = np.append(ice.z - half, ice.z[-1] + half)
    for name in ICE_MODELS:
        other = IceModel.load(name)
        if name == ice.name:
            continue
        label: str | None = f"both in {name}"
        for values in (other.layer_scattering(_WAVELENGTH), other.layer_absorption(_WAVELENGTH)):
            axes.stairs(values, edges, orientation="horizontal", baseline=None,
                        color=_OTHER, linewidth=0.9, label=label)  # fmt: skip
            label = None
    for values, color, label in (
        (ice.layer_scattering(_WAVELENGTH), _SCATTERING, "effective scattering"),
        (ice.layer_absorption(_WAVELENGTH), _ABSORPTION, "absorption"),
    ):
        axes.stairs(values, edges, orientation="horizontal", baseline=None,
                    color=color, linewidth=1.4, label=label)  # fmt: skip
    for name, z in SPOT_Z.items():
        axes.axhline(z, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        axes.text(0.98, z + 6.0, f"source in {name}", transform=axes.get_yaxis_transform(),
                  ha="right", fontsize=7.5, color=INK)  # fmt: skip
    axes.set(xscale="log", xlim=(2e-3, 0.8), ylim=_Z)
    axes.set_xlabel("coefficient [1/m]", fontsize=9.5)
    axes.set_ylabel("height z in detector coordinates [m]", fontsize=9.5)
    axes.tick_params(labelsize=8.5, length=3)
    axes.legend(loc="lower right", fontsize=8, frameon=False)


def _draw_cut(figure: Any, axes: Any, ice: IceModel) -> None:
    """Draw effective scattering in the vertical plane through the origin along the tilt."""
    from matplotlib.colors import LogNorm

    tilt = ice.tilt
    along = np.linspace(-600.0, 600.0, 241)
    z = np.linspace(*_Z, 571)
    xyz = np.empty((z.size, along.size, 3))
    xyz[..., :2] = along[:, None] * tilt.gradient
    xyz[..., 2] = z[:, None]
    place = ice.effective_z(xyz)
    picture = axes.pcolormesh(
        along, z, ice.scattering(place, _WAVELENGTH), norm=LogNorm(0.008, 0.15), cmap="Blues",
        shading="nearest", rasterized=True,
    )  # fmt: skip
    lines = axes.contour(along, z, place, levels=np.arange(-500.0, 501.0, 100.0),
                         colors=INK, linewidths=0.8, linestyles="solid")  # fmt: skip
    words = axes.clabel(
        lines, fontsize=7, inline=False, fmt=lambda z: f"{z:g}".replace("-", "\N{MINUS SIGN}")
    )
    for word in words:
        word.set_path_effects(halo(1.6))
    azimuth = np.degrees(np.arctan2(*tilt.gradient[::-1])) % 360.0
    axes.set_xlabel(f"distance from the origin towards azimuth {azimuth:.0f}° [m]", fontsize=9.5)
    axes.set_title("layers, lines at equal height in the table [m]", fontsize=9, color=INK, pad=4.0)
    axes.tick_params(labelsize=8.5, length=3, labelleft=False)
    depth = axes.secondary_yaxis("right", functions=(_turn_over, _turn_over))
    depth.set_ylabel("depth [m]", fontsize=9.5)
    depth.tick_params(labelsize=8.5, length=3)
    bar = figure.colorbar(picture, cax=figure.add_axes((0.93, 0.09, 0.016, 0.76)))
    bar.set_label("effective scattering [1/m]", fontsize=9, labelpad=-2.0)
    bar.ax.tick_params(labelsize=7.5, length=2.5)


def _turn_over(z: FloatArray) -> FloatArray:
    """Return depths of heights, or heights of depths [m]."""
    return SURFACE_Z - z
