"""Which modules must not be used by energy reconstructions, and which unhit ones are enough.

Bad modules of a run are not known (realtime messages carry only differences against a baseline that
is not public): `Detector.is_alive` says what is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from skymap_scanner.event.detector import Detector
    from skymap_scanner.event.event import Event
    from skymap_scanner.event.pulses import BoolArray, PulseSeries
    from skymap_scanner.units import IntArray

__all__ = ["bright_modules", "is_on_sparse_grid", "saturated_modules", "usable_modules"]

#: Frame key of the windows in which modules were saturated.
_SATURATION: Final = "SaturationWindows"
#: Every other string in both directions, every fifth module: they say where there was no light.
_SPARSE_STRINGS: Final = (
    *(1, 3, 5, 14, 16, 18, 20, 31, 33, 35, 37, 39, 51, 53, 55, 57, 59, 68, 70, 72, 74),
)
_SPARSE_STEP: Final = 5


def bright_modules(series: PulseSeries, factor: float) -> IntArray:
    """Find modules with more charge than is typical; the light model is not exact enough for them.

    Parameters
    ----------
    series : PulseSeries
        The pulses from which the mean is taken.
    factor : float
        How many times the mean charge of the hit modules is too bright.

    Returns
    -------
    ndarray of int
        Rows in the detector, ascending.
    """
    charges = series.dom_charges()
    if charges.size == 0:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(series.hit_oms[charges > factor * charges.mean()])


def saturated_modules(event: Event) -> IntArray:
    """Return the rows of modules whose saturation the message reports, ascending."""
    windows = event.excluded_windows.get(_SATURATION, {})
    return np.array(sorted(om for om, spans in windows.items() if spans), dtype=np.int64)


def usable_modules(event: Event, excluded: IntArray) -> BoolArray:
    """Tell which modules count: alive, not DeepCore, not saturated, and not excluded.

    Parameters
    ----------
    event : Event
        What was measured.
    excluded : ndarray of int
        Further rows to leave out.

    Returns
    -------
    ndarray of bool, shape (n_om,)
    """
    is_usable = event.detector.is_alive & ~event.detector.is_deepcore
    is_usable[excluded] = False
    is_usable[saturated_modules(event)] = False
    return is_usable


def is_on_sparse_grid(detector: Detector) -> BoolArray:
    """Tell which modules are on the sparse grid of unhit modules of `millipede_wilks`, (n_om,).

    21 strings, and on each every fifth module from the first on: 252 of IceCube's.
    """
    string, om = detector.om_key.T
    is_chosen: BoolArray = np.isin(string, _SPARSE_STRINGS) & (om % _SPARSE_STEP == 1) & (om <= 60)
    return is_chosen
