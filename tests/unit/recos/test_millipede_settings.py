"""Names and settings of the two millipede reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event import built_in_detector
from skymap_scanner.exceptions import EventError, UsageError
from skymap_scanner.recos import get_reco_class, make_reco, reco_names
from skymap_scanner.recos.millipede_original import MillipedeOriginal
from skymap_scanner.recos.millipede_wilks import MillipedeWilks
from skymap_scanner.recos.segmented import parse_modules

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.event import Event

    MakeEvent = Callable[..., Event]

DETECTOR = built_in_detector()
RECOS = (MillipedeOriginal, MillipedeWilks)
NAMES = ["millipede_original", "millipede_wilks"]


def test_both_are_found_by_their_names() -> None:
    assert set(NAMES) <= set(reco_names())
    for name, cls in zip(NAMES, RECOS, strict=True):
        assert get_reco_class(name) is cls
        assert cls.name == name
        assert cls.add_fallback_position


def test_classic_variations_are_the_octahedron_of_seven() -> None:
    assert MillipedeOriginal().get_vertex_variations().shape == (1, 3)
    offsets = MillipedeOriginal({"variations": "classic"}).get_vertex_variations()
    assert offsets.shape == (7, 3)
    assert sorted(np.linalg.norm(offsets, axis=1).tolist()) == [0.0] + [20.0] * 6
    assert not MillipedeOriginal.rotate_vertex
    assert not MillipedeOriginal.refine_time
    assert MillipedeWilks.rotate_vertex
    assert MillipedeWilks.refine_time
    assert MillipedeWilks().get_vertex_variations().shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("", []),
        ("  ", []),
        ("12-34", [(12, 34)]),
        ("12-34,5-60", [(12, 34), (5, 60)]),
        (" 1-2 , 3-4 ", [(1, 2), (3, 4)]),
    ],
)
def test_lists_of_modules_are_read(text: str, modules: list[tuple[int, int]]) -> None:
    assert parse_modules(text) == modules


@pytest.mark.parametrize("text", ["12", "12-", "a-b", "1-2,,3-4", "1-2;3-4", "1-2-3", "-1-2", ","])
def test_other_lists_are_refused(text: str, make_toy_event: MakeEvent) -> None:
    with pytest.raises(UsageError, match="not a list of modules"):
        parse_modules(text)
    with pytest.raises(UsageError):
        make_reco("millipede_wilks", {"bad_doms": text}).check_event(make_toy_event())


@pytest.mark.parametrize("module", ["99-1", "1-0", "1-61", "999999999999-1"])
def test_modules_that_do_not_exist_are_refused(module: str, make_toy_event: MakeEvent) -> None:
    for name in NAMES:
        with pytest.raises(EventError, match="unknown optical module"):
            make_reco(name, {"bad_doms": module}).check_event(make_toy_event())


def test_bad_modules_do_not_count(make_toy_event: MakeEvent) -> None:
    event = make_toy_event()
    clean = MillipedeOriginal({"bad_doms": "36-20,1-1"}).clean(event)
    assert not clean.is_usable[DETECTOR.indices_of([36, 1], [20, 1])].any()
    assert MillipedeOriginal().clean(event).is_usable[DETECTOR.index_of(36, 20)]


def test_wilks_can_use_a_sparse_grid_of_dark_modules_and_no_deepcore(toy_event: Event) -> None:
    clean = MillipedeWilks({"unhit": "sparse"}).clean(toy_event)
    assert clean.is_dark.sum() <= 252
    assert not clean.is_usable[DETECTOR.is_deepcore].any()
    assert MillipedeWilks().clean(toy_event).is_dark.sum() > 4000
    assert MillipedeOriginal().clean(toy_event).is_dark.sum() > 4000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("millipede_original", {"variations": "many"}),
        ("millipede_original", {"bright_factor": "0.5"}),
        ("millipede_original", {"noise_rate_hz": "0"}),
        ("millipede_original", {"late_pulse_residual": "-1"}),
        ("millipede_original", {"relative_uncertainty": "1"}),
        ("millipede_wilks", {"relative_uncertainty": "-1"}),
        ("millipede_wilks", {"relative_uncertainty": "nan"}),
        ("millipede_wilks", {"likelihood": "other"}),
        ("millipede_wilks", {"variations": "classic"}),
    ],
)
def test_illegal_settings_are_refused(name: str, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        make_reco(name, options)


def test_an_unknown_light_model_is_refused(toy_event: Event) -> None:
    with pytest.raises(UsageError):
        make_reco("millipede_original", {"light": "no_such_ice"}).prepare(toy_event)
