"""The decorator of our compiled kernels, and the folder where their machine code is kept.

numba notices that the file of a kernel has changed, but not that a kernel or constant that it uses
from another file has: it would go on running the old physics. Our machine code is therefore kept in
a folder named after the contents of all files that kernels are made of. It lies in the first place
that can be written to, so that a read-only installation without a home folder works, too; what
others could have written is never run.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar, cast

import numba as nb
from numba.core import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Kernel", "fast_kernel", "fused_kernel", "kernel"]

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE: Final = Path(__file__).parent
#: Files whose contents end up in machine code, relative to the package.
_SOURCES: Final = ("units.py", "compiled.py", "light/*.py", "simulation/*.py", "recos/*/*.py")


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
    return _compile(function, fastmath=False)


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
    return _compile(function, fastmath={"contract"})


def fast_kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Compile as `kernel` does, and let the compiler reorder sums and approximate divisions.

    For arithmetic in single precision that is an approximation anyway (a test of each such kernel
    bounds the difference to the function as written). NaN and infinity must not get in.

    Parameters
    ----------
    function : callable
        Arrays and numbers in, arrays and numbers out.

    Returns
    -------
    Kernel
        Compiled function.
    """
    return _compile(function, fastmath=True)


def _compile(function: Callable[P, R], *, fastmath: bool | set[str]) -> Kernel[P, R]:
    """Decorate a function; `fastmath` is what the compiler may do to its arithmetic."""
    decorate = nb.njit(error_model="numpy", nogil=True, cache=True, fastmath=fastmath)
    with _our_cache_folder():
        return cast("Kernel[P, R]", decorate(function))


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
    """Return a folder for this state of the sources that exists and can be written to.

    Parameters
    ----------
    wanted : str
        What NUMBA_CACHE_DIR says; empty when it is not set.
    """
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for place in _places(wanted):
        folder = place / f"kernels-{digest.hexdigest()[:16]}"
        if _is_usable(folder):
            return folder
    return _passing_folder()


def _places(wanted: str) -> Iterator[Path]:
    """Yield where machine code may be kept, the best place first."""
    if wanted:
        yield Path(wanted)
    yield _PACKAGE / "__pycache__"
    with contextlib.suppress(RuntimeError):  # nobody's home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skymap-scanner"
    ours = Path(tempfile.gettempdir()) / f"skymap-scanner-{os.getuid()}"
    with contextlib.suppress(OSError):
        ours.mkdir(mode=0o700)
    if _is_ours_alone(ours):
        yield ours


def _is_usable(folder: Path) -> bool:
    """Make a folder if need be, and tell whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))  # on a full disk only empty files can be made
            file.flush()
            return True
    except OSError:
        return False


def _is_ours_alone(folder: Path) -> bool:
    """Tell whether nobody else can have put machine code into a folder that anyone could make."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not others_write


def _passing_folder() -> Path:
    """Make a folder that goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="skymap-scanner-"))
    maker = os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # and not a fork of it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
