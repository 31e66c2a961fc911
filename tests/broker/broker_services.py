"""The brokers that the contract suite runs against: one `Service` each.

A new driver adds a context manager that yields its `Service` (or skips where its server is missing)
and a line in `SERVICES`; the suite asks the driver's class flags what to expect.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skymap_scanner.broker import Broker, make_broker
from skymap_scanner.broker.embedded import EmbeddedBroker, EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["SERVICES", "Service"]

_numbers = itertools.count(1)


def _new_name(prefix: str) -> str:
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


@dataclass(frozen=True)
class Service:
    """A running broker and how to reach it."""

    kind: str
    address: str
    #: Break a connection without a goodbye, as a pulled cable would.
    cut: Callable[[Broker], None]
    #: Arguments of `make_broker` beyond kind and address.
    token_file: Path | None = None
    token: str = ""
    #: What must be refused.
    wrong_token: str = "not the token"  # noqa: S105 - no secret
    #: An address in the driver's notation where nobody listens.
    empty_address: str = ""
    #: Fresh names for each test.
    queue: str = field(default_factory=lambda: _new_name("queue"))
    topic: str = field(default_factory=lambda: _new_name("topic"))

    def connect(self, *, connect_timeout_s: float = 20.0) -> Broker:
        """Return a new connection, not yet open."""
        return make_broker(
            self.kind,
            self.address,
            token=self.token,
            token_file=self.token_file,
            connect_timeout_s=connect_timeout_s,
        )


def _cut_embedded(broker: Broker) -> None:
    assert isinstance(broker, EmbeddedBroker)
    assert broker.link is not None
    broker.link.abort()


@contextlib.contextmanager
def embedded_tcp(folder: Path) -> Iterator[Service]:
    """The embedded broker on loopback."""
    with EmbeddedServer(folder / "token", lease_s=2.0) as server:
        yield Service(
            "embedded",
            server.address,
            _cut_embedded,
            token_file=server.token_file,
            empty_address="tcp://127.0.0.1:1",
        )


@contextlib.contextmanager
def embedded_unix(folder: Path) -> Iterator[Service]:
    """The embedded broker on a Unix socket."""
    with EmbeddedServer(folder / "token", socket_path=folder / "s", lease_s=2.0) as server:
        yield Service(
            "embedded",
            server.address,
            _cut_embedded,
            token_file=server.token_file,
            empty_address=f"unix://{folder}/nobody",
        )


SERVICES: dict[str, Callable[[Path], AbstractContextManager[Service]]] = {
    "embedded-tcp": embedded_tcp,
    "embedded-unix": embedded_unix,
}
