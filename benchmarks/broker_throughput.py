"""Messages per second through the embedded broker: publish, get, acknowledge, on this machine.

A publisher and a server share this process, as in a scan; a second process takes everything,
acknowledges it and sends an answer back, as a client would.

    python benchmarks/broker_throughput.py [--messages N] [--bytes N] [--prefetch N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from skymap_scanner.broker.embedded import EmbeddedBroker, EmbeddedServer


async def echo(address: str, token_file: Path, n_messages: int, prefetch: int) -> None:
    """Take tasks, answer each with a body of the same length, then acknowledge."""
    async with EmbeddedBroker(address, token_file=token_file) as broker:
        consumer = await broker.consume("to", prefetch=prefetch)
        n_done = 0
        while n_done < n_messages:
            deliveries = await consumer.get(max_n=prefetch, timeout_s=30)
            await broker.publish("from", [delivery.body for delivery in deliveries])
            await consumer.ack(deliveries)
            n_done += len(deliveries)


async def measure(server: EmbeddedServer, n_messages: int, size: int, prefetch: int) -> float:
    """Return the seconds that all messages take to go there and back."""
    async with EmbeddedBroker(server.address, token_file=server.token_file) as broker:
        consumer = await broker.consume("from", prefetch=prefetch)
        begin = time.perf_counter()
        await broker.publish("to", [os.urandom(size) for _ in range(n_messages)])
        n_done = 0
        while n_done < n_messages:
            deliveries = await consumer.get(max_n=1000, timeout_s=30)
            await consumer.ack(deliveries)
            n_done += len(deliveries)
        return time.perf_counter() - begin


def run(n_messages: int, size: int, prefetch: int) -> dict[str, float]:
    """Run the benchmark and return its figures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Path(folder) / "token") as server,
    ):
        arguments = [server.address, str(server.token_file), str(n_messages), str(prefetch)]
        client = subprocess.Popen([sys.executable, __file__, "--echo", *arguments])
        try:
            seconds = asyncio.run(measure(server, n_messages, size, prefetch))
        finally:
            client.wait(30)
    return {
        "messages": n_messages,
        "bytes": size,
        "prefetch": prefetch,
        "seconds": round(seconds, 3),
        "round_trips_per_s": round(n_messages / seconds),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=50_000, help="how many [50000]")
    parser.add_argument("--bytes", type=int, default=500, help="length of a body [500 bytes]")
    parser.add_argument("--prefetch", type=int, default=128, help="unsettled deliveries [128]")
    parser.add_argument("--echo", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.echo:
        address, token_file, n_messages, prefetch = options.echo
        asyncio.run(echo(address, Path(token_file), int(n_messages), int(prefetch)))
        return 0
    print(json.dumps(run(options.messages, options.bytes, options.prefetch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
