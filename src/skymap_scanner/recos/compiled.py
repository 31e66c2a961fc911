"""The decorator of our compiled kernels, and the folder where their machine code is kept.

numba notices that the file of a kernel has changed, but not that a kernel or constant that it uses
from another file has: it would go on running the old physics. Our machine code is therefore kept in
a folder named after the contents of all files that kernels are made of.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar, cast

import numba as nb
from numba.core import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Kernel", "fused_kernel", "kernel"]

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE: Final = Path(__file__).parents[1]
#: Files whose contents end up in machine code, relative to the package.
_SOURCES: Final = ("units.py", "light/*.py", "recos/compiled.py", "recos/*/*.py")


class Kernel(Protocol[P, R]):
    """A compiled function.

    Attributes
    ----------
    py_func : callable
        The function as it was written, for tests.
    """

    py_func: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the machine code; it is made (or loaded) at the first call."""
        ...


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Compile a function on its first call, with numpy's rules for divisions by zero.

    It releases the interpreter lock while it runs, and its machine code is kept on disk.

    Parameters
    ----------
    function : callable
        Arrays and numbers in, arrays and numbers out.

    Returns
    -------
    Kernel
        Compiled function.
    """
    with _our_cache_folder():
        return cast("Kernel[P, R]", nb.njit(error_model="numpy", nogil=True, cache=True)(function))


def fused_kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Compile as `kernel` does, and let the compiler fuse multiplications with additions.

    Fused operations round once instead of twice: results differ from the function as written in the
    last digits (a test of each such kernel bounds the difference).

    Parameters
    ----------
    function : callable
        Arrays and numbers in, arrays and numbers out.

    Returns
    -------
    Kernel
        Compiled function.
    """
    with _our_cache_folder():
        return cast(
            "Kernel[P, R]",
            nb.njit(error_model="numpy", nogil=True, cache=True, fastmath={"contract"})(function),
        )


@contextlib.contextmanager
def _our_cache_folder() -> Iterator[None]:
    """Let numba use our folder for what is decorated meanwhile, and for nothing else."""
    before = config.CACHE_DIR  # type: ignore[attr-defined]  # numba sets its settings at run time
    config.CACHE_DIR = str(_cache_folder(before))  # type: ignore[attr-defined]  # same
    try:
        yield
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]  # same


@cache
def _cache_folder(wanted: str) -> Path:
    """Return the folder of this state of the sources; numba makes it, or finds another place."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    if wanted:  # NUMBA_CACHE_DIR
        base = Path(wanted)
    elif os.access(Path(__file__).parent, os.W_OK):
        base = Path(__file__).parent / "__pycache__"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skymap-scanner"
    return base / f"kernels-{digest.hexdigest()[:16]}"
