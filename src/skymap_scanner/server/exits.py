"""How our programs end: one line on stderr that says what happened, and the exit code for it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from skymap_scanner.exceptions import ScanStoppedError, SkymapScannerError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROGRAM", "OneLineParser", "complain", "run_program"]

logger = logging.getLogger(__name__)

#: What stands before every error line, whichever of our programs writes it.
PROGRAM = "skymap-scanner"


def complain(message: str) -> None:
    """Write ``skymap-scanner: error: message`` as one line to stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{PROGRAM}: error: {one_line(message)}", file=sys.stderr, flush=True)  # noqa: T201  # the last word


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line in our form; exit code 2 as always.

    What begins with a minus and a digit is a value, also when it is no number: ``-10,5,3``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def error(self, message: str) -> NoReturn:
        """Complain and leave."""
        complain(f"{message}; see '{self.prog} --help'")
        raise SystemExit(2)


def run_program(work: Callable[[], int], *, debug: bool = False) -> int:
    """Do `work` and turn whatever it raises into one line on stderr and an exit code.

    Parameters
    ----------
    work : callable
        The program; returns its exit code.
    debug : bool
        Show the traceback of an error before its line.

    Returns
    -------
    int
        0 or what `work` returned; an error's own code (see `skymap_scanner.exceptions`); 130 after
        Ctrl-C; 1 after anything unexpected. A reader that closes our stdout early (``| head``) is
        no error.
    """
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_stdout()
        return 0
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C")
        return ScanStoppedError.exit_code
    except SkymapScannerError as error:
        _show(error, debug=debug)
        complain(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # the outermost handler: whatever it is, say it in a line
        _show(error, debug=debug)
        advice = "" if debug else "; --debug shows where; please report it with the command used"
        complain(f"unexpected {type(error).__name__}: {error}{advice}")
        return 1
    return code


def _show(error: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)


def _give_up_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
