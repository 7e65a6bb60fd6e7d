"""An aiosmtplib to measure: ours or stock, the one that ``PYTHONPATH`` names, by any of its doors."""

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from email.message import EmailMessage
from itertools import cycle, islice
from typing import Any

from common import SENDER, Stopwatch, built, options, recipients

import aiosmtplib

#: Sends this many messages for each connection, and returns when all of them are accepted.
Send = Callable[[int], Awaitable[None]]


class Doors:
    """The ways to send. Each gives a function that sends, and one that ends the connections."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.connections: int = given.connections
        self.recipients = recipients(given.recipients)
        self.text: bytes = given.message.read_bytes()
        self.common: dict[str, Any] = {
            "hostname": "127.0.0.1",
            "port": given.port,
            "start_tls": False,
            "local_hostname": "client",
        }
        if given.cafile:
            del self.common["start_tls"]
            self.common |= {"use_tls": True, "cert_bundle": given.cafile}
        if given.no_chunking:
            self.common["chunking"] = False

    def _messages(self) -> list[EmailMessage]:
        return [built(self.text, self.recipients, number) for number in range(8)]

    async def _clients(self) -> list[aiosmtplib.SMTP]:
        clients = [aiosmtplib.SMTP(**self.common) for _ in range(self.connections)]
        for client in clients:
            await client.connect()
        return clients

    def _envelopes(self, times: int) -> Iterator[Any]:
        for _ in range(times):
            yield aiosmtplib.Envelope(SENDER, self.recipients, self.text)

    async def _each(self, one: Callable[[aiosmtplib.SMTP, int], Awaitable[None]]) -> tuple[Send, Any]:
        clients = await self._clients()

        async def send(times: int) -> None:
            await asyncio.gather(*(one(client, times) for client in clients))

        async def end() -> None:
            for client in clients:
                await client.quit()

        return send, end

    async def sendmail(self) -> tuple[Send, Any]:
        """One after the other on each connection."""

        async def one(client: aiosmtplib.SMTP, times: int) -> None:
            for _ in range(times):
                refused, _ = await client.sendmail(SENDER, self.recipients, self.text)
                assert not refused

        return await self._each(one)

    async def send(self) -> tuple[Send, Any]:
        """A connection for each message, so many of them at a time."""

        async def worker(times: int) -> None:
            for _ in range(times):
                refused, _ = await aiosmtplib.send(
                    self.text, sender=SENDER, recipients=self.recipients, **self.common
                )
                assert not refused

        async def send(times: int) -> None:
            await asyncio.gather(*(worker(times) for _ in range(self.connections)))

        async def end() -> None:
            pass

        return send, end

    async def send_many(self) -> tuple[Send, Any]:
        """One ``send_many`` on each connection."""

        async def one(client: aiosmtplib.SMTP, times: int) -> None:
            async for result in client.send_many(self._envelopes(times)):
                assert result.ok
                assert not result.refused

        return await self._each(one)

    async def send_message(self) -> tuple[Send, Any]:
        """Message objects, one after the other on each connection."""
        messages = self._messages()

        async def one(client: aiosmtplib.SMTP, times: int) -> None:
            for message in islice(cycle(messages), times):
                refused, _ = await client.send_message(message)
                assert not refused

        return await self._each(one)

    async def send_many_messages(self) -> tuple[Send, Any]:
        """One ``send_many`` of message objects on each connection."""
        messages = self._messages()

        async def one(client: aiosmtplib.SMTP, times: int) -> None:
            async for result in client.send_many(islice(cycle(messages), times)):
                assert result.ok
                assert not result.refused

        return await self._each(one)

    async def pool_send_many(self) -> tuple[Send, Any]:
        """One ``send_many`` over all connections."""
        pool = aiosmtplib.SMTPPool(**self.common, max_connections=self.connections)

        async def send(times: int) -> None:
            async for result in pool.send_many(self._envelopes(times * self.connections)):
                assert result.ok
                assert not result.refused

        return send, pool.aclose

    async def pool_sendmail(self) -> tuple[Send, Any]:
        """Twice as many tasks as connections, each with one message after the other."""
        pool = aiosmtplib.SMTPPool(**self.common, max_connections=self.connections)

        async def send(times: int) -> None:
            left = iter(range(times * self.connections))

            async def worker() -> None:
                for _ in left:
                    refused, _ = await pool.sendmail(SENDER, self.recipients, self.text)
                    assert not refused

            await asyncio.gather(*(worker() for _ in range(2 * self.connections)))

        return send, pool.aclose


def missing(door: str) -> str | None:
    """What this aiosmtplib lacks for a door, if anything."""
    if door.startswith("send_many") and not hasattr(aiosmtplib.SMTP, "send_many"):
        return "this aiosmtplib has no SMTP.send_many"
    if door.startswith("pool") and not hasattr(aiosmtplib, "SMTPPool"):
        return "this aiosmtplib has no SMTPPool"
    return None


def codec() -> str:
    """Which twin runs; stock has none."""
    try:
        return str(importlib.import_module("aiosmtplib._codec").IMPLEMENTATION)
    except ImportError:
        return "none"


async def measure(given: argparse.Namespace) -> None:
    send, end = await getattr(Doors(given), given.door)()
    await send(given.warm_up)
    watch = Stopwatch()
    await send(given.times)
    watch.report(given.times * given.connections, aiosmtplib.__version__, codec=codec())
    await end()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    doors = ["sendmail", "send", "send_many", "send_message", "send_many_messages"]
    doors += ["pool_send_many", "pool_sendmail"]
    parser.add_argument("--door", choices=doors, default="sendmail")
    parser.add_argument("--no-chunking", action="store_true", help="never BDAT")
    given = parser.parse_args()
    if lack := missing(given.door):
        json.dump({"skipped": lack}, sys.stdout)
        return
    loop = importlib.import_module(given.loop).new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(measure(given))
    loop.close()


if __name__ == "__main__":
    main()
