"""What sending over kept connections costs beside the least that any client on asyncio can do, by turns.

    python -m benchmarks.floor_rows [--messages 4000] [--runs 5] [--tls]

The floor is a bare protocol that writes bytes made beforehand, looks for a 354, and checks nothing. One at a
time it takes two writes, two reads and a future for each message, as ``sendmail`` does; in one pipeline it
writes the content of a message with the commands of the next, as ``send_many`` does without CHUNKING. Printed
is the CPU time of this process for a message of 2 KiB over ten connections, the median and the least and most
of the runs, and how many times its floor it is, in the median of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiosmtplib
from aiosmtplib import Envelope

from .compare_servers import CAFILE, Missing, sink, tls_sink
from .pool_rows import ADDRESSES, CONNECTIONS, CONTENT, show

__all__ = ("ROWS", "main", "measure")

COMMANDS = b"MAIL FROM:<a@example.com> size=2048\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
WIRE = CONTENT + b"\r\n.\r\n"

#: Sends so many messages over one connection.
Sender = Callable[[int], Awaitable[None]]
#: Connects with these options, and closes the connection at its end.
Row = Callable[[dict[str, Any]], contextlib.AbstractAsyncContextManager[Sender]]


class Bare(asyncio.BufferedProtocol):
    """A client that does no more than it must.

    :param together: whether the content of a message goes out with the commands of the next
    """

    transport: asyncio.Transport

    def __init__(self, together: bool) -> None:
        self._together = together
        self._buffer = memoryview(bytearray(8192))
        self._loop = asyncio.get_running_loop()
        self._left = 0
        self._greeted = False
        self.waiter = self._loop.create_future()
        self.gone = self._loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._buffer[:nbytes])
        if not self._greeted:
            self._greeted = True
            self.transport.write(b"EHLO b.example\r\n")
        elif b"354 " in data:
            self._left -= 1
            self.transport.write(WIRE + COMMANDS if self._together and self._left else WIRE)
        elif not self._left and not self.waiter.done():
            self.waiter.set_result(None)

    async def send(self, count: int) -> None:
        """Send so many messages."""
        for number in [count] if self._together else [1] * count:
            self._left = number
            self.waiter = self._loop.create_future()
            self.transport.write(COMMANDS)
            await self.waiter


def floor(together: bool) -> Row:
    @contextlib.asynccontextmanager
    async def row(options: dict[str, Any]) -> Any:
        loop = asyncio.get_running_loop()
        context = options.get("tls_context")
        name = None if context is None else "localhost"
        _, bare = await loop.create_connection(
            lambda: Bare(together), "127.0.0.1", options["port"], ssl=context, server_hostname=name
        )
        await bare.waiter
        yield bare.send
        bare.transport.close()
        await bare.gone

    return row


@contextlib.asynccontextmanager
async def by_sendmail(options: dict[str, Any]) -> Any:
    async with aiosmtplib.SMTP(**options) as client:

        async def send(count: int) -> None:
            for _ in range(count):
                await client.sendmail(*ADDRESSES, CONTENT)

        await send(1)
        yield send


@contextlib.asynccontextmanager
async def by_send_many(options: dict[str, Any]) -> Any:
    envelope = Envelope(*ADDRESSES, CONTENT)
    async with aiosmtplib.SMTP(chunking=False, **options) as client:

        async def send(count: int) -> None:
            async for result in client.send_many(envelope for _ in range(count)):
                result.raise_for_status()

        await send(1)
        yield send


#: By row: what it is, and the row of its floor.
ROWS: dict[str, tuple[Row, str]] = {
    "floor, one at a time": (floor(False), "floor, one at a time"),
    "client.sendmail": (by_sendmail, "floor, one at a time"),
    "floor, in one pipeline": (floor(True), "floor, in one pipeline"),
    "client.send_many": (by_send_many, "floor, in one pipeline"),
}


async def timed(row: Row, options: dict[str, Any], messages: int) -> float:
    """The CPU time of a message, in microseconds, once all connections are there."""
    async with contextlib.AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(row(options)) for _ in range(CONNECTIONS)]
        started = time.process_time()
        await asyncio.gather(*(send(messages // CONNECTIONS) for send in senders))
        return (time.process_time() - started) / messages * 1e6


def measure(port: int, messages: int, runs: int, *, tls: bool) -> dict[str, list[float]]:
    """The CPU time of a message in each run, in microseconds, for each row."""
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": port, "local_hostname": "b.example"}
    if tls:
        context = ssl.create_default_context(cafile=str(CAFILE))
        options |= {"use_tls": True, "tls_context": context, "server_hostname": "localhost"}
    else:
        options["start_tls"] = False
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(runs):
        for name, (row, _) in ROWS.items():
            times[name].append(asyncio.run(timed(row, options, messages)))
    return times


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000, help="in each run (4000)")
    parser.add_argument("--runs", type=int, default=5, help="of each row (5)")
    parser.add_argument("--tls", action="store_true", help="from the first byte, to a sink of our own")
    options = parser.parse_args(arguments)
    try:
        with tls_sink() if options.tls else sink() as port:
            times = measure(port, options.messages, options.runs, tls=options.tls)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    show(times, {name: floor for name, (_, floor) in ROWS.items()}, "beside its floor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
