"""Brokers by name; each driver is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from skymap_scanner.broker.base import Broker

__all__ = ["BROKER_KINDS", "make_broker"]

#: Every name that `SKYSCAN_BROKER_CLIENT` may have.
BROKER_KINDS = ("rabbitmq", "pulsar", "nats", "embedded")
#: Those whose drivers are not there yet.
_PLANNED = frozenset({"rabbitmq", "pulsar", "nats"})


def make_broker(
    kind: str,
    address: str = "",
    *,
    token: str = "",
    token_file: Path | None = None,
    connect_timeout_s: float = 300.0,
) -> Broker:
    """Return the driver for a kind of broker, not yet open.

    Parameters
    ----------
    kind : str
        One of `BROKER_KINDS`.
    address : str
        Where the broker is, in its own notation (embedded: ``tcp://HOST:PORT``, ``unix:///PATH``).
    token : str
        What it wants to see; empty for none.
    token_file : Path, optional
        Embedded only: a file with the token, read anew for each connection.
    connect_timeout_s : float
        How long it may be out of reach before calls fail [s].

    Returns
    -------
    Broker
        To be opened by the caller.

    Raises
    ------
    UsageError
        When the kind is unknown or its driver is not part of this release.
    """
    if kind in _PLANNED:
        raise UsageError(
            f"the {kind} driver comes with a later release; "
            "until then choose the broker that needs no installation: embedded",
            place="SKYSCAN_BROKER_CLIENT",
            found=kind,
            wanted="embedded",
        )
    if kind == "embedded":
        from skymap_scanner.broker.embedded import EmbeddedBroker

        return EmbeddedBroker(
            address, token=token, token_file=token_file, connect_timeout_s=connect_timeout_s
        )
    raise UsageError(
        "no such broker",
        place="SKYSCAN_BROKER_CLIENT",
        found=repr(kind),
        wanted=f"one of {', '.join(BROKER_KINDS)}",
    )
