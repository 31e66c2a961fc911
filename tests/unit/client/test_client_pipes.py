"""Frames between supervisor and child, and what a child makes of a task."""

from __future__ import annotations

import io
import math
import os
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from skymap_scanner.client.child import carry_out
from skymap_scanner.client.pipes import (
    PipeError,
    Reply,
    ReplyKind,
    ReplyReader,
    pack_reply,
    pack_task,
    read_task,
)
from skymap_scanner.client.reconstruction import DEFAULT_FACTORY, build_runner, load_factory
from skymap_scanner.client.slot import describe_end
from skymap_scanner.client.tasks import DebugFolder
from skymap_scanner.exceptions import MessageError
from skymap_scanner.pixels import Fit, FitStatus, Seed, TaskKey
from skymap_scanner.scan.messages import EndOfScan, Task, TaskDone, TaskFailed, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

SEED = Seed(8, 0, 1.0, 2.0, (1.0, 2.0, 3.0), 4.0, math.nan)
TASK = encode(Task("scan", (8, 5, 3), 2, SEED))
FIT = Fit(FitStatus.OK, "", 7.5, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)


@given(st.lists(st.binary(max_size=100)))
def test_tasks_come_out_as_they_went_in(bodies: list[bytes]) -> None:
    pipe = io.BytesIO(b"".join(map(pack_task, bodies)))
    assert [read_task(pipe) for _ in bodies] == bodies
    assert read_task(pipe) is None


def test_a_task_that_is_cut_off_is_no_task() -> None:
    assert read_task(io.BytesIO(pack_task(b"body")[:-1])) is None


@given(
    st.lists(
        st.builds(
            Reply, st.sampled_from(ReplyKind), st.floats(allow_nan=False), st.binary(max_size=100)
        ),
        max_size=5,
    ),
    st.data(),
)
def test_replies_survive_any_cutting_of_the_stream(
    replies: list[Reply], data: st.DataObject
) -> None:
    stream = b"".join(map(pack_reply, replies))
    reader = ReplyReader()
    came: list[Reply] = []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        came += reader.feed(stream[:n])
        stream = stream[n:]
    assert came == replies


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 20, bytes(20), pack_reply(Reply(ReplyKind.DONE, 0.0, b""))[:4] + b"\x63" * 9],
)
def test_garbage_is_no_reply(garbage: bytes) -> None:
    with pytest.raises(PipeError):
        list(ReplyReader().feed(garbage))


def test_a_task_becomes_an_outcome() -> None:
    def run(seed: Seed, key: TaskKey) -> Fit:
        assert seed.vertex == SEED.vertex
        assert key == (8, 5, 3)
        return FIT

    reply = carry_out(TASK, run, scan_id="scan", worker="me")
    outcome = decode(reply.body, scan_id="scan")
    assert reply.kind is ReplyKind.DONE
    assert isinstance(outcome, TaskDone)
    assert (outcome.key, outcome.attempt, outcome.fit) == ((8, 5, 3), 2, FIT)
    assert (outcome.worker, outcome.runtime_s) == ("me", reply.runtime_s)


def test_a_fit_that_failed_is_an_outcome_too() -> None:
    reply = carry_out(TASK, lambda *_: Fit.failed("no light"), scan_id="scan", worker="me")
    outcome = decode(reply.body, scan_id="scan")
    assert isinstance(outcome, TaskDone)
    assert outcome.fit.reason == "no light"


@pytest.mark.parametrize("result", [None, ValueError("boom"), MemoryError(), math.nan])
def test_whatever_else_a_reconstruction_does_is_a_failed_task(result: object) -> None:
    def run(seed: Seed, key: TaskKey) -> Fit:
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[return-value]  # that is the point

    reply = carry_out(TASK, run, scan_id="scan", worker="me")
    outcome = decode(reply.body, scan_id="scan")
    assert reply.kind is ReplyKind.FAILED
    assert isinstance(outcome, TaskFailed)
    assert (outcome.kind, outcome.attempt) == ("error", 2)
    if isinstance(result, Exception):
        assert outcome.reason.startswith(type(result).__name__)


@pytest.mark.parametrize(
    "body", [b"", b"{}", encode(EndOfScan("scan", "x")), encode(Task("other", (8, 5, 3), 1, SEED))]
)
def test_what_is_no_task_of_this_scan_is_refused(body: bytes) -> None:
    def run(seed: Seed, key: TaskKey) -> Fit:
        pytest.fail("this must not be fitted")

    reply = carry_out(body, run, scan_id="scan", worker="me")
    assert reply.kind is ReplyKind.REFUSED
    assert reply.body


def test_the_factory_is_found_by_name() -> None:
    assert load_factory(DEFAULT_FACTORY) is build_runner


def test_the_end_of_a_process_is_told_in_a_line() -> None:
    assert describe_end(-9, b"") == "killed by signal SIGKILL (out of memory?)"
    assert describe_end(-99, b"") == "killed by signal 99"
    assert describe_end(1, b"a\n\nb\nc\nd\xff\n") == "exit code 1; last words: b / c / d\ufffd"
    assert len(describe_end(1, b"x" * 10_000)) < 400


def test_a_debug_folder_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    folder = DebugFolder(tmp_path / "missing", "scan")
    n_done = 0
    for body in (TASK, b"garbage"):
        with folder.keep(body) as output:
            output.append(b"outcome")
            n_done += 1
    assert n_done == 2


def test_a_debug_folder_takes_what_any_code_prints(tmp_path: Path, capfd: object) -> None:
    with DebugFolder(tmp_path, "scan").keep(TASK) as output:
        os.write(1, b"from C\n")
        os.write(2, b"and to stderr\n")
        output.append(b"outcome")
    stem = "scan-nside0008-ipix00000005-variation3-attempt2"
    assert (tmp_path / f"{stem}.log").read_bytes() == b"from C\nand to stderr\n"
    assert (tmp_path / f"{stem}.in.json").read_bytes() == TASK
    assert (tmp_path / f"{stem}.out.json").read_bytes() == b"outcome"


def test_a_message_that_is_no_json_names_no_file() -> None:
    with pytest.raises(MessageError):
        decode(b"garbage", scan_id="scan")
