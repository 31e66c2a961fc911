"""Freed memory is kept: blocks that come and go do not come from the kernel each time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Makes and frees two arrays of 4 MB a hundred times; prints the pages that the kernel had to give.
_PROGRAM = """
import resource, sys
import numpy as np
from skymap_scanner.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for k in range(110):
    if k == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    a = np.ones(500_000)
    b = a + 1.0
    del a, b
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages(how: str, environment: dict[str, str]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return int(done.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc: nothing is asked of it"
)
def test_the_kernel_gives_memory_once() -> None:
    always_returned = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    assert _pages("not", always_returned) > 100 * 1000
    assert _pages("keep", always_returned) < 1000
