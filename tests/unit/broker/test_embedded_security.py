"""Strangers at the embedded broker's door, friends that break the rules, peers that fall silent."""

from __future__ import annotations

import asyncio
import socket
import stat
import struct
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from skymap_scanner.broker.embedded import (
    EmbeddedBroker,
    EmbeddedServer,
    frames,
    read_token,
    session,
)
from skymap_scanner.broker.embedded.frames import FrameReader, Op
from skymap_scanner.broker.embedded.tokens import make_proof
from skymap_scanner.exceptions import BrokerAuthError, BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 20.0
TOKEN = "only for tests"  # noqa: S105 - no secret


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "token", lease_s=0.4) as running:
        yield running


def dial(server: EmbeddedServer) -> socket.socket:
    host, _, port = server.address.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


def read_all(line: socket.socket) -> bytes:
    """Read until the other side hangs up."""
    data = b""
    while True:
        try:
            more = line.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def assert_still_serves(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with EmbeddedBroker(server.address, token_file=server.token_file) as broker:
            await broker.publish("q", [b"x"])
            consumer = await broker.consume("q", prefetch=1)
            (delivery,) = await consumer.get(timeout_s=WAIT_S)
            await consumer.ack([delivery])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0" * 64,
        b"\xff" * 64,
        frames.pack_frame(Op.PUBLISH, 1, frames.pack_name("q"), frames.pack_bodies([b"evil"])),
        frames.pack_frame(Op.AUTH, 0, b"too short"),
        frames.pack_frame(Op.AUTH, 0, bytes((frames.VERSION,)) + bytes(64)),
        frames.pack_frame(Op.AUTH, 0, bytes((99,)) + bytes(64)),
        frames.pack_frame(Op.AUTH, 0, bytes(10_000)),
    ],
)
def test_strangers_are_dropped_and_change_nothing(server: EmbeddedServer, garbage: bytes) -> None:
    with dial(server) as line:
        line.sendall(garbage)
        answer = read_all(line)
    answered = [frame.op for frame in FrameReader(10_000).feed(answer)]
    assert set(answered) <= {Op.CHALLENGE, Op.ERROR}
    assert server.figures("q").n_ready == {"q": 0}
    assert_still_serves(server)


def test_a_stranger_that_says_nothing_is_dropped(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "GREETING_TIMEOUT_S", 0.1)
    with dial(server) as line:
        assert len(read_all(line)) > 0  # the challenge, then the end


