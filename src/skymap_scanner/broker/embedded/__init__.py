"""The broker that needs no installation: a thread of the scan server, and its driver."""

from skymap_scanner.broker.embedded.driver import EmbeddedBroker
from skymap_scanner.broker.embedded.server import EmbeddedServer
from skymap_scanner.broker.embedded.tokens import read_token, write_token

__all__ = ["EmbeddedBroker", "EmbeddedServer", "read_token", "write_token"]
