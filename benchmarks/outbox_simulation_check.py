"""The simulation of the outbox beside real workers: a Redis, processes, and a relay that has the same limits.

``python -m benchmarks.outbox_simulation check``. The relay is in this process, and does nearly nothing.
"""

import asyncio
import contextlib
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiosmtplib import Envelope
from aiosmtplib.contrib.outbox import Policy
from aiosmtplib.contrib.taskiq import Outbox, OutboxStatus
from tests.support.redis_server import RedisServer, why_no_redis

from . import outbox_worker
from .outbox_simulation import Counts, Judge, World, simulate

__all__ = ("check", "measure")

#: As benchmarks.outbox_worker has it.
POLICY = Policy(delays=(0.5, 1, 2), soon=(0.3, 1), greylisted_after=0.5, jitter=0.2)
WORLD = World(
    policy=POLICY,
    relay_connections=16,
    service=0.5,  # long beside what a busy machine adds to it
    greylisted=0.05,
    greylisting=1.0,
    temporary=0.02,
    permanent=0.01,
    starting=1.0,
)
#: Of the time that 95 % of the messages take. The pools get fewer of the last connections than is simulated.
TOLERANCE = 0.4
NUMBER = re.compile(rb"TO:<(\d+)@")


class Relay:
    """A relay that has the limits of a world, and opinions as the simulated one has."""

    def __init__(self, world: World) -> None:
        self.counts = Counts()
        self.taken: list[int] = []
        #: How long each message had a connection: the service, and what the machine adds to it.
        self.occupied: list[float] = []
        self._world = world
        self._judge = Judge(world)
        self._open = 0
        self.began = 0.0

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._open += 1
        self.counts.opened += 1
        self.counts.most = max(self.counts.most, self._open)
        try:
            yield
        finally:
            self._open -= 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            if self._open >= self._world.relay_connections:
                self.counts.turned_away += 1
                writer.write(b"421 4.7.0 Too many connections\r\n")
                await writer.drain()
                return
            self.began = self.began or time.monotonic()
            with self._counted():
                writer.write(b"220 relay.example\r\n")
                number, last = 0, 0.0
                while line := await reader.readline():
                    if found := NUMBER.search(line):
                        number = int(found[1])
                    writer.write(await self._answer(line, number, reader, writer))
                    if line[:4].upper() == b"DATA":
                        now = time.monotonic()
                        if last:
                            self.occupied.append(now - last)
                        last = now
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, line: bytes, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            reply = self._judge.reply(number, time.monotonic() - self.began)
            if reply is None:
                return b"250 2.1.5 Ok\r\n"
            self.counts.answered += 1
            return f"{reply.code} {reply.message}\r\n".encode()
        if verb == b"DATA":
            writer.write(b"354 Go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            await asyncio.sleep(self._world.service)
            self.counts.answered += 1
            self.counts.times.append(time.monotonic() - self.began)
            self.taken.append(number)
        return b"221 Bye\r\n" if verb == b"QUIT" else b"250 Ok\r\n"


async def measure(world: World, folder: Path) -> tuple[Counts, float]:
    """What real workers do in a world, and the seconds for which a message has a connection there."""
    relay = Relay(world)
    redis = RedisServer(folder)
    redis.start()
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["benchmarks.outbox_worker"])
    options = {"lease": 10.0, "rate": world.rate, "unknown": world.policy.unknown}
    workers: list[Any] = []
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with Outbox(redis.url) as outbox:
            text = "Subject: Hi\n\nHi!\n"
            await outbox.enqueue_many(
                Envelope("me@example.com", f"{number}@example.com", text) for number in range(world.messages)
            )
            for number in range(world.workers):
                if number:  # so that it does not depend on chance who gets the connections of the relay
                    await asyncio.sleep(world.starting)
                words = (redis.url, port, str(folder / "unknown"), options)
                workers.append(start.Process(target=outbox_worker.main, args=words))
                workers[-1].start()
            while True:
                status: OutboxStatus = await outbox.status()
                if not (status.queued or status.taken or status.later):
                    break
                await asyncio.sleep(0.1)
        relay.counts.seconds = time.monotonic() - relay.began
        relay.counts.failed = status.dead
        relay.counts.delivered = len(set(relay.taken))
    finally:
        for worker in workers:
            worker.terminate()
            await asyncio.to_thread(worker.join)
        server.close()
        redis.stop()
    return relay.counts, statistics.median(relay.occupied)


def check(messages: int, workers: list[int], seed: int) -> int:
    """Print what real workers do beside what is simulated: 1 if they differ by more than the tolerance."""
    reason = why_no_redis()
    if reason is not None:
        print(f"not run: {reason}")
        return 0
    columns = ("workers", "a message has a connection for", "attempts", "failed", "connections at once")
    print(f"| {' | '.join((*columns, '95 % after', 'all after'))} |")
    print("|--:" * 7 + "|")
    missed = 0
    for count in workers:
        world = replace(WORLD, messages=messages, workers=count, seed=seed)
        with tempfile.TemporaryDirectory(prefix="outbox-") as folder:
            real, occupied = asyncio.run(measure(world, Path(folder)))
        thought = simulate(replace(world, service=occupied))
        pairs = [
            (each.answered, each.failed, each.most, each.until(0.95), each.seconds)
            for each in (real, thought)
        ]
        cells = [
            f"{a:,.1f} ({b:,.1f})" if isinstance(a, float) else f"{a:,} ({b:,})"
            for a, b in zip(*pairs, strict=True)
        ]
        print(f"| {count} | {occupied:.2f} s | {' | '.join(cells)} |", flush=True)
        same = (real.delivered, real.failed) == (thought.delivered, thought.failed)
        near = abs(real.until(0.95) / thought.until(0.95) - 1) <= TOLERANCE
        missed += not (same and near)
    print("As measured (as simulated).", "MISSED" if missed else "ok", file=sys.stderr)
    return 1 if missed else 0
