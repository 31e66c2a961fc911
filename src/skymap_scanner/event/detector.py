"""The detector: where its optical modules are, how efficient, and which of them are alive."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from skymap_scanner.event.pulses import BoolArray
    from skymap_scanner.units import FloatArray, IntArray

__all__ = [
    "FIRST_DEEPCORE_STRING",
    "N_OMS_PER_STRING",
    "N_STRINGS",
    "Detector",
    "built_in_detector",
]

#: Strings of the in-ice array; modules 1..60 of each hang in the ice (61..64 are surface tanks).
N_STRINGS: Final = 86
N_OMS_PER_STRING: Final = 60
#: DeepCore, the dense infill: strings 79 to 86.
FIRST_DEEPCORE_STRING: Final = 79

#: (string, om) -> string * _KEY_BASE + om, unique and in the order of the pairs.
_KEY_BASE: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """The in-ice optical modules in columns, sorted by (string, om).

    Parameters
    ----------
    om_key : ndarray of int, shape (n_om, 2)
        String and module number.
    om_xyz : ndarray, shape (n_om, 3)
        Positions in detector coordinates [m].
    rel_efficiency : ndarray, shape (n_om,)
        Photon detection efficiency relative to a standard module.
    is_alive : ndarray of bool, shape (n_om,)
        False for modules known to be off; what is not known counts as alive.
    source : str
        Where all this comes from: "IceCube-86 built-in" or the name of a GCD file.
    """

    om_key: IntArray
    om_xyz: FloatArray
    rel_efficiency: FloatArray
    is_alive: BoolArray
    source: str

    def __post_init__(self) -> None:
        n_om = len(self.om_key)
        if self.om_key.shape != (n_om, 2) or self.om_xyz.shape != (n_om, 3):
            raise ValueError(f"om_key {self.om_key.shape} and om_xyz {self.om_xyz.shape} disagree")
        if self.rel_efficiency.shape != (n_om,) or self.is_alive.shape != (n_om,):
            raise ValueError("rel_efficiency and is_alive need one entry per module")
        if np.any(np.diff(self._codes()) <= 0):
            raise ValueError("modules are not sorted by string and om, or not unique")

    @property
    def n_om(self) -> int:
        """Number of modules, dead ones included."""
        return len(self.om_key)

    @property
    def is_deepcore(self) -> BoolArray:
        """Per module: on one of the dense strings (>= 79)."""
        return self.om_key[:, 0] >= FIRST_DEEPCORE_STRING

    def index_of(self, string: int, om: int) -> int:
        """Return the row of one module.

        Raises
        ------
        EventError
            When this detector has no such module.
        """
        index = int(self.indices_of([string], [om])[0])
        if index < 0:
            raise EventError(
                "unknown optical module",
                found=f"({string}, {om})",
                wanted=f"one of the {self.n_om} in-ice modules of {self.source}",
            )
        return index

    def indices_of(self, string: ArrayLike, om: ArrayLike) -> IntArray:
        """Return the rows of many modules, -1 for those that this detector does not have.

        Parameters
        ----------
        string, om : array_like of int, shape (n,)
            String and module numbers, in any order.

        Returns
        -------
        ndarray of int, shape (n,)
            Rows of `om_key` or -1.
        """
        strings = np.asarray(string, dtype=np.int64)
        oms = np.asarray(om, dtype=np.int64)
        # Numbers outside the code's range must not alias a real module.
        is_legal = (strings >= 0) & (oms >= 0) & (oms < _KEY_BASE)
        codes = np.where(is_legal, strings * _KEY_BASE + oms, -1)
        known = self._codes()
        if len(known) == 0:
            return np.full(len(codes), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        return np.where(known[rows] == codes, rows, -1).astype(np.int64)

    def with_dead(self, keys: Iterable[tuple[int, int]]) -> Detector:
        """Return a copy in which the modules `keys` are off too; unknown ones are ignored."""
        pairs = np.array(sorted(keys), dtype=np.int64).reshape(-1, 2)
        rows = self.indices_of(pairs[:, 0], pairs[:, 1])
        is_alive = self.is_alive.copy()
        is_alive[rows[rows >= 0]] = False
        return replace(self, is_alive=is_alive)

    def with_alive(self, rows: IntArray) -> Detector:
        """Return a copy in which the modules in `rows` are alive (a module with pulses is)."""
        is_alive = self.is_alive.copy()
        is_alive[rows] = True
        return replace(self, is_alive=is_alive)

    def _codes(self) -> IntArray:
        return self.om_key[:, 0] * _KEY_BASE + self.om_key[:, 1]


@cache
def built_in_detector() -> Detector:
    """Return IceCube with its 86 strings from the table in this package, all modules alive.

    Returns
    -------
    Detector
        5160 modules; `source` is "IceCube-86 built-in". Do not write into its arrays.

    References
    ----------
    .. [1] M. G. Aartsen et al., JINST 12 (2017) P03012,
       :doi:`10.1088/1748-0221/12/03/P03012`; positions and efficiencies: public tables of the
       photon propagation code PPC.

    Examples
    --------
    >>> detector = built_in_detector()
    >>> print(detector.om_xyz[detector.index_of(1, 1)])
    [-256.14 -521.08  496.03]
    """
    text = (
        resources.files("skymap_scanner.event").joinpath("data/icecube86.json").read_text("utf-8")
    )
    table = json.loads(text)
    numbers = np.arange(1, N_OMS_PER_STRING + 1)
    keys, positions, efficiencies = [], [], []
    for string, x, y, z, high in table["strings"]:
        keys.append(np.column_stack([np.full(N_OMS_PER_STRING, string), numbers]))
        columns = [np.broadcast_to(np.asarray(c, np.float64), N_OMS_PER_STRING) for c in (x, y, z)]
        positions.append(np.column_stack(columns) / 100.0)  # the table has centimetres
        efficiencies.append(np.where(np.isin(numbers, high), table["rel_efficiency_high"], 1.0))
    return Detector(
        om_key=np.concatenate(keys).astype(np.int64),
        om_xyz=np.concatenate(positions),
        rel_efficiency=np.concatenate(efficiencies),
        is_alive=np.ones(N_STRINGS * N_OMS_PER_STRING, dtype=np.bool_),
        source=table["name"],
    )
