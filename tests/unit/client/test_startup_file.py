"""The startup JSON: what the server writes is what the client reads; the rest is refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from skymap_scanner.client.startup import (
    BrokerPlace,
    StartupFile,
    is_over,
    mark_as_over,
    wait_for_startup_file,
)
from skymap_scanner.exceptions import FormatError, InputError, OutputError, UsageError

WHOLE = StartupFile(
    scan_id="1234-8-64-1700000000-r127907-ab12",
    mq_basename="queues",
    baseline_gcd_file="/data/GCD.i3.gz",
    gcdqp_packet={"frames": [["G", "QUJD"], ["p", ""]]},
    broker=BrokerPlace("embedded", "tcp://127.0.0.1:5000", Path("/run/token")),
    reco_name="splinempe",
    reco_options={"variations": "classic"},
    event_version="2021a",
    event_type="neutrino",
    is_real=True,
)
SHORT = StartupFile(scan_id="s", mq_basename="s", gcdqp_packet={"frames": []}, reco_name="dummy")


@pytest.mark.parametrize("startup", [WHOLE, SHORT])
def test_what_is_written_is_read(startup: StartupFile, tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    startup.write(path)
    assert StartupFile.read(path) == startup


def test_the_classic_keys_are_there() -> None:
    document = json.loads(WHOLE.to_json())
    assert {"scan_id", "mq_basename", "baseline_GCD_file", "GCDQp_packet"} <= document.keys()
    assert document["schema"] == 1
    assert document["broker"] == {
        "kind": "embedded",
        "address": "tcp://127.0.0.1:5000",
        "token_file": "/run/token",
    }


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    startup = StartupFile(
        scan_id="s",
        gcdqp_packet={},
        reco_name="dummy",
        broker=BrokerPlace("embedded", "tcp://h:1", Path("cache/token")),
    )
    assert StartupFile.from_json(startup.to_json()).broker.token_file == tmp_path / "cache/token"


def test_keys_to_come_are_left_aside() -> None:
    document = json.loads(WHOLE.to_json())
    document["future"] = {"x": 1}
    assert StartupFile.from_json(json.dumps(document)) == WHOLE


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("schema", 2, "schema"),
        ("schema", True, "schema"),
        ("messages", 2, "messages"),
        ("is_over", "no", "is_over"),
        ("scan_id", 5, "scan_id"),
        ("GCDQp_packet", "text", "GCDQp_packet"),
        ("broker", {"token_file": None}, "broker.kind"),
        ("broker", None, "broker"),
        ("reco", {"name": "dummy", "options": {"k": 1}}, "reco.options.k"),
        ("event", {"version": "", "event_type": "None", "is_real": "yes"}, "event.is_real"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, place: str) -> None:
    document = json.loads(WHOLE.to_json())
    document[key] = value
    with pytest.raises(FormatError) as caught:
        StartupFile.from_json(json.dumps(document))
    assert caught.value.place == place


@pytest.mark.parametrize("key", json.loads(WHOLE.to_json()))
def test_a_missing_key_is_named(key: str) -> None:
    document = json.loads(WHOLE.to_json())
    del document[key]
    with pytest.raises(FormatError, match=key):
        StartupFile.from_json(json.dumps(document))


@given(st.binary(max_size=100) | st.just(b"[" * 100_000))
def test_garbage_raises_our_error_only(garbage: bytes) -> None:
    with pytest.raises(FormatError):
        StartupFile.from_json(garbage)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    with pytest.raises(FormatError, match=r"startup\.json: the file cannot be read"):
        StartupFile.read(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"startup\.json.*not JSON"):
        StartupFile.read(path)
    with pytest.raises(OutputError, match="nowhere"):
        SHORT.write(tmp_path / "nowhere" / "startup.json")


def test_a_client_waits_for_the_file(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"

    async def scenario() -> StartupFile:
        waiting = asyncio.create_task(wait_for_startup_file(path, 20.0))
        await asyncio.sleep(0.05)
        SHORT.write(path)
        return await waiting

    assert asyncio.run(scenario()) == SHORT


def test_a_client_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did not appear") as caught:
        asyncio.run(wait_for_startup_file(tmp_path / "startup.json", 0.05))
    assert caught.value.exit_code == 2


def test_the_end_of_a_scan_is_marked_in_its_own_file_only(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    mark_as_over(path, "s")  # no file: nothing happens
    assert not path.exists()
    SHORT.write(path)
    mark_as_over(path, "another scan")
    assert StartupFile.read(path) == SHORT
    mark_as_over(path, "s")
    assert StartupFile.read(path) == replace(SHORT, is_over=True)


def test_a_client_that_lost_the_broker_can_tell_whether_its_scan_is_over(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    assert not is_over(path, "s")
    SHORT.write(path)
    assert not is_over(path, "s")
    mark_as_over(path, "s")
    assert is_over(path, "s")
    assert not is_over(path, "another scan")


def test_a_client_waits_for_the_scan_after_the_one_that_is_over(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    replace(WHOLE, is_over=True).write(path)

    async def scenario() -> StartupFile:
        waiting = asyncio.create_task(wait_for_startup_file(path, 20.0))
        await asyncio.sleep(0.05)
        path.unlink()  # as the next server does first
        await asyncio.sleep(0.3)
        assert not waiting.done()
        SHORT.write(path)
        return await waiting

    assert asyncio.run(scenario()) == SHORT


def test_when_no_other_scan_comes_the_client_learns_that_this_one_is_over(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    replace(SHORT, is_over=True).write(path)
    assert asyncio.run(wait_for_startup_file(path, 0.05)).is_over
