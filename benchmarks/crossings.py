"""Calls between the files of the package for one message: how often the path of a message changes hands.

``python -m benchmarks.crossings`` counts them on the pure twin, where every call is seen: for one ``send``
with its connection; and for one ``sendmail``, one ``send_many`` of a message, and one of a pool, all of them
on connections that have had others. A call counts where it leads from one file to another and one of the two
is of the package. A generator or coroutine that goes on is called once more. ``--calls`` lists each pair.

The server is in the same event loop, announces PIPELINING, and accepts everything.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

os.environ["AIOSMTPLIB_NO_EXTENSIONS"] = "1"
os.environ.pop("AIOSMTPLIB_REQUIRE_EXTENSIONS", None)

import aiosmtplib

PACKAGE = os.path.dirname(aiosmtplib.__file__) + os.sep
MESSAGE = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: Hello\r\n\r\nHello\r\n"
ENVELOPE = aiosmtplib.Envelope("a@example.com", ["b@example.org"], MESSAGE)
REPLIES = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10000000\r\n",
    b"DATA": b"354 Go on\r\n",
    b"QUIT": b"221 Bye\r\n",
}

Pair = tuple[str, str]


class Sink(asyncio.Protocol):
    """The server's side of a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.rest = b""
        self.content = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        replies = []
        for line in lines:
            if self.content:
                self.content = line != b"."
                replies += [] if self.content else [b"250 Ok\r\n"]
            else:
                verb = line[:4].upper()
                self.content = verb == b"DATA"
                replies.append(REPLIES.get(verb, b"250 Ok\r\n"))
        self.transport.write(b"".join(replies))


@asynccontextmanager
async def sink() -> AsyncIterator[int]:
    """A server on loopback; its port."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def where(frame: FrameType) -> str:
    """A function by its file: within the package, or with the name of the file alone."""
    path = frame.f_code.co_filename
    file = path[len(PACKAGE) :] if path.startswith(PACKAGE) else f"({os.path.basename(path)})"
    return f"{file}:{frame.f_code.co_name}"


def counter(pairs: Counter[Pair]) -> Callable[[FrameType, str, Any], None]:
    """A function for :func:`sys.setprofile` that counts."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_back is None:
            return
        ours = {f.f_code.co_filename for f in (frame, frame.f_back)}
        if len(ours) == 2 and any(path.startswith(PACKAGE) for path in ours):
            pairs[where(frame.f_back), where(frame)] += 1

    return profile


async def counted(work: Callable[[], Awaitable[object]]) -> Counter[Pair]:
    """Count what happens until this is done."""
    pairs: Counter[Pair] = Counter()
    sys.setprofile(counter(pairs))
    try:
        await work()
    finally:
        sys.setprofile(None)
    return pairs


async def of_send(port: int) -> Counter[Pair]:
    """One ``send``, which connects and says goodbye."""
    options: Any = {"hostname": "127.0.0.1", "port": port, "local_hostname": "here"}
    await aiosmtplib.send(MESSAGE, sender="a@example.com", recipients=["b@example.org"], **options)
    return await counted(
        lambda: aiosmtplib.send(MESSAGE, sender="a@example.com", recipients=["b@example.org"], **options)
    )


async def of_sendmail(port: int) -> Counter[Pair]:
    """One ``sendmail`` on a connection that has had others."""
    async with aiosmtplib.SMTP("127.0.0.1", port, local_hostname="here") as client:

        async def one() -> None:
            await client.sendmail("a@example.com", ["b@example.org"], MESSAGE)

        await one()
        return await counted(one)


async def of_send_many(port: int) -> Counter[Pair]:
    """One ``send_many`` of a message, on a connection that has had others."""
    async with aiosmtplib.SMTP("127.0.0.1", port, local_hostname="here") as client:

        async def one() -> None:
            async for _ in client.send_many([ENVELOPE]):
                pass

        await one()
        return await counted(one)


async def of_pool(port: int) -> Counter[Pair]:
    """One ``send_many`` of a message, over a pool that has had others."""
    async with aiosmtplib.SMTPPool("127.0.0.1", port, local_hostname="here", max_connections=4) as pool:

        async def some(count: int) -> None:
            async for _ in pool.send_many([ENVELOPE] * count):
                pass

        await some(10)
        return await counted(lambda: some(1))


CASES = {
    "send": of_send,
    "sendmail": of_sendmail,
    "send_many": of_send_many,
    "pool.send_many": of_pool,
}


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crossings", description=__doc__)
    parser.add_argument("--calls", action="store_true", help="list each pair of functions")
    options = parser.parse_args()
    async with sink() as port:
        for name, case in CASES.items():
            pairs = await case(port)
            print(f"{pairs.total():6}  {name}")
            if options.calls:
                for (caller, callee), count in sorted(pairs.items(), key=lambda item: -item[1]):
                    print(f"{count:12}  {caller} -> {callee}")


if __name__ == "__main__":
    asyncio.run(main())
