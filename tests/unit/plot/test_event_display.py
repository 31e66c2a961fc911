from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import PathCollection

from skymap_scanner.event import Event, PulseSeries, clean_for_tracks, online_fit, read_event
from skymap_scanner.exceptions import EventError, OutputError, UsageError
from skymap_scanner.plot import event_display, plot_event
from skymap_scanner.plot.detector_views import DrawnTrack, View3D
from skymap_scanner.plot.event_scene import (
    Selection,
    disc_areas,
    example_charges,
    select_pulses,
    time_colors,
    time_limits,
)
from skymap_scanner.plot.style import INK, TRUTH

if TYPE_CHECKING:
    from pathlib import Path

VIEW = View3D(0.2, 1.0)


@pytest.fixture(scope="module")
def event(root: Path) -> Event:
    return read_event(root / "examples" / "simulated_track.json")


@pytest.fixture(scope="module")
def track(event: Event) -> DrawnTrack:
    fit = online_fit(event)
    return DrawnTrack(fit.zenith, fit.azimuth, fit.vertex, f"online fit {fit.name}")


def hits(event: Event, om_index: Any, time: Any, charge: Any) -> Event:
    """The event with other pulses, all in local coincidence."""
    flags = np.ones(len(om_index), np.uint8)
    return replace(event, pulses=PulseSeries.from_columns(om_index, time, charge, flags=flags))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would have been written."""
    made: list[Any] = []
    monkeypatch.setattr(event_display, "save", lambda figure, *_, **__: made.append(figure))
    return made


def discs(axes: Any) -> PathCollection:
    """The hit modules of one picture: the marks with a colour for each time."""
    [found] = [
        artist
        for artist in axes.collections
        if isinstance(artist, PathCollection) and artist.get_array() is not None
    ]
    return found


def test_every_hit_module_is_where_it_hangs(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    plot_event(event, tmp_path / "x.png", view=VIEW)
    large, above, side, *_ = figures[0].axes
    xyz = event.detector.om_xyz[clean_for_tracks(event).hit_oms]
    for axes, places in (
        (large, VIEW.project(xyz)[:, :2]),
        (above, xyz[:, :2]),
        (side, xyz[:, [0, 2]]),
    ):
        drawn = np.asarray(discs(axes).get_offsets())
        assert drawn[np.lexsort(drawn.T)] == pytest.approx(places[np.lexsort(places.T)])
        assert axes.get_aspect() == 1.0


def test_near_modules_cover_far_ones(event: Event, tmp_path: Path, figures: list[Any]) -> None:
    plot_event(event, tmp_path / "x.png")
    heights = event.detector.om_xyz[:, 2]
    above = np.asarray(discs(figures[0].axes[1]).get_array())
    pulses = clean_for_tracks(event)
    from_below = np.argsort(heights[pulses.hit_oms], kind="stable")
    assert above == pytest.approx(1e-3 * pulses.first_times()[from_below])


def test_discs_grow_with_charge_and_darken_with_time(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    plot_event(
        hits(event, [100, 101, 102], [10000.0, 10200.0, 10400.0], [1.0, 100.0, 10.0]),
        tmp_path / "x.png",
        selection="all",
        view=VIEW,
    )
    drawn = discs(figures[0].axes[0])
    times = np.asarray(drawn.get_array())
    order = np.argsort(times)
    assert times[order] == pytest.approx([10.0, 10.2, 10.4])
    assert drawn.get_sizes()[order] == pytest.approx(disc_areas(np.array([1.0, 100.0, 10.0])))
    assert np.all(np.diff(lightness(drawn.norm(times[order]))) < -0.1)


def lightness(parts: Any) -> np.ndarray:
    """Luma of the colours at parts of the scale, 0 is black."""
    return np.asarray(time_colors()(parts))[:, :3] @ [0.299, 0.587, 0.114]


def test_colours_are_told_apart_without_hue() -> None:
    found = lightness(np.linspace(0.0, 1.0, 50))
    assert np.all(np.diff(found) < 0.0)
    # and the first is no white on white
    assert found[0] < 0.85


def test_the_colour_is_that_of_the_first_pulse(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    late_first = hits(event, [100, 100, 100], [12000.0, 10000.0, 11000.0], [9.0, 0.5, 9.0])
    plot_event(late_first, tmp_path / "x.png", selection="all")
    assert np.asarray(discs(figures[0].axes[0]).get_array()) == pytest.approx([10.0])


def test_modules_that_are_off_are_not_drawn(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    detector = event.detector.with_dead([(1, om) for om in range(1, 61)])
    plot_event(replace(event, detector=detector), tmp_path / "x.png")
    plot_event(event, tmp_path / "x.png")
    dots = [len(figure.axes[0].lines[0].get_xdata()) for figure in figures]
    n_hit_there = np.count_nonzero(event.detector.om_key[event.pulses.hit_oms, 0] == 1)
    assert dots[1] - dots[0] == 60 - n_hit_there
    assert dots[1] == event.detector.n_om - event.pulses.n_doms


def test_cleaned_is_what_tracks_are_fitted_to_and_all_is_all(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    plot_event(event, tmp_path / "x.png")
    plot_event(event, tmp_path / "x.png", selection="all")
    words = [" ".join(text.get_text() for text in figure.texts) for figure in figures]
    counts = [
        (np.unique(series.om_index).size, len(series.time), series.charge.sum())
        for series in (clean_for_tracks(event), event.pulses)
    ]
    cleaned, everything = ("{} DOMs   {} pulses   {:.1f} PE".format(*count) for count in counts)
    assert cleaned in words[0]
    assert "of {} DOMs, {} pulses, {:.1f} PE".format(*counts[1]) in words[0]
    assert everything in words[1]
    n_discs = [len(np.asarray(discs(figure.axes[0]).get_offsets())) for figure in figures]
    assert n_discs == [count[0] for count in counts]
    assert 0 < n_discs[0] < n_discs[1]


def test_the_title_names_event_and_date(event: Event, tmp_path: Path, figures: list[Any]) -> None:
    plot_event(event, tmp_path / "x.png")
    real = replace(
        event, run_id=136662, event_id=35, sub_event_id=2, is_real=True, event_type="None"
    )
    plot_event(real, tmp_path / "x.png")
    titles = [figure.texts[0].get_text() for figure in figures]
    assert titles[0] == "Run 1  Event 1  neutrino  2024-07-09 06:00:00 UTC  simulated"
    assert titles[1] == "Run 136662  Event 35 (sub-event 2)  2024-07-09 06:00:00 UTC"


@pytest.mark.parametrize("mjd", [np.nan, np.inf, 1e9, -1e12])
def test_an_event_without_a_date_has_none_in_its_title(
    event: Event, tmp_path: Path, figures: list[Any], mjd: float
) -> None:
    plot_event(replace(event, mjd=mjd), tmp_path / "x.png")
    assert figures[0].texts[0].get_text() == "Run 1  Event 1  neutrino  simulated"


def test_tracks_are_arrows_in_their_colours(
    event: Event, track: DrawnTrack, tmp_path: Path, figures: list[Any]
) -> None:
    truth = DrawnTrack(1.4, 1.05, (62.0, -12.0, -118.0), "simulated truth", TRUTH)
    plot_event(event, tmp_path / "x.png", tracks=[track, truth])
    for axes in figures[0].axes[:3]:
        arrows = [text for text in axes.texts if hasattr(text, "arrow_patch")]
        colors = [matplotlib.colors.to_hex(a.arrow_patch.get_edgecolor()) for a in arrows]
        assert colors == [INK, TRUTH]
        # under the discs, the first above the second
        assert discs(axes).get_zorder() > arrows[0].get_zorder() > arrows[1].get_zorder()
    words = [text.get_text() for text in figures[0].legends[0].get_texts()]
    zenith, azimuth = np.degrees([track.zenith, track.azimuth])
    assert words[0] == (
        f"online fit l2_online_BestFit: zenith {zenith:.1f}°, azimuth {azimuth:.1f}°"
    )
    assert words[1] == "simulated truth: zenith 80.2°, azimuth 60.2°"


def test_an_arrow_points_where_the_particle_goes(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    from_above = DrawnTrack(0.0, 0.0, (10.0, 20.0, 0.0), "down")
    plot_event(event, tmp_path / "x.png", tracks=[from_above])
    side = figures[0].axes[2]
    [arrow] = [text for text in side.texts if hasattr(text, "arrow_patch")]
    assert arrow.xy[0] == pytest.approx(10.0)
    assert arrow.xy[1] < -500.0 < 500.0 < arrow.xyann[1]


def test_the_vertex_of_a_cascade_is_marked(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    place = (62.0, -12.0, -118.0)
    for is_marked in (True, False):
        truth = DrawnTrack(1.4, 1.05, place, "truth", TRUTH, marks_vertex=is_marked)
        plot_event(event, tmp_path / "x.png", tracks=[truth])
        for axes, seen in zip(figures[-1].axes[1:3], ([62.0, -12.0], [62.0, -118.0]), strict=True):
            stars = [line for line in axes.lines if line.get_marker() == "*"]
            assert len(stars) == is_marked
            for star in stars:
                np.testing.assert_allclose(star.get_xydata(), [seen])
                assert star.get_zorder() > discs(axes).get_zorder()


@pytest.mark.parametrize(("zenith", "marker"), [(0.0, "x"), (np.pi, "o")])
def test_a_track_seen_end_on_is_a_cross_or_a_ring(
    event: Event, tmp_path: Path, figures: list[Any], zenith: float, marker: str
) -> None:
    plot_event(event, tmp_path / "x.png", tracks=[DrawnTrack(zenith, 0.0, (1.0, 2.0, 0.0), "v")])
    above = figures[0].axes[1]
    assert [line.get_marker() for line in above.lines][-1] == marker
    assert not [text for text in above.texts if hasattr(text, "arrow_patch")]


def test_a_track_that_misses_the_detector_is_said_to(
    event: Event, tmp_path: Path, figures: list[Any]
) -> None:
    away = DrawnTrack(0.5 * np.pi, 0.0, (0.0, 0.0, 90000.0), "elsewhere")
    plot_event(event, tmp_path / "x.png", tracks=[away])
    [words] = figures[0].legends[0].get_texts()
    assert words.get_text().endswith("(misses the detector)")
    assert np.ptp(figures[0].axes[0].get_ylim()) < 2000.0


@pytest.mark.parametrize(
    ("name", "selection"), [("splinempe", "all"), ("a_reco_of_$\\frac" + 150 * "x", "cleaned")]
)
def test_words_fit_into_the_picture(
    event: Event, tmp_path: Path, figures: list[Any], name: str, selection: Any
) -> None:
    labels = (f"best fit of {name}", "simulated truth")
    tracks = [DrawnTrack(1.4, 1.0, (0.0, 0.0, 0.0), label) for label in labels]
    plot_event(event, tmp_path / "x.png", tracks=tracks, selection=selection)
    [figure] = figures
    figure.canvas.draw()
    frame = figure.bbox
    for axes in figure.axes:
        place = axes.get_tightbbox()
        assert frame.x0 <= place.x0 < place.x1 <= frame.x1
        assert frame.y0 <= place.y0 < place.y1 <= frame.y1
    places = [words.get_window_extent() for words in (*figure.texts, *figure.legends)]
    for number, place in enumerate(places):
        assert frame.x0 <= place.x0 < place.x1 <= frame.x1
        assert place.count_overlaps(places[number + 1 :]) == 0


def test_pictures_and_scales_do_not_cover_each_other(
    event: Event, track: DrawnTrack, tmp_path: Path, figures: list[Any]
) -> None:
    plot_event(event, tmp_path / "x.png", tracks=[track])
    [figure] = figures
    figure.canvas.draw()
    places = [axes.get_tightbbox() for axes in figure.axes] + [
        words.get_window_extent() for words in (*figure.texts, *figure.legends)
    ]
    for number, place in enumerate(places):
        assert place.count_overlaps(places[number + 1 :]) == 0


@pytest.mark.parametrize("charge", [0.0, 1.0, 0.37, 5e4])
def test_one_hit_module_and_equal_charges_can_be_drawn(
    event: Event, track: DrawnTrack, tmp_path: Path, charge: float
) -> None:
    for n in (1, 5):
        alike = hits(event, np.arange(200, 200 + n), np.full(n, 1e4), np.full(n, charge))
        path = plot_event(alike, tmp_path / "x.png", selection="all", tracks=[track], dpi=50)
        assert path.read_bytes().startswith(b"\x89PNG")


def test_thirty_thousand_pulses_can_be_drawn(
    event: Event, track: DrawnTrack, tmp_path: Path
) -> None:
    generator = np.random.default_rng(3)
    big = hits(
        event,
        generator.integers(0, event.detector.n_om, 30_000),
        generator.normal(12000.0, 800.0, 30_000),
        generator.exponential(30.0, 30_000),
    )
    for suffix, head in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        picture = plot_event(big, tmp_path / f"big{suffix}", tracks=[track])
        assert picture.read_bytes().startswith(head)


def test_an_event_without_pulses_is_refused(event: Event, tmp_path: Path) -> None:
    empty = hits(event, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    selections: tuple[Selection, ...] = ("cleaned", "all")
    for selection in selections:
        with pytest.raises(EventError, match="SplitInIcePulses: the event has no pulses"):
            plot_event(empty, tmp_path / "x.png", selection=selection)
    assert list(tmp_path.iterdir()) == []


def test_when_cleaning_leaves_nothing_the_way_out_is_named(event: Event) -> None:
    lonely = hits(event, [3, 4000], [1e4, 2e4], [1.0, 1.0])
    with pytest.raises(EventError, match=r"found 2 pulses.*wanted --pulses all"):
        select_pulses(lonely, "cleaned")
    assert len(select_pulses(lonely, "all")) == 2


def test_scattered_noise_does_not_change_the_scale_of_times() -> None:
    times = np.linspace(10000.0, 13000.0, 301)
    alone = PulseSeries.from_columns(np.arange(301), times, np.ones(301))
    noisy = PulseSeries.from_columns(
        np.arange(303), np.concatenate([times, [2000.0, 40000.0]]), np.ones(303)
    )
    assert time_limits(alone) == pytest.approx((10060.0, 12850.0))
    assert time_limits(noisy) == pytest.approx(time_limits(alone))


def test_the_scale_of_times_has_a_width() -> None:
    assert time_limits(PulseSeries.from_columns([5], [10000.0], [1.0])) == (9950.0, 10050.0)


@pytest.mark.parametrize(
    ("charges", "examples"),
    [
        ([1.0], [1.0]),
        ([0.0], [0.1]),
        ([0.3, 70.0], [1.0, 10.0]),
        ([3.0, 8.4], [8.0]),
        ([0.2, 3e5], [100.0, 1000.0, 1e4, 1e5]),
    ],
)
def test_the_legend_shows_charges_that_occur(charges: list[float], examples: list[float]) -> None:
    assert example_charges(np.array(charges)) == pytest.approx(examples)


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")]
)
def test_the_suffix_says_the_format(
    event: Event, track: DrawnTrack, tmp_path: Path, suffix: str, start: bytes
) -> None:
    path = plot_event(event, tmp_path / f"event{suffix}", tracks=[track])
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_a_png_is_1800_pixels_wide(event: Event, tmp_path: Path) -> None:
    path = plot_event(event, tmp_path / "event.png")
    assert matplotlib.image.imread(path).shape == (1440, 1800, 4)


def test_what_cannot_be_written_leaves_the_old_file(event: Event, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"event\.gif: no such picture format \(found \.gif"):
        plot_event(event, tmp_path / "event.gif")
    with pytest.raises(OutputError, match="cannot be written"):
        plot_event(event, tmp_path / "nowhere" / "event.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError):
        plot_event(event, tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
