"""How our programs log: one handler on stderr, our level and that of the libraries apart."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLAIN_FORMAT", "configure_logging"]

#: For processes whose lines are passed on by another one, which adds the time.
PLAIN_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"
_FORMAT: Final = f"%(asctime)s {PLAIN_FORMAT}"
_HANDLER_NAME: Final = "skymap_scanner"


def configure_logging(
    level: str = "INFO",
    third_party_level: str = "WARNING",
    *,
    levels: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
    line_format: str = _FORMAT,
) -> None:
    """Log to one stream; calling again replaces what the last call set up.

    Parameters
    ----------
    level : str
        Lowest level shown of what we log: DEBUG, INFO, WARNING, ERROR or CRITICAL.
    third_party_level : str
        The same for the libraries we use.
    levels : mapping of str to str, optional
        Levels of single loggers (``{"skymap_scanner.broker": "DEBUG"}``).
    stream : file, optional
        Where lines go; stderr by default.
    line_format : str
        Format of a line; times are UTC.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.name = _HANDLER_NAME
    formatter = logging.Formatter(line_format, datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == _HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(third_party_level)
    logging.getLogger("skymap_scanner").setLevel(level)
    for name, its_level in (levels or {}).items():
        logging.getLogger(name).setLevel(its_level)
