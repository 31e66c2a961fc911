"""Brokers by name, and addresses of the embedded one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from skymap_scanner.broker import BROKER_KINDS, make_broker
from skymap_scanner.broker.embedded import EmbeddedBroker
from skymap_scanner.broker.embedded.addresses import Address
from skymap_scanner.exceptions import UsageError

TOKEN = "only for tests"  # noqa: S105 - no secret


@pytest.mark.parametrize("kind", ["rabbitmq", "pulsar", "nats"])
def test_drivers_to_come_say_so(kind: str) -> None:
    with pytest.raises(UsageError, match=f"the {kind} driver comes with a later release") as caught:
        make_broker(kind, "localhost")
    assert caught.value.exit_code == 2


def test_an_unknown_broker_lists_those_that_are_there() -> None:
    with pytest.raises(UsageError) as caught:
        make_broker("zeromq")
    assert all(kind in str(caught.value) for kind in BROKER_KINDS)


def test_the_embedded_broker_needs_no_connection_to_be_made() -> None:
    assert isinstance(make_broker("embedded", "127.0.0.1:9", token=TOKEN), EmbeddedBroker)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://127.0.0.1:80", Address("127.0.0.1", 80)),
        ("localhost:5000", Address("localhost", 5000)),
        ("tcp://[::1]:5000", Address("::1", 5000)),
        ("unix:///tmp/s", Address(path="/tmp/s")),  # noqa: S108 - only a text
    ],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "tcp://localhost", "http://h:1", "unix://s", "h:99999", "h:1/x", "tcp://[:1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        make_broker("embedded", text)


def test_a_socket_path_too_long_for_the_system_is_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        Address.parse("unix:///" + "x" * 200)


def test_importing_the_package_loads_no_driver() -> None:
    code = (
        "import sys, skymap_scanner.broker; "
        "sys.exit(any(n.startswith('skymap_scanner.broker.embedded') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
