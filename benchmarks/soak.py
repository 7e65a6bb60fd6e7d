"""Long runs: does memory stay flat over a gigabyte and a million messages, is a shared pool fair, and does
each message get where its verdict says, from a server that refuses, delays and hangs up at random?

``make soak`` runs all of it against Postfix's smtp-sink, in minutes; ``make soak ARGS="many pool --messages
100000"`` only a part, ``make soak ARGS=faults`` what needs no Postfix. It prints what was measured beside
what is asked for, and fails if one is missed.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiosmtplib
from aiosmtplib import Envelope, SMTPPool

from . import soak_faults
from .compare_servers import Missing, sink

__all__ = ("Check", "main", "tell")

MIB = 1 << 20
SENDER, RECIPIENT = "a@example.com", "b@example.com"
BODY = (b"Subject: soak\r\n\r\n" + (b"x" * 74 + b"\r\n") * 27)[:2046] + b"\r\n"
#: Growth that the interpreter allows itself after the first messages, in bytes.
SLACK = 4 * MIB


@dataclasses.dataclass(frozen=True)
class Check:
    """One figure, and whether it is as asked for."""

    scenario: str
    what: str
    measured: str
    asked: str
    ok: bool


def resident(field: str = "VmRSS") -> int:
    """Memory of this process in bytes; ``VmHWM`` for its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise Missing("/proc/self/status does not say how much memory is used")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def options(port: int) -> dict[str, Any]:
    return {"hostname": "127.0.0.1", "port": port, "start_tls": False, "local_hostname": "me.example"}


