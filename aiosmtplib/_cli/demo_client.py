"""The clients of ``aiosmtplib demo``, each in a process of its own: smtplib, or one of several aiosmtplibs.

A program of its own: the path that it is given chooses the aiosmtplib that is measured, which may be another
one than this file belongs to.
"""

from __future__ import annotations

import asyncio
import json
import smtplib
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from email.message import EmailMessage
from typing import IO, Any

SENDER, RECIPIENT = "sender@example.com", "recipient@example.com"
#: What each client can do; an aiosmtplib of before has the first two.
DOORS = ("sendmail", "send_message", "send_many", "pool")

#: Sends so many messages.
Send = Callable[[int], None]


def octets(size: int) -> bytes:
    """A message of about this size."""
    head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: Demo\r\n\r\n".encode()
    line = b"The quick brown fox jumps over the lazy dog, and over this line as well.\r\n"
    return head + line * max(1, (size - len(head)) // len(line))


def built(size: int) -> EmailMessage:
    """The same as a message object."""
    head, _, body = octets(size).decode().replace("\r\n", "\n").partition("\n\n")
    message = EmailMessage()
    for field in head.splitlines():
        name, _, value = field.partition(": ")
        message[name] = value
    message.set_content(body)
    return message


def stopwatch(send: Send, messages: int) -> list[float]:
    """CPU time and time for each message, in seconds, when so many are sent."""
    wall, cpu = time.perf_counter(), time.process_time()
    send(messages)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return [cpu / messages, wall / messages]


def by_smtplib(port: int, size: int, door: str, messages: int) -> list[float]:
    content, message = octets(size), built(size)
    with smtplib.SMTP("127.0.0.1", port, "localhost") as client:
        client.ehlo()

        def send(count: int) -> None:
            for _ in range(count):
                if door == "sendmail":
                    client.sendmail(SENDER, [RECIPIENT], content)
                else:
                    client.send_message(message)

        return stopwatch(send, messages)


def by_aiosmtplib(port: int, size: int, door: str, messages: int) -> list[float]:
    import aiosmtplib

    loop = asyncio.new_event_loop()
    options: dict[str, Any] = {
        "hostname": "127.0.0.1",
        "port": port,
        "start_tls": False,
        "local_hostname": "localhost",
    }
    content, message = octets(size), built(size)

    def envelopes(count: int) -> Iterator[Any]:
        for _ in range(count):
            yield aiosmtplib.Envelope(SENDER, [RECIPIENT], content)

    async def each(send_one: Callable[[], Awaitable[Any]], count: int) -> None:
        for _ in range(count):
            await send_one()

    async def all_of(results: Any) -> None:
        async for result in results:
            result.raise_for_status()

    async def measure() -> list[float]:
        client: Any
        if door == "pool":
            client = aiosmtplib.SMTPPool(**options, max_connections=4)
        else:
            client = aiosmtplib.SMTP(**options)
        async with client:
            ways: dict[str, Callable[[int], Awaitable[None]]] = {
                "sendmail": lambda n: each(lambda: client.sendmail(SENDER, [RECIPIENT], content), n),
                "send_message": lambda n: each(lambda: client.send_message(message), n),
                "send_many": lambda n: all_of(client.send_many(envelopes(n))),
                "pool": lambda n: all_of(client.send_many(envelopes(n))),
            }
            await ways[door](max(1, messages // 10))  # connects, where a pool does
            wall, cpu = time.perf_counter(), time.process_time()
            await ways[door](messages)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return [cpu / messages, wall / messages]

    try:
        return loop.run_until_complete(measure())
    finally:
        loop.close()


def describe(kind: str) -> dict[str, Any]:
    """The version of a client, its twin if it has any, and what it can do."""
    if kind == "smtplib":
        return {"version": sys.version.split()[0], "twin": None, "doors": DOORS[:2]}
    import aiosmtplib

    twin = getattr(aiosmtplib, "IMPLEMENTATION", None)
    doors = DOORS if hasattr(aiosmtplib, "send_many") else DOORS[:2]
    return {"version": aiosmtplib.__version__, "twin": twin, "doors": doors}


def serve(kind: str, port: int, size: int, stdin: IO[str], stdout: IO[str]) -> None:
    """Say what this client is; then send, as often as asked, and say what it took.

    :param stdin: lines of JSON: the way to send, and how many messages
    :param stdout: for each, a line of JSON: CPU time and time for a message, in seconds
    """
    print(json.dumps(describe(kind)), file=stdout, flush=True)
    run = by_smtplib if kind == "smtplib" else by_aiosmtplib
    for line in stdin:
        door, messages = json.loads(line)
        print(json.dumps(run(port, size, door, messages)), file=stdout, flush=True)


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])
    serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.stdin, sys.stdout)
