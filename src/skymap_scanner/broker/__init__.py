"""Brokers move bytes between the server and its clients; they know nothing of pixels."""

from skymap_scanner.broker.base import Broker, Consumer, Delivery, Listener
from skymap_scanner.broker.registry import BROKER_KINDS, make_broker

__all__ = ["BROKER_KINDS", "Broker", "Consumer", "Delivery", "Listener", "make_broker"]
