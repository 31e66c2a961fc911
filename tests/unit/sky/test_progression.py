"""Legal progressions are read, all others are refused with the reason."""

from __future__ import annotations

import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.sky.progression import DEFAULT_PROGRESSION, NSideProgression


def test_strings_and_pairs_mean_the_same() -> None:
    progression = NSideProgression.parse(["8:0", "64:12", " 512:24 "])
    assert progression == NSideProgression.parse([(8, 0), (64, 12), (512, 24)])
    assert progression == DEFAULT_PROGRESSION


def test_progression_tells_its_parts() -> None:
    assert DEFAULT_PROGRESSION.nsides == (8, 64, 512)
    assert [DEFAULT_PROGRESSION.extension(nside) for nside in (8, 64, 512)] == [0, 12, 24]
    assert DEFAULT_PROGRESSION.level(512) == 2
    assert list(DEFAULT_PROGRESSION.refinements()) == [(8, 64, 12), (64, 512, 24)]
    assert list(DEFAULT_PROGRESSION) == [(8, 0), (64, 12), (512, 24)]
    assert len(DEFAULT_PROGRESSION) == 3


def test_text_can_be_read_again() -> None:
    assert NSideProgression.parse(str(DEFAULT_PROGRESSION).split()) == DEFAULT_PROGRESSION


def test_one_nside_is_enough() -> None:
    assert list(NSideProgression.parse(["1:0"]).refinements()) == []


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "no nside"),
        (["8:1"], "first nside"),
        (["8:0", "64:0"], "must be positive"),
        (["8:0", "64:-3"], "must be positive"),
        (["8:0", "8:12"], "twice"),
        (["8:0", "64:12", "64:24"], "twice"),
        (["64:0", "8:12"], "ascend"),
        (["8:0", "512:12", "64:24"], "ascend"),
        (["7:0"], "power of two"),
        (["0:0"], "power of two"),
        (["2097152:0"], "power of two"),
        (["8"], "not an nside"),
        (["8:"], "not an nside"),
        (["8:0:0"], "not an nside"),
        (["8:0", "64:1.5"], "not an nside"),
        (["8:0", "64:1e1"], "not an nside"),
        (["-8:0"], "not an nside"),
        (["8:0", "64:nan"], "not an nside"),
        (["\u0668:0"], "not an nside"),  # int() would read the Arabic digit
        (["9" * 5000 + ":0"], "not an nside"),
        ([""], "not an nside"),
        ([(8, 0.0)], "not an nside"),
        ([(8, 0), (64, True)], "not an nside"),
        ([(8, 0, 0)], "not an nside"),
    ],
)
def test_illegal_progression_is_refused_with_the_reason(items: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        NSideProgression.parse(items)
    assert caught.value.exit_code == 2
    assert caught.value.place == "--nsides"
    assert caught.value.found is not None
    assert caught.value.wanted is not None


@pytest.mark.parametrize(
    ("steps", "sky_fraction", "is_legal"),
    [
        ("2048:0", 1.0, True),
        ("4096:0", 1.0, False),
        ("4096:0", 0.2, True),
        ("1:0 1048576:1", 1.0, False),
        ("1:0 1048576:1", 1e-9, True),
        ("8:0 64:12 512:24 8192:100", 1.0, True),
    ],
)
def test_more_pixels_than_a_scan_can_have_are_refused(
    steps: str, sky_fraction: float, is_legal: bool
) -> None:
    progression = NSideProgression.parse(steps.split())
    if is_legal:
        progression.check_size(sky_fraction)
        return
    with pytest.raises(UsageError, match=r"--nsides: too many pixels .*at most 50331648"):
        progression.check_size(sky_fraction)