def test_many_strangers_do_not_lock_friends_out_for_good(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_STRANGERS", 3)
    monkeypatch.setattr(session, "GREETING_TIMEOUT_S", 0.5)
    lines = [dial(server) for _ in range(5)]
    try:
        assert_still_serves(server)
    finally:
        for line in lines:
            line.close()


def test_a_friend_that_breaks_the_protocol_loses_its_connection_only(
    server: EmbeddedServer,
) -> None:
    async def scenario() -> None:
        async with EmbeddedBroker(server.address, token_file=server.token_file) as broker:
            link = broker.link
            assert link is not None
            link.send(Op.PUBLISH, 77, b"\x05abc")
            await link.lost.wait()
            await broker.publish("q", [b"x"])

    asyncio.run(scenario())
    assert server.figures("q").n_ready == {"q": 1}


def test_the_token_never_crosses_the_line(server: EmbeddedServer) -> None:
    token = read_token(server.token_file)

    async def scenario() -> bytes:
        seen = bytearray()
        ends: list[asyncio.StreamWriter] = []

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            host, _, port = server.address.removeprefix("tcp://").rpartition(":")
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
            ends.extend([writer, there_writer])

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(1 << 16):
                    seen.extend(data)
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

        relaying = await asyncio.start_server(relay, "127.0.0.1", 0)
        port = relaying.sockets[0].getsockname()[1]
        async with EmbeddedBroker(f"tcp://127.0.0.1:{port}", token=token) as broker:
            await broker.publish("q", [b"marker"])
        for end in ends:
            await end.wait_closed()
        relaying.close()
        return bytes(seen)

    seen = asyncio.run(scenario())
    assert b"marker" in seen
    assert token.encode() not in seen
    assert bytes.fromhex(token) not in seen


def test_a_server_that_does_not_know_the_token_is_not_trusted() -> None:
    async def scenario() -> None:
        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            challenge = frames.MAGIC + bytes((frames.VERSION,)) + bytes(32)
            writer.write(frames.pack_frame(Op.CHALLENGE, 0, challenge))
            await reader.read(1000)
            proof = make_proof("a guess", "server", bytes(32), bytes(32))
            writer.write(frames.pack_frame(Op.WELCOME, 0, proof + bytes(8)))
            await reader.read(1000)
            writer.close()

        serving = await asyncio.start_server(impostor, "127.0.0.1", 0)
        port = serving.sockets[0].getsockname()[1]
        broker = EmbeddedBroker(f"127.0.0.1:{port}", token=TOKEN)
        with pytest.raises(BrokerAuthError, match="does not know the token"):
            await broker.open()
        serving.close()
        await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_another_protocol_at_the_address_is_told_from_ours() -> None:
    async def scenario() -> None:
        async def greeter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            await reader.read(1000)
            writer.close()

        serving = await asyncio.start_server(greeter, "127.0.0.1", 0)
        port = serving.sockets[0].getsockname()[1]
        broker = EmbeddedBroker(f"127.0.0.1:{port}", token=TOKEN, connect_timeout_s=0.0)
        with pytest.raises(BrokerError, match="not an embedded broker"):
            await broker.open()
        serving.close()
        await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_a_peer_that_falls_silent_loses_its_deliveries(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with (
            EmbeddedBroker(server.address, token_file=server.token_file) as silent,
            EmbeddedBroker(server.address, token_file=server.token_file) as other,
        ):
            await silent.publish("q", [b"x"])
            held = await silent.consume("q", prefetch=1)
            await held.get(timeout_s=WAIT_S)
            assert silent.link is not None
            assert silent.link._heartbeat is not None
            silent.link._heartbeat.cancel()
            consumer = await other.consume("q", prefetch=1)
            (again,) = await consumer.get(timeout_s=WAIT_S)
            assert again.attempt == 2

    asyncio.run(scenario())


def test_a_peer_that_only_beats_keeps_its_deliveries(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with EmbeddedBroker(server.address, token_file=server.token_file) as broker:
            await broker.publish("q", [b"x"])
            consumer = await broker.consume("q", prefetch=1)
            (delivery,) = await consumer.get(timeout_s=WAIT_S)
            link = broker.link
            await asyncio.sleep(1.2)  # three leases
            assert broker.link is link
            await consumer.ack([delivery])

    asyncio.run(scenario())


def test_a_server_that_falls_silent_is_left() -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonce = bytes(32)
            challenge = frames.MAGIC + bytes((frames.VERSION,)) + nonce
            writer.write(frames.pack_frame(Op.CHALLENGE, 0, challenge))
            (greeting,) = FrameReader(1000).feed(await reader.read(1000))
            proof = make_proof(TOKEN, "server", greeting.payload[1:33], nonce)
            writer.write(frames.pack_frame(Op.WELCOME, 0, proof + struct.pack("!d", 0.2)))
            while await reader.read(1000):
                pass
            writer.close()

        serving = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = serving.sockets[0].getsockname()[1]
        async with EmbeddedBroker(f"127.0.0.1:{port}", token=TOKEN) as broker:
            link = broker.link
            assert link is not None
            async with asyncio.timeout(WAIT_S):
                await link.lost.wait()
        serving.close()
        await asyncio.sleep(0.05)

    asyncio.run(scenario())


class FakeTransport(asyncio.Transport):
    """Takes everything and remembers whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*Op, 0, 255]),
            st.integers(0, 3),
            st.binary(max_size=30)
            | st.binary(max_size=10).map(lambda end: b"\x01q" + end)
            | st.just(frames.pack_name("q") + frames.pack_bodies([b"x"])),
        ),
        max_size=20,
    )
)
def test_whatever_a_friend_sends_is_served_or_refused(
    sent: list[tuple[Op, int, bytes]],
) -> None:
    async def scenario() -> None:
        exchange = session.Exchange(TOKEN, 30.0)
        peer, transport = session.Session(exchange), FakeTransport()
        peer.connection_made(transport)
        exchange.strangers.discard(peer)
        exchange.sessions.add(peer)
        for op, number, payload in sent:
            peer.data_received(frames.pack_frame(op, number, payload))
        peer.connection_lost(None)
        assert not exchange.sessions
        assert exchange.board.n_consumers("q") == 0
        assert exchange.board.n_unsettled("q") == 0

    asyncio.run(scenario())


def test_the_server_listens_on_loopback_only(server: EmbeddedServer) -> None:
    assert server.address.startswith("tcp://127.0.0.1:")


def test_a_unix_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with EmbeddedServer(tmp_path / "token", socket_path=path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(BrokerError, match="cannot listen"):
            EmbeddedServer(tmp_path / "token2", socket_path=path).start()
    assert not path.exists()
    assert not (tmp_path / "token").exists()


def test_a_socket_left_by_a_killed_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with EmbeddedServer(tmp_path / "token", socket_path=path) as server:
        assert_still_serves(server)


def test_a_file_in_the_place_of_the_socket_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(BrokerError, match="cannot listen"):
        EmbeddedServer(tmp_path / "token", socket_path=path).start()
    assert path.read_text() == "precious"


def test_a_port_in_use_is_our_error(tmp_path: Path, server: EmbeddedServer) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(BrokerError, match="cannot listen"):
        EmbeddedServer(tmp_path / "token2", port=port).start()
