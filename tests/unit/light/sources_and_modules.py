"""Places, directions and times that tests of the light model ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

SOURCE = np.array([20.0, -30.0, -350.0])
UP = np.array([0.0, 0.0, 1.0])
EDGES = np.array([-10.0, 0.0, 0.5, 3.0, 20.0, 150.0, 2000.0])


def nearby(shape: tuple[int, ...], seed: int) -> FloatArray:
    """Modules around `SOURCE`."""
    return SOURCE + np.random.default_rng(seed).uniform(-150, 150, (*shape, 3)) / 1.5


def random_axes(shape: tuple[int, ...], seed: int) -> FloatArray:
    axes = np.random.default_rng(seed).normal(size=(*shape, 3))
    return np.asarray(axes / np.linalg.norm(axes, axis=-1, keepdims=True))
