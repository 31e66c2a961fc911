"""What the C library does with memory that is freed.

By default glibc gives large blocks back at once and asks for them again a moment later; the kernel
then clears each page anew. A fit makes and frees arrays of some MB a hundred times per pixel.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

__all__ = ["keep_freed_memory"]

#: Parameters of ``mallopt`` (malloc.h).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
#: The largest threshold that every glibc of 64 bits takes [bytes].
_LARGEST_KEPT: Final = 32 * 2**20
#: So much free memory a process may keep [bytes].
_KEPT: Final = 256 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, blocks up to 32 MB and 256 MB at most, for next time.

    Returns
    -------
    bool
        Whether the C library takes the wish; others than glibc do not, and are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # The first alone would stop glibc from raising the other by itself.
        taken = mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT), mallopt(_M_TRIM_THRESHOLD, _KEPT)
        return all(taken)
    return False
