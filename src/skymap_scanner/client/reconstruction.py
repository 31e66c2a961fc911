"""What a child process builds of the startup JSON, once: the function that fits a variation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.client.startup import StartupFile
    from skymap_scanner.pixels import Fit, Seed, TaskKey

    Runner: TypeAlias = Callable[[Seed, TaskKey], Fit]

__all__ = ["DEFAULT_FACTORY", "build_runner", "load_factory"]

#: What makes a runner of a startup JSON, as ``module:function``.
DEFAULT_FACTORY: Final = f"{__name__}:build_runner"


def load_factory(name: str) -> Callable[[StartupFile], Runner]:
    """Import ``module:function``."""
    module, _, function = name.partition(":")
    factory: Callable[[StartupFile], Runner] = getattr(importlib.import_module(module), function)
    return factory


def build_runner(startup: StartupFile) -> Runner:
    """Build event and reconstruction and prepare them; kernels are compiled when this returns.

    Raises
    ------
    InputError
        When event, reconstruction or its options cannot be used here.
    PluginError
        When a third-party reconstruction misbehaves.
    """
    from skymap_scanner.event import event_from_frames
    from skymap_scanner.i3 import packet_from_json
    from skymap_scanner.recos.registry import make_reco
    from skymap_scanner.recos.runner import make_runner

    reco = make_reco(
        startup.reco_name,
        startup.reco_options,
        realtime_format_version=startup.event_version,
    )
    packet = packet_from_json(dict(startup.gcdqp_packet))
    baseline = _find_same_baseline(startup.baseline_gcd_file)
    # Where the server had no baseline file, we must not find one.
    event = event_from_frames(
        packet, version=startup.event_version, baseline_gcd=baseline, searches_baseline=False
    )
    return make_runner(reco, event, packet)


def _find_same_baseline(name: str | None) -> Path | None:
    """Return the baseline GCD file that the server used, as this machine has it.

    Raises
    ------
    EventError
        When it is neither where the server has it nor in a standard place.
    """
    if name is None:
        return None
    path = Path(name)
    if path.is_file():
        return path
    from skymap_scanner.event.baseline import find_baseline

    found = find_baseline(path.name)
    if found is None:
        raise EventError(
            "this machine does not have the baseline GCD file of the server; all clients must see "
            "the same file",
            place="baseline_GCD_file",
            found=name,
            wanted="a file here or of the same name in a standard place",
        )
    return found