async def stream(port: int, args: argparse.Namespace) -> list[Check]:
    """One message that is far larger than what may be in memory."""
    piece = (b"x" * 74 + b"\r\n") * 1000

    async def pieces(octets: int) -> AsyncIterator[bytes]:
        for _ in range(octets // len(piece)):
            yield piece

    async with aiosmtplib.SMTP(**options(port), timeout=600) as client:
        await client.sendmail(SENDER, RECIPIENT, pieces(16 * MIB))
        before = resident("VmHWM")
        await client.sendmail(SENDER, RECIPIENT, pieces(args.stream * MIB))
        grown = resident("VmHWM") - before
    return [
        Check(
            "stream", f"peak memory grows over {args.stream} MiB", mib(grown), "≤ 16 MiB", grown <= 16 * MIB
        )
    ]


class Watch:
    """What a process holds, early in a run and at its end."""

    def __init__(self, scenario: str, total: int) -> None:
        self._scenario = scenario
        self._at = max(total // 20, 1)
        self._total = total
        self._first: tuple[int, int, int, int] | None = None
        self._began = time.perf_counter()
        self._cpu = time.process_time()
        self.done = 0

    def count(self) -> None:
        self.done += 1
        if self.done == self._at:
            self._first = self._now()

    def _now(self) -> tuple[int, int, int, int]:
        gc.collect()
        return resident(), len(asyncio.all_tasks()), open_files(), len(gc.get_objects())

    def checks(self, what: str = "messages accepted") -> list[Check]:
        assert self._first is not None
        last = self._now()
        memory, tasks, files, objects = (now - then for now, then in zip(last, self._first, strict=True))
        cpu = (time.process_time() - self._cpu) / self.done
        rate = self.done / (time.perf_counter() - self._began)
        name = self._scenario
        return [
            Check(name, what, f"{self.done:,}", f"{self._total:,}", self.done == self._total),
            Check(name, "memory grows", mib(memory), f"≤ {mib(SLACK)}", memory <= SLACK),
            Check(name, "tasks more", str(tasks), "≤ 0", tasks <= 0),
            Check(name, "open files more", str(files), "≤ 0", files <= 0),
            Check(name, "objects more", f"{objects:,}", "≤ 1,000", objects <= 1000),
            Check(name, "CPU, rate", f"{cpu * 1e6:.1f} µs, {rate:,.0f}/s", "", True),
        ]


def letters(count: int) -> Iterator[Envelope]:
    for number in range(count):
        yield Envelope(SENDER, RECIPIENT, b"X-Number: %d\r\n" % number + BODY)


async def many(port: int, args: argparse.Namespace) -> list[Check]:
    """Many messages over one connection."""
    watch = Watch("many", args.messages)
    async with aiosmtplib.SMTP(**options(port)) as client:
        async for result in client.send_many(letters(args.messages)):
            result.raise_for_status()
            watch.count()
        return watch.checks()


async def pool(port: int, args: argparse.Namespace) -> list[Check]:
    """Many messages over a pool."""
    watch = Watch("pool", args.messages)
    async with SMTPPool(**options(port), max_connections=10) as connections:
        async for result in connections.send_many(letters(args.messages)):
            result.raise_for_status()
            watch.count()
        return watch.checks()


async def fair(port: int, args: argparse.Namespace) -> list[Check]:
    """Many tasks that share few connections: how long each message takes, waiting included."""
    waits: list[float] = []
    turns = 10

    async def one(connections: SMTPPool) -> None:
        for _ in range(turns):
            began = time.perf_counter()
            await connections.sendmail(SENDER, RECIPIENT, BODY)
            waits.append(time.perf_counter() - began)

    async with SMTPPool(**options(port), max_connections=10) as connections:
        await asyncio.gather(*(one(connections) for _ in range(args.tasks)))
    waits.sort()
    mean, p99 = statistics.fmean(waits), waits[int(len(waits) * 0.99)]
    ratio = p99 / mean
    return [
        Check(
            "fair",
            "messages sent",
            f"{len(waits):,}",
            f"{args.tasks * turns:,}",
            len(waits) == args.tasks * turns,
        ),
        Check(
            "fair",
            "p50, p99, longest, mean",
            ", ".join(f"{1000 * each:.0f} ms" for each in (waits[len(waits) // 2], p99, waits[-1], mean)),
            "p99 ≤ 3 means",
            ratio <= 3,
        ),
    ]


async def faults(port: int, args: argparse.Namespace) -> list[Check]:
    """Many messages over pools, to a server of ours that has moods."""
    watch = Watch("faults", args.messages)

    def say(text: str) -> None:
        print(f"faults: {text}", file=sys.stderr, flush=True)

    reports = await soak_faults.run(args, watch, say)
    return [Check("faults", *report) for report in reports] + watch.checks("verdicts")


SCENARIOS: dict[str, Callable[[int, argparse.Namespace], Coroutine[Any, Any, list[Check]]]] = {
    "stream": stream,
    "many": many,
    "pool": pool,
    "fair": fair,
    "faults": faults,
}


def mib(octets: int) -> str:
    return f"{octets / MIB:.1f} MiB"


def tell(checks: list[Check], *widths: int) -> int:
    """Print figures in columns of these widths.

    :return: how many are not as asked for
    """
    scenario, what, measured, asked = widths
    for check in checks:
        columns = f"{check.scenario:{scenario}}{check.what:{what}}{check.measured:>{measured}}"
        print(f"{columns}  {check.asked:{asked}} {'ok' if check.ok else 'MISSED'}", flush=True)
    return sum(not check.ok for check in checks)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS), default=[])
    parser.add_argument("--messages", type=int, default=1_000_000, help="for many, pool and faults")
    parser.add_argument("--stream", type=int, default=1024, help="size of the streamed message in MiB")
    parser.add_argument("--tasks", type=int, default=1000, help="tasks that share the pool, in fair")
    parser.add_argument("--seed", type=int, default=1, help="of the dice that faults throws")
    args = parser.parse_args(arguments)
    failed = 0
    names = args.scenarios or list(SCENARIOS)
    try:
        with contextlib.ExitStack() as stack:
            port = 0 if names == ["faults"] else stack.enter_context(sink())
            for name in names:
                failed += tell(asyncio.run(SCENARIOS[name](port, args)), 8, 40, 34, 16)
    except Missing as reason:
        print(f"not run: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
