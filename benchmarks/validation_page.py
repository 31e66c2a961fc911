"""The tables and pictures of docs/validation.md: our maps of alerts beside what was published.

Each folder of SCANS holds the output of a finished scan of its own, whatever its name. The table of
published values has columns name, run, event, source, ra_deg, dec_deg, ra_plus, ra_minus, dec_plus,
dec_minus (extents of the 90 % region in degrees of coordinate), area50_deg2, area90_deg2. What
stands between the markers of the page is replaced, the rest of the page stays.

    python benchmarks/validation_page.py SCANS --published published.csv --reference REFERENCE.npz \
        --page docs/validation.md --pictures docs/pictures
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skymap_scanner.cli.comparison_table import as_table
from skymap_scanner.exceptions import SkymapScannerError, UsageError
from skymap_scanner.plot import style
from skymap_scanner.plot.gnomonic import View
from skymap_scanner.plot.map_pair import plot_map_pair
from skymap_scanner.plot.region_lines import draw_region_lines
from skymap_scanner.plot.sky_panel import draw_coordinates, draw_markers, draw_scale_bar
from skymap_scanner.plot.style import INK, LINE_50, LINE_90, Marker, signed
from skymap_scanner.plot.zoom import choose_radius
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.result.manifest import read_manifest
from skymap_scanner.result.map_comparison import compare_results
from skymap_scanner.result.sky_map import read_sky_map
from skymap_scanner.sky.healpix import angular_distance
from skymap_scanner.units import DEG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from skymap_scanner.result.regions import SkyRegions
    from skymap_scanner.result.sky_map import SkyMap
    from skymap_scanner.units import FloatArray

#: Source of published values -> the reconstruction of ours that is most like theirs.
PAIRS: Final = {
    "icecat2": "millipede_wilks",
    "icecat1": "millipede_original",
    "online": "splinempe",
}
#: Columns of the table of published values.
EXTENTS: Final = ("ra_plus", "ra_minus", "dec_plus", "dec_minus")
AREAS: Final = ("area50_deg2", "area90_deg2")
#: Cells are cut to this order (pixels of 0.03 deg) where they are compared with an outline.
_FINE_ORDER: Final = 11
#: Pixels of this nside are compared one by one with those of the reference, this far around.
_NEARBY_NSIDE: Final = 64
_NEARBY_DEG: Final = 5.0
#: Room around a published region.
_MARGIN: Final = 1.3
#: Left edges of the two panels, their lower edge, width and height, in fractions of the figure.
_LEFT: Final = (0.075, 0.525)
_BOTTOM: Final = 0.11
_SIZE: Final = (0.39, 0.76)
_FIGURE_IN: Final = (11.5, 11.5 * 0.39 / 0.76)
_DPI: Final = 90
#: How the outline of a published region is drawn.
_DASHES: Final = (0, (5, 3))
#: What speaks against us is to be seen.
ANSWERS: Final = {True: "yes", False: "**no**"}


@dataclass(frozen=True, slots=True)
class Published:
    """A published direction and its 90 % region, as far as these are known."""

    name: str
    source: str
    #: Run and event number.
    event: tuple[int, int]
    ra_deg: float
    dec_deg: float
    #: To larger and smaller right ascension, larger and smaller declination [deg of coordinate].
    extents_deg: tuple[float, ...]
    #: Of the 50 % and 90 % regions; empty, like the extents, when there is no region.
    areas_deg2: tuple[float, ...]

    @classmethod
    def of_row(cls, row: Mapping[str, str]) -> Published:
        """Read a row of the table."""
        extents, areas_deg2 = (
            tuple(float(row[name]) for name in names if row[name]) for names in (EXTENTS, AREAS)
        )
        event = int(row["run"]), int(row["event"])
        best = float(row["ra_deg"]), float(row["dec_deg"])
        return cls(row["name"], row["source"], event, *best, extents, areas_deg2)

    @property
    def best_dir(self) -> tuple[float, float]:
        """Right ascension and declination of the best fit [rad]."""
        return self.ra_deg * DEG, self.dec_deg * DEG

    def in_extents(self, ra: ArrayLike, dec: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return how far directions [rad] are from the best fit, in units of the extents."""
        east, west, north, south = self.extents_deg
        d_ra = (np.asarray(ra) / DEG - self.ra_deg + 180.0) % 360.0 - 180.0
        d_dec = np.asarray(dec) / DEG - self.dec_deg
        return d_ra / np.where(d_ra > 0.0, east, west), d_dec / np.where(d_dec > 0.0, north, south)

    def has_in_ellipse(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """Tell whether directions [rad] are inside four quarters of ellipses of the extents."""
        return np.asarray(np.hypot(*self.in_extents(ra, dec)) <= 1.0)

    def outline(self) -> tuple[FloatArray, FloatArray]:
        """Return right ascension and declination [rad] along these quarters."""
        east, west, north, south = self.extents_deg
        angle = np.linspace(0.0, 2.0 * np.pi, 361)
        x, y = np.cos(angle), np.sin(angle)
        ra_deg = self.ra_deg + x * np.where(x > 0.0, east, west)
        dec_deg = self.dec_deg + y * np.where(y > 0.0, north, south)
        return ra_deg * DEG, dec_deg * DEG

    def ellipse_area(self) -> float:
        """Return the area inside the outline [sr]."""
        ra, dec = self.outline()
        # Green's theorem on the sphere: the sum of sin(dec) d(ra) along the outline
        return float(abs(np.sum(0.5 * (np.sin(dec[1:]) + np.sin(dec[:-1])) * np.diff(ra))))


@dataclass(frozen=True, slots=True)
class Scan:
    """A finished scan: its map and its manifest."""

    sky_map: SkyMap
    manifest: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, tuple[int, int]]:
        """Name of the reconstruction; run and event number."""
        event = self.manifest["event_metadata"]
        return self.manifest["scan_metadata"]["reco_algo"], (event["run_id"], event["event_id"])

    def unusual_options(self) -> str:
        """Name the settings of the reconstruction that are not its defaults."""
        about = self.manifest["scan_metadata"]
        usual = make_reco(about["reco_algo"]).describe_options()
        return ", ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in about["reco_options"].items()
            if usual.get(name) != value
        )


