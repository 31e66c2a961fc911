"""Which reconstructions there are: ours, and those of packages that announce an entry point.

Listing loads nothing; a module is imported when its reco is asked for.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from skymap_scanner.exceptions import PluginError, UsageError
from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.recos.options import parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint
    from types import ModuleType

__all__ = ["ENTRY_POINT_GROUP", "get_reco_class", "make_reco", "reco_names"]

logger = logging.getLogger(__name__)

#: Third-party packages name their reco modules (or classes) in this group.
ENTRY_POINT_GROUP: Final = "skymap_scanner.recos"

#: Our own: name on the command line -> module.
_BUILT_IN: Final = {
    "crash_dummy": "skymap_scanner.recos.crash_dummy",
    "dummy": "skymap_scanner.recos.dummy",
    "millipede_original": "skymap_scanner.recos.millipede_original",
    "millipede_wilks": "skymap_scanner.recos.millipede_wilks",
    "splinempe": "skymap_scanner.recos.splinempe",
    "splinempe_pointed": "skymap_scanner.recos.splinempe_pointed",
}


def reco_names() -> list[str]:
    """Return the names of all reconstructions, sorted; nothing is imported for it."""
    return sorted({*_BUILT_IN, *_plugins()})


def get_reco_class(name: str) -> type[RecoInterface]:
    """Load the class of one reconstruction.

    Parameters
    ----------
    name : str
        Name of the reco or of its class; case and underscores do not matter.

    Returns
    -------
    type
        A subclass of `RecoInterface`.

    Raises
    ------
    UsageError
        No reco of this name; the error lists those that are there.
    PluginError
        A plug-in of this name cannot be imported or is not a reco.
    """
    wanted = _normal(name)
    for built_in, module_name in _BUILT_IN.items():
        if _normal(built_in) == wanted:
            return _class_in(importlib.import_module(module_name), built_in)
    for plugin, entry_point in _plugins().items():
        if _normal(plugin) == wanted:
            return _load_plugin(plugin, entry_point)
    raise UsageError(
        "no such reconstruction",
        place="--reco-algo",
        found=repr(name),
        wanted=f"one of: {', '.join(reco_names())}",
    )


def make_reco(
    name: str, options: Mapping[str, str] | None = None, *, realtime_format_version: str = ""
) -> RecoInterface:
    """Make a reconstruction with its settings.

    Parameters
    ----------
    name : str
        As for `get_reco_class`.
    options : mapping of str to str, optional
        Settings as the user wrote them.
    realtime_format_version : str
        Version of the realtime message, for classic plug-ins that want it.

    Raises
    ------
    UsageError
        Unknown name, unknown setting or illegal value.
    PluginError
        The plug-in cannot be loaded or its constructor fails.
    """
    cls = get_reco_class(name)
    offered = {"options": options, "realtime_format_version": realtime_format_version}
    parameters = inspect.signature(cls).parameters
    try:
        reco = cls(**{key: value for key, value in offered.items() if key in parameters})  # type: ignore[arg-type]  # each key has its own type
    except (UsageError, PluginError):
        raise
    except Exception as error:
        msg = f"reco {cls.name}: cannot make a {cls.__qualname__}: {error}"
        raise PluginError(msg) from error
    if "options" not in parameters or not hasattr(reco, "options"):
        # A classic plug-in's own constructor knows no settings and may not call ours.
        reco.options = parse_options(cls.options_type, options or {}, cls.name)
    reco.realtime_format_version = realtime_format_version
    return reco


def _normal(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _plugins() -> dict[str, EntryPoint]:
    """Return the entry points of third-party recos by name; ours cannot be replaced."""
    plugins: dict[str, EntryPoint] = {}
    taken = {_normal(name) for name in _BUILT_IN}
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=_order):
        if _normal(entry_point.name) in taken:
            first = plugins.get(entry_point.name)
            if first is None or first.value != entry_point.value:
                logger.warning(
                    "reco %r of %s is left out: the name is taken",
                    entry_point.name,
                    _owner(entry_point),
                )
            continue
        taken.add(_normal(entry_point.name))
        plugins[entry_point.name] = entry_point
    return plugins


def _order(entry_point: EntryPoint) -> tuple[str, str]:
    return (entry_point.name, entry_point.value)


def _owner(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"package {dist.name} {dist.version}" if dist is not None else entry_point.value


def _load_plugin(name: str, entry_point: EntryPoint) -> type[RecoInterface]:
    try:
        loaded = entry_point.load()
    except Exception as error:
        msg = f"reco {name}: cannot import {entry_point.value} of {_owner(entry_point)}: {error}"
        raise PluginError(msg) from error
    cls = _class_in(loaded, name) if inspect.ismodule(loaded) else loaded
    if not (isinstance(cls, type) and issubclass(cls, RecoInterface)):
        msg = f"reco {name}: {entry_point.value} of {_owner(entry_point)} is no RecoInterface class"
        raise PluginError(msg)
    if _normal(cls.name) != _normal(name):
        msg = (
            f"reco {name}: class {cls.__qualname__} of {_owner(entry_point)} calls itself "
            f"{cls.name!r}; entry point and class must have the same name"
        )
        raise PluginError(msg)
    return cls


def _class_in(module: ModuleType, name: str) -> type[RecoInterface]:
    """Find a module's reco: its ``RECO_CLASS``, else the class named like the module or reco."""
    candidate = getattr(module, "RECO_CLASS", None)
    if candidate is None:
        names = {_normal(name), _normal(module.__name__.rpartition(".")[2])}
        candidate = next(
            (
                value
                for key, value in vars(module).items()
                if _normal(key) in names and inspect.isclass(value)
            ),
            None,
        )
    if not (isinstance(candidate, type) and issubclass(candidate, RecoInterface)):
        msg = (
            f"reco {name}: module {module.__name__} has no RECO_CLASS and no class of the reco's "
            "name (CamelCase) that inherits RecoInterface"
        )
        raise PluginError(msg)
    return candidate
