"""The broker of a scan: the embedded one is served by the server itself, others are only used."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from skymap_scanner.broker.registry import make_broker
from skymap_scanner.client.startup import BrokerPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.broker.base import Broker
    from skymap_scanner.config import Settings

__all__ = ["check_broker", "served_broker"]


def check_broker(settings: Settings) -> None:
    """Check that the broker can be used at all, before any work is done for it.

    Raises
    ------
    UsageError
        When its driver is not part of this release, or its address cannot be read.
    """
    if settings.SKYSCAN_BROKER_CLIENT == "embedded":
        _listening_place(settings.SKYSCAN_BROKER_ADDRESS)
    else:
        make_broker(settings.SKYSCAN_BROKER_CLIENT, settings.SKYSCAN_BROKER_ADDRESS)


@contextlib.contextmanager
def served_broker(settings: Settings, token_file: Path) -> Iterator[tuple[BrokerPlace, Broker]]:
    """Serve the embedded broker where it is the chosen one; yield its place and an unopened driver.

    Parameters
    ----------
    settings : Settings
        The environment, which chooses kind and address.
    token_file : Path
        Where the embedded broker's token goes for clients.

    Raises
    ------
    BrokerError
        When the address is taken.
    """
    kind, timeout_s = settings.SKYSCAN_BROKER_CLIENT, settings.SKYSCAN_BROKER_CONNECT_TIMEOUT
    if kind != "embedded":
        address = settings.SKYSCAN_BROKER_ADDRESS
        broker = make_broker(
            kind, address, token=settings.SKYSCAN_BROKER_AUTH, connect_timeout_s=timeout_s
        )
        # The address may hold a password: clients have it in their own environment.
        yield BrokerPlace(kind, "", None), broker
        return
    from skymap_scanner.broker.embedded import EmbeddedServer

    host, port, socket_path = _listening_place(settings.SKYSCAN_BROKER_ADDRESS)
    with EmbeddedServer(token_file, host=host, port=port, socket_path=socket_path) as server:
        broker = make_broker(
            kind, server.address, token_file=token_file, connect_timeout_s=timeout_s
        )
        yield BrokerPlace(kind, server.address, token_file), broker


def _listening_place(address: str) -> tuple[str, int, Path | None]:
    """Return host, port and socket path where the embedded broker listens."""
    if not address:
        return "127.0.0.1", 0, None
    from skymap_scanner.broker.embedded.addresses import Address

    place = Address.parse(address)
    return place.host or "127.0.0.1", place.port, Path(place.path) if place.path else None
