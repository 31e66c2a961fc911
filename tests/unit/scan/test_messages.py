"""Messages are small, exact, and believed only when every field is right."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from skymap_scanner.exceptions import MessageError
from skymap_scanner.pixels import Fit, FitStatus, Guess, Seed
from skymap_scanner.scan.messages import (
    MAX_TASK_BYTES,
    EndOfScan,
    Message,
    Task,
    TaskDone,
    TaskFailed,
    WorkerBeat,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
    is_scan_id,
)
from skymap_scanner.scan.wire import MAX_BODY_BYTES

SCAN = "127907-8-64-512-1700000000"
SEED = Seed(64, 1, 0.1, 6.2, (1.0, -2.0, 0.1 + 0.2), 9965.3, 1e5, Guess((4.0, 5.0, 6.0), 7.0))
FIT = Fit(FitStatus.OK, "", 1234.5678, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 321)
TASK = Task(SCAN, (64, 49151, 6), 1, SEED)
DONE = TaskDone(SCAN, (64, 49151, 6), 2, FIT, 0.25, "node-1/77")
MESSAGES: list[Message] = [
    TASK,
    DONE,
    dataclasses.replace(TASK, seed=dataclasses.replace(SEED, fallback=None)),
    TaskFailed(SCAN, (8, 0, 0), 3, "timeout", "took longer than 1800 s", "node-1/77"),
    WorkerHello(SCAN, "node-1/77", "node-1", 77, 4, "0.1.0"),
    WorkerBeat(SCAN, "node-1/77", 12),
    WorkerBye(SCAN, "node-1/77", "SIGTERM", 12, 1),
    EndOfScan(SCAN, "the map is complete"),
]


def document_of(message: Message) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(message))
    return document


def decoded(document: object) -> Message:
    return decode(json.dumps(document).encode(), scan_id=SCAN)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message), scan_id=SCAN) == message


def test_unknown_energy_travels_as_null() -> None:
    body = encode(dataclasses.replace(TASK, seed=dataclasses.replace(SEED, energy=math.nan)))
    assert json.loads(body)["seed"]["energy"] is None
    message = decode(body, scan_id=SCAN)
    assert isinstance(message, Task)
    assert math.isnan(message.seed.energy)


def test_failed_fit_travels_with_its_reason() -> None:
    message = decode(encode(dataclasses.replace(DONE, fit=Fit.failed("no light"))), scan_id=SCAN)
    assert isinstance(message, TaskDone)
    assert (message.fit.status, message.fit.reason) == (FitStatus.FAILED, "no light")
    assert message.fit.nll == math.inf
    assert math.isnan(message.fit.vertex[2])


@pytest.mark.parametrize("nll", [math.nan, math.inf, -math.inf])
def test_fit_that_is_not_finite_arrives_as_failed(nll: float) -> None:
    fit = dataclasses.replace(FIT, nll=nll, energy=math.inf)
    message = decode(encode(dataclasses.replace(DONE, fit=fit)), scan_id=SCAN)
    assert isinstance(message, TaskDone)
    assert message.fit.status is FitStatus.FAILED
    assert str(nll) in message.fit.reason
    assert math.isnan(message.fit.energy)


def test_longest_task_fits_into_800_bytes() -> None:
    longest = -2.2250738585072014e-308
    seed = Seed(
        nside=2**20,
        level=32,
        zenith=2.2250738585072014e-308,
        azimuth=longest,
        vertex=(longest, longest, longest),
        vertex_time=longest,
        energy=longest,
        fallback=Guess((longest, longest, longest), longest),
    )
    task = Task("x" * 64, (2**20, 12 * 2**40 - 1, 63), 100, seed)
    body = encode(task)
    assert len(body) <= MAX_TASK_BYTES == 800
    assert decode(body, scan_id="x" * 64) == task


def test_long_texts_are_cut_and_odd_characters_replaced() -> None:
    reason = "\U0001f9ca\ud800\n" * 10_000
    body = encode(TaskFailed(SCAN, (8, 0, 0), 1, "error", reason, "w" * 999))
    assert len(body) < MAX_BODY_BYTES
    message = decode(body, scan_id=SCAN)
    assert isinstance(message, TaskFailed)
    assert message.reason.startswith("\U0001f9ca?\n")
    assert message.reason.endswith("...")
    assert len(message.worker) == 128


@pytest.mark.parametrize("scan_id", ["", "x" * 65, "a b", "a\n", 'a"b', "ä", "a/b"])
def test_illegal_scan_id_is_not_sent(scan_id: str) -> None:
    assert not is_scan_id(scan_id)
    with pytest.raises(MessageError, match="name a scan"):
        encode(EndOfScan(scan_id, ""))


@pytest.mark.parametrize(
    "seed",
    [
        dataclasses.replace(SEED, azimuth=math.nan),
        dataclasses.replace(SEED, zenith=-0.1),
        dataclasses.replace(SEED, zenith=math.nan),
        dataclasses.replace(SEED, vertex=(0.0, math.inf, 0.0)),
        dataclasses.replace(SEED, vertex_time=math.nan),
        dataclasses.replace(SEED, nside=8),
        dataclasses.replace(SEED, vertex=("x", 0.0, 0.0)),  # type: ignore[arg-type]  # a bug elsewhere
        dataclasses.replace(SEED, fallback=Guess((0.0, 0.0, math.nan), 0.0)),
    ],
)
def test_seed_that_no_client_would_take_is_not_sent(seed: Seed) -> None:
    with pytest.raises(MessageError, match="cannot be written"):
        encode(dataclasses.replace(TASK, seed=seed))


def test_message_of_another_scan_is_refused_and_says_so() -> None:
    with pytest.raises(MessageError, match=r"of scan 'other', not of '127907"):
        decode(encode(EndOfScan("other", "")), scan_id=SCAN)


@pytest.mark.parametrize("version", [2, 0, "1", 1.0, True, None, [1]])
def test_message_of_another_schema_is_refused_and_says_so(version: object) -> None:
    document = {**document_of(TASK), "v": version}
    with pytest.raises(MessageError, match=r"schema .* this program speaks 1"):
        decoded(document)


@pytest.mark.parametrize("name", ["", "tasks", None, 3, [], {}, "__class__"])
def test_message_of_unknown_type_is_refused(name: object) -> None:
    with pytest.raises(MessageError, match="unknown type"):
        decoded({**document_of(TASK), "type": name})


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_no_field_may_miss_or_be_added(message: Message) -> None:
    document = document_of(message)
    with pytest.raises(MessageError, match="not known"):
        decoded({**document, "more": 1})
    for name in document.keys() - {"v", "type", "scan_id"}:
        with pytest.raises(MessageError, match="missing"):
            decoded({key: value for key, value in document.items() if key != name})


WRONG: list[tuple[Message, str, object]] = [
    (TASK, "key", [64, 49152, 0]),
    (TASK, "key", [64, -1, 0]),
    (TASK, "key", [63, 0, 0]),
    (TASK, "key", [2**21, 0, 0]),
    (TASK, "key", [64, 0, 64]),
    (TASK, "key", [64, 0]),
    (TASK, "key", [64, 0, 0.0]),
    (TASK, "key", [64, 0, True]),
    (TASK, "key", "64"),
    (TASK, "attempt", 0),
    (TASK, "attempt", 101),
    (TASK, "attempt", 10**400),
    (TASK, "seed", []),
    (TASK, "seed.level", -1),
    (TASK, "seed.zenith", 3.2),
    (TASK, "seed.zenith", "0.1"),
    (TASK, "seed.azimuth", None),
    (TASK, "seed.azimuth", True),
    (TASK, "seed.vertex", [1.0, 2.0]),
    (TASK, "seed.vertex", [1.0, 2.0, None]),
    (TASK, "seed.vertex", {"x": 1.0}),
    (TASK, "seed.time", 10**400),
    (TASK, "seed.energy", "inf"),
    (TASK, "seed.fallback", 0),
    (TASK, "seed.fallback", {"vertex": [0, 0, 0]}),
    (DONE, "fit", None),
    (DONE, "fit.status", "fine"),
    (DONE, "fit.status", "failed"),  # with an nll
    (DONE, "fit.nll", None),  # with status ok
    (DONE, "fit.reason", 5),
    (DONE, "fit.reason", "x" * 501),
    (DONE, "fit.n_evaluations", -1),
    (DONE, "fit.n_evaluations", 1.5),
    (DONE, "runtime_s", None),
    (DONE, "worker", None),
    (DONE, "worker", "\ud800"),
    (MESSAGES[3], "kind", "tired"),
    (MESSAGES[3], "kind", ["timeout"]),
    (MESSAGES[4], "n_processes", 0),
    (MESSAGES[4], "pid", -1),
    (MESSAGES[4], "host", "x" * 129),
    (MESSAGES[5], "n_done", None),
    (MESSAGES[7], "reason", 1),
]


@pytest.mark.parametrize(("message", "path", "value"), WRONG)
def test_illegal_value_is_refused(message: Message, path: str, value: object) -> None:
    document = document_of(message)
    *outer, name = path.split(".")
    inner = document[outer[0]] if outer else document
    inner[name] = value
    with pytest.raises(MessageError):
        decoded(document)


def test_whole_numbers_are_numbers() -> None:
    document = document_of(TASK)
    document["seed"]["vertex"] = [1, 2, 3]
    message = decoded(document)
    assert isinstance(message, Task)
    assert message.seed.vertex == (1.0, 2.0, 3.0)
    assert type(message.seed.vertex[0]) is float


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    body = encode(DONE).replace(b"1234.5678", number.encode())
    assert number.encode() in body
    with pytest.raises(MessageError):
        decode(body, scan_id=SCAN)


def test_key_that_is_there_twice_is_refused() -> None:
    body = encode(TASK)
    with pytest.raises(MessageError, match="twice"):
        decode(body[:-1] + b',"attempt":1}', scan_id=SCAN)
    with pytest.raises(MessageError, match="twice"):
        decode(body.replace(b'"level":1', b'"level":1,"level":1'), scan_id=SCAN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 10_000,
        b'{"v":' * 3000,
        b'{"v":' + b"9" * 5000 + b"}",
        b" " * (MAX_BODY_BYTES + 1),
        encode(TASK)[:-1],
        encode(TASK) + b"x",
        encode(TASK).decode().encode("utf-16"),
    ],
)
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body, scan_id=SCAN)


def test_error_never_floods_the_log() -> None:
    document = {**document_of(TASK), "attempt": "x" * 10_000}
    with pytest.raises(MessageError) as caught:
        decoded(document)
    assert len(str(caught.value)) < 200
    with pytest.raises(MessageError) as caught:
        decoded({**document_of(TASK), **{"k" * 100 + str(i): i for i in range(100)}})
    assert len(str(caught.value)) < 400
