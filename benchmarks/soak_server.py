"""The server of ``soak faults``, in a process of its own: quick, moody, and with a ledger.

It refuses, delays and hangs up at random, by the number that it is given. It counts how often it took the
message of each number. ``python -m benchmarks.soak_server TOTAL SEED`` prints its two ports, the second with
CHUNKING; told anything on its standard input, it prints the counts and ends.
"""

import asyncio
import collections
import itertools
import json
import random
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.model_server import Broken, Desk, Manners, Taken

__all__ = ("HEADER", "SHARES", "TIMEOUT", "Office", "Window")

HEADER = b"X-Number: "
#: How long the client waits for a reply, in seconds.
TIMEOUT = 1.0
#: What happens to one message of so many.
SHARES = {
    "450 to MAIL": 400,
    "550 to RCPT": 200,
    "451 to DATA": 400,
    "552 to the content": 200,
    "a delay of milliseconds": 500,
    "a delay that is too long": 20_000,
    "421 to MAIL": 2_000,
    "FIN instead of a reply to RCPT": 2_000,
    "FIN before it is taken": 2_000,
    "RST before it is taken": 2_000,
    "FIN after it is taken": 2_000,
    "RST after it is taken": 2_000,
    "half a reply": 2_000,
}


class Moody(Desk):
    """A desk that has a mood for each message."""

    def __init__(self, manners: Manners, office: "Office") -> None:
        super().__init__(manners, office.take)
        self.pause = 0.0
        self._office = office
        self._mood = ""

    def judge(self, place: str, subject: bytes) -> bytes | None:
        if place == "MAIL":
            self._mood = self._office.mood()
        mood = self._mood
        if not mood:
            return None
        if place == "MAIL":
            if mood == "450 to MAIL":
                return b"450 Later\r\n"
            if mood == "421 to MAIL":
                raise Broken(b"421 Enough\r\n")
        elif place == "RCPT":
            if mood == "550 to RCPT":
                return b"550 Who?\r\n"
            if mood == "FIN instead of a reply to RCPT":
                raise Broken
        elif place == "DATA":
            if mood == "451 to DATA":
                return b"451 Not now\r\n"
        elif mood == "552 to the content":
            return b"552 No\r\n"
        elif mood == "a delay of milliseconds":
            self.pause = self._office.dice.uniform(0.001, 0.02)
        elif mood == "a delay that is too long":
            self.pause = 2 * TIMEOUT
        elif mood.endswith("before it is taken"):
            raise Broken(reset=mood.startswith("RST"))
        return None

    def accept(self, taken: Taken) -> bytes:
        reply = super().accept(taken)
        if self._mood.endswith("after it is taken"):
            raise Broken(reset=self._mood.startswith("RST"))
        if self._mood == "half a reply":
            raise Broken(b"25")
        return reply


class Office:
    """What all connections share.

    :param shares: what happens to one message of so many
    """

    def __init__(self, total: int, seed: int, shares: Mapping[str, float] = SHARES) -> None:
        self.names = list(shares)
        self.bounds = list(itertools.accumulate(1 / share for share in shares.values()))
        self.counts = bytearray(total)
        self.dice = random.Random(seed)
        self.moods: collections.Counter[str] = collections.Counter()

    def mood(self) -> str:
        number = self.dice.random()
        if number >= self.bounds[-1]:
            return ""
        mood = next(mood for mood, bound in zip(self.names, self.bounds, strict=True) if number < bound)
        self.moods[mood] += 1
        return mood

    def take(self, taken: Taken) -> None:
        start = len(HEADER)
        self.counts[int(taken.content[start : taken.content.index(b"\r", start)])] += 1


class Window(asyncio.Protocol):
    """A connection to the office."""

    transport: Any

    def __init__(self, office: Office, chunking: bool) -> None:
        extensions = ("PIPELINING", "CHUNKING", "8BITMIME") if chunking else ("PIPELINING", "8BITMIME")
        self._desk = Moody(Manners(extensions), office)
        self._held: list[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self._desk.greeting())

    def data_received(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        try:
            out = self._desk.feed(data)
        except Broken as end:
            self._hang_up(end)
            return
        if self._desk.pause:
            self._held = []
            asyncio.get_running_loop().call_later(self._desk.pause, self._go_on, out)
            self._desk.pause = 0.0
            return
        if not self.transport.is_closing():
            self.transport.write(out)
        if self._desk.over:
            self.transport.close()

    def _go_on(self, out: bytes) -> None:
        held, self._held = self._held, None
        if not self.transport.is_closing():
            self.transport.write(out)
        for data in held or ():  # also if the client has gone: a server works off what it has
            self.data_received(data)

    def _hang_up(self, end: Broken) -> None:
        if end.reset:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        else:
            self.transport.write(end.last_words)
            self.transport.close()


async def _serve(total: int, seed: int) -> None:
    loop = asyncio.get_running_loop()
    office = Office(total, seed)
    ports = []
    for chunking in (False, True):
        server = await loop.create_server(
            lambda chunking=chunking: Window(office, chunking), "127.0.0.1", 0, backlog=256
        )
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    asked = asyncio.Event()
    loop.add_reader(sys.stdin, asked.set)
    await asked.wait()
    loop.remove_reader(sys.stdin)
    print(json.dumps(office.moods), flush=True)
    sys.stdout.buffer.write(office.counts)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
