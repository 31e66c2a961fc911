"""The token of the embedded broker and its file: who can read it, and what a new one changes."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.broker.embedded import EmbeddedBroker, EmbeddedServer, read_token, write_token
from skymap_scanner.exceptions import BrokerAuthError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 20.0


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_the_token(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        token = write_token(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(path) == token
    assert len(token) == 64
    assert write_token(path) != token
    assert list(tmp_path.iterdir()) == [path]


def test_the_token_file_is_never_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real_fsync = os.fsync

    def spy(number: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(number).st_mode))
        real_fsync(number)

    monkeypatch.setattr(os, "fsync", spy)
    write_token(tmp_path / "token")
    assert modes == [0o600]


def test_a_token_that_cannot_be_had_is_our_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BrokerAuthError, match="cannot read"):
        read_token(tmp_path / "nothing")
    (tmp_path / "empty").touch()
    with pytest.raises(BrokerAuthError, match="no token"):
        read_token(tmp_path / "empty")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(BrokerAuthError, match="not text"):
        read_token(tmp_path / "bytes")
    with pytest.raises(OutputError):
        write_token(tmp_path / "no" / "folder")
    open_file = tmp_path / "open"
    open_file.write_text("secret-word")
    open_file.chmod(0o644)
    assert read_token(open_file) == "secret-word"
    assert "0600" in caplog.text
    assert "secret-word" not in caplog.text


def test_a_restarted_server_with_another_token_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def scenario(first: EmbeddedServer) -> None:
        async with EmbeddedBroker(
            first.address, token_file=first.token_file, connect_timeout_s=WAIT_S
        ) as broker:
            consumer = await broker.consume("q", prefetch=1)
            await asyncio.to_thread(first.stop)
            publishing = asyncio.create_task(broker.publish("q", [b"x"]))
            await asyncio.sleep(0.3)
            with EmbeddedServer(tmp_path / "token", socket_path=path):
                await publishing
                assert (await consumer.get(timeout_s=WAIT_S))[0].body == b"x"

    server = EmbeddedServer(tmp_path / "token", socket_path=path)
    server.start()
    asyncio.run(scenario(server))