def read_scan(folder: Path) -> Scan | None:
    """Read a finished scan; None, with the reason on stderr, when there is none in the folder."""
    paths = [p for p in folder.glob("*_scan-manifest.json") if "_previous_" not in p.name]
    reason = "no finished scan"
    try:
        for manifest in map(read_manifest, paths):
            if manifest["is_complete"] and manifest["region"] is not None:
                return Scan(read_sky_map(folder / manifest["files"]["npz"]), manifest)
    except (KeyError, SkymapScannerError) as error:
        reason = str(error)
    print(f"{folder.name}: left out, {reason}", file=sys.stderr)
    return None


def shared_parts(published: Published, regions: SkyRegions) -> tuple[float, float]:
    """Return what part of our 90 % region lies inside the published outline, and vice versa."""
    inside = regions.cells.take(regions.ts <= regions.level(0.9))
    fine, _ = inside.split(_FINE_ORDER)
    shared = float(fine.area[published.has_in_ellipse(*fine.centers())].sum())
    return shared / float(inside.area.sum()), min(shared / published.ellipse_area(), 1.0)


def figures_of(published: Published, scan: Scan) -> dict[str, str]:
    """Return name -> what the table says about a map."""
    region, sky_map = scan.manifest["region"], scan.sky_map
    ra, dec = sky_map.best_dir
    options = scan.unusual_options()
    assert sky_map.result is not None
    llh = sky_map.result.llh(*published.best_dir)
    delta_llh = "not scanned" if llh is None else f"{llh - region['min_llh']:.1f}"
    floor = f", {region['floor_deg']:g}° floor" if region["floor_deg"] else ""
    figures = {
        "": f"{published.name} (`{options}`)" if options else published.name,
        "our best fit": direction(region["ra_deg"], region["dec_deg"]),
        "published best fit": direction(published.ra_deg, published.dec_deg),
        "separation": f"{float(angular_distance(ra, dec, *published.best_dir)) / DEG:.2f}°",
        "llh above our minimum at the published best fit": delta_llh,
        "our areas of 50 %, 90 % [deg²]": areas(region["area50_deg2"], region["area90_deg2"]),
        "rule of our levels": f"{region['level_rule']}{floor}",
    }
    if published.extents_deg:
        is_inside = np.max(np.abs(published.in_extents(ra, dec))) <= 1.0
        ours, theirs = shared_parts(published, sky_map.regions)
        figures |= {
            "published areas of 50 %, 90 % [deg²]": areas(*published.areas_deg2),
            "our best fit inside the published 90 % rectangle": ANSWERS[bool(is_inside)],
            "part of our 90 % region inside the published one": f"{100 * ours:.0f} %",
            "part of the published 90 % region inside ours": f"{100 * theirs:.0f} %",
        }
    else:
        is_inside = sky_map.regions.contains(*published.best_dir, 0.9)
        figures["published best fit inside our 90 % region"] = ANSWERS[bool(is_inside)]
    cpu_s = scan.manifest["progress"]["cpu_s"]
    return figures | {"CPU time [s]": f"{cpu_s:.0f}", "pixels": str(sky_map.n_pixels)}


