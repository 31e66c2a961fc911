"""What server and clients say to each other, and how it looks on the wire.

A message is one JSON object: ``v`` (schema version), ``type``, ``scan_id`` and the fields of its
class. A number that is not known travels as null, doubles keep every bit. A message of another
schema or scan, or with anything missing, unknown or out of range, is refused with a `MessageError`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, get_args

from skymap_scanner.exceptions import MessageError
from skymap_scanner.pixels import Fit, FitStatus, Guess, Seed
from skymap_scanner.scan.message_types import (
    MAX_ATTEMPTS,
    MAX_TASK_BYTES,
    MAX_VARIATIONS,
    SCHEMA_VERSION,
    EndOfScan,
    FailureKind,
    Message,
    Task,
    TaskDone,
    TaskFailed,
    WorkerBeat,
    WorkerBye,
    WorkerHello,
)
from skymap_scanner.scan.wire import (
    dump,
    is_scan_id,
    load,
    number_or_null,
    read_fields,
    read_int,
    read_number,
    read_optional_number,
    read_text,
    shorten,
)
from skymap_scanner.sky.healpix import NSIDE_MAX, is_nside, n_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from skymap_scanner.pixels import TaskKey

__all__ = [
    "MAX_ATTEMPTS",
    "MAX_TASK_BYTES",
    "MAX_VARIATIONS",
    "SCHEMA_VERSION",
    "EndOfScan",
    "FailureKind",
    "Message",
    "Task",
    "TaskDone",
    "TaskFailed",
    "WorkerBeat",
    "WorkerBye",
    "WorkerHello",
    "decode",
    "encode",
    "is_scan_id",
]

#: Longest reason, longest name of a worker or host [characters]; what is longer is cut.
_REASON_LIMIT: Final = 500
_NAME_LIMIT: Final = 128
_COUNT_LIMIT: Final = 2**53  # what every JSON implementation keeps exactly
_LEVEL_LIMIT: Final = 32

_KINDS: Final = frozenset(get_args(FailureKind))


def encode(message: Message) -> bytes:
    """Write a message as bytes for the queue.

    A fit that says OK without a finite nll is written as a failed one, an infinite energy as
    unknown: an odd fit must reach the server as data. Long texts are cut.

    Raises
    ------
    MessageError
        When the scan id is not legal or a value cannot be written (a seed that is not finite).
    """
    if not is_scan_id(message.scan_id):
        raise MessageError(f"{shorten(message.scan_id, 80)!r} cannot name a scan")
    name, write = _WRITERS[type(message)]
    document = {"v": SCHEMA_VERSION, "type": name, "scan_id": message.scan_id}
    try:
        document.update(write(message))
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"a {name} message cannot be written: {error}") from error
    return dump(document)


def decode(body: bytes, *, scan_id: str) -> Message:
    """Read a message of the scan `scan_id`.

    Raises
    ------
    MessageError
        When it is not one: another scan, another schema, not JSON, or a field that is not legal.
    """
    document = load(body)
    version = document.get("v")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise MessageError(
            f"message of schema {shorten(repr(version), 40)}, this program speaks "
            f"{SCHEMA_VERSION}; server and clients must be of the same release"
        )
    found = document.get("scan_id")
    if found != scan_id:
        raise MessageError(f"message of scan {shorten(repr(found), 80)}, not of {scan_id!r}")
    name = document.get("type")
    reader = _READERS.get(name) if isinstance(name, str) else None
    if reader is None:
        raise MessageError(f"message of unknown type {shorten(repr(name), 40)}")
    wanted, read = reader
    return read(read_fields(document, wanted, f"{name} message"))


def _write_task(message: Task) -> dict[str, Any]:
    seed = message.seed
    if seed.nside != message.key[0]:
        raise ValueError(f"seed of nside {seed.nside} for a task of nside {message.key[0]}")
    if not 0.0 <= seed.zenith <= math.pi:
        raise ValueError(f"zenith {seed.zenith}, wanted 0 to pi")
    fallback = seed.fallback
    return {
        "key": [int(index) for index in message.key],
        "attempt": int(message.attempt),
        "seed": {
            "level": int(seed.level),
            "zenith": float(seed.zenith),
            "azimuth": float(seed.azimuth),
            "vertex": [float(x) for x in seed.vertex],
            "time": float(seed.vertex_time),
            "energy": number_or_null(seed.energy),
            "fallback": None
            if fallback is None
            else {
                "vertex": [float(x) for x in fallback.vertex],
                "time": float(fallback.vertex_time),
            },
        },
    }


def _read_task(fields: dict[str, Any]) -> Task:
    key = _read_key(fields["key"])
    seed = read_fields(fields["seed"], _SEED_FIELDS, "seed")
    zenith = read_number(seed["zenith"], "zenith")
    if not 0.0 <= zenith <= math.pi:
        raise MessageError(f"zenith is {zenith:g}, wanted 0 to pi")
    return Task(
        scan_id=fields["scan_id"],
        key=key,
        attempt=read_int(fields["attempt"], 1, MAX_ATTEMPTS, "attempt"),
        seed=Seed(
            nside=key[0],
            level=read_int(seed["level"], 0, _LEVEL_LIMIT, "level"),
            zenith=zenith,
            azimuth=read_number(seed["azimuth"], "azimuth"),
            vertex=_read_vertex(seed["vertex"], read_number),
            vertex_time=read_number(seed["time"], "time"),
            energy=read_optional_number(seed["energy"], "energy"),
            fallback=None if seed["fallback"] is None else _read_guess(seed["fallback"]),
        ),
    )


def _read_guess(value: Any) -> Guess:
    guess = read_fields(value, _GUESS_FIELDS, "fallback")
    vertex = _read_vertex(guess["vertex"], read_number)
    return Guess(vertex, read_number(guess["time"], "time"))


def _write_done(message: TaskDone) -> dict[str, Any]:
    fit = message.fit
    if not 0 <= fit.n_evaluations <= _COUNT_LIMIT:
        raise ValueError(f"n_evaluations is {fit.n_evaluations}, wanted 0 to {_COUNT_LIMIT}")
    reason = fit.reason
    if fit.status is FitStatus.OK and not fit.is_ok:
        reason = f"the fit gave nll {fit.nll}"
    return {
        "key": [int(index) for index in message.key],
        "attempt": int(message.attempt),
        "fit": {
            "status": "ok" if fit.is_ok else "failed",
            "reason": shorten(reason, _REASON_LIMIT),
            "nll": float(fit.nll) if fit.is_ok else None,
            "vertex": [number_or_null(x) for x in fit.vertex],
            "time": number_or_null(fit.vertex_time),
            "energy": number_or_null(fit.energy),
            "energy_in": number_or_null(fit.energy_in),
            "energy_total": number_or_null(fit.energy_total),
            "n_evaluations": int(fit.n_evaluations),
        },
        "runtime_s": float(message.runtime_s),
        "worker": shorten(message.worker, _NAME_LIMIT),
    }


def _read_done(fields: dict[str, Any]) -> TaskDone:
    return TaskDone(
        scan_id=fields["scan_id"],
        key=_read_key(fields["key"]),
        attempt=read_int(fields["attempt"], 1, MAX_ATTEMPTS, "attempt"),
        fit=_read_fit(fields["fit"]),
        runtime_s=read_number(fields["runtime_s"], "runtime_s"),
        worker=read_text(fields["worker"], _NAME_LIMIT, "worker"),
    )


def _read_fit(value: Any) -> Fit:
    fit = read_fields(value, _FIT_FIELDS, "fit")
    status = fit["status"]
    if status == "ok":
        nll = read_number(fit["nll"], "nll")
    elif status == "failed" and fit["nll"] is None:
        nll = math.inf
    else:
        raise MessageError("status of a fit is neither ok with an nll nor failed without one")
    return Fit(
        status=FitStatus.OK if status == "ok" else FitStatus.FAILED,
        reason=read_text(fit["reason"], _REASON_LIMIT, "reason"),
        nll=nll,
        vertex=_read_vertex(fit["vertex"], read_optional_number),
        vertex_time=read_optional_number(fit["time"], "time"),
        energy=read_optional_number(fit["energy"], "energy"),
        energy_in=read_optional_number(fit["energy_in"], "energy_in"),
        energy_total=read_optional_number(fit["energy_total"], "energy_total"),
        n_evaluations=read_int(fit["n_evaluations"], 0, _COUNT_LIMIT, "n_evaluations"),
    )


def _write_failed(message: TaskFailed) -> dict[str, Any]:
    return {
        "key": [int(index) for index in message.key],
        "attempt": int(message.attempt),
        "kind": message.kind,
        "reason": shorten(message.reason, _REASON_LIMIT),
        "worker": shorten(message.worker, _NAME_LIMIT),
    }


def _read_failed(fields: dict[str, Any]) -> TaskFailed:
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise MessageError(f"kind is {shorten(repr(kind), 40)}, wanted one of {sorted(_KINDS)}")
    return TaskFailed(
        scan_id=fields["scan_id"],
        key=_read_key(fields["key"]),
        attempt=read_int(fields["attempt"], 1, MAX_ATTEMPTS, "attempt"),
        kind=kind,  # type: ignore[arg-type]  # a member of the Literal, as just checked
        reason=read_text(fields["reason"], _REASON_LIMIT, "reason"),
        worker=read_text(fields["worker"], _NAME_LIMIT, "worker"),
    )


def _read_key(value: Any) -> TaskKey:
    """Check that `value` is [nside, ipix, variation] of a pixel that exists."""
    if type(value) is not list or len(value) != 3:
        raise MessageError("key is not a list of nside, pixel and variation")
    nside = read_int(value[0], 1, NSIDE_MAX, "nside")
    if not is_nside(nside):
        raise MessageError(f"nside is {nside}, wanted a power of two")
    ipix = read_int(value[1], 0, n_pixels(nside) - 1, "pixel")
    return nside, ipix, read_int(value[2], 0, MAX_VARIATIONS - 1, "variation")


def _read_vertex(value: Any, read: Callable[[Any, str], float]) -> tuple[float, float, float]:
    if type(value) is not list or len(value) != 3:
        raise MessageError("vertex is not a list of three numbers")
    return read(value[0], "vertex"), read(value[1], "vertex"), read(value[2], "vertex")


#: Plain fields of worker messages: longest text, or lowest and highest whole number.
_PLAIN_FIELDS: Final[dict[str, tuple[int, int] | int]] = {
    "worker": _NAME_LIMIT,
    "host": _NAME_LIMIT,
    "version": _NAME_LIMIT,
    "reason": _REASON_LIMIT,
    "pid": (0, _COUNT_LIMIT),
    "n_processes": (1, 1_000_000),
    "n_done": (0, _COUNT_LIMIT),
    "n_failed": (0, _COUNT_LIMIT),
}


def _plain_names(cls: type[Message]) -> list[str]:
    return [name for name in cls.__slots__ if name != "scan_id"]


def _write_plain(message: Any) -> dict[str, Any]:
    """Write a message that has only whole numbers and texts."""
    document: dict[str, Any] = {}
    for name in _plain_names(type(message)):
        limit, value = _PLAIN_FIELDS[name], getattr(message, name)
        document[name] = shorten(value, limit) if isinstance(limit, int) else int(value)
    return document


def _plain_reader(cls: type[Any]) -> Callable[[dict[str, Any]], Message]:
    def read(fields: dict[str, Any]) -> Message:
        values: dict[str, Any] = {"scan_id": fields["scan_id"]}
        for name in _plain_names(cls):
            limit, value = _PLAIN_FIELDS[name], fields[name]
            if isinstance(limit, int):
                values[name] = read_text(value, limit, name)
            else:
                values[name] = read_int(value, *limit, name)
        message: Message = cls(**values)
        return message

    return read


_SEED_FIELDS: Final = frozenset(
    {"level", "zenith", "azimuth", "vertex", "time", "energy", "fallback"}
)
_GUESS_FIELDS: Final = frozenset({"vertex", "time"})
_FIT_FIELDS: Final = frozenset(
    {"status", "reason", "nll", "vertex", "time", "energy", "energy_in", "energy_total"}
) | {"n_evaluations"}

_NAMES: Final[dict[type[Message], str]] = {
    Task: "task",
    TaskDone: "done",
    TaskFailed: "failed",
    WorkerHello: "hello",
    WorkerBeat: "beat",
    WorkerBye: "bye",
    EndOfScan: "end",
}
_CODECS: Final[dict[type[Message], tuple[Callable[[Any], Any], Callable[[Any], Message]]]] = {
    Task: (_write_task, _read_task),
    TaskDone: (_write_done, _read_done),
    TaskFailed: (_write_failed, _read_failed),
}


def _codec(cls: type[Message]) -> tuple[Callable[[Any], Any], Callable[[Any], Message]]:
    return _CODECS.get(cls, (_write_plain, _plain_reader(cls)))


_WRITERS: Final = {cls: (name, _codec(cls)[0]) for cls, name in _NAMES.items()}
_READERS: Final = {
    name: (frozenset({"v", "type", *cls.__slots__}), _codec(cls)[1]) for cls, name in _NAMES.items()
}
