"""Deliveries that a test takes from a broker, and how long it waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from skymap_scanner.exceptions import BrokerTimeoutError

if TYPE_CHECKING:
    from skymap_scanner.broker import Consumer, Delivery

#: Long enough for any broker to deliver what it will deliver [s].
WAIT_S = 20.0
#: How long a test watches that nothing comes [s].
QUIET_S = 0.3


async def take(consumer: Consumer, n: int) -> list[Delivery]:
    """Take exactly `n` deliveries."""
    taken: list[Delivery] = []
    while len(taken) < n:
        taken += await consumer.get(max_n=n - len(taken), timeout_s=WAIT_S)
    return taken


async def assert_nothing_comes(consumer: Consumer) -> None:
    with pytest.raises(BrokerTimeoutError):
        await consumer.get(timeout_s=QUIET_S)
