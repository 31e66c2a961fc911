"""Every exception that we raise on purpose, sorted by what the caller can do about it.

::

    SkymapScannerError                    exit 1
    ├── InputError                        2   mend the input: what was found and wanted, where
    │   ├── UsageError                    2   a command line or an environment variable
    │   ├── FormatError                   2   bytes are not what their format says
    │   ├── EventError                    2   the file can be read, its event not scanned
    │   └── ResultError                   2   a result file is not one
    ├── MessageError                      1   a queue message of another scan, schema, shape
    ├── BrokerError                       13  the broker cannot be reached or broke the line
    │   ├── BrokerTimeoutError            13  nothing came before the deadline
    │   └── BrokerAuthError               13  the broker refuses our token
    ├── OutputError                       1   a result cannot be written (disk full)
    ├── ScanError                         1   the scan ended without a complete map
    │   ├── NoWorkersError                10  no worker ever came
    │   ├── WorkersGoneError              11  workers came and left
    │   ├── TooManyFailuresError          12  too many pixels without a finite fit
    │   └── ScanStoppedError              130 kill switch or Ctrl-C
    ├── PluginError                       1   a third-party reconstruction misbehaves
    └── InvalidTransitionError            1   a bug: an event that the scan cannot have now
"""

from __future__ import annotations

__all__ = [
    "BrokerAuthError",
    "BrokerError",
    "BrokerTimeoutError",
    "EventError",
    "FormatError",
    "InputError",
    "InvalidTransitionError",
    "MessageError",
    "NoWorkersError",
    "OutputError",
    "PluginError",
    "ResultError",
    "ScanError",
    "ScanStoppedError",
    "SkymapScannerError",
    "TooManyFailuresError",
    "UsageError",
    "WorkersGoneError",
    "one_line",
]

#: Longer lines help nobody.
_MAX_LINE = 2000


def one_line(text: str) -> str:
    r"""Return text from wherever as one line that is safe to show on a terminal.

    Examples
    --------
    >>> one_line("a  stray\n\x1b[31mcolour")
    'a stray \\x1b[31mcolour'
    """
    line = " ".join(text[: 10 * _MAX_LINE].split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]} ..."


class SkymapScannerError(Exception):
    """Base of all our errors: one line that says what happened and what to do.

    Parameters
    ----------
    message : str
        What happened.
    **fields
        Facts for programs (file, place, found, wanted); the values must be picklable.
    """

    #: Exit code of a program that ends because of this error.
    exit_code: int = 1

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.fields))

    def __str__(self) -> str:
        return self.message


def _rebuild(
    cls: type[SkymapScannerError], message: str, fields: dict[str, object]
) -> SkymapScannerError:
    return cls(message, **fields)


class InputError(SkymapScannerError):
    """The user's input is wrong and only the user can mend it.

    Parameters
    ----------
    message : str
        What is wrong.
    place : str, optional
        Where: a file, a key in it, an option.
    found, wanted : object, optional
        What was there and what would have been right.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        place: str | None = None,
        found: object = None,
        wanted: object = None,
        **fields: object,
    ) -> None:
        super().__init__(message, place=place, found=found, wanted=wanted, **fields)
        self.place = place
        self.found = found
        self.wanted = wanted

    def at(self, place: str) -> InputError:
        """Return the same error with `place` put in front of where it happened."""
        inner = f"{place}: {self.place}" if self.place else place
        return type(self)(self.message, **{**self.fields, "place": inner})  # type: ignore[arg-type]  # fields hold what __init__ took

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        details = [
            f"{name} {value}"
            for name, value in (("found", self.found), ("wanted", self.wanted))
            if value is not None
        ]
        return f"{text} ({', '.join(details)})" if details else text


class UsageError(InputError):
    """A command line option or an environment variable has an illegal value."""


class FormatError(InputError):
    """Bytes of a file or message are not what its format says."""


class EventError(InputError):
    """The file can be read, but the event in it cannot be scanned."""


class ResultError(InputError):
    """A file is not a scan result, or not a whole one."""


class MessageError(SkymapScannerError):
    """A queue message belongs to another scan or schema, or has an illegal shape."""


class BrokerError(SkymapScannerError):
    """The broker cannot be reached or the connection broke."""

    exit_code = 13


class BrokerTimeoutError(BrokerError):
    """Nothing came before the deadline."""


class BrokerAuthError(BrokerError):
    """The broker refuses our token; trying again will not help."""


class OutputError(SkymapScannerError):
    """A result cannot be written; what was there before is untouched."""


class ScanError(SkymapScannerError):
    """The scan ended without a complete map."""


class NoWorkersError(ScanError):
    """No worker ever said hello."""

    exit_code = 10


class WorkersGoneError(ScanError):
    """Workers came, but none has given a sign of life for too long."""

    exit_code = 11


class TooManyFailuresError(ScanError):
    """Too many pixels of a level have no finite fit; a partial map was written."""

    exit_code = 12


class ScanStoppedError(ScanError):
    """The scan was stopped from outside (kill switch, Ctrl-C)."""

    exit_code = 130


class PluginError(SkymapScannerError):
    """A third-party reconstruction cannot be loaded or breaks its interface."""


class InvalidTransitionError(SkymapScannerError):
    """The scan state was given an event that it cannot have now: a bug of ours."""
