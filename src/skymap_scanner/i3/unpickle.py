"""Read pickles of realtime messages without ever running what they name.

Pickles come from the network. The opcodes are checked before anything is built: only plain data,
memo indices within reason, and no names but the three that a pickled I3Frame needs.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any, Final, NoReturn

from skymap_scanner.exceptions import FormatError

__all__ = ["FramePickle", "unpickle_frame", "unpickle_plain"]

#: Opcodes that build plain data.
_PLAIN_OPCODES: Final = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET",
    "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG",
    "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS",
})  # fmt: skip  # a table, five times as long with one name per line

#: How often each further opcode may stand in a message; hashing deeply nested tuples would
#: overflow the stack.
_FURTHER_IN_MESSAGE: Final = dict.fromkeys(["EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2"], 100)
#: And in the pickle of one frame.
_FURTHER_IN_FRAME: Final = {
    "GLOBAL": 2, "STACK_GLOBAL": 2, "REDUCE": 2, "BUILD": 1, "EMPTY_TUPLE": 2, "TUPLE": 4,
    "TUPLE1": 4, "TUPLE2": 4,
}  # fmt: skip  # as above
#: The largest message has some 600 opcodes and 300 values.
_MAX_OPCODES: Final = 200_000
#: Whole numbers beyond 64 bits are no data; as keys they can be made to share one hash.
_MAX_INT_BITS: Final = 63
_MAX_VALUES: Final = 200_000
_MAX_DEPTH: Final = 100
_LATIN1_NAMES: Final = ("latin1", "latin-1", "iso-8859-1", "iso8859-1")


class FramePickle:
    """An inert stand-in for the class I3Frame: keeps the state that it is given."""

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Latin1Encoder:
    """Stands in for ``_codecs.encode``, the way to write bytes in protocol 2.

    An instance without attributes and not a function, whose attributes a pickle could change.
    """

    __slots__ = ()

    def __call__(self, text: object, codec: object = "latin1") -> bytes:
        if not isinstance(text, str) or codec not in _LATIN1_NAMES:
            raise pickle.UnpicklingError("_codecs.encode of something else than latin-1 text")
        return text.encode("latin-1")


#: Names that a pickled frame may hold, and what they become.
_FRAME_NAMES: Final[dict[tuple[str, str], object]] = {
    ("icecube.icetray", "I3Frame"): FramePickle,
    ("icecube._icetray", "I3Frame"): FramePickle,
    ("_codecs", "encode"): _Latin1Encoder(),
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows `names` and nothing else."""

    def __init__(self, data: bytes, names: dict[tuple[str, str], object]) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.names = names
        self.used: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str) -> Any:  # as the base class
        """Return the stand-in of a known name."""
        self.used.append((module, name))
        try:
            return self.names[module, name]
        except KeyError:
            _refuse(f"{module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse references to objects outside the pickle."""
        _refuse(f"persistent id {pid!r}")


def _refuse(what: str) -> NoReturn:
    raise FormatError(
        "a pickle names something that a realtime message never holds; it was not run",
        found=ascii(what)[:200],
        wanted="plain data and I3Frame",
    )


def unpickle_plain(data: bytes) -> object:
    """Return the plain data (dict, list, text, numbers) of a pickled message.

    Raises
    ------
    FormatError
        When the pickle is damaged, names any class or function, or is bent back on itself.
    """
    _check_opcodes(data, _FURTHER_IN_MESSAGE)
    value, _ = _load(data, {})
    _check_size(value)
    return value


def unpickle_frame(data: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return the frame bytes of a pickled I3Frame, and the names that its pickle uses.

    Raises
    ------
    FormatError
        When it is not the pickle of exactly one I3Frame.
    """
    _check_opcodes(data, _FURTHER_IN_FRAME)
    value, used = _load(data, _FRAME_NAMES)
    if not isinstance(value, FramePickle):
        raise FormatError("not a pickled frame", found=type(value).__name__, wanted="I3Frame")
    state = value.state
    if not isinstance(state, tuple) or len(state) != 2 or state[0] != {}:
        raise FormatError(
            "the state of a pickled frame has another form",
            found=type(state).__name__,
            wanted="({}, bytes)",
        )
    content = state[1]
    try:
        frame_bytes = content.encode("latin-1") if isinstance(content, str) else content
    except UnicodeEncodeError as error:
        raise FormatError(
            "a pickled frame holds text, not bytes", found=error.reason, wanted="latin-1 text"
        ) from error
    if not isinstance(frame_bytes, bytes):
        raise FormatError(
            "a pickled frame does not hold bytes", found=type(content).__name__, wanted="bytes"
        )
    return frame_bytes, tuple(used)


def _check_opcodes(data: bytes, further: dict[str, int]) -> None:
    """Raise unless every opcode is known, before any of them is carried out."""
    counts = dict.fromkeys(further, 0)
    n_opcodes = end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            n_opcodes += 1
            end = (position or 0) + 1
            name, place = opcode.name, f"byte {position}"
            if n_opcodes > _MAX_OPCODES:
                raise _beyond("a pickle is too long", place, f"{n_opcodes} opcodes", _MAX_OPCODES)
            if name in counts:
                counts[name] += 1
                if counts[name] > further[name]:
                    found = f"{name} number {counts[name]}"
                    raise _beyond("a pickle does too much", place, found, further[name])
            elif name not in _PLAIN_OPCODES:
                _refuse(f"opcode {name} {argument!r}" if name != "STACK_GLOBAL" else name)
            if isinstance(argument, int):
                _check_number(name, argument, place, n_opcodes)
    except (ValueError, IndexError, OverflowError, UnicodeError, MemoryError) as error:
        raise FormatError(f"damaged pickle: {error}") from error
    # The last opcode is STOP, one byte long.
    if end != len(data):
        found = f"{len(data) - end} bytes"
        raise _beyond("bytes are left over behind a pickle", f"byte {end}", found, 0)


def _check_number(name: str, argument: int, place: str, n_opcodes: int) -> None:
    """Raise when the number of an opcode can only do harm."""
    if "PUT" in name and not 0 <= argument <= n_opcodes:
        # A memo grows to its largest index: one opcode could fill the memory.
        raise _beyond("a pickle has an impossible memo index", place, argument, n_opcodes)
    if argument.bit_length() > _MAX_INT_BITS:
        found = f"{argument.bit_length()} bits"
        raise _beyond("a pickle holds too large a number", place, found, _MAX_INT_BITS)


def _beyond(message: str, place: str, found: object, limit: int) -> FormatError:
    return FormatError(message, place=place, found=found, wanted=f"at most {limit}")


def _load(
    data: bytes, names: dict[tuple[str, str], object]
) -> tuple[object, list[tuple[str, str]]]:
    unpickler = _RestrictedUnpickler(data, names)
    try:
        return unpickler.load(), unpickler.used
    except FormatError:
        raise
    except RecursionError as error:
        raise FormatError("a pickle is nested too deeply") from error
    except Exception as error:  # a damaged pickle raises anything at all
        raise FormatError(f"damaged pickle: {type(error).__name__}: {error}") from error


def _check_size(root: object) -> None:
    """Raise when a document is deeper or, through repeated references, larger than any message."""
    n_values = 0
    waiting: list[tuple[object, int]] = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        n_values += 1
        if depth > _MAX_DEPTH or n_values > _MAX_VALUES:
            raise FormatError(
                "a pickled message is nested too deeply or too large",
                found=f"{depth} levels, {n_values} values",
                wanted=f"at most {_MAX_DEPTH} levels, {_MAX_VALUES} values",
            )
        if isinstance(value, dict):
            waiting += [(item, depth + 1) for item in value.values()]
            waiting += [(key, depth + 1) for key in value]
        elif isinstance(value, (list, tuple)):
            waiting += [(item, depth + 1) for item in value]