def direction(ra_deg: float, dec_deg: float) -> str:
    """Write a direction."""
    return f"{ra_deg:.2f}°, {signed(dec_deg, 2)}"


def areas(area50_deg2: float, area90_deg2: float) -> str:
    """Write two areas."""
    return f"{area50_deg2:.2f}, {area90_deg2:.2f}"


def markdown(columns: Sequence[Mapping[str, str]]) -> str:
    """Return a table with a column per map; the names of its rows are those of the first."""
    lines = [[name, *(column[name] for column in columns)] for name in columns[0]]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot_beside(published: Published, scan: Scan, path: Path) -> Path:
    """Draw the published region and our map of the same part of the sky."""
    from astropy.visualization.wcsaxes import WCSAxes

    sky_map = scan.sky_map
    view = View(*published.best_dir, radius_of(published, sky_map))
    figure = style.make_figure(*_FIGURE_IN)
    panels = [WCSAxes(figure, (left, _BOTTOM, *_SIZE), wcs=view.wcs) for left in _LEFT]
    image = draw_map(panels[1], view, sky_map)
    markers = [
        Marker(*sky_map.best_dir, "our best fit"),
        Marker(*published.best_dir, f"{published.source} best fit"),
    ]
    x, y = view.to_image(*published.outline())
    panels[0].fill(x, y, color=LINE_90, alpha=0.18, linewidth=0.0)
    panels[0].set_aspect("equal")
    for axes in panels:
        figure.add_axes(axes)
        (line,) = axes.plot(x, y, color=INK, linewidth=1.6, linestyle=_DASHES, zorder=4)
        line.set_path_effects(style.halo(3.4))
        draw_markers(axes, view, markers)
        draw_scale_bar(axes, view)
        draw_coordinates(axes, view)
    place = figure.add_axes((_LEFT[1] + _SIZE[0] + 0.01, _BOTTOM, 0.012, _SIZE[1]))
    bar = figure.colorbar(image, cax=place, extend="max")
    bar.set_label(r"$-2\,\Delta\ln L$", fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5)
    label_panels(figure, panels, published, scan)
    title = f"{published.name}: {published.source} and ours"
    return style.save(figure, path, title=title, dpi=_DPI)


def draw_map(axes: Any, view: View, sky_map: SkyMap) -> Any:
    """Draw pixels as scanned and the edges of our regions; return the image."""
    ts = sky_map.plain.ts_at(*view.samples())
    ts[~np.isfinite(ts)] = np.nan
    image = axes.imshow(
        np.ma.masked_invalid(ts),
        origin="lower",
        cmap=style.map_colors(),
        norm=style.color_scale(ts, max(6.0 * sky_map.regions.level(0.9), 30.0)),
        interpolation="nearest",
    )
    draw_region_lines(axes, view, sky_map.regions, sky_map.plain)
    return image


def radius_of(published: Published, sky_map: SkyMap) -> float:
    """Return half the width of a picture around the published best fit that shows both [rad]."""
    east, west, north, south = published.extents_deg
    theirs = max(max(east, west) * np.cos(published.dec_deg * DEG), north, south) * DEG
    ours = choose_radius(sky_map, sky_map.regions, [])
    away = float(angular_distance(*sky_map.best_dir, *published.best_dir))
    return float(min(max(_MARGIN * theirs, 0.75 * ours + away), 30.0 * DEG))


