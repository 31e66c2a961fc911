"""Settings of a reconstruction: declared once, checked, listed, recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from skymap_scanner.exceptions import PluginError, UsageError
from skymap_scanner.recos.options import (
    NoOptions,
    describe,
    list_options,
    option,
    parse_assignments,
    parse_options,
)


@dataclass(frozen=True, slots=True)
class Options:
    sigma_ns: float = option(15.0, help="timing uncertainty", unit="ns", minimum=0.1, maximum=100)
    n_starts: int = option(3, help="how many starts", minimum=1)
    use_noise: bool = option(True, help="whether there is noise")
    variations: Literal["classic", "point"] = option("classic", help="set of variations")
    table: str = option("", help="file with a table")
    cap: float | None = option(None, help="largest charge", unit="PE", minimum=1.0)


def test_what_is_not_named_keeps_its_default() -> None:
    assert parse_options(Options, {}, "r") == Options()


def test_texts_become_values_of_the_right_type() -> None:
    texts = {
        "sigma_ns": "7",
        "n_starts": "5",
        "use_noise": "No",
        "variations": "point",
        "table": "a=b",
        "cap": "30",
    }
    parsed = parse_options(Options, texts, "r")
    assert parsed == Options(7.0, 5, False, "point", "a=b", 30.0)
    assert isinstance(parsed.sigma_ns, float)
    assert parse_options(Options, {"cap": "none"}, "r").cap is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sigma_ns", "x"),
        ("sigma_ns", ""),
        ("sigma_ns", "nan"),
        ("sigma_ns", "inf"),
        ("sigma_ns", "0"),
        ("sigma_ns", "100.1"),
        ("sigma_ns", "none"),
        ("n_starts", "2.5"),
        ("n_starts", "0"),
        ("use_noise", "maybe"),
        ("variations", "Classic"),
        ("cap", "0.5"),
    ],
)
def test_an_illegal_value_says_what_would_be_legal(name: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(Options, {name: text}, "my_reco")
    message = str(caught.value)
    for part in ("--reco-option", "my_reco", f"{name}={text}", "default"):
        assert part in message


def test_an_unknown_name_lists_the_known_ones_with_their_defaults() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(Options, {"sigma": "3"}, "my_reco")
    message = str(caught.value)
    for part in ("sigma=3", "sigma_ns (number from 0.1 to 100, default 15 ns)", "default true"):
        assert part in message


def test_a_reco_without_settings_says_so() -> None:
    with pytest.raises(UsageError, match="it has no settings"):
        parse_options(NoOptions, {"a": "b"}, "dull")


def test_settings_that_contradict_each_other_are_the_users_error() -> None:
    @dataclass(frozen=True)
    class Pair:
        low: float = option(0.0, help="low")
        high: float = option(1.0, help="high")

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    with pytest.raises(UsageError, match="low is above high"):
        parse_options(Pair, {"low": "2"}, "r")


def test_the_listing_has_type_default_unit_and_help() -> None:
    infos = {info.name: info for info in list_options(Options)}
    assert list(infos) == [
        "sigma_ns",
        "n_starts",
        "use_noise",
        "variations",
        "table",
        "cap",
    ]
    assert infos["n_starts"].type_name == "integer >= 1"
    assert infos["variations"].type_name == "classic or point"
    assert infos["cap"].type_name == "number >= 1 or none"
    assert (infos["sigma_ns"].unit, infos["sigma_ns"].help) == ("ns", "timing uncertainty")


def test_what_is_recorded_is_plain() -> None:
    assert describe(Options(cap=2.0)) == {
        "sigma_ns": 15.0,
        "n_starts": 3,
        "use_noise": True,
        "variations": "classic",
        "table": "",
        "cap": 2.0,
    }


@pytest.mark.parametrize("broken", [dict, 3])
def test_settings_must_be_a_dataclass(broken: type) -> None:
    with pytest.raises(PluginError, match="frozen dataclass"):
        list_options(broken)


def test_a_setting_of_another_type_or_without_default_is_the_plug_ins_fault() -> None:
    @dataclass(frozen=True)
    class Listing:
        names: list[str] = option(None, help="names")  # noqa: RUF009  # a field

    @dataclass(frozen=True)
    class Bare:
        sigma: float

    with pytest.raises(PluginError, match=r"Listing\.names"):
        list_options(Listing)
    with pytest.raises(PluginError, match=r"Bare.sigma.*default"):
        list_options(Bare)


def test_assignments_are_split_at_the_first_equals_sign() -> None:
    assert parse_assignments(["a=1", " b = x=y ", "a=1"]) == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a=1", "a=2"]])
def test_no_assignment_is_the_users_error(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="--reco-option"):
        parse_assignments(texts)
