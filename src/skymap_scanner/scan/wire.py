"""Strict JSON: what comes from a queue is checked value by value before anybody believes it.

Every function raises `MessageError`, and nothing else, for whatever bytes it is given.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from skymap_scanner.exceptions import MessageError

__all__ = [
    "MAX_BODY_BYTES",
    "dump",
    "is_scan_id",
    "load",
    "number_or_null",
    "read_fields",
    "read_int",
    "read_number",
    "read_optional_number",
    "read_text",
    "shorten",
]

#: No message of ours is longer, whatever its texts; anything longer is not looked at.
MAX_BODY_BYTES: Final = 16384

_SCAN_ID: Final = re.compile(r"[A-Za-z0-9._:+-]{1,64}", re.ASCII)


def is_scan_id(text: str) -> bool:
    """Whether `text` can name a scan: 1 to 64 letters, digits and ``. _ : + -``."""
    return _SCAN_ID.fullmatch(text) is not None


def dump(document: dict[str, Any]) -> bytes:
    """Write a document in as few bytes as JSON allows; doubles keep every bit.

    Raises
    ------
    MessageError
        When a value is not finite or not JSON.
    """
    try:
        return _ENCODER.encode(document).encode("ascii")
    except (TypeError, ValueError) as error:
        raise MessageError(f"a message cannot be written: {error}") from error


def load(body: bytes) -> dict[str, Any]:
    """Read a JSON object without repeated keys, NaN or infinity."""
    if len(body) > MAX_BODY_BYTES:
        raise MessageError(f"a message of {len(body)} bytes; none of ours exceeds {MAX_BODY_BYTES}")
    try:
        document = _DECODER.decode(bytes(body).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"a message is not JSON: {_one_line(error)}") from error
    if type(document) is not dict:
        raise MessageError(f"a message is not a JSON object but {_kind(document)}")
    return document


def read_fields(value: Any, wanted: frozenset[str], where: str) -> dict[str, Any]:
    """Check that `value` is an object that has exactly the `wanted` keys."""
    if type(value) is not dict:
        raise MessageError(f"{where} is not an object but {_kind(value)}")
    if value.keys() != wanted:
        missing = sorted(wanted - value.keys())
        unknown = [shorten(key, 40) for key in sorted(value.keys() - wanted)[:3]]
        raise MessageError(f"{where}: missing {missing}, not known {unknown}")
    return value


def read_int(value: Any, low: int, high: int, where: str) -> int:
    """Check that `value` is a whole number from `low` to `high`, both included."""
    # type() and not isinstance(): True is an int for Python and not for us
    if type(value) is int and low <= value <= high:
        return value
    raise _refusal(value, f"a whole number from {low} to {high}", where)


def read_number(value: Any, where: str) -> float:
    """Check that `value` is a finite number."""
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) < 2**1023:
        return float(value)
    raise _refusal(value, "a finite number", where)


def read_optional_number(value: Any, where: str) -> float:
    """Check that `value` is a finite number or null, which becomes NaN."""
    return math.nan if value is None else read_number(value, where)


def read_text(value: Any, limit: int, where: str) -> str:
    """Check that `value` is a string of at most `limit` characters that can be printed."""
    if type(value) is str and len(value) <= limit and (value.isascii() or _is_encodable(value)):
        return value
    raise _refusal(value, f"a text of at most {limit} characters", where)


def number_or_null(value: float) -> float | None:
    """Return a finite value as it is and anything else as None: JSON has no NaN."""
    value = float(value)
    return value if math.isfinite(value) else None


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters and replace what cannot be written as UTF-8."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _refusal(value: Any, wanted: str, where: str) -> MessageError:
    return MessageError(f"{where} is {_kind(value)}, wanted {wanted}")


def _kind(value: Any) -> str:
    """Say what a wrong value is in a few characters; a message's content never floods a log."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if type(value) is int and abs(value) >= 2**64:
        return "a huge number"
    return shorten(repr(value), 40)


def _one_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return shorten(str(error).replace("\n", " "), 100)


def _is_encodable(text: str) -> bool:
    """Whether a text has no lone surrogates, which JSON can spell and no log can print."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise MessageError(f"a message contains {name}, which is not JSON")


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise MessageError("a message contains a key twice")
    return document


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, object_pairs_hook=_object_without_repeats
)
