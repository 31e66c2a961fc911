"""Which reconstructions there are, how they are found, and how plug-ins fail."""

from __future__ import annotations

import subprocess
import sys
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from skymap_scanner.exceptions import PluginError, UsageError
from skymap_scanner.recos import RecoInterface, get_reco_class, make_reco, option, reco_names
from skymap_scanner.recos import registry as registry_module

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Options:
    width: float = option(1.0, help="a width", unit="m")


class MyReco(RecoInterface):
    options_type: ClassVar[type[Any]] = Options


class ClassicPlugin(RecoInterface):
    """Its constructor is that of the classic scanner and does not call ours with settings."""

    def __init__(self, realtime_format_version: str) -> None:
        super().__init__(realtime_format_version)
        self.version_seen = realtime_format_version


class SilentPlugin(RecoInterface):
    options_type: ClassVar[type[Any]] = Options

    def __init__(self) -> None:
        """Call nobody."""


class BrokenPlugin(RecoInterface):
    def __init__(self) -> None:
        raise OSError("no table")


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Callable[..., types.ModuleType]:
    """Make a module and entry points that name it or things in it."""
    module = types.ModuleType("announced_plugin")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def announce(content: dict[str, object], **points: str) -> types.ModuleType:
        vars(module).update(content)
        found = tuple(
            EntryPoint(name, value, registry_module.ENTRY_POINT_GROUP)
            for name, value in points.items()
        )
        monkeypatch.setattr(registry_module, "entry_points", lambda **_: found)
        return module

    return announce


def test_ours_are_listed_and_nothing_else_of_the_folder() -> None:
    names = reco_names()
    assert names == sorted(names)
    assert {"dummy", "crash_dummy", "splinempe", "splinempe_pointed"} <= set(names)
    assert {"millipede_original", "millipede_wilks"} <= set(names)
    assert not {"common", "likelihood", "segmented", "seeding"} & set(names)


@pytest.mark.parametrize("name", ["crash_dummy", "CrashDummy", "crashdummy", "CRASH_DUMMY"])
def test_look_up_ignores_case_and_underscores(name: str) -> None:
    assert get_reco_class(name).__name__ == "CrashDummy"


@pytest.mark.parametrize("name", ["common", "", "recos", "segmented"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match=r"--reco-algo.*crash_dummy, dummy"):
        get_reco_class(name)


def test_listing_imports_no_reconstruction() -> None:
    code = (
        "import sys; from skymap_scanner.recos import reco_names; reco_names();"
        "heavy = ('numba', 'scipy', 'skymap_scanner.recos.d');"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_reach_the_reco_and_are_recorded() -> None:
    reco = make_reco("dummy", {"sleep_max_s": "0"})
    assert reco.describe_options() == {"sleep_min_s": 1.0, "sleep_max_s": 0.0}
    with pytest.raises(UsageError, match="sleep_min_s"):
        make_reco("dummy", {"nap": "0"})


def test_the_name_of_a_class_without_one_is_its_own_in_snake_case() -> None:
    assert MyReco.name == "my_reco"
    assert get_reco_class("crash_dummy").name == "crash_dummy"


def test_an_entry_point_may_name_a_class_or_a_module(
    announce: Callable[..., types.ModuleType],
) -> None:
    announce({"MyReco": MyReco, "Other": int}, my_reco="announced_plugin:MyReco")
    assert get_reco_class("MyReco") is MyReco
    assert "my_reco" in reco_names()
    announce({"RECO_CLASS": MyReco}, my_reco="announced_plugin")
    assert get_reco_class("my_reco") is MyReco


def test_a_module_without_reco_class_is_searched_for_the_recos_name(
    announce: Callable[..., types.ModuleType],
) -> None:
    announce({"MyReco": MyReco, "RecoInterface": RecoInterface}, my_reco="announced_plugin")
    assert get_reco_class("my_reco") is MyReco


def test_a_plug_in_cannot_replace_ours(
    announce: Callable[..., types.ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    announce({"Dummy": MyReco}, Dummy="announced_plugin:Dummy")
    assert get_reco_class("dummy") is not MyReco
    assert [name for name in reco_names() if name.lower() == "dummy"] == ["dummy"]
    assert "the name is taken" in caplog.text


@pytest.mark.parametrize(
    ("content", "point", "complaint"),
    [
        ({}, "no_such_module_anywhere", "cannot import no_such_module_anywhere"),
        ({}, "announced_plugin:Absent", "cannot import"),
        ({"Thing": int}, "announced_plugin:Thing", "no RecoInterface class"),
        ({}, "announced_plugin", "no RECO_CLASS"),
        ({"RECO_CLASS": int}, "announced_plugin", "no RECO_CLASS"),
        ({"RECO_CLASS": ClassicPlugin}, "announced_plugin", "must have the same name"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_says_why_and_hides_no_other(
    announce: Callable[..., types.ModuleType],
    content: dict[str, object],
    point: str,
    complaint: str,
) -> None:
    announce(content, my_reco=point)
    assert "my_reco" in reco_names()
    assert get_reco_class("dummy").name == "dummy"
    with pytest.raises(PluginError, match=complaint):
        get_reco_class("my_reco")


def test_a_classic_constructor_gets_the_realtime_version(
    announce: Callable[..., types.ModuleType],
) -> None:
    announce({"RECO_CLASS": ClassicPlugin}, classic_plugin="announced_plugin")
    reco = make_reco("classic_plugin", realtime_format_version="2023a")
    assert isinstance(reco, ClassicPlugin)
    assert (reco.version_seen, reco.realtime_format_version) == ("2023a", "2023a")
    assert reco.describe_options() == {}
    with pytest.raises(UsageError, match="no settings"):
        make_reco("classic_plugin", {"a": "1"})


def test_a_constructor_that_ignores_ours_still_has_settings(
    announce: Callable[..., types.ModuleType],
) -> None:
    announce({"RECO_CLASS": SilentPlugin}, silent_plugin="announced_plugin")
    assert make_reco("silent_plugin", {"width": "3"}).describe_options() == {"width": 3.0}


def test_a_constructor_that_fails_is_the_plug_ins_fault(
    announce: Callable[..., types.ModuleType],
) -> None:
    announce({"RECO_CLASS": BrokenPlugin}, broken_plugin="announced_plugin")
    with pytest.raises(PluginError, match=r"reco broken_plugin.*no table"):
        make_reco("broken_plugin")