def label_panels(figure: Figure, panels: Sequence[Any], published: Published, scan: Scan) -> None:
    """Name the panels and the lines."""
    from matplotlib.lines import Line2D

    panels[1].coords[1].set_axislabel(" ")
    reco, _ = scan.key
    region = scan.manifest["region"]
    words = (
        f"{published.name}, {published.source}: 90 % region of {published.areas_deg2[1]:.2f} deg²",
        f"ours, {reco}: 90 % region of {region['area90_deg2']:.2f} deg² ({region['level_rule']})",
    )
    for left, title in zip(_LEFT, words, strict=True):
        figure.text(left + 0.5 * _SIZE[0], 0.89, title, ha="center", fontsize=10, color=INK)
    handles, _ = panels[0].get_legend_handles_labels()
    handles += [
        Line2D([], [], color=INK, linewidth=1.6, linestyle=_DASHES, label="published 90 % extents"),
        Line2D([], [], color=LINE_50, linewidth=1.8, label="our 50 % region"),
        Line2D([], [], color=LINE_90, linewidth=1.8, label="our 90 % region"),
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False,
        fontsize=9,
    )  # fmt: skip


def alerts(
    source: str, published: Sequence[Published], scans: Sequence[Scan], page: Path, pictures: Path
) -> str:
    """Return table and pictures of all alerts that a source has published."""
    columns, shown, missing = [], [], []
    for row in (row for row in published if row.source == source):
        found = [scan for scan in scans if scan.key == (PAIRS[source], row.event)]
        columns += [figures_of(row, scan) for scan in found]
        if not found:
            missing.append(row.name)
        elif row.extents_deg:
            name = f"validation_{row.name}_{PAIRS[source]}.png"
            picture = plot_beside(row, found[0], pictures / name)
            alt = f"{row.name}: the {source} region and our map"
            shown.append(image_link(alt, picture, page))
    parts = [markdown(columns)] if columns else []
    if missing:
        parts.append(f"Not scanned here with `{PAIRS[source]}`: {', '.join(missing)}.")
    return "\n\n".join(parts + shown)


def reference(path: Path, scan: Scan, page: Path, pictures: Path) -> str:
    """Return what ``skymap-scanner compare`` says of a map and a classic one, and its picture."""
    theirs = replace(read_sky_map(path, "millipede_original"), name="reference scan")
    options = scan.unusual_options()
    ours = replace(scan.sky_map, name=f"ours ({options})" if options else "ours")
    found = compare_results(ours, theirs, radius_deg=_NEARBY_DEG, nside=_NEARBY_NSIDE)
    picture = plot_map_pair(ours, theirs, pictures / "validation_reference.png", dpi=75)
    alt = "our map, the reference scan and the difference of their llh"
    return f"```text\n{as_table(found)}\n```\n\n{image_link(alt, picture, page)}"


def image_link(alt: str, picture: Path, page: Path) -> str:
    """Return the Markdown that shows a picture on the page."""
    return f"![{alt}]({Path(os.path.relpath(picture, page.parent)).as_posix()})"


def made_by(scans: Sequence[Scan]) -> str:
    """Say when the scans were made and by which version."""
    days = sorted({scan.manifest["progress"]["started"][:10] for scan in scans})
    versions = {scan.manifest["scan_metadata"]["versions"]["skymap-scanner"] for scan in scans}
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Scans: {len(scans)}, of {when}, version {', '.join(sorted(versions))}."


def fill(text: str, name: str, body: str) -> str:
    """Replace what stands between the markers of a name."""
    start, end = f"<!-- generated: {name} -->", "<!-- end generated -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise UsageError("the page has no such markers", place="--page", found=start, wanted=end)
    return pattern.sub(lambda _: f"{start}\n{body}\n{end}", text, count=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Refresh the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scans", type=Path, metavar="SCANS", help="folder of folders of scans")
    parser.add_argument("--published", type=Path, required=True, help="table of published values")
    parser.add_argument("--reference", type=Path, help="classic map (.npz), named after its event")
    parser.add_argument("--page", type=Path, default=Path("docs/validation.md"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args(argv)
    page, pictures = arguments.page, arguments.pictures
    with arguments.published.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(line for line in file if not line.startswith("#"))
        published = [Published.of_row(row) for row in table]
    known = {row.event for row in published}
    folders = sorted(path for path in arguments.scans.iterdir() if path.is_dir())
    scans = [scan for scan in map(read_scan, folders) if scan is not None and scan.key[1] in known]
    text = page.read_text(encoding="utf-8")
    if scans:
        text = fill(text, "scans", made_by(scans))
    for source in PAIRS:
        text = fill(text, source, alerts(source, published, scans, page, pictures))
    if arguments.reference is not None:
        events = {r.event for r in published if arguments.reference.name.startswith(r.name)}
        keys = [("millipede_original", event) for event in events]
        for scan in [scan for scan in scans if scan.key in keys][:1]:
            text = fill(text, "reference", reference(arguments.reference, scan, page, pictures))
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
