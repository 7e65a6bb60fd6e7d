"""What a pool costs beside clients: messages of 2 KiB to smtp-sink, in one process, by turns.

    python -m benchmarks.pool_rows [--messages 4000] [--runs 5]

Rows: ``client.sendmail`` over ten connections, each with a task of its own; ``pool.sendmail`` over as many,
by ten tasks, and by a hundred, which wait for each other; and ``pool.send_many``. Printed is the CPU time of
this process for a message, the median and the least and most of the runs, and how many times that of the
client it is, in the median of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import aiosmtplib
from aiosmtplib import Envelope

from .compare_servers import Missing, sink

__all__ = ("ADDRESSES", "CONNECTIONS", "CONTENT", "ROWS", "main", "measure", "show")

CONNECTIONS = 10
CONTENT = (b"Subject: benchmark\r\n\r\n" + b"Ten lords a-leaping, nine ladies dancing, and so on.\r\n" * 40)[
    :2048
]
ADDRESSES = "a@example.com", ["b@example.com"]

#: Sends so many messages with these options, and returns the CPU time that they took, in seconds.
Row = Callable[[dict[str, Any], int], Awaitable[float]]


async def _timed(*tasks: Awaitable[object]) -> float:
    started = time.process_time()
    await asyncio.gather(*tasks)
    return time.process_time() - started


async def _some(sender: Any, count: int) -> None:
    for _ in range(count):
        await sender.sendmail(*ADDRESSES, CONTENT)


async def by_clients(options: dict[str, Any], count: int) -> float:
    clients = [aiosmtplib.SMTP(**options) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.connect()
        await _some(client, 1)
    seconds = await _timed(*(_some(client, count // CONNECTIONS) for client in clients))
    for client in clients:
        await client.quit()
    return seconds


def by_a_pool(tasks: int) -> Row:
    async def row(options: dict[str, Any], count: int) -> float:
        async with aiosmtplib.SMTPPool(max_connections=CONNECTIONS, **options) as pool:
            await asyncio.gather(*(_some(pool, 1) for _ in range(CONNECTIONS)))
            return await _timed(*(_some(pool, count // tasks) for _ in range(tasks)))

    return row


async def by_send_many(options: dict[str, Any], count: int) -> float:
    async with aiosmtplib.SMTPPool(max_connections=CONNECTIONS, **options) as pool:
        await asyncio.gather(*(_some(pool, 1) for _ in range(CONNECTIONS)))
        envelope = Envelope(*ADDRESSES, CONTENT)

        async def drain() -> None:
            async for result in pool.send_many(envelope for _ in range(count)):
                result.raise_for_status()

        return await _timed(drain())


ROWS: dict[str, Row] = {
    "client.sendmail, 10 tasks": by_clients,
    "pool.sendmail, 10 tasks": by_a_pool(10),
    "pool.sendmail, 100 tasks": by_a_pool(100),
    "pool.send_many": by_send_many,
}


def measure(port: int, messages: int, runs: int) -> dict[str, list[float]]:
    """The CPU time of a message in each run, in microseconds, for each row."""
    options = {"hostname": "127.0.0.1", "port": port, "local_hostname": "b.example", "start_tls": False}
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(runs):
        for name, row in ROWS.items():
            times[name].append(asyncio.run(_measured(row, options, messages)) / messages * 1e6)
    return times


async def _measured(row: Row, options: dict[str, Any], messages: int) -> float:
    return await row(options, messages)


def show(times: dict[str, list[float]], beside: dict[str, str], title: str) -> None:
    """Print a line for each row: its times, and their ratio to those of the row that it stands beside."""
    print(f"{'row':28} {'µs CPU':>8} {'least':>7} {'most':>7} {title:>18}")
    for name, each in times.items():
        ratio = median(one / other for one, other in zip(each, times[beside[name]], strict=True))
        print(f"{name:28} {median(each):8.1f} {min(each):7.1f} {max(each):7.1f} {ratio:17.2f}x")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000, help="in each run (4000)")
    parser.add_argument("--runs", type=int, default=5, help="of each row (5)")
    options = parser.parse_args(arguments)
    try:
        with sink() as port:
            times = measure(port, options.messages, options.runs)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    show(times, dict.fromkeys(ROWS, next(iter(ROWS))), "beside the client")
    return 0


if __name__ == "__main__":
    sys.exit(main())
