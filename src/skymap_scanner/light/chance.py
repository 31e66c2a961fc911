"""Random numbers inside kernels: xoshiro256+ with a state of its own per source of light.

numba's built-in generator takes 9 ns per number and 39 ns per normal deviate and is seeded with
32 bits; a photon needs a dozen of them at each scatter. This one takes 1 to 2 ns.

References
----------
.. [1] D. Blackman and S. Vigna, ACM Trans. Math. Softw. 47 (2021) 36, :doi:`10.1145/3460772`
.. [2] G. Marsaglia and T. A. Bray, SIAM Rev. 6 (1964) 260, :doi:`10.1137/1006063`: polar method
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["circle_point", "make_state", "normal_pair", "uniform"]

#: Largest number below 1.
_LARGEST: Final = 1.0 - 2.0**-53


def make_state(*entropy: int) -> NDArray[np.uint64]:
    """Return the state of a generator.

    Parameters
    ----------
    *entropy : int
        Numbers from 0 to 2^32 - 1; different ones give independent streams, as long as there are
        equally many (zeros at the end do not count).

    Returns
    -------
    ndarray of uint64, shape (4,)
    """
    return np.random.SeedSequence(entropy).generate_state(4, np.uint64).astype(np.uint64)


@kernel
def uniform(state: NDArray[np.uint64]) -> float:
    """Return the next number in (0, 1): never 0, so that its logarithm is finite, and never 1."""
    result = state[0] + state[3]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    value = (np.float64(result >> np.uint64(11)) + 0.5) * 1.1102230246251565e-16
    return min(value, _LARGEST)  # 2^53 - 1/2 rounds up


@kernel
def circle_point(state: NDArray[np.uint64]) -> tuple[float, float]:
    """Return cosine and sine of an angle that is uniform on the circle."""
    while True:
        x = 2.0 * uniform(state) - 1.0
        y = 2.0 * uniform(state) - 1.0
        squared = x * x + y * y
        if 1e-12 < squared <= 1.0:
            return (x * x - y * y) / squared, 2.0 * x * y / squared


@kernel
def normal_pair(state: NDArray[np.uint64]) -> tuple[float, float]:
    """Return two independent standard normal deviates [2]_."""
    while True:
        x = 2.0 * uniform(state) - 1.0
        y = 2.0 * uniform(state) - 1.0
        squared = x * x + y * y
        if 1e-300 < squared < 1.0:
            factor = math.sqrt(-2.0 * math.log(squared) / squared)
            return x * factor, y * factor
