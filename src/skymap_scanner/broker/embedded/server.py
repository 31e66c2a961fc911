"""The embedded broker itself: a thread with an event loop of its own inside the scan server."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from skymap_scanner.broker.embedded.addresses import Address
from skymap_scanner.broker.embedded.session import Exchange, Session
from skymap_scanner.broker.embedded.tokens import write_token
from skymap_scanner.exceptions import BrokerError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["EmbeddedServer", "ServerFigures"]

logger = logging.getLogger(__name__)

#: A peer that gives no sign of life for so long loses its deliveries to others [s].
LEASE_S = 30.0
#: How long `stop` waits for the last frames to leave [s].
_FLUSH_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What an embedded broker holds at one moment."""

    n_connections: int
    n_ready: dict[str, int]  #: per queue asked for
    n_unsettled: dict[str, int]  #: per queue asked for


class EmbeddedServer:
    """Serves queues on loopback, or on a Unix socket, to those who know the token.

    What it holds lives and dies with it. It runs in a thread of its own, so that heartbeats are
    answered whatever the scan server computes.

    Parameters
    ----------
    token_file : Path
        Where a new token is written for clients (mode 0600); removed when the broker stops.
    host : str
        Where to listen; anything but a loopback address lets other machines in, which is logged.
    port : int
        0 lets the operating system choose.
    socket_path : Path, optional
        Listen on this Unix socket instead.
    lease_s : float
        Silence after which a peer loses its deliveries to others [s].

    Examples
    --------
    ::

        with EmbeddedServer(cache_dir / "broker-token") as server:
            broker = EmbeddedBroker(server.address, token_file=server.token_file)
    """

    def __init__(
        self,
        token_file: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        socket_path: Path | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self.token_file = token_file
        self._wanted = (
            Address(path=str(socket_path.absolute()))
            if socket_path is not None
            else Address(host=host, port=port)
        )
        self._lease_s = lease_s
        self._address: Address | None = None
        self._exchange: Exchange | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """Where clients find it, as `Address.parse` reads it."""
        if self._address is None:
            raise BrokerError("the embedded broker has not been started")
        return str(self._address)

    def start(self) -> str:
        """Write the token, listen, and return the address.

        Raises
        ------
        BrokerError
            When the address is taken or not ours.
        OutputError
            When the token file cannot be written.
        """
        if self._thread is not None:
            raise BrokerError("the embedded broker runs already")
        listening = _bind(self._wanted)
        try:
            token = write_token(self.token_file)
            self._address = self._reachable_address(listening)
            self._exchange = Exchange(token, self._lease_s)
            is_ready = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(listening, is_ready), name="embedded-broker", daemon=True
            )
            self._thread.start()
        except BaseException:
            listening.close()
            raise
        is_ready.wait()
        logger.info("embedded broker listens on %s", self._address)
        return str(self._address)

    def stop(self) -> None:
        """Send what is on its way, close every connection, end the thread, remove the token."""
        thread, loop, stop = self._thread, self._loop, self._stop
        if thread is None:
            return
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stop.set)
        thread.join()
        self._thread = None
        self.token_file.unlink(missing_ok=True)
        if self._wanted.path:
            Path(self._wanted.path).unlink(missing_ok=True)

    def figures(self, *queues: str) -> ServerFigures:
        """Return what the broker holds; may be called from any thread."""
        thread, loop, exchange = self._thread, self._loop, self._exchange
        if thread is None or loop is None or exchange is None:
            raise BrokerError("the embedded broker does not run")

        async def look() -> ServerFigures:
            return ServerFigures(
                n_connections=len(exchange.sessions),
                n_ready={queue: exchange.board.n_ready(queue) for queue in queues},
                n_unsettled={queue: exchange.board.n_unsettled(queue) for queue in queues},
            )

        return asyncio.run_coroutine_threadsafe(look(), loop).result()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _reachable_address(self, listening: socket.socket) -> Address:
        """Return the address that clients are told."""
        if self._wanted.path:
            return self._wanted
        host, port = listening.getsockname()[:2]
        if ipaddress.ip_address(host).is_loopback:
            return Address(host=host, port=port)
        logger.warning("the embedded broker listens on %s: other machines can reach it", host)
        if ipaddress.ip_address(host).is_unspecified:
            host = socket.getfqdn()
        return Address(host=host, port=port)

    def _run(self, listening: socket.socket, is_ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listening, is_ready))
        except Exception:
            logger.exception("the embedded broker died: a bug of ours")
        finally:
            is_ready.set()

    async def _serve(self, listening: socket.socket, is_ready: threading.Event) -> None:
        exchange = self._exchange
        if exchange is None:
            raise BrokerError("the embedded broker has not been started")
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(
            lambda: Session(exchange), sock=listening, backlog=512
        )
        watch = asyncio.create_task(_drop_silent_peers(exchange))
        is_ready.set()
        try:
            await self._stop.wait()
        finally:
            watch.cancel()
            # No more are accepted, and who was becomes a session: asyncio loses sight of a
            # connection that is between the two when its server is closed.
            self._loop.remove_reader(listening.fileno())
            await _let_the_loop_turn()
            server.close()
            await _close_sessions(exchange)


def _bind(address: Address) -> socket.socket:
    """Return a socket that listens where it was told."""
    try:
        if address.path:
            return _bind_unix(Path(address.path))
        family, _, _, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(512)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise BrokerError(
            f"the embedded broker cannot listen on {address}: {error.strerror or error}; "
            "choose another address",
            address=str(address),
        ) from error
    return listening


def _bind_unix(path: Path) -> socket.socket:
    """Return a listening Unix socket that only its owner can connect to."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _is_served(path):
            path.unlink()  # left behind by a server that was killed
        listening.bind(str(path))
        # Nobody can connect before `listen`, so nobody can between these two lines.
        path.chmod(0o600)
        listening.listen(512)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


async def _drop_silent_peers(exchange: Exchange) -> None:
    """Cut the lines on which nothing has come for a lease's time."""
    loop = asyncio.get_running_loop()
    pause_s = exchange.lease_s / 4
    while True:
        before = loop.time()
        await asyncio.sleep(pause_s)
        now = loop.time()
        if now - before > 2 * pause_s:
            # We were the ones asleep (a stopped process, a suspended machine): what the peers sent
            # meanwhile waits to be read, so nobody is judged by this round.
            continue
        for session in list(exchange.sessions):
            if now - session.last_heard > exchange.lease_s:
                logger.warning("dropped a peer that was silent for %.0f s", exchange.lease_s)
                session.abort()


async def _close_sessions(exchange: Exchange) -> None:
    """Let the last frames leave, then close."""
    sessions = [*exchange.sessions, *exchange.strangers]
    for session in sessions:
        session.close()
    deadline = asyncio.get_running_loop().time() + _FLUSH_S
    while exchange.sessions or exchange.strangers:
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.01)
    for session in sessions:
        session.abort()
    await _let_the_loop_turn()  # an aborted connection closes its socket


async def _let_the_loop_turn() -> None:
    """Let callbacks that are due, and those that follow from them, run."""
    for _ in range(5):
        await asyncio.sleep(0)
