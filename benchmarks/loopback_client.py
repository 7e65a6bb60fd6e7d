"""The client whose CPU is measured: a process of its own, so that neither the server nor pytest counts.

``bench_loopback`` starts this file by its path, with ``PYTHONPATH`` naming the aiosmtplib to measure: nothing
else of this repository is imported here. One JSON object on stdout says what was measured, and of whom.
"""

import argparse
import asyncio
import importlib
import json
import sys
import time

import aiosmtplib

LINE = b"Twelve drummers drumming, eleven pipers piping, ten lords a-leaping, and so on.\r\n"


def message(octets: int) -> bytes:
    """A message of the size asked for, with CRLF line ends."""
    text = b"Subject: benchmark\r\n\r\n" + LINE * (octets // len(LINE) + 1)
    return text[: octets - 2] + b"\r\n"


async def send(client: aiosmtplib.SMTP, recipients: list[str], text: bytes, times: int) -> None:
    for _ in range(times):
        await client.sendmail("sender@example.com", recipients, text)


async def measure(options: argparse.Namespace) -> tuple[float, float]:
    """Return the CPU and the wall time of the messages after the warm-up, in seconds."""
    recipients = [f"recipient{number}@example.org" for number in range(options.recipients)]
    text = message(options.octets)
    clients = [
        aiosmtplib.SMTP(hostname="127.0.0.1", port=options.port, start_tls=False, local_hostname="client")
        for _ in range(options.connections)
    ]
    for client in clients:
        await client.connect()
    await asyncio.gather(*(send(client, recipients, text, options.warm_up) for client in clients))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send(client, recipients, text, options.times) for client in clients))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for client in clients:
        await client.quit()
    return cpu, wall


def codec() -> str:
    """Which twin runs; stock has none."""
    try:
        return str(importlib.import_module("aiosmtplib._codec").IMPLEMENTATION)
    except ImportError:
        return "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument(
        "--warm-up", type=int, default=1, help="messages on each connection that do not count"
    )
    parser.add_argument("--times", type=int, default=1, help="messages on each connection that count")
    for name in ("port", "connections", "octets", "recipients"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    loop = importlib.import_module(options.loop).new_event_loop()
    asyncio.set_event_loop(loop)
    cpu, wall = loop.run_until_complete(measure(options))
    loop.close()
    messages = options.connections * options.times
    json.dump(
        {
            "cpu": cpu / messages,
            "rate": messages / wall,
            "version": aiosmtplib.__version__,
            "codec": codec(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
