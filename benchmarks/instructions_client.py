"""The client whose instructions are counted: it sends so many messages of 2 KiB in one way, and says nothing.

``instructions`` starts this file by its path under valgrind.
"""

import asyncio
import sys
from collections.abc import Iterator

import aiosmtplib

SENDER, RECIPIENT = "sender@example.com", "recipient@example.org"
TEXT = b"Subject: benchmark\r\n\r\n" + (b"x" * 74 + b"\r\n") * 26


def envelopes(count: int) -> Iterator[aiosmtplib.Envelope]:
    for _ in range(count):
        yield aiosmtplib.Envelope(SENDER, RECIPIENT, TEXT)


async def by_sendmail(clients: list[aiosmtplib.SMTP], count: int) -> None:
    async def send(client: aiosmtplib.SMTP) -> None:
        for _ in range(count // len(clients)):
            await client.sendmail(SENDER, RECIPIENT, TEXT)

    await asyncio.gather(*map(send, clients))


async def by_send_many(clients: list[aiosmtplib.SMTP], count: int) -> None:
    async def send(client: aiosmtplib.SMTP) -> None:
        async for result in client.send_many(envelopes(count // len(clients))):
            assert result.error is None

    await asyncio.gather(*map(send, clients))


async def by_pool(port: int, connections: int, count: int) -> None:
    async with aiosmtplib.SMTPPool(
        "127.0.0.1", port, start_tls=False, local_hostname="client", max_connections=connections
    ) as pool:

        async def send() -> None:
            for _ in range(count // (10 * connections)):
                await pool.sendmail(SENDER, RECIPIENT, TEXT)

        await asyncio.gather(*(send() for _ in range(10 * connections)))


async def main(door: str, port: int, connections: int, count: int) -> None:
    if door == "pool":
        await by_pool(port, connections, count)
        return
    clients = [
        aiosmtplib.SMTP("127.0.0.1", port, start_tls=False, local_hostname="client")
        for _ in range(connections)
    ]
    for client in clients:
        await client.connect()
    await (by_sendmail if door == "sendmail" else by_send_many)(clients, count)
    for client in clients:
        await client.quit()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
