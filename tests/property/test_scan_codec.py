"""Any message survives the wire to the last bit; any bytes give a message or a MessageError."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymap_scanner.exceptions import MessageError
from skymap_scanner.pixels import Fit, FitStatus, Guess, Seed, TaskKey
from skymap_scanner.scan.messages import (
    MAX_TASK_BYTES,
    EndOfScan,
    Message,
    Task,
    TaskDone,
    TaskFailed,
    WorkerBye,
    WorkerHello,
    decode,
    encode,
)
from skymap_scanner.scan.wire import MAX_BODY_BYTES

SCAN = "scan-1"
doubles = st.floats(allow_nan=False, allow_infinity=False)
unknown_or_double = st.one_of(doubles, st.just(math.nan))
vertices = st.tuples(doubles, doubles, doubles)
scan_ids = st.text("abcXYZ019._:+-", min_size=1, max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)
counts = st.integers(0, 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def keys(draw: st.DrawFn) -> TaskKey:
    nside = 2 ** draw(st.integers(0, 20))
    return nside, draw(st.integers(0, 12 * nside**2 - 1)), draw(st.integers(0, 63))


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    key = draw(keys())
    seed = Seed(
        nside=key[0],
        level=draw(st.integers(0, 32)),
        zenith=draw(st.floats(0.0, math.pi)),
        azimuth=draw(doubles),
        vertex=draw(vertices),
        vertex_time=draw(doubles),
        energy=draw(unknown_or_double),
        fallback=draw(st.none() | st.builds(Guess, vertices, doubles)),
    )
    return Task(draw(scan_ids), key, draw(st.integers(1, 100)), seed)


good_fits = st.builds(
    Fit,
    status=st.just(FitStatus.OK),
    reason=texts,
    nll=doubles,
    vertex=st.tuples(unknown_or_double, unknown_or_double, unknown_or_double),
    vertex_time=unknown_or_double,
    energy=unknown_or_double,
    energy_in=unknown_or_double,
    energy_total=unknown_or_double,
    n_evaluations=counts,
)
fits = good_fits | st.builds(Fit.failed, texts)
attempts = st.integers(1, 100)
answers = st.builds(TaskDone, scan_ids, keys(), attempts, fits, st.floats(0.0, 1e9), texts)
failures = st.builds(
    TaskFailed,
    scan_ids,
    keys(),
    attempts,
    st.sampled_from(["timeout", "crash", "error", "lost"]),
    texts,
    texts,
)
others = (
    st.builds(WorkerHello, scan_ids, texts, texts, counts, st.integers(1, 10**6), texts)
    | st.builds(WorkerBye, scan_ids, texts, texts, counts, counts)
    | st.builds(EndOfScan, scan_ids, texts)
)


def bits(value: object) -> object:
    """Make NaN equal to NaN and -0.0 different from 0.0, at any depth."""
    if isinstance(value, float):
        return struct.pack("<d", math.nan if math.isnan(value) else value)
    if isinstance(value, tuple):
        return tuple(bits(item) for item in value)
    if hasattr(value, "__slots__") and not isinstance(value, str):
        return type(value), tuple(bits(getattr(value, name)) for name in value.__slots__)
    return value


@given(st.one_of(tasks(), answers, failures, others))
def test_message_survives_the_wire_to_the_last_bit(message: Message) -> None:
    assert bits(decode(encode(message), scan_id=message.scan_id)) == bits(message)


@given(tasks())
def test_task_never_exceeds_its_size(task: Task) -> None:
    assert len(encode(task)) <= MAX_TASK_BYTES


long_texts = st.text(max_size=60).map(lambda text: text * 40)


@given(st.builds(TaskFailed, st.just(SCAN), keys(), attempts, st.just("error"), long_texts, texts))
def test_any_text_can_be_sent(message: TaskFailed) -> None:
    body = encode(message)
    assert len(body) <= MAX_BODY_BYTES
    decode(body, scan_id=SCAN)


def decode_or_refuse(body: bytes) -> Message | None:
    """Decode; any exception but ours fails the test."""
    try:
        return decode(body, scan_id=SCAN)
    except MessageError:
        return None


@given(st.binary(max_size=400))
@example(b'{"v":1,"type":"end","scan_id":"scan-1","reason":"\\ud800"}')
@example(b"[" * 16000)
def test_any_bytes_are_refused(body: bytes) -> None:
    assert decode_or_refuse(body) is None


@given(json_values)
def test_any_json_is_refused(value: Any) -> None:
    assert decode_or_refuse(json.dumps(value).encode()) is None


ENVELOPE = {"v": 1, "scan_id": SCAN}


@given(
    st.sampled_from(["task", "done", "failed", "hello", "beat", "bye", "end"]),
    st.dictionaries(
        st.sampled_from(["key", "attempt", "seed", "fit", "runtime_s", "worker", "kind", "reason"]),
        json_values,
    ),
)
def test_any_fields_of_a_real_type_give_a_message_or_are_refused(
    name: str, fields: dict[str, Any]
) -> None:
    decode_or_refuse(json.dumps({**ENVELOPE, "type": name, **fields}).encode())


@given(st.one_of(tasks(), answers), st.data())
def test_any_value_in_a_real_message_gives_a_message_or_is_refused(
    message: Message, data: st.DataObject
) -> None:
    document = {**json.loads(encode(message)), "scan_id": SCAN}
    inner = document
    if data.draw(st.booleans()):
        inner = document["seed" if isinstance(message, Task) else "fit"]
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(json_values)
    found = decode_or_refuse(json.dumps(document).encode())
    if found is not None:
        assert bits(decode(encode(found), scan_id=SCAN)) == bits(found)


@given(st.one_of(tasks(), answers, failures), st.data())
def test_flipped_bytes_give_a_message_or_are_refused(message: Message, data: st.DataObject) -> None:
    body = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(body), scan_id=message.scan_id)
    except MessageError as error:
        assert len(str(error)) < 600  # noqa: PT017  # any other exception fails the test by itself


def test_oracle_of_these_tests_tells_zeros_apart() -> None:
    assert bits(0.0) != bits(-0.0)
    assert bits((math.nan,)) == bits((-math.nan,))
    with pytest.raises(MessageError):
        decode(b"", scan_id=SCAN)
