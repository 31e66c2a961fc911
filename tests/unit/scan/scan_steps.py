"""Steps of a scan as its tests take them: fits, answers to tasks, what is sent then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skymap_scanner.pixels import Fit, FitStatus, TaskKey
from skymap_scanner.scan.state import FitReceived, Instruction, ScanStarted, ScanState, SendPixels
from skymap_scanner.sky.healpix import angular_distance, pixel_centers

MakeState = Callable[..., ScanState]


def fit_of(nll: float, x: float = 1.0) -> Fit:
    return Fit(FitStatus.OK, "", nll, (x, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)


def sends(instructions: list[Instruction]) -> list[SendPixels]:
    return [instruction for instruction in instructions if isinstance(instruction, SendPixels)]


def keys_of(send: SendPixels, n_variations: int = 1) -> list[TaskKey]:
    return [(send.nside, ipix, v) for ipix in send.ipix.tolist() for v in range(n_variations)]


def answer(state: ScanState, keys: list[TaskKey], fit: Callable[[TaskKey], Fit]) -> Any:
    """Answer tasks and return all instructions that come back."""
    return [out for key in keys for out in state.handle(FitReceived(key, fit(key)))]


def lowest_at(ipix: int) -> Callable[[TaskKey], Fit]:
    return lambda key: fit_of(1.0 if key[1] == ipix else 10.0 + key[1])


def with_moved_best(state: ScanState) -> list[SendPixels]:
    """Let the finer pixel farthest from the first best be the best; return what is sent then."""
    [first] = sends(state.handle(ScanStarted()))
    [second] = sends(answer(state, keys_of(first), lowest_at(0)))
    centers = pixel_centers(second.nside, second.ipix)
    best = pixel_centers(first.nside, [0])
    farthest = int(second.ipix[np.argmax(angular_distance(*centers, *best))])
    third = sends(
        answer(state, keys_of(second), lambda key: fit_of(0.0 if key[1] == farthest else 50.0))
    )
    assert not set(third[0].ipix) & set(second.ipix), "what was sent is not sent again"
    return third
