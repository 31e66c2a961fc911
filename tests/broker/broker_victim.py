"""Takes deliveries, says so on stdout, and then does nothing until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from skymap_scanner.broker import make_broker


async def main(arguments: list[str]) -> None:
    kind, address, token_file, token, queue, n_wanted = arguments
    broker = make_broker(
        kind, address, token=token, token_file=Path(token_file) if token_file else None
    )
    async with broker:
        consumer = await broker.consume(queue, prefetch=int(n_wanted))
        taken = 0
        while taken < int(n_wanted):
            taken += len(await consumer.get(max_n=int(n_wanted)))
        print("taken", flush=True)  # noqa: T201 - the test waits for it
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
