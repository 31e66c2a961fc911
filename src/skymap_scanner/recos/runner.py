"""Runs a reconstruction on pixel variations, however it is written: natively or for a tray.

The callable that `make_runner` returns is all that a worker knows of physics.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import math
from typing import TYPE_CHECKING, TypeAlias

from skymap_scanner.exceptions import PluginError
from skymap_scanner.pixels import Fit, FitStatus, RecoPixelVariation, Seed, TaskKey
from skymap_scanner.recos.interface import RecoInterface, is_native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skymap_scanner.event import Event

    Runner: TypeAlias = Callable[[Seed, TaskKey], Fit]

__all__ = ["check_fit", "make_runner"]

logger = logging.getLogger(__name__)


def make_runner(
    reco: RecoInterface, event: Event, packet: Sequence[object] | None = None
) -> Runner:
    """Prepare `event` for `reco` and return what fits one pixel variation.

    Parameters
    ----------
    reco : RecoInterface
        Native (``prepare`` and ``fit``), or for a tray (``traysegment`` and ``to_pixelreco``). The
        latter runs in IceTray where ``icecube`` can be imported, else in our own small tray, which
        takes modules that are Python callables.
    event : Event
        What was measured.
    packet : sequence of i3.Frame, optional
        The event's G, C, D, Q, P frames for a tray; by default those of `event`.

    Returns
    -------
    callable
        ``runner(seed, key)`` returns a `Fit`: a failed one when the reconstruction returned
        something else, or numbers that are not finite. Its exceptions go through.

    Raises
    ------
    EventError
        The reco cannot work on this event.
    PluginError
        The reco has neither way, or needs IceTray and there is none.
    """
    if is_native(reco):
        reco.warm_up()
        prepared = reco.prepare(event)

        def run(seed: Seed, key: TaskKey) -> Fit:
            del key  # a native fit may depend on its seed only
            return check_fit(reco.fit(prepared, seed), reco.name)

        return run

    cls = type(reco)
    if (
        cls.traysegment is RecoInterface.traysegment
        or cls.to_pixelreco is RecoInterface.to_pixelreco
    ):
        msg = (
            f"reco {reco.name}: class {cls.__qualname__} needs either prepare and fit, "
            "or traysegment and to_pixelreco"
        )
        raise PluginError(msg)
    frames = event.frames if packet is None else packet
    fit_in_tray = _icetray_runner(reco, event, frames)

    def run_tray(seed: Seed, key: TaskKey) -> Fit:
        return fit_of_pixelreco(fit_in_tray(seed, key), key, reco.name)

    return run_tray


def _icetray_runner(
    reco: RecoInterface, event: Event, frames: Sequence[object]
) -> Callable[[Seed, TaskKey], object]:
    """Choose the tray."""
    if importlib.util.find_spec("icecube") is not None:
        from skymap_scanner.recos.icetray_runner import IceTrayRunner

        logger.info("reco %s runs in IceTray", reco.name)
        return IceTrayRunner(reco, frames)
    from skymap_scanner.recos.tray_runner import TrayRunner

    logger.info("reco %s runs in our own tray: icecube cannot be imported", reco.name)
    return TrayRunner(reco, event, frames)


def check_fit(fit: object, reco_name: str) -> Fit:
    """Return what a native fit gave, with plain numbers, or a failed fit that says what is wrong.

    Parameters
    ----------
    fit : object
        Should be a `Fit`.
    reco_name : str
        Whose it is, for the reason.

    Returns
    -------
    Fit
        Status OK only with finite nll, vertex and time; all numbers are Python's own.
    """
    if not isinstance(fit, Fit):
        return Fit.failed(f"reco {reco_name} returned {type(fit).__name__} instead of Fit")
    if fit.status is not FitStatus.OK:
        return dataclasses.replace(
            fit, status=FitStatus.FAILED, reason=fit.reason or "no reason given", nll=math.inf
        )
    try:
        x, y, z = (float(value) for value in fit.vertex)
        plain = Fit(
            status=FitStatus.OK,
            reason="",
            nll=float(fit.nll),
            vertex=(x, y, z),
            vertex_time=float(fit.vertex_time),
            energy=float(fit.energy),
            energy_in=float(fit.energy_in),
            energy_total=float(fit.energy_total),
            n_evaluations=int(fit.n_evaluations),
        )
    except (TypeError, ValueError) as error:
        return Fit.failed(f"reco {reco_name} returned a Fit that is not made of numbers: {error}")
    if not math.isfinite(plain.nll):
        return Fit.failed(f"reco {reco_name} returned nll {plain.nll}")
    if not all(map(math.isfinite, (*plain.vertex, plain.vertex_time))):
        return Fit.failed(
            f"reco {reco_name} returned vertex {plain.vertex} m at {plain.vertex_time} ns"
        )
    return plain


def fit_of_pixelreco(result: object, key: TaskKey, reco_name: str) -> Fit:
    """Return what ``to_pixelreco`` gave as a `Fit`, a failed one if it is not what was wanted."""
    if not isinstance(result, RecoPixelVariation):
        kind = type(result).__name__
        return Fit.failed(f"reco {reco_name} returned {kind} instead of RecoPixelVariation")
    if result.id_tuple != key:
        return Fit.failed(f"reco {reco_name} returned pixel variation {result.id_tuple}, not {key}")
    return check_fit(result.to_fit(), reco_name)
